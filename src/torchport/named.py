"""Numbers that carry their text: `width * 2` is 128 and is written `width * 2`."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

#: How tightly operators bind, as emit/expression.py has it; what is no operation stands alone.
BINDS = {"+": 3, "-": 3, "*": 4, "//": 4, "%": 4}
ATOM = 9


def binds_of(text: str) -> int:
    """How tightly the outermost operator of an expression binds."""
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.BinOp):
        tight = (ast.Mult, ast.FloorDiv, ast.Mod, ast.Div, ast.MatMult)
        return 4 if isinstance(node.op, tight) else 3 if isinstance(node.op, (ast.Add, ast.Sub)) else 0
    loose = (ast.UnaryOp, ast.Compare, ast.BoolOp, ast.IfExp, ast.Lambda)
    return 0 if isinstance(node, loose) else ATOM


class Named(int):
    """A whole number and the expression that gives it. Its arithmetic is that of the texts too."""

    text: str
    binds: int

    def __new__(cls, value: int, text: str, binds: int | None = None) -> Named:
        made = super().__new__(cls, value)
        made.text, made.binds = text, binds_of(text) if binds is None else binds
        return made

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else self.text

    def __reduce__(self) -> Any:
        return Named, (int(self), self.text, self.binds)

    def __add__(self, other: Any) -> Any:
        return combined(self, "+", other)

    def __radd__(self, other: Any) -> Any:
        return combined(other, "+", self)

    def __sub__(self, other: Any) -> Any:
        return combined(self, "-", other)

    def __rsub__(self, other: Any) -> Any:
        return combined(other, "-", self)

    def __mul__(self, other: Any) -> Any:
        return combined(self, "*", other)

    def __rmul__(self, other: Any) -> Any:
        return combined(other, "*", self)

    def __floordiv__(self, other: Any) -> Any:
        return combined(self, "//", other)

    def __rfloordiv__(self, other: Any) -> Any:
        return combined(other, "//", self)

    def __mod__(self, other: Any) -> Any:
        return combined(self, "%", other)

    def __rmod__(self, other: Any) -> Any:
        return combined(other, "%", self)


def whole_number(value: Any) -> int:
    """A whole number; with its text, where it has one."""
    return value if isinstance(value, int) else int(value)


class NamedFloat(float):
    """A fraction and the expression that gives it."""

    text: str

    def __new__(cls, value: float, text: str) -> NamedFloat:
        made = super().__new__(cls, value)
        made.text = text
        return made

    @property
    def binds(self) -> int:
        return binds_of(self.text)

    def __repr__(self) -> str:
        return self.text

    def __round__(self, digits: Any = None) -> Any:
        return self

    def __rsub__(self, other: Any) -> Any:
        mine = self.text if self.binds > 3 else f"({self.text})"
        return NamedFloat(other - float(self), f"{other} - {mine}")


OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip


def combined(left: Any, symbol: str, right: Any) -> Any:
    """What an operator gives of two whole numbers, of which one has a text: `x + 0` is x."""
    if isinstance(left, bool) or isinstance(right, bool):
        return NotImplemented
    if not isinstance(left, int) or not isinstance(right, int):
        return NotImplemented
    neutral = {"+": 0, "-": 0, "*": 1, "//": 1}.get(symbol)
    if not is_named(right) and int(right) == neutral:
        return left
    if not is_named(left) and symbol in "+*" and int(left) == neutral:
        return right
    mine = BINDS[symbol]
    text = f"{operand(left, mine)} {symbol} {operand(right, mine + 1)}"
    return Named(OPERATORS[symbol](int(left), int(right)), text, mine)


def operand(value: int, needed: int) -> str:
    """A number as an operand, in brackets where it binds less than is needed."""
    if isinstance(value, Named):
        return value.text if value.binds >= needed else f"({value.text})"
    return str(value) if value >= 0 else f"({value})"


def is_named(value: Any) -> bool:
    """Whether a number carries a text: then it is written, whatever its value."""
    return isinstance(value, (Named, NamedFloat))
