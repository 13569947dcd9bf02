"""Layers and activations of TensorFlow Addons, and of keras_contrib, from which some of them came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.graph import Shape, Tensor
from torchport.program import Expr, call, module
from torchport.rules.arguments import default
from torchport.rules.entry import Layer, Span, Variable, layer, variables
from torchport.rules.facts import PASSES, Training
from torchport.rules.norm import channel_wants, norm_shape, over_channels
from torchport.rules.sizes import all_along, all_of, axis_of, size_of
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, Value, Wants, rule
from torchport.rules.window import Reading


@layer("keras_contrib>InstanceNormalization", masks=PASSES, noun="norm")
class InstanceNormalization(Layer):
    """A module of a few lines: epsilon is added to the deviation, torch adds it to the variance.

    Without an axis all numbers of a sample are normalised together, and have one scale and one shift.
    Source: keras_contrib/layers/normalization/instancenormalization.py, call.
    """

    axis: int | None = None
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True

    def shape(self, x: Tensor) -> Shape:
        return x.shape if self.axis is None else norm_shape(x, axis=self.axis)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        along = Span(1) if self.axis is None else Span.of(x, axis_of(self.axis, len(x.shape)))
        own = ("c", {"c": along})
        return variables(gamma=own if self.scale else None, beta=own if self.center else None)

    def wants(self, x: Tensor, y: Any) -> Wants:
        return FOLLOWS if self.axis is None else channel_wants(x, axis=self.axis)

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        """All but the channels, which are normalised each by itself."""
        own = None if self.axis is None else axis_of(self.axis, len(x.shape))
        return {at: it for at, it in all_of(x).items() if at != own}

    def write(self, x: Value, y: Value, gamma: Variable | None = None, beta: Variable | None = None) -> Expr:
        loads = {"weight": gamma and gamma("c"), "bias": beta and beta("c")}
        count = 1 if self.axis is None else size_of(x, axis_of(self.axis, x.rank))
        norm = module(
            "DeviationNorm", count, eps=default(self.epsilon, 1e-3), scale=None if gamma else False,
            center=None if beta else False, loads={name: it for name, it in loads.items() if it},
        )  # fmt: skip
        return norm(x) if self.axis is None else over_channels(x, axis_of(self.axis, x.rank), norm)


@layer("Addons>FilterResponseNormalization", masks=PASSES, noun="norm", only={"axis": ([1, 2],)},
       ignores="learned_epsilon_constraint")  # fmt: skip
class FilterResponseNormalization(Layer):
    """A module of a few lines: over the root of the mean square of each channel.

    Source: tensorflow_addons/layers/normalizations.py, FilterResponseNormalization.
    """

    epsilon: float = 1e-6
    axis: Any = (1, 2)
    learned_epsilon: bool = False

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        own = ("n h w c", {"n": 1, "h": 1, "w": 1, "c": Span.of(x, -1)})
        learned = ("e", {"e": 1}) if self.learned_epsilon else None
        return variables(learned_epsilon=learned, gamma=own, beta=own)

    def wants(self, x: Tensor, y: Any) -> Wants:
        return CHANNELS_FIRST

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        return all_along(x, axis=(1, 2))

    def write(self, x: Value, y: Value, gamma: Variable, beta: Variable, **learned: Variable) -> Expr:
        loads = {"weight": gamma("c"), "bias": beta("c"), **{name: it("e") for name, it in learned.items()}}
        return module(
            "FilterResponseNorm2d", size_of(x, -1), eps=default(abs(self.epsilon), 1e-6),
            learns_eps=True if learned else None, loads=loads,
        )(x)  # fmt: skip


@layer("Addons>StochasticDepth", training=Training(rests=None))
class StochasticDepth(Layer):
    """A module of a few lines: a branch that the whole batch takes or does not, and in inference its mean.

    Source: tensorflow_addons/layers/stochastic_depth.py, call.
    """

    survival_probability: float = 0.5

    def shape(self, x: Sequence[Tensor]) -> Shape:
        return x[0].shape

    def write(self, x: Sequence[Value], y: Value) -> Expr:
        return module("RandomBranch", self.survival_probability, loads={})(*x)


@rule("activation:Addons>rrelu", training=Training())
def rrelu(x: Value) -> Expr:
    """nn.RReLU."""
    return module("nn.RReLU", loads={})(x)


@rule("Addons>Sparsemax", "activation:Addons>sparsemax", masks=PASSES, reads=all_along)
def sparsemax(x: Value, *, axis: int = -1) -> Expr:
    """A helper of a few lines, over the same named axis. Keras's own `sparsemax` has another threshold.

    Source: tensorflow_addons/activations/sparsemax.py.
    """
    return call("simplex_projection", x, dim=x.dim(axis))
