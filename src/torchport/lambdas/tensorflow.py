"""Calls of TensorFlow's functions in a Lambda: what arguments mean, and what is a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.errors import Unsupported
from torchport.graph import is_keras_2
from torchport.lambdas import constants
from torchport.lambdas.signatures import PARAMETERS
from torchport.lambdas.values import CODE

if TYPE_CHECKING:
    from torchport.lambdas.symbols import Symbols

#: Functions that give several tensors, and what these are called.
SEVERAL: Mapping[str, tuple[str, ...]] = {
    "top_k": ("values", "indices"), "qr": ("q", "r"), "svd": ("s", "u", "v"),
    "slogdet": ("sign", "log_abs_determinant"),
    **dict.fromkeys(("split", "unstack", "meshgrid", "max_pool_with_argmax"), ()),
}  # fmt: skip
#: Dtypes by the names of TensorFlow, numpy and Python.
DTYPES = {
    **{name: name for name in (
        "float16 float32 float64 bfloat16 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool complex64 "
        "complex128").split()},
    "double": "float64", "half": "float16", "float": "float32", "int": "int32",
}  # fmt: skip
#: Arguments of TensorFlow 1 by what they are called now.
OLD = {
    "keep_dims": "keepdims", "reduction_indices": "axis", "dim": "axis", "squeeze_dims": "axis",
    "dimension": "axis", "concat_dim": "axis", "seq_dim": "seq_axis", "batch_dim": "batch_axis",
    "box_ind": "box_indices",
}  # fmt: skip
#: Functions of TensorFlow 1, by those of today.
MOVED = {
    "image.resize_images": "compat.v1.image.resize_images", "log": "math.log", "sub": "subtract",
    **{f"image.resize_{how}": f"compat.v1.image.resize_{how}"
       for how in ("bilinear", "nearest_neighbor", "bicubic", "area")},
}  # fmt: skip
METHODS = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}
MADE = frozenset({"zeros", "ones", "fill", "range", "eye", "linspace", "constant", "convert_to_tensor"})
DRAWN = {
    "random.normal": "normal", "random_normal": "normal", "random.uniform": "uniform",
    "random_uniform": "uniform", "random.truncated_normal": "truncated_normal",
    "truncated_normal": "truncated_normal",
}  # fmt: skip
RANDOM = {
    "normal": ("shape", "mean", "stddev", "dtype", "seed"),
    "uniform": ("shape", "minval", "maxval", "dtype", "seed"),
    "truncated_normal": ("shape", "mean", "stddev", "dtype", "seed"),
}


def call(world: Symbols, function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function of TensorFlow gives. `function`: its name in it, `math.reduce_mean`."""
    from torchport.lambdas.symbols import typed, written

    text = written(f"tf.{function}", args, kwargs)
    if function in DRAWN:
        return draw(world, DRAWN[function], bind(function, RANDOM[DRAWN[function]], args, kwargs), text)
    name = MOVED.get(function, function)
    short = name.rpartition(".")[2]
    if short == "constant":
        short, name = "convert_to_tensor", "convert_to_tensor"
    if short == "moments":
        return moments(world, *args, **kwargs)
    if short == "einsum":
        return world.add("TFOpLambda", args[:1], {"function": "einsum"}, text, inputs=list(args[1:]))
    if name == "image.resize":
        name = resize_of(world.dialect, kwargs)
    parameters = PARAMETERS.get("image.transpose" if name == "image.transpose" else short)
    if parameters is None:
        raise Unsupported(f"it calls tf.{function}, which is not read", CODE)
    given = bind(f"tf.{function}", parameters, args, kwargs)
    if short in MADE and not holds_tensor(world, list(given.values())):
        return constant(short, given)
    if short == "shape" and not world.is_tensor(given["input"]):
        return np.array(np.shape(given["input"]), "int32")
    if short == "rank":
        return len(world.shape(given["input"]))
    if short == "convert_to_tensor":
        return given["value"]
    if short == "dropout":
        given = dropout(given, kwargs, args)
    if isinstance(given.get("method"), int):
        given["method"] = METHODS[given["method"]]
    if not holds_tensor(world, list(given.values())):
        raise Unsupported(f"it calls tf.{function} of constants", CODE)
    first, *_ = parameters
    dtype = next((world.dtype(it) for it in tensors(world, list(given.values()))), "float32")
    given = {key: typed(it, dtype) if key not in INDICES else it for key, it in given.items()}
    x = given.pop(first) if first in given else given.pop(next(iter(given)))
    return world.add("TFOpLambda", [x], {"function": name}, text, **given)


def moments(
    world: Symbols, x: Any, axes: Any, shift: Any = None, keepdims: bool = False, **options: Any
) -> list[Any]:
    """Mean and variance. Source: tensorflow/python/ops/nn_impl.py, moments."""
    keepdims = options.get("keep_dims", keepdims)
    mean = world.tensorflow("reduce_mean", x, axis=axes, keepdims=True)
    away = world.tensorflow("math.squared_difference", x, world.tensorflow("stop_gradient", mean))
    variance = world.tensorflow("reduce_mean", away, axis=axes, keepdims=keepdims)
    return [mean if keepdims else world.tensorflow("squeeze", mean, axis=axes), variance]


#: Arguments that are whole numbers whatever the tensor is.
INDICES = frozenset({"indices", "ids", "segment_ids", "box_indices", "seq_lengths", "axis", "perm", "shape"})


