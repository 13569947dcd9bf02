"""Lambda layers of files under TensorFlow: what was read from their bytes is computed; they are not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from torchport.errors import Unsupported
from torchport.graph import is_keras_2
from torchport.lambdas import tensorflow as functions
from torchport.lambdas.keras_ops import ALIASES, MADE, RANDOM
from torchport.lambdas.operations import OPERATIONS
from torchport.lambdas.reading import Reading, agreed, readings
from torchport.lambdas.signatures import PARAMETERS
from torchport.lambdas.symbols import plain, typed, whole
from torchport.lambdas.values import CODE, Sizes
from torchport.watch.frameworks import keras_of, tensorflow

#: Options of a Lambda beside its function.
KEPT = ("name", "trainable", "dtype", "batch_input_shape")
NOTE = (
    "Lambda layers: TensorFlow computed what was read from their bytes, with its own functions; the bytes "
    "were not run, and what their names mean is as convert says"
)
#: Marks a layer that was made so.
READ = "_torchport_read"


@contextmanager
def as_read(keras: Any, dialect: str, notes: dict[str, None]) -> Iterator[None]:
    """Where Keras makes Lambda layers of what was read from their bytes alone; a note says so."""

    def read(config: Mapping[str, Any]) -> Any:
        notes[NOTE] = None
        return layer_of(keras, config, dialect)

    with lambdas_by(keras, read):
        yield


@contextmanager
def lambdas_by(keras: Any, make: Callable[[Mapping[str, Any]], Any]) -> Iterator[None]:
    """Where `make` makes the Lambda layers of configurations; None from it leaves one to Keras.

    Source: `from_config` in src/layers/core/lambda_layer.py of keras and of tf_keras.
    """
    cls = keras.layers.Lambda
    before = cls.__dict__["from_config"]

    def from_config(cls: Any, config: Mapping[str, Any], *args: Any, **options: Any) -> Any:
        if callable(config.get("function")):
            return cls(**config)
        made = make(config)
        return before.__func__(cls, config, *args, **options) if made is None else made

    cls.from_config = classmethod(from_config)
    try:
        yield
    finally:
        cls.from_config = before


def layer_of(keras: Any, config: Mapping[str, Any], dialect: str) -> Any:
    """A Lambda that computes what was read from its bytes, and whose configuration has them.

    Raises Unsupported where they cannot be read.
    """
    kept = {key: config[key] for key in KEPT if key in config}
    made = keras.layers.Lambda(function_of(config, dialect), **kept)
    made.get_config = lambda: {**config, "name": made.name}
    setattr(made, READ, True)
    return made


def is_read(layer: Any) -> bool:
    """Whether a layer is a Lambda that was made of its bytes: these say what it computes."""
    return hasattr(layer, READ)


def function_of(config: Mapping[str, Any], dialect: str) -> Any:
    """What was read from a configuration, as a function of TensorFlow; it and this raise Unsupported."""
    with naming(config):
        made = readings(config)

    def evaluate(inputs: Any) -> Any:
        def by(reading: Reading) -> tuple[Any, Any]:
            return None, reading.evaluate(Eager(dialect, dtype_of(inputs)), inputs)[0]

        with naming(config):
            return agreed(made, by)

    return tensorflow().autograph.experimental.do_not_convert(evaluate)


@contextmanager
def naming(config: Mapping[str, Any]) -> Iterator[None]:
    """Where what is not ported is said with the name of a Lambda."""
    try:
        yield
    except Unsupported as error:
        raise Unsupported(f"the Lambda {config.get('name')!r}: {error.why}", error.advice) from error


def dtype_of(inputs: Any) -> str:
    """The dtype of the fractions that come in."""
    tf = tensorflow()
    found = [it.dtype for it in tf.nest.flatten(inputs) if it.dtype.is_floating]
    return found[0].name if found else tf.keras.backend.floatx()  # type: ignore[no-any-return]


@dataclass
class Eager:
    """TensorFlow's own tensors and functions. `floats`: what stands for float32."""

    dialect: str
    floats: str

    def is_tensor(self, value: Any) -> bool:
        return bool(tensorflow().is_tensor(value))

    def given(self, value: Any) -> Any:
        """An argument as TensorFlow takes it: fractions in the precision that is compared."""
        value = plain(value)
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            return value.astype("float32").astype(self.floats)
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.given, value)) if type(value) in (list, tuple) else tuple(value)
        return self.floats if isinstance(value, str) and value == "float32" else value

    def call(self, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        module, _, name = path.partition(".")
        args, kwargs = [self.given(it) for it in args], {key: self.given(it) for key, it in kwargs.items()}
        if module == "tf":
            return self.tensorflow(name, args, kwargs)
        if module == "K":
            if name in ("constant", "variable") and args:  # of float32, as it is in the model
                args[0] = self.given(np.asarray(args[0]))
            return self.backend(name)(*args, **kwargs)
        if module == "ops" and (name.rpartition(".")[2] in OPERATIONS or name in KERAS):
            return found(self.keras.ops, name)(*args, **kwargs)
        if path.startswith("keras.random.") and path.rpartition(".")[2] in RANDOM:
            return found(self.keras.random, path.rpartition(".")[2])(*args, **kwargs)
        if path.startswith("keras.activations."):
            return getattr(self.keras.activations, path.rpartition(".")[2])(*args, **kwargs)
        raise Unsupported(f"it calls {path}", CODE)

    @property
    def keras(self) -> Any:
        return keras_of(self.dialect)

    def backend(self, name: str) -> Any:
        from torchport.lambdas.backend import FUNCTIONS

        if name not in FUNCTIONS:
            raise Unsupported(f"it calls keras.backend.{name}", CODE)
        if name == "image_dim_ordering":
            return lambda: "tf"
        if is_keras_2(self.dialect):
            return getattr(self.keras.backend, name)
        import importlib

        legacy = importlib.import_module("keras.src.legacy.backend")
        return getattr(legacy, name, None) or getattr(self.keras.backend, name)

    def tensorflow(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        tf = tensorflow()
        name = functions.MOVED.get(name, name)
        if name == "image.resize":
            name = functions.resize_of(self.dialect, kwargs)
        short = name.rpartition(".")[2]
        if short not in (*PARAMETERS, "constant", "moments") and name not in functions.DRAWN:
            raise Unsupported(f"it calls tf.{name}", CODE)
        name = {"random_normal": "random.normal", "random_uniform": "random.uniform",
                "truncated_normal": "random.truncated_normal"}.get(name, name)  # fmt: skip
        function = found(tf, name) or found(tf.compat.v1, name)
        if short in FRACTIONS and "dtype" not in kwargs:
            made = function(*args, **kwargs)
            return tf.cast(made, self.floats) if made.dtype == tf.float32 else made
        return function(*args, **kwargs)

    def operate(self, symbol: str, *operands: Any) -> Any:
        operands = tuple(map(self.given, operands))
        if symbol == "[]":
            value, key = operands
            keys = key if isinstance(key, tuple) else (key,)
            return value[tuple(map(whole, keys))]
        if len(operands) == 1:
            return UNARY[symbol](operands[0])
        dtype = next(it.dtype.name for it in operands if self.is_tensor(it))
        left, right = (typed(it, dtype) for it in operands)
        return BINARY[symbol](left, right)

    def attribute(self, tensor: Any, name: str) -> Any:
        from torchport.lambdas.values import Method

        if name in ("shape", "_keras_shape"):
            return Sizes(tensor.shape)
        if name == "dtype":
            return "float32" if tensor.dtype.name == self.floats else tensor.dtype.name
        if name == "ndim":
            return len(tensor.shape)
        if name in ("get_shape", "set_shape"):
            return Method(tensor, name)
        raise Unsupported(f"it asks for .{name} of a tensor", CODE)

    def method(self, tensor: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return Sizes(tensor.shape) if name == "get_shape" else None


#: Functions of keras.ops beside those that make operations.
KERAS = frozenset(
    {*MADE, *ALIASES, "shape", "ndim", "cast", "convert_to_tensor", "identity", "einsum", "pad"}
)
#: Functions that make fractions of no tensor.
FRACTIONS = frozenset(
    "zeros ones fill constant convert_to_tensor range eye linspace one_hot normal uniform truncated_normal "
    "random_normal random_uniform".split()
)
BINARY: Mapping[str, Any] = {
    "+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y, "/": lambda x, y: x / y,
    "//": lambda x, y: x // y, "%": lambda x, y: x % y, "**": lambda x, y: x**y, "@": lambda x, y: x @ y,
    "<": lambda x, y: x < y, "<=": lambda x, y: x <= y, ">": lambda x, y: x > y, ">=": lambda x, y: x >= y,
    "==": lambda x, y: x == y, "!=": lambda x, y: x != y, "&": lambda x, y: x & y, "|": lambda x, y: x | y,
    "^": lambda x, y: x ^ y,
}  # fmt: skip
UNARY: Mapping[str, Any] = {
    "-": lambda x: -x, "+": lambda x: x, "~": lambda x: ~x, "abs": abs,
    "round": lambda x: tensorflow().round(x),
}  # fmt: skip


def found(module: Any, name: str) -> Any:
    """A function of a module of TensorFlow; None where it has none of that name."""
    for part in name.split("."):
        module = getattr(module, part, None)
    return module
