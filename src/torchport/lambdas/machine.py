"""A function evaluated over the tensors of a world, instruction by instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.errors import Unsupported
from torchport.lambdas import constants
from torchport.lambdas.applications import preprocess_input
from torchport.lambdas.code import GENERATOR, VARARGS, VARKEYWORDS, Code, Function, Unreadable
from torchport.lambdas.decode import Instruction, decode
from torchport.lambdas.opcodes import Version
from torchport.lambdas.packages import Packages
from torchport.lambdas.values import CODE, Budget, Cell, Method, Path, Results, World, leaves


class Null:
    """What stands on the stack where a method would have its owner."""


NULL = Null()


@dataclass
class Machine:
    """Evaluates functions, in the words of one version of Python."""

    world: World
    packages: Packages
    version: Version
    budget: Budget = field(default_factory=Budget)
    #: What was called, for whoever reads about it: the names of packages and what each was taken for.
    assumed: dict[str, str] = field(default_factory=dict)

    def call(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The result of any function that is known. Raises Unsupported."""
        if isinstance(function, Function):
            return self.budget.enter(lambda: self.run(function, args, kwargs))
        if isinstance(function, Method):
            return self.method(function, args, kwargs)
        if not isinstance(function, Path):
            raise Unsupported(f"it calls {type(function).__name__}", CODE)
        module, _, name = function.name.partition(".")
        if module == "builtins":
            return self.builtin(name, args, kwargs)
        if module in ("np", "math") and constants.is_plain(list(args)) and constants.is_plain(kwargs):
            return constants.package(function.name, args, kwargs)
        if function.name == "imagenet_utils.preprocess_input":
            return preprocess_input(self.world, *args, **kwargs)
        return self.world.call(function.name, args, kwargs)

    def builtin(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if name == "isinstance":
            raise Unsupported("it asks for the class of a value", CODE)
        if name == "len" and len(args) == 1 and self.world.is_tensor(args[0]):
            raise Unsupported("it asks for the length of a tensor", "use its shape")
        if args and self.world.is_tensor(args[0]):
            if name in ("abs", "pow", "round"):
                return self.world.operate({"pow": "**"}.get(name, name), *args)
            raise Unsupported(f"it makes a number of a tensor, by {name}", CODE)
        if name == "sum":
            start = args[1] if len(args) > 1 else kwargs.get("start", 0)
            for it in constants.items(args[0]):
                start = self.binary("+", start, it)
            return start
        if name == "map" and len(args) == 2:
            return [self.call(args[0], [it], {}) for it in constants.items(args[1])]
        if name in ("max", "min") and any(map(self.world.is_tensor, args)):
            raise Unsupported("it compares tensors as numbers", "use tf.maximum or tf.minimum")
        known = constants.BUILTINS.get(name)
        if known is None:
            raise Unsupported(f"it calls {name}", CODE)
        return constants.checked(known, *args, **kwargs)

    def method(self, function: Method, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        if self.world.is_tensor(function.owner):
            return self.world.method(function.owner, function.name, args, kwargs)
        if isinstance(function.owner, tuple) and function.name == "as_list" and not args:
            return list(function.owner)
        return constants.method(function.owner, function.name, args, kwargs)

    def attribute(self, owner: Any, name: str) -> Any:
        if name.startswith("__"):
            raise Unsupported(f"it asks for .{name}", CODE)
        if isinstance(owner, Path):
            return self.packages.attribute(owner, name)
        if self.world.is_tensor(owner):
            return self.world.attribute(owner, name)
        if isinstance(owner, Results) and name in owner.names:
            return owner[owner.names.index(name)]
        if isinstance(owner, tuple) and name in ("ndims", "rank"):
            return len(owner)
        if isinstance(owner, int) and name == "value":  # a size, in TensorFlow 1
            return owner
        if owner is None and name == "value":
            return None
        if isinstance(owner, np.ndarray) and name in ("shape", "ndim", "size", "T"):
            return constants.checked(getattr, owner, name)
        if name.startswith("_"):
            raise Unsupported(f"it asks for .{name}", CODE)
        return Method(owner, name)

    def binary(self, symbol: str, left: Any, right: Any) -> Any:
        if symbol in ("is", "is not"):
            return (left is right) == (symbol == "is")
        if symbol in ("in", "not in") and isinstance(right, (list, tuple)) and not self.has_tensors(right):
            if self.world.is_tensor(left):
                raise Unsupported("it looks for a tensor in a list", CODE)
        if self.has_tensors(left) or self.has_tensors(right):
            if symbol in ("+", "*", "[]") and self.is_list(left) and not self.world.is_tensor(right):
                return constants.operate(symbol, left, right)
            return self.world.operate(symbol, left, right)
        self.check_plain(left, right)
        return constants.operate(symbol, left, right)

    def is_list(self, value: Any) -> bool:
        return isinstance(value, (list, tuple, dict))

    def has_tensors(self, value: Any) -> bool:
        """Whether a value is a tensor, or a list with one in it."""
        for it in leaves(value):
            self.budget.step()
            if self.world.is_tensor(it):
                return True
        return False

    def check_plain(self, *values: Any) -> None:
        for value in values:
            if isinstance(value, (Path, Method, Function, Cell)):
                name = value.name if isinstance(value, (Path, Method)) else type(value).__name__
                raise Unsupported(f"it computes with {name}, whose value is not in the file", CODE)

    def run(self, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a function returns."""
        code = function.code
        if code.flags & GENERATOR:
            raise Unsupported(f"line {code.first_line}: it is a generator", CODE)
        from torchport.lambdas.frame import Frame

        frame = Frame(self, code, instructions(code, self.version), bound(function, args, kwargs))
        frame.enter(function)
        return frame.run()


def instructions(code: Code, version: Version) -> tuple[Instruction, ...]:
    try:
        return decode(code, version)
    except Unreadable as error:
        raise Unsupported(f"line {code.first_line}: {error}", CODE) from error


def bound(function: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call by the names of the parameters. Raises Unsupported where they do not fit."""
    code = function.code
    names = code.variables[: code.arguments]
    only = code.variables[code.arguments : code.arguments + code.keyword_only]
    found: dict[str, Any] = dict(zip(names, args, strict=False))
    rest = code.parameters[len(names) + len(only) :]
    if len(rest) < bool(code.flags & VARARGS) + bool(code.flags & VARKEYWORDS):
        raise Unsupported(f"{code.name} has fewer names than parameters: its code is damaged", CODE)
    if len(args) > len(names) and not code.flags & VARARGS:
        raise Unsupported(f"{code.name} takes {len(names)} arguments, is given {len(args)}", CODE)
    if code.flags & VARARGS:
        found[rest[0]] = tuple(args[len(names) :])
    more = {}
    for name, value in kwargs.items():
        if name in found and name in names:
            raise Unsupported(f"{code.name} is given {name} twice", CODE)
        if name in (*names, *only):
            found[name] = value
        else:
            more[name] = value
    if code.flags & VARKEYWORDS:
        found[rest[-1]] = more
    elif more:
        raise Unsupported(f"{code.name} has no argument {next(iter(more))}", CODE)
    defaults = zip(reversed(names), reversed(function.defaults), strict=False)
    for name, value in (*defaults, *function.keyword_defaults.items()):
        found.setdefault(name, value)
    missing = [it for it in (*names, *only) if it not in found]
    if missing:
        raise Unsupported(f"{code.name} is not given {', '.join(missing)}", CODE)
    return found
