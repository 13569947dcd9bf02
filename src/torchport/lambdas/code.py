"""A code object of Python as data: what a function consists of once it is compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Bits of `Code.flags`. Source: Include/cpython/code.h.
VARARGS, VARKEYWORDS, GENERATOR = 0x04, 0x08, 0x20 | 0x80 | 0x200


class Unreadable(Exception):
    """The bytes are no code object that a Python from 3.5 to 3.14 wrote: why."""


@dataclass(frozen=True)
class Code:
    """A compiled function.

    `layout` is that of its marshalled form, which versions share: "3.5", "3.8" or "3.11". `variables` are its
    locals, `cells` those that inner functions see, `free` those of outer functions. `places`: which variable
    an instruction of 3.11 and later means by a number; () before.
    """

    layout: str
    name: str
    arguments: int
    keyword_only: int
    flags: int
    stack: int
    bytecode: bytes
    constants: tuple[Any, ...]
    names: tuple[str, ...]
    variables: tuple[str, ...]
    cells: tuple[str, ...]
    free: tuple[str, ...]
    filename: str
    first_line: int
    line_table: bytes
    places: tuple[str, ...] = ()

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all its parameters, *args and **kwargs last."""
        count = self.arguments + self.keyword_only
        count += bool(self.flags & VARARGS) + bool(self.flags & VARKEYWORDS)
        return self.variables[:count]


@dataclass(frozen=True)
class Function:
    """A function: its code and what it was made with. `free`: the values of its outer variables, by name."""

    code: Code
    defaults: tuple[Any, ...] = ()
    keyword_defaults: Mapping[str, Any] = field(default_factory=dict)
    free: Mapping[str, Any] = field(default_factory=dict)
