"""What a file says in many words and is settled before anything runs: the order of images, an axis's name.

channel_axis = 1 if K.image_data_format() == "channels_first" else -1        ->   x.shape[-1]
x.shape[channel_axis]

The source is channels last wherever it can be run. Only what is staged is rewritten; what runs is the user's.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

#: What Keras answers, by the name of the function.
ANSWERS: dict[str, str | float] = {
    "image_data_format": "channels_last",
    "epsilon": 1e-07,
    "floatx": "float32",
}
#: The modules of Keras that have them.
HOMES = frozenset({"K", "backend", "config", "keras"})
#: Options that say which axis is meant.
AXES = frozenset({"axis", "bn_axis"})


def settled(tree: ast.Module) -> ast.Module:
    """The same tree with less in it; nodes that are left keep their places."""
    tree = ast.fix_missing_locations(Answers().visit(tree))
    partials = {
        name_of(it): it.value for it in tree.body if isinstance(it, ast.Assign) and is_partial(it.value)
    }
    tree = ast.fix_missing_locations(Whole(partials).visit(tree))
    outer = constants(tree.body)
    for node in tree.body:
        Named(outer).visit(node)
    return tree


class Answers(ast.NodeTransformer):
    """Keras's answers as constants, and conditions on constants as the branch that is taken."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if node.args or node.keywords:
            return node
        *home, name = ast.unparse(node.func).split(".")
        is_keras = home and home[-1] in HOMES or name == "image_data_format"
        return ast.copy_location(ast.Constant(ANSWERS[name]), node) if is_keras and name in ANSWERS else node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        answer = truth(node.test)
        return node if answer is None else node.body if answer else node.orelse

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        answer = truth(node.test)
        if answer is None:
            return node
        return (node.body if answer else node.orelse) or ast.copy_location(ast.Pass(), node)


def truth(node: ast.expr) -> bool | None:
    """Whether a comparison of two texts holds; None for any other condition."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return None
    sides = [node.left, node.comparators[0]]
    texts = [it.value for it in sides if isinstance(it, ast.Constant) and isinstance(it.value, str)]
    if len(texts) != 2 or "channels_last" not in texts:
        return None
    if isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return (texts[0] == texts[1]) == isinstance(node.ops[0], ast.Eq)
    return None


class Whole(ast.NodeTransformer):
    """Calls of a partial function with all of its arguments: `Conv(8)` as `Conv2D(8, padding="same")`."""

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


class Named(ast.NodeTransformer):
    """Whole numbers in place of the names that they have, where they say which axis is meant."""

    def __init__(self, known: dict[str, int]) -> None:
        self.known = known

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        given = {it.arg for it in ast.walk(node.args) if isinstance(it, ast.arg)}
        own = names_stored(node) | given
        before = self.known
        self.known = {key: it for key, it in before.items() if key not in own} | constants(node.body, given)
        found = set(self.known)
        self.generic_visit(node)
        self.known = before
        left = {it.id for it in ast.walk(node) if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Load)}
        unread = found - before.keys() - left
        node.body = [it for it in node.body if constant_of(it) is None or name_of(it) not in unread] or [
            ast.Pass()
        ]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Name):
            node.slice = self.number(node.slice)
        return node

    def visit_keyword(self, node: ast.keyword) -> ast.AST:
        self.generic_visit(node)
        if node.arg in AXES and isinstance(node.value, ast.Name):
            node.value = self.number(node.value)
        return node

    def number(self, node: ast.Name) -> ast.expr:
        if node.id not in self.known:
            return node
        text = ast.parse(repr(self.known[node.id]), mode="eval").body
        return ast.fix_missing_locations(ast.copy_location(text, node))


def constants(body: list[ast.stmt], others: set[str] | frozenset[str] = frozenset()) -> dict[str, int]:
    """The names that statements give one whole number, and nothing else ever."""
    stored = Counter(it for node in body for it in names_of(node))
    found = {name_of(it): number for it in body if (number := constant_of(it)) is not None}
    return {name: it for name, it in found.items() if stored[name] == 1 and name not in others}


def constant_of(node: ast.stmt) -> int | None:
    """-1 of `channel_axis = -1`; None for other statements."""
    if not isinstance(node, ast.Assign) or not name_of(node):
        return None
    try:
        found = ast.literal_eval(node.value)
    except (ValueError, SyntaxError):
        return None
    return found if type(found) is int else None


def name_of(node: ast.stmt) -> str:
    """The one name that a statement assigns, if it does nothing else."""
    target = node.targets[0] if isinstance(node, ast.Assign) and len(node.targets) == 1 else None
    return target.id if isinstance(target, ast.Name) else ""


def names_of(node: ast.AST) -> Iterator[str]:
    for it in ast.walk(node):
        if isinstance(it, ast.Name) and not isinstance(it.ctx, ast.Load):
            yield it.id


def names_stored(node: ast.AST) -> set[str]:
    return set(names_of(node))
