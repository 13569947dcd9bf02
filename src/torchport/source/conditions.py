"""Conditions: the same condition in `__init__` and in `forward`."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.courses import grow
from torchport.source.lines import Line, reads, tidy
from torchport.source.scope import Scope
from torchport.source.sites import RUN, NotPorted
from torchport.source.values import (
    MODE,
    Choice,
    Flow,
    Maker,
    Static,
)

if TYPE_CHECKING:
    from torchport.source.stage import Stage


def stage_condition(stage: Stage, node: ast.If) -> None:
    scope = stage.scope
    if scope.in_init and grow(stage, node):
        return
    if not scope.is_static(node.test) and not is_about_layer(scope, node.test):
        raise NotPorted(node.test, "is a condition on a tensor's values", "write it with tf.where")
    test = ast.unparse(node.test) if is_about_layer(scope, node.test) else scope.static_text(node.test)
    if MODE in test:
        stage_mode(stage, node, test)
        return
    if not reads(test) - {"None", "True", "False", "is", "not", "and", "or"}:
        # it is about arguments that are the same in all calls
        stage.body(node.body if eval(test) else node.orelse)
        return
    ran = {it.result for it in scope.seen(node) if isinstance(it.result, bool)}
    before = dict(scope.env)
    made = [len(it.marks) for it in scope.loops]
    parts = []
    for body, answer in ((node.body, True), (node.orelse, False)):
        scope.env = dict(before)
        start = [len(it.marks) for it in scope.loops]
        with scope.apart() as (init, forward):
            try:
                stage.body(body)
            except NotPorted as error:
                if answer not in ran and error.why == "never ran":
                    raise NotPorted(error.node, f"never ran: {test} was always {not answer}", RUN) from error
                raise
        marks = scope.loops[-1].marks[start[-1] :] if scope.loops else []
        parts.append((init, forward, scope.env, marks))
    (init, forward, env, marks), (init2, forward2, env2, marks2) = parts
    if ends(node.body) or ends(node.orelse):
        scope.env = env2 if ends(node.body) else env
    else:
        merge(stage, node, before, (init, env), (init2, env2))
    pad = scope.depth + 1
    own = "self." if len(scope.loops) == 1 else ""
    init2 += [Line(pad, f"{own}{it}s.append(nn.Identity())") for it in marks]
    init += [Line(pad, f"{own}{it}s.append(nn.Identity())") for it in marks2]
    del made
    if init:
        scope.say(f"if {test}:")
        scope.init += init
    if init2:
        scope.say("else:" if init else f"if not ({test}):")
        scope.init += init2
    if forward or forward2:
        flag = scope.forward_text(test)
        scope.do(f"if {flag}:" if forward else tidy(f"if not ({flag}):\n    pass").split("\n")[0])
        scope.forward += forward
        if forward and forward2 and not ends(node.body):
            scope.do("else:")
        if ends(node.body):
            for line in forward2:
                line.depth -= 1
        scope.forward += forward2


def is_about_layer(scope: Scope, test: ast.expr) -> bool:
    """`self.norm is not None`: whether a class has a layer."""
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], (ast.Is, ast.IsNot)):
        return False
    held = scope.env.get(ast.unparse(test.left))
    return ast.unparse(test.comparators[0]) == "None" and isinstance(held, (Maker, Choice))


def stage_mode(stage: Stage, node: ast.If, test: str) -> None:
    """`if training:`; the layers of both branches are made whatever the mode."""
    scope = stage.scope
    before, parts = dict(scope.env), []
    for body in (node.body, node.orelse):
        scope.env = dict(before)
        with scope.apart() as (init, forward):
            stage.body(body)
        for line in init:
            line.depth -= 1
        scope.init += init
        parts.append((forward, scope.env))
    (forward, env), (forward2, env2) = parts
    if ends(node.body) or node.orelse and ends(node.orelse):
        scope.env = env2 if ends(node.body) else env
    else:
        merge(stage, node, before, ([], env), ([], env2))
    flag = scope.forward_text(test)
    scope.do(f"if {flag}:" if forward else f"if not ({flag}):")
    scope.forward += forward
    if forward2 and forward and not ends(node.body):
        scope.do("else:")
    for line in forward2:
        line.depth -= ends(node.body)
    scope.forward += forward2


def merge(stage: Stage, node: ast.If, before: dict[str, Any], one: Any, other: Any) -> None:
    """What is known of names behind a condition."""
    scope = stage.scope
    (init, env), (init2, env2) = one, other
    merged = dict(before)
    for name in {**env, **env2}:
        first, second = env.get(name), env2.get(name)
        if isinstance(first, Flow) and isinstance(second, Flow):
            if (first.rank, first.order) != (second.rank, second.order):
                raise NotPorted(node.test, f"{name} has other axes in each branch")
            if first.channels != second.channels:
                shadow = f"{name}_channels"
                for lines, flow in ((init, first), (init2, second)):
                    if flow.channels is None:
                        first = replace(first, channels=None)
                    elif flow.channels != shadow:
                        lines.append(Line(scope.depth + 1, f"{shadow} = {flow.channels}", shadow))
                if first.channels is not None:
                    first = replace(first, channels=shadow)
            merged[name] = first
        elif isinstance(first, (Maker, Choice)) and isinstance(second, (Maker, Choice)) and first != second:
            merged[name] = Choice(scope.static_text(node.test), first, second)
        elif isinstance(second, (Maker, Choice)) and isinstance(first, Static):
            merged[name] = second
        else:
            merged[name] = (
                first if first is not None and (first is not before.get(name) or second is None) else second
            )
    scope.env = merged


def without_choice(scope: Scope, node: ast.stmt) -> ast.stmt:
    """`y = a if test else b` of tensors as a condition; else the statement itself."""
    value = getattr(node, "value", None)
    if not isinstance(node, (ast.Assign, ast.Return)) or not isinstance(value, ast.IfExp):
        return node
    if scope.is_static(value):
        return node
    parts: list[ast.stmt] = []
    for one in (value.body, value.orelse):
        made = ast.Return(one) if isinstance(node, ast.Return) else ast.Assign(node.targets, one)
        parts.append(ast.copy_location(made, one))
    return ast.copy_location(ast.If(value.test, parts[:1], parts[1:]), value)


def ends(nodes: list[ast.stmt]) -> bool:
    """Whether statements end with a return."""
    return bool(nodes) and isinstance(nodes[-1], ast.Return)
