"""The functions of `keras.backend` in terms of TensorFlow's, for Keras 1 to 3.

Source: tf_keras/src/backend.py; keras/src/legacy/backend.py is the same but for names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchport.errors import Unsupported
from torchport.graph import is_keras_2
from torchport.lambdas import constants
from torchport.lambdas.values import CODE

if TYPE_CHECKING:
    from torchport.lambdas.symbols import Symbols

Function = Callable[..., Any]
FUNCTIONS: dict[str, Function] = {}


def function(*names: str) -> Callable[[Function], Function]:
    """Enters a function by the names that it has."""

    def enter(made: Function) -> Function:
        FUNCTIONS.update(dict.fromkeys(names, made))
        return made

    return enter


def call(world: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What a function of the backend gives."""
    from torchport.lambdas.symbols import Symbol, written

    known = FUNCTIONS.get(name)
    if known is None:
        raise Unsupported(f"it calls keras.backend.{name}, which is not read", CODE)
    given = {OLD.get(key, key): it for key, it in kwargs.items() if key != "name"}
    if given.get("data_format") in ORDERS:
        given["data_format"] = ORDERS[given["data_format"]]
    try:
        found = inspect.signature(known).bind(world, *args, **given)
    except TypeError as error:
        raise Unsupported(f"keras.backend.{name}: {error}", CODE) from error
    made = known(*found.args, **found.kwargs)
    return Symbol(made.name, written(f"K.{name}", args, kwargs)) if isinstance(made, Symbol) else made


#: Arguments of Keras 1.
OLD = {"dim_ordering": "data_format", "std": "stddev"}
ORDERS = {"tf": "channels_last", "th": "channels_first"}


