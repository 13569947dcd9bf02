"""The source's side: what TensorFlow computes, in one dtype, in inference and in training mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.verify.frameworks import default_dtype, tensorflow
from torchport.verify.record import Key, Recorder, array
from torchport.verify.reference import Reference, flat, value_of, variables
from torchport.verify.statistics import RunningVariance, normalisations

Sink = Callable[[Key, np.ndarray], None]


@dataclass
class Trained:
    """Some steps of SGD: gradients of the first, weights after the last, all in the source's axes."""

    outputs: list[np.ndarray]
    gradients: dict[str, np.ndarray]
    input_gradients: list[np.ndarray | None]
    rate: float
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    #: For each running variance what torch keeps in its place.
    unbiased: dict[str, RunningVariance] = field(default_factory=dict)


@dataclass
class SourceRuns:
    """A rebuilt model and its variables by name."""

    reference: Reference
    dtype: str
    model: Any
    variables: dict[str, Any]

    @classmethod
    def of(cls, reference: Reference, dtype: str) -> SourceRuns:
        model = reference.rebuilt(dtype)
        return cls(reference, dtype, model, dict(variables(model, reference.graph)))

    def tensors(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        tf = tensorflow()
        return [tf.constant(it.astype(self.dtype) if it.dtype.kind == "f" else it) for it in inputs]

    def inference(
        self, inputs: Sequence[np.ndarray], sink: Sink | None = None,
        inexact: Callable[[Key], None] = lambda key: None,
    ) -> list[np.ndarray]:  # fmt: skip
        """Outputs in inference mode; every layer's output goes to `sink`.

        `inexact` is told of layers that compute in float32 although their input is float64: their
        output has no more digits than that, and their input has.
        """
        with default_dtype(self.reference.keras, self.dtype):
            given = self.tensors(inputs)
            if sink is None:
                outputs = self.reference.call(self.model, given, training=False)
                return [array(it) for it in outputs]
            precise = [False]

            def call(layer: Any, where: str, args: Any) -> None:
                values = [array(it) for it in flat(list(args)) if hasattr(it, "shape")]
                precise[0] = any(it.dtype == np.float64 and not is_float32(it) for it in values)

            def tensor(key: Key, value: Any) -> None:
                found = array(value)
                if precise[0] and found.dtype == np.float64 and is_float32(found) and is_varied(found):
                    inexact(key)
                sink(key, found)

            watch = Recorder(tensor, call if self.dtype == "float64" else lambda layer, where, args: None)
            with watch.watching(self.reference.keras, self.model):
                outputs = self.reference.call(self.model, given, training=False)
            return [array(it) for it in outputs]

    def training(
        self, inputs: Sequence[np.ndarray], projections: Sequence[np.ndarray], steps: int, sink: Sink,
        rate: float | None = None,
    ) -> Trained:  # fmt: skip
        """Steps of plain SGD on sum(output * projection), at a rate that fits the first gradient."""
        tf = tensorflow()
        trainable = {id(it) for it in self.model.trainable_variables}
        names = [name for name, it in self.variables.items() if id(it) in trainable]
        watched = [self.variables[name] for name in names]
        statistics = normalisations(self.reference.graph, self.model, self.variables, self.reference.unfused)
        made: Trained | None = None
        with default_dtype(self.reference.keras, self.dtype):
            given = self.tensors(inputs)
            floats = [it for it in given if it.dtype.is_floating]
            targets = self.tensors(projections)
            for step in range(max(steps, 1)):
                with tf.GradientTape() as tape:
                    tape.watch(floats)
                    recorder = Recorder(
                        (lambda key, value: sink(key, array(value)))
                        if not step
                        else (lambda key, value: None),
                        statistics.around,
                    )
                    with recorder.watching(self.reference.keras, self.model):
                        outputs = self.reference.call(self.model, given, training=True)
                    loss = tf.add_n(
                        [
                            tf.reduce_sum(out * r)
                            for out, r in zip(outputs, targets, strict=True)
                            if out.dtype.is_floating
                        ]
                    )
                found = tape.gradient(
                    loss, watched + floats, unconnected_gradients=tf.UnconnectedGradients.ZERO
                )
                gradients = {name: found.pop(0) for name in names}
                if made is None:
                    inside = iter(found)
                    by_input = [array(next(inside)) if it.dtype.is_floating else None for it in given]
                    take = gradients.get if steps else gradients.pop  # large models have no room for two
                    arrays = {name: array(tf.convert_to_tensor(take(name))) for name in names}
                    weights = (value_of(self.variables[name]) for name in names)
                    made = Trained(
                        [array(it) for it in outputs], arrays, by_input,
                        rate or chosen_rate(arrays.values(), weights),
                    )  # fmt: skip
                if steps:
                    for name, gradient in gradients.items():
                        gradient = tf.convert_to_tensor(gradient)
                        self.variables[name].assign_sub(tf.constant(made.rate, gradient.dtype) * gradient)
        assert made is not None
        if steps:
            made.weights = {name: value_of(it) for name, it in self.variables.items()}
        made.unbiased = dict(statistics.running)
        return made

    @contextmanager
    def nudged(
        self, inputs: Sequence[np.ndarray], seed: int, start: Mapping[str, np.ndarray] | None = None
    ) -> Iterator[list[np.ndarray]]:
        """Every float that goes in, weights too, moved by a last bit at random; put back after.

        `start`: the weights, if not those that the model has.

        What that does to the results is what rounding may do to them: in a network of many kinks (ReLU, max
        pooling) that one run meets few of them by luck.
        """
        rng = np.random.default_rng(seed)

        def moved(array: np.ndarray) -> np.ndarray:
            if array.dtype.kind != "f":
                return array
            factor: np.ndarray = 1 + np.finfo(self.dtype).eps * rng.integers(-1, 2, array.shape)
            found: np.ndarray = (array * factor).astype(array.dtype)
            return found

        before = {name: it.numpy() for name, it in self.variables.items()}
        try:
            for name, it in self.variables.items():
                it.assign(moved((start or before)[name]))
            yield [moved(it.astype(self.dtype)) if it.dtype.kind == "f" else it for it in inputs]
        finally:
            for name, it in self.variables.items():
                it.assign(before[name])


def chosen_rate(gradients: Iterable[np.ndarray], weights: Iterable[np.ndarray]) -> float:
    """A rate at which the largest step moves a weight by a thousandth of the largest weight.

    Larger steps make training chaotic: the last digits of both sides then part within a few steps.
    """
    steepest = max((float(np.max(np.abs(it), initial=0.0)) for it in gradients), default=0.0)
    largest = max((float(np.max(np.abs(it), initial=0.0)) for it in weights), default=0.0)
    if not np.isfinite(steepest) or not np.isfinite(largest) or steepest == 0:
        return 1e-3
    return 1e-3 * (largest or 1.0) / steepest


def is_float32(values: np.ndarray) -> bool:
    """Whether no value has more digits than float32 holds."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.array_equal(values.astype(np.float32).astype(values.dtype), values, equal_nan=True))


def is_varied(values: np.ndarray) -> bool:
    """Whether there are enough different fractions that this is no coincidence."""
    fractions = values[np.isfinite(values) & (values != np.round(values))]
    return bool(np.unique(fractions[:4096]).size > 8)
