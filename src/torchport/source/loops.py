"""Loops: the same in `__init__`, over what it counts, and in `forward`, over the modules that it made."""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torchport.source import chains, courses
from torchport.source.layers import new_layer
from torchport.source.lines import bare, reads
from torchport.source.parts import order_of
from torchport.source.scope import Loop
from torchport.source.sites import NotPorted
from torchport.source.values import (
    Course,
    Flow,
    Group,
    Row,
    Stack,
    Static,
)

if TYPE_CHECKING:
    from torchport.source.stage import Stage


def stage_loop(stage: Stage, node: ast.For) -> None:
    scope = stage.scope
    if node.orelse:
        raise NotPorted(node, "has an else")
    if scope.in_init and is_first_list(stage, node) and makes_list(stage, node):
        stage.fors.append(node)
        if (pair := named_first(stage, node)) is not None:
            scope.env[ast.unparse(pair.targets[0])] = stage.at.value(pair.value)
            stage.body(node.body[1:])
        else:
            stage.body(node.body)
        stage.fors.pop()
        return
    if scope.in_init and courses.grow(stage, node):
        return
    if unroll(stage, node):
        return
    held = scope.env.get(ast.unparse(node.iter))
    if isinstance(held, Course) and (given := courses.passes_through(node)) is not None:
        return courses.through(stage, node, held, given)
    group = scope.env.get(ast.unparse(node.iter))
    if isinstance(group, Group):
        return loop_over_layers(stage, node, group)
    overs = overs_of(stage, node)
    if overs is None and not scope.is_static(node.iter):
        raise NotPorted(node.iter, "is a loop over tensors", "loop over numbers")
    write_loop(stage, node, node.iter, node.target, overs)


def is_first_list(stage: Stage, node: ast.For) -> bool:
    """Whether the lists that a loop puts layers into have none yet."""
    names = [it for it in courses.targets_in(node) if it is not None]
    return all(isinstance(stage.scope.env.get(it), (Static, Stack, type(None))) for it in names)


def loop_over_layers(stage: Stage, node: ast.For, group: Group) -> None:
    """`for layer in self.layers:`, a list that a loop of `__init__` makes: one loop on both sides."""
    if not isinstance(node.target, ast.Name):
        raise NotPorted(node.target, "is unpacked", "use a name of its own")
    maker = replace(group.maker, name=node.target.id, listed=group.name.removeprefix("self."))
    stage.scope.env[node.target.id] = maker
    write_loop(stage, node, group.over, group.target, None)


def write_loop(
    stage: Stage, node: ast.For, iterated: ast.expr, counter: ast.expr, overs: list[Over] | None
) -> None:
    """The loop in `__init__` and in `forward`, over the modules that it makes."""
    scope = stage.scope
    carried = carry(stage, node)
    targets = {it.id for it in ast.walk(counter) if isinstance(it, ast.Name)}
    if overs is None:
        text, target = scope.static_text(iterated), bare(ast.unparse(counter))
        header = f"for {target} in {text}:"
    else:
        text = target = ""
        header = header_over_tensors(stage, overs)
        targets = {one for it in overs if it.stack is None for one in names_in(it.target or it.name)}
    counted = {it for it in targets if not isinstance(scope.env.get(it), Flow) or overs is None}
    for name in counted:
        scope.env[name] = Static(name)
    made = Loop(frozenset(counted), over=text, stored=frozenset(stored_in(node)))
    scope.loops.append(made)
    with scope.apart() as (init, forward):
        stage.body(node.body)
        update_carried(stage, node, carried)
    scope.loops.pop()
    if scope.loops:
        scope.loops[-1].nested |= set(made.marks)
    for mark in made.marks:
        scope.say(f"{'self.' if not scope.loops else ''}{mark}s = nn.ModuleList()")
    scope.say(header)
    scope.init += init
    if scope.loops:
        # a list for each turn of the outer loop
        for mark in made.marks:
            scope.say(f"{'self.' if len(scope.loops) == 1 else ''}{mark}s.append({mark}s)")
    if not forward:
        return
    own = "self." if not scope.loops else ""
    lists = [f"{own}{it}s" for it in made.marks]
    singles = [f"{it}s" if it in made.nested else it for it in made.marks]
    read = {name for it in forward for name in reads(it.text)}
    counter_name = counter_of(iterated, target) if overs is None and lists else ""
    is_counted = bool(made.counts and counter_name and not read & (targets - {counter_name}))
    if overs is not None:
        asked = [it for it in overs if it.group is None] if lists and not made.counts else overs
        asked = list({(it.target or it.name, it.init): it for it in asked}.values())
        names = {it: reads(it.target or it.name) for it in asked}
        asked = [it for it in asked if it.stack is not None or not lists or names[it] & read]
        lists[:0] = [it.forward if it.forward else scope.forward_text(it.init) for it in asked]
        singles[:0] = [in_brackets(it.target) or it.name for it in asked]
    elif not is_counted and (made.counts or not lists):
        lists.insert(0, scope.forward_text(text))
        singles.insert(0, f"({target})" if "," in target and singles else target)
    over = lists[0] if len(lists) == 1 else f"zip({', '.join(lists)})"
    turns = ", ".join(singles)
    if is_counted:
        turns = f"{counter_name}, {turns}" if len(singles) == 1 else f"{counter_name}, ({turns})"
        over = f"enumerate({over})"
    scope.do(f"for {turns} in {over}:")
    scope.forward += forward


