"""Calls of functions of `keras.ops` and `keras.random` in a Lambda."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.errors import Unsupported
from torchport.lambdas import constants, tensorflow
from torchport.lambdas.operations import OPERATIONS, Operation
from torchport.lambdas.values import CODE, Results

if TYPE_CHECKING:
    from torchport.lambdas.symbols import Symbols

#: Other names of functions.
ALIASES = {"abs": "absolute", "conj": "conjugate", "pow": "power"}
#: Functions that make a tensor of no other: parameters, with Keras's names, by those of tf.
MADE = {
    "zeros": ("shape", "dtype"), "ones": ("shape", "dtype"), "eye": ("N", "M", "k", "dtype"),
    "arange": ("start", "stop", "step", "dtype"), "full": ("shape", "fill_value", "dtype"),
    "linspace": ("start", "stop", "num"), "array": ("x", "dtype"),
}  # fmt: skip
#: Functions that give several tensors.
SEVERAL = frozenset({"split", "unstack", "top_k", "moments", "slogdet", "qr", "svd", "array_split"})
RANDOM = {
    "normal": ("shape", "mean", "stddev", "dtype", "seed"),
    "uniform": ("shape", "minval", "maxval", "dtype", "seed"),
    "truncated_normal": ("shape", "mean", "stddev", "dtype", "seed"),
}


def call(world: Symbols, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function of keras.ops gives."""
    from torchport.lambdas.symbols import typed, written

    name = path.rpartition(".")[2]
    name = ALIASES.get(name, name)
    text = written(path, args, kwargs)
    if name == "shape":
        return shape(world, args[0])
    if name == "ndim":
        return len(world.shape(args[0]))
    if name in ("convert_to_tensor", "cast", "identity") and args and not world.is_tensor(args[0]):
        given = tensorflow.bind(path, ("value", "dtype"), args, kwargs)
        return (
            tensorflow.constant("convert_to_tensor", given)
            if name != "identity"
            else made("eye", args, kwargs)
        )
    if name == "convert_to_tensor":
        return args[0]
    if name == "cast":
        return world.add("keras.ops.Cast", args[:1], {"dtype": kwargs.get("dtype", *args[1:2])}, text)
    if name == "einsum":
        return world.add("keras.ops.Einsum", args[1:], {"subscripts": args[0]}, text)
    if name == "pad":
        return pad(world, text, *args, **kwargs)
    if name in MADE:
        if tensorflow.holds_tensor(world, [*args, *kwargs.values()]):
            return of_sizes(world, name, args, kwargs)
        return made(name, args, kwargs)
    known = OPERATIONS.get(name)
    if known is None:
        raise Unsupported(f"it calls {path}, which is not read", CODE)
    given = bind(path, known, args, kwargs)
    tensors = [given[it] for it in known.parameters if it in known.tensors]
    if not tensorflow.holds_tensor(world, tensors):
        raise Unsupported(f"it calls {path} of constants", CODE)
    while tensors and tensors[-1] is None:
        tensors.pop()
    dtype = next(world.dtype(it) for it in tensorflow.tensors(world, tensors))
    tensors = [typed(it, dtype) if getattr(it, "dtype", None) == np.float64 else it for it in tensors]
    options = {known.options[it]: value for it, value in given.items() if it in known.options}
    usual = {known.options[it]: value for it, value in known.defaults.items() if it in known.options}
    options = {key: it for key, it in options.items() if key not in usual or it is not usual[key]}
    asked = {key: it for key, it in options.items() if tensorflow.holds_tensor(world, it)}
    plain = {
        key: list(it) if isinstance(it, tuple) else it for key, it in options.items() if key not in asked
    }
    found = world.add(known.kind, tensors, plain, text, **asked)
    return found if name in SEVERAL or not isinstance(found, Results) else found[0]


def bind(path: str, known: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by name, with the defaults."""
    if len(args) > len(known.parameters) or not set(kwargs) <= set(known.parameters):
        raise Unsupported(f"the arguments of {path} do not fit", CODE)
    found = {**known.defaults, **dict(zip(known.parameters, args, strict=False)), **kwargs}
    missing = [it for it in known.parameters if it not in found]
    if missing:
        raise Unsupported(f"{path} is not given {', '.join(missing)}", CODE)
    return found


def shape(world: Symbols, x: Any) -> tuple[Any, ...]:
    """Sizes: numbers where they are known, others asked at run time."""
    sizes = world.shape(x)
    if None not in sizes:
        return tuple(sizes)
    asked = world.tensorflow("shape", x)
    return tuple(world.operate("[]", asked, at) if it is None else it for at, it in enumerate(sizes))


def pad(
    world: Symbols, text: str, x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None
) -> Any:
    rank = len(world.shape(x))
    if isinstance(pad_width, int):
        pad_width = [[pad_width, pad_width]] * rank
    elif len(pad_width) == 2 and all(isinstance(it, int) for it in pad_width):
        pad_width = [list(pad_width)] * rank
    options = {"pad_width": pad_width, "mode": mode}
    if constant_values is not None:
        options["constant_values"] = constant_values
    return world.add("keras.ops.Pad", [x], options, text)


def made(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A tensor of constants."""
    given = dict(zip(MADE[name], args, strict=False)) | dict(kwargs)
    dtype = given.get("dtype")
    if name in ("zeros", "ones"):
        return tensorflow.constant(name, given)
    if name == "eye":
        return constants.NUMPY["eye"](given["N"], given.get("M")).astype(dtype or "float32")
    if name == "full":
        filled = constants.NUMPY["zeros"](given["shape"]) + given["fill_value"]
        return filled.astype(dtype or "float32")
    if name == "arange":
        ends = [given[key] for key in ("start", "stop", "step") if given.get(key) is not None]
        return tensorflow.constant(
            "range", {**dict(zip(("start", "limit", "delta"), ends, strict=False)), "dtype": dtype}
        )
    if name == "linspace":
        return tensorflow.constant("linspace", {"num": 50, **given})
    return tensorflow.constant("convert_to_tensor", {"value": given["x"], "dtype": dtype})


def of_sizes(world: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A tensor of a size that only the run time knows."""
    given = dict(zip(MADE[name], args, strict=False)) | dict(kwargs)
    dtype = given.get("dtype")
    if name in ("zeros", "ones"):
        return world.tensorflow(name, list(given["shape"]), dtype=dtype or "float32")
    if name == "full":
        return world.tensorflow("fill", list(given["shape"]), given["fill_value"])
    if name == "arange":
        ends = [given[key] for key in ("start", "stop") if given.get(key) is not None]
        return world.tensorflow("range", *ends, delta=given.get("step") or 1, dtype=dtype)
    raise Unsupported(f"it calls keras.ops.{name} of a size that only the run time knows", CODE)


def draw(world: Symbols, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A function of keras.random."""
    name = path.rpartition(".")[2]
    if name not in RANDOM:
        raise Unsupported(f"it calls {path}, which is not read", CODE)
    given = dict(zip(RANDOM[name], args, strict=False)) | dict(kwargs)
    usual = {"maxval": 1.0} if name == "uniform" else {}
    options = {key: it for key, it in {**usual, **given}.items() if key not in ("shape", "seed")}
    sizes = given["shape"]
    return world.tensorflow(f"random.{name}", list(sizes) if isinstance(sizes, tuple) else sizes, **options)
