"""Layers as matrices: Keras's and PyTorch's are the same but for the order of rows and columns."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.geometry import kronecker
from tests.layers.cases import CASES
from tests.layers.harness import Case, Inner, Ported, Reference, inner_kinds, ports

from torchport.axes import Order, dims
from torchport.geometry.matrix import Matrix, NotLinear, measure

#: Rounding of float32 and float64.
SINGLE, DOUBLE = 2.0**-23, 2.0**-52
#: Layers that multiply by more than zeros and ones.
ARITHMETIC = {"Dense", "Conv2D", "BatchNormalization", "Normalization"}
#: Layers whose gates multiply: of these a few cases are enough.
GATED = {"GRU", "LSTM", "Bidirectional"}


def apart(case: Case) -> tuple[float, str]:
    """How far the matrices may be apart, relative to the largest number in them, and why; most are equal."""
    layers = [Inner(case.kind, case.options), *(Inner(*it) for it in case.then)]
    if resizes(case):
        longest = max(case.shapes[0][1:])
        return longest * SINGLE, "TensorFlow counts steps along an axis in float32: image_resizer_state.h"
    if case.kind == "Rescaling":
        return SINGLE / 2, "keras.ops.cast makes a float32 of the scale first"
    if sum(not ARITHMETIC.isdisjoint(inner_kinds(it)) for it in layers) > 1:
        return 4 * DOUBLE, "entries are sums of products, which are rounded in another order"
    if "BatchNormalization" in case.kinds:
        return 2 * DOUBLE, "TensorFlow takes rsqrt where torch divides by a root; the shift is rounded twice"
    if case.kind.startswith("SeparableConv") and case.options.get("use_bias", True):
        return (
            DOUBLE,
            "a product of two kernels has digits to lose: the bias is added last, or first in torch",
        )
    return 0.0, ""


def resizes(case: Case) -> bool:
    """Whether it resizes other than to the nearest neighbour; a crop does where there is too little."""
    how = case.options.get("interpolation", "bilinear" if case.kind == "Resizing" else "nearest")
    if case.kind in ("Resizing", "UpSampling2D"):
        return how != "nearest"
    if case.kind == "RandomCrop" and case.of == "tf_keras":  # always, where it is not training
        return True
    wanted = (case.options.get("height", 0), case.options.get("width", 0))
    return case.kind == "CenterCrop" and any(map(operator.gt, wanted, case.shapes[0][1:3]))


def cases() -> list[Case]:
    """The cases of layers of one tensor that TensorFlow runs in float64."""
    return [
        case for case in CASES
        if case.of in ("keras", "tf_keras") and not case.call and not case.below and not case.compiled
        and case.dtype == "float64" and len(case.shapes) == 1 and "time_major" not in case.options
    ]  # fmt: skip


def order(port: Ported, rank: int, at: str) -> list[int]:
    """The axes of Keras's sample in the order in which the port has them."""
    spec = port.definition.inputs[0] if at == "in" else port.definition.outputs[0]
    return [it - 1 for it in dims(Order.SOURCE, spec.order, rank + 1)[1:]]


