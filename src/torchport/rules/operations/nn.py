"""Operations of `keras.ops` for networks, most of them layers as well."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules import activation
from torchport.rules.arguments import default, plain
from torchport.rules.operations.operands import buffer, operand, together
from torchport.rules.sizes import all_along, axes_of, axis_of, dims_of, size_of, with_size
from torchport.rules.table import CHANNELS_FIRST, SOURCE, TABLE, Value, Wants, rule
from torchport.rules.window import Onto, Reading, Whole, Window, lookup

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
    rule(f"keras.ops.{_name}", wants=_entry.wants, shape=_entry.shape, reads=_entry.reads)(_entry.write)


@rule("keras.ops.Gelu")
def gelu(x: Value, *, approximate: bool = True) -> Expr:
    """F.gelu; the tanh form by default, as keras.activations.gelu is not."""
    return activation.gelu(x, approximate=approximate)  # type: ignore[no-any-return]


@rule("keras.ops.Normalize", reads=all_along)
def normalize(x: Value, *, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Expr:
    """F.normalize, over all axes where none is given; Keras's epsilon is 1e-7."""
    dim = tuple(range(x.rank)) if axis is None else dims_of(x, axis)
    if order != 2 and not isinstance(dim, int):
        raise Unsupported(f"order={order} over several axes: the 2-norm is ported")
    least = 1e-7 if epsilon is None else epsilon
    return call("F.normalize", x, p=None if order == 2 else order, dim=dim, eps=least)


def normed_shape(x: Tensor, *weights: Any) -> Shape:
    return x.shape


def normed_wants(x: Tensor, *weights: Any, out: Tensor) -> Wants:
    return together(x, *weights, out=out)


def channel_reads(x: Tensor, *others: Any, axis: Any) -> list[dict[int, Reading]]:
    """Statistics, scale and shift are of its own channel."""
    own = axis_of(axis, len(x.shape))
    given = [it for it in others if isinstance(it, Tensor)]
    each: list[dict[int, Reading]] = [{len(it.shape) - 1: Onto(own)} for it in given]
    return [{}, *each]


def normed_reads(x: Tensor, *others: Any, axis: Any) -> list[dict[int, Reading]]:
    """All of the axes; of scale and shift its own."""
    given = [it for it in others if isinstance(it, Tensor)]
    rank = len(x.shape)
    each: list[dict[int, Reading]] = [
        {at: Onto(at + rank - len(it.shape)) for at in range(len(it.shape))} for it in given
    ]
    return [all_along(x, axis=axis), *each]


def scaled_reads(x: Tensor, *, axis: Any, scale: Any = None) -> list[dict[int, Reading]]:
    return normed_reads(x, scale, axis=axis)


@rule(
    "keras.ops.BatchNorm", wants=normed_wants, shape=normed_shape, constants=True, reads=channel_reads
)  # fmt: skip
def batch_norm(
    x: Value, mean: Any, variance: Any, offset: Any = None, scale: Any = None, *, out: Value, axis: int,
    epsilon: float = 1e-3,
) -> Expr:  # fmt: skip
    """(x - mean) * torch.rsqrt(variance + epsilon), whose statistics have gradients."""
    if axis_of(axis, x.rank) != x.rank - 1:
        raise Unsupported(f"axis={axis}: the last axis is ported")
    inverse = call("torch.rsqrt", operand(variance, out, "variance") + epsilon)
    if scale is not None:
        inverse = inverse * operand(scale, out, "scale")
    result: Expr = (x - operand(mean, out, "mean")) * inverse
    return result if offset is None else result + operand(offset, out, "offset")


def last_axes(x: Value, axis: Any) -> tuple[int, ...]:
    """The sizes of the axes that are normalised. Raises Unsupported unless they are the last."""
    axes = axes_of(axis, x.rank)
    if axes != list(range(x.rank - len(axes), x.rank)):
        raise Unsupported(f"axis={axis!r}: the last axes are ported")
    return tuple(size_of(x, at) for at in axes)


@rule(
    "keras.ops.LayerNorm",
    wants=SOURCE,
    shape=normed_shape,
    reads=normed_reads,
    only={"rms_scaling": (False,)},
    ignores="rms_scaling",
)
def layer_norm(
    x: Value, gamma: Any = None, beta: Any = None, *, axis: Any = -1, epsilon: float | None = None
) -> Expr:
    """F.layer_norm."""
    scale = None if gamma is None else buffer(gamma, "gamma")
    shift = None if beta is None else buffer(beta, "beta")
    eps = default(1e-7 if epsilon is None else epsilon, 1e-5)
    return call("F.layer_norm", x, last_axes(x, axis), weight=scale, bias=shift, eps=eps)


@rule("keras.ops.RMSNorm", wants=SOURCE, shape=normed_shape, reads=scaled_reads)
def rms_norm(x: Value, *, scale: Any = None, axis: Any = -1, epsilon: float | None = None) -> Expr:
    """F.rms_norm."""
    weight = None if scale is None else buffer(scale, "scale")
    return call("F.rms_norm", x, last_axes(x, axis), weight=weight, eps=1e-7 if epsilon is None else epsilon)


