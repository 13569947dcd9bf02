"""The graph written in PyTorch, in the orders that were chosen: each op by its rule, and permutes between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchport.axes import Order, dims, to_order
from torchport.errors import Refusal, Refused, Unsupported
from torchport.graph import Graph, Op, Tensor, map_refs
from torchport.layout.cut import Orders, is_permutable, walk, wants_of
from torchport.layout.loops import looped
from torchport.program import (
    Apply,
    Assign,
    Attribute,
    Call,
    Definition,
    Expr,
    Fill,
    Load,
    Module,
    Permute,
    Spec,
    State,
    Step,
    Var,
    call,
    rewrite,
)
from torchport.program import walk as walk_expression
from torchport.rules import Value, Want, rule_for
from torchport.rules.guard import check_loads, stored_shapes
from torchport.rules.table import Bound


def write(graph: Graph, orders: Orders, exact: bool = False) -> Definition:
    """The program of a graph. Raises Refused with everything that a rule cannot write exactly."""
    refusals: list[Refusal] = []
    definition = _Writer(graph, orders, "", exact, refusals).definition()
    if refusals:
        raise Refused(tuple(refusals))
    return definition


def needed(steps: Sequence[Step], outputs: Iterable[str]) -> tuple[Step, ...]:
    """The steps that are read, and those that hold modules or assign, which may change in training.

    Keras hands on arguments that a layer ignores; what computes them is not written.
    """
    read = set(outputs)
    kept: list[Step] = []
    for step in reversed(steps):
        held = any(isinstance(node, (Apply, Assign)) for node in walk_expression(step.value))
        if held or read.intersection(step.outputs):
            kept.append(step)
            read.update(step.inputs)
    return tuple(reversed(kept))


def in_place(steps: Sequence[Step], outputs: Iterable[str]) -> list[Step]:
    """The steps in which weights and constants stand where they are read: `x * self.gain`."""
    given = set(outputs)
    held = {
        step.outputs[0]: step.value
        for step in steps
        if isinstance(step.value, State) and not given.intersection(step.outputs)
    }

    def placed(node: Any) -> Any:
        return held.get(node.tensor, node) if isinstance(node, Var) else node

    kept = (step for step in steps if step.outputs[0] not in held)
    return [replace(step, value=rewrite(step.value, placed)) for step in kept]


def shared(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps in which a layer's weight that the class reads itself is the layer's: `self.emb.weight.T`.

    Raises Unsupported where the layer has it in a form that it is not read in.
    """
    held: dict[int, tuple[Expr, Load]] = {}
    for step in steps:
        for node in walk_expression(step.value):
            if isinstance(node, Apply):
                for name, load in node.module.loads.items():
                    if isinstance(load, Load) and load.source is not None:
                        module = replace(node, args=(), kwargs={}, called=False)
                        held.setdefault(id(load.source.load), (Attribute(module, name), load))

    def of(node: Any) -> tuple[Expr, Load] | None:
        is_weight = isinstance(node, State) and isinstance(node.load, Load) and node.load.source is not None
        return held.get(id(node.load.source.load)) if is_weight else None

    def read(node: Any) -> Any:
        if (found := of(node)) is None:
            return turned_twice(node)
        weight, load = found
        return permuted(weight, *reversed(dims_of(load)))

    for step in steps:
        value = step.value
        if isinstance(value, Assign) and (found := of(value.state)) is not None:
            given = permuted(rewrite(value.value, read), *dims_of(found[1]))
            yield replace(step, value=replace(value, state=found[0], value=given))
        else:
            yield replace(step, value=rewrite(value, read))


def turned_twice(node: Any) -> Any:
    """A weight of a module that is transposed is `weight.T`; one that was before, itself."""
    if not isinstance(node, Call) or node.function != ".transpose" or node.args[1:] != (0, 1):
        return node
    inner = node.args[0]
    if not isinstance(inner, Attribute):
        return node
    if inner.name == "T":
        return inner.value
    return Attribute(inner, "T") if isinstance(inner.value, Apply) else node


def dims_of(load: Load) -> tuple[list[str], list[str]]:
    """The axes of a weight in the source and in torch. Raises Unsupported where torch regroups them."""
    turn = load.turn
    if turn.regroup or turn.blocks or turn.view or "(" in turn.pattern or " 1" in turn.pattern:
        why = "it reads a weight that its layer keeps in another form"
        raise Unsupported(why, "make the weight one of the class, with add_weight")
    source, _, target = turn.pattern.partition(" -> ")
    return source.split(), target.split()


def permuted(value: Any, before: Sequence[str], after: Sequence[str]) -> Any:
    """A tensor of these axes in another order."""
    if list(before) == list(after):
        return value
    return Attribute(value, "T") if len(before) == 2 else call(".permute", value, *map(before.index, after))


