"""Operations of `keras.ops` for networks and images, most of them layers as well; products of matrices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules import activation
from torchport.rules.image import channels, image_shape
from torchport.rules.operation import broadcast, promoted
from torchport.rules.pool import average_pool, max_pool, pool_shape
from torchport.rules.table import CHANNELS_FIRST, SOURCE, TABLE, Value, Wants, image, rule

#: Operations that are functions of keras.activations, with the same defaults.
ACTIVATIONS = {
    "Relu": "relu", "Relu6": "relu6", "Softplus": "softplus", "Softsign": "softsign", "Silu": "silu",
    "SoftShrink": "soft_shrink", "SparsePlus": "sparse_plus", "SparseSigmoid": "sparse_sigmoid",
    "Squareplus": "squareplus", "LogSigmoid": "log_sigmoid", "LeakyRelu": "leaky_relu",
    "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "Elu": "elu", "Selu": "selu", "Celu": "celu",
    "Glu": "glu", "TanhShrink": "tanh_shrink", "HardTanh": "hard_tanh", "HardShrink": "hard_shrink",
    "Threshold": "threshold", "Softmax": "softmax", "LogSoftmax": "log_softmax", "Sparsemax": "sparsemax",
}  # fmt: skip
for _name, _function in ACTIVATIONS.items():
    _entry = TABLE[f"activation:{_function}"]
    rule(f"keras.ops.{_name}", wants=_entry.wants, shape=_entry.shape)(_entry.write)


@rule("keras.ops.Gelu")
def gelu(x: Value, *, approximate: bool = True) -> Expr:
    """F.gelu; the tanh form by default, as keras.activations.gelu is not."""
    return activation.gelu(x, approximate=approximate)  # type: ignore[no-any-return]


@rule("keras.ops.MaxPool", wants=image, shape=pool_shape)
def ops_max_pool(
    x: Value, *, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Expr:
    """F.max_pool2d."""
    return max_pool(x, pool_size=pool_size, strides=strides, padding=padding, data_format=data_format)  # type: ignore[no-any-return]


@rule("keras.ops.AveragePool", wants=image, shape=pool_shape)
def ops_average_pool(
    x: Value, *, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None
) -> Expr:
    """F.avg_pool2d."""
    return average_pool(x, pool_size=pool_size, strides=strides, padding=padding, data_format=data_format)  # type: ignore[no-any-return]


@rule("keras.ops.Normalize", only={"order": (2, 1)})
def normalize(x: Value, *, axis: int = -1, order: int = 2, epsilon: float | None = None) -> Expr:
    """F.normalize; Keras's epsilon is 1e-7."""
    if order == 1 or isinstance(axis, Sequence):
        raise Unsupported(f"order={order}, axis={axis!r}: the 2-norm along one axis is ported")
    return call("F.normalize", x, dim=x.dim(axis), eps=1e-7 if epsilon is None else epsilon)


def resized_shape(x: Tensor, *, size: Any, data_format: str | None) -> Shape:
    return image_shape(x.shape, tuple(size), channels(x.shape, data_format), data_format)


def resized_wants(x: Tensor, *, data_format: str | None) -> Wants:
    return SOURCE if data_format == "channels_first" else CHANNELS_FIRST


@rule(
    "keras.ops.Resize", wants=resized_wants, shape=resized_shape,
    only={"interpolation": ("bilinear", "nearest"), "antialias": (False,),
          "crop_to_aspect_ratio": (False,), "pad_to_aspect_ratio": (False,)},
    ignores="fill_mode fill_value antialias crop_to_aspect_ratio pad_to_aspect_ratio",
)  # fmt: skip
def resize(x: Value, *, size: Any, interpolation: str = "bilinear", data_format: str | None = None) -> Expr:
    """F.interpolate; 'nearest' takes the nearest centre, which is torch's `nearest-exact`."""
    if x.rank != 4:
        raise Unsupported("one image without a batch axis", "give it a batch axis")
    mode = "nearest-exact" if interpolation == "nearest" else interpolation
    return call("F.interpolate", x, size=tuple(size), mode=mode)