class Pair:
    """A case in Keras and as a port, both as functions of arrays."""

    def __init__(self, case: Case) -> None:
        self.case, self.shape = case, case.shapes[0][1:]
        self.model = Reference(case).model
        self.port = ports(self.model, ("free",))[0]
        self.module = self.port.module()

    def keras(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.model(tf.constant(x), training=False), np.float64)

    def torch(self, x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return self.module(torch.from_numpy(x)).numpy()  # type: ignore[no-any-return]

    def measured(self) -> Matrix:
        """The matrix of the port; raises NotLinear."""
        shape = [self.shape[it] for it in order(self.port, len(self.shape), "in")]
        return measure(self.torch, shape, name=str(self.case))

    def expected(self) -> tuple[np.ndarray, np.ndarray]:
        """P_out · A_keras · P_inᵀ and P_out · b_keras; column by column, of what Keras makes of impulses."""
        size = int(np.prod(self.shape))
        given = np.concatenate([np.zeros((1, size)), np.eye(size)]).reshape(-1, *self.shape)
        y = self.keras(given)
        turn_in = kronecker.permutation(self.shape, order(self.port, len(self.shape), "in"))
        turn_out = kronecker.permutation(y.shape[1:], order(self.port, y.ndim - 1, "out"))
        flat = y.reshape(len(y), -1)
        return turn_out @ (flat[1:] - flat[0]).T @ turn_in.T, turn_out @ flat[0]


@pytest.fixture
def alone() -> Iterator[None]:
    """One thread: tensors are small, and threads that wait for each other take a hundred times as long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("alone")
def test_the_matrix_of_every_affine_case_is_that_of_keras() -> None:
    """P_out · A_keras · P_inᵀ = A_torch with ==; ⟨A x, y⟩ = ⟨x, Aᵀ y⟩; autograd's gradient is Aᵀ y.

    What is refused is no matrix in Keras either.
    """
    affine, refused, wrong = Counter[str](), Counter[str](), []
    rng = np.random.default_rng(0)
    for case in cases():
        if case.kind in GATED and refused[case.kind] == 3:
            continue
        pair = Pair(case)
        try:
            found = pair.measured()
        except NotLinear:
            refused[case.kind] += 1
            wrong += [f"{case} is refused"] if is_affine(pair, rng) else []
            continue
        affine[case.kind] += 1
        wrong += [*differences(pair, found), *adjoint(pair, found, rng)]
    assert not wrong, "\n".join(wrong)
    assert {"ReLU", "MaxPooling2D", "LayerNormalization", "Softmax", "LSTM"} <= {*refused}
    assert {"Conv2D", "Conv3DTranspose", "DepthwiseConv2D", "AveragePooling2D", "Dense"} <= {*affine}
    assert affine.total() > 250


def is_affine(pair: Pair, rng: np.random.Generator) -> bool:
    """Whether Keras gives for a sum the sum of what it gives."""
    x, y = 3 * rng.standard_normal((2, *pair.shape))
    zero, one, two, both = pair.keras(np.stack([np.zeros(pair.shape), x, y, x + 2 * y]))
    if not np.isfinite(both).all():
        return False
    return bool(abs((both - zero) - (one - zero) - 2 * (two - zero)).max() <= 1e-9 * abs(both).max())


def differences(pair: Pair, found: Matrix) -> Iterator[str]:
    """Where the matrices are not equal to the last bit, or not as near as the case is allowed."""
    a, b = pair.expected()
    relative, _ = apart(pair.case)
    largest = max(abs(found.A).max(), abs(found.b).max(initial=0))
    for name, far in (("A", abs(a - found.A).max(initial=0)), ("b", abs(b - found.b).max(initial=0))):
        if not far <= relative * largest:
            yield f"{pair.case}: {name} is {far / largest:.1e} apart"


def adjoint(pair: Pair, found: Matrix, rng: np.random.Generator) -> Iterator[str]:
    """⟨A x, y⟩ = ⟨x, Aᵀ y⟩ to 1e-12: left what the module computes, right autograd's gradient."""
    x, y = rng.standard_normal((1, *found.shape_in)), rng.standard_normal((1, *found.shape_out))
    given = torch.from_numpy(x).requires_grad_()
    result = pair.module(given)
    (grad,) = torch.autograd.grad(result, given, torch.from_numpy(y))
    back = found.T @ y.reshape(-1)
    scale = float((abs(found.A) @ abs(x).reshape(-1) + abs(found.b)) @ abs(y).reshape(-1))
    left, right = (
        float((pair.torch(x).reshape(-1) - found.b) @ y.reshape(-1)),
        float((x * grad.numpy()).sum()),
    )
    if not abs(left - right) <= 1e-12 * scale:
        yield f"{pair.case}: ⟨A x, y⟩ and ⟨x, Aᵀ y⟩ are {abs(left - right) / scale:.1e} apart"
    largest = max(abs(back).max(), abs(found.b).max(initial=0))
    far = abs(grad.numpy().reshape(-1) - back).max()
    if not far <= 1e-14 * largest:
        yield f"{pair.case}: autograd's gradient and Aᵀ y are {far / largest:.1e} apart"