class _Writer:
    """One graph on its way: the steps so far, and the permuted twins that tensors have."""

    def __init__(self, graph: Graph, orders: Orders, path: str, exact: bool, refusals: list[Refusal]) -> None:
        self.graph, self.orders, self.path, self.exact, self.refusals = (
            graph,
            orders,
            path,
            exact,
            refusals,
        )
        self.steps: list[Step] = []
        self.permutes: dict[tuple[str, Order], Permute] = {}
        self.twins: dict[str, Spec] = {}

    def definition(self) -> Definition:
        graph = self.graph
        for op in graph.ops:
            try:
                self.steps.append(self._step(op))
            except Unsupported as error:
                why = op.at_line(error.why)
                self.refusals.append(Refusal(f"{graph.name}/{op.name}", op.kind, why, error.advice))
        outputs = [self._output(name) for name in graph.outputs]
        renamed = dict(zip(graph.outputs, outputs, strict=True))
        parts = {
            layer: _Writer(body, self.orders, f"{self.path}{layer}/", self.exact, self.refusals).definition()
            for layer, body in graph.bodies.items()
        }
        steps = needed(in_place(list(looped(self.steps)), renamed.values()), renamed.values())
        try:
            steps = tuple(shared(steps))
        except Unsupported as error:
            self.refusals.append(Refusal(graph.name, graph.cls or "Model", error.why, error.advice))
        written = {it.name for it in steps}
        return Definition(
            graph.name,
            tuple(Spec(name, graph.tensors[name], self._order(name)) for name in graph.inputs),
            tuple(Spec(renamed[name], graph.tensors[name], self._read_order(name)) for name in graph.outputs),
            steps,
            map_refs(graph.structure, lambda name: Var(renamed[name])),
            parts,
            tuple(it for (name, order), it in self.permutes.items() if twin_of(name, order) in written),
            frozenset(op.layer for op in graph.ops if op.weights and op.frozen),
            {
                **{name: Spec(name, it, self._order(name)) for name, it in graph.tensors.items()},
                **self.twins,
            },
            graph.texts,
            keys=graph.keys,
            attributes=graph.attributes,
            cls=graph.cls,
        )

    def _order(self, name: str) -> Order:
        """The order in which a tensor is written; where both are the same, the source's."""
        if not is_permutable(self.graph.tensors[name]):
            return Order.SOURCE
        return self.orders.of(self.path, name)

    def _read_order(self, name: str) -> Order:
        """The order in which a model gives an output."""
        flat = len(self.graph.tensors[name].shape) < 3
        keep = not self.path and (flat or self.orders.keep_io)
        return Order.SOURCE if keep else self._order(name)

    def _output(self, name: str) -> str:
        return self._permuted(name, self._read_order(name), "the model's output", "its order is kept")

    def _step(self, op: Op) -> Step:
        orders: dict[str, list[Order]] = {}
        for at, name in enumerate(op.inputs):
            wanted = self.orders.wanted(self.path, op, name, at)
            orders.setdefault(name, []).append(
                wanted if is_permutable(self.graph.tensors[name]) else Order.SOURCE
            )

        def value(name: str) -> Value:
            order = orders[name].pop(0)
            read = self._permuted(name, order, op.name, self._why(op, name))
            return Value(replace(self.graph.tensors[name], name=read), order)

        args, kwargs = map_refs(op.args, value), map_refs(op.kwargs, value)
        if op.kind == "Model":
            result: Any = Apply(Module("Model"), tuple(_values((args, kwargs))))
        else:
            out = [Value(self.graph.tensors[name], self._order(name)) for name in op.outputs]
            entry = rule_for(op.kind)
            bound = entry.bind(
                {**op.config, **kwargs}, self.graph.tensors.__getitem__, exact=self.exact,
                dialect=self.graph.dialect,
                weight_shapes={name: it.shape for name, it in op.weights.items()},
            )  # fmt: skip
            result = written(op, bound, args, out[0] if len(out) == 1 else out)
            if entry.is_theirs:
                check_loads(op, result, entry.write)
            result = rewrite(result, in_training) if op.training else result
        return Step(op.name, op.layer, op.kind, op.outputs, rewrite(result, _settle(op)), op.turn)

    def _why(self, op: Op, name: str) -> str:
        """Why this op reads the tensor in another order: for its own sake, its producer's, or the model's."""
        if op.kind == "Model":
            return "the nested model wants it in that order"
        wants = self.orders.wants
        if wants[self.path, op.name].why:
            return wants[self.path, op.name].why
        writer = next((it for it in self.graph.ops if name in it.outputs and it.kind != "Model"), None)
        if writer is not None and wants[self.path, writer.name].why:
            return wants[self.path, writer.name].why
        return "inputs and outputs keep the source's order" if self.orders.keep_io else "its readers disagree"

    def _permuted(self, name: str, order: Order, reader: str, why: str) -> str:
        """The name of the tensor in that order; the permute is written once for all readers."""
        tensor, written = self.graph.tensors[name], self._order(name)
        if order is written:
            return name
        twin = twin_of(name, order)
        if (name, order) not in self.permutes:
            self.steps.append(Step(twin, "", "permute", (twin,), _permute(tensor, written, order)))
            self.twins[twin] = Spec(twin, tensor, order)
            source, target = (" ".join(map(str, to_order(tensor.axes, it))) for it in (written, order))
            self.permutes[name, order] = Permute(name, (), source, target, why)
        seen = self.permutes[name, order]
        self.permutes[name, order] = replace(seen, readers=(*seen.readers, reader))
        return twin


