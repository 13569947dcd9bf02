"""The matrices of ports are the closed forms of the layers: Kronecker products of Keras's kernels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.geometry import kronecker
from tests.geometry.corpus import ports

import torchport
from torchport.axes import Order, dims
from torchport.geometry.facts import read
from torchport.geometry.matrix import NotLinear, TooLarge, measure, port_function
from torchport.geometry.walk import sized, whole
from torchport.port import Port

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: The kinds that have one, by how their names begin.
KINDS = ("Conv", "Depthwise", "AveragePooling", "UpSampling", "ZeroPadding", "Cropping", "Permute")


def closed(port: Port) -> Any:
    """The closed form of a model of one layer in Keras's order; None where it has none here."""
    graph, _ = sized(port.program.graph)
    calls = whole(graph).calls
    if len(calls) != 1 or not calls[0].op.kind.startswith(KINDS) or "LSTM" in calls[0].op.kind:
        return None
    (call,), op = calls, calls[0].op
    x = graph.tensors[graph.inputs[0]]
    shape = tuple(size or 1 for size in x.shape)
    is_first = op.config.get("data_format") == "channels_first"
    if op.kind == "Permute":
        return kronecker.permutation(shape[1:], [it - 1 for it in op.config["dims"]])
    axes = range(2, len(shape)) if is_first else range(1, len(shape) - 1)
    links = read(call)[0][1]
    over: list[Any] = [links[at].reading for at in axes]
    sizes, count = [shape[at] for at in axes], shape[1] if is_first else shape[-1]
    if op.kind.startswith("UpSampling") and op.config.get("interpolation") == "bilinear":
        return None
    if op.kind.startswith(("UpSampling", "ZeroPadding", "Cropping")):
        return kronecker.repeated(over, sizes, count, is_first)
    if op.kind.startswith("AveragePooling"):
        return kronecker.mean(over, sizes, count, is_first)
    kernel = op.weights["kernel"].load().astype(float)
    if "Transpose" in op.kind:
        return kronecker.transposed(over, sizes, kernel, is_first)
    groups = op.config.get("groups", 1)
    if op.kind.startswith("Depthwise"):
        kernel, groups = kernel.reshape(*kernel.shape[:-2], 1, -1), count
    return kronecker.convolution(over, sizes, kernel, groups, is_first)


def turned(port: Port, shape: tuple[int, ...], is_input: bool) -> Any:
    """P from Keras's order of a sample to PyTorch's."""
    spec = port.inputs[0] if is_input else port.outputs[0]
    order = [it - 1 for it in dims(Order.SOURCE, spec.order, len(shape) + 1)[1:]]
    return order, kronecker.permutation(shape, order)


def test_matrices_are_kronecker_products_of_keras_kernels() -> None:
    """In Keras's order S ⊗ S ⊗ C, in PyTorch's P_out (S ⊗ S ⊗ C) P_inᵀ, or C ⊗ S ⊗ S: to the last bit."""
    seen, wrong = Counter[str](), []
    for name, port in ports("layers", KINDS):
        form = closed(port)
        if form is None:
            continue
        graph, _ = sized(port.program.graph)
        shape = tuple(size or 1 for size in graph.tensors[graph.inputs[0]].shape[1:])
        if form.shape[1] > 5000:  # sizes that the model leaves open
            continue
        keras = measure(port_function(port, "keras"), shape, name=name)
        order, p_in = turned(port, shape, True)
        torch = measure(port_function(port, "torch"), [shape[it] for it in order], name=name)
        _, p_out = turned(port, keras.shape_out, False)
        if keras.A.shape != form.shape:
            wrong.append(f"{name} is {keras.A.shape}, not {form.shape}")
            continue
        for what, ours, theirs in (("keras", keras.A, form), ("torch", torch.A, p_out @ form @ p_in.T)):
            if ours.shape != theirs.shape or abs(ours - theirs).max() != 0:
                wrong.append(f"{name} in the order of {what}")
        seen["".join(letter for letter in name.partition("(")[0] if not letter.isdigit())] += 1
    assert not wrong, "\n".join(wrong)
    kinds = {"ConvD", "ConvDTranspose", "DepthwiseConvD", "AveragePoolingD", "UpSamplingD", "ZeroPaddingD"}
    assert kinds <= {*seen} and sum(seen.values()) > 70, seen


def test_a_layer_of_the_unet_is_the_transpose_of_a_convolution() -> None:
    """up3 in PyTorch's order; autograd's gradient through it is Aᵀ y, and ⟨A x, y⟩ = ⟨x, Aᵀ y⟩."""
    import torch

    port = torchport.convert(UNET)
    made = torchport.explain.matrix("up3", (128, 3, 2), model=port)
    module = port.module().up3.double()
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(made.A.shape[1]), rng.standard_normal(made.A.shape[0])
    assert abs((made.A @ x) @ y - x @ (made.T @ y)) < 1e-12 * abs(x).sum()
    given = torch.from_numpy(x.reshape(1, 128, 3, 2)).requires_grad_()
    result = module(given)
    assert abs(result.detach().numpy().reshape(-1) - made(x).reshape(-1)).max() < 1e-12
    (grad,) = torch.autograd.grad(result, given, torch.from_numpy(y.reshape(result.shape)))
    assert abs(grad.numpy().reshape(-1) - made.T @ y).max() < 1e-12


@pytest.mark.parametrize("name", ["enc1_relu1", "pool1", "head.activation"])
def test_what_is_no_matrix_is_refused(name: str) -> None:
    with pytest.raises(NotLinear, match="of a sum"):
        torchport.explain.matrix(name, (16, 4, 4), model=UNET)


def test_what_is_too_large_is_refused_with_how_large_it_is() -> None:
    with pytest.raises(TooLarge, match=r"147,456 entries(.|\n)*limit=147456"):
        torchport.explain.matrix("enc1_conv2", (16, 8, 8), model=UNET, limit=1000)


def test_modules_and_functions_are_matrices_too() -> None:
    import torch

    layer = torch.nn.Linear(5, 3)
    made = torchport.explain.matrix(layer, (5,))
    assert np.array_equal(made.A.toarray(), layer.weight.detach().double().numpy())
    assert (
        np.array_equal(made.b, layer.bias.detach().double().numpy()) and layer.weight.dtype == torch.float32
    )
    turn = np.random.default_rng(0).standard_normal((7, 5))
    assert np.array_equal(torchport.explain.matrix(lambda x: x @ turn.T, (5,)).A.toarray(), turn)
    for norm in (torch.nn.LayerNorm(5), torch.nn.Softmax(1)):
        with pytest.raises(NotLinear):
            torchport.explain.matrix(norm, (5,))
    for wrong in (
        {"layer": "up3"},
        {"layer": layer},
        {"layer": layer, "shape": (4,)},
        {"layer": 3, "shape": (4,)},
    ):
        with pytest.raises(torchport.TorchportError, match="->"):
            torchport.explain.matrix(**wrong)  # type: ignore[arg-type]
