"""The reference of a proof: the user's code run in float64, what it was given, and what it gave."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.axes import Turn
from torchport.read import live
from torchport.read.dialect import shortest
from torchport.read.subclass import keras_of
from torchport.source import observe
from torchport.source.buffers import is_float
from torchport.source.fragment import is_layer
from torchport.source.observe import Recorder, as_it_is
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


@contextmanager
def in_doubles(keras: Any) -> Iterator[None]:
    """The user's code computes in float64, also where it says float32; draws are the port's."""
    import tensorflow as tf

    from torchport.verify import patches
    from torchport.verify.frameworks import floats
    from torchport.verify.patches import doubles
    from torchport.watch.frameworks import fresh_names

    with ExitStack() as stack:
        stack.enter_context(as_it_is())
        stack.enter_context(floats(keras, "float64"))
        stack.enter_context(fresh_names(keras))
        numbers = [
            patches.Patch(module, name, lambda tf, original, note: of_number(tf, original))
            for module in ("tensorflow", "tensorflow:math")
            for name in OF_NUMBERS
            if hasattr(tf if module == "tensorflow" else tf.math, name)
        ]
        images = f"{patches.OPS}.image_ops_impl"
        numbers += [
            patches.Patch(
                f"{patches.OPS}.gen_image_ops", "resize_bilinear",
                lambda tf, original, note: bilinear(tf, original),
            ),
            # psnr writes log(10) and 10 / log(10) in float32
            patches.Patch(images, "np", lambda tf, original, note: Other(original, float32=Single)),
            patches.Patch(
                images, "math_ops", lambda tf, original, note: Other(original, log=log_of(tf, original.log))
            ),
            # psnr and ssim make float32 of what they are given
            patches.Patch(
                images, "convert_image_dtype",
                lambda tf, original, note: lambda image, dtype, *args, **kwargs:
                image if image.dtype == tf.float64 and dtype == tf.float32 else
                original(image, dtype, *args, **kwargs),
            ),
            patches.Patch(
                "tf_keras.src.layers.normalization.batch_normalization:BatchNormalizationBase",
                "_assign_moving_average", lambda tf, original, note: average(tf, original), optional=True,
            ),
        ]  # fmt: skip
        numbers.append(
            # a loss that was made before says float32
            patches.Patch(
                "keras.src.losses.loss:Loss", "dtype",
                lambda tf, original, note: property(lambda self: "float64"), optional=True,
            )
        )  # fmt: skip
        numbers += [
            patches.Patch(place, name, lambda tf, original, note: said_in_double(tf, original), optional=True)
            for place, name in SAID
        ]
        numbers += [
            patches.Patch("tensorflow", name, lambda tf, original, note: in_double(tf, original))
            for name in ("range", "cast", "linspace", "constant", "convert_to_tensor")
        ]
        stack.enter_context(
            patches.patched(tf, (*patches.DOUBLES, *numbers, *patches.KERNELS, *patches.DRAWS))
        )
        is_user = doubles.is_user
        # calls of the user's code go through the recorder
        doubles.is_user = lambda file: file == observe.__file__ or is_user(file)  # type: ignore[assignment]
        try:
            yield
        finally:
            doubles.is_user = is_user


class Single(np.float64):
    """A number that is written in float32, as the port writes it: by its shortest decimal."""

    def __new__(cls, value: Any) -> Any:
        return np.float64(shortest(np.float32(value)))


class Other:
    """A module of which some things are others."""

    def __init__(self, module: Any, **changed: Any) -> None:
        self._module = module
        vars(self).update(changed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def log_of(tf: Any, original: Any) -> Any:
    """The logarithm, of a number of Python's in float64."""
    return lambda x, *args, **kwargs: original(
        tf.constant(x, tf.float64) if isinstance(x, float) else x, *args, **kwargs
    )


#: Functions of TensorFlow that the port calls of `math` where they are given a number of Python's.
OF_NUMBERS = ("sqrt", "rsqrt", "exp", "log", "sin", "cos", "tanh", "square", "pow")


def of_number(tf: Any, original: Any) -> Any:
    """A function that the user's code gives a number of Python's: computed in float64, as `math` does."""
    from torchport.verify.patches import doubles

    @functools.wraps(original)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        is_number = isinstance(x, (float, np.floating))
        if is_number and doubles.is_user(sys._getframe(1).f_code.co_filename):
            x = tf.constant(x, tf.float64)
        return original(x, *args, **kwargs)

    return call


#: What a type of numbers is that has more digits.
WIDER = {"float32": "float64", "complex64": "complex128"}