def counter_of(iterated: ast.expr, target: str) -> str:
    """`i` of `for i, width in enumerate(widths)`; empty for other loops."""
    if not isinstance(iterated, ast.Call) or ast.unparse(iterated.func) != "enumerate":
        return ""
    return target.partition(",")[0] if len(iterated.args) == 1 else ""


def named_first(stage: Stage, node: ast.For) -> ast.Assign | None:
    """`block = Block(width)` before `self.blocks.append(block)`; None for other loops."""
    if len(node.body) != 2 or not isinstance(first := node.body[0], ast.Assign):
        return None
    name = ast.unparse(first.targets[0])
    return first if ast.unparse(node.body[1]).endswith(f".append({name})") else None


def makes_list(stage: Stage, node: ast.For) -> bool:
    """Whether a loop of `__init__` does nothing but put layers into lists."""
    if (pair := named_first(stage, node)) is not None:
        return new_layer(stage.at, pair.value) is not None
    calls = [it.value for it in node.body if isinstance(it, ast.Expr) and isinstance(it.value, ast.Call)]
    appended = [
        it.args[0] for it in calls
        if isinstance(it.func, ast.Attribute) and it.func.attr == "append" and len(it.args) == 1
    ]  # fmt: skip
    return len(appended) == len(node.body) and all(new_layer(stage.at, it) is not None for it in appended)


def unroll(stage: Stage, node: ast.For) -> bool:
    """`for layer in self.layers: x = layer(x)` through layers of several kinds: one after the other."""
    held = stage.scope.env.get(ast.unparse(node.iter))
    if not isinstance(held, Row) or not isinstance(node.target, ast.Name):
        return False
    for maker in held.makers:
        stage.scope.env[node.target.id] = maker
        for it in node.body:
            stage.statement(it)
    return True


def overs_of(stage: Stage, node: ast.For) -> list[Over] | None:
    """The lists that a loop goes through, of which one at least is of tensors; else None.

    `for skip in reversed(skips)`, `for width, skip in zip(widths, skips)`.
    """
    iterated, target = node.iter, node.target
    is_zip = isinstance(iterated, ast.Call) and getattr(iterated.func, "id", "") == "zip"
    if stage.scope.is_static(iterated):
        return None
    if is_call(iterated, "enumerate") and isinstance(target, ast.Tuple) and len(target.elts) == 2:
        if isinstance(target.elts[0], ast.Name) and target.elts[0].id not in read_in(node):
            # nobody asks for the number of the turn
            again = copy.copy(node)
            again.target, again.iter = target.elts[1], iterated.args[0]  # type: ignore[attr-defined]
            return overs_of(stage, again)
    if is_zip and isinstance(iterated, ast.Call) and isinstance(target, ast.Tuple):
        pairs = list(zip(target.elts, iterated.args, strict=False))
    else:
        pairs = [(target, iterated)]
    found = []
    for one, over in pairs:
        if stage.scope.is_static(over):
            found.append(Over(ast.unparse(one), stage.scope.static_text(over)))
            continue
        value = stage.at.value(over)
        if isinstance(value, Group) and isinstance(one, ast.Name):
            found.append(over_group(stage, one.id, value))
            continue
        if not isinstance(value, Stack) or not isinstance(one, ast.Name):
            return None
        found.append(Over(one.id, value.shadow, value.text, value))
    return found


def over_group(stage: Stage, name: str, group: Group) -> Over:
    """A list of layers that a loop goes through beside others: what it was made by."""
    listed = group.name.removeprefix("self.")
    stage.scope.env[name] = replace(group.maker, name=name, listed=listed)
    return Over(name, stage.scope.static_text(group.over), target=ast.unparse(group.target), group=group)


