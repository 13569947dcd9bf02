"""The source's side: what TensorFlow computes, in one dtype, in inference and in training mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.nest import leaves
from torchport.verify import memory
from torchport.verify.compare import largest
from torchport.verify.copying import name_of, value_of
from torchport.verify.dropout import count_draws
from torchport.verify.frameworks import tensorflow
from torchport.verify.recorder import Key, Recorder, array
from torchport.verify.reference import Reference
from torchport.verify.statistics import RunningVariance, normalisations
from torchport.verify.variables import variables
from torchport.watch.parts import variable_of

Sink = Callable[[Key, np.ndarray], None]


@dataclass
class Trained:
    """Some steps of SGD: outputs of the first, and the rate that was chosen.

    `unbiased`: for each running variance what torch keeps in its place.
    """

    outputs: list[np.ndarray]
    rate: float
    unbiased: dict[str, RunningVariance] = field(default_factory=dict)


@dataclass
class SourceRuns:
    """A rebuilt model and its variables by name."""

    reference: Reference
    dtype: str
    model: Any
    variables: dict[str, Any]
    #: How often each layer that is random was called in training mode since the start of the last run.
    draws: Counter[str]

    @classmethod
    def of(cls, reference: Reference, dtype: str) -> SourceRuns:
        model, graph = reference.rebuilt(dtype), reference.graph
        return cls(reference, dtype, model, dict(variables(model, graph)), count_draws(graph, model))

    def tensors(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        tf = tensorflow()
        return [tf.constant(it.astype(self.dtype) if it.dtype.kind == "f" else it) for it in inputs]

    def inference(
        self, inputs: Sequence[np.ndarray], sink: Sink | None = None,
        inexact: Callable[[Key], None] = lambda key: None,
    ) -> list[np.ndarray]:  # fmt: skip
        """Outputs in inference mode; every layer's output goes to `sink`.

        `inexact` is told of layers that compute in float32 although their input is float64: their
        output has no more digits than that, and their input has, or other ones.
        """
        self.draws.clear()
        with self.reference.computing(self.dtype):
            given = self.tensors(inputs)
            if sink is None:
                outputs = self.reference.call(self.model, given, training=False)
                return [array(it) for it in outputs]
            read: list[np.ndarray] = []

            def call(layer: Any, args: Any) -> None:
                values = (array(it) for it in leaves(list(args)) if hasattr(it, "shape"))
                floats = (it for it in values if it.dtype.kind == "f")
                read[:] = [it for it in floats if not is_float32(it) or is_varied(it)]

            def tensor(key: Key, value: Any) -> None:
                found = array(value)
                if read and found.dtype.kind == "f" and is_float32(found) and is_varied(found):
                    if not all(map(is_float32, read)) or not has_digits_of(found, read):
                        inexact(key)
                sink(key, found)

            told = call if self.dtype == "float64" else lambda layer, args: None
            watch = Recorder(tensor, told, self.reference.graph)
            with watch.watching(self.reference.keras, self.model):
                outputs = self.reference.call(self.model, given, training=False)
            return [array(it) for it in outputs]

    def training(
        self, inputs: Sequence[np.ndarray], projections: Sequence[np.ndarray], steps: int, sink: Sink,
        gradient: Callable[[str, np.ndarray], None], rate: float | None = None,
    ) -> Trained:  # fmt: skip
        """Steps of plain SGD on sum(output * projection), at a rate that fits the first gradient.

        `gradient` is told of each gradient of the first step: of weights by their names, then of "input 0"
        and so on. Outputs that are whole numbers have none; a model that has no other takes its steps
        without: running statistics follow all the same.
        """
        tf = tensorflow()
        trainable = {id(it) for it in self.model.trainable_variables}
        names = [name for name, it in self.variables.items() if id(it) in trainable]
        watched = [variable_of(self.variables[name]) for name in names]
        statistics = normalisations(self.reference.graph, self.model, self.variables, self.reference.unfused)
        made: Trained | None = None
        with self.reference.computing(self.dtype):
            given = self.tensors(inputs)
            floats = [it for it in given if it.dtype.is_floating]
            targets = self.tensors(projections)
            for step in range(max(steps, 1)):
                self.draws.clear()
                with tf.GradientTape() as tape:
                    tape.watch(floats)
                    recorder = Recorder(
                        (lambda key, value: sink(key, array(value))) if not step else lambda key, value: None,
                        graph=self.reference.graph,
                    )
                    with statistics.watching(), recorder.watching(self.reference.keras, self.model):
                        outputs = self.reference.call(self.model, given, training=True)
                    pairs = zip(outputs, targets, strict=True)
                    # What TensorFlow resizes is float32, whatever it was.
                    floating = [(out, tf.cast(r, out.dtype)) for out, r in pairs if out.dtype.is_floating]
                    parts = [tf.cast(tf.reduce_sum(out * r), self.dtype) for out, r in floating]
                    loss = tf.add_n(parts) if parts else None
                found = [] if loss is None else tape.gradient(
                    loss, watched + floats, unconnected_gradients=tf.UnconnectedGradients.ZERO
                )  # fmt: skip
                del tape, loss, parts, floating
                gradients = dict(zip(names, found, strict=False))
                if made is None:
                    by_input = iter(found[len(names) :])
                    for at, it in enumerate(given):
                        if found and it.dtype.is_floating:
                            gradient(f"input {at}", array(tf.convert_to_tensor(next(by_input))))
                    steepest = 0.0
                    for name in list(gradients):
                        # Large models have no room for two.
                        value = gradients[name] if steps else gradients.pop(name)
                        taken = array(tf.convert_to_tensor(value))
                        steepest = max(steepest, largest(taken))
                        gradient(name, taken)
                    weights = (value_of(self.variables[name]) for name in names)
                    made = Trained([array(it) for it in outputs], rate or chosen_rate(steepest, weights))
                del found
                if steps:
                    for name in list(gradients):
                        moved = tf.convert_to_tensor(gradients.pop(name))  # the next step makes others
                        self.variables[name].assign_sub(tf.constant(made.rate, moved.dtype) * moved)
                    memory.release()
        assert made is not None
        made.unbiased = dict(statistics.running)
        return made

    def nudge(
        self, inputs: Sequence[np.ndarray], seed: int | None, start: Mapping[str, np.ndarray]
    ) -> list[np.ndarray]:
        """Every float that goes in, weights too, moved by a last bit at random. `start`: the weights.

        `seed`: None moves nothing.
        What that does to the results is what rounding may do to them: in a network of many kinks (ReLU, max
        pooling) that one run meets few of them by luck.
        """
        rng = np.random.default_rng(seed)

        def moved(array: np.ndarray) -> np.ndarray:
            if array.dtype.kind != "f":
                return array
            found = array.astype(self.dtype)
            if seed is not None:
                found *= 1 + np.finfo(self.dtype).eps * rng.integers(-1, 2, array.shape)
            return found

        for name, it in self.variables.items():
            it.assign(moved(start[name]).astype(str(name_of(it.dtype))))
        # Whole numbers are tokens or categories: a last bit less is another one.
        return [
            it if it.dtype.kind != "f" or np.array_equal(it, np.round(it)) else moved(it) for it in inputs
        ]


def chosen_rate(steepest: float, weights: Iterable[np.ndarray]) -> float:
    """A rate at which the largest step moves a weight by a thousandth of the largest weight.

    `steepest`: the largest gradient. Larger steps make training chaotic: the last digits of both sides then
    part within a few steps.
    """
    most = max(map(largest, weights), default=0.0)
    if not np.isfinite(steepest) or not np.isfinite(most) or steepest == 0:
        return 1e-3
    return 1e-3 * (most or 1.0) / steepest


def is_float32(values: np.ndarray) -> bool:
    """Whether no value has more digits than float32 holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.array_equal(values.astype(np.float32).astype(values.dtype), values, equal_nan=True))


def has_digits_of(values: np.ndarray, read: Sequence[np.ndarray]) -> bool:
    """Whether the first of some values are such as were read, but for their sign and a power of two."""
    some = np.frexp(np.abs(values[np.isfinite(values)][:4096]))[0]
    known = [np.frexp(np.abs(it.ravel()))[0].astype(some.dtype) for it in read]
    return bool(np.isin(some, np.concatenate([*known, np.array([0.0, 0.5])])).all())


def is_varied(values: np.ndarray) -> bool:
    """Whether there are enough different fractions that this is no coincidence."""
    fractions = values[np.isfinite(values) & (values != np.round(values))]
    return bool(np.unique(fractions[:4096]).size > 8)
