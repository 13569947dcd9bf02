"""Normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, Fill, Load, call, module
from torchport.rules.arguments import default
from torchport.rules.broadcast import parameter
from torchport.rules.dtypes import as_bool
from torchport.rules.facts import PASSES, Gives, Linear, Masks, Reads, Training
from torchport.rules.sizes import all_along, all_of, axes_of, axis_of, dims_of, held, size_of
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, SOURCE, Value, Wants, rule


def channel_wants(x: Tensor, *, axis: Any) -> Wants:
    """Channels behind the batch; where the source has them in the midst, they are moved there."""
    rank = len(x.shape)
    return CHANNELS_FIRST if axis_of(axis, rank) == rank - 1 and rank > 2 else SOURCE


def batch_norm_wants(x: Tensor, *, axis: Any) -> Wants:
    """As `channel_wants`; over flat features it follows, its weights turned."""
    return FOLLOWS if len(x.shape) == 2 else channel_wants(x, axis=axis)


def over_channels(x: Value, axis: int, norm: Callable[[Any], Expr]) -> Expr:
    """A norm over the axis behind the batch, applied to another."""
    dim = x.dim(axis)
    return norm(x) if dim == 1 else call(".movedim", norm(call(".movedim", x, dim, 1)), 1, dim)


def norm_shape(x: Tensor, *, axis: Any) -> Shape:
    if axis_of(axis, len(x.shape)) == 0:
        raise Unsupported(f"axis={axis!r}: a norm over the batch is not ported")
    return x.shape


def norm_weights(x: Tensor, *, axis: Any, scale: bool, center: bool) -> Mapping[str, Shape]:
    shape = (size_of(x, axis_of(axis, len(x.shape))),)
    return {**({"gamma": shape} if scale else {}), **({"beta": shape} if center else {})}


def batch_norm_weights(
    x: Tensor, *, axis: Any, scale: bool, center: bool, renorm: bool
) -> Mapping[str, Shape]:
    shape = (size_of(x, axis_of(axis, len(x.shape))),)
    statistics = ("moving_mean", "moving_variance", *(RENORM if renorm else ()))
    affine = norm_weights(x, axis=axis, scale=scale, center=center)
    return {**affine, **dict.fromkeys(statistics, shape)}


#: Statistics of batch renormalisation, and what its module calls them.
RENORM = {"moving_stddev": "running_std", "renorm_mean": "renorm_mean", "renorm_stddev": "renorm_std"}


def keeps_biased(dialect: str, axis: int, rank: int, synchronized: bool = False) -> bool:
    """Whether the running variance is the biased one of each batch: not where tf.keras 2 is fused, which it
    is not where it is synchronized.

    Source: tf_keras/src/layers/normalization/batch_normalization.py, build.
    """
    return synchronized or not (is_keras_2(dialect) and rank in (4, 5) and axis in (1, rank - 1))


@rule(
    "BatchNormalization", wants=batch_norm_wants, shape=norm_shape, weights=batch_norm_weights,
    masks=Masks(Reads.TRAINING, Gives.FIRST), training=Training(rests={"trainable": False}, lasts=True),
    statistics="moving_mean moving_variance moving_stddev renorm_mean renorm_stddev", noun="bn",
    only={"virtual_batch_size": (None,)},
    linear=Linear(("gamma", "moving_variance"), ("beta", "moving_mean")),
)  # fmt: skip
def batch_norm(
    x: Value, *, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True, renorm: bool = False, renorm_clipping: Any = None,
    renorm_momentum: float = 0.99, trainable: bool = True, virtual_batch_size: Any = None,
    synchronized: bool = False, steps: Any = None, exact: bool = False, dialect: str = "", mask: Any = None,
) -> Expr:  # fmt: skip
    """nn.BatchNorm2d. Keras's momentum is what is kept, torch's what is taken.

    Where Keras keeps a biased running variance, `exact` writes one that does so too: torch's is
    unbiased. A layer that is not trainable always uses its running statistics. Under a mask the
    statistics are those of the steps that it keeps. Batch renormalisation has statistics of its own.
    `steps`: how many a batch holds, each of which has its own (see `normalise/folded.py`).
    """
    axis = axis_of(axis, x.rank)
    if renorm and trainable and (mask is not None or steps):
        where = "at every step" if steps else "under a mask"
        raise Unsupported(f"renorm=True {where}", "freeze it (trainable=False)")
    if mask is not None and (x.rank, axis) != (3, 2):
        raise Unsupported("a mask over other things than steps (n, t, c)", "freeze it (trainable=False)")
    if x.rank > 5:
        raise Unsupported(f"batch normalisation of a tensor with {x.rank} axes")
    cls = f"BatchNorm{max(x.rank - 2, 1)}d"
    if renorm:
        cls = f"Renorm{cls}"
    elif not trainable:
        cls = f"Frozen{cls}"
    elif steps:
        cls = f"Step{cls}"
    elif mask is not None:
        cls = f"Masked{cls}"
    elif exact and keeps_biased(dialect, axis, x.rank, bool(synchronized)):
        cls = f"Biased{cls}"
    else:
        cls = f"nn.{cls}"
    count, taken = size_of(x, axis), taken_of(momentum)
    regroup = x.regroup if x.rank == 2 else ()
    mean = Load.of("moving_mean", "c -> c", (0, regroup))
    variance = Load.of("moving_variance", "c -> c", (0, regroup))
    own: dict[str, Any] = {"steps": steps if trainable else None}
    if renorm:
        own = {"renorm_momentum": taken_of(renorm_momentum), **(renorm_clipping or {})}
        own["frozen"] = None if trainable else True
    norm = module(
        cls, count, eps=default(epsilon, 1e-5), momentum=default(taken, 0.1),
        affine=None if scale or center else False, **own,
        spare=0.0 if cls.startswith("Masked") and is_keras_2(dialect) else None,
        loads={
            **affine(count, scale, center, "c -> c", regroup),
            "running_mean": mean, "running_var": variance,
            **({name: Load.of(it, "c -> c", (0, regroup)) for it, name in RENORM.items()} if renorm else {}),
            "num_batches_tracked": Fill(0, (), "int64"),
        },
    )  # fmt: skip
    if mask is None or not trainable:
        return over_channels(x, axis, norm)
    return over_channels(x, axis, lambda channels: norm(channels, as_bool(mask)))


def taken_of(momentum: float) -> float:
    """What is taken of a new value, where Keras says what is kept of the old one: 0.01 of 0.99."""
    return float(Decimal(1) - Decimal(repr(float(momentum))))


def affine(
    shape: int | tuple[int, ...], scale: bool, center: bool, pattern: str, regroup: Any = ()
) -> dict[str, Load | Fill]:
    """weight and bias: torch has both or none; one that the source has not stays 1 or 0, frozen."""
    if not (scale or center):
        return {}
    full = shape if isinstance(shape, tuple) else (shape,)
    return {
        "weight": Load.of("gamma", pattern, (0, regroup)) if scale else Fill(1.0, full),
        "bias": Load.of("beta", pattern, (0, regroup)) if center else Fill(0.0, full),
    }


def layer_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that are normalised, counted from the start, in order."""
    axes = axes_of(axis, rank)
    if isinstance(axis, Sequence) and axes != [int(it) % rank for it in sorted(axis)]:
        raise Unsupported(f"axis={axis!r}: some axes are counted from the start, some from the end")
    return tuple(axes)


