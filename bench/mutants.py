"""Mutants: small faults planted one at a time, and the tests that need no TensorFlow run against each.

    python bench/mutants.py [--count 60] [--seed 0] [--jobs 1] [--seconds 25] [--rooms ROOM...] [--list]

A mutant is one operator, constant, condition or pair of arguments of the rooms below, drawn by seed. Of the
tests of `catch.py`, all of which pass without one, those that run its line are run against it until one
fails or so many CPU seconds of them have passed. Printed is for each which test caught it, and the difference
of those that none did.

Not planted is what changes no behaviour by its kind, so that no test could tell: options of decorators
(`frozen` of a dataclass), annotations and names of types, docstrings, messages, what only asserts (`raise`,
`assert`, `strict` of zip, arguments of an error), and the order of what `max` and `min` take.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from catch import SOURCE, Catcher, Planted

#: Where mutants are planted, and the files of each room.
ROOMS = {
    "axes": ("axis.py", "axes.py", "infer/axes.py"),
    "layout": ("layout/*.py",),
    "infer": ("infer/*.py",),
    "normalise": ("normalise/*.py",),
    "blocks": ("blocks/*.py",),
    "transforms": ("axes.py", "emit/weights.py", "infer/weights.py", "rules/broadcast.py"),
}

COMPARED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
OPERATED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Mod: ast.FloorDiv,
    ast.Div: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One fault: of which room, where and what."""

    room: str
    line: int
    what: str
    planted: Planted

    def __str__(self) -> str:
        return f"{self.room:10} {self.planted.path}:{self.line}: {self.what}"


def places(tree: ast.Module) -> Iterator[tuple[int, int, int, str]]:
    """Where a fault can be planted: which node, its line, which change of it, and what that is."""
    for at, node in behaves(tree):
        for number, (what, _) in enumerate(changes(node)):
            yield at, getattr(node, "lineno", 0), number, what


def plant(file: Path, at: int, number: int) -> Planted:
    """A file with one fault."""
    tree = ast.parse(file.read_text())
    node = next(node for place, node in enumerate(ast.walk(tree)) if place == at)
    lines, at_import = statement(tree, node)
    _, change = list(changes(node))[number]
    change(node)
    text = ast.unparse(ast.fix_missing_locations(tree))
    return Planted(file.relative_to(SOURCE), text, lines, at_import)


def statement(tree: ast.Module, node: ast.AST) -> tuple[range, bool]:
    """The lines of the statement that a node is in (without its body), and whether it is run at import."""
    parents = {id(child): parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    inner = node
    while not isinstance(inner, ast.stmt):
        inner = parents[id(inner)]
    body = getattr(inner, "body", None)
    last = body[0].lineno - 1 if body else inner.end_lineno or inner.lineno
    outer = parents[id(inner)]
    while not isinstance(outer, (ast.FunctionDef, ast.Module)):
        outer = parents[id(outer)]
    return range(inner.lineno, max(last, inner.lineno) + 1), isinstance(outer, ast.Module)


def changes(node: ast.AST) -> Iterator[tuple[str, Callable[[ast.AST], None]]]:
    """What may be done to one node: a name of it, and a function that does it."""

    def setting(name: str, value: object) -> Callable[[ast.AST], None]:
        return lambda found: setattr(found, name, value)

    match node:
        case ast.Compare(ops=[operator]) if type(operator) in COMPARED:
            other = COMPARED[type(operator)]
            yield f"{type(operator).__name__} -> {other.__name__}", setting("ops", [other()])
        case ast.BinOp(op=operator) if type(operator) in OPERATED and not is_text(node):
            changed = OPERATED[type(operator)]
            yield f"{type(operator).__name__} -> {changed.__name__}", setting("op", changed())
        case ast.BoolOp(op=operator):
            opposite = ast.Or if isinstance(operator, ast.And) else ast.And
            yield f"{type(operator).__name__} -> {opposite.__name__}", setting("op", opposite())
        case ast.If() | ast.IfExp() | ast.While():
            yield "condition negated", setting("test", ast.UnaryOp(ast.Not(), node.test))
        case ast.Constant(value=bool() as value):
            yield f"{value} -> {not value}", setting("value", not value)
        case ast.Constant(value=int() as value):
            yield f"{value} -> {value + 1}", setting("value", value + 1)
        case ast.Call(args=[first, second, *rest]) if not any(
            isinstance(argument, ast.Starred) for argument in node.args
        ):
            is_either = isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "max", "min")
            if not is_either and ast.dump(first) != ast.dump(second):
                yield "arguments swapped", setting("args", [second, first, *rest])


