"""Normalisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Fill, Load, module
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, SOURCE, Value, Wants, rule


def axis_of(axis: Any, rank: int) -> int:
    """One axis counted from the start; older files give a list of one."""
    if isinstance(axis, Sequence):
        if len(axis) != 1:
            raise Unsupported(f"axis={axis!r}: one axis is ported")
        axis = axis[0]
    if not -rank <= axis < rank:
        raise Unsupported(f"axis={axis!r} of a tensor with {rank} axes")
    return int(axis) % rank


def channel_wants(x: Tensor, *, axis: Any) -> Wants:
    """Channels behind the batch, whichever axis of the source they are."""
    rank = len(x.shape)
    if rank == 2:
        return FOLLOWS
    return {1: SOURCE, rank - 1: CHANNELS_FIRST}.get(axis_of(axis, rank), SOURCE)


def size_of(x: Tensor | Value, axis: int) -> int:
    """The size of an axis that weights lie along."""
    size = x.shape[axis]
    if size is None:
        raise Unsupported(f"the size of axis {axis} is not known")
    return size


def norm_weights(x: Tensor, *, axis: Any, scale: bool, center: bool) -> Mapping[str, Shape]:
    shape = (size_of(x, axis_of(axis, len(x.shape))),)
    return {**({"gamma": shape} if scale else {}), **({"beta": shape} if center else {})}


def batch_norm_weights(x: Tensor, *, axis: Any, scale: bool, center: bool) -> Mapping[str, Shape]:
    shape = (size_of(x, axis_of(axis, len(x.shape))),)
    affine = norm_weights(x, axis=axis, scale=scale, center=center)
    return {**affine, "moving_mean": shape, "moving_variance": shape}


@rule("BatchNormalization", wants=channel_wants, weights=batch_norm_weights)
def batch_norm(
    x: Value, *, axis: Any = -1, momentum: float = 0.99, epsilon: float = 1e-3, center: bool = True,
    scale: bool = True, renorm: bool = False, renorm_clipping: Any = None, renorm_momentum: float = 0.99,
    trainable: bool = True, running_variance: str = "biased", virtual_batch_size: Any = None,
    exact: bool = False,
) -> Expr:  # fmt: skip
    """nn.BatchNorm2d. Keras's momentum is what is kept, torch's what is taken.

    Keras 3 keeps a biased running variance, torch an unbiased one: `exact` writes one that does as Keras
    (a file of tf.keras 2 says per layer which of the two it kept). A layer that is not trainable always uses
    its running statistics.
    """
    if renorm or virtual_batch_size:
        raise Unsupported("batch renormalisation (renorm, virtual_batch_size) is not ported")
    axis = axis_of(axis, x.rank)
    if x.dim(axis) != 1 or x.rank > 5:
        raise Unsupported(f"batch normalisation over axis {axis} of a tensor with {x.rank} axes")
    cls = f"BatchNorm{max(x.rank - 2, 1)}d"
    if not trainable:
        cls = f"Frozen{cls}"
    elif exact and running_variance == "biased":
        cls = f"Biased{cls}"
    else:
        cls = f"nn.{cls}"
    count, taken = size_of(x, axis), float(Decimal(1) - Decimal(repr(float(momentum))))
    regroup = x.regroup if x.rank == 2 else ()
    statistics = {"running_mean": "moving_mean", "running_var": "moving_variance"}
    return module(
        cls, count, eps=default(epsilon, 1e-5), momentum=default(taken, 0.1),
        affine=None if scale or center else False,
        loads={
            **affine(count, scale, center, "c -> c", regroup),
            **{ours: Load.of(theirs, "c -> c", (0, regroup)) for ours, theirs in statistics.items()},
            "num_batches_tracked": Fill(0, (), "int64"),
        },
    )(x)  # fmt: skip


def default(value: Any, theirs: Any) -> Any:
    """None, so that it is not written, where torch's default is the same."""
    return None if value == theirs else value


