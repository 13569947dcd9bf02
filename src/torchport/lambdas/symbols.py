"""The world of a Lambda in a graph: tensors are names, and what is done with them becomes operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from torchport.errors import Unsupported
from torchport.graph import Op, Ref, Tensor, is_keras_2
from torchport.lambdas import backend, keras_ops, tensorflow
from torchport.lambdas.values import CODE, Method, Path, Results, Sizes

#: The longest text of an expression.
LONGEST = 240


@dataclass(frozen=True)
class Symbol:
    """A tensor of the graph, and how it was written."""

    name: str
    text: str = field(compare=False)

    @property
    def ref(self) -> Ref:
        return Ref(self.name)


class Emit(Protocol):
    """Where operations go."""

    def add(self, op: Op) -> Sequence[str]:
        """The names of what an operation gives. Raises Unsupported."""

    def tensor(self, name: str) -> Tensor | None:
        """A tensor; None of a size that is a number at run time."""


#: Operators as TensorFlow's functions.
OPERATORS = {
    "+": "add", "-": "subtract", "*": "multiply", "/": "truediv", "//": "floordiv", "%": "floormod",
    "**": "pow", "@": "matmul", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
    "==": "equal", "!=": "not_equal",
}  # fmt: skip
BITWISE = {"&": "and", "|": "or", "^": "xor"}
UNARY = {"-": "negative", "abs": "abs", "round": "round"}


@dataclass
class Symbols:
    """The tensors of one call of a Lambda. `like`: a tensor whose device new ones share."""

    emit: Emit
    name: str
    dialect: str
    like: Ref
    count: int = 0
    #: What was taken for granted of how Keras is set up.
    assumed: dict[str, str] = field(default_factory=dict)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Symbol)

    # Operations

    def add(self, kind: str, args: Sequence[Any], config: Mapping[str, Any], text: str, **more: Any) -> Any:
        """One operation; its result, or a list of several."""
        name = f"{self.name}.{self.count}"
        self.count += 1
        args = tuple(map(saved, args))
        kwargs = {key: saved(it) for key, it in more.items()}
        outputs = self.emit.add(Op(name, kind, args, (name,), dict(config), kwargs, layer=name))
        short = str(config.get("function")).rpartition(".")[2]
        if (kind == "TFOpLambda" and short in tensorflow.SEVERAL) or len(outputs) > 1:
            found = Results(Symbol(it, f"{text}[{at}]") for at, it in enumerate(outputs))
            found.names = tensorflow.SEVERAL.get(short, ())
            return found
        return Symbol(outputs[0], text)

    def tensorflow(self, function: str, *args: Any, **given: Any) -> Any:
        """A function of TensorFlow, by its name in it: `math.reduce_mean`."""
        return tensorflow.call(self, function, args, given)

    def layer(self, kind: str, x: Any, **config: Any) -> Any:
        """What a layer of Keras computes."""
        return self.add(kind, [x], config, written(kind, [x], config))

    def call(self, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        module, _, name = path.partition(".")
        args, kwargs = [plain(it) for it in args], {key: plain(it) for key, it in kwargs.items()}
        if module == "tf":
            return self.tensorflow(name, *args, **kwargs)
        if module == "K":
            return backend.call(self, name, args, kwargs)
        if module == "ops":
            return keras_ops.call(self, f"keras.{path}", args, kwargs)
        if path.startswith("keras.random."):
            return keras_ops.draw(self, path, args, kwargs)
        if path.startswith("keras.activations."):
            return backend.activation(self, path.rpartition(".")[2], args, kwargs)
        if module in ("np", "math"):
            raise Unsupported(f"it calls {path} of a tensor", "use the function of tf in its place")
        raise Unsupported(f"it calls {path}, which is not read", CODE)

    def operate(self, symbol: str, *operands: Any) -> Any:
        operands = tuple(map(plain, operands))
        if symbol == "[]":
            return self.index(*operands)
        if len(operands) == 1 or symbol in ("abs", "round"):
            return self.unary(symbol, operands[0])
        left, right = operands
        text = f"{bracketed(left)} {symbol} {bracketed(right)}"
        dtype = next((self.dtype(it) for it in operands if self.is_tensor(it)), "float32")
        if symbol in BITWISE:
            whole = "logical" if dtype == "bool" else "bitwise.bitwise"
            function = f"{whole}_{BITWISE[symbol]}"
        elif symbol in OPERATORS:
            function = OPERATORS[symbol]
        else:
            raise Unsupported(f"the operator {symbol} of tensors", CODE)
        if symbol == "/" and not is_keras_2(self.dialect) and dtype in ("int32", "int64"):
            # Source: tensorflow/python/ops/math_ops.py, _TRUEDIV_TABLE.
            left, right = (
                self.tensorflow("cast", it, "float64") if self.is_tensor(it) else it for it in operands
            )
        left, right = (typed(it, dtype) for it in (left, right))
        key = "b" if symbol == "@" else "y"
        return self.add("TFOpLambda", [left], {"function": function}, text, **{key: right})

    def unary(self, symbol: str, value: Any) -> Any:
        text = f"{symbol}({shown(value)})" if symbol.isalpha() else f"{symbol}{bracketed(value)}"
        if symbol == "+":
            return value
        if symbol == "~":
            function = "logical_not" if self.dtype(value) == "bool" else "bitwise.invert"
        else:
            function = UNARY[symbol]
        return self.add("TFOpLambda", [value], {"function": function}, text)

    def index(self, value: Any, key: Any) -> Any:
        if not self.is_tensor(value):
            raise Unsupported("an index that is a tensor", "use tf.gather")
        keys = list(key) if isinstance(key, tuple) else [key]
        for it in keys:
            if isinstance(it, (list, np.ndarray)) or self.is_tensor(it) and self.dtype(it) == "bool":
                raise Unsupported("an index that is a list or a mask", "use tf.gather or tf.where")
        text = f"{bracketed(value)}[{', '.join(map(sliced, keys))}]"
        function = {"function": "__operators__.getitem"}
        return self.add("SlicingOpLambda", [value], function, text, slice_spec=list(map(whole, keys)))

    # What is known of tensors

    def known(self, value: Any) -> Tensor:
        found = self.emit.tensor(value.name) if isinstance(value, Symbol) else None
        if found is None:
            raise Unsupported("it asks for the shape of a size", CODE)
        return found

    def dtype(self, value: Any) -> str:
        found = self.emit.tensor(value.name) if isinstance(value, Symbol) else None
        return "int32" if found is None else found.dtype

    def shape(self, value: Any) -> Sizes:
        """The static shape of a tensor, or of a constant."""
        return Sizes(self.known(value).shape if self.is_tensor(value) else np.shape(value))

    def attribute(self, tensor: Symbol, name: str) -> Any:
        if name in ("shape", "_keras_shape"):
            return self.shape(tensor)
        if name == "dtype":
            return self.dtype(tensor)
        if name == "ndim":
            return len(self.shape(tensor))
        if name in ("get_shape", "set_shape"):
            return Method(tensor, name)
        raise Unsupported(f"it asks for .{name} of a tensor", CODE)

    def method(self, tensor: Symbol, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if name == "get_shape":
            return self.shape(tensor)
        return None


def plain(value: Any) -> Any:
    """A value as functions take it: a dtype is its name, a number of numpy one of Python."""
    if isinstance(value, Path):
        module, _, name = value.name.partition(".")
        if module in ("np", "tf", "builtins") and name.rstrip("_") in tensorflow.DTYPES:
            return tensorflow.DTYPES[name.rstrip("_")]
        raise Unsupported(f"it hands over {value.name}", CODE)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value)) if type(value) in (list, tuple) else tuple(map(plain, value))
    return value


def typed(value: Any, dtype: str) -> Any:
    """A constant beside a tensor: an array has the tensor's dtype, as TensorFlow converts it."""
    return value.astype(dtype) if isinstance(value, np.ndarray) and dtype != "bool" else value


