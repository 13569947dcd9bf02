"""A Sequential whose layers come from loops, conditions and lists: they are called as they were put in.

self.mlp = keras.Sequential([layers.Dense(width) for width in widths])    ->    for dense in self.denses:
y = self.mlp(x)                                                                     y = dense(y)
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from torchport.names import unique
from torchport.source import chains
from torchport.source.sites import NotPorted, site
from torchport.source.values import Chain, Course, Flow, Group, Row, Static

if TYPE_CHECKING:
    from torchport.source.evaluate import Evaluator
    from torchport.source.stage import Stage


def course_of(at: Evaluator, call: ast.Call) -> Course | None:
    """What a call of Sequential makes; None where its layers are written there one by one."""
    layers = chains.layers_of(call)
    if (
        layers is None
        or isinstance(layers, (ast.List, ast.Tuple))
        and all(isinstance(it, ast.Call) or not isinstance(it, ast.Starred) for it in layers.elts)
    ):
        return None
    return Course(tuple(steps_of(at, layers)), call)


def steps_of(at: Evaluator, node: ast.expr) -> Iterator[Any]:
    """The statements that put the layers of a list in, each with what names were there."""
    held = at.scope.env.get(ast.unparse(node))
    if isinstance(held, (Row, Group, Course)):
        at.scope.init = [it for it in at.scope.init if it.text != f"{ast.unparse(node)} = []"]
        yield from steps_in(held)
    elif isinstance(node, (ast.List, ast.Tuple)):
        for it in node.elts:
            yield from steps_of(at, it.value) if isinstance(it, ast.Starred) else [added(at, it)]
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        body = [added(at, node.elt)[0]]
        for over in reversed(node.generators):
            for test in reversed(over.ifs):
                body = [ast.copy_location(ast.If(test, body, []), test)]
            body = [ast.copy_location(ast.For(over.target, over.iter, body, []), node)]
        yield body[0], dict(at.scope.env)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from steps_of(at, node.left)
        yield from steps_of(at, node.right)
    else:
        raise NotPorted(node, "is a list of layers that is made elsewhere", "write the layers there")


def steps_in(held: Row | Group | Course) -> Iterator[Any]:
    """The statements that put in what a list, or a Sequential, has so far."""
    if isinstance(held, Course):
        yield from held.steps
    elif isinstance(held, Row):
        for it in held.makers:
            yield statement(it.node), dict(it.env)
    else:
        loop = ast.For(held.target, held.over, [statement(held.maker.node)], [])
        yield ast.copy_location(loop, held.maker.node), dict(held.maker.env)


def added(at: Evaluator, node: ast.expr) -> Any:
    return statement(node), dict(at.scope.env)


def statement(node: ast.expr) -> ast.stmt:
    """The statement that puts a layer in."""
    target = ast.copy_location(ast.Name(chains.CHAIN, ast.Load()), node)
    made = ast.Call(ast.copy_location(ast.Attribute(target, "add", ast.Load()), node), [node], [])
    return ast.copy_location(ast.Expr(ast.copy_location(made, node)), node)


def grow(stage: Stage, node: ast.For | ast.If) -> bool:
    """A loop or condition of `__init__` that does nothing but put layers in; whether it is one."""
    scope = stage.scope
    targets = list(dict.fromkeys(targets_in(node)))
    if not targets or any(it is None for it in targets):
        return False
    held = {str(it): scope.env.get(str(it)) for it in targets}
    if not all(
        isinstance(it, (Row, Group, Course)) or isinstance(it, Static) and it.text == name
        for name, it in held.items()
    ):
        return False
    made = [it.args[0] for it in ast.walk(node) if isinstance(it, ast.Call) and is_adding(it)]
    if not all(makes_layer(stage, it) for it in made):
        return False
    for name, value in held.items():
        before = () if isinstance(value, Static) or value is None else tuple(steps_in(value))
        own = only(copy.deepcopy(node), name)
        course = Course((*before, (own, dict(scope.env))), getattr(value, "node", node))
        scope.env[name] = course
        scope.init = [it for it in scope.init if it.text != f"{name} = []"]
    return True


def put(stage: Stage, name: str, held: Row | Group | Course, node: ast.expr) -> None:
    """One more layer is put into what a loop has put others into."""
    step = added(stage.at, node)
    stage.scope.env[name] = Course((*steps_in(held), step), getattr(held, "node", node))


def passes_through(node: ast.For) -> ast.expr | None:
    """The tensor of `for layer in layers: x = layer(x)`; None for a loop that does more."""
    (first, *others), layer = node.body, ast.unparse(node.target)
    if others or not isinstance(first, ast.Assign) or not isinstance(first.value, ast.Call):
        return None
    call, (target, *more) = first.value, first.targets
    given = call.args[0] if len(call.args) == 1 and not more else None
    is_same = given is not None and ast.unparse(given) == ast.unparse(target)
    return given if is_same and ast.unparse(call.func) == layer else None


def through(stage: Stage, node: ast.For, course: Course, given: ast.expr) -> None:
    """`for layer in layers: x = layer(x)`: the layers were put into a list by loops and conditions."""
    scope, call = stage.scope, node.body[0].value  # type: ignore[attr-defined]
    flow, known = stage.at.value(given), set(scope.applied)
    if not isinstance(flow, Flow):
        raise NotPorted(given, "is not one tensor")
    name = ast.unparse(given)
    stage.at.target = (node.iter, name)
    value = applied(stage.at, node.iter, course, flow)
    stage.at.target = None
    scope.env[name] = value
    for place in [it for it in scope.applied if it not in known]:
        # in the source it is the loop's line that calls each
        scope.applied[site(call) + place[:4]] = scope.applied[site(call)] = scope.applied[place]


def makes_layer(stage: Stage, node: ast.expr) -> bool:
    from torchport.source.fragment import is_layer

    seen = stage.scope.seen(node)
    return isinstance(node, ast.Call) and bool(seen) and is_layer(seen[0].result)


def is_adding(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("add", "append")
        and len(node.args) == 1
    )


def targets_in(node: ast.stmt) -> Iterator[str | None]:
    """What layers are put into, by each statement in a loop or condition; None for another statement."""
    if isinstance(node, (ast.For, ast.If)):
        for it in (*node.body, *node.orelse):
            yield from targets_in(it)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and is_adding(node.value):
        yield ast.unparse(node.value.func.value)  # type: ignore[attr-defined]
    else:
        yield None


def only(node: Any, target: str) -> Any:
    """A loop or condition with what is put into one list alone, as what is put into a chain."""
    if isinstance(node, ast.Expr):
        call: Any = node.value
        return statement(call.args[0]) if ast.unparse(call.func.value) == target else None
    node.body = [it for one in node.body if (it := only(one, target)) is not None] or [ast.Pass()]
    node.orelse = [it for one in node.orelse if (it := only(one, target)) is not None]
    return node


def applied(at: Evaluator, node: ast.expr, course: Course, flow: Flow) -> Flow:
    """What the layers give, called on a tensor one after the other."""
    from torchport.source.stage import Stage

    scope = at.scope
    name = at.target[1] if at.target is not None and at.target[0] is node else unique("y", set(scope.env))
    stage = Stage(scope)
    stage.chain = Chain(name, True)
    if isinstance(course.node, ast.Call):
        scope.chains.add(site(course.node))
    outer = scope.env
    loops = {key: it for key, it in outer.items() if any(key in one.targets for one in scope.loops)}
    value = flow
    for number, (step, env) in enumerate(course.steps):
        if not number and isinstance(step, (ast.For, ast.If)) and value.text != name:
            scope.do(f"{name} = {value.text}")
            value = Flow(name, value.rank, value.channels, value.order)
        scope.env = {**outer, **env, **loops, chains.CHAIN: stage.chain, name: value}
        try:
            stage.statement(step)
            found = scope.env[name]
        finally:
            scope.env = outer
        if not isinstance(found, Flow):
            raise NotPorted(node, "gives several tensors")
        value = found
    outer[name] = value
    return value


__all__ = ["applied", "course_of", "grow", "passes_through", "put"]
