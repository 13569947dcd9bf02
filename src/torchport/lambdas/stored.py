"""Where a Lambda's configuration has its function: the bytes of it, or its name."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.errors import Unsupported
from torchport.lambdas import marshal_format
from torchport.lambdas.code import Code, Function, Unreadable
from torchport.lambdas.values import CODE


@dataclass(frozen=True)
class Named:
    """A function of which the file has the name alone."""

    name: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.module}.{self.name}" if self.module not in ("", "builtins", "__main__") else self.name


@dataclass(frozen=True)
class Stored:
    """The bytes of a function, and what it was made with."""

    data: bytes
    defaults: tuple[Any, ...] = ()
    closure: tuple[Any, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""

    def functions(self) -> Iterator[Function]:
        """The function, by each layout of code objects that its bytes can be read in. Raises Unreadable."""
        for code in marshal_format.read(self.data):
            if len(self.closure) != len(code.free):
                raise Unreadable("its outer variables are not in the file")
            yield Function(code, self.defaults, {}, dict(zip(code.free, self.closure, strict=True)))


def of(config: Mapping[str, Any]) -> Stored | Named:
    """The function of a Lambda, as Keras 1, 2 or 3 stores it. Raises Unsupported for what is neither."""
    function = config.get("function")
    module = str(config.get("module") or "")
    given = {str(key): constant(it) for key, it in dict(plain_mapping(config.get("arguments"))).items()}
    if isinstance(function, Mapping):  # Keras 3
        inner = function.get("config")
        if function.get("class_name") == "__lambda__" and isinstance(inner, Mapping):
            return stored([inner.get("code"), inner.get("defaults"), inner.get("closure")], given, module)
        name = inner if isinstance(inner, str) else str(function.get("registered_name"))
        return Named(name, str(function.get("module") or ""))
    if isinstance(function, str) and config.get("function_type") == "function":
        return Named(function, module)
    if isinstance(function, str) and function.startswith("<"):  # a live model
        return Named(function.strip("<>"), "")
    if isinstance(function, str):
        return stored([function, config.get("defaults"), config.get("closure")], given, module)
    if isinstance(function, (list, tuple)) and len(function) == 3:
        return stored(list(function), given, module)
    raise Unsupported("its function is not in the file", CODE)


def stored(parts: list[Any], given: Mapping[str, Any], module: str) -> Stored:
    text, defaults, closure = parts
    if not isinstance(text, str):
        raise Unsupported("its function is not in the file", CODE)
    return Stored(raw(text), several(defaults), several(closure), given, module)


def several(value: Any) -> tuple[Any, ...]:
    """A tuple, as JSON or Keras 3 has it."""
    value = constant(value)
    return tuple(value) if isinstance(value, (list, tuple)) else ()


def plain_mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def raw(text: str) -> bytes:
    """The bytes: in base64, or each as a letter (before Keras 2.1.3).

    Source: func_load in keras/src/utils/python_utils.py.
    """
    try:
        found = base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
        if found[:1] in (b"c", b"\xe3"):
            return found
    except (UnicodeEncodeError, binascii.Error, ValueError):
        pass
    return text.encode("raw_unicode_escape")


def constant(value: Any, depth: int = 0) -> Any:
    """A value that the file has beside the code: numbers, texts, lists, arrays."""
    if depth > 20:
        raise Unsupported("its arguments are nested too deeply", CODE)
    if isinstance(value, list):
        return [constant(it, depth + 1) for it in value]
    if isinstance(value, Mapping):
        inner, kind = value.get("config"), value.get("class_name")
        if kind == "__tuple__" and "items" in value:
            return tuple(constant(it, depth + 1) for it in value["items"])
        if kind == "__numpy__" and isinstance(inner, Mapping):
            return np.asarray(inner.get("value"), str(inner.get("dtype")))
        if kind == "__tensor__" and isinstance(inner, Mapping):
            return np.asarray(inner.get("value"), str(inner.get("dtype")))
        if value.get("type") == "ndarray" and "value" in value:  # Keras 2
            return np.asarray(value["value"])
        if kind is not None:
            return Opaque(str(kind))
        return {str(key): constant(it, depth + 1) for key, it in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return Opaque(type(value).__name__)


@dataclass(frozen=True)
class Opaque:
    """Something beside the code that is no constant: a layer, a function."""

    kind: str


def codes(code: Code) -> Iterator[Code]:
    """A code object and all in it."""
    yield code
    for it in code.constants:
        if isinstance(it, Code):
            yield from codes(it)
