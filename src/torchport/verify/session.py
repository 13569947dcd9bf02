"""One verification, from loading both sides to the result: the steps in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torchport import pipeline
from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.pipeline import Program
from torchport.verify import (
    checks,
    dropout,
    forward,
    frameworks,
    inputs,
    localise,
    port_runs,
    source_runs,
    training,
)
from torchport.verify.compare import LIMIT, LIMIT32, compare, difference
from torchport.verify.dropout import random_layers
from torchport.verify.folder import read_record
from torchport.verify.instrument import Instrumented, instrument
from torchport.verify.places import Places
from torchport.verify.record import Key
from torchport.verify.reference import Reference, value_of, variables
from torchport.verify.result import Row, Verification, first_line
from torchport.verify.source_runs import SourceRuns


@dataclass
class Session:
    """Both sides, what they are run on, and the rows so far."""

    folder: Path
    program: Program
    places: Places
    reference: Reference
    class_name: str
    given: Any
    seed: int
    steps: int
    tell: Callable[[str], None]
    exact: bool = False
    #: Whether float32 is compared as well.
    float32: bool = True
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    precision: str = "float64"
    arrays: list[np.ndarray] = field(default_factory=list)
    causes: dict[Row, str] = field(default_factory=dict)
    source_variables: dict[str, Any] = field(default_factory=dict)
    #: Whether TensorFlow computes some layer in float32 although asked for float64.
    inexact: bool = False

    @classmethod
    def start(
        cls, source: Any, folder: Path, program: Program | None, given: Any, seed: int, steps: int,
        tell: Callable[[str], None], custom: Mapping[str, Any], float32: bool = True,
    ) -> Session:  # fmt: skip
        record = read_record(folder)
        options = record["options"]
        tell("reading the source")
        program = program or pipeline.port(source, options)
        tell("loading it with TensorFlow")
        frameworks.torch()
        reference = Reference.load(source, program.graph, custom)
        places = Places.of(program, options.keep_io)
        return cls(
            folder,
            program,
            places,
            reference,
            record["class"],
            given,
            seed,
            steps,
            tell,
            options.exact,
            float32,
        )

    @property
    def graph(self) -> Graph:
        return self.program.graph

    def result(self) -> Verification:
        described = tuple(
            {"name": name, "shape": list(array.shape), "dtype": str(self.graph.tensors[name].dtype),
             "from": "the user" if self.given is not None else "random numbers"}
            for name, array in zip(self.graph.inputs, self.arrays, strict=False)
        )  # fmt: skip
        return Verification(
            tuple(map(self.in_its_column, self.rows)), localise.first(self.rows, self.causes),
            tuple(self.notes),
            frameworks.versions(self.reference.keras), described, self.precision, self.seed, self.steps,
        )  # fmt: skip

    def in_its_column(self, row: Row) -> Row:
        """A row whose errors stand where their precision belongs."""
        if self.precision == "float64" or row.check in ("reference", "state") or row.error64 is None:
            return row
        return replace(row, error64=None, error32=row.error64, limit=None, limit32=row.limit)

    def run(self) -> Verification:
        """All checks; stops early only where the port does not run."""
        self.tell("comparing weights")
        originals = dict(variables(self.reference.model, self.graph))
        self.source_variables = originals
        self.rows += checks.state_rows(self.folder, self.program.entries, originals)
        source32 = SourceRuns.of(self.reference, "float32")
        self.arrays, outputs32 = self.choose_inputs(source32)
        self.rows += self.rebuilt_rows(outputs32)
        source = self.in_float64(source32)
        if not self.float32:
            source32 = source  # it is not run again, and takes room
            self.notes.append("float32 was not compared: float32=False was asked for")
        try:
            code = instrument(self.folder / "model.py", self.places.classes)
            port = self.load(code, self.precision)
            both = self.precision == "float64" and self.float32
            port32 = self.load(code, "float32") if both else None
        except Exception as error:  # model.py is the user's: it may raise anything
            self.rows.append(failed("run", error, "", "model.py or its weights cannot be loaded: "))
            return self.result()
        trained = {id(it) for it in self.reference.model.trainable_variables}
        self.rows += checks.trainable_rows(port.module, self.program.entries, originals, trained)
        self.tell("inference mode")
        if not self.inference(source, source32, port, port32):
            return self.result()
        self.other_sizes(source, port)
        self.tell("training mode")
        self.training(source, source32, port, port32)
        self.note_edits(code)
        return self.result()

    def load(self, code: Instrumented, dtype: str) -> port_runs.PortRuns:
        return port_runs.PortRuns.load(code, self.class_name, self.places, dtype, self.reference.keras)

    # The source's side, and what both run on

    @property
    def batches(self) -> dict[str, int | None]:
        """The batch that the source was built for, by input."""
        models = self.reference.model.inputs
        return {name: it.shape[0] for name, it in zip(self.graph.inputs, models, strict=False)}

    def choose_inputs(self, source: SourceRuns) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Inputs that the model takes, and its float32 outputs for them."""
        self.tell("choosing inputs")
        if self.given is not None:
            arrays = inputs.given(self.graph, self.given)
            return arrays, source.inference(arrays)
        chosen = inputs.choose(self.graph, self.batches, self.seed, source.inference)
        self.notes += chosen.notes
        return chosen.arrays, chosen.outputs

    def rebuilt_rows(self, outputs32: Sequence[np.ndarray]) -> list[Row]:
        """What is compared with is a rebuilt model: it has to be the source."""
        if self.reference.is_mixed:
            self.notes.append(
                "the source computes in reduced precision; it is compared in float64 and float32"
            )
            return []
        given = [it.astype(np.float32) if it.dtype.kind == "f" else it for it in self.arrays]
        own = self.reference.call(self.reference.model, given, training=False)
        made = []
        for at, (want, got) in enumerate(zip(own, outputs32, strict=True)):
            name = self.graph.outputs[at]
            found = compare(got, np.asarray(want).astype(got.dtype))
            made.append(forward.row("reference", f"output {at}", name, name, found, 1e-6))
        return made

    def in_float64(self, source32: SourceRuns) -> SourceRuns:
        """The float64 model; where TensorFlow lacks a kernel for it, the float32 one, and a note."""
        try:
            source = SourceRuns.of(self.reference, "float64")
            source.inference(self.arrays)
        except TorchportError:
            raise
        except Exception as error:  # whatever TensorFlow raises for a missing kernel
            self.precision = "float32"
            self.notes.append(
                f"TensorFlow does not run this model in float64 ({first_line(error)}): float32 only"
            )
            return source32
        return source

    # The comparisons

    def inference(
        self,
        source: SourceRuns,
        source32: SourceRuns,
        port: port_runs.PortRuns,
        port32: port_runs.PortRuns | None,
    ) -> bool:
        """Rows of inference mode; False where the port does not run to its end."""
        at = forward.Reference(limit=self.limit)
        first_inexact: list[Key] = []
        want = source.inference(self.arrays, at.tensors.__setitem__, first_inexact.append)
        noise: list[float] = []
        if port32:
            low: dict[Key, np.ndarray] = {}
            want32 = source32.inference(self.arrays, low.__setitem__)
            at.noise = forward.noises(low, at.tensors)
            noise = [difference(a, b) for a, b in zip(want32, want, strict=True)]
        if first_inexact:
            keys = list(at.tensors)
            at.inexact = set(keys[keys.index(first_inexact[0]) :])
            name = forward.name_of(first_inexact[0])
            self.notes.append(f"TensorFlow computes {name} in float32: from there on float32's limit applies")
        watch = forward.Watch(at)
        self.inexact = bool(first_inexact)
        ran = self.compare_forward("inference", watch, port, port32, want, noise)
        compared = {key for key, _ in watch.seen}
        alone = [
            forward.name_of(key) for key in at.tensors if key not in compared and ".linear" not in key[1]
        ]
        if ran and alone:
            more = f" and {len(alone) - 5} more" if len(alone) > 5 else ""
            names = ", ".join(alone[:5])
            self.notes.append(
                f"no expression of the port gives these alone, only what follows: {names}{more}"
            )
        if watch.unknown:
            names = ", ".join(sorted(map(forward.name_of, watch.unknown))[:5])
            self.notes.append(f"not compared, as no Keras layer gives them alone: {names}")
        return ran

    @property
    def limit(self) -> float:
        return LIMIT if self.precision == "float64" else LIMIT32

    def compare_forward(
        self, check: str, watch: forward.Watch, port: port_runs.PortRuns, port32: port_runs.PortRuns | None,
        want: Sequence[np.ndarray], noise: Sequence[float],
    ) -> bool:  # fmt: skip
        try:
            got = port.inference(self.arrays, watch)
            low = forward.Watch(watch.reference) if port32 else None
            got32 = port32.inference(self.arrays, low) if port32 else []
        except Exception as error:  # the port may be wrong in any way
            self.forward_rows(check, watch, None, port)
            self.rows.append(failed("run", error, localise.after(watch, self.places)))
            return False
        self.forward_rows(check, watch, low, port)
        self.output_rows(check, got, want, got32, noise)
        return True

    def forward_rows(
        self, check: str, watch: forward.Watch, low: forward.Watch | None, port: port_runs.PortRuns
    ) -> None:
        explained = False
        scene = localise.Scene(self.places, self.arrays, self.source_variables)
        for row, at in forward.rows(check, watch, low):
            self.rows.append(row)
            if row.differs and not explained and at in watch.wrong:
                explained = True
                self.causes[row] = localise.explain(watch, at, port, scene, check == "training")

    def output_rows(
        self, check: str, got: Sequence[np.ndarray], want: Sequence[np.ndarray],
        got32: Sequence[np.ndarray] = (), noise: Sequence[float] = (),
    ) -> None:  # fmt: skip
        limit = self.limit if not self.inexact else 1e-4
        layers = [localise.output_layer(self.graph, name) for name in self.graph.outputs]
        specs = self.program.definition.outputs
        self.rows += forward.output_rows(check, specs, layers, got, want, got32, noise, limit)

    def other_sizes(self, source: SourceRuns, port: port_runs.PortRuns) -> None:
        """Sizes that nothing divides, where the model leaves them open and TensorFlow takes them."""
        sizes = inputs.odd(self.graph, self.batches)
        if self.given is not None or sizes is None:
            return
        arrays = inputs.random(self.graph, sizes, self.seed)
        try:
            want = source.inference(arrays)
        except (
            Exception
        ):  # TensorFlow has many kinds for a shape that does not fit: then there is no such check
            return
        try:
            got = port.inference(arrays)
        except Exception as error:
            self.rows.append(failed("sizes", error, ""))
            return
        self.output_rows("sizes", got, want)

    def training(
        self,
        source: SourceRuns,
        source32: SourceRuns,
        port: port_runs.PortRuns,
        port32: port_runs.PortRuns | None,
    ) -> None:
        """Rows of training mode: forward, gradients, steps, dropout."""
        rng = np.random.default_rng(self.seed + 1)
        shapes = [it.shape for it in source.inference(self.arrays)]
        projections = [rng.standard_normal(shape) for shape in shapes]
        at = forward.Reference(limit=self.limit)
        before = Before(self.source_variables, source.dtype)
        theirs = source.training(self.arrays, projections, self.steps, at.tensors.__setitem__)
        theirs32, noise = None, []
        if port32:
            low: dict[Key, np.ndarray] = {}
            theirs32 = source32.training(self.arrays, projections, 0, low.__setitem__, theirs.rate)
            at.noise = forward.noises(low, at.tensors)
            noise = [difference(a, b) for a, b in zip(theirs32.outputs, theirs.outputs, strict=True)]
        inexact = self.inexact
        if inexact:
            at.inexact = set(at.tensors)
        watch, below = forward.Watch(at), forward.Watch(at)
        try:
            ours = port.training(self.arrays, projections, self.steps, theirs.rate, watch)
            ours32 = port32.training(self.arrays, projections, 0, theirs.rate, below) if port32 else None
        except Exception as error:  # the port may be wrong in any way
            self.forward_rows("training", watch, None, port)
            self.rows.append(failed("run", error, localise.after(watch, self.places)))
            return
        self.forward_rows("training", watch, below if port32 else None, port)
        self.output_rows("training", ours.outputs, theirs.outputs, ours32.outputs if ours32 else (), noise)
        calls: dict[str, int] = {}
        for chain, name in at.tensors:
            layer = "/".join((*(it.partition("@")[0] for it in chain), name.partition("@")[0]))
            calls[layer] = calls.get(layer, 0) + 1
        self.rows += dropout.dropout_rows(port.module, self.places, self.reference.model, ours.dropped, calls)
        entries, specs = self.program.entries, self.program.definition.inputs

        def ignore(key: Key, value: np.ndarray) -> None:
            """What layers give is compared already."""

        def again(number: int) -> source_runs.Trained:
            with source32.nudged(self.arrays, self.seed + number) as given:
                return source32.training(given, projections, 0, ignore, theirs.rate)

        exact = not inexact
        made = training.gradients(entries, specs, theirs, ours, theirs32, ours32, again, self.limit, exact)
        self.rows += made.rows
        self.notes += made.notes
        if self.steps:
            limit = LIMIT32 if inexact else self.limit

            def stepped(number: int) -> source_runs.Trained:
                with source.nudged(self.arrays, self.seed + number, before) as given:
                    return source.training(given, projections, self.steps, ignore, theirs.rate)

            made = training.steps(
                entries, theirs, ours, theirs32, stepped, before, self.steps, limit, self.exact
            )
            self.rows += made.rows
            self.notes += made.notes
        if any(random_layers(self.graph)):
            self.notes.append("training mode was compared with dropout off on both sides")

    def note_edits(self, code: Instrumented) -> None:
        """Edited lines need not give the source's tensors; what they compute in the end must agree."""
        if code.edited or code.missing:
            names = ", ".join(sorted(code.edited | code.missing))
            self.notes.append(
                f"model.py was edited ({names}): not every layer's output could be compared there"
            )
            wrong = [row for row in self.rows if row.differs]
            if all(
                row.check in ("inference", "training") and not row.name.startswith("output ") for row in wrong
            ):
                said = "differs inside of edited code; outputs, gradients and training agree"
                self.rows = [
                    replace(row, passed=True, note=said) if row in wrong else row for row in self.rows
                ]


@dataclass(frozen=True)
class Before(Mapping[str, np.ndarray]):
    """The source's variables as they are before training, in what runs' precision; made when asked for."""

    variables: Mapping[str, Any]
    dtype: str

    def __getitem__(self, name: str) -> np.ndarray:
        found = value_of(self.variables[name])
        return found.astype(self.dtype) if found.dtype.kind == "f" else found

    def __iter__(self) -> Iterator[str]:
        return iter(self.variables)

    def __len__(self) -> int:
        return len(self.variables)


def failed(check: str, error: Exception, layer: str, before: str = "") -> Row:
    return Row(
        check,
        "forward",
        layer,
        "",
        False,
        note=f"{before}{type(error).__name__}: {first_line(error)}",
    )
