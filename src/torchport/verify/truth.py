"""The source's side of a verification: what TensorFlow gives, kept on disk, and how far it is from itself.

All that the port is compared with is here; nothing here knows the port. One precision runs after the other,
and a large model is let go of after its run: while one runs, the source is not held but in its file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.verify import forward, frameworks, inputs, memory
from torchport.verify.compare import LIMIT32, compare, distance_of, is_fraction, largest
from torchport.verify.copying import value_of
from torchport.verify.dropout import amounts, recurrent_rates
from torchport.verify.folder import shapes_of
from torchport.verify.forward import measured
from torchport.verify.observations import Facts, Nudge, Observations, Record, Training
from torchport.verify.patches.doubles import SINGLE_IMAGES
from torchport.verify.progress import teller
from torchport.verify.ranges import Whole, ranges
from torchport.verify.recorder import Key, array
from torchport.verify.reference import Reference, without_amounts
from torchport.verify.result import Row, first_line
from torchport.verify.source_runs import SourceRuns
from torchport.verify.store import Store
from torchport.verify.variables import variables

#: Models of fewer bytes of weights are kept for the next run; larger ones are built anew.
LARGE = 1 << 26


@dataclass
class Truth:
    """The source in TensorFlow, and what it gave so far. `folder`: where arrays are kept."""

    reference: Reference
    folder: Path
    tell: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    runs: dict[str, SourceRuns] = field(default_factory=dict)
    record: Record | None = None
    steps: int = 0
    seed: int = 0
    #: Of the source's weights.
    bytes: int = 0
    #: The precision in which it runs last.
    last: str = "float64"
    start: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def graph(self) -> Graph:
        return self.reference.graph

    @classmethod
    def load(cls, source: Any, graph: Graph, custom: Any, folder: Path, tell: Callable[[str], None]) -> Truth:
        """`custom`: as `torchport.verify` takes it."""
        return cls(Reference.load(source, graph, custom), folder, tell)

    def close(self) -> None:
        """Let go of all copies."""
        self.runs.clear()

    def facts(self) -> Facts:
        model, keras = self.reference.model, self.reference.keras
        trained = {id(it) for it in model.trainable_variables}
        names = frozenset(name for name, it in variables(model, self.graph) if id(it) in trained)
        versions = {"tensorflow": frameworks.tensorflow().__version__, keras.__name__: keras.__version__}
        rates = recurrent_rates(self.graph, model)
        return Facts(
            self.variables(), names, amounts(self.graph, model), rates, versions, shapes_of(self.graph)
        )

    def variables(self) -> Store[str]:
        """The source's variables by the graph's names."""
        found: Store[str] = Store(self.folder)
        self.bytes = 0
        for name, it in variables(self.reference.model, self.graph):
            found[name] = value_of(it)
            self.bytes += found[name].nbytes
        self.start = found
        return found

    def resume(self, start: Mapping[str, np.ndarray], record: Record, seed: int, steps: int) -> None:
        """Know what was observed, as if it had been here."""
        self.start, self.bytes = start, sum(it.nbytes for it in start.values())
        self.record, self.seed, self.steps, self.last = record, seed, steps, ""

    # What is recorded

    def observe(self, given: Any, seed: int, steps: int, precision: str) -> Record:
        self.seed, self.steps = seed, steps
        self.tell("choosing inputs")
        arrays, own = self.choose(given)
        _ = self.batches  # asked of the source as long as it is held
        rng = np.random.default_rng(seed + 1)
        projections = [rng.standard_normal(it.shape) for it in own]
        low: Observations | None = None
        low_training: Training | None = None
        rows: list[Row] = []
        main = self.last = "float32" if precision == "float32" else "float64"
        if precision == "both":
            self.tell("TensorFlow in float32")
            low = self.inference("float32", arrays)
            rows = self.rebuilt_rows(own, low)
            low_training = self.training("float32", arrays, projections, 0, None)[0]
            self.release("float32")
        self.tell(f"TensorFlow in {main}")
        try:
            observed = self.inference(main, arrays, low)
        except TorchportError:
            raise
        except Exception as error:  # whatever TensorFlow raises for a missing kernel
            if main == "float32":
                raise
            self.release(main)
            self.notes.append(
                f"TensorFlow does not run this model in float64 ({first_line(error)}): float32 only"
            )
            main = "float32"
            observed, low = low or self.inference(main, arrays), None
            self.runs.pop(main, None)  # its statistics moved in training mode
        rows = rows or self.rebuilt_rows(own, observed)
        sizes = self.other_sizes(main, given)
        training, problem = self.training(main, arrays, projections, steps, low_training if low else None)
        if training is None and main == "float64":
            self.notes.append(f"TensorFlow does not train this model in float64 ({problem}): float32 there")
            self.runs.pop("float32", None)  # its statistics moved already
            training, problem = self.training("float32", arrays, projections, steps, None)
        if not any(map(is_fraction, observed.outputs)):
            self.notes.append(
                "its outputs are whole numbers: they are compared exactly, and have no gradient"
            )
        if training and observed.inexact:
            training.tensors.inexact = set(training.tensors.tensors)
        self.release(main)
        if low:
            drop(low.tensors)
        if low_training:
            drop(low_training.tensors.tensors, low_training.gradients)
        self.notes += self.reference.notes
        self.record = Record(arrays, rows, observed, sizes, training, problem, self.notes)
        return self.record

    def choose(self, given: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Inputs that the model takes, and its own outputs for them."""
        run = self.rebuilt("float32").inference if self.is_mixed else self.own
        if given is not None:
            arrays = inputs.given(self.graph, given)
            for name, it in zip(self.graph.inputs, arrays, strict=True):
                if is_fraction(it) and not np.isfinite(it).all():
                    bad = int(it.size - np.isfinite(it).sum())
                    raise TorchportError(
                        f"{bad} of {it.size} values are not finite numbers", where=f"the input {name!r}",
                        advice="give an input without NaN and infinity",
                    )  # fmt: skip
            return arrays, run(arrays)
        chosen = inputs.choose(self.graph, self.batches, self.seed, run, self.wholes)
        self.notes += chosen.notes
        return chosen.arrays, chosen.outputs

    def own(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs of the source itself."""
        tf = frameworks.tensorflow()
        given = [tf.constant(it.astype(np.float32) if it.dtype.kind == "f" else it) for it in arrays]
        with self.reference.computing("float32"), without_amounts(self.reference.model):
            return [array(it) for it in self.reference.call(self.reference.model, given, training=False)]

    @cached_property
    def is_mixed(self) -> bool:
        return self.reference.is_mixed

    @cached_property
    def batches(self) -> dict[str, int | None]:
        """The batch that the source was built for, by input."""
        models = getattr(self.reference.model, "inputs", None) or ()
        return {name: it.shape[0] for name, it in zip(self.graph.inputs, models, strict=False)}

    @cached_property
    def wholes(self) -> dict[str, Whole]:
        """The inputs that hold whole numbers, and which."""
        return ranges(self.graph, self.reference.layer)

    def rebuilt_rows(self, own: Sequence[np.ndarray], observed: Observations) -> list[Row]:
        """What is compared with is a rebuilt model: it has to be the source."""
        if self.is_mixed:
            self.notes.append(
                "the source computes in reduced precision; it is compared in float64 and float32"
            )
            return []
        limit = 1e-6 if observed.dtype == "float32" else LIMIT32
        doubt = (
            "the model that TensorFlow ran gives other outputs than the source itself: it draws random "
            "numbers, or what the port is compared with is not the source"
        )
        made: list[Row] = []
        for name, want, got in zip(self.graph.outputs, own, observed.outputs, strict=True):
            found = compare(in_float32(got), in_float32(np.asarray(want)))
            op = next((op for op in self.graph.ops if name in op.outputs), None)
            size = max(found.size, observed.reads((), op))
            right = found.distance is not None and found.distance <= limit * size
            error = None if found.distance is None else found.distance / size
            note = "" if right else found.problem or doubt
            at = f"output {len(made)}"
            made.append(Row("reference", at, name, name, right or None, error, limit=limit, note=note))
        return made

    def other_sizes(self, dtype: str, given: Any) -> tuple[list[np.ndarray], Observations] | None:
        """Sizes that nothing divides, where the model leaves them open and TensorFlow takes them."""
        sizes = None if given is not None else inputs.odd(self.graph, self.batches)
        if sizes is None:
            return None
        arrays = inputs.random(self.graph, sizes, self.seed, self.wholes)
        try:
            outputs = self.rebuilt(dtype).inference(arrays)
        except Exception as error:  # TensorFlow has many kinds for a shape that does not fit
            shapes = ", ".join(str(it) for it in sizes)
            self.notes.append(f"TensorFlow does not run inputs of {shapes}: {first_line(error)}")
            return None
        if not inputs.is_finite(outputs):  # nothing is left of an axis, whose mean is NaN
            return None
        return arrays, Observations({}, dtype, outputs=outputs)

    # Runs

    @property
    def is_large(self) -> bool:
        return self.bytes >= LARGE

    def rebuilt(self, dtype: str) -> SourceRuns:
        if dtype not in self.runs:
            if self.is_large:
                self.runs.clear()
            self.runs[dtype] = SourceRuns.of(self.reference, dtype)
            if self.is_large and dtype == self.last:
                self.reference.forget()
                memory.release()
        return self.runs[dtype]

    def release(self, dtype: str) -> None:
        """Let go of a large model's copy, and of the memory that a run needed."""
        if self.is_large:
            self.runs.pop(dtype, None)
        memory.release()

    def inference(
        self, dtype: str, arrays: Sequence[np.ndarray], low: Observations | None = None
    ) -> Observations:
        """A run in inference mode. `low`: the one in float32."""
        store: Store[Key] = Store(self.folder)
        found, first = Observations(store, dtype), list[Key]()
        tell = teller(self.tell, f"TensorFlow in {dtype}, inference mode")
        sink = observer(found, store, low, tell)
        runs = self.rebuilt(dtype)
        found.outputs = runs.inference(arrays, sink, first.append)
        found.draws = dict(runs.draws)
        if low:
            found.output_noise = distances(low.outputs, found.outputs)
        is_single = SINGLE_IMAGES in self.reference.notes
        self.reference.notes.pop(SINGLE_IMAGES, None)
        if is_single and not first:  # inside of a layer of the user's own
            found.inexact = set(store)
            self.notes.append(SINGLE_IMAGES)
        if first:
            keys = list(store)
            found.inexact = set(keys[keys.index(first[0]) :])
            name = forward.name_of(first[0])
            self.notes.append(f"TensorFlow computes {name} in float32: from there on float32's limit applies")
        return found

    def training(
        self, dtype: str, arrays: Sequence[np.ndarray], projections: list[np.ndarray], steps: int,
        low: Training | None,
    ) -> tuple[Training | None, str]:  # fmt: skip
        """Steps in training mode, or why there are none. `low`: a step in float32."""
        tensors: Store[Key] = Store(self.folder)
        gradients = Store[str](self.folder)
        observed = Observations(tensors, dtype)
        made = Training(observed, projections, 0.0, gradients, {}, {}, {}, {})

        tell = teller(self.tell, f"TensorFlow in {dtype}, training mode")
        more = f", then {steps - 1} steps more" if steps > 1 else ""

        def gradient(name: str, value: np.ndarray) -> None:
            tell(f"the gradient of {name}{more}")
            gradients[name], made.sizes[name] = value, largest(value)
            if low and name in low.gradients:
                made.noise[name] = distance_of(low.gradients[name], value)

        sink = observer(observed, tensors, low.tensors if low else None, tell)
        runs = self.rebuilt(dtype)
        try:
            ran = runs.training(arrays, projections, steps, sink, gradient)
        except TorchportError:
            raise
        except Exception as error:  # whatever TensorFlow raises for a missing kernel
            self.runs.pop(dtype)
            return None, first_line(error)
        if steps:
            made.weights = self.kept(runs)
        observed.outputs, made.rate, made.unbiased = ran.outputs, ran.rate, ran.unbiased
        observed.draws = dict(runs.draws)
        if low:
            observed.output_noise = distances(low.tensors.outputs, ran.outputs)
        return made, ""

    # How far the source is from itself

    def nudge(self, mode: str, dtype: str, number: int) -> Nudge:
        self.tell(f"how far a last bit moves TensorFlow, run {number}")
        return self.run_again(mode, dtype, self.seed + number)

    def float32_error(self, mode: str) -> Nudge | None:
        assert self.record is not None
        dtype = "float32" if self.record.of(mode).dtype == "float64" else "float64"
        self.tell(f"how far TensorFlow's float32 is off, {mode} mode")
        try:
            return self.run_again(mode, dtype, None)
        except TorchportError:
            raise
        except Exception:  # whatever TensorFlow raises for a missing kernel
            self.runs.pop(dtype, None)
            return None

    def first_step(self) -> Training:
        assert self.record is not None and self.record.training is not None
        trained = self.record.training
        runs = self.rebuilt(trained.dtype)
        self.tell(f"TensorFlow in {trained.dtype}, one training step")
        given = runs.nudge(self.record.inputs, None, self.start)
        ran = runs.training(
            given, trained.projections, 1, lambda key, value: None, lambda name, value: None, trained.rate
        )
        weights = self.kept(runs)
        self.steps = 1
        self.record.training = replace(trained, weights=weights, unbiased=ran.unbiased)
        return self.record.training

    def kept(self, runs: SourceRuns) -> Store[str]:
        """The variables of a rebuilt model as they are now."""
        found: Store[str] = Store(self.folder)
        for name, it in runs.variables.items():
            found[name] = value_of(it)
        return found

    def run_again(self, mode: str, dtype: str, seed: int | None) -> Nudge:
        """How far another run is from the one recorded. `seed`: of the last bits; None moves none."""
        assert self.record is not None
        training, observed = self.record.training, self.record.of(mode)
        found, runs = Nudge(), self.rebuilt(dtype)

        def tensor(key: Key, value: np.ndarray) -> None:
            if key in observed.tensors:
                found.tensors[key] = apart(value, observed.tensors[key])

        def gradient(name: str, value: np.ndarray) -> None:
            assert training is not None
            found.gradients[name] = apart(value, training.gradients[name])

        given = runs.nudge(self.record.inputs, seed, self.start)
        if mode == "sizes":
            assert self.record.sizes is not None
            arrays, observed = self.record.sizes
            outputs = runs.inference(runs.nudge(arrays, seed, self.start))
        elif mode == "inference":
            outputs = runs.inference(given, tensor)
        else:
            assert training is not None
            steps = self.steps if dtype == training.dtype else 0
            ran = runs.training(given, training.projections, steps, tensor, gradient, training.rate)
            outputs = ran.outputs
            if steps:
                found.weights = {
                    name: apart(value_of(it), training.weights[name]) for name, it in runs.variables.items()
                }
        found.outputs = [apart(a, b) for a, b in zip(outputs, observed.outputs, strict=True)]
        memory.release()
        return found


def observer(
    found: Observations, store: Store[Key], low: Observations | None, tell: Callable[[str], None]
) -> Callable[[Key, np.ndarray], None]:
    """Keeps what is given, its size, and how far the run in float32 was off."""

    def sink(key: Key, value: np.ndarray) -> None:
        tell(forward.name_of(key))
        store[key], found.sizes[key] = value, measured(value)
        if low and key in low.tensors and (other := low.tensors[key]).shape == value.shape:
            found.noise[key] = distance_of(other, value)

    return sink


def in_float32(values: np.ndarray) -> np.ndarray:
    """Fractions as the source itself computes them: beyond what float32 holds is infinity."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32) if values.dtype.kind == "f" else values


def drop(*arrays: Mapping[Any, np.ndarray]) -> None:
    """Free what is no longer compared with."""
    for it in arrays:
        if isinstance(it, Store):
            it.drop()


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return distance_of(one, other) if one.shape == other.shape else np.inf


def distances(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> list[float]:
    return [apart(a, b) for a, b in zip(one, other, strict=True)]
