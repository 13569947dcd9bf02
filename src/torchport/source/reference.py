"""The reference of a proof: the user's code run in float64, what it was given, and what it gave."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.axes import Turn
from torchport.read import live
from torchport.read.dialect import shortest
from torchport.read.subclass import keras_of
from torchport.source.float64 import in_doubles
from torchport.source.fragment import is_layer
from torchport.source.observe import Recorder
from torchport.source.unit import Unit

if TYPE_CHECKING:
    from torchport.source.prove import Prover

BATCH = 2


@dataclass(frozen=True)
class Case:
    """Arguments that a unit is run with: numbers by name, and a shape for each tensor that it takes."""

    arguments: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    #: What the tensors hold, where it is not floats.
    kinds: tuple[str, ...] = ()
    #: What stands for sizes of a model's inputs that are open.
    size: int = 16
    #: The number of the draw of weights and inputs: each is of one example more than that before it.
    draw: int = 0
    #: Whether the arguments are none that the author's calls gave: such a run may not take long.
    is_varied: bool = False

    def __str__(self) -> str:
        given = [f"{key}={value!r}" for key, value in self.arguments.items()]
        drawn = [f"{BATCH + self.draw} examples"] if self.draw else []
        drawn += [f"of {self.size}"] if self.size != 16 else []
        return ", ".join([*(str(it) for it in self.shapes), *given, *drawn])

    def of_draw(self, shape: Sequence[int]) -> tuple[int, ...]:
        """A shape, of as many examples as the draw has."""
        return (shape[0] + self.draw, *shape[1:]) if shape else ()


@dataclass
class Run:
    """What one run of a side gave, in the source's axes."""

    outputs: list[np.ndarray]
    slopes: list[np.ndarray]
    #: Gradients of the source's variables, by their identity.
    weights: dict[int, np.ndarray] = field(default_factory=dict)
    #: The values of the source's variables before and after the run, by their identity.
    before: Mapping[int, np.ndarray] = field(default_factory=dict)
    after: Mapping[int, np.ndarray] = field(default_factory=dict)

    @cached_property
    def steepest(self) -> float:
        """The largest number of all gradients, as far as they are finite."""
        largest = [np.max(np.abs(it), initial=0.0) for it in (*self.slopes, *self.weights.values())]
        return float(max((it for it in largest if np.isfinite(it)), default=0.0))


@dataclass(frozen=True)
class Link:
    """A tensor of the port's state_dict, the source's variable that it is, and how that is turned."""

    name: str
    turn: Turn
    variable: Any

    def of(self, values: Mapping[int, np.ndarray]) -> np.ndarray:
        """The variable's values as the port should have them."""
        held = values.get(id(self.variable))
        return np.ascontiguousarray(self.turn.apply(self.variable.numpy() if held is None else held))


