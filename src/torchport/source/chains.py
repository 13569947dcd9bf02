"""A Sequential that a function gives back: its layers are called as they are put in.

head = keras.Sequential()                   x is what the class is called with
for width in widths:                   ->   for fc in self.fcs:
    head.add(layers.Dense(width))               x = fc(x)
return head                                 return x
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from torchport.names import unique
from torchport.source.application import apply
from torchport.source.assign import assign_flow
from torchport.source.fragment import Call
from torchport.source.interface import shape_in, take
from torchport.source.layers import options_of
from torchport.source.parts import order_of
from torchport.source.rows import seen_of
from torchport.source.sites import RUN, NotPorted, site
from torchport.source.unit import Input
from torchport.source.values import Chain, Flow, Maker

if TYPE_CHECKING:
    from torchport.source.observe import Watched
    from torchport.source.stage import Stage

#: What stands for the call of a Sequential, where a unit has the name of the function that it gives.
CHAIN = "()"
#: Methods that put layers into a Sequential, or into a list of layers for one.
ADDING = frozenset({"add", "append", "extend"})


def returned_chains(watched: Watched, node: ast.FunctionDef) -> dict[str, ast.Call]:
    """The names of the Sequential that a function gives back, and of its list of layers.

    With each, the call that makes the Sequential. A function that gives back several has none.
    """
    inside = [it for it in ast.walk(node) if isinstance(it, (ast.Return, ast.Assign))]
    made = {
        ast.unparse(it.targets[0]): it.value
        for it in inside
        if isinstance(it, ast.Assign) and is_sequential(watched, it.value)
    }
    given = [it.value for it in inside if isinstance(it, ast.Return)]
    if len(given) != 1 or (value := given[0]) is None:
        return {}
    call = value if is_sequential(watched, value) else made.get(ast.unparse(value))
    if not isinstance(call, ast.Call):
        return {}
    names = [it for it, one in made.items() if one is call]
    names += [it.id] if (it := leading(layers_of(call))) is not None else []
    called = {ast.unparse(it.func) for it in ast.walk(node) if isinstance(it, ast.Call)}
    return {} if called & set(names) else dict.fromkeys([*names, ""], call)


def is_sequential(watched: Watched, node: ast.AST | None) -> bool:
    """Whether an expression is a call of Sequential, as it ran."""
    seen = watched.recorder.sites.get(site(node), []) if isinstance(node, ast.Call) else []
    return bool(seen) and is_row(seen[0].result) and isinstance(seen[0].function, type)


def is_row(value: Any) -> bool:
    """Whether a value is a Sequential of Keras's own."""
    cls = type(value)
    return cls.__name__ == "Sequential" and cls.__module__.split(".")[0] in ("keras", "tf_keras")


def shape_of(model: Any) -> tuple[int | None, ...] | None:
    """The shape of what a Sequential was called with; None for one that was not yet."""
    inputs = getattr(model, "inputs", None)
    return tuple(inputs[0].shape) if inputs else None


def layers_of(call: ast.Call) -> ast.expr | None:
    """The argument of Sequential that is its layers."""
    named = (it.value for it in call.keywords if it.arg == "layers")
    return next(named, call.args[0] if call.args else None)


def leading(layers: ast.expr | None) -> ast.Name | None:
    """The list that the layers begin with, a name: `dense` of `dense + [last]` and of `[*dense, last]`."""
    while isinstance(layers, (ast.BinOp, ast.List, ast.Starred)):
        if isinstance(layers, ast.List):
            layers = layers.elts[0] if layers.elts and isinstance(layers.elts[0], ast.Starred) else None
        else:
            layers = layers.left if isinstance(layers, ast.BinOp) else layers.value
    return layers if isinstance(layers, ast.Name) else None


def begin(stage: Stage, call: ast.Call) -> Chain:
    """The chain of a function, which its tensor flows into."""
    scope = stage.scope
    if stage.chain is not None:
        return stage.chain
    shapes = [shape for it in scope.seen(call) if (shape := shape_of(it.result)) is not None]
    if not shapes:
        raise NotPorted(call, "has no input of its own", "begin it with keras.Input(shape)")
    name = unique("x", set(scope.env))
    given = input_call(stage)
    if given is not None:
        take(stage, name, shape_in(given), shapes[0])
    else:
        rank = len(shapes[0])
        stage.inputs.append(Input(name, "in_channels", rank, order_of(rank)))
        scope.env[name] = Flow(name, rank, "in_channels", order_of(rank))
    stage.chain = scope.env[CHAIN] = Chain(name, given is not None)
    scope.chains.add(site(call))
    return stage.chain