def attended_shape(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Shape:
    if len(query.shape) != 4:
        raise Unsupported(f"of tensors with {len(query.shape)} axes: (batch, steps, heads, size) is ported")
    return (*query.shape[:-1], value.shape[-1])


def heads_reads(query: Tensor, key: Tensor, value: Tensor, *others: Any) -> list[dict[int, Reading]]:
    """Its own step of the query, all of keys and values, of its head, or of that which its head shares."""
    many, few = size_of(query, 2), size_of(key, 2)
    shares = many // few
    head = (
        Onto(2, lookup((it // shares for it in range(many)), f"its {{0}} // {shares}"))
        if shares > 1
        else Onto(2)
    )
    keys: dict[int, Reading] = {1: Whole(), 2: head, 3: Whole()}
    pair: dict[int, Reading] = {-2: Onto(1), -1: Whole()}  # of a bias, of a mask
    return [{1: Onto(1), 2: Onto(2), 3: Whole()}, keys, {**keys, 3: Onto(3)}, pair, pair]


def attended_products(query: Tensor, key: Tensor, value: Tensor) -> int:
    """Of each query with each key, and of the scores with the values, in each head of the query."""
    steps, heads, features = (it or 1 for it in query.shape[1:])
    return steps * (key.shape[1] or 1) * heads * (features + size_of(value, -1))


@rule(
    "keras.ops.DotProductAttention", wants=SOURCE, shape=attended_shape, ignores="flash_attention",
    products=attended_products, reads=heads_reads,
    only={"attn_logits_soft_cap": (None,), "flash_attention": (None, False, True)},
)  # fmt: skip
def dot_product_attention(
    query: Value, key: Value, value: Value, *, bias: Any = None, mask: Any = None, scale: float | None = None,
    is_causal: bool = False, attn_logits_soft_cap: Any = None,
) -> Expr:  # fmt: skip
    """F.scaled_dot_product_attention, its heads before its steps."""
    heads_first = [call(".transpose", it, 1, 2) for it in (query, key, value)]
    options: dict[str, Any] = {"scale": scale, "enable_gqa": None if query.shape[2] == key.shape[2] else True}
    if mask is None and (bias is None or not is_causal):
        added = None if bias is None else buffer(bias, "bias")
        made = call(
            "F.scaled_dot_product_attention",
            *heads_first,
            attn_mask=added,
            is_causal=is_causal or None,
            **options,
        )
    else:
        masks = {"mask": None if mask is None else buffer(mask, "mask", "bool"), "causal": is_causal or None,
                 "bias": None if bias is None else buffer(bias, "bias")}  # fmt: skip
        made = call("masked_attention", *heads_first, **masks, scale=scale)
    return call(".transpose", made, 1, 2)


@rule("tf.nn.dropout", shape=normed_shape, only={"noise_shape": (None,)}, ignores="noise_shape seed")
def always_dropout(x: Value, *, rate: float) -> Expr:
    """F.dropout, in evaluation mode too: TensorFlow's function knows of no modes."""
    return x if not rate else call("F.dropout", x, *([] if rate == 0.5 else [rate]))


def doubled_shape(x: Tensor, *, axis: int) -> Shape:
    return with_size(x.shape, axis, 2 * size_of(x, axis))


@rule("tf.nn.crelu", shape=doubled_shape)
def crelu(x: Value, *, axis: int = -1) -> Expr:
    """F.relu of x beside -x."""
    return call("F.relu", call("torch.cat", [x, call("torch.neg", x)], dim=x.dim(axis)))


@rule("tf.nn.silu", shape=normed_shape)
def silu(x: Value, *, beta: float = 1.0) -> Expr:
    """F.silu; scaled within, x * torch.sigmoid(beta * x)."""
    return call("F.silu", x) if beta == 1 else x * call("torch.sigmoid", plain(beta) * x)


def no_axes(x: Tensor) -> Shape:
    return ()


@rule("tf.nn.l2_loss", shape=no_axes)
def l2_loss(x: Value) -> Expr:
    """Half the sum of squares."""
    return call(".sum", call(".square", x)) / 2


def around_shape(x: Tensor) -> Shape:
    if len(x.shape) != 4:
        raise Unsupported(f"of a tensor with {len(x.shape)} axes", "images are ported")
    return x.shape


def around_reads(x: Tensor, *, depth_radius: int) -> dict[int, Reading]:
    return {3: Window(2 * depth_radius + 1, padding=(depth_radius, depth_radius))}


@rule(
    "tf.nn.local_response_normalization", wants=CHANNELS_FIRST, shape=around_shape, reads=around_reads,
)  # fmt: skip
def local_response_norm(
    x: Value, *, depth_radius: int = 5, bias: float = 1, alpha: float = 1, beta: float = 0.5
) -> Expr:  # fmt: skip
    """F.local_response_norm, whose alpha is that of the mean over 2 * radius + 1 channels."""
    size = 2 * depth_radius + 1
    scale, power, offset = plain(alpha * size), default(beta, 0.75), default(plain(bias), 1)
    return call("F.local_response_norm", x, size, alpha=default(scale, 1e-4), beta=power, k=offset)
