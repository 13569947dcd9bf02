"""Rows for gradients, and for the weights after some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from torchport.program import Spec
from torchport.record import Stored
from torchport.verify.compare import CANCELLED, EPS32, LIMIT32, Compared, Noise, agrees, compare, largest
from torchport.verify.forward import row
from torchport.verify.observations import Nudge, Training
from torchport.verify.places import held
from torchport.verify.result import Row
from torchport.verify.statistics import RunningVariance

#: An error after some steps beyond this share of a weight is no rounding that training magnified.
MAGNIFIED = 1e-6


@dataclass
class Gradients:
    """A sink for the port's gradients: each is compared as it comes, and let go of."""

    entries: Mapping[str, Stored]
    specs: Sequence[Spec]
    truth: Training
    found: dict[str, Compared] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    #: Parameters that take gradients, of which the source knows nothing.
    alien: list[str] = field(default_factory=list)

    def __call__(self, name: str, got: np.ndarray | None) -> None:
        want = self.want(name)
        if want is None:
            if got is not None and name not in self.entries and not name.startswith("input "):
                self.alien.append(name)
            return
        if got is None and np.any(want):
            self.absent.add(name)
        self.found[name] = compare(np.zeros_like(want) if got is None else got, want)

    def want(self, name: str) -> np.ndarray | None:
        """The source's gradient as torch holds it; None where the source has none."""
        kind, _, number = name.partition(" ")
        if kind == "input" and number:
            spec = self.specs[int(number)]
            return (
                held(self.truth.gradients[name], spec.order, spec.tensor)
                if name in self.truth.gradients
                else None
            )
        entry = self.entries.get(name)
        if entry is None or entry.source not in self.truth.gradients:
            return None
        return entry.held(self.truth.gradients[entry.source])


def gradient_rows(main: Gradients, low: Gradients | None, nudge: Nudge | None) -> Iterator[Row]:
    """The gradient of every weight that trains, then of every input.

    A gradient is the sum of what reaches its layer: what rounding may do to it goes by the largest there.
    """
    truth, layers = main.truth, largest_by_layer(main)
    exact = not truth.tensors.inexact
    wanted = [
        (it.name, it.layer, it.source)
        for it in main.entries.values() if it.turn is not None and it.source in truth.gradients
    ]  # fmt: skip
    inputs = [f"input {at}" for at in range(len(main.specs)) if f"input {at}" in truth.gradients]
    wanted += [(it, main.specs[int(it[6:])].tensor.name, it) for it in inputs]
    for name, layer, source in wanted:
        if name not in main.found:
            main(name, None)
        if low and name not in low.found:
            low(name, None)
        known = Noise(truth.noise.get(source), nudge.gradients.get(source) if nudge else None, layers[source])
        note = "no gradient reaches it in the port" if name in main.absent else ""
        note = note or ("" if exact else "TensorFlow has no float64 kernel on the way: float32's limit")
        tensor = layer if source.startswith("input ") else source
        yield row(
            "gradient", name, layer, tensor, main.found[name], low.found[name] if low else None, known,
            truth.dtype, exact, note,
        )  # fmt: skip

    for name in main.alien:
        note = "is trained in the port; the source has nothing like it"
        yield Row("gradient", name, name.rpartition(".")[0], "", False, note=note)


def largest_by_layer(gradients: Gradients) -> dict[str, float]:
    """For each gradient the largest in its layer, or of all where the layer has no other."""
    sizes = gradients.truth.sizes
    layers = {it.source: it.layer for it in gradients.entries.values() if it.source in sizes}
    everywhere = max(sizes.values(), default=0.0)
    found = {}
    for name in sizes:
        mine = [sizes[it] for it, layer in layers.items() if layer == layers.get(name)]
        found[name] = max(mine) if len(mine) > 1 else everywhere
    return found


