"""The expressions of a `forward`, by number: what a record of a port and verify speak of.

The n-th expression of a method, outermost first, left to right. Formatting does not change it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

#: The function that stands around an expression whose value is a tensor of the source, where it is marked.
MARK = "_mark"


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


def forwards(text: str) -> dict[str, ast.FunctionDef]:
    """The `forward` of every class in a text."""
    classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return {node.name: method for node in classes if (method := forward_of(node))}


def called_attribute(node: ast.expr) -> str:
    """`name` of a call `self.name(...)`; empty for any other expression."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "self":
            return node.func.attr
    return ""