def affine(
    shape: int | tuple[int, ...], scale: bool, center: bool, pattern: str, regroup: Any = ()
) -> dict[str, Load | Fill]:
    """weight and bias: torch has both or none, so the one that the source has not stays 1 or 0, frozen."""
    if not (scale or center):
        return {}
    full = shape if isinstance(shape, tuple) else (shape,)
    return {
        "weight": Load.of("gamma", pattern, (0, regroup)) if scale else Fill(1.0, full),
        "bias": Load.of("beta", pattern, (0, regroup)) if center else Fill(0.0, full),
    }


def layer_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that are normalised, counted from the start, in order."""
    axes = axis if isinstance(axis, Sequence) else [axis]
    return tuple(sorted(int(it) % rank for it in axes))


def layer_norm_wants(x: Tensor, *, axis: Any) -> Wants:
    """Free: the features last, or all but the batch, or the channels; a helper where they stand in front."""
    rank = len(x.shape)
    axes = layer_axes(axis, rank)
    if rank == 2 or axes == tuple(range(1, rank)):
        return FOLLOWS
    if axes == (rank - 1,):
        return Wants(FOLLOWS.inputs, FOLLOWS.outputs, "layer normalisation wants features last", 1e-3)
    return SOURCE


def layer_norm_weights(x: Tensor, *, axis: Any, scale: bool, center: bool) -> Mapping[str, Shape]:
    shape = tuple(size_of(x, at) for at in layer_axes(axis, len(x.shape)))
    return {**({"gamma": shape} if scale else {}), **({"beta": shape} if center else {})}


@rule("LayerNormalization", wants=layer_norm_wants, weights=layer_norm_weights)
def layer_norm(
    x: Value, *, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True,
    rms_scaling: bool = False,
) -> Expr:  # fmt: skip
    """nn.LayerNorm; over the channels of a channels-first tensor, a module of a few lines."""
    if rms_scaling:
        raise Unsupported("rms_scaling=True is not ported", "use RMSNormalization")
    axes = layer_axes(axis, x.rank)
    sizes = tuple(size_of(x, at) for at in axes)
    if axes != tuple(range(x.rank - len(axes), x.rank)):
        raise Unsupported(f"layer normalisation over axes {list(axes)}, which are not the last")
    letters = f"{'a b d e f'[: 2 * len(axes) - 2]}c"
    regroup, options = (x.regroup if x.rank == 2 else ()), {"eps": default(epsilon, 1e-5)}
    if not (scale or center):
        options["elementwise_affine"] = False
    if x.order is Order.CHANNELS_FIRST and x.rank > 2:
        if len(axes) == 1:
            loads = affine(sizes[0], scale, center, "c -> c")
            return module("ChannelLayerNorm", sizes[0], **options, loads=loads)(x)
        sizes = (sizes[-1], *sizes[:-1])
        pattern = f"{letters} -> c {letters.removesuffix(' c')}"
    else:
        pattern = f"{letters} -> {letters}"
    loads = affine(sizes, scale, center, pattern, regroup)
    return module("nn.LayerNorm", sizes[0] if len(sizes) == 1 else sizes, **options, loads=loads)(x)


@rule("GroupNormalization", wants=channel_wants, weights=norm_weights)
def group_norm(
    x: Value, *, groups: int = 32, axis: Any = -1, epsilon: float = 1e-3, center: bool = True, scale: bool = True
) -> Expr:
    """nn.GroupNorm; groups=-1 is one group for each channel."""
    axis = axis_of(axis, x.rank)
    if x.dim(axis) != 1:
        raise Unsupported(f"group normalisation over axis {axis} of a tensor with {x.rank} axes")
    count = size_of(x, axis)
    return module(
        "nn.GroupNorm", count if groups == -1 else groups, count, eps=default(epsilon, 1e-5),
        affine=None if scale or center else False, loads=affine(count, scale, center, "c -> c"),
    )(x)  # fmt: skip
