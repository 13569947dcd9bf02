"""model.py with a recorder in it: each watched expression hands over its value on the way.

The numbers of expressions are those of the text as torchport wrote it. Where a person has edited
`forward`, what can be told for certain is still watched: unchanged lines, the value of a line that
replaces another, calls of a submodule that is called as often as before.
"""

from __future__ import annotations

import ast
import types
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

from torchport.expressions import called_attribute, expressions, forward_of
from torchport.record import PortRecord

SEEN, CALL = "_torchport_seen", "_torchport_call"


@dataclass(frozen=True)
class Watched:
    """One class of model.py: its `forward` as it was written, and the expressions that are looked at.

    `marks`: those that give tensors. `calls`: those that call a nested model, and by which name.
    """

    forward: ast.FunctionDef
    marks: frozenset[int]
    calls: Mapping[int, str]


def watched(record: PortRecord) -> dict[str, Watched]:
    """The classes of a port that are watched, by name."""
    found: dict[str, Watched] = {}
    for it in record.modules.values():
        if it.cls:
            before = found.get(it.cls)
            forward = before.forward if before else ast.parse(record.forwards[it.cls]).body[0]
            marks = frozenset(it.tensors) | (before.marks if before else frozenset())
            assert isinstance(forward, ast.FunctionDef)
            found[it.cls] = Watched(forward, marks, {**(before.calls if before else {}), **it.calls})
    return found


@dataclass(frozen=True)
class Instrumented:
    """A module of Python that can be watched. `edited`: classes whose `forward` is not as it was written."""

    code: types.CodeType
    path: Path
    edited: frozenset[str]
    missing: frozenset[str]

    def run(self, name: str, seen: Callable[..., Any], call: Callable[..., Any]) -> types.ModuleType:
        """Executes it under a name; the recorder's two functions are put in place first."""
        module = types.ModuleType(name)
        module.__file__ = str(self.path)
        module.__dict__.update({SEEN: seen, CALL: call})
        exec(self.code, module.__dict__)
        return module


def instrument(path: Path, classes: Mapping[str, Watched]) -> Instrumented:
    """The file with every watched expression wrapped. Raises SyntaxError if it does not parse."""
    tree = ast.parse(path.read_text(), filename=str(path))
    edited, found = set(), set()
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name not in classes:
            continue
        method = forward_of(node)
        if method is None or not method.args.args:
            continue
        found.add(node.name)
        item = classes[node.name]
        places, exact = align(item.forward, method)
        if not exact:
            edited.add(node.name)
        numbers: dict[int, list[int]] = defaultdict(list)
        for number, expression in places.items():
            if number in item.marks or number in item.calls:
                numbers[id(expression)].append(number)
        _Wrap(item, numbers, method.args.args[0].arg).visit(method)
    code = compile(ast.fix_missing_locations(tree), str(path), "exec")
    return Instrumented(code, path, frozenset(edited), frozenset(set(classes) - found))


class _Wrap(ast.NodeTransformer):
    """Puts the recorder's calls around expressions, inner ones first."""

    def __init__(self, item: Watched, numbers: Mapping[int, list[int]], owner: str) -> None:
        self.item, self.numbers, self.owner = item, numbers, owner

    def visit(self, node: ast.AST) -> ast.AST:
        numbers = self.numbers.get(id(node), [])
        made = self.generic_visit(node)
        for number in numbers:
            if number in self.item.calls and isinstance(made, ast.Call):
                label = ast.Constant(self.item.calls[number])
                made = ast.copy_location(
                    ast.Call(ast.Name(CALL, ast.Load()), [label, made.func, *made.args], made.keywords),
                    made,
                )
        marked = [number for number in numbers if number in self.item.marks]
        if marked and isinstance(made, ast.expr):
            args = [
                ast.Name(self.owner, ast.Load()),
                ast.Tuple([ast.Constant(it) for it in marked], ast.Load()),
                made,
            ]
            made = ast.copy_location(ast.Call(ast.Name(SEEN, ast.Load()), args, []), made)
        return made


def align(written: ast.FunctionDef, found: ast.FunctionDef) -> tuple[dict[int, ast.expr], bool]:
    """Where the numbered expressions of a method are in what was found; whether nothing changed."""
    before = [node for node, _ in expressions(written)]
    if ast.dump(written) == ast.dump(found):
        return {number: node for number, (node, _) in enumerate(expressions(found))}, True
    number_of = {id(node): number for number, node in enumerate(before)}
    places: dict[int, ast.expr] = {}
    ours, theirs = ([ast.dump(line) for line in method.body] for method in (written, found))
    for tag, a, b, c, d in SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes():
        pairs = zip(written.body[a:b], found.body[c:d], strict=False) if b - a == d - c else ()
        for line, other in pairs:
            old_value, new_value = value_of(line), value_of(other)
            if tag == "equal":
                both = zip(expressions(line), expressions(other), strict=True)
                places.update({number_of[id(old)]: new for (old, _), (new, _) in both})
            elif old_value and new_value and targets(line) == targets(other):
                places.update({number_of[id(old)]: new for old, new in paired(old_value, new_value)})
    calls, now = by_attribute(written), by_attribute(found)
    for attribute, nodes in calls.items():
        if len(nodes) == len(now.get(attribute, ())):
            for old, new in zip(nodes, now[attribute], strict=True):
                places.setdefault(number_of[id(old)], new)
    return places, False


def paired(old: ast.expr, new: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Expressions that stand in the same place of two lines, as far down as the same functions are called.

    Operands that stand there in another order are not paired: each is what it was.
    """
    yield old, new
    if is_reordered(old, new):
        return
    if isinstance(old, ast.Call) and isinstance(new, ast.Call) and len(old.args) == len(new.args):
        if ast.dump(old.func) == ast.dump(new.func):
            for ours, theirs in zip(old.args, new.args, strict=True):
                yield from paired(ours, theirs)
    elif isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp) and type(old.op) is type(new.op):
        yield from paired(old.left, new.left)
        yield from paired(old.right, new.right)
    elif isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript):
        yield from paired(old.value, new.value)
    elif isinstance(old, ast.List) and isinstance(new, ast.List) and len(old.elts) == len(new.elts):
        for ours, theirs in zip(old.elts, new.elts, strict=True):
            yield from paired(ours, theirs)


def is_reordered(old: ast.expr, new: ast.expr) -> bool:
    """Whether two expressions have the same operands in another order."""
    ours, theirs = ([ast.dump(it) for it in operands(node)] for node in (old, new))
    return ours != theirs and sorted(ours) == sorted(theirs)


def operands(node: ast.expr) -> list[ast.expr]:
    """What an operator or a list stands on."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    return node.elts if isinstance(node, ast.List) else []


def value_of(line: ast.stmt) -> ast.expr | None:
    """What a line assigns or returns, where it is one value."""
    value = line.value if isinstance(line, (ast.Assign, ast.AnnAssign, ast.Return)) else None
    return None if isinstance(value, (ast.Tuple, ast.Name)) else value


def targets(line: ast.stmt) -> str:
    return ", ".join(map(ast.dump, line.targets)) if isinstance(line, ast.Assign) else type(line).__name__


def by_attribute(method: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """The calls of each submodule, in the order in which they stand."""
    found: dict[str, list[ast.expr]] = defaultdict(list)
    for node, attribute in _calls(method):
        found[attribute].append(node)
    return found


def _calls(method: ast.FunctionDef) -> Iterator[tuple[ast.expr, str]]:
    for node, _ in expressions(method):
        if attribute := called_attribute(node):
            yield node, attribute
