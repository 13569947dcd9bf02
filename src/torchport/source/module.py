"""The file of a port: imports, the constants and functions that it needs, its units in the source's order."""

from __future__ import annotations

import ast
import symtable
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any

from torchport.emit import helpers
from torchport.emit.source import formatted
from torchport.source.sites import SourceFile
from torchport.source.unit import Unit

#: Names that a port imports, by how.
IMPORTS = {
    "math": "import math", "torch": "import torch", "F": "import torch.nn.functional as F",
}  # fmt: skip


def text_of(source: SourceFile, units: Sequence[Unit], stubs: Sequence[str] = ()) -> str:
    """The text of a file. `stubs`: what stands for units that are not ported."""
    bodies = [it.text for it in sorted(units, key=lambda it: it.line)]
    bodies += stubs
    own = {it.cls for it in units} | {it.name for it in units}
    own |= {
        it.name
        for one in stubs
        for it in ast.parse(one).body
        if isinstance(it, (ast.FunctionDef, ast.ClassDef))
    }
    constants = list(needed(source, bodies, own))
    used = helpers.used(bodies)
    everything = "\n\n\n".join([*used, *bodies])
    names = {
        it.id for it in ast.walk(ast.parse("\n".join([everything, *constants]))) if isinstance(it, ast.Name)
    }
    lines = []
    if docstring := ast.get_docstring(source.tree, clean=False):
        lines += [f'"""{docstring}"""', ""]
    lines += ["from __future__ import annotations", ""]
    kept = list(imports(source, names))
    standard = {it for it in kept if "numpy" not in it} | ({IMPORTS["math"]} if "math" in names else set())
    if standard:
        lines += [*sorted(standard), ""]
    if "Sequence" in names or "Callable" in names:
        wanted = ", ".join(it for it in ("Callable", "Sequence") if it in names)
        lines += [f"from collections.abc import {wanted}", ""]
    lines += [it for it in kept if it not in standard]
    lines += [IMPORTS[it] for it in ("torch", "F") if it in names]
    if taken := [it for it in ("Tensor", "nn") if it in names]:
        lines.append(f"from torch import {', '.join(taken)}")
    if constants:
        lines += ["", *constants]
    return formatted("\n".join(lines) + "\n\n\n" + everything + "\n")


def imports(source: SourceFile, names: set[str]) -> Iterator[str]:
    """The source's own imports of these names: those of Python's library and of NumPy."""
    for node in source.tree.body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        for it in node.names:
            module = node.module or "." if isinstance(node, ast.ImportFrom) else it.name
            root = module.partition(".")[0]
            bound = it.asname or it.name.partition(".")[0]
            if bound in names and (root in sys.stdlib_module_names or root == "numpy"):
                single = ast.Import([it]) if isinstance(node, ast.Import) else ast.ImportFrom(module, [it], 0)
                yield ast.unparse(single)


def needed(source: SourceFile, bodies: Sequence[str], own: set[str]) -> Iterator[str]:
    """The constants and plain functions of the source that the units read, in its order."""
    wanted = names_in("\n".join(bodies)) - own
    found: dict[int, str] = {}
    changed = True
    while changed:
        changed = False
        for at, node in enumerate(source.tree.body):
            targets = [it for one in getattr(node, "targets", []) for it in ast.walk(one)]
            defined = {it.id for it in targets if isinstance(it, ast.Name)}
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined = {node.name}
            if at not in found and defined & wanted:
                found[at] = ast.get_source_segment(source.text, node) or ast.unparse(node)
                wanted |= names_in(found[at])
                changed = True
    for at in sorted(found):
        yield found[at]


def names_in(text: str) -> set[str]:
    """The names that a text reads and does not have itself, as a parameter or variable of a function."""

    def read(table: symtable.SymbolTable) -> Iterator[str]:
        is_module = table.get_type() == "module"
        for it in table.get_symbols():
            if it.is_referenced() and (not it.is_assigned() if is_module else it.is_global()):
                yield it.get_name()
        for inner in table.get_children():
            yield from read(inner)

    return set(read(symtable.symtable(text, "<port>", "exec")))


def loaded(text: str, name: str) -> types.ModuleType:
    """The module that a text is."""
    made = types.ModuleType(name)
    space: dict[str, Any] = vars(made)
    exec(compile(text, f"<{name}>", "exec"), space)
    return made
