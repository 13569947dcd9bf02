"""One verification: the source's side is recorded, then the port is compared with it as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torchport.record import PortRecord
from torchport.verify import checks, frameworks
from torchport.verify.checks import parent
from torchport.verify.comparison import Comparison, failed
from torchport.verify.diagnosis import localise
from torchport.verify.folder import (
    check_rules,
    check_same,
    read_record,
    shapes_of,
    source_graph,
    variables_of,
)
from torchport.verify.instrument import Instrumented, instrument, watched
from torchport.verify.observations import Record, Source
from torchport.verify.places import Places
from torchport.verify.port_runs import PortRuns
from torchport.verify.process import Died, truth_of
from torchport.verify.recording import Recording, is_recording
from torchport.verify.result import Row, Verification


@dataclass
class Session:
    """Both sides, and the rows so far."""

    folder: Path
    port: PortRecord
    truth: Source
    given: Any
    seed: int
    steps: int
    tell: Callable[[str], None]
    #: float64, float32, or both.
    precision: str = "both"
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    record: Record | None = None
    causes: dict[Row, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(
        cls, source: Any, folder: Path, scratch: Path, given: Any, seed: int,
        steps: int, tell: Callable[[str], None], custom: Any, precision: str,
    ) -> Session:  # fmt: skip
        port = read_record(folder)
        if is_recording(source):
            kept = Recording.load(Path(source), tell)
            check_same(port, set(kept.known.variables), kept.known.shapes, folder)
            told = (kept.settings[name] for name in ("seed", "steps", "precision"))
            seed, steps, precision = told
            return cls(folder, port, kept, given, seed, steps, tell, precision)
        check_rules(port)
        tell("reading the source")
        graph = source_graph(source, port.options)
        check_same(port, {name for name, _ in variables_of(graph)}, shapes_of(graph), folder)
        tell("loading it with TensorFlow")
        truth = truth_of(source, graph, custom, scratch, tell)
        return cls(folder, port, truth, given, seed, steps, tell, precision)

    def result(self) -> Verification:
        arrays = self.record.inputs if self.record else []
        described = tuple(
            {"name": name, "shape": list(array.shape), "dtype": self.port.graph.tensors[name].dtype,
             "from": "the user" if self.is_given else "random numbers"}
            for name, array in zip(self.port.graph.inputs, arrays, strict=False)
        )  # fmt: skip
        dtype = self.record.inference.dtype if self.record else "float64"
        return Verification(
            tuple(self.rows), localise.first(self.rows, self.causes), tuple(self.notes),
            {**frameworks.versions(), **self.versions}, described, dtype, self.seed, self.steps,
        )  # fmt: skip

    @property
    def is_given(self) -> bool:
        """Whether the user chose the inputs."""
        return self.given is not None or (isinstance(self.truth, Recording) and self.truth.settings["given"])

    def run(self) -> Verification:
        """All checks; stops early only where a side does not run."""
        try:
            return self.checked()
        except Died as error:
            note = f"{error}: what it had not computed yet could not be compared"
            self.rows.append(Row("run", "TensorFlow", "", "", None, note=note))
            return self.result()
        finally:
            self.truth.close()

    def checked(self) -> Verification:
        self.tell("comparing weights")
        facts = self.truth.facts()
        self.versions = facts.versions
        self.follow_names(facts.variables)
        self.rows += checks.state_rows(self.folder, self.port.weights, facts.variables)
        if checks.all_differ(self.rows):
            self.notes.append(
                "every weight differs: the port holds those of another training, or of another model"
            )
        record = self.record = self.truth.observe(self.given, self.seed, self.steps, self.precision)
        self.rows += record.rows
        self.notes += record.notes
        if self.precision != "both":
            other = {"float64": "float32", "float32": "float64"}[self.precision]
            self.notes.append(f"{other} was not compared: {self.precision} alone was asked for")
        try:
            code = instrument(self.folder / "model.py", watched(self.port))
            port = self.load(code, record.inference.dtype)
        except Exception as error:  # model.py is the user's: it may raise anything
            self.rows.append(failed("run", error, "", "model.py or its weights cannot be loaded: "))
            return self.result()
        self.rows += checks.trainable_rows(port.module, self.port.weights, facts.trained)
        places = Places(self.port)
        comparison = Comparison(self.truth, record, places, facts, self.load, code, port)
        self.steps = comparison.run(self.steps, self.precision == "both", self.port.options.exact)
        self.rows += comparison.rows
        self.notes += comparison.notes
        self.causes = comparison.causes
        if self.precision == "float32" and any(row.passed is None for row in comparison.rows):
            self.notes.append("float64 may decide what float32 leaves open: --precision float64")
        if not any(row.check == "run" for row in self.rows):
            self.note_edits(code, comparison.unseen)
        return self.result()

    def follow_names(self, variables: Mapping[str, np.ndarray]) -> None:
        """Modules that were given other names, in code and weights alike, are known by what they hold."""
        names = checks.renames(self.folder, self.port.weights, variables)
        if not names:
            return
        shown = ", ".join(f"{old} is {new}" for old, new in list(names.items())[:5])
        self.notes.append(f"weights have other names in the port, and the same values: {shown}")
        weights = tuple(replace(it, name=names.get(it.name, it.name)) for it in self.port.weights)
        modules = {parent(old): parent(new) for old, new in names.items()}
        layers = {
            layer: tuple(modules.get(path, path) for path in paths)
            for layer, paths in self.port.layers.items()
        }
        self.port = replace(self.port, weights=weights, layers=layers)

    def load(self, code: Instrumented, dtype: str) -> PortRuns:
        return PortRuns.load(code, self.port.class_name, Places(self.port), dtype)

    def note_edits(self, code: Instrumented, unseen: Sequence[str]) -> None:
        """Edited lines need not give the source's tensors; what they compute in the end must agree.

        That it does is known where outputs are fractions: of two hundred logits argmax tells one. `unseen`:
        tensors that could not be compared alone.
        """
        if not (code.edited or code.missing):
            return
        names = ", ".join(sorted(code.edited | code.missing))
        self.notes.append(f"model.py was edited ({names}): not every layer's output could be compared there")
        wrong = [row for row in self.rows if row.differs]
        inside = ("inference", "training")
        if any(row.check not in inside or row.name.startswith("output ") for row in wrong):
            return
        proved = any(row.check == "gradient" for row in self.rows)
        said = "differs inside of edited code; outputs, gradients and training agree"
        if not proved:
            said = "inside of edited code, and outputs that are whole numbers do not prove the rest"
        if unseen and not proved:
            self.rows.append(Row("inference", unseen[0], unseen[0], unseen[0], None, note=f"not seen {said}"))
            return
        self.rows = [
            replace(row, passed=True if proved else None, note=said) if row.differs else row
            for row in self.rows
        ]
