"""Activations: layers, and the functions that other layers apply to their output.

A function `f` of keras.activations has the kind `activation:f`; the layer Activation is that
function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, Load, call, module
from torchport.rules.arguments import default, plain, unless
from torchport.rules.broadcast import parameter
from torchport.rules.facts import PASSES, Gives, Masks, Reads
from torchport.rules.sizes import all_along, dims_of, size_of, with_size
from torchport.rules.table import FOLLOWS, SOURCE, Value, Wants, rule

#: Functions of keras.activations that torch has under a name of its own.
SAME = {
    "sigmoid": "torch.sigmoid",
    "tanh": "torch.tanh",
    "exponential": "torch.exp",
    "softsign": "F.softsign",
    "selu": "F.selu",
    "silu": "F.silu",
    "swish": "F.silu",
    "mish": "F.mish",
    "relu6": "F.relu6",
    "hard_silu": "F.hardswish",
    "hard_swish": "F.hardswish",
    "hard_tanh": "F.hardtanh",
    "log_sigmoid": "F.logsigmoid",
    "tanh_shrink": "F.tanhshrink",
    "sparse_plus": "sparse_plus",
}


def torch_own(function: str) -> Callable[[Value], Expr]:
    """The rule of a function that torch has as it is."""

    def write(x: Value) -> Expr:
        return call(function, x)

    write.__doc__ = f"{function}."
    return write


for name, function in SAME.items():
    rule(f"activation:{name}")(torch_own(function))


@rule("activation:linear")
def linear(x: Value) -> Expr:
    """Nothing."""
    return x


@rule("ReLU", "activation:relu", masks=PASSES, value="relu")
def relu(
    x: Value, *, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0
) -> Expr:
    """F.relu, F.relu6, F.leaky_relu or F.threshold, or what is left of several options together.

    Source: keras/src/activations/activations.py, ReLU.static_call.
    """
    slope, bound, start = negative_slope or 0.0, max_value, threshold or 0.0
    if slope and bound is None and not start:
        return call("F.leaky_relu", x, *unless(slope, 0.01))
    if start:
        above: Expr = call("F.threshold", x, start, 0.0)
        above = above if bound is None else call(".clamp", above, 0, plain(bound))
    elif bound is None:
        above = call("F.relu", x)
    else:
        above = call("F.relu6", x) if bound == 6 else call("torch.clamp", x, 0, plain(bound))
    if not slope:
        return above
    return above + slope * call(".clamp", x - plain(start) if start else x, max=0)


@rule("ThresholdedReLU", masks=PASSES)
def thresholded_relu(x: Value, *, theta: float = 1.0) -> Expr:
    """F.threshold. A layer of Keras 2."""
    return call("F.threshold", x, theta, 0.0)


@rule("activation:leaky_relu")
def leaky_relu(x: Value, *, negative_slope: float = 0.2) -> Expr:
    """F.leaky_relu; torch's slope is 0.01."""
    return call("F.leaky_relu", x, *unless(negative_slope, 0.01))


@rule("LeakyReLU", masks=PASSES, value="leaky_relu")
def leaky_relu_layer(x: Value, *, negative_slope: float = 0.3) -> Expr:
    """F.leaky_relu; the layer's slope is 0.3, the function's 0.2."""
    return call("F.leaky_relu", x, *unless(negative_slope, 0.01))


@rule("ELU", "activation:elu", masks=PASSES)
def elu(x: Value, *, alpha: float = 1.0) -> Expr:
    """F.elu."""
    return call("F.elu", x, alpha=default(alpha, 1.0))


@rule("activation:celu")
def celu(x: Value, *, alpha: float = 1.0) -> Expr:
    """F.celu."""
    return call("F.celu", x, alpha=default(alpha, 1.0))


@rule("activation:gelu")
def gelu(x: Value, *, approximate: bool = False) -> Expr:
    """F.gelu. Exact by default, as torch; `keras.ops.gelu` is not."""
    return call("F.gelu", x, approximate="tanh" if approximate else None)


@rule("activation:softplus")
def softplus(x: Value) -> Expr:
    """F.softplus. From 20 on torch says x, which float64 sees; 40 is beyond any rounding."""
    return call("F.softplus", x, threshold=40)


@rule("activation:Addons>lisht")
def lisht(x: Value) -> Expr:
    """x * tanh(x). Of TensorFlow Addons."""
    return x * call("torch.tanh", x)


@rule("activation:Addons>snake")
def snake(x: Value) -> Expr:
    """x + sin(x)². Of TensorFlow Addons."""
    return x + call(".square", call("torch.sin", x))


@rule("activation:squareplus")
def squareplus(x: Value, *, b: float = 4) -> Expr:
    """(x + sqrt(x² + b)) / 2."""
    return (x + call("torch.sqrt", x * x + plain(b))) / 2


@rule("activation:soft_shrink")
def soft_shrink(x: Value, *, threshold: float = 0.5) -> Expr:
    """F.softshrink."""
    return call("F.softshrink", x, *unless(threshold, 0.5))


