"""Assignments: what a name is from here on, in `__init__` and in `forward`."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.axes import position
from torchport.names import unique
from torchport.source.buffers import registered
from torchport.source.interface import is_input, take_input, take_inputs
from torchport.source.lines import Line, atom, bare, reads, tidy
from torchport.source.lists import group_of, holds_tensors, is_empty_list, open_list, put_into
from torchport.source.operators import rank_of
from torchport.source.sites import NotPorted, site
from torchport.source.values import (
    Chain,
    Course,
    Flow,
    Group,
    Items,
    Maker,
    Network,
    Row,
    Shape,
    Size,
    Stack,
    Static,
)
from torchport.source.weights import is_variable, weight

if TYPE_CHECKING:
    from torchport.source.stage import Stage


def assign(stage: Stage, target: ast.expr, node: ast.expr, statement: ast.stmt) -> None:
    scope = stage.scope
    if isinstance(node, ast.Call) and is_input(stage, node):
        take_input(stage, target, node)
        return
    if isinstance(node, ast.Dict) and take_inputs(stage, ast.unparse(target), node):
        return
    if (chain := chain_for(stage, target, node)) is not None:
        scope.env[ast.unparse(target)] = chain
        return
    if isinstance(target, ast.Name) and (is_empty_list(node) or holds_tensors(stage, target.id, node)):
        open_list(stage, target.id, node)
        return
    if isinstance(target, ast.Subscript) and put_into(stage, target, node):
        return
    name = ast.unparse(target)
    if is_empty_list(node) and name.startswith("self.") and scope.in_init:
        scope.env[name] = Static(name)
        scope.init.append(Line(scope.depth, f"{name} = []", name))
        return
    if isinstance(node, ast.Call) and is_variable(scope, node):
        if not name.startswith("self.") or scope.loops:
            raise NotPorted(node, "is a weight that is no attribute", "assign it to stage.NAME in __init__")
        scope.env[name] = weight(scope, name, node)
        return
    if isinstance(node, ast.ListComp) and (group := group_of(stage, name, node)) is not None:
        scope.env[name] = group
        return
    if isinstance(node, ast.Tuple) and isinstance(target, ast.Tuple):
        if assign_sizes(stage, target, node):
            return
        texts = list(map(ast.unparse, target.elts))
        # a number and a tensor at once: each by itself
        is_mixed = len(set(map(scope.is_static, node.elts))) > 1
        read = {ast.unparse(it) for it in ast.walk(node) if isinstance(it, (ast.Name, ast.Attribute))}
        if (
            len(texts) == len(node.elts)
            and not read & set(texts)
            and (is_mixed or any("." in it for it in texts))
        ):
            for one, value in zip(target.elts, node.elts, strict=True):
                assign(stage, one, value, statement)
            return
    if isinstance(target, ast.Name) and (rank := rank_of(stage.at, node)) is not None:
        scope.env[target.id] = Static(str(rank))
        return
    if isinstance(target, ast.Name) and not scope.loops and assign_size(stage, target, node):
        return
    stage.at.target = (node, target.id) if isinstance(target, ast.Name) else None
    value = stage.at.value(node)
    stage.at.target = None
    if isinstance(target, ast.Subscript) and isinstance(value, Static) and is_array_entry(stage, target):
        index = bare(scope.static_index(target.slice).text)
        scope.say(f"{scope.static_text(target.value)}[{index}] = {value.text}")
        return
    if isinstance(target, (ast.Tuple, ast.List)):
        unpack_into(stage, target, value, node)
        return
    name = ast.unparse(target)
    if not isinstance(target, ast.Name) and not name.startswith("self."):
        raise NotPorted(target, "is assigned to", "use a name of its own")
    if isinstance(value, Static) and scope.in_init and scope.is_argument(name.removeprefix("self."), value):
        # the port keeps it if `forward` asks for it
        scope.env[name] = value
    elif isinstance(value, Static):
        settle(stage, name)
        if scope.cls is not None and not scope.in_init and name in scope.first:
            raise NotPorted(target, f"{name} is something else in __init__", "give it another name")
        if scope.is_function:
            scope.do(f"{name} = {value.text}")
        else:
            # an initialiser is an object of Keras's: the text of the weight says what it is
            is_object = any(hasattr(it.result, "get_config") for it in scope.seen(node))
            shadow = name if is_object or isinstance(target, ast.Name) else ""
            if value.text != name:
                scope.say(f"{name} = {value.text}", shadow)
        count_assignment(stage, target, name)
        is_list = isinstance(value.node, (ast.List, ast.Tuple)) and not is_changed(stage, name)
        scope.env[name] = Static(name, value.node if is_list else None)
    elif isinstance(value, Maker):
        scope.env[name] = replace(value, name=name.removeprefix("self."))
        wait_for(stage, value)
    elif isinstance(value, Flow):
        assign_flow(stage, name, value)
    elif isinstance(value, Items) and value.items and all(isinstance(it, Maker) for it in value.items):
        scope.env[name] = Row(value.items, node)
    elif isinstance(value, Items) and scope.in_init and all(isinstance(it, Static) for it in value.items):
        scope.say(f"{name} = {value.text}")
        sizes = tuple(Static(f"{name}[{at}]") for at in range(len(value.items)))
        scope.env[name] = replace(value, text=name, items=sizes)
    elif isinstance(value, Items) and isinstance(node, ast.List) and grows(stage, name, value):
        first = value.items[0]
        scope.do(tidy(f"{name} = {value.text}"))
        shadow = f"{name}_channels"
        scope.say(f"{shadow} = [{', '.join(str(it.channels) for it in value.items)}]", shadow)
        scope.env[name] = Stack(name, shadow, first.rank, first.order)
    elif isinstance(value, Items) and (shape := sizes_of(stage, name, value)) is not None:
        scope.env[name] = shape
    elif isinstance(value, (Items, Stack)):
        scope.do(tidy(f"{name} = {value.text}"))
        if isinstance(value, Items) and all(isinstance(it, (Static, Size)) for it in value.items):
            # sizes that nobody reads are left out
            (scope.init if scope.in_init else scope.forward)[-1].shadow = name
        scope.env[name] = replace(value, text=name)
        if isinstance(value, Stack):
            scope.say(f"{name}_channels = {value.shadow}", f"{name}_channels")
            scope.env[name] = replace(value, text=name, shadow=f"{name}_channels")
        else:
            flows = [
                replace(it, text=f"{name}[{at}]") if isinstance(it, Flow) else it
                for at, it in enumerate(value.items)
            ]
            scope.env[name] = replace(value, text=name, items=tuple(flows))
    elif isinstance(value, Size):
        scope.do(f"{name} = {value.text}")
        # one that nobody reads is left out
        (scope.init if scope.in_init else scope.forward)[-1].shadow = name
        scope.env[name] = Size(name, value.known)
    elif isinstance(value, (Network, Shape, Row, Group, Course)):
        scope.env[name] = value
    else:
        raise NotPorted(node, "is not ported")


def grows(stage: Stage, name: str, value: Items) -> bool:
    """Whether a list of tensors, all of as many axes, is appended to or popped from: `skips = [x]`."""
    kinds = {(it.rank, it.order) if isinstance(it, Flow) else None for it in value.items}
    if len(kinds) != 1 or None in kinds:
        return False
    methods = (f"{name}.{it}" for it in ("append", "pop", "reverse"))
    calls = (it for it in ast.walk(stage.scope.project.node_of(stage.scope.name)) if isinstance(it, ast.Call))
    return bool({ast.unparse(it.func) for it in calls} & set(methods))


def sizes_of(stage: Stage, name: str, value: Items) -> Static | None:
    """`shape = (1, 1, filters)` of numbers that are known when the model is built: its text stands for it."""
    items = [it.known if isinstance(it, Size) else getattr(it, "text", None) for it in value.items]
    is_known = all(isinstance(it, (Size, Static)) for it in value.items) and None not in items and items
    if not is_known or not any(isinstance(it, Size) for it in value.items) or stage.scope.loops:
        return None
    text = f"({', '.join(map(str, items))},)" if value.is_tuple else f"[{', '.join(map(str, items))}]"
    tree = ast.parse(text, mode="eval").body
    return Static(ast.unparse(tree), tree)


def count_assignment(stage: Stage, target: ast.expr, name: str) -> None:
    """A name that changes is kept as it is at the end of `__init__`: not if `forward` asked for it before."""
    scope = stage.scope
    if scope.loops or stage.scope.cls is not None:
        scope.assigned[name] = scope.assigned.get(name, 0) + 1 + bool(scope.loops)
        return
    if name in scope.kept:
        raise NotPorted(
            target, f"{name} changes, and is needed where tensors flow",
            "give each of its values a name of its own",
        )  # fmt: skip
    if scope.assigned.get(name):
        scope.changed.add(name)
    scope.assigned[name] = 1


def chain_for(stage: Stage, target: ast.expr, node: ast.expr) -> Chain | None:
    """The Sequential that the function gives back, or its list of layers, where a statement begins one."""
    from torchport.source import chains

    call = stage.returned.get(ast.unparse(target))
    if call is node:
        return chains.chain_of(stage, call)
    if call is None or not isinstance(node, (ast.List, ast.ListComp)) and not is_empty_list(node):
        return None
    chain = chains.begin(stage, call)
    if not is_empty_list(node):
        chains.extend(stage, node)
    return chain


def is_changed(stage: Stage, name: str) -> bool:
    """Whether a list is changed after it was made, or its name is given to something else."""
    nodes = list(ast.walk(stage.scope.project.node_of(stage.scope.name)))
    held = [
        it for it in nodes if isinstance(it, (ast.Attribute, ast.Subscript)) and ast.unparse(it.value) == name
    ]
    stored = [
        it for it in nodes if isinstance(it, ast.Name) and it.id == name and isinstance(it.ctx, ast.Store)
    ]
    is_entry = any(isinstance(it, ast.Subscript) and isinstance(it.ctx, ast.Store) for it in held)
    return is_entry or any(isinstance(it, ast.Attribute) for it in held) or len(stored) != 1


def is_array_entry(stage: Stage, target: ast.Subscript) -> bool:
    """`mask[1:] = 0`, where the array and the index are known when the model is built."""
    scope = stage.scope
    held = scope.env.get(ast.unparse(target.value))
    return isinstance(held, Static) and not scope.is_function and scope.is_static_index(target.slice)


def assign_size(stage: Stage, target: ast.Name, node: ast.expr) -> bool:
    """`channels = x.shape[-1]`: a number on both sides; whether it is one."""
    scope = stage.scope
    if scope.in_init or (known := scope.size_of(node)) is None or not isinstance(node, ast.Subscript):
        return False
    flow = scope.shape_of(node.value)
    if flow is None:
        return False
    if scope.cls is None and known != target.id:
        scope.say(f"{target.id} = {known}", target.id)
    at = position(flow.rank - 1, flow.rank, flow.order)
    if not scope.is_function:
        scope.forward.append(Line(scope.depth, f"{target.id} = {atom(flow.text)}.shape[{at}]", target.id))
    else:
        scope.do(f"{target.id} = {atom(flow.text)}.shape[{at}]")
    scope.env[target.id] = Size(target.id, target.id if scope.cls is None else known)
    return True


def assign_sizes(stage: Stage, target: ast.Tuple, node: ast.Tuple) -> bool:
    """`b, n, c = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]`; whether it is that."""
    scope = stage.scope
    held = [scope.shape_of(it.value) if isinstance(it, ast.Subscript) else None for it in node.elts]
    flow = held[0]
    if flow is None or any(it != flow for it in held) or len(held) != flow.rank:
        return False
    if [ast.unparse(it.slice) for it in node.elts if isinstance(it, ast.Subscript)] != list(
        map(str, range(flow.rank))
    ):
        return False
    return assign_shape(stage, target, flow)


def assign_shape(stage: Stage, target: ast.Tuple | ast.List, flow: Flow) -> bool:
    """`b, h, w, c = x.shape`: in the order that the port has them."""
    scope, names = stage.scope, [it.id for it in target.elts if isinstance(it, ast.Name)]
    if len(names) != len(target.elts) or len(names) != flow.rank:
        return False
    turned = [""] * flow.rank
    if scope.in_init:
        # a tensor is not known yet: its sizes are parameters
        for axis, name in enumerate(names[:-1]):
            known = scope.extent(flow, axis)
            scope.env[name] = Static(known) if known else Size(name)
        if flow.channels is not None:
            scope.env[names[-1]] = Static(flow.channels)
        return True
    for at, name in enumerate(names):
        settle(stage, name)
        turned[position(at, flow.rank, flow.order)] = name
        known = None
        if at == flow.rank - 1 and flow.channels is not None:
            known = flow.channels
        scope.env[name] = Size(name, known)
    scope.do(f"{', '.join(turned)} = {atom(flow.text)}.shape")
    return True


def wait_for(stage: Stage, maker: Maker) -> None:
    """The line where a layer is made that is applied further below."""
    if stage.scope.loops:
        stage.scope.turns[site(maker.node)] = tuple(map(id, stage.scope.loops))
    line = Line(stage.scope.depth, "", "")
    stage.scope.init.append(line)
    line_, column, end, last = site(maker.node)
    stage.scope.waiting[line_, column, end, last * 100] = line
    stage.scope.waiting[site(maker.node)] = line


def assign_flow(stage: Stage, name: str, value: Flow) -> None:
    """A tensor gets a name."""
    scope = stage.scope
    if scope.in_init and (name.startswith("self.") or scope.cls is None):
        keep_constant(stage, name, value)
        return
    settle(stage, name)
    if value.text != name:
        scope.do(tidy(f"{name} = {value.text}"))
    scope.env[name] = replace(value, text=name)


def keep_constant(stage: Stage, name: str, value: Flow) -> None:
    """A tensor that `__init__` makes, and `forward` reads: a buffer. What it was before is a local name."""
    scope, attribute, text = stage.scope, name.removeprefix("self."), value.text
    held = re.compile(rf"\bself\.{attribute}\b")
    lines = [it for it in scope.init if held.search(it.text)]
    if lines:
        local = unique(attribute, set(scope.assigned) | set(scope.env))
        text = held.sub(local, text)
        for line in lines:
            line.text = held.sub(local, line.text)
    scope.say(registered(attribute, text))
    kept = replace(value, text=f"self.{attribute}", is_weight=True)
    scope.env[name] = kept


def settle(stage: Stage, name: str) -> None:
    """A name changes: sizes that mention it become variables first."""
    scope = stage.scope
    for other, it in list(scope.env.items()):
        if isinstance(it, Flow) and it.channels and name in reads(it.channels):
            shadow = f"{other.removeprefix('self.')}_channels"
            if shadow != it.channels:
                scope.say(f"{shadow} = {it.channels}", shadow)
                scope.env[other] = replace(it, channels=shadow)


def unpack_into(stage: Stage, target: ast.Tuple | ast.List, value: Any, node: ast.expr) -> None:
    names = [ast.unparse(it) for it in target.elts]
    if not all(isinstance(it, ast.Name) for it in target.elts):
        raise NotPorted(target, "is unpacked into something else than names")
    if (
        isinstance(value, Items)
        and len(value.items) == len(names)
        and all(isinstance(it, Flow) for it in value.items)
    ):
        stage.scope.do(tidy(f"{', '.join(names)} = {bare(value.text)}"))
        for name, it in zip(names, value.items, strict=True):
            settle(stage, name)
            stage.scope.env[name] = replace(it, text=name)
        return
    if isinstance(value, Shape) and assign_shape(stage, target, value.flow):
        return
    if isinstance(value, Items) and len(value.items) == len(names):
        texts = [stage.at.forward(it) for it in value.items]
        if all(isinstance(it, (Flow, Size)) for it in value.items):
            stage.scope.do(f"{', '.join(names)} = {', '.join(texts)}")
            for name, it in zip(names, value.items, strict=True):
                settle(stage, name)
                stage.scope.env[name] = replace(it, text=name)
            return
    if isinstance(value, Static):
        stage.scope.say(f"{', '.join(names)} = {value.text}")
        for name in names:
            stage.scope.env[name] = Static(name)
            stage.scope.assigned[name] = stage.scope.assigned.get(name, 0) + 1 + bool(stage.scope.loops)
        return
    raise NotPorted(node, "is unpacked, and is not known entry by entry")