def in_double(tf: Any, original: Any) -> Any:
    """A function that makes float32 where the user's code says so, or says nothing: float64."""
    from torchport.verify.patches import doubles

    def wider(value: Any) -> Any:
        if isinstance(value, (tf.DType, str)):
            name = getattr(value, "name", value)
            return tf.as_dtype(WIDER[name]) if name in WIDER else value
        if isinstance(value, (list, tuple)) and is_float(value):
            return np.asarray(value)
        return tf.constant(value, tf.float64) if isinstance(value, float) else value

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        found = original(*args, **kwargs)
        wanted = WIDER.get(found.dtype.name)
        if wanted is None or not doubles.is_user(sys._getframe(1).f_code.co_filename):
            return found
        again = original(*map(wider, args), **{key: wider(it) for key, it in kwargs.items()})
        return tf.cast(again, wanted)

    return call


#: Initialisers that are told the type of what they make, by their modules.
INITIALIZERS = {
    "tensorflow.python.ops.init_ops_v2":
    "Zeros Ones Constant RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal Identity",
    "tf_keras.src.initializers.initializers":
    "Zeros Ones Constant RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal Identity",
    "keras.src.initializers.constant_initializers": "Zeros Ones Constant Identity",
    "keras.src.initializers.random_initializers":
    "RandomUniform RandomNormal TruncatedNormal VarianceScaling Orthogonal",
}  # fmt: skip

#: Where Keras takes the type of numbers that the author says for an input or a layer.
SAID = (
    ("keras.src.layers.core.input_layer:InputLayer", "__init__"),
    ("keras.src.dtype_policies", "get"),
    ("tf_keras.src.engine.input_layer:InputLayer", "__init__"),
    ("tf_keras.src.engine.base_layer:Layer", "_set_dtype_policy"),
    *((f"{module}:{name}", "__call__") for module, names in INITIALIZERS.items() for name in names.split()),
)


def said_in_double(tf: Any, original: Any) -> Any:
    """A function that is told the type of its numbers: float64 for float32, and where it is not told."""
    signature = inspect.signature(original)
    default = getattr(signature.parameters.get("dtype"), "default", None)
    at = list(signature.parameters).index("dtype") if default is tf.float32 else 0

    def wider(value: Any) -> Any:
        return "float64" if value in ("float32", tf.float32, np.float32) else value

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        if default is tf.float32 and len(args) <= at:
            kwargs.setdefault("dtype", "float64")
        return original(
            *(wider(it) if isinstance(it, (str, tf.DType, type)) else it for it in args),
            **{key: wider(it) if key == "dtype" else it for key, it in kwargs.items()},
        )

    # Keras looks at signatures without following what wraps a function
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def average(tf: Any, original: Any) -> Any:
    """A moving average in float64: Keras 2 makes float32 of 1 - momentum."""

    def call(self: Any, variable: Any, value: Any, momentum: Any, inputs_size: Any) -> Any:
        is_number = isinstance(momentum, float) and variable.dtype == tf.float64
        exact = tf.constant(momentum, tf.float64) if is_number else momentum
        return original(self, variable, value, exact, inputs_size)

    return call


def bilinear(tf: Any, original: Any) -> Any:
    """Images of float64 resized in float64: TensorFlow's kernel gives float32.

    Source: tensorflow/core/kernels/image/resize_bilinear_op.cc, compute_interpolation_weights.
    """

    def weights(wanted: int, given: int, align_corners: bool, half_pixel_centers: bool) -> np.ndarray:
        scale = (given - 1) / (wanted - 1) if align_corners and wanted > 1 else given / wanted
        shift = 0.5 if half_pixel_centers else 0.0
        places = (np.arange(wanted) + shift) * scale - shift
        low = np.floor(places).astype(int)
        made = np.zeros((wanted, given))
        rows = np.arange(wanted)
        np.add.at(made, (rows, np.clip(low, 0, given - 1)), 1 - (places - low))
        np.add.at(made, (rows, np.clip(low + 1, 0, given - 1)), places - low)
        return made

    @functools.wraps(original)
    def call(
        images: Any,
        size: Any,
        align_corners: bool = False,
        half_pixel_centers: bool = False,
        name: Any = None,
    ) -> Any:
        wanted = tf.get_static_value(size)
        height, width = images.shape[1:3]
        if images.dtype != tf.float64 or wanted is None or None in (height, width):
            return original(images, size, align_corners, half_pixel_centers, name)
        rows = weights(int(wanted[0]), height, align_corners, half_pixel_centers)
        columns = weights(int(wanted[1]), width, align_corners, half_pixel_centers)
        return tf.einsum("ij,bjwc,kw->bikc", tf.constant(rows), images, tf.constant(columns))

    return call


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
