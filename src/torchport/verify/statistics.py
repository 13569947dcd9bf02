"""Running variances: Keras 3 keeps the biased one of each batch, torch's BatchNorm the unbiased one.

What torch has to arrive at is computed, not allowed for: with v the variance that a call of the
source's layer took in (read off its own running variance, before and after), torch takes in v · n /
(n − 1), n being how many values each channel has in that call. tf.keras 2 keeps the unbiased one in
some layers; which it was shows in the numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import numpy as np

from torchport.graph import Graph
from torchport.verify.copying import value_of
from torchport.verify.recorder import array
from torchport.verify.variables import outer_layers
from torchport.watch.parts import innermost


@dataclass
class RunningVariance:
    """What torch's running variance should be by now, and by which factor each batch's variance differed."""

    value: np.ndarray
    factors: list[float] = field(default_factory=list)
    #: What each call took in, in torch's terms, and the share of the old value that it kept.
    taken: list[tuple[float, np.ndarray]] = field(default_factory=list)
    #: The source itself keeps the unbiased variance; only the model that it was rebuilt as does
    #: not.
    own: bool = False

    @property
    def note(self) -> str:
        if self.own:
            return "the source keeps the unbiased variance, as torch does"
        shown = sorted({round(it, 6) for it in self.factors})
        factors = ", ".join(map(str, shown))
        return f"the source keeps the biased variance of a batch, torch n / (n - 1) of it: {factors}"

    def reordered(self, before: np.ndarray, steps: int) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """What it would be if a shared layer's calls in each step came in another order."""
        calls = len(self.taken) // max(steps, 1)
        if calls * steps != len(self.taken) or not 1 < calls < 6:
            return
        for order in itertools.permutations(range(calls)):
            value = before
            for step in range(steps):
                for at in order:
                    kept, taken = self.taken[step * calls + at]
                    value = kept * value + (1 - kept) * taken
            yield order, value


@dataclass
class Statistics:
    """Follows the running variances of a model through its calls."""

    #: Layers by the names of their running variances, and these.
    layers: Mapping[str, tuple[Any, Any]]
    unfused: Set[Any] = frozenset()
    running: dict[str, RunningVariance] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Every call of the layers is followed, wherever they stand: in TimeDistributed, in a cell."""
        calls = [(layer, layer.call) for layer, _ in self.layers.values()]
        for name, (layer, variable) in self.layers.items():
            layer.call = self.followed(name, layer, variable)
        try:
            yield
        finally:
            for layer, call in calls:
                layer.call = call

    def followed(self, name: str, layer: Any, variable: Any) -> Callable[..., Any]:
        call = layer.call

        @wraps(call)
        def with_variance(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            before = value_of(variable).copy()
            out = call(inputs, *args, **kwargs)
            now = value_of(variable)
            if not np.array_equal(now, before):  # else it uses its running statistics, as a frozen layer does
                self.follow(name, layer, array(inputs), before, now)
            return out

        return with_variance

    def follow(self, name: str, layer: Any, given: np.ndarray, before: np.ndarray, now: np.ndarray) -> None:
        entry = self.running.setdefault(name, RunningVariance(before, own=layer in self.unfused))
        kept = float(layer.momentum)
        taken = (now - kept * before) / (1 - kept) if kept != 1 else before
        factor = self.factor(layer, given, taken)
        entry.factors.append(factor)
        entry.taken.append((kept, taken * factor))
        entry.value = kept * entry.value + (1 - kept) * taken * factor

    @staticmethod
    def factor(layer: Any, given: np.ndarray, taken: np.ndarray) -> float:
        """torch's variance over the one taken in: n / (n - 1), or 1 if that is unbiased already."""
        axis = layer.axis if isinstance(layer.axis, int) else list(layer.axis)[0]
        others = tuple(at for at in range(given.ndim) if at != axis % given.ndim)
        count = int(np.prod([given.shape[at] for at in others]))
        if count < 2:
            return 1.0
        biased = given.astype(np.float64).var(axis=others)
        bessel = count / (count - 1)
        if np.abs(taken - biased * bessel).max() < np.abs(taken - biased).max():
            return 1.0
        return bessel


def normalisations(
    graph: Graph, model: Any, variables: Mapping[str, Any], unfused: Set[Any] = frozenset()
) -> Statistics:
    """The batch normalisations of a model."""
    found: dict[str, tuple[Any, Any]] = {}

    def walk(graph: Graph, model: Any, path: str) -> None:
        layers = outer_layers(model, graph)
        for op in graph.ops:
            if op.kind == "Model":
                walk(graph.bodies[op.layer], innermost(layers[op.layer]), f"{path}{op.layer}/")
            elif "moving_variance" in op.weights and "moving_stddev" not in op.weights:  # the port keeps that
                name = f"{path}{op.layer}/moving_variance"
                found[name] = (innermost(layers[op.layer]), variables[name])

    walk(graph, model, "")
    return Statistics(found, unfused)