def input_call(stage: Stage) -> ast.Call | None:
    """The call that says what the Sequential of the function is given: its Input, or its first layer."""
    node = stage.scope.project.node_of(stage.scope.name)
    for it in ast.walk(node):
        if isinstance(it, ast.Call):
            named = {one.arg for one in it.keywords}
            if is_input(stage, it) or named & {"input_shape", "input_dim", "batch_input_shape"}:
                return it
    return None


def is_input(stage: Stage, node: ast.expr) -> bool:
    """Whether an entry of a Sequential is its input."""
    seen = stage.scope.seen(node) if isinstance(node, ast.Call) else []
    return bool(seen) and getattr(seen[0].function, "__name__", "") in ("Input", "InputLayer")


def entries(stage: Stage, node: ast.expr) -> Iterator[ast.stmt]:
    """The entries of an expression that is a list of layers, as statements that each add one."""
    target = ast.copy_location(ast.Name(CHAIN, ast.Load()), node)
    if isinstance(node, (ast.List, ast.Tuple)):
        for it in node.elts:
            if isinstance(it, ast.Starred):
                yield from entries(stage, it.value)
            else:
                made = ast.Call(ast.Attribute(target, "add", ast.Load()), [it], [])
                yield ast.copy_location(ast.Expr(ast.copy_location(made, it)), it)
    elif isinstance(node, (ast.ListComp, ast.GeneratorExp)):
        body = list(entries(stage, ast.copy_location(ast.List([node.elt], ast.Load()), node.elt)))
        for over in reversed(node.generators):
            for test in reversed(over.ifs):
                body = [ast.copy_location(ast.If(test, body, []), test)]
            body = [ast.copy_location(ast.For(over.target, over.iter, body, []), node)]
        yield from body
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield from entries(stage, node.left)
        yield from entries(stage, node.right)
    elif node is not leading(layers_of(stage.returned[""])):
        raise NotPorted(node, "is a list of layers that is made elsewhere", "write the layers there")


def extend(stage: Stage, node: ast.expr) -> None:
    """All layers of an expression that is a list are put in."""
    for it in entries(stage, node):
        stage.statement(it)


def chain_of(stage: Stage, call: ast.Call) -> Chain:
    """A call of Sequential: the chain, with the layers that it is given."""
    chain, layers = begin(stage, call), layers_of(call)
    if layers is not None:
        extend(stage, layers)
    return chain


def add(stage: Stage, chain: Chain, node: ast.expr) -> None:
    """A layer is put in: the tensor that flows is what it gives."""
    scope = stage.scope
    if is_input(stage, node):
        return
    if isinstance(node, ast.Call) and not scope.seen(node):
        raise NotPorted(node, "never ran", RUN)
    maker = stage.at.value(node)
    if not isinstance(maker, Maker):
        raise NotPorted(node, "is no layer that is made there", "make each layer where it is put in")
    flow = scope.env[chain.name]
    layers = [it.result for it in scope.seen(maker.node)]
    seen = [
        replace(seen_of(it.result), is_varied=it.is_varied)
        for it in scope.seen(maker.node) if it.result._inbound_nodes
    ]  # fmt: skip
    if not seen:
        held = set(map(id, layers))
        runs = (it for _, it in scope.project.watched.recorder.calls if it is not None)
        seen = [it for it in runs if id(it.function) in held]
    if not seen:
        raise NotPorted(node, "never ran", "call the model that it is in")
    function = scope.seen(maker.node)[0].function
    is_own = getattr(function, "__module__", "") == scope.project.watched.module.__name__
    unit = scope.project.unit(function.__name__) if is_own else None
    if unit is not None:
        found = stage.at.part(maker.node, unit, maker.node, seen, maker, [flow])
    else:
        made = Call([flow], {}, options_of(stage.at, maker, type(layers[0])))
        found = apply(stage.at, maker.node, made, seen, maker)
    if not isinstance(found, Flow):
        raise NotPorted(node, "gives several tensors")
    assign_flow(stage, chain.name, found)


def flows_in(stage: Stage, node: ast.AST) -> set[str]:
    """The tensor of the chain, where statements put layers in."""
    if stage.chain is None:
        return set()
    calls = (it for it in ast.walk(node) if isinstance(it, ast.Call) and isinstance(it.func, ast.Attribute))
    targets = {ast.unparse(it.func.value) for it in calls if it.func.attr in ADDING}  # type: ignore[attr-defined]
    targets |= {ast.unparse(it.target) for it in ast.walk(node) if isinstance(it, ast.AugAssign)}
    held = {it for it, one in stage.scope.env.items() if one is stage.chain}
    return {stage.chain.name} if targets & held else set()