@rule("activation:hard_shrink")
def hard_shrink(x: Value, *, threshold: float = 0.5) -> Expr:
    """F.hardshrink."""
    return call("F.hardshrink", x, *unless(threshold, 0.5))


@rule("activation:threshold")
def threshold(x: Value, *, threshold: float, default_value: float) -> Expr:
    """F.threshold."""
    return call("F.threshold", x, threshold, default_value)


@rule("activation:hard_sigmoid")
def hard_sigmoid(x: Value) -> Expr:
    """F.relu6(x + 3) / 6. The gradient of torch's own has 1 / 6 as a float32, in float64 too."""
    return call("F.relu6", x + 3) / 6


@rule("activation:sparse_sigmoid")
def sparse_sigmoid(x: Value) -> Expr:
    """(x + 1) / 2 between -1 and 1."""
    return (call("F.hardtanh", x) + 1) / 2


@rule("activation:keras2>hard_sigmoid")
def hard_sigmoid_of_keras_2(x: Value) -> Expr:
    """Keras 2 has 0.2 x + 0.5, Keras 3 and torch x / 6 + 0.5."""
    return call("torch.clamp", 0.2 * x + 0.5, 0, 1)


def softmax_wants(x: Tensor, *, mask: Any) -> Wants:
    """It follows, but for a mask that has fewer axes."""
    return FOLLOWS if mask is None or len(mask.shape) == len(x.shape) else SOURCE


@rule(
    "Softmax",
    "activation:softmax",
    wants=softmax_wants,
    masks=Masks(Reads.FIRST, Gives.FIRST),
    reads=all_along,
)
def softmax(x: Value, *, axis: int | Sequence[int] = -1, mask: Value | None = None) -> Expr:
    """F.softmax over the same named axis; over several, what it stands for. What is masked gets zero."""
    axes = axis if isinstance(axis, Sequence) else [axis]
    kept = mask if mask is None or mask.tensor.dtype == "bool" else Infix(">", mask, 0.5)
    scores: Any = x if kept is None else call("torch.where", kept, x, -1e9)
    if len(axes) == 1:
        result: Expr = call("F.softmax", scores, dim=x.dim(axes[0]))
    else:
        total = call("torch.logsumexp", scores, dim=dims_of(x, axes), keepdim=True)
        result = call("torch.exp", scores - total)
    return result if kept is None else call("torch.where", kept, result, 0.0)


@rule("activation:log_softmax", reads=all_along)
def log_softmax(x: Value, *, axis: int = -1) -> Expr:
    """F.log_softmax over the same named axis."""
    return call("F.log_softmax", x, dim=x.dim(axis))


@rule("activation:sparsemax", reads=all_along)
def sparsemax(x: Value, *, axis: int = -1) -> Expr:
    """A helper of a few lines, over the same named axis.

    Keras's own threshold is not that of the paper, and is kept. Source:
    keras/src/backend/tensorflow/nn.py, sparsemax.
    """
    return call("sparsemax", x, dim=x.dim(axis))


def glu_shape(x: Tensor, *, axis: int) -> Shape:
    size = size_of(x, axis)
    if size % 2:
        raise Unsupported(f"glu halves axis {axis}, which has {size} entries")
    return with_size(x.shape, axis, size // 2)


@rule("activation:glu", shape=glu_shape)
def glu(x: Value, *, axis: int = -1) -> Expr:
    """F.glu over the same named axis."""
    return call("F.glu", x, dim=x.dim(axis))


def alpha_shape(x: Tensor | Value, shared_axes: Sequence[int] | None) -> tuple[int, ...]:
    """The shape of PReLU's slopes: an axis that shares them has one."""
    shared = {axis % len(x.shape) for axis in shared_axes or ()}
    return tuple(1 if at in shared else size_of(x, at) for at in range(1, len(x.shape)))


def prelu_weights(x: Tensor, *, shared_axes: Sequence[int] | None) -> Mapping[str, Shape]:
    return {"alpha": alpha_shape(x, shared_axes)}


@rule("PReLU", weights=prelu_weights, masks=PASSES, noun="prelu")
def prelu(x: Value, *, shared_axes: Sequence[int] | None = None) -> Expr:
    """nn.PReLU for one slope or one for each channel; else a parameter of the slopes' shape."""
    shape = alpha_shape(x, shared_axes)
    varies = [axis for axis, size in enumerate(shape, 1) if size > 1]
    if all(x.dim(axis) == 1 for axis in varies):
        count = shape[varies[0] - 1] if varies else 1
        names = " ".join("c" if axis in (varies or [1]) else "1" for axis in range(1, x.rank))
        load = Load.of("alpha", f"{names} -> c", (0, x.regroup if x.rank == 2 else ()))
        return module("nn.PReLU", *([count] if count > 1 else []), loads={"weight": load})(x)
    slopes = parameter(x, "alpha", range(1, x.rank), shape)
    return call("torch.where", Infix(">", x, 0), x, slopes * x)