def activation(world: Symbols, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """A function of keras.activations, with its defaults."""
    if len(args) != 1 or kwargs:
        if name in ("relu", "elu", "softmax"):
            return call(world, name, args, kwargs)
        raise Unsupported(f"it calls keras.activations.{name} with options", CODE)
    if name == "hard_sigmoid" and is_keras_2(world.dialect):
        name = "keras2>hard_sigmoid"
    return world.layer("Activation", *args, activation=name)


# Functions that TensorFlow has under another name, with the same arguments

#: (keras.backend's, TensorFlow's)
SAME = {
    **{name: name for name in (
        "abs square exp round sign sin cos tanh sigmoid stop_gradient zeros_like ones_like identity"
    ).split()},
    "log": "math.log", "softplus": "nn.softplus", "softsign": "nn.softsign",
}  # fmt: skip
TWO = "maximum minimum equal not_equal greater greater_equal less less_equal".split()


def _same(theirs: str) -> Function:
    return lambda world, x: world.tensorflow(theirs, x)


def _two(theirs: str) -> Function:
    return lambda world, x, y: world.tensorflow(theirs, x, y)


FUNCTIONS.update({name: _same(theirs) for name, theirs in SAME.items()})
FUNCTIONS.update({name: _two(name) for name in TWO})
FUNCTIONS["pow"] = lambda world, x, a: world.tensorflow("pow", x, a)


# What is known of tensors


@function("shape")
def shape(world: Symbols, x: Any) -> Any:
    return world.tensorflow("shape", x)


@function("int_shape")
def int_shape(world: Symbols, x: Any) -> Any:
    return tuple(world.shape(x))


@function("ndim")
def ndim(world: Symbols, x: Any) -> int:
    return len(world.shape(x))


@function("dtype")
def dtype_of(world: Symbols, x: Any) -> str:
    return world.dtype(x)


@function("epsilon")
def epsilon(world: Symbols) -> float:
    return 1e-7


@function("floatx")
def floatx(world: Symbols) -> str:
    return "float32"


@function("image_data_format")
def image_data_format(world: Symbols) -> str:
    world.assumed["K.image_data_format()"] = "channels_last"
    return "channels_last"


@function("image_dim_ordering")
def image_dim_ordering(world: Symbols) -> str:
    world.assumed["K.image_dim_ordering()"] = "tf"
    return "tf"


@function("backend")
def backend_name(world: Symbols) -> str:
    return "tensorflow"


# Reductions


def _reduced(theirs: str, floats: bool = False) -> Function:
    def reduce(world: Symbols, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        if floats and world.dtype(x) == "bool":
            x = world.tensorflow("cast", x, "float32")
        return world.tensorflow(theirs, x, axis=axis, keepdims=keepdims)

    return reduce


for _name in ("max", "min", "sum", "prod", "logsumexp"):
    FUNCTIONS[_name] = _reduced(f"reduce_{_name}")
for _name, _theirs in (("mean", "mean"), ("var", "variance"), ("std", "std")):
    FUNCTIONS[_name] = _reduced(f"reduce_{_theirs}", floats=True)


def _tested(theirs: str) -> Function:
    def reduce(world: Symbols, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return world.tensorflow(theirs, world.tensorflow("cast", x, "bool"), axis=axis, keepdims=keepdims)

    return reduce


FUNCTIONS["any"], FUNCTIONS["all"] = _tested("reduce_any"), _tested("reduce_all")


@function("argmax")
def argmax(world: Symbols, x: Any, axis: int = -1) -> Any:
    return world.tensorflow("argmax", x, axis=axis)


@function("argmin")
def argmin(world: Symbols, x: Any, axis: int = -1) -> Any:
    return world.tensorflow("argmin", x, axis=axis)


@function("cumsum")
def cumsum(world: Symbols, x: Any, axis: int = 0) -> Any:
    return world.tensorflow("cumsum", x, axis=axis)


@function("cumprod")
def cumprod(world: Symbols, x: Any, axis: int = 0) -> Any:
    return world.tensorflow("math.cumprod", x, axis=axis)


# Element by element


@function("sqrt")
def sqrt(world: Symbols, x: Any) -> Any:
    """Of what is not negative."""
    return world.tensorflow("sqrt", clip(world, x, 0.0, float("inf")))


@function("clip")
def clip(world: Symbols, x: Any, min_value: Any, max_value: Any) -> Any:
    if isinstance(min_value, (int, float)) and isinstance(max_value, (int, float)):
        max_value = max(max_value, min_value)
    low = float("-inf") if min_value is None else min_value
    return world.tensorflow("clip_by_value", x, low, float("inf") if max_value is None else max_value)


@function("cast")
def cast(world: Symbols, x: Any, dtype: Any) -> Any:
    if world.is_tensor(x):
        return world.tensorflow("cast", x, dtype)
    return constants.checked(lambda: np.asarray(x).astype(dtype))


@function("cast_to_floatx")
def cast_to_floatx(world: Symbols, x: Any) -> Any:
    return cast(world, x, "float32")


@function("relu")
def relu(world: Symbols, x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    if (alpha, max_value, threshold) == (0, None, 0):
        return world.tensorflow("nn.relu", x)
    options = {"negative_slope": alpha, "max_value": max_value, "threshold": threshold}
    return world.layer("ReLU", x, **options)


@function("elu")
def elu(world: Symbols, x: Any, alpha: float = 1.0) -> Any:
    return world.layer("ELU", x, alpha=alpha)


@function("softmax")
def softmax(world: Symbols, x: Any, axis: int = -1) -> Any:
    return world.tensorflow("nn.softmax", x, axis=axis)


@function("hard_sigmoid")
def hard_sigmoid(world: Symbols, x: Any) -> Any:
    return world.layer("Activation", x, activation="keras2>hard_sigmoid")


@function("dropout")
def dropout(world: Symbols, x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """In every mode: it does not ask whether the model trains."""
    return world.tensorflow("nn.dropout", x, rate=level, noise_shape=noise_shape)


@function("l2_normalize")
def l2_normalize(world: Symbols, x: Any, axis: Any = None) -> Any:
    return world.tensorflow("math.l2_normalize", x, axis=axis)


@function("switch")
def switch(world: Symbols, condition: Any, then_expression: Any, else_expression: Any) -> Any:
    if not all(map(world.is_tensor, (condition, then_expression, else_expression))):
        raise Unsupported("keras.backend.switch of functions or numbers", "use tf.where")
    if len(world.shape(condition)) != len(world.shape(then_expression)):
        raise Unsupported("keras.backend.switch of a condition of fewer axes", "use tf.where")
    return world.tensorflow("where", condition, then_expression, else_expression)


@function("in_train_phase", "in_test_phase", "learning_phase")
def in_train_phase(world: Symbols, *args: Any, **options: Any) -> Any:
    raise Unsupported("it does not compute the same in training", "write it as a layer, and use --code")


# Shapes


@function("concatenate")
def concatenate(world: Symbols, tensors: Any, axis: int = -1) -> Any:
    return world.tensorflow("concat", list(tensors), axis=axis)


@function("stack", "pack")
def stack(world: Symbols, x: Any, axis: int = 0) -> Any:
    return world.tensorflow("stack", list(x), axis=axis)


@function("reshape")
def reshape(world: Symbols, x: Any, shape: Any) -> Any:
    return world.tensorflow("reshape", x, shape)


@function("permute_dimensions")
def permute_dimensions(world: Symbols, x: Any, pattern: Any) -> Any:
    return world.tensorflow("transpose", x, perm=list(pattern))


@function("transpose")
def transpose(world: Symbols, x: Any) -> Any:
    return world.tensorflow("transpose", x)


@function("expand_dims")
def expand_dims(world: Symbols, x: Any, axis: int = -1, dim: Any = None) -> Any:
    return world.tensorflow("expand_dims", x, axis=axis if dim is None else dim)


@function("squeeze")
def squeeze(world: Symbols, x: Any, axis: Any) -> Any:
    return world.tensorflow("squeeze", x, axis=[axis] if isinstance(axis, int) else axis)


@function("flatten")
def flatten(world: Symbols, x: Any) -> Any:
    return world.tensorflow("reshape", x, [-1])


@function("batch_flatten")
def batch_flatten(world: Symbols, x: Any) -> Any:
    return world.layer("Flatten", x)


@function("repeat")
def repeat(world: Symbols, x: Any, n: int) -> Any:
    return world.layer("RepeatVector", x, n=n)


@function("repeat_elements")
def repeat_elements(world: Symbols, x: Any, rep: int, axis: int) -> Any:
    return world.tensorflow("repeat", x, rep, axis=axis)


@function("tile")
def tile(world: Symbols, x: Any, n: Any) -> Any:
    return world.tensorflow("tile", x, [n] if isinstance(n, int) else n)


@function("reverse")
def reverse(world: Symbols, x: Any, axes: Any) -> Any:
    return world.tensorflow("reverse", x, [axes] if isinstance(axes, int) else list(axes))


@function("gather")
def gather(world: Symbols, reference: Any, indices: Any) -> Any:
    return world.tensorflow("gather", reference, indices)


@function("slice")
def slice_(world: Symbols, x: Any, start: Any, size: Any) -> Any:
    return world.tensorflow("slice", x, start, size)


@function("one_hot")
def one_hot(world: Symbols, indices: Any, num_classes: int) -> Any:
    return world.tensorflow("one_hot", indices, depth=num_classes, axis=-1)


@function("temporal_padding")
def temporal_padding(world: Symbols, x: Any, padding: Any = (1, 1)) -> Any:
    return world.layer("ZeroPadding1D", x, padding=padding)


@function("spatial_2d_padding")
def spatial_2d_padding(
    world: Symbols, x: Any, padding: Any = ((1, 1), (1, 1)), data_format: Any = None
) -> Any:
    return world.layer("ZeroPadding2D", x, padding=padding, data_format=data_format or "channels_last")


@function("resize_images")
def resize_images(
    world: Symbols,
    x: Any,
    height_factor: int,
    width_factor: int,
    data_format: str,
    interpolation: str = "nearest",
) -> Any:
    factors = (height_factor, width_factor)
    return world.layer("UpSampling2D", x, size=factors, data_format=data_format, interpolation=interpolation)


@function("pool2d")
def pool2d(
    world: Symbols, x: Any, pool_size: Any, strides: Any = (1, 1), padding: str = "valid",
    data_format: Any = None, pool_mode: str = "max",
) -> Any:  # fmt: skip
    kind = {"max": "MaxPooling2D", "avg": "AveragePooling2D"}[pool_mode]
    options = {"pool_size": pool_size, "strides": strides, "padding": padding}
    return world.layer(kind, x, **options, data_format=data_format or "channels_last")


# Products


@function("dot")
def dot(world: Symbols, x: Any, y: Any) -> Any:
    """Over the last axis of one and the last but one of the other."""
    ranks = [len(world.shape(it)) for it in (x, y)]
    if ranks == [2, 2]:
        return world.tensorflow("matmul", x, y)
    return world.tensorflow("tensordot", x, y, [[ranks[0] - 1], [max(ranks[1] - 2, 0)]])


@function("batch_dot")
def batch_dot(world: Symbols, x: Any, y: Any, axes: Any = None) -> Any:
    """Over one axis of each, the batch apart: the other axes of the first come first."""
    ranks = [len(world.shape(it)) for it in (x, y)]
    if axes is None:
        axes = [ranks[0] - 1, 1 if ranks[1] == 2 else ranks[1] - 2]
    axes = [axes, axes] if isinstance(axes, int) else list(axes)
    axes = [axis % rank for axis, rank in zip(axes, ranks, strict=True)]
    letters = "abcdefghijklmnop"
    left = "n" + letters[: ranks[0] - 1]
    right = "n" + letters[ranks[0] - 1 : sum(ranks) - 2]
    right = right[: axes[1]] + left[axes[0]] + right[axes[1] + 1 :]
    rest = left.replace(left[axes[0]], "") + right[1:].replace(left[axes[0]], "")
    made = world.tensorflow("einsum", f"{left},{right}->{rest}", x, y)
    return world.tensorflow("expand_dims", made, axis=1) if ranks == [2, 2] else made


@function("bias_add")
def bias_add(world: Symbols, x: Any, bias: Any, data_format: Any = None) -> Any:
    if data_format == "channels_first":
        raise Unsupported("keras.backend.bias_add, channels first", CODE)
    return world.operate("+", x, bias)


# New tensors


@function("zeros")
def zeros(world: Symbols, shape: Any, dtype: Any = None) -> Any:
    return world.tensorflow("zeros", shape, dtype=dtype)


@function("ones")
def ones(world: Symbols, shape: Any, dtype: Any = None) -> Any:
    return world.tensorflow("ones", shape, dtype=dtype)


@function("eye")
def eye(world: Symbols, size: Any, dtype: Any = None) -> Any:
    return world.tensorflow("eye", size, dtype=dtype)


@function("constant", "variable")
def constant(world: Symbols, value: Any, dtype: Any = None, shape: Any = None) -> Any:
    return world.tensorflow("constant", value, dtype=dtype or "float32", shape=shape)


@function("arange")
def arange(world: Symbols, start: Any, stop: Any = None, step: Any = 1, dtype: str = "int32") -> Any:
    ends = [start] if stop is None else [start, stop]
    made = world.tensorflow("range", *ends, delta=step)
    return made if dtype == "int32" else cast(world, made, dtype)


@function("random_normal")
def random_normal(
    world: Symbols, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    return world.tensorflow("random.normal", shape, mean=mean, stddev=stddev, dtype=dtype)


@function("random_uniform")
def random_uniform(
    world: Symbols, shape: Any, minval: Any = 0.0, maxval: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    return world.tensorflow("random.uniform", shape, minval=minval, maxval=maxval, dtype=dtype)


@function("truncated_normal")
def truncated_normal(
    world: Symbols, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    return world.tensorflow("random.truncated_normal", shape, mean=mean, stddev=stddev, dtype=dtype)
