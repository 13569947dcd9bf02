"""Mistakes that are made in the port of examples/unet_code, one at a time: how many its own proof finds.

    python bench/code_mutants.py [HOW_MANY]

Numbers become others, operators others, arguments change places, calls of one tensor are left out.
A mistake that changes no number (a name, `self.channels`) is told apart by hand: those that are not found are
printed.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Iterator
from pathlib import Path

from torchport.source import cases_of, module, proven, watched_project
from torchport.source.prove import Prover
from torchport.source.reference import Reference
from torchport.source.sites import SourceFile

EXAMPLE = Path(__file__).parents[1] / "examples" / "unet_code" / "unet.py"


def mutants(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """A text of what is changed, and the tree with it."""
    places = list(ast.walk(tree))
    for at, node in enumerate(places):
        for what, change in changes(node):
            made = copy.deepcopy(tree)
            change(list(ast.walk(made))[at])
            yield f"line {getattr(node, 'lineno', 0)}: {what}", made


def changes(node: ast.AST) -> Iterator[tuple[str, object]]:
    """What may be wrong with a node, and what makes it so."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield f"{node.value} + 1", lambda it: setattr(it, "value", it.value + 1)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"not {node.value}", lambda it: setattr(it, "value", not it.value)
    if isinstance(node, ast.BinOp):
        other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield f"another operator in {ast.unparse(node)}", lambda it: setattr(it, "op", other)
    if isinstance(node, ast.Call) and len(node.args) > 1:
        yield f"arguments the other way round in {ast.unparse(node)}", lambda it: it.args.reverse()
    if isinstance(node, ast.Call) and len(node.args) == 1 and isinstance(node.args[0], (ast.Name, ast.Call)):
        text = ast.unparse(node)
        if text.startswith(("F.", "torch.", "self.")) and ".append" not in text:
            yield f"without {text}", lambda it: leave_out(it)
    if isinstance(node, ast.Call) and node.keywords:
        yield f"without {node.keywords[-1].arg} in {ast.unparse(node)}", lambda it: it.keywords.pop()
    if isinstance(node, ast.If):
        yield f"always {ast.unparse(node.test)}", lambda it: setattr(it, "test", ast.Constant(True))


def leave_out(node: ast.Call) -> None:
    """The call becomes what it is called with."""
    node.func, node.args = ast.Name("_same", ast.Load()), node.args


def main() -> None:
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    project = watched_project(SourceFile.of(EXAMPLE), (), ["build_unet()", "build_unet(attention=False)"])
    for name in [it.name for it in project.source.definitions()]:
        project.unit(name)
    units = [it for it in project.units.values() if it is not None]
    text, found, tried = module.text_of(project.source, units), 0, 0
    # TensorFlow computes its side once, for all mutants
    references: dict[tuple[str, str], Reference] = {}
    small = [it for it in units if it.kind != "builder"]
    for unit in small:
        tree = next(it for it in ast.parse(text).body if getattr(it, "name", "") == unit.cls)
        for what, mutant in list(mutants(tree))[: limit // len(small)]:
            source = f"{text}\n\ndef _same(x):\n    return x\n\n\n{ast.unparse(mutant)}\n"
            prover = Prover(project, module.loaded(source, "mutant"), references=references)
            proof = proven(prover, unit, list(cases_of(project.watched, unit)))
            tried, found = tried + 1, found + bool(proof.differences)
            if not proof.differences:
                print(f"{unit.cls}: {what}", flush=True)
        print(f"{found} of {tried} found so far", flush=True)
    print(f"{found} of {tried} found")


if __name__ == "__main__":
    main()
