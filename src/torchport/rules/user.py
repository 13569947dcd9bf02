"""Rules of the user's own: a Python file, or a package with an entry point `torchport.rules`.

They may not replace any of ours. A rule for `Scale` serves every custom class of that name; one for
`shop>Scale`, the name under which Keras registered it, that one alone.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import RLock

from torchport import scripts
from torchport.errors import TorchportError
from torchport.graph import Graph, Op
from torchport.names import short_name
from torchport.rules import book
from torchport.rules.book import Book
from torchport.rules.refused import ELSEWHERE, KERAS, REFUSED
from torchport.rules.refused_operations import REFUSED_OPERATIONS
from torchport.rules.stub import shown, skeleton
from torchport.rules.table import find

#: What each file of rules entered, and the text that did.
LOADED: dict[Path, tuple[bytes, Book]] = {}
LOCK = RLock()
GROUP = "torchport.rules"
#: Functions, and operations between layers.
NAMESPACES = ("activation:", "keras.", "tensorflow.", "tf.")
#: Of a text that is no helper so much is shown.
LONGEST = 60


def helper(text: str) -> None:
    """Source text of functions and classes that stands in a port as it is, once, where a rule uses its name.

    It may use `torch`, `F`, `nn`, `Tensor`, `math` and other helpers.
    """
    entered = (book.opened() or book.PROCESS).helpers
    for node in ast.parse(text).body:
        if not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            raise TorchportError("a helper is a function or a class", advice=text[:LONGEST])
        source = ast.get_source_segment(text, node) or ""
        if entered.get(node.name, source) != source:
            raise TorchportError(f"there already is a helper {node.name}")
        entered[node.name] = source


@contextmanager
def rules(path: str | Path | None) -> Iterator[None]:
    """Where the rules of a file hold; without one, nothing changes."""
    if path is None:
        yield
        return
    with book.scope(book.joined_with_process(load(path))):
        yield


@contextmanager
def helpers_beside(known: Collection[str]) -> Iterator[Book]:
    """Where helpers have names beside those of torchport's own functions."""
    with book.scope(book.active().beside(known)) as made:
        yield made


def load(path: str | Path) -> Book:
    """What a file of rules enters. It is run once, unless it has changed.

    Raises TorchportError, with the line, where it fails.
    """
    path = Path(path)
    with LOCK:
        try:
            text = path.read_bytes()
        except OSError as error:
            advice = "give a Python file with rules: docs/custom-layers.md has one"
            raise TorchportError(
                f"cannot be read ({error.strerror})", where=str(path), advice=advice
            ) from error
        known = LOADED.get(path.resolve())
        if known is not None and known[0] == text:
            return known[1]
        entered, before = Book(), set(sys.modules)
        try:
            with book.entering(entered):
                scripts.run(path, "give a Python file with rules: docs/custom-layers.md has one")
        except TorchportError as error:
            if error.where:
                raise
            where = scripts.line_of(error, [path]) or str(path)
            raise TorchportError(error.what, where=where, advice=error.advice) from error
        finally:
            # what it imported and entered rules is run again for the next file that imports it
            for name in {it.write.__module__ for it in entered.rules.values()} - before:
                sys.modules.pop(name, None)
        LOADED[path.resolve()] = text, entered
        return entered


def plugins(graph: Graph) -> None:
    """Load the rules of installed packages, if the graph has a kind for which there is none yet."""
    if any(is_unknown(op.kind) for op in graph.ops):
        _plugins()
    for body in graph.bodies.values():
        plugins(body)


@cache
def _plugins() -> None:
    import importlib.metadata

    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            with book.entering(None):
                point.load()
        except TorchportError:
            raise
        except Exception as error:  # somebody's package: it may raise anything
            where = f"{point.name} = {point.value}"
            what = f"the rules of an installed package fail with {type(error).__name__}: {error}"
            raise TorchportError(what, where=where, advice="update or uninstall it") from error


def is_unknown(kind: str) -> bool:
    """Whether this is somebody's own class, and nobody has a rule for it."""
    is_known = kind in KERAS or kind in ELSEWHERE or kind in REFUSED
    is_keras = is_known or kind == "Model" or kind.startswith(NAMESPACES)
    return not is_keras and find(kind) is None


def refuse(graph: Graph) -> Graph:
    """The graph, its ops for which there is no rule refused, with what to do: of somebody's class, a stub."""
    alike: dict[str, list[Op]] = {}
    for op in unknown(graph):
        alike.setdefault(op.kind, []).append(op)
    names = [short_name(kind) for kind in alike]
    why = {
        kind: without_rule(ops, kind if names.count(short_name(kind)) > 1 else short_name(kind))
        for kind, ops in alike.items()
    }
    return with_refusals(graph, why)


def unknown(graph: Graph) -> Iterator[Op]:
    """The ops of somebody's own classes, nested models included."""
    yield from (op for op in graph.ops if is_unknown(op.kind) and op.refused is None)
    for body in graph.bodies.values():
        yield from unknown(body)


def with_refusals(graph: Graph, why: Mapping[str, tuple[str, str]]) -> Graph:
    def refused(op: Op) -> tuple[str, str] | None:
        known = REFUSED.get(op.kind) or REFUSED_OPERATIONS.get(op.kind.removeprefix("keras.ops."))
        return op.refused or why.get(op.kind) or (known if known and find(op.kind) is None else None)

    ops = tuple(replace(op, refused=refused(op)) for op in graph.ops)
    bodies = {layer: with_refusals(body, why) for layer, body in graph.bodies.items()}
    return graph.replace(ops=ops, bodies=bodies)


def without_rule(ops: list[Op], name: str) -> tuple[str, str]:
    """Why layers of somebody's class are refused, and what to do."""
    facts = "; ".join(shown(ops))
    return (
        f"a class of its own, {ops[0].kind}, for which there is no rule{f' ({facts})' if facts else ''}",
        "add --code FILE.py, the Python file that has the class, which is run; or write a rule: put these "
        "lines into my_rules.py, write what its `call` computes, and add --rules my_rules.py "
        f"(docs/custom-layers.md):\n\n{skeleton(ops, name)}\n",
    )