def written(op: Op, bound: Bound, args: Sequence[Any], out: Any) -> Any:
    """What a rule writes for a call. Raises Unsupported where the arguments do not fit one of our own."""
    try:
        return bound.expression(*args, y=out)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        if rule_for(op.kind).is_theirs:
            raise
        raise Unsupported(f"its arguments do not fit: {error}") from error


def twin_of(name: str, order: Order) -> str:
    """What a tensor is called in the order in which it is not written."""
    return f"{name}.{order.name.lower()}"


def base_of(name: str) -> str:
    """The tensor of which a name, its own or of its twin, is one."""
    return name.removesuffix(".source").removesuffix(".channels_first")


def in_training(node: Any) -> Any:
    """A module that is called, in training mode whatever the model's."""
    if not isinstance(node, Apply):
        return node
    loads = {f"0.{name}": load for name, load in node.module.loads.items()}
    inner = replace(node.module, loads={}, role="")
    return replace(node, module=Module("InTraining", (inner,), loads=loads, role=node.module.role))


def _values(tree: Any) -> Iterator[Value]:
    """The tensors in a tree of arguments, as a nested model's class takes them: one after the other."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for it in tree:
            yield from _values(it)
    elif isinstance(tree, dict):
        for key in sorted(tree):
            yield from _values(tree[key])


def refused(graph: Graph) -> tuple[Refusal, ...]:
    """What the rules refuse to write of a graph of which not all is known: each op as if alone.

    Every op is tried in the order that it wants, so that all refusals of a model come at once.
    """
    found = []
    for path, body in walk(graph):
        for op in body.ops:
            names = (*op.inputs, *op.outputs)
            if op.kind == "Model" or not names or any(name not in body.tensors for name in names):
                continue
            try:
                wants = wants_of(op, body)
                order = Order.CHANNELS_FIRST if wants.inputs is Want.CHANNELS_FIRST else Order.SOURCE
                values = {name: Value(body.tensors[name], order) for name in names}
                out = [values[name] for name in op.outputs]
                bound = rule_for(op.kind).bind(
                    {**op.config, **op.kwargs}, values.__getitem__, dialect=graph.dialect, exact=False,
                    weight_shapes=stored_shapes(op),
                )  # fmt: skip
                args = map_refs(op.args, values.__getitem__)
                written(op, bound, args, out[0] if len(out) == 1 else out)
            except Unsupported as error:
                why = op.at_line(error.why)
                found.append(Refusal(f"{graph.name}/{path}{op.name}", op.kind, why, error.advice))
    return tuple(found)


def _settle(op: Op) -> Callable[[Any], Any]:
    """What makes tensors of values, and gives modules their owner and the weights they load."""

    def bound(load: Load | Fill) -> Load | Fill:
        return replace(load, source=op.weights[load.weight]) if isinstance(load, Load) else load

    def settle(expr: Any) -> Any:
        if isinstance(expr, Value):
            return Var(expr.tensor.name)
        if isinstance(expr, State):
            return replace(expr, owner=op.layer, load=bound(expr.load))
        if isinstance(expr, Apply):
            loads = {name: bound(load) for name, load in expr.module.loads.items()}
            return replace(expr, owner=op.layer, module=replace(expr.module, loads=loads))
        return expr

    return settle


def _permute(tensor: Tensor, source: Order, target: Order) -> Expr:
    """The expression that brings a tensor from one order into the other."""
    rank = len(tensor.shape)
    if rank > 2:
        return call(".permute", Var(tensor.name), *dims(source, target, rank))
    (part,) = tensor.parts
    full = (tensor.shape[0], *part)
    shape = to_order(full, source)[1:]
    grid = call(".unflatten", Var(tensor.name), 1, shape)
    return call(".flatten", call(".permute", grid, *dims(source, target, len(full))), 1)
