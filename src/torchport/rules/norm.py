"""Normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from torchport.axes import Order, to_order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.named import is_named
from torchport.program import Expr, Fill, Load, call, module
from torchport.rules.arguments import default
from torchport.rules.broadcast import parameter
from torchport.rules.dtypes import as_bool
from torchport.rules.entry import Layer, Span, Variable, layer, variables
from torchport.rules.facts import PASSES, Gives, Linear, Masks, Reads, Training
from torchport.rules.sizes import all_along, all_of, axes_of, axis_of, dims_of, held, size_of
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, SOURCE, Value, Wants, rule
from torchport.rules.window import Groups, Reading


def channel_wants(x: Tensor, *, axis: Any) -> Wants:
    """Channels behind the batch; where the source has them in the midst, they are moved there."""
    rank = len(x.shape)
    return CHANNELS_FIRST if axis_of(axis, rank) == rank - 1 and rank > 2 else SOURCE


def over_channels(x: Value, axis: int, norm: Callable[[Any], Expr]) -> Expr:
    """A norm over the axis behind the batch, applied to another."""
    dim = x.dim(axis)
    return norm(x) if dim == 1 else call(".movedim", norm(call(".movedim", x, dim, 1)), 1, dim)


def norm_shape(x: Tensor, *, axis: Any) -> Shape:
    if axis_of(axis, len(x.shape)) == 0:
        raise Unsupported(f"axis={axis!r}: a norm over the batch is not ported")
    return x.shape


def affine(
    shape: int | tuple[int, ...], pattern: str, gamma: Variable | None, beta: Variable | None
) -> dict[str, Load | Fill]:
    """weight and bias: torch has both or none; one that the source has not stays 1 or 0, frozen."""
    if gamma is None and beta is None:
        return {}
    full = shape if isinstance(shape, tuple) else (shape,)
    return {
        "weight": gamma(pattern) if gamma else Fill(1.0, full),
        "bias": beta(pattern) if beta else Fill(0.0, full),
    }


@dataclass(frozen=True, kw_only=True)
class Norm(Layer):
    """A norm that has a scale and a shift: one for each channel."""

    axis: Any = -1
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True

    def channel(self, x: Tensor | Value) -> int:
        """The axis of the channels."""
        return axis_of(self.axis, len(x.shape))

    def shape(self, x: Tensor) -> Shape:
        return norm_shape(x, axis=self.axis)

    def along(self, x: Any) -> tuple[str, Mapping[str, Span]]:
        """What its weights run along."""
        return "c", {"c": Span.of(x, self.channel(x))}

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        own = self.along(x)
        return variables(gamma=own if self.scale else None, beta=own if self.center else None)

    def wants(self, x: Tensor, y: Any) -> Wants:
        return channel_wants(x, axis=self.axis)

    @property
    def plain(self) -> bool | None:
        """What torch's module is told of a norm without scale and shift."""
        return None if self.scale or self.center else False


#: Statistics of batch renormalisation, and what its module calls them.
RENORM = {"moving_stddev": "running_std", "renorm_mean": "renorm_mean", "renorm_stddev": "renorm_std"}


def keeps_biased(dialect: str, axis: int, rank: int, synchronized: bool = False) -> bool:
    """Whether the running variance is the biased one of each batch: not where tf.keras 2 is fused, which it
    is not where it is synchronized.

    Source: tf_keras/src/layers/normalization/batch_normalization.py, build.
    """
    return synchronized or not (is_keras_2(dialect) and rank in (4, 5) and axis in (1, rank - 1))