def whole(value: Any) -> Any:
    """A part of an index, of whole numbers."""
    if isinstance(value, slice):
        return slice(*map(whole, (value.start, value.stop, value.step)))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def saved(value: Any) -> Any:
    """An argument as a file has it."""
    if isinstance(value, Symbol):
        return value.ref
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    if isinstance(value, (list, tuple, range)):
        return [saved(it) for it in value]
    if isinstance(value, slice):
        return slice(saved(value.start), saved(value.stop), saved(value.step))
    if value is None or isinstance(value, (bool, int, float, str)) or value is ...:
        return value
    raise Unsupported(f"it hands over {type(value).__name__}", CODE)


# Texts


def shown(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, Symbol):
        return value.text
    if isinstance(value, np.ndarray):
        text = f"array of shape {value.shape}" if value.size > 8 else repr(value.tolist())
    elif isinstance(value, (list, tuple)):
        inside = ", ".join(map(shown, value))
        text = f"[{inside}]" if isinstance(value, list) else f"({inside}{',' * (len(value) == 1)})"
    else:
        text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def bracketed(value: Any) -> str:
    """The same as an operand."""
    text = shown(value)
    if text.startswith("-") or isinstance(value, Symbol) and " " in outside(text):
        return f"({text})"
    return text


def outside(text: str) -> str:
    """What of a text is not in brackets."""
    found, depth = [], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if not depth:
            found.append(letter)
    return "".join(found)


def sliced(key: Any) -> str:
    if not isinstance(key, slice):
        return "..." if key is ... else shown(key)
    start, stop = ("" if it is None else shown(it) for it in (key.start, key.stop))
    return f"{start}:{stop}" + ("" if key.step is None else f":{shown(key.step)}")


def written(function: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """A call as a person writes it."""
    text = (
        f"{function}({', '.join([*map(shown, args), *(f'{key}={shown(it)}' for key, it in kwargs.items())])})"
    )
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
