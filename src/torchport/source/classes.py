"""A layer or model class: `__init__` and `build` become `__init__`, `call` becomes `forward`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from torchport.source.project import method_of, parameters_of
from torchport.source.scope import Scope
from torchport.source.sites import NotPorted
from torchport.source.stage import Stage
from torchport.source.unit import Unit
from torchport.source.values import Flow, Items, Shape, Static, mode
from torchport.source.writing import finished

if TYPE_CHECKING:
    from torchport.source.project import Project

#: Methods of a class that become its `__init__` and its `forward`.
KNOWN = frozenset({"__init__", "build", "call"})


def staged_class(project: Project, node: ast.ClassDef) -> Unit:
    """Raises NotPorted for what is not ported of it."""
    call, made, build = (method_of(node, it) for it in ("call", "__init__", "build"))
    if call is None:
        if method_of(node, "update_state") is not None:
            advice = "write what it computes as a function of (y_true, y_pred), and port that"
            raise NotPorted(node, "is a metric with a state, and has no call of its own", advice)
        raise NotPorted(node, "has no call of its own", "port the models that it holds")
    scope = Scope(project, node.name, cls=node)
    stage = Stage(scope)
    known = tuple(it for it in parameters_of(made, 1)) if made is not None else ()
    for one in known:
        scope.env[one.name] = Static(one.name)
        scope.assigned[one.name] = 1
    scope.parameters = frozenset(it.name for it in known)
    calls = project.calls(node, f"{node.name}.call")
    parameters = [it for it in parameters_of(call, 1) if it.name != "training"]
    outer = dict(scope.env)
    folded = project.inputs_of(call, calls, parameters, stage)
    inner = {key: it for key, it in scope.env.items() if key not in outer or isinstance(it, (Flow, Items))}
    scope.env = outer
    if made is not None:
        body(stage, made)
    if build is not None:
        built(stage, build, inner, parameters[0].name if parameters else "")
    scope.first = frozenset(scope.env)
    scope.env = {**scope.env, **inner, "training": mode()}
    kinds = {str(getattr(it.arguments["self"], "reduction", "")) for it in calls}
    is_loss = kinds != {""} and not hasattr(calls[0].arguments["self"], "weights")
    if is_loss:
        scope.reduction = reduction(node, kinds)
    stage.body(call.body)
    left_out(scope, node)
    found = finished(project, node, stage, known, "loss" if is_loss else "layer")
    found.folded = folded
    return found


def reduction(node: ast.ClassDef, kinds: set[str]) -> str:
    """How a loss becomes one number: Keras's mean over all, or none. Source: keras/src/losses/loss.py."""
    names = {
        "auto": "mean",
        "sum_over_batch_size": "mean",
        "mean": "mean",
        "sum": "sum",
        "none": "",
        "None": "",
    }
    found = {names.get(it) for it in kinds}
    if len(found) > 1 or None in found:
        raise NotPorted(node, f"has the reduction {' and '.join(sorted(kinds))}", "use sum_over_batch_size")
    (one,) = found
    return one or ""


def built(stage: Stage, node: ast.FunctionDef, inputs: dict[str, object], first: str) -> None:
    """`build`: its argument is the shape of what `call` takes first."""
    scope = stage.scope
    for it in parameters_of(node, 1)[:1]:
        value = inputs.get(first)
        if isinstance(value, Items):
            shapes = tuple(Shape(one) for one in value.items)
            scope.env[it.name] = Items(shapes, it.name)
        elif isinstance(value, Flow):
            scope.env[it.name] = Shape(value)
    body(stage, node)


def body(stage: Stage, node: ast.FunctionDef) -> None:
    """The statements of `__init__` or `build`, but for what is Keras's own."""
    stage.scope.in_init = True
    for it in node.body:
        text = ast.unparse(it)
        if (
            isinstance(it, ast.Expr)
            and "super(" in text
            or text.startswith(("self.built =", "self.supports_masking ="))
        ):
            continue
        stage.statement(it)
    stage.scope.in_init = False


def left_out(scope: Scope, node: ast.ClassDef) -> None:
    """Notes of the methods that `call` does without."""
    for it in node.body:
        if isinstance(it, ast.FunctionDef) and it.name not in KNOWN and it.name not in scope.methods:
            scope.notes.append(f"line {it.lineno}: {it.name} is left out: forward does without it")


__all__ = ["staged_class"]
