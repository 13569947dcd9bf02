"""Functions and classes that PyTorch lacks: text that stands in a port, once, where its name is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
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


#: A line of a helper that a program has only if it uses a feature, or only if it does not.
OPTIONAL = re.compile(r"^(.*?)  # (if|unless) (\w+)$")


def features(texts: Sequence[str], name: str) -> frozenset[str]:
    """The features of a helper that texts use: those of its calls, or, where they may be its, of any call."""
    found: set[str] = set()
    for call in (it for text in texts for it in ast.walk(ast.parse(text)) if isinstance(it, ast.Call)):
        given = {it.arg for it in call.keywords if it.arg}
        called = call.func.id if isinstance(call.func, ast.Name) else ""
        found |= given & {"mask", "state", "gate", "zeros"}
        found |= {"dropout"} if called == name and "recurrent_dropout" in given else set()
        found |= {"state"} if called == "StatefulRNN" else set()
    return frozenset(found)


def fitted(text: str, texts: Sequence[str], name: str) -> str:
    """A helper with only those of its optional lines that stand for what the texts use."""
    if not any(map(OPTIONAL.match, text.splitlines())):
        return text
    wanted, lines = features(texts, name), []
    for line in text.splitlines():
        found = OPTIONAL.match(line)
        if found is None or (found[3] in wanted) == (found[2] == "if"):
            lines.append(line if found is None else found[1])
    # a comma at the end would keep one argument on each line
    text = re.sub(r",(\n *\) ->)", r"\1", "\n".join(lines))
    return re.sub(r'\n\n *"""\n', '"""\n', text)


def used(texts: Sequence[str]) -> list[str]:
    """The helpers that these texts use, and those that these use, each before its first user."""
    known, needed = names(), list[str]()
    seen: set[str] = set()

    def need(text: str) -> None:
        for name in _read(text):
            if name in known and name not in seen:
                seen.add(name)
                found = fitted(helper(name), texts, name)
                need(found)
                needed.append(found)

    for text in texts:
        need(text)
    return needed


@lru_cache(maxsize=1024)
def _read(text: str) -> tuple[str, ...]:
    """The names that a text reads from around it. Of helpers it is asked for every draft of a program."""
    return tuple(_globals(ast.parse(text)))


def _globals(tree: ast.AST, own: frozenset[str] = frozenset()) -> Iterator[str]:
    """The names that are read and are no variable of the function around them, in the order of the text."""
    if isinstance(tree, ast.FunctionDef):
        inside = [it for it in ast.walk(tree) if isinstance(it, (ast.Name, ast.arg))]
        own |= {it.arg for it in inside if isinstance(it, ast.arg)}
        own |= {it.id for it in inside if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}
    if isinstance(tree, ast.Name) and tree.id not in own:
        yield tree.id
    for child in ast.iter_child_nodes(tree):
        yield from _globals(child, own)