def bind(
    name: str, parameters: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by name; those of TensorFlow 1 by today's."""
    if len(args) > len(parameters):
        if len(args) > len(parameters) + 1 or not isinstance(args[-1], str):
            raise Unsupported(f"{name} has {len(parameters)} arguments, is given {len(args)}", CODE)
        args = args[: len(parameters)]  # a name
    found = dict(zip(parameters, args, strict=False))
    for key, value in kwargs.items():
        key = OLD.get(key, key) if key not in parameters else key
        if key in ("name", "seed") or value is None:
            continue
        found[key] = value
    return {key: value for key, value in found.items() if value is not None or key == "shape"}


def tensors(world: Symbols, value: Any) -> list[Any]:
    """The tensors in a value."""
    if isinstance(value, (list, tuple)):
        return [found for it in value for found in tensors(world, it)]
    return [value] if world.is_tensor(value) else []


def holds_tensor(world: Symbols, value: Any) -> bool:
    return bool(tensors(world, value))


def is_tensorflow_1(dialect: str) -> bool | None:
    """Whether a Keras of this version ran on TensorFlow 1; None where it may have been either."""
    if not is_keras_2(dialect):
        return False
    numbers = [int(it) if it.isdigit() else 0 for it in dialect.partition("-")[0].split(".")[:3]]
    if numbers >= [2, 4]:
        return False
    if dialect.endswith("-tf"):
        return None if numbers >= [2, 2, 4] and numbers < [2, 3] else numbers < [2, 2, 4]
    return True if numbers < [2, 3] else None


def resize_of(dialect: str, kwargs: Mapping[str, Any]) -> str:
    """Which of the two functions image.resize is: that of TensorFlow 1 has other centers of pixels."""
    if "align_corners" in kwargs or isinstance(kwargs.get("method"), int):
        return "compat.v1.image.resize_images"
    if "antialias" in kwargs:
        return "image.resize"
    old = is_tensorflow_1(dialect)
    if old is None:
        why = "it calls tf.image.resize, which TensorFlow 1 and 2 compute otherwise"
        raise Unsupported(f"{why}, and Keras {dialect} ran on both", CODE)
    return "compat.v1.image.resize_images" if old else "image.resize"


def dropout(given: dict[str, Any], kwargs: Mapping[str, Any], args: Sequence[Any]) -> dict[str, Any]:
    """The share that is dropped: TensorFlow 1 says what is kept."""
    if "keep_prob" in kwargs:
        return given
    if len(args) > 1:
        raise Unsupported(
            "it calls tf.nn.dropout with a number that TensorFlow 1 keeps and 2 drops", "say rate=... in it"
        )
    return given


def draw(world: Symbols, how: str, given: dict[str, Any], text: str) -> Any:
    """Random numbers, of a shape that may be another tensor's."""
    shape = given.pop("shape")
    if "dtype" in given:
        given["dtype"] = DTYPES.get(given["dtype"], given["dtype"])
    if holds_tensor(world, shape):
        return world.add("TFOpLambda", [shape], {"function": f"random.{how}"}, text, **given)
    sizes = [
        int(it) for it in constants.items(shape if isinstance(shape, (list, tuple, np.ndarray)) else [shape])
    ]
    return world.add(f"tf.random.{how}", [world.like, sizes], given, text)


# Constants


def constant(short: str, given: Mapping[str, Any]) -> Any:
    """A tensor that depends on no other: an array."""
    dtype = DTYPES.get(str(given.get("dtype") or ""), given.get("dtype"))
    if short == "convert_to_tensor":
        value = np.asarray(given["value"])
        usual = {"f": "float32", "i": "int32"}.get(value.dtype.kind, value.dtype.name)
        if isinstance(given["value"], (np.ndarray, np.generic)):
            usual = value.dtype.name
        made = value.astype(dtype or usual)
        return np.broadcast_to(made, given["shape"]).copy() if given.get("shape") is not None else made
    if short in ("zeros", "ones"):
        value = constants.NUMPY[short](given["shape"])
        return value.astype(dtype or "float32")
    if short == "fill":
        value = np.asarray(given["value"])
        value = value.astype({"f": "float32", "i": "int32"}.get(value.dtype.kind, value.dtype.name))
        return constants.NUMPY["zeros"](given["dims"]).astype(value.dtype) + value
    if short == "range":
        return spaced(*(given[key] for key in ("start", "limit", "delta") if key in given), dtype=dtype)
    if short == "eye":
        made = constants.NUMPY["eye"](given["num_rows"], given.get("num_columns"))
        return made.astype(dtype or "float32")
    return between(given["start"], given["stop"], int(given["num"]))


def spaced(*ends: Any, dtype: Any = None) -> Any:
    """tf.range, which counts fractions in their own precision. Source: core/kernels/sequence_ops.cc."""
    floats = any(isinstance(it, float) for it in ends)
    kind = np.dtype(dtype or ("float32" if floats else "int32")).type
    start, limit, delta = (0, *ends, 1) if len(ends) == 1 else (*ends, 1)[:3]
    start, limit, delta = kind(start), kind(limit), kind(delta)
    with np.errstate(all="ignore"):
        steps = np.ceil((limit - start) / delta)
    if not np.isfinite(steps):
        raise Unsupported("tf.range without steps", CODE)
    constants.check(int(steps))
    return start + np.arange(max(int(steps), 0)).astype(kind) * delta


def between(start: Any, stop: Any, count: int) -> Any:
    """tf.linspace, in float32. Source: tensorflow/python/ops/math_ops.py, linspace_nd."""
    constants.check(count)
    first, last = np.float32(start), np.float32(stop)
    found = first + (last - first) / np.float32(max(count - 1, 1)) * np.arange(count, dtype="float32")
    if count > 1:
        found[-1] = last
    return found
