"""Rows for gradients, and for the weights after some steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from torchport.axes import Turn
from torchport.emit.weights import Entry
from torchport.program import Fill, Load, Spec
from torchport.verify import port_runs, source_runs
from torchport.verify.checks import layer_of
from torchport.verify.compare import (
    FLOOR,
    MULTIPLE,
    Compared,
    agrees,
    compare,
    difference,
    scale_of,
)
from torchport.verify.forward import row
from torchport.verify.places import held
from torchport.verify.result import Row
from torchport.verify.statistics import RunningVariance

#: So often TensorFlow's own error is measured again where the port's looks worse.
NUDGED = 6
#: An error after some steps beyond this is no rounding that training magnified.
MAGNIFIED = 1e-6


def gradient_rows(
    entries: Sequence[Entry], specs: Sequence[Spec], source: source_runs.Trained, port: port_runs.Trained,
    sources32: Sequence[source_runs.Trained], port32: port_runs.Trained | None, limit: float, exact: bool,
) -> Iterator[Row]:  # fmt: skip
    """The gradient of every weight that trains, then of every input.

    `sources32`: TensorFlow's own float32 runs; of several the largest error counts. `exact`: the reference
    has float64's digits.
    """
    for entry in entries:
        if not isinstance(entry.load, Load) or entry.source not in source.gradients:
            continue
        turn, name = entry.load.turn, entry.source
        yield compared(
            entry.name, layer_of(entry), name, turn.apply(source.gradients[name]),
            port.gradients.get(entry.name),
            [turn.apply(it.gradients[name]) for it in sources32],
            port32.gradients.get(entry.name) if port32 else None, limit, exact,
        )  # fmt: skip
    for at, spec in enumerate(specs):
        gradient = source.input_gradients[at]
        if gradient is None:
            continue
        own32 = [found for it in sources32 if (found := it.input_gradients[at]) is not None]
        yield compared(
            f"input {at}", spec.tensor.name, spec.tensor.name, held(gradient, spec.order, spec.tensor),
            port.input_gradients[at], [held(it, spec.order, spec.tensor) for it in own32],
            port32.input_gradients[at] if port32 else None, limit, exact,
        )  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """Rows, and what a reader has to know of them."""

    rows: list[Row]
    notes: tuple[str, ...] = ()


def gradients(
    entries: Sequence[Entry], specs: Sequence[Spec], source: source_runs.Trained, port: port_runs.Trained,
    source32: source_runs.Trained | None, port32: port_runs.Trained | None,
    again: Callable[[int], source_runs.Trained], limit: float, exact: bool,
) -> Measured:  # fmt: skip
    """`gradient_rows`, TensorFlow's float32 run made again where the port's looks worse.

    `again`: that run with its last bits moved by the seed given.
    """

    def rows(nudged: Sequence[source_runs.Trained]) -> list[Row]:
        own = [source32, *nudged] if source32 else []
        return list(gradient_rows(entries, specs, source, port, own, port32, limit, exact))

    return measured(
        rows, again, lambda found: source32 is not None and any(it.only_in_float32 for it in found),
        "this network magnifies rounding: TensorFlow's float32 error in gradients is the largest of {} "
        "runs more, weights and inputs moved by a last bit",
    )  # fmt: skip


def measured(
    rows: Callable[[Sequence[source_runs.Trained]], list[Row]], again: Callable[[int], source_runs.Trained],
    is_doubtful: Callable[[list[Row]], bool], note: str,
) -> Measured:  # fmt: skip
    """Rows, measured again with one more of TensorFlow's own runs as long as they are doubtful.

    `again`: TensorFlow's run with its last bits moved by the seed given. `note` says so, {} times.
    """
    nudged: list[source_runs.Trained] = []
    found = rows(nudged)
    while is_doubtful(found) and len(nudged) < NUDGED:
        nudged.append(again(1 + len(nudged)))
        found = rows(nudged)
    return Measured(found, (note.format(len(nudged)),) if nudged else ())


def compared(
    name: str, layer: str, tensor: str, want: np.ndarray, got: np.ndarray | None,
    wants32: Sequence[np.ndarray], got32: np.ndarray | None, limit: float, exact: bool,
) -> Row:  # fmt: skip
    """One gradient. None is what torch has where nothing depends on the tensor: zero."""
    noise = max((difference(it, want) for it in wants32), default=0.0)
    own = noise / scale_of(want, noise) if wants32 else None
    found = compare(np.zeros_like(want) if got is None else got, want, noise)
    low = None
    if wants32:
        low = compare(np.zeros_like(wants32[0]) if got32 is None else got32, want, noise)
    if not exact and own is not None:
        limit = max(limit, MULTIPLE * own + FLOOR)
    note = "no gradient reaches it in the port" if got is None and np.any(want) else ""
    if found.problem == "" and not exact:
        note = note or "TensorFlow has no float64 kernel on the way: float32's limit"
    return row("gradient", name, layer, tensor, found, limit, low, own, note)


def steps(
    entries: Sequence[Entry], source: source_runs.Trained, port: port_runs.Trained,
    source32: source_runs.Trained | None, again: Callable[[int], source_runs.Trained],
    before: Mapping[str, np.ndarray], count: int, limit: float, exact: bool,
) -> Measured:  # fmt: skip
    """`step_rows`; where they are off by little, against what a last bit does to TensorFlow's own steps.

    `again`: TensorFlow's steps with its last bits moved by the seed given.
    """

    def rows(nudged: Sequence[source_runs.Trained]) -> list[Row]:
        return list(step_rows(entries, source, port, source32, nudged, before, count, limit, exact))

    def is_doubtful(found: list[Row]) -> bool:
        errors = [it.error64 for it in found if not it.passed]
        return bool(errors) and all(it is not None and it <= MAGNIFIED for it in errors)

    return measured(
        rows, again, is_doubtful,
        "training magnifies rounding: weights after some steps are compared with what a last bit of "
        "weights and inputs does to TensorFlow's own, in {} runs",
    )  # fmt: skip


def step_rows(
    entries: Sequence[Entry], source: source_runs.Trained, port: port_runs.Trained,
    source32: source_runs.Trained | None, nudged: Sequence[source_runs.Trained],
    before: Mapping[str, np.ndarray], steps: int, limit: float, exact: bool,
) -> Iterator[Row]:  # fmt: skip
    """Every weight and running statistic after the last step.

    `nudged`: the source's steps with last bits moved. `exact`: the port promises Keras's own running
    variance, not torch's.
    """
    smallest = limit
    for entry in entries:
        got = port.state.get(entry.name)
        if isinstance(entry.load, Fill):
            if entry.load.shape and got is not None:
                found = compare(got, np.full(got.shape, entry.load.value, got.dtype))
                yield row("steps", entry.name, layer_of(entry), "", found, limit)
            continue
        if got is None:
            yield Row(
                "steps",
                entry.name,
                layer_of(entry),
                entry.source,
                False,
                note="the port has no such state",
            )
            continue
        turn, name = entry.load.turn, entry.source
        want = turn.apply(source.weights[name])
        scale = scale_of(want)
        if name in source.gradients:
            noise = 0.0 if source32 is None else difference(source32.gradients[name], source.gradients[name])
            scale = max(
                float(np.max(np.abs(want), initial=0.0)),
                source.rate * steps * scale_of(source.gradients[name], noise),
            )
        noise = max((difference(turn.apply(it.weights[name]), want) for it in nudged), default=0.0)
        limit = max(smallest, MULTIPLE * noise / scale) if scale else smallest
        found, note = compare(got, want, scale=scale), ""
        right = found.error is not None and found.error <= limit
        running = source.unbiased.get(name)
        if running and (running.own or not (right or exact)):
            other = compare(got, turn.apply(running.value), scale=scale)
            if other.error is not None and other.error <= limit:
                found, note = other, running.note
            else:
                note = another_order(running, turn, got, before[name], steps) or momentum(
                    got, turn.apply(before[name]), want
                )
                found = Compared(other.error, other.problem)
        elif not right:
            note = momentum(got, turn.apply(before[name]), want)
        yield row("steps", entry.name, layer_of(entry), name, found, limit, note=note)


def another_order(
    running: RunningVariance, turn: Turn, got: np.ndarray, before: np.ndarray, steps: int
) -> str:
    """Whether the calls of a shared layer came in another order than in the source."""
    for order, value in running.reordered(before, steps):
        if agrees(got, turn.apply(value)):
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
