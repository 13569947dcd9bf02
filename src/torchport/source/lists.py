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
    value = among(stage, name, held, value, item)
    scope.do(tidy(f"{held.text}.append({value.text})"))
    scope.say(f"{held.shadow}.append({value.channels})", held.shadow)


def among(stage: Stage, name: str, held: Stack, value: Flow, node: ast.expr) -> Flow:
    """A tensor in the order of the others that a list holds. Raises NotPorted for one of other axes."""
    if held.rank and (held.rank, held.order) != (value.rank, value.order):
        value = stage.scope.ordered(value, held.order)
        if value.rank != held.rank:
            raise NotPorted(node, "has another number of axes than the others in the list")
    stage.scope.env[name] = replace(held, rank=value.rank, order=value.order)
    return value


def put_into(stage: Stage, target: ast.Subscript, node: ast.expr) -> bool:
    """`skips[level] = x`, into a dictionary of tensors; whether it is that."""
    scope, name = stage.scope, ast.unparse(target.value)
    held = scope.env.get(name)
    if not isinstance(held, Stack) or not scope.is_static(target.slice):
        return False
    value = stage.at.value(node)
    if not isinstance(value, Flow):
        raise NotPorted(target, "holds something else than tensors", "give each of them a name of its own")
    value = among(stage, name, held, value, node)
    key = scope.static_text(target.slice)
    scope.do(tidy(f"{held.text}[{scope.forward_text(key)}] = {value.text}"))
    scope.say(f"{held.shadow}[{key}] = {value.channels}", held.shadow)
    return True


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
    if ast.unparse(node) in EMPTY_DICT:
        scope.do(f"{name} = {{}}")
        scope.say(f"{name}_channels = {{}}", f"{name}_channels")
        scope.env[name] = Stack(name, f"{name}_channels")
        return
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


EMPTY_DICT = ("{}", "dict()")


def is_empty_list(node: ast.expr) -> bool:
    """`[]` or `list()`."""
    return ast.unparse(node) in ("[]", "list()")


def holds_tensors(stage: Stage, name: str, node: ast.expr) -> bool:
    """Whether a dictionary that begins empty gets tensors: `skips = {}`, then `skips[level] = x`."""
    if ast.unparse(node) not in EMPTY_DICT:
        return False
    put = [
        it.value for it in ast.walk(stage.scope.project.node_of(stage.scope.name))
        if isinstance(it, ast.Assign) and isinstance(it.targets[0], ast.Subscript)
        and ast.unparse(it.targets[0].value) == name
    ]  # fmt: skip
    return any(is_tensor(seen.result) for it in put for seen in stage.scope.seen(it)) or any(
        isinstance(it, ast.Name) for it in put
    )