@dataclass
class Reference:
    """The user's unit with its arguments, made and fed under TensorFlow in float64."""

    keras: Any
    model: Any
    function: Any
    inputs: list[np.ndarray]
    shapes: list[tuple[int, ...]]
    calls: list[Any]
    #: Calls of methods of the user's classes, in the order in which they began.
    entered: list[tuple[str, Any]] = field(default_factory=list)
    #: By the identity of an object of the user's: the first and the last of the calls that its `call` makes.
    spans: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    #: The values of its variables when it was made; what it gave in inference, and then in training.
    start: Mapping[int, np.ndarray] = field(default_factory=dict)
    #: Whether the model is the user's own; what its inputs are called, where they are a dictionary.
    is_network: bool = False
    keys: tuple[str, ...] = ()
    runs: dict[bool, Run] = field(default_factory=dict)

    @classmethod
    def of(cls, prover: Prover, unit: Unit, case: Case) -> Reference:
        """Raises whatever the user's code raises."""
        watched = prover.project.watched
        recorder: Recorder = watched.recorder
        keras = keras_of(watched.module)
        target = getattr(watched.module, unit.name)
        recorder.calls.clear()
        recorder.entered.clear()
        recorder.spans.clear()
        numbers, given_shapes = np.random.default_rng(7 + case.draw), [*map(case.of_draw, case.shapes)]
        with in_doubles(keras):
            arguments = {key: in_policy(it) for key, it in case.arguments.items()}
            if unit.kind == "function":
                kinds = case.kinds or ("float",) * len(case.shapes)
                inputs = [feed(numbers, it, kind) for it, kind in zip(given_shapes, kinds, strict=True)]
                inputs = labels_first(unit, inputs)
                given = dict(arguments)

                def function(*tensors: Any) -> Any:
                    return target(**unit.grouped(tensors), **given)

                return cls(keras, None, function, inputs, given_shapes, [])
            if unit.kind == "loss":
                kinds = case.kinds or ("float",) * len(case.shapes)
                inputs = [feed(numbers, it, kind) for it, kind in zip(given_shapes, kinds, strict=True)]
                inputs, loss = labels_first(unit, inputs), target(**arguments)
                return cls(keras, None, lambda *given: loss(*given), inputs, given_shapes, [])
            if unit.kind == "builder":
                model = target(**arguments)
            else:
                kinds = case.kinds or ("",) * len(case.shapes)
                ends = [
                    keras.Input(shape[1:], dtype=kind or None)
                    for shape, kind in zip(case.shapes, kinds, strict=True)
                ]
                given = unit.grouped(ends)
                if unit.kind == "layer":
                    layer = target(**arguments)
                    (first, *_), others = given.values(), list(given.items())[1:]
                    folded = {key: it for key, it in unit.folded.items() if it is not None}
                    out = layer(first, **dict(others), **folded, **mode_of(keras, layer))
                elif unit.kind == "factory":
                    out = target(**arguments)(*given.values())
                else:
                    out = target(**given, **arguments)
                model = keras.Model(ends, out)
            # Keras sorts the inputs of a dictionary
            ends = [model.inputs[sorted(unit.keys).index(it)] for it in unit.keys] or model.inputs
            shapes = [(BATCH + case.draw, *(size or case.size for size in it.shape[1:])) for it in ends]
            for variable in model.variables:
                if "seed" not in path_of(variable):
                    variable.assign(value_for(variable, numbers))
        inputs = [feed(numbers, shape, it.dtype) for shape, it in zip(shapes, ends, strict=True)]
        calls, entered = list(recorder.calls), list(recorder.entered)
        start, is_network = values(live.variables(model)), unit.kind == "builder"
        return cls(
            keras, model, None, inputs, shapes, calls, start=start, is_network=is_network, entered=entered,
            spans=dict(recorder.spans), keys=unit.keys,
        )  # fmt: skip

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether it is run in training: inference first."""
        return (False, True) if self.model is not None else (False,)

    def gave(self, training: bool) -> Run:
        """What it gives in a mode. Each mode is run once: a run in training changes statistics."""
        if training not in self.runs:
            self.runs[training] = self.run(training)
        return self.runs[training]

    def run(self, training: bool) -> Run:
        import tensorflow as tf

        with in_doubles(self.keras):
            given = [tf.constant(it) for it in self.inputs]
            variables = list(live.variables(self.model)) if self.model is not None else []
            before = values(variables)
            with tf.GradientTape() as tape:
                for it in given:
                    tape.watch(it)
                if self.model is None:
                    found = self.function(*given)
                else:
                    fed = dict(zip(self.keys, given, strict=True)) if self.keys else given
                    found = self.model(fed if len(given) > 1 else given[0], training=training)
                outputs = list(found) if isinstance(found, (list, tuple)) else [found]
                floats_of = [it for it in outputs if it.dtype.is_floating]
                total: Any = tf.constant(0.0, tf.float64)
                if floats_of:
                    total = tf.add_n([tf.reduce_sum(it * weighed(it.shape)) for it in floats_of])
            trained = list(self.model.trainable_variables) if self.model is not None else []
            slopes = tape.gradient(total, [*given, *map(tensor_of, trained)])
        found = [zeros(slope, it) for slope, it in zip(slopes, [*given, *trained], strict=True)]
        weights = {id(it): slope for it, slope in zip(trained, found[len(given) :], strict=True)}
        slopes = found[: len(given)]
        return Run([it.numpy() for it in outputs], slopes, weights, before, values(variables))


def in_policy(value: Any) -> Any:
    """An argument that is a layer, made again under the policy that holds now."""
    if not is_layer(value):
        return value
    config = {key: decimal(it) for key, it in value.get_config().items() if key != "dtype"}
    return type(value).from_config(config)


def decimal(value: Any) -> Any:
    """An option that a layer made float32 of, by its shortest decimal."""
    single = np.float32(value) if isinstance(value, float) else value
    return shortest(single) if isinstance(value, float) and float(single) == value else value


def mode_of(keras: Any, layer: Any) -> dict[str, bool]:
    """The mode that a call of a layer has to be given: Keras 3 gives none to a `training` without default.

    A model that the layer is in hands its own mode over all the same. Source: keras/src/models/functional.py,
    operation_fn.
    """
    found = inspect.signature(layer.call).parameters.get("training")
    is_asked = found is not None and found.default is found.empty
    return {"training": False} if is_asked and keras.__name__ != "tf_keras" else {}


def values(variables: Iterable[Any]) -> dict[int, np.ndarray]:
    """The values that variables have now, by their identity."""
    return {id(it): np.array(it.numpy()) for it in variables}


def weighed(shape: Any) -> np.ndarray:
    """Numbers that the sum of an output's values is weighed by: of its size alone."""
    sizes = tuple(int(it) for it in shape)
    return np.random.default_rng(11).uniform(0.5, 1.5, sizes)


