"""Which expression of model.py gives which tensor of the source: what verify watches.

The text is written twice, with and without marks around the tensors of the source's graph. Both parse to
the same tree but for the marks, so that each mark becomes the number of an expression: the n-th in its
class's `forward`, in the order of `expressions`. Formatting does not change it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from torchport.emit.source import Class, source

MARK = "_mark"


def trace(item: Class) -> dict[str, dict[str, str]]:
    """For each class: number of an expression in `forward` -> tensor of that class's graph."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(source(item, marks=True)).body:
        if isinstance(node, ast.ClassDef) and (method := forward_of(node)):
            marks: dict[str, str] = {}
            for number, (_, tensors) in enumerate(expressions(method)):
                marks.update({str(number): tensor for tensor in tensors})
            if marks:
                found[node.name] = marks
    return found


def forward_of(node: ast.ClassDef) -> ast.FunctionDef | None:
    """The `forward` of a class, if it has one."""
    return next((it for it in node.body if isinstance(it, ast.FunctionDef) and it.name == "forward"), None)


def expressions(node: ast.AST, marks: tuple[str, ...] = ()) -> Iterator[tuple[ast.expr, tuple[str, ...]]]:
    """Every expression below a node, outermost first, left to right, with the marks that stand around it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == MARK:
        name, inner = node.args
        assert isinstance(name, ast.Constant)
        yield from expressions(inner, (*marks, str(name.value)))
        return
    if isinstance(node, ast.expr):
        yield node, marks
    for child in ast.iter_child_nodes(node):
        yield from expressions(child)
