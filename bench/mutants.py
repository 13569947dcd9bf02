"""Mutants: small faults planted one at a time, and the tests that need no TensorFlow run against each.

    python bench/mutants.py [--count 60] [--seed 0] [--jobs 1] [--rooms ROOM...] [--list]

A mutant is one operator, constant, condition or pair of arguments of the rooms below, drawn by seed. A copy
of the package has it; `TESTS`, which have to pass without one, run against the copy until one fails. Printed
is for each which test caught it, and the difference of those that none did.

Not planted is what changes no behaviour by its kind, so that no test could tell: options of decorators
(`frozen` of a dataclass), annotations and names of types, docstrings, messages, and what only asserts
(`raise`, `assert`, `strict` of zip, arguments of an error).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
#: Where mutants are planted, and the files of each room.
ROOMS = {
    "axes": ("axis.py", "axes.py", "infer/axes.py"),
    "layout": ("layout/*.py",),
    "infer": ("infer/*.py",),
    "normalise": ("normalise/*.py",),
    "blocks": ("blocks/*.py",),
    "transforms": ("axes.py", "emit/weights.py", "infer/weights.py", "rules/broadcast.py"),
}
#: Tests that need no TensorFlow (one file of the rules does), those first that catch most in little time.
TESTS = (
    "tests/test_axes.py", "tests/normalise", "tests/infer", "tests/blocks/test_structures.py", "tests/layout",
    "tests/blocks/test_lists.py", "tests/rules", "tests/replay", "tests/blocks/test_lines.py",
    "tests/blocks/test_shapes.py", "tests/variants", "--ignore=tests/rules/test_window.py",
)  # fmt: skip
LIMIT = 400

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
    """A file of the package, and its text with one fault."""

    room: str
    path: Path
    line: int
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.room:10} {self.path}:{self.line}: {self.what}"


def places(tree: ast.Module) -> Iterator[tuple[int, int, int, str]]:
    """Where a fault can be planted: which node, its line, which change of it, and what that is."""
    for at, node in behaves(tree):
        for number, (what, _) in enumerate(changes(node)):
            yield at, getattr(node, "lineno", 0), number, what


def planted(file: Path, at: int, number: int) -> str:
    """The text of a file with one fault."""
    tree = ast.parse(file.read_text())
    node = next(node for place, node in enumerate(ast.walk(tree)) if place == at)
    _, change = list(changes(node))[number]
    change(node)
    return ast.unparse(ast.fix_missing_locations(tree))


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
            if not (isinstance(node.func, ast.Name) and node.func.id == "isinstance"):
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


def draw(count: int, seed: int) -> list[Mutant]:
    """As many mutants of each room, by seed."""
    found = list[Mutant]()
    for room, patterns in ROOMS.items():
        files = sorted({file for pattern in patterns for file in (SOURCE / "torchport").glob(pattern)})
        every = list[tuple[Path, int, int, int, str]]()
        for file in files:
            every += [(file, *place) for place in places(ast.parse(file.read_text()))]
        for file, at, line, number, what in random.Random(f"{seed} {room}").sample(
            every, count // len(ROOMS)
        ):
            path, text = file.relative_to(SOURCE), planted(file, at, number)
            found.append(Mutant(room, path, line, what, text))
    return found


def catch(source: Path) -> str:
    """The test that fails first against a copy of the package; empty where none does."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", *TESTS]
    path = os.pathsep.join([str(source), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, "TORCHPORT_NETWORKS": "20"}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT
        )
    except subprocess.TimeoutExpired:
        return "time"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return "" if not done.returncode else failed[1] if failed else "a crash"


def judge(mutant: Mutant, copies: Queue[Path]) -> str:
    """The test that catches a mutant."""
    source = copies.get()
    whole = (SOURCE / mutant.path).read_text()
    (source / mutant.path).write_text(mutant.text)
    try:
        return catch(source)
    finally:
        (source / mutant.path).write_text(whole)
        copies.put(source)


def difference(mutant: Mutant) -> str:
    """The lines that a mutant changes."""
    before = ast.unparse(ast.parse((SOURCE / mutant.path).read_text())).splitlines()
    lines = difflib.unified_diff(before, mutant.text.splitlines(), n=1, lineterm="")
    return "\n".join(f"    {line}" for line in list(lines)[3:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--rooms", nargs="*", default=[*ROOMS], choices=[*ROOMS])
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    options = parser.parse_args()
    mutants = [it for it in draw(options.count, options.seed) if it.room in options.rooms]
    if options.list:
        for mutant in mutants:
            print(mutant, difference(mutant), sep="\n")
        return
    count = 0
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies: Queue[Path] = Queue()
        for job in range(options.jobs):
            copies.put(shutil.copytree(SOURCE, Path(folder) / str(job)))
        if test := catch(SOURCE):
            parser.error(f"{test} fails without a mutant")
        for mutant, test in zip(mutants, pool.map(partial(judge, copies=copies), mutants), strict=True):
            count += bool(test)
            print(f"{mutant}: {f'caught by {test}' if test else 'NOT CAUGHT'}", flush=True)
            if not test:
                print(difference(mutant), flush=True)
    print(f"{count} of {len(mutants)} caught")


if __name__ == "__main__":
    main()