def feed(numbers: np.random.Generator, shape: Sequence[int], dtype: Any = "float") -> np.ndarray:
    """Numbers of a tensor: floats, or whole ones that are small enough for any table."""
    if "int" in str(getattr(dtype, "name", dtype)):
        return numbers.integers(0, 3, tuple(shape)).astype(np.int64)
    return numbers.uniform(0.05, 0.95, tuple(shape))


def labels_first(unit: Unit, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """Labels that sum to one over classes: TensorFlow's gradient of a cross entropy takes that for granted.

    Source: tensorflow/core/kernels/xent_op.h, backprop = prob - labels.
    """
    is_label = bool(unit.inputs) and unit.inputs[0].name in ("y_true", "true", "labels", "target", "targets")
    if len(inputs) < 2 or not is_label or inputs[0].dtype.kind != "f" or inputs[0].ndim < 2:
        return inputs
    return [inputs[0] / inputs[0].sum(-1, keepdims=True), *inputs[1:]]


def value_for(variable: Any, numbers: np.random.Generator) -> np.ndarray:
    """Numbers for a weight that tell mistakes apart, and keep what flows through in range."""
    shape = tuple(variable.shape)
    if "variance" in path_of(variable):
        return numbers.uniform(0.5, 1.5, shape)
    if len(shape) < 2:
        return numbers.uniform(0.1, 0.6, shape)
    fan = max(1, int(np.prod(shape[:-1])))
    return numbers.normal(0, 1 / fan**0.5, shape)


def tensor_of(variable: Any) -> Any:
    """What TensorFlow takes gradients of: Keras 3 wraps its variables."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value


def zeros(slope: Any, like: Any) -> np.ndarray:
    if slope is None:
        return np.zeros(tuple(like.shape))
    import tensorflow as tf

    # that of a table is given row by row
    return np.asarray(tf.convert_to_tensor(slope))


def path_of(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))
