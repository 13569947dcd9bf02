"""Tensors that write down what is done with them: for Python itself, and for the reader of its bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.lambdas.values import Method, Sizes

SHAPE = (None, 7, 4)


class Traced:
    """A tensor: its text. `shape` is that of every tensor here."""

    def __init__(self, text: str) -> None:
        self.text = text

    shape = SHAPE
    dtype = "float32"

    def get_shape(self) -> Any:
        return Listed(SHAPE)

    def __bool__(self) -> bool:
        raise AssertionError("a condition on a tensor")


class Listed(tuple[Any, ...]):
    def as_list(self) -> list[Any]:
        return list(self)


def text_of(value: Any) -> str:
    """A value, tensors by their texts."""
    if isinstance(value, Traced):
        return value.text
    if isinstance(value, slice):
        return f"slice({text_of(value.start)}, {text_of(value.stop)}, {text_of(value.step)})"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__ if type(value) is list else 'tuple'}({', '.join(map(text_of, value))})"
    return repr(value)


def applied(name: str, *args: Any, **kwargs: Any) -> Traced:
    given = [*map(text_of, args), *(f"{key}={text_of(it)}" for key, it in kwargs.items())]
    return Traced(f"{name}({', '.join(given)})")


NAMES = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "matmul": "@", "and": "&", "or": "|", "xor": "^",
}  # fmt: skip
for _name, _symbol in NAMES.items():
    setattr(Traced, f"__{_name}__", lambda x, y, symbol=_symbol: applied(symbol, x, y))
    setattr(Traced, f"__r{_name}__", lambda x, y, symbol=_symbol: applied(symbol, y, x))
for _name, _symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items():
    setattr(Traced, f"__{_name}__", lambda x, y, symbol=_symbol: applied(symbol, x, y))
for _name, _symbol in {"neg": "-", "pos": "+", "invert": "~", "abs": "abs"}.items():
    setattr(Traced, f"__{_name}__", lambda x, symbol=_symbol: applied(symbol, x))
Traced.__getitem__ = lambda x, key: applied("[]", x, key)  # type: ignore[attr-defined]


class Package:
    """A module of functions that write themselves down."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> Any:
        if name in ("float32", "int32"):
            return name
        return Package(f"{self.name}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return called(self.name, args, kwargs)


def called(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    if name == "K.ndim":
        return len(SHAPE)
    return applied(name, *args, **kwargs)


class Recorder:
    """The same for the machine."""

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, Traced)

    def operate(self, symbol: str, *operands: Any) -> Any:
        return applied(symbol, *operands)

    def call(self, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return called(path, args, kwargs)

    def attribute(self, tensor: Any, name: str) -> Any:
        if name == "shape":
            return Sizes(SHAPE)
        return Method(tensor, name) if name == "get_shape" else "float32"

    def method(self, tensor: Any, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return Sizes(SHAPE)