@layer(
    "BatchNormalization", masks=Masks(Reads.TRAINING, Gives.FIRST),
    training=Training(rests={"trainable": False}, lasts=True),
    statistics="moving_mean moving_variance moving_stddev renorm_mean renorm_stddev", noun="bn",
    only={"virtual_batch_size": (None,)},
    linear=Linear(("gamma", "moving_variance"), ("beta", "moving_mean")),
)  # fmt: skip
class BatchNormalization(Norm):
    """nn.BatchNorm2d. Keras's momentum is what is kept, torch's what is taken.

    Where Keras keeps a biased running variance, `exact` writes one that does so too: torch's is
    unbiased. A layer that is not trainable always uses its running statistics. Under a mask the
    statistics are those of the steps that it keeps. Batch renormalisation has statistics of its own.
    `steps`: how many a batch holds, each of which has its own (see `normalise/folded.py`).
    """

    momentum: float = 0.99
    renorm: bool = False
    renorm_clipping: Any = None
    renorm_momentum: float = 0.99
    trainable: bool = True
    virtual_batch_size: Any = None
    synchronized: bool = False
    steps: Any = None
    mask: Any = None

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        statistics = ("moving_mean", "moving_variance", *(RENORM if self.renorm else ()))
        return {**super().weights(x, y), **variables(**dict.fromkeys(statistics, self.along(x)))}

    def wants(self, x: Tensor, y: Any) -> Wants:
        """Over flat features it follows, its weights turned."""
        return FOLLOWS if len(x.shape) == 2 else super().wants(x, y)

    def check(self, x: Value) -> None:
        """Raises Unsupported for what Keras does and torch has nothing for."""
        if self.renorm and self.trainable and (self.mask is not None or self.steps):
            where = "at every step" if self.steps else "under a mask"
            raise Unsupported(f"renorm=True {where}", "freeze it (trainable=False)")
        if self.mask is not None and (x.rank, self.channel(x)) != (3, 2):
            raise Unsupported("a mask over other things than steps (n, t, c)", "freeze it (trainable=False)")
        if x.rank > 5:
            raise Unsupported(f"batch normalisation of a tensor with {x.rank} axes")

    def module(self, x: Value) -> str:
        """The class of its module."""
        cls = f"BatchNorm{max(x.rank - 2, 1)}d"
        if self.renorm:
            return f"Renorm{cls}"
        if not self.trainable:
            return f"Frozen{cls}"
        if self.steps:
            return f"Step{cls}"
        if self.mask is not None:
            return f"Masked{cls}"
        is_biased = keeps_biased(self.dialect, self.channel(x), x.rank, bool(self.synchronized))
        return f"Biased{cls}" if self.exact and is_biased else f"nn.{cls}"

    def write(
        self, x: Value, y: Value, moving_mean: Variable, moving_variance: Variable,
        gamma: Variable | None = None, beta: Variable | None = None, **renormed: Variable,
    ) -> Expr:  # fmt: skip
        self.check(x)
        cls, axis = self.module(x), self.channel(x)
        own: dict[str, Any] = {"steps": self.steps if self.trainable else None}
        if self.renorm:
            own = {"renorm_momentum": taken_of(self.renorm_momentum), **(self.renorm_clipping or {})}
            own["frozen"] = None if self.trainable else True
        count = size_of(x, axis)
        norm = module(
            cls, count, eps=default(self.epsilon, 1e-5), momentum=default(taken_of(self.momentum), 0.1),
            affine=self.plain, **own,
            spare=0.0 if cls.startswith("Masked") and is_keras_2(self.dialect) else None,
            loads={
                **affine(count, "c", gamma, beta),
                "running_mean": moving_mean("c"), "running_var": moving_variance("c"),
                **{RENORM[name]: it("c") for name, it in renormed.items()},
                "num_batches_tracked": Fill(0, (), "int64"),
            },
        )  # fmt: skip
        if self.mask is None or not self.trainable:
            return over_channels(x, axis, norm)
        return over_channels(x, axis, lambda channels: norm(channels, as_bool(self.mask)))


def taken_of(momentum: float) -> float:
    """What is taken of a new value, where Keras says what is kept of the old one: 0.01 of 0.99."""
    if is_named(momentum):
        return 1 - momentum
    return float(Decimal(1) - Decimal(repr(float(momentum))))


