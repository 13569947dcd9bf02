"""The port against what was recorded of the source: one precision after the other, tensors as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.graph import Op
from torchport.verify import dropout, forward, memory, training
from torchport.verify.compare import Compared
from torchport.verify.diagnosis import localise
from torchport.verify.forward import Seen, Watch
from torchport.verify.instrument import Instrumented
from torchport.verify.observations import Facts, Nudge, Observations, Record, Source, Training
from torchport.verify.places import Places
from torchport.verify.port_runs import PortRuns
from torchport.verify.progress import teller
from torchport.verify.result import Row, first_line
from torchport.verify.training import MAGNIFIED, Gradients

#: So often the source is run again with last bits moved, where the port looks wrong by as little.
NUDGES = 6
#: Errors up to these may be rounding inside of a layer, which no moved input shows.
DOUBTFUL = {"float64": MAGNIFIED, "float32": 1e-2}
#: A row, and the tensor that it is of where it is one of `forward`.
Found = tuple[Row, Seen | None]


@dataclass
class Pass:
    """What one run of the port gave, compared: its tensors, its outputs, in training what followed."""

    watch: Watch
    outputs: list[Compared] = field(default_factory=list)
    gradients: Gradients | None = None
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    draws: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Comparison:
    """The port against a record; rows are made when both precisions are known.

    `load`: makes the port in a precision. `port`: the one at hand.
    """

    truth: Source
    record: Record
    places: Places
    facts: Facts
    load: Callable[[Instrumented, str], PortRuns]
    code: Instrumented
    port: PortRuns
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    causes: dict[Row, str] = field(default_factory=dict)
    explained: dict[tuple[str, Seen], str] = field(default_factory=dict)
    #: Tensors that no expression of the port gives alone.
    unseen: list[str] = field(default_factory=list)
    #: Whether the port at hand has been trained: its weights are no longer those of its file.
    is_trained: bool = False

    def run(self, steps: int, low: bool, exact: bool) -> int:
        """All that is asked, and how many steps were compared.

        `low`: float32 beside float64. `exact`: what `training.step_rows` says.
        """
        record, trained = self.record, self.record.training
        one = self.inference(record.inference)
        if one is None:
            return steps
        nudge, _ = self.nudge("inference", lambda found: self.forward_rows("inference", one, None, found))
        self.explain("inference", one, nudge)
        self.note_unseen(one.watch)
        sizes = list(self.size_rows())
        two, training_nudge, more = None, None, list[Row]()
        if trained is None:
            note = f"TensorFlow does not train this model here: {record.problem}"
            more.append(Row("training", "forward", "", "", None, note=note))
        elif two := self.training(trained, steps):
            more += self.dropout_rows(one, two)
            training_nudge, is_open = self.training_nudge(two, steps, exact)
            if is_open and steps > 1 and (again := self.again(steps)):
                steps, two = 1, again
                training_nudge, _ = self.training_nudge(two, steps, exact)
            self.explain("training", two, training_nudge)
        both = low and record.inference.dtype == "float64"
        one_low = self.inference(record.inference, "float32") if both else None
        both = both and trained is not None and trained.dtype == "float64" and two is not None
        two_low = self.training(trained, 0, "float32") if both and trained and one_low else None
        found = self.magnified(
            "inference", lambda: self.forward_rows("inference", one, one_low, nudge), one_low is not None
        )
        found += [(it, None) for it in sizes]
        if two:
            found += self.magnified(
                "training",
                lambda: self.training_rows(two, two_low, training_nudge, steps, exact),
                two_low is not None,
            )
        for row, at in found:
            if at and row.differs and (row.check, at) in self.explained:
                self.causes[row] = self.explained[row.check, at]
        failures, self.rows = self.rows, []
        self.rows = [*(row for row, _ in found), *more, *failures]
        return steps

    def teller(self, dtype: str, mode: str) -> Callable[[str], None]:
        """Tells which tensor of the port was compared last."""
        text = f"the port in {dtype}, {mode} mode"
        self.truth.tell(text)
        return teller(self.truth.tell, text)

    # The port's runs

    def in_dtype(self, dtype: str) -> PortRuns:
        """The port in a precision, with the weights of its file; the one before is let go of."""
        if self.is_trained or self.port.dtype != dtype:
            self.port.module = None
            memory.release()
            self.port, self.is_trained = self.load(self.code, dtype), False
        return self.port

    def inference(self, reference: Observations, dtype: str = "") -> Pass | None:
        """One run in inference mode; None, and rows, where it fails."""
        dtype = dtype or reference.dtype
        made = Pass(Watch(reference, self.teller(dtype, "inference")))
        try:
            port = self.in_dtype(dtype)
            outputs = port.inference(self.record.inputs, made.watch)
            made.draws = dict(port.draws)
        except Exception as error:  # the port may be wrong in any way
            self.fail("inference", made.watch, error)
            return None
        made.outputs = self.compared(outputs, reference)
        return made

    def training(self, truth: Training, steps: int, dtype: str = "") -> Pass | None:
        """Steps in training mode; None, and rows, where it fails."""
        entries = {it.name: it for it in self.places.record.weights}
        gradients = Gradients(entries, self.places.record.inputs, truth)
        dtype = dtype or truth.dtype
        made = Pass(Watch(truth.tensors, self.teller(dtype, "training")), gradients=gradients)

        def first(outputs: list[np.ndarray]) -> None:
            made.outputs = self.compared(outputs, truth.tensors)

        try:
            port = self.in_dtype(dtype)
            self.is_trained = True
            ran = port.training(
                self.record.inputs, truth.projections, steps, truth.rate, made.watch, first, gradients
            )
        except Exception as error:  # the port may be wrong in any way
            self.fail("training", made.watch, error)
            return None
        made.state, made.draws = ran.state, ran.draws
        return made

    def fail(self, check: str, watch: Watch, error: Exception) -> None:
        """The port stopped: what it gave until then, and where it was."""
        self.explain(check, Pass(watch), None)
        for row, at in forward.rows(check, watch, None):
            self.rows.append(row)
            if (check, at) in self.explained and row.differs:
                self.causes[row] = self.explained[check, at]
        self.rows.append(failed("run", error, localise.after(watch, self.places)))

    def compared(self, outputs: Sequence[np.ndarray], reference: Observations) -> list[Compared]:
        return forward.compared_outputs(self.places.record.outputs, outputs, reference.outputs)

    # Rows

    def forward_rows(self, check: str, one: Pass, low: Pass | None, nudge: Nudge | None) -> list[Found]:
        """Of every layer's output, then of every output of the model."""
        found: list[Found] = list(forward.rows(check, one.watch, low.watch if low else None, nudge))
        return [*found, *((it, None) for it in self.output_rows(check, one, low, nudge))]

    def output_rows(self, check: str, one: Pass, low: Pass | None, nudge: Nudge | None) -> Iterable[Row]:
        graph, specs = self.places.record.graph, self.places.record.outputs
        ops: list[Op | None] = [
            next((op for op in graph.ops if name in op.outputs), None) for name in graph.outputs
        ]
        reference = one.watch.reference
        return forward.output_rows(
            check, specs, ops, one.outputs, low.outputs if low else (), reference, nudge
        )

    def training_rows(
        self, two: Pass, low: Pass | None, nudge: Nudge | None, steps: int, exact: bool
    ) -> list[Found]:
        """Of outputs, of gradients, and of weights after the steps."""
        assert two.gradients is not None
        rows = list(training.gradient_rows(two.gradients, low.gradients if low else None, nudge))
        if steps:
            stepped = training.step_rows(two.gradients, two.state, self.facts.variables, steps, exact, nudge)
            rows += (localise.with_momentum(it, self.port.module, self.places) for it in stepped)
        return [*self.forward_rows("training", two, low, nudge), *((it, None) for it in rows)]

    def size_rows(self) -> Iterable[Row]:
        """Outputs at other sizes than the first."""
        if self.record.sizes is None:
            return ()
        arrays, reference = self.record.sizes
        try:
            outputs = self.in_dtype(reference.dtype).inference(arrays)
        except Exception as error:  # the port may be wrong in any way
            return (failed("sizes", error, ""),)
        reference.inexact = self.record.inference.inexact
        made = Pass(Watch(reference), self.compared(outputs, reference))
        _, rows = self.nudge(
            "sizes", lambda found: [(it, None) for it in self.output_rows("sizes", made, None, found)]
        )
        return [row for row, _ in rows]

    def dropout_rows(self, one: Pass, two: Pass) -> Iterable[Row]:
        """Of every layer that is random. `one`, `two`: the port's runs in inference and training mode."""
        if any(dropout.random_layers(self.places.record.graph)):
            self.notes.append("values were compared with dropout off on both sides")
        passes = {"inference": one, "training": two}
        calls = {mode: it.watch.reference.draws for mode, it in passes.items()}
        ran = {mode: it.draws for mode, it in passes.items()}
        rows = dropout.dropout_rows(self.port.module, self.places, self.facts.amounts, ran, calls)
        return [*rows, *dropout.recurrent_rows(self.port.module, self.places, self.facts.rates)]

    def note_unseen(self, watch: Watch) -> None:
        """What could not be compared alone."""
        compared = {key for key, _ in watch.seen}
        alone = [
            forward.name_of(key)
            for key in watch.reference.tensors
            if key not in compared and ".linear" not in key[1]
        ]
        self.unseen = alone
        if alone:
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            names = ", ".join(alone[:5])
            self.notes.append(
                f"no expression of the port gives these alone, only what follows: {names}{more}"
            )
        if watch.unknown:
            names = ", ".join(sorted(map(forward.name_of, watch.unknown))[:5])
            self.notes.append(f"not compared, as no Keras layer gives them alone: {names}")

    # In doubt

    def training_nudge(self, two: Pass, steps: int, exact: bool) -> tuple[Nudge | None, bool]:
        """How far last bits move training, and whether that leaves open what steps make of the weights."""
        nudge, found = self.nudge("training", lambda it: self.training_rows(two, None, it, steps, exact))
        is_open = any(row.check == "steps" and row.passed is None for row, _ in found)
        return nudge, is_open and not any(row.differs for row, _ in found)

    def again(self, steps: int) -> Pass | None:
        """One step, where `steps` magnify rounding too far."""
        trained = self.truth.first_step()
        made = self.training(trained, 1) if trained else None
        if made:
            self.record.training = trained
            self.notes.append(
                f"{steps} training steps magnify rounding beyond what can be decided: weights after one count"
            )
        return made

    def nudge(
        self, mode: str, rows: Callable[[Nudge | None], list[Found]]
    ) -> tuple[Nudge | None, list[Found]]:
        """How far last bits move the source, and the rows with that in view.

        It is asked for where rows differ, for as long as it tells more.
        """
        found, count, judged = None, 0, rows(None)
        wrong = beyond(judged)
        if wrong and not self.record.of(mode).noise and self.is_doubtful(mode, wrong):
            found = self.measure(mode)
            judged = rows(found)
            wrong = beyond(judged)
        while wrong and count < NUDGES:
            count += 1
            made = self.truth.nudge(mode, self.record.of(mode).dtype, count)
            found = found.widened(made) if found else made
            judged = rows(found)
            left = beyond(judged)
            if len(left) == len(wrong) and any((error_of(row) or 0.0) > MAGNIFIED for row in left):
                break
            wrong = left
        if count and not wrong:
            self.notes.append(
                f"{mode} mode: rounding was measured by what a last bit of weights and inputs does to "
                f"TensorFlow, in {count} runs"
            )
        return found, judged

    def is_doubtful(self, mode: str, rows: Sequence[Row]) -> bool:
        """Whether rows differ by so little that rounding inside of a layer may be why."""
        most = DOUBTFUL[self.record.of(mode).dtype]
        return mode != "sizes" and all((error_of(it) or 0.0) <= most for it in rows)

    def measure(self, mode: str) -> Nudge | None:
        """TensorFlow's own float32 error, where one precision alone was asked for; it counts from now on.

        Moved inputs and weights tell nothing of the rounding in a layer: of a saturated gate its own last bit
        is all that the gradient is. With both precisions the float32 error counts from the start.
        """
        error = self.truth.float32_error(mode)
        if error is None:
            return None
        self.notes.append(
            f"{mode} mode: rounding was measured by TensorFlow's float32, run beside what was asked for"
        )
        reference, trained = self.record.of(mode), self.record.training
        if reference.dtype == "float32":
            return error
        reference.noise, reference.output_noise = error.tensors, error.outputs
        if trained and mode == "training":
            trained.noise = error.gradients
        return None

    def magnified(self, mode: str, rows: Callable[[], list[Found]], low: bool) -> list[Found]:
        """Rows; where the port's float32 looks worse, TensorFlow's is run again: its largest error counts."""
        found, count = rows(), 0
        reference, trained = self.record.of(mode), self.record.training
        while low and any(row.only_in_float32 for row, _ in found) and count < NUDGES:
            count += 1
            nudge = self.truth.nudge(mode, "float32", count)
            if mode == "training" and trained:
                widen(trained.noise, nudge.gradients)
            widen(reference.noise, nudge.tensors)
            pairs = zip(reference.output_noise, nudge.outputs, strict=True)
            reference.output_noise = [max(it) for it in pairs]
            found = rows()
        if count:
            self.notes.append(
                f"{mode} mode: this network magnifies rounding: TensorFlow's float32 error is the largest of "
                f"{count} runs more, weights and inputs moved by a last bit"
            )
        return found

    def explain(self, check: str, one: Pass, nudge: Nudge | None) -> None:
        """Why the first tensor that differs does."""
        for row, at in forward.rows(check, one.watch, None, nudge):
            if row.differs and at in one.watch.wrong:
                port = self.in_dtype(self.port.dtype)
                scene = localise.Scene(self.places, self.record.inputs, self.facts.variables)
                self.explained[check, at] = localise.explain(one.watch, at, port, scene, check == "training")
                return


def beyond(rows: Iterable[Found]) -> list[Row]:
    """Those that differ, and say by how much."""
    return [row for row, _ in rows if row.differs and error_of(row) is not None]


def error_of(row: Row) -> float | None:
    return row.error64 if row.error64 is not None else row.error32


def widen(noise: dict[Any, float], other: Mapping[Any, float]) -> None:
    """The larger of two distances, where there is one to widen."""
    for key in noise.keys() & other.keys():
        noise[key] = max(noise[key], other[key])


def failed(check: str, error: Exception, layer: str, before: str = "") -> Row:
    note = f"{before}{type(error).__name__}: {first_line(error)}"
    return Row(check, "forward", layer, "", None if is_batch_of_one(error) else False, note=note)


def is_batch_of_one(error: Exception) -> bool:
    """Whether torch's batch norm does not train on one value a channel, of which Keras's makes zeros.

    Source: _verify_batch_size in torch/nn/functional.py.
    """
    return isinstance(error, ValueError) and str(error).startswith("Expected more than 1 value per channel")