def layer_norm_wants(x: Tensor, *, axis: Any, rms_scaling: bool) -> Wants:
    """Free: over all but the batch, or over the channels, with a helper where they come first."""
    rank = len(x.shape)
    axes = layer_axes(axis, rank)
    if rms_scaling:
        return rms_wants(x, axis=axis)
    if axes == tuple(range(1, rank)):
        return FOLLOWS
    if axes == (rank - 1,):
        return replace(FOLLOWS, why="layer normalisation wants features last", cost=1e-3)
    return SOURCE


def layer_norm_weights(
    x: Tensor, *, axis: Any, scale: bool, center: bool, rms_scaling: bool
) -> Mapping[str, Shape]:
    shape = tuple(size_of(x, at) for at in layer_axes(axis, len(x.shape)))
    if rms_scaling:
        return {"gamma": shape}
    return {**({"gamma": shape} if scale else {}), **({"beta": shape} if center else {})}


def layer_norm_shape(x: Tensor, *, axis: Any) -> Shape:
    layer_axes(axis, len(x.shape))
    return x.shape


@rule(
    "LayerNormalization", wants=layer_norm_wants, shape=layer_norm_shape,
    weights=layer_norm_weights, masks=PASSES, noun="norm", reads=all_along,
)  # fmt: skip
def layer_norm(
    x: Value, *, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
    rms_scaling: bool = False,
) -> Expr:  # fmt: skip
    """nn.LayerNorm; over the channels of a channels-first tensor, a module of a few lines.

    With `rms_scaling` Keras divides by the deviation, but leaves the mean where it is, and has no shift.
    Source: keras/src/ops/nn.py, _layer_normalization.
    """
    axes = layer_axes(axis, x.rank)
    sizes = {at: size_of(x, at) for at in axes}
    if rms_scaling:
        variance = call("torch.var", x, dim=dims_of(x, axis), correction=0, keepdim=True)
        gamma = parameter(x, "gamma", axes, tuple(sizes.values()))
        return x * call("torch.rsqrt", variance + epsilon) * gamma
    first = x.order is Order.CHANNELS_FIRST and x.rank > 2
    dims = sorted(x.dim(at) for at in axes)
    laid = [at for at in to_order(range(x.rank), x.order) if at in axes]
    pattern = " -> ".join(" ".join(x.tensor.axes[at].word for at in order) for order in (axes, laid))
    shape = tuple(sizes[at] for at in laid)
    loads = affine(shape, scale, center, pattern, x.regroup if x.rank == 2 else ())
    plain = None if scale or center else False
    norm = module(
        "ChannelLayerNorm" if first and dims == [1] else "nn.LayerNorm",
        shape[0] if len(shape) == 1 else shape, eps=default(epsilon, 1e-5),
        elementwise_affine=plain, loads=loads,
    )  # fmt: skip
    last = list(range(x.rank - len(dims), x.rank))
    if dims == last or (first and dims == [1]):
        return norm(x)
    there, back = held(dims), held([at - x.rank for at in last])
    return call(".movedim", norm(call(".movedim", x, there, back)), back, there)