def is_text(node: ast.BinOp) -> bool:
    """Whether an operation is on strings, or on types."""
    leaves = [leaf for leaf in ast.walk(node) if isinstance(leaf, (ast.Constant, ast.JoinedStr))]
    return any(not isinstance(leaf, ast.Constant) or isinstance(leaf.value, str) for leaf in leaves)


def behaves(tree: ast.Module) -> Iterator[tuple[int, ast.AST]]:
    """The nodes that a fault in can show, each with its place in `ast.walk`."""
    silent = {id(it) for node in ast.walk(tree) for part in asserted(node) for it in ast.walk(part)}
    return ((at, node) for at, node in enumerate(ast.walk(tree)) if id(node) not in silent)


def asserted(node: ast.AST) -> Iterator[ast.AST]:
    """Parts of a node that change no behaviour, or only assert."""
    match node:
        case ast.Raise() | ast.Assert():
            yield node
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield from node.decorator_list
            if not isinstance(node, ast.ClassDef):
                arguments = (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs)
                yield from filter(None, (node.returns, *(it.annotation for it in arguments)))
        case ast.AnnAssign():
            yield node.annotation
        case ast.Assign(targets=[ast.Name(id=name)]) if name[0].isupper() and not name.isupper():
            yield node.value  # a name of a type
        case ast.Subscript(value=ast.Name(id="list" | "dict" | "set" | "tuple" | "defaultdict")):
            yield node.slice
        case ast.Call(func=ast.Name(id="BadFile" | "Unsupported" | "Refusal")):
            yield node
        case ast.JoinedStr():
            yield node
        case ast.keyword(arg="strict"):
            yield node


def files_of(room: str) -> list[Path]:
    """The files in which faults of a room are planted."""
    return sorted({file for pattern in ROOMS[room] for file in (SOURCE / "torchport").glob(pattern)})


def draw(count: int, seed: int) -> list[Mutant]:
    """As many mutants of each room, by seed."""
    found = list[Mutant]()
    for room in ROOMS:
        every = list[tuple[Path, int, int, int, str]]()
        for file in files_of(room):
            every += [(file, *place) for place in places(ast.parse(file.read_text()))]
        for file, at, line, number, what in random.Random(f"{seed} {room}").sample(
            every, count // len(ROOMS)
        ):
            found.append(Mutant(room, line, what, plant(file, at, number)))
    return found


def difference(mutant: Mutant) -> str:
    """The lines that a mutant changes."""
    before = ast.unparse(ast.parse((SOURCE / mutant.planted.path).read_text())).splitlines()
    lines = difflib.unified_diff(before, mutant.planted.text.splitlines(), n=1, lineterm="")
    return "\n".join(f"    {line}" for line in list(lines)[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=25, help="CPU seconds of tests for one mutant")
    parser.add_argument("--rooms", nargs="*", default=[*ROOMS], choices=[*ROOMS])
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    options = parser.parse_args()
    mutants = [it for it in draw(options.count, options.seed) if it.room in options.rooms]
    if options.list:
        for mutant in mutants:
            print(mutant, difference(mutant), sep="\n")
        return
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        try:
            catcher = Catcher(
                Path(folder), [file for room in ROOMS for file in files_of(room)], options.seconds
            )
        except ValueError as error:
            parser.error(str(error))
        tests = list[str]()
        for mutant, test in zip(
            mutants, pool.map(lambda it: catcher.catch(it.planted), mutants), strict=True
        ):
            tests.append(test)
            print(f"{mutant}: {f'caught by {test}' if test else 'NOT CAUGHT'}", flush=True)
            if not test:
                print(difference(mutant), flush=True)
    print(f"{sum(map(bool, tests))} of {len(mutants)} caught")


if __name__ == "__main__":
    main()
