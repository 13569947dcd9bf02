"""Lists of tensors that grow, and lists of layers."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.source.layers import new_layer
from torchport.source.lines import tidy
from torchport.source.observe import is_tensor
from torchport.source.sites import NotPorted, site
from torchport.source.values import (
    Flow,
    Group,
    Maker,
    Row,
    Stack,
    Static,
)

if TYPE_CHECKING:
    from torchport.source.stage import Stage


def append_to(stage: Stage, target: ast.expr, item: ast.expr) -> None:
    scope, name = stage.scope, ast.unparse(target)
    known = scope.env.get(ast.unparse(item)) if stage.fors else None
    maker = known if isinstance(known, Maker) else new_layer(stage.at, item)
    if scope.in_init and maker is not None:
        collect_layer(stage, target, name, maker)
        return
    held, value = scope.env.get(name), stage.at.value(item)
    if isinstance(value, Static) and isinstance(held, (Static, type(None))):
        for line in scope.init:
            line.shadow = "" if line.shadow == name and line.text == f"{name} = []" else line.shadow
        scope.say(f"{name}.append({value.text})")
        return
    if isinstance(held, Static) and held.text == name:
        held = Stack(name, f"{name}_channels")
    if not isinstance(held, Stack) or not isinstance(value, Flow):
        raise NotPorted(
            target, "is a list of something else than tensors", "give each layer a name of its own"
        )
    if held.rank and (held.rank, held.order) != (value.rank, value.order):
        value = scope.ordered(value, held.order)
        if value.rank != held.rank:
            raise NotPorted(item, "has another number of axes than the others in the list")
    scope.env[name] = replace(held, rank=value.rank, order=value.order)
    scope.do(tidy(f"{held.text}.append({value.text})"))
    scope.say(f"{held.shadow}.append({value.channels})", held.shadow)


def collect_layer(stage: Stage, target: ast.expr, name: str, maker: Maker) -> None:
    """A layer is put into a list, in `__init__`: all of them in one loop, or each by itself."""
    scope, held = stage.scope, stage.scope.env.get(name)
    if scope.depth:
        why = "gets layers in a loop that does more, or under a condition"
        raise NotPorted(target, why, "put them into the list in a loop of their own")
    if stage.fors and not isinstance(held, Row):
        if isinstance(held, Group):
            raise NotPorted(target, "gets layers in several places", "give each place a list of its own")
        (node,) = stage.fors if len(stage.fors) == 1 else (None,)
        if node is None:
            raise NotPorted(target, "gets layers in loops in loops", "make the inner ones a class")
        scope.env[name] = Group(maker, node.iter, node.target, name)
        return
    if isinstance(held, Row) and not stage.fors:
        scope.env[name] = replace(held, makers=(*held.makers, maker))
        return
    if isinstance(held, Static) and not stage.fors:
        scope.env[name] = Row((maker,), maker.node)
        return
    raise NotPorted(target, "gets layers in several places", "give each place a list of its own")


def group_of(stage: Stage, name: str, node: ast.ListComp) -> Group | None:
    """`[Block(width) for width in widths]`: None where no layers are made."""
    maker = new_layer(stage.at, node.elt)
    if maker is None:
        return None
    if len(node.generators) != 1 or node.generators[0].ifs:
        raise NotPorted(node, "makes layers in more than one loop, or under a condition", "write a loop")
    (over,) = node.generators
    return Group(maker, over.iter, over.target, name)


def open_list(stage: Stage, name: str, node: ast.expr) -> None:
    """An empty list: of tensors, if the function puts some in it."""
    scope = stage.scope
    appended = [
        it.args[0] for it in ast.walk(scope.project.node_of(scope.name))
        if isinstance(it, ast.Call) and isinstance(it.func, ast.Attribute) and it.func.attr == "append"
        and ast.unparse(it.func.value) == name
    ]  # fmt: skip
    places = {call_site(stage, it, name) for it in appended}
    seen = [
        one for it in scope.project.watched.recorder.calls if (one := it[1]) is not None
        if getattr(one.function, "__name__", "") == "append" and it[0] in places
    ]  # fmt: skip
    if any(is_tensor(it.args[0]) for it in seen if it.args):
        scope.do(f"{name} = []")
        scope.say(f"{name}_channels = []", f"{name}_channels")
        scope.env[name] = Stack(name, f"{name}_channels")
        return
    scope.say(f"{name} = []")
    scope.env[name] = Static(name)


def call_site(stage: Stage, argument: ast.expr, name: str) -> Any:
    for it in ast.walk(stage.scope.project.node_of(stage.scope.name)):
        if isinstance(it, ast.Call) and it.args and it.args[0] is argument:
            return site(it)
    return None


def is_empty_list(node: ast.expr) -> bool:
    """`[]` or `list()`."""
    return ast.unparse(node) in ("[]", "list()")