@rule(
    "GroupNormalization", wants=channel_wants, shape=norm_shape, weights=norm_weights, masks=PASSES,
    noun="norm", reads=all_of,
)  # fmt: skip
def group_norm(
    x: Value, *, groups: int = 32, axis: Any = -1, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True,
) -> Expr:  # fmt: skip
    """nn.GroupNorm; groups=-1 is one group for each channel."""
    axis = axis_of(axis, x.rank)
    count = size_of(x, axis)
    norm = module(
        "nn.GroupNorm", count if groups == -1 else groups, count, eps=default(epsilon, 1e-5),
        affine=None if scale or center else False, loads=affine(count, scale, center, "c -> c"),
    )  # fmt: skip
    return over_channels(x, axis, norm)


def rms_wants(x: Tensor, *, axis: Any) -> Wants:
    return SOURCE if axes_of(axis, len(x.shape)) != [len(x.shape) - 1] else FOLLOWS


def rms_weights(x: Tensor, *, axis: Any) -> Mapping[str, Shape]:
    axes = axes_of(axis, len(x.shape))
    if axes[-1] != len(x.shape) - 1:
        raise Unsupported(f"axis={axis!r}: Keras itself runs it over the last axes only")
    return {"scale": tuple(size_of(x, at) for at in axes)}


@rule("RMSNormalization", wants=rms_wants, weights=rms_weights, reads=all_along)
def rms_norm(x: Value, *, axis: Any = -1, epsilon: float = 1e-6) -> Expr:
    """nn.RMSNorm over the last axes; else x / root mean square times a parameter."""
    axes = axes_of(axis, x.rank)
    last = list(range(x.rank - len(axes), x.rank))
    shape = tuple(size_of(x, at) for at in axes)
    if axes == last and (x.order is Order.SOURCE or x.rank < 3) and not x.regroup:
        names = " ".join(x.tensor.axes[at].word for at in axes)
        loads = {"weight": Load.of("scale", f"{names} -> {names}")}
        return module("nn.RMSNorm", shape[0] if len(shape) == 1 else shape, eps=epsilon, loads=loads)(x)
    mean = call(".mean", call(".square", x), dim=dims_of(x, axis), keepdim=True)
    return x * call("torch.rsqrt", mean + epsilon) * parameter(x, "scale", axes, shape)


@rule("UnitNormalization", masks=PASSES, noun="norm", reads=all_along)
def unit_norm(x: Value, *, axis: Any = -1, dialect: str = "") -> Expr:
    """F.normalize; over several axes, what it stands for.

    Keras 3 divides by at least 1e-12, as torch does; Keras 2 has 1e-12 for the square of it.
    Source: unit_normalization.py, `call`, of both; tensorflow/python/ops/nn_impl.py, l2_normalize.
    """
    axes = axes_of(axis, x.rank)
    least = 1e-6 if is_keras_2(dialect) else 1e-12
    if len(axes) == 1:
        return call("F.normalize", x, dim=default(x.dim(axes[0]), 1), eps=default(least, 1e-12))
    square = call(".sum", call(".square", x), dim=dims_of(x, axis), keepdim=True)
    return x * call(".clamp", call("torch.rsqrt", square), max=1 / least)
