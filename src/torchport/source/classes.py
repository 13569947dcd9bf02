"""A layer or model class: `__init__` and `build` become `__init__`, `call` becomes `forward`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchport.source.lines import Line
from torchport.source.project import finished, method_of, parameters_of
from torchport.source.scope import Scope
from torchport.source.sites import NotPorted
from torchport.source.stage import Stage
from torchport.source.unit import Unit
from torchport.source.values import Static

if TYPE_CHECKING:
    from torchport.source.project import Project

#: Methods of Keras that a module of PyTorch has no use for.
LEFT_OUT = frozenset(
    {"get_config", "from_config", "compute_output_shape", "compute_output_spec", "compute_mask"}
)
#: Methods that are ported.
KNOWN = frozenset({"__init__", "build", "call"})


def staged_class(project: Project, node: ast.ClassDef) -> Unit:
    """Raises NotPorted for what is not ported of it."""
    scope = Scope(project, node.name)
    stage = Stage(scope)
    methods = [it for it in node.body if isinstance(it, ast.FunctionDef)]
    for it in methods:
        if it.name in LEFT_OUT:
            scope.notes.append(f"line {it.lineno}: {it.name} is left out")
        elif it.name not in KNOWN:
            raise NotPorted(it, f"the method {it.name} is not ported", "make it a function, or part of call")
    call = method_of(node, "call")
    if call is None:
        raise NotPorted(node, "has no call of its own")
    made = method_of(node, "__init__")
    known = tuple(it for it in parameters_of(made, 1)) if made is not None else ()
    for one in known:
        scope.env[one.name] = Static(one.name)
        scope.assigned[one.name] = 1
    calls = project.calls(node, f"{node.name}.call")
    parameters = [it for it in parameters_of(call, 1) if it.name not in ("training", "mask")]
    build = method_of(node, "build")
    if made is not None:
        body(stage, made)
    if build is not None:
        raise NotPorted(build, "build is not ported", "make the layers in __init__")
    taken = project.tensors_of(call, calls, parameters, stage)
    if left := [it.name for it in parameters if it.name not in taken]:
        raise NotPorted(call, f"its argument {left[0]} is no single tensor", "hand tensors over one by one")
    outer = {key: it for key, it in scope.env.items() if key.startswith("self.")}
    inner = {it.name: scope.env[it.name] for it in stage.inputs}
    scope.env = {**outer, **inner}
    stage.body(call.body)
    return finished(project, node, stage, known, "layer")


def body(stage: Stage, node: ast.FunctionDef) -> None:
    """The statements of `__init__`, but for the call of Keras's own."""
    for it in node.body:
        if isinstance(it, ast.Expr) and "super(" in ast.unparse(it):
            continue
        stage.statement(it)


__all__ = ["Line", "staged_class"]