@layer("LayerNormalization", masks=PASSES, noun="norm")
class LayerNormalization(Norm):
    """nn.LayerNorm; over the channels of a channels-first tensor, a module of a few lines.

    With `rms_scaling` Keras divides by the deviation, but leaves the mean where it is, and has no shift.
    Source: keras/src/ops/nn.py, _layer_normalization.
    """

    rms_scaling: bool = False

    def axes(self, x: Tensor | Value) -> tuple[int, ...]:
        """The axes that are normalised, counted from the start, in order."""
        rank = len(x.shape)
        axes = axes_of(self.axis, rank)
        if isinstance(self.axis, Sequence) and axes != [int(it) % rank for it in sorted(self.axis)]:
            raise Unsupported(f"axis={self.axis!r}: some axes are counted from the start, some from the end")
        return tuple(axes)

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        return all_along(x, axis=self.axis)

    def shape(self, x: Tensor) -> Shape:
        self.axes(x)
        return x.shape

    def along(self, x: Any) -> tuple[str, Mapping[str, Span]]:
        spans = {word_of(x, at): Span.of(x, at) for at in self.axes(x)}
        return " ".join(spans), spans

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        return variables(gamma=self.along(x)) if self.rms_scaling else super().weights(x, y)

    def wants(self, x: Tensor, y: Any) -> Wants:
        """Free: over all but the batch, or over the channels, with a helper where they come first."""
        rank, axes = len(x.shape), self.axes(x)
        if self.rms_scaling:
            return rms_wants(x, self.axis)
        if axes == tuple(range(1, rank)):
            return FOLLOWS
        if axes == (rank - 1,):
            return replace(FOLLOWS, why="layer normalisation wants features last", cost=1.01)
        return SOURCE

    def write(self, x: Value, y: Value, gamma: Variable | None = None, beta: Variable | None = None) -> Expr:
        axes = self.axes(x)
        sizes = {at: size_of(x, at) for at in axes}
        if self.rms_scaling:
            variance = call("torch.var", x, dim=dims_of(x, self.axis), correction=0, keepdim=True)
            scale = parameter(x, "gamma", axes, tuple(sizes.values()))
            return x * call("torch.rsqrt", variance + self.epsilon) * scale
        first = x.order is Order.CHANNELS_FIRST and x.rank > 2
        dims = sorted(x.dim(at) for at in axes)
        laid = [at for at in to_order(range(x.rank), x.order) if at in axes]
        shape = tuple(sizes[at] for at in laid)
        norm = module(
            "ChannelLayerNorm" if first and dims == [1] else "nn.LayerNorm",
            shape[0] if len(shape) == 1 else shape, eps=default(self.epsilon, 1e-5),
            elementwise_affine=self.plain,
            loads=affine(shape, " ".join(word_of(x, at) for at in laid), gamma, beta),
        )  # fmt: skip
        last = list(range(x.rank - len(dims), x.rank))
        if dims == last or (first and dims == [1]):
            return norm(x)
        there, back = held(dims), held([at - x.rank for at in last])
        return call(".movedim", norm(call(".movedim", x, there, back)), back, there)


def word_of(x: Tensor | Value, at: int) -> str:
    """The name of an axis in the pattern of a load."""
    axes = (x.tensor if isinstance(x, Value) else x).axes
    return axes[at].word if axes else f"a{at}"


@layer("GroupNormalization", masks=PASSES, noun="norm")
class GroupNormalization(Norm):
    """nn.GroupNorm; groups=-1 is one group for each channel."""

    groups: int = 32

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        at = self.channel(x)
        count = x.shape[at]
        groups = count if self.groups == -1 else self.groups
        own = {at: Groups(groups, count)} if count and groups and count % groups == 0 else {}
        return {**all_of(x), **own}

    def write(self, x: Value, y: Value, gamma: Variable | None = None, beta: Variable | None = None) -> Expr:
        axis = self.channel(x)
        count = size_of(x, axis)
        norm = module(
            "nn.GroupNorm", count if self.groups == -1 else self.groups, count,
            eps=default(self.epsilon, 1e-5), affine=self.plain, loads=affine(count, "c", gamma, beta),
        )  # fmt: skip
        return over_channels(x, axis, norm)


def rms_wants(x: Tensor, axis: Any) -> Wants:
    return SOURCE if axes_of(axis, len(x.shape)) != [len(x.shape) - 1] else FOLLOWS


@layer("RMSNormalization")
class RMSNormalization(Layer):
    """nn.RMSNorm over the last axes; else x / root mean square times a parameter."""

    axis: Any = -1
    epsilon: float = 1e-6

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        return all_along(x, axis=self.axis)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        axes = axes_of(self.axis, len(x.shape))
        if axes[-1] != len(x.shape) - 1:
            raise Unsupported(f"axis={self.axis!r}: Keras itself runs it over the last axes only")
        spans = {word_of(x, at): Span.of(x, at) for at in axes}
        return variables(scale=(" ".join(spans), spans))

    def wants(self, x: Tensor, y: Any) -> Wants:
        return rms_wants(x, self.axis)

    def write(self, x: Value, y: Value, scale: Variable) -> Expr:
        axes = axes_of(self.axis, x.rank)
        last = list(range(x.rank - len(axes), x.rank))
        if axes == last and (x.order is Order.SOURCE or x.rank < 3) and not x.regroup:
            shape, loads = scale.shape, {"weight": scale(scale.axes)}
            size = shape[0] if len(shape) == 1 else shape
            return module("nn.RMSNorm", size, eps=self.epsilon, loads=loads)(x)
        mean = call(".mean", call(".square", x), dim=dims_of(x, self.axis), keepdim=True)
        return x * call("torch.rsqrt", mean + self.epsilon) * parameter(x, "scale", axes, scale.shape)


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