def header_over_tensors(stage: Stage, overs: list[Over]) -> str:
    """The loop in `__init__`, over their channels, and over what lists of layers were made by."""
    pairs = list[tuple[str, str]]()
    for it in overs:
        name = it.target or it.name
        if it.stack is not None:
            name = f"{it.name}_channels"
            stage.scope.env[it.name] = Flow(it.name, it.stack.rank, name, it.stack.order)
        same = [at for at, (one, over) in enumerate(pairs) if over == it.init and "_" in (one, name)]
        if it.group is not None and same:
            # of two lists that were made by one, one does without the other's names
            pairs[same[0]] = (name if pairs[same[0]][0] == "_" else pairs[same[0]][0]), it.init
        elif (name, it.init) not in pairs:
            pairs.append((name, it.init))
    names = [one for name, _ in pairs for one in names_in(name) if one != "_"]
    if len(names) != len(set(names)):
        raise NotPorted(ast.Constant(names[0]), "goes through lists that were made with one name", "use two")
    if len(pairs) == 1:
        return f"for {bare(pairs[0][0])} in {pairs[0][1]}:"
    targets = ", ".join(in_brackets(name) for name, _ in pairs)
    return f"for {targets} in zip({', '.join(over for _, over in pairs)}):"


def in_brackets(target: str) -> str:
    """A target inside of another."""
    return f"({bare(target)})" if "," in target else target


def names_in(target: str) -> set[str]:
    return {it.id for it in ast.walk(ast.parse(target)) if isinstance(it, ast.Name)}


def read_in(node: ast.For) -> set[str]:
    """The names that a loop's body reads."""
    nodes = (it for one in node.body for it in ast.walk(one))
    return {it.id for it in nodes if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Load)}


def is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == name


def carry(stage: Stage, node: ast.For) -> set[str]:
    """Tensors that a loop hands from one turn to the next: their sizes are variables."""
    scope, found = stage.scope, set[str]()
    for name in sorted(stored_in(node) | chains.flows_in(stage, node)):
        value = scope.env.get(name)
        if isinstance(value, Flow) and value.order is not order_of(value.rank):
            # each turn begins with it in the order in which images are
            value = scope.ordered(value, order_of(value.rank))
            scope.do(f"{name} = {value.text}")
            value = scope.env[name] = replace(value, text=name)
        if isinstance(value, Flow) and value.channels is not None:
            found.add(name)
            shadow = f"{name}_channels"
            if value.channels != shadow:
                scope.say(f"{shadow} = {value.channels}", shadow)
                scope.env[name] = replace(value, channels=shadow)
    return found


def update_carried(stage: Stage, node: ast.For, carried: set[str]) -> None:
    """At the end of a turn, the sizes of what the next one starts with."""
    scope = stage.scope
    changed = {}
    for name in sorted(carried):
        value, shadow = scope.env.get(name), f"{name}_channels"
        if isinstance(value, Flow) and value.order is not order_of(value.rank):
            value = scope.ordered(value, order_of(value.rank))
            scope.do(f"{name} = {value.text}")
            value = scope.env[name] = replace(value, text=name)
        if not isinstance(value, Flow) or value.channels is None:
            raise NotPorted(node, f"the channels of {name} are not known at the end of a turn")
        if value.channels != shadow:
            changed[shadow] = value.channels
            scope.env[name] = replace(value, channels=shadow)
    for name, it in list(scope.env.items()):
        if (
            isinstance(it, Flow)
            and name not in carried
            and it.channels
            and reads(it.channels) & changed.keys()
        ):
            scope.env[name] = replace(it, channels=None)
    if any(reads(text) & (changed.keys() - {shadow}) for shadow, text in changed.items()):
        names, texts = ", ".join(changed), ", ".join(changed.values())
        scope.say(f"{names} = {texts}")
        return
    for shadow, text in changed.items():
        scope.say(f"{shadow} = {text}", shadow)


@dataclass(frozen=True)
class Over:
    """What a loop goes through: the name of an entry, the list in `__init__`, and in `forward`."""

    name: str
    init: str
    forward: str = ""
    stack: Stack | None = None
    #: Of a list of layers: the names that it was made with, in a loop of `__init__`.
    target: str = ""
    group: Group | None = None


def stored_in(node: ast.For) -> set[str]:
    """The names that a loop's body assigns."""
    nodes = (it for one in node.body for it in ast.walk(one))
    return {it.id for it in nodes if isinstance(it, ast.Name) and isinstance(it.ctx, ast.Store)}
