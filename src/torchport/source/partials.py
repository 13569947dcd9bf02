"""Partial functions of a file, written out where they are called, before anything is staged.

Conv = partial(Conv2D, kernel_size=3, padding="same")
Conv(8)(x)                                                ->   Conv2D(8, kernel_size=3, padding="same")(x)

Only what is staged is rewritten; what runs is the user's.
"""

from __future__ import annotations

import ast
import copy


def written_out(tree: ast.Module) -> ast.Module:
    """The same tree with its partial functions written out; nodes keep their places."""
    partials = {
        it.targets[0].id: it.value
        for it in tree.body
        if isinstance(it, ast.Assign) and isinstance(it.targets[0], ast.Name) and is_partial(it.value)
    }
    found: ast.Module = ast.fix_missing_locations(Whole(partials).visit(tree))
    return found


class Whole(ast.NodeTransformer):
    """Calls of a partial function with all of its arguments."""

    def __init__(self, partials: dict[str, ast.expr]) -> None:
        self.partials = partials

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        known = self.partials.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if not isinstance(known, ast.Call):
            return node
        known = copy.deepcopy(known)
        named = {it.arg for it in node.keywords}
        function, *first = known.args
        keywords = [*node.keywords, *(it for it in known.keywords if it.arg not in named)]
        return ast.copy_location(ast.Call(function, [*first, *node.args], keywords), node)


def is_partial(node: ast.expr) -> bool:
    """`partial(Conv2D, padding="same")`."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("partial", "functools.partial")
