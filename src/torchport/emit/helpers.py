"""Functions and classes that PyTorch lacks: text that stands in a port, once, where its name is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from torchport.rules import book

#: How a definition begins.
DEFINITION = re.compile(r"^(?:def|class) (\w+)", re.MULTILINE)


@cache
def _files() -> dict[str, str]:
    """The text of the file of snippets in which a name is defined: few of them have to be parsed."""
    folder = resources.files("torchport.emit").joinpath("snippets")
    texts = [it.read_text(encoding="utf-8") for it in folder.iterdir() if it.name.endswith(".py")]
    return {name: text for text in texts for name in DEFINITION.findall(text)}


@cache
def _definitions(text: str) -> dict[str, str]:
    lines = text.splitlines()
    found = (it for it in ast.parse(text).body if isinstance(it, (ast.FunctionDef, ast.ClassDef)))
    return {it.name: "\n".join(lines[it.lineno - 1 : it.end_lineno]) for it in found}


def own_names() -> set[str]:
    """The names of torchport's own helpers."""
    return set(_files())


def names() -> set[str]:
    """The names of all helpers, torchport's and those that rules of the user's own brought along."""
    return {*_files(), *book.active().helpers}


def helper(name: str) -> str:
    """The text of one helper."""
    return _definitions(_files()[name])[name] if name in _files() else book.active().helpers[name]


def used(texts: Sequence[str]) -> list[str]:
    """The helpers that these texts use, and those that these use, each before its first user."""
    known, needed = names(), list[str]()
    seen: set[str] = set()

    def need(text: str) -> None:
        read = [it for it in ast.walk(ast.parse(text)) if isinstance(it, ast.Name)]
        for name in (it.id for it in sorted(read, key=lambda it: (it.lineno, it.col_offset))):
            if name in known and name not in seen:
                seen.add(name)
                need(helper(name))
                needed.append(helper(name))

    for text in texts:
        need(text)
    return needed