def step_rows(
    gradients: Gradients, state: Mapping[str, np.ndarray], before: Mapping[str, np.ndarray],
    steps: int, exact: bool, nudge: Nudge | None,
) -> Iterator[Row]:  # fmt: skip
    """Every weight and running statistic after the last step.

    `state`: of the port. `before`: the source's variables as they were. `exact`: the port promises Keras's
    own running variance, not torch's.
    """
    source, layers = gradients.truth, largest_by_layer(gradients)
    inexact = bool(source.tensors.inexact)
    limit = LIMIT32 if inexact else None
    for entry in gradients.entries.values():
        got = state.get(entry.name)
        if entry.turn is None:
            if entry.shape and got is not None:
                found = compare(got, np.full(got.shape, entry.value, got.dtype))
                yield row("steps", entry.name, entry.layer, "", found, None, Noise(), source.dtype)
            continue
        if got is None:
            note = "the port has no such state"
            yield Row("steps", entry.name, entry.layer, entry.source, False, note=note)
            continue
        turn, name = entry.held, entry.source
        want, start = (turn(it[name]) for it in (source.weights, before))
        if want.dtype.kind == "f":
            start = start.astype(want.dtype)
        layer = layers.get(name, 0.0) or max(source.sizes.values(), default=0.0)
        scale = measure(source, name, want, steps, layer)
        nudged = nudge.weights.get(name) if nudge else None
        known = Noise(None, nudged, scale, MAGNIFIED / 10)
        made = row(
            "steps", entry.name, entry.layer, name, compare(got, want, scale), None, known, source.dtype,
            not inexact, limit=limit,
        )  # fmt: skip
        running = source.unbiased.get(name)
        if running and (running.own or not (made.passed or exact)):
            found = compare(got, turn(running.value), scale)
            other = row(
                "steps", entry.name, entry.layer, name, found, None, known, source.dtype, not inexact,
                running.note, limit,
            )  # fmt: skip
            if other.differs:
                note = another_order(running, turn, got, before[name], steps) or momentum(got, start, want)
                other = replace(other, note=note)
            made = other
        elif made.differs:
            made = replace(made, note=momentum(got, start, want) or made.note)
        yield made


def measure(source: Training, name: str, want: np.ndarray, steps: int, layer: float) -> float:
    """What the error of a weight after some steps is relative to: its size, and how far it may have moved.

    `layer`: the largest gradient of its layer, or of all where that has none. Of a gradient that is rounding
    it says how far, and of one that is zero at first; a mean is measured by the spread of what it is the mean
    of.
    """
    size = largest(want)
    if name in source.gradients:
        steepest, noise = source.sizes[name], source.noise.get(name)
        if noise is None or not steepest:
            steepest = max(steepest, layer)
        elif noise > CANCELLED * steepest:
            steepest = max(steepest, min(noise / EPS32, layer))
        size = max(size, source.rate * steps * steepest)
    variance = f"{name.removesuffix('mean')}variance"
    if name.endswith("mean") and variance in source.weights:
        size = max(size, float(np.sqrt(largest(source.weights[variance]))))
    return size or 1.0


def another_order(
    running: RunningVariance,
    turn: Callable[[np.ndarray], np.ndarray],
    got: np.ndarray,
    before: np.ndarray,
    steps: int,
) -> str:
    """Whether the calls of a shared layer came in another order than in the source."""
    for order, value in running.reordered(before, steps):
        if agrees(got, turn(value)):
            calls = f"its layer is called {len(order)} times a step"
            return f"{calls}, not in the source's order (of the source's calls: {list(order)})"
    return ""


def momentum(got: np.ndarray, before: np.ndarray, want: np.ndarray) -> str:
    """Whether a tensor moved the right way, but not as far: another momentum or another rate."""
    moved, should = got.astype(np.float64) - before, want.astype(np.float64) - before
    if got.shape != want.shape or not np.any(should):
        return "changed, the source's did not" if got.shape == want.shape and np.any(moved) else ""
    if not np.any(moved):
        return "did not change, the source's did"
    ratio = moved[should != 0] / should[should != 0]
    if np.ptp(ratio) <= 0.05 * abs(ratio.mean()):
        return f"moved {ratio.mean():.4g} times as far as the source's: another momentum, rate or variance"
    return "moved elsewhere than the source's"
