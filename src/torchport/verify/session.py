"""One verification: the source's side is recorded, then the port is compared with it as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from torchport.graph import Graph
from torchport.pipeline import Program
from torchport.verify import checks, frameworks, localise
from torchport.verify.comparison import Comparison, failed
from torchport.verify.folder import check_same, ported, read_record
from torchport.verify.instrument import Instrumented, instrument
from torchport.verify.observations import Record
from torchport.verify.places import Places
from torchport.verify.port_runs import PortRuns
from torchport.verify.process import Died, Elsewhere, truth_of
from torchport.verify.result import Row, Verification
from torchport.verify.truth import Truth


@dataclass
class Session:
    """Both sides, and the rows so far."""

    folder: Path
    program: Program
    places: Places
    truth: Truth | Elsewhere
    class_name: str
    given: Any
    seed: int
    steps: int
    tell: Callable[[str], None]
    exact: bool = False
    #: float64, float32, or both.
    precision: str = "both"
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    record: Record | None = None
    causes: dict[Row, str] = field(default_factory=dict)
    variables: Mapping[str, np.ndarray] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @classmethod
    def start(
        cls, source: Any, folder: Path, program: Program | None, scratch: Path, given: Any, seed: int,
        steps: int, tell: Callable[[str], None], custom: Any, precision: str,
    ) -> Session:  # fmt: skip
        record = read_record(folder)
        options = record["options"]
        tell("reading the source")
        if program is None:
            program = ported(source, options)
            check_same(record, program, folder)
        tell("loading it with TensorFlow")
        truth = truth_of(source, program.graph, custom, scratch, tell)
        places = Places.of(program, options.keep_io)
        return cls(
            folder, program, places, truth, record["class"], given, seed, steps, tell, options.exact,
            precision,
        )  # fmt: skip

    @property
    def graph(self) -> Graph:
        return self.program.graph

    def result(self) -> Verification:
        arrays = self.record.inputs if self.record else []
        described = tuple(
            {"name": name, "shape": list(array.shape), "dtype": str(self.graph.tensors[name].dtype),
             "from": "the user" if self.given is not None else "random numbers"}
            for name, array in zip(self.graph.inputs, arrays, strict=False)
        )  # fmt: skip
        dtype = self.record.inference.dtype if self.record else "float64"
        return Verification(
            tuple(self.rows), localise.first(self.rows, self.causes), tuple(self.notes),
            {**frameworks.versions(), **self.versions}, described, dtype, self.seed, self.steps,
        )  # fmt: skip

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
        self.variables = self.truth.variables()
        self.versions = self.truth.versions()
        frameworks.torch()
        self.follow_names()
        self.rows += checks.state_rows(self.folder, self.program.entries, self.variables)
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
            code = instrument(self.folder / "model.py", self.places.classes)
            port = self.load(code, record.inference.dtype)
        except Exception as error:  # model.py is the user's: it may raise anything
            self.rows.append(failed("run", error, "", "model.py or its weights cannot be loaded: "))
            return self.result()
        self.rows += checks.trainable_rows(port.module, self.program.entries, self.truth.trained())
        comparison = Comparison(
            self.truth, record, self.program, self.places, self.variables, self.load, code, port
        )
        comparison.run(self.steps, self.precision == "both", self.exact)
        self.rows += comparison.rows
        self.notes += comparison.notes
        self.causes = comparison.causes
        if not any(row.check == "run" for row in self.rows):
            self.note_edits(code, comparison.unseen)
        return self.result()

    def follow_names(self) -> None:
        """Modules that were given other names, in code and weights alike, are known by what they hold."""
        names = checks.renames(self.folder, self.program.entries, self.variables)
        if not names:
            return
        shown = ", ".join(f"{old} is {new}" for old, new in list(names.items())[:5])
        self.notes.append(f"weights have other names in the port, and the same values: {shown}")
        entries = tuple(replace(it, name=names.get(it.name, it.name)) for it in self.program.entries)
        self.program = replace(self.program, entries=entries)
        self.places = replace(self.places, program=self.program)

    def load(self, code: Instrumented, dtype: str) -> PortRuns:
        return PortRuns.load(code, self.class_name, self.places, dtype)

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
