"""Rules and helpers that are not torchport's own: those of a file, and those of modules that were imported.

Those of a file hold where they are asked for, in `scope`, and nowhere else: neither in the next conversion of
the same process nor in another thread.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torchport.errors import TorchportError
from torchport.names import IMPORTED, unique

if TYPE_CHECKING:
    from torchport.rules.table import Rule


@dataclass(frozen=True)
class Book:
    """Rules by kind, and the text of helpers by name.

    `names`: what helpers are called in a port, where they are not called there as in their file. `known`: the
    functions of torchport's own that may be called beside them; empty until `beside` tells.
    """

    rules: dict[str, Rule] = field(default_factory=dict)
    helpers: dict[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()

    def beside(self, known: Collection[str]) -> Book:
        """The book in a port that may hold these functions too: a helper of such a name gets another.

        Raises TorchportError for a helper that reads what model.py does not have.
        """
        taken = {*known, *IMPORTED, *dir(builtins)}
        names: dict[str, str] = {}
        for name in self.helpers:
            if name in taken:
                names[name] = unique(name, {*taken, *self.helpers, *names.values()})
        for name, text in self.helpers.items():
            missing = sorted(reads(text) - taken - self.helpers.keys())
            if missing:
                raise TorchportError(
                    f"the helper {name} uses {', '.join(missing)}, which model.py does not have",
                    advice="a helper may use torch, nn, F, Tensor, math and other helpers",
                )
        helpers = {names.get(name, name): renamed(text, names) for name, text in self.helpers.items()}
        return Book(self.rules, helpers, names, frozenset(known))


def reads(text: str) -> set[str]:
    """The names that functions and classes read and do not define."""

    def within(table: symtable.SymbolTable) -> Iterator[str]:
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            own = symbol.is_assigned() or symbol.is_imported() if top else not symbol.is_global()
            if symbol.is_referenced() and not own:
                yield symbol.get_name()
        for child in table.get_children():
            yield from within(child)

    table = symtable.symtable(text, "helper", "exec")
    defined = {it.get_name() for it in table.get_symbols() if it.is_assigned()}
    return set(within(table)) - defined


def renamed(text: str, names: Mapping[str, str]) -> str:
    """The text of a helper with other names of helpers, wherever it defines or reads them."""
    lines = text.splitlines()
    places = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name) and node.id in names:
            places.append((node.lineno, node.col_offset, node.id))
        elif (
            isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name in names and node.col_offset == 0
        ):
            word = "class" if isinstance(node, ast.ClassDef) else "def"
            places.append((node.lineno, len(f"{word} "), node.name))
    for line, column, name in sorted(places, reverse=True):
        row = lines[line - 1].encode()  # columns count bytes
        lines[line - 1] = (row[:column] + names[name].encode() + row[column + len(name.encode()) :]).decode()
    return "\n".join(lines)


#: What modules entered that were imported: packages with rules, or a program that calls torchport.
PROCESS = Book()
_active: ContextVar[Book | None] = ContextVar("active", default=None)
_open: ContextVar[Book | None] = ContextVar("open", default=None)


def active() -> Book:
    """What holds here, beside torchport's own."""
    return _active.get() or PROCESS


def opened() -> Book | None:
    """The book of the file that is being run."""
    return _open.get()


@contextmanager
def scope(book: Book) -> Iterator[Book]:
    """Where a book holds, before what was imported."""
    token = _active.set(book)
    try:
        yield book
    finally:
        _active.reset(token)


@contextmanager
def entering(book: Book | None) -> Iterator[None]:
    """Where rules and helpers are entered in a book; None: in that of the process."""
    token = _open.set(book)
    try:
        yield
    finally:
        _open.reset(token)


def joined_with_process(book: Book) -> Book:
    """A book, and behind it what was imported."""
    return Book({**PROCESS.rules, **book.rules}, {**PROCESS.helpers, **book.helpers})