def matmul_shape(x1: Tensor, x2: Tensor) -> Shape:
    if len(x1.shape) < 2 or len(x2.shape) < 2:
        raise Unsupported("a product with a vector", "give it two matrices")
    return (*broadcast(x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-1])


@rule("keras.ops.Matmul", wants=SOURCE, shape=matmul_shape, dtype=promoted)
def matmul(x1: Value, x2: Value) -> Expr:
    """a @ b."""
    return Infix("@", x1, x2)


def contracted(x1: Tensor | Value, x2: Tensor | Value, axes: Any) -> tuple[list[int], list[int]]:
    """The axes that are summed over."""
    first, second = len(x1.shape), len(x2.shape)
    if isinstance(axes, int):
        return list(range(first - axes, first)), list(range(axes))
    left, right = ([it] if isinstance(it, int) else list(it) for it in axes)
    return [it % first for it in left], [it % second for it in right]


def tensordot_shape(x1: Tensor, x2: Tensor, *, axes: Any) -> Shape:
    left, right = contracted(x1, x2, axes)
    rest = [size for at, size in enumerate(x1.shape) if at not in left]
    return (*rest, *(size for at, size in enumerate(x2.shape) if at not in right))


@rule("keras.ops.Tensordot", wants=SOURCE, shape=tensordot_shape, dtype=promoted)
def tensordot(x1: Value, x2: Value, *, axes: Any = 2) -> Expr:
    """torch.tensordot."""
    left, right = contracted(x1, x2, axes)
    return call("torch.tensordot", x1, x2, dims=(left, right))


def dot_axes(x1: Tensor | Value, x2: Tensor | Value) -> tuple[list[int], list[int]]:
    return [len(x1.shape) - 1], [max(len(x2.shape) - 2, 0)]


def dot_shape(x1: Tensor, x2: Tensor) -> Shape:
    return tensordot_shape(x1, x2, axes=dot_axes(x1, x2))


@rule("keras.ops.Dot", wants=SOURCE, shape=dot_shape, dtype=promoted)
def dot(x1: Value, x2: Value) -> Expr:
    """torch.tensordot."""
    return call("torch.tensordot", x1, x2, dims=dot_axes(x1, x2))


def terms(subscripts: str, xs: Sequence[Tensor | Value]) -> tuple[list[str], str]:
    """An equation's inputs and output, without blanks; `...` is left out of none."""
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    if "." in text:
        raise Unsupported(f"{subscripts!r}: an ellipsis", "name all axes")
    if not arrow:
        letters = left.replace(",", "")
        right = "".join(sorted(it for it in set(letters) if letters.count(it) == 1))
    given = left.split(",")
    if len(given) != len(xs) or any(len(it) != len(x.shape) for it, x in zip(given, xs, strict=False)):
        raise Unsupported(f"{subscripts!r} of tensors with {[len(x.shape) for x in xs]} axes")
    if not re.fullmatch(r"[A-Za-z,]*->[A-Za-z]*", f"{left}->{right}"):
        raise Unsupported("its equation has other signs than letters")
    return given, right


def einsum_shape(*xs: Tensor, subscripts: str) -> Shape:
    given, right = terms(subscripts, xs)
    sizes = {
        letter: size
        for it, x in zip(given, xs, strict=True)
        for letter, size in zip(it, x.shape, strict=True)
    }
    return tuple(sizes[letter] for letter in right)


@rule("keras.ops.Einsum", wants=SOURCE, shape=einsum_shape, dtype=promoted)
def einsum(*xs: Value, subscripts: str) -> Expr:
    """torch.einsum."""
    given, right = terms(subscripts, xs)
    return call("torch.einsum", f"{','.join(given)}->{right}", *xs)
