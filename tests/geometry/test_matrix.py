"""Layers as matrices: Keras's and PyTorch's are the same but for the order of rows and columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import torch
from tests.geometry import kronecker
from tests.layers.cases import CASES
from tests.layers.harness import Case, Ported, Reference, ports

from torchport.axes import Order, dims
from torchport.geometry.matrix import Matrix, NotLinear, measure

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: Where the matrices are not equal to the last bit, by kind: how far apart, and why.
WITHIN = {
    "BatchNormalization": (1e-14, "torch folds scale and shift in another order of products"),
    "Normalization": (1e-14, "it divides where TensorFlow multiplies with the reciprocal"),
    "UpSampling": (1e-6, "tf.raw_ops.ResizeBilinear computes in float32"),
    "Resizing": (1e-5, "TensorFlow resizes in float32"),
    "Dense": (1e-14, "both sum products of several zeros and one number, with the bias in another place"),
}


def cases() -> list[Case]:
    """The cases of one layer and one tensor that TensorFlow runs in float64 as they are."""
    return [
        case for case in CASES
        if case.of == "keras" and not case.call and not case.below and not case.compiled and not case.then
        and case.dtype == "float64" and len(case.shapes) == 1
    ]  # fmt: skip


def of_port(port: Ported) -> Any:
    """The port as a function of arrays in PyTorch's orders."""
    module = port.module()

    def function(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    return function, module


def order_of(port: Ported, rank: int, at: str) -> Any:
    spec = port.definition.inputs[0] if at == "in" else port.definition.outputs[0]
    return [it - 1 for it in dims(Order.SOURCE, spec.order, rank + 1)[1:]]


def affine() -> Iterator[tuple[Case, Reference, Ported, Matrix, Any]]:
    """Every case whose port is a matrix; the others are refused."""
    for case in cases():
        reference = Reference(case)
        port = ports(reference.model, ("free",))[0]
        function, module = of_port(port)
        shape = case.shapes[0][1:]
        turned = tuple(shape[it] for it in order_of(port, len(shape), "in"))
        try:
            made = measure(function, turned, name=str(case))
        except NotLinear:
            refused[case.kind] += 1
            continue
        yield case, reference, port, made, module


refused = Counter[str]()


def test_the_matrix_of_every_affine_case_is_that_of_keras() -> None:
    """P_out · A_keras · P_inᵀ = A_torch with ==; ⟨A x, y⟩ = ⟨x, Aᵀ y⟩; autograd's gradient is Aᵀ y."""
    seen, exact, wrong = Counter[str](), 0, []
    rng = np.random.default_rng(0)
    for case, reference, port, ours, module in affine():

        def keras(x: np.ndarray, model: Any = reference.model) -> np.ndarray:
            return model(tf.constant(x), training=False).numpy()  # type: ignore[no-any-return]

        try:
            theirs = measure(keras, case.shapes[0][1:], name=str(case))
        except NotLinear as error:
            wrong.append(str(error))
            continue
        turn_in = kronecker.permutation(theirs.shape_in, order_of(port, len(theirs.shape_in), "in"))
        turn_out = kronecker.permutation(theirs.shape_out, order_of(port, len(theirs.shape_out), "out"))
        moved = (turn_out @ theirs.A @ turn_in.T).tocsr()
        apart = abs(moved - ours.A)
        worst = float(apart.max()) if apart.nnz else 0.0
        within = next((far for kind, (far, _) in WITHIN.items() if case.kind.startswith(kind)), 0.0)
        if not worst <= within:
            wrong.append(f"{case}: {worst:.1e} apart, {ours.A.nnz} and {theirs.A.nnz} entries")
        exact += worst == 0
        seen[case.kind] += 1
        x, y = rng.standard_normal(ours.A.shape[1]), rng.standard_normal(ours.A.shape[0])
        left, right = float((ours.A @ x) @ y), float(x @ (ours.T @ y))
        assert abs(left - right) <= 1e-12 * max(abs(left), 1), case
        given = torch.from_numpy(x.reshape(1, *ours.shape_in)).requires_grad_()
        result = module(given)
        (grad,) = torch.autograd.grad(result, given, torch.from_numpy(y.reshape(result.shape)))
        assert abs(grad.numpy().reshape(-1) - ours.T @ y).max() <= 1e-10 * max(1, abs(y).max()), case
    print(seen, exact, refused)
    assert not wrong, "\n".join(wrong)
    assert {"ReLU", "MaxPooling2D", "LayerNormalization", "Softmax", "LSTM"} <= {*refused}
    assert {"Conv2D", "Conv3DTranspose", "DepthwiseConv2D", "AveragePooling3D", "Dense"} <= {*seen}
