"""Where the tensors of the source's graph are in the port, and in which order it holds them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from torchport.axes import Order, Turn, dims
from torchport.emit.source import Class, owned, source
from torchport.emit.trace import expressions, forward_of
from torchport.graph import Graph, Op, Tensor
from torchport.layout.cut import Orders, choose_orders, is_permutable
from torchport.pipeline import Program
from torchport.program import IN_A_ROW, Apply, Inside, Load, Module


@dataclass(frozen=True)
class Place:
    """A tensor of the graph as the port holds it. `path` leads to its graph, `tensor` is its name there."""

    path: str
    tensor: Tensor
    order: Order
    op: Op | None = None

    @property
    def layer(self) -> str:
        """The layer that the user knows it by."""
        layer = self.op.layer if self.op else self.tensor.name
        return f"{self.path}{layer.removesuffix('.activation')}"

    def held(self, array: np.ndarray) -> np.ndarray:
        """An array in the source's axes as PyTorch holds it.

        Vectors of a lookup are whole numbers in TensorFlow, although Keras declares them as fractions.
        Source: keras/src/layers/preprocessing/index_lookup.py, call and compute_output_spec.
        """
        is_lookup = self.op is None or self.op.kind == "IntegerLookup"
        if is_lookup and array.dtype.kind == "i" and self.tensor.dtype.startswith("float"):
            array = array.astype(np.float64)
        return held(array, self.order, self.tensor)


def held(array: np.ndarray, order: Order, tensor: Tensor) -> np.ndarray:
    """An array in the source's axes in an order: permuted or, where it is flat, its pieces turned."""
    if order is Order.CHANNELS_FIRST and array.ndim == 2 and tensor.parts:
        return Turn("n c -> n c", ((1, tensor.parts),)).apply(array)
    return np.transpose(array, dims(Order.SOURCE, order, array.ndim))


@dataclass(frozen=True)
class Watched:
    """One class of model.py: which expression of its `forward` gives which tensors, and calls which model.

    `marks`: expression number -> tensors. `calls`: expression number -> name of the nested model's
    call.
    """

    forward: ast.FunctionDef
    marks: Mapping[int, tuple[str, ...]]
    calls: Mapping[int, str] = field(default_factory=dict)


def watched(program: Program) -> dict[str, Watched]:
    """Every class that the port was written with, by name."""
    written, plain = (forwards(text) for text in (source(program.classes, marks=True), program.code))
    found: dict[str, Watched] = {}
    for it in instances(program):
        if it.item.name not in found:
            found[it.item.name] = _watched(it, written[it.item.name], plain[it.item.name])
    return found


def forwards(text: str) -> dict[str, ast.FunctionDef]:
    """The `forward` of every class in a text."""
    classes = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef))
    return {node.name: method for node in classes if (method := forward_of(node))}


def _watched(it: Instance, written: ast.FunctionDef, plain: ast.FunctionDef) -> Watched:
    marks: dict[int, tuple[str, ...]] = {}
    calls: dict[int, str] = {}
    models = {it.item.attributes[layer, ""]: layer for layer in it.models}
    waiting = {
        layer: [op for op in it.graph.ops if op.layer == layer and len(op.outputs) > 1] for layer in it.models
    }
    for number, (node, tensors) in enumerate(expressions(written)):
        if tensors:
            marks[number] = tensors
        attribute = called_attribute(node)
        if attribute in models:
            names = [op.name for op in it.graph.ops if op.name in tensors]
            layer = models[attribute]
            if names or waiting[layer]:
                calls[number] = names[0] if names else waiting[layer].pop(0).name
    return Watched(plain, marks, calls)


def called_attribute(node: ast.expr) -> str:
    """`name` of a call `self.name(...)`; empty for any other expression."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id == "self":
            return node.func.attr
    return ""


@dataclass(frozen=True)
class Instance:
    """A class where it stands: the path of its module, the path of its graph, and that graph.

    `tensors`: names of the graph by those in the class, where the class is a block that stands in
    many places.
    """

    module: str
    path: str
    item: Class
    graph: Graph
    tensors: Mapping[str, str] | None = None
    #: Calls of nested models in whose place blocks stand: the port does not make them.
    labels: tuple[str, ...] = ()

    @property
    def models(self) -> list[str]:
        """The nested models that it holds."""
        return [layer for layer in self.item.parts if layer in self.graph.bodies and self.tensors is None]

    def name(self, tensor: str) -> str | None:
        """What the graph calls a tensor of the class; None for one that this use does not have."""
        return tensor if self.tensors is None else self.tensors.get(tensor)


@dataclass(frozen=True)
class Link:
    """A module in nn.Sequential: its path, whose part it is, and the tensor of the graph that it gives."""

    module: str
    at: Instance
    model: str
    tensor: str


def instances(program: Program) -> Iterator[Instance]:
    """Every class in every place where it stands, the model first."""
    return (it for it in standing(program) if isinstance(it, Instance))


def standing(program: Program) -> Iterator[Instance | Link]:
    """Every class in every place where it stands, the model first, and every module in nn.Sequential."""

    def below(at: Instance, inside: Inside | None) -> Iterator[Instance | Link]:
        yield at
        for (owner, role), node in owned(at.item.definition):
            found = node.module if isinstance(node, Apply) else None
            if inside is not None and found is not None:
                held = inside.modules.get((owner, role))
                found = held if isinstance(held, Module) else None
            if found is not None:
                name = at.item.attributes[owner, role]
                module = f"{at.module}.{name}" if at.module else name
                yield from one(found, module, owner, at)

    def one(found: Module, module: str, owner: str, at: Instance) -> Iterator[Instance | Link]:
        part = at.item.parts.get(owner)
        if found.inside is not None:
            part = next(it for it in at.item.parts.values() if it.definition.name == found.cls)
        if found.cls in IN_A_ROW:
            for number, inner in enumerate(found.args):
                if isinstance(inner, Module):
                    if inner.gives[1]:
                        yield Link(f"{module}.{number}", at, *inner.gives)
                    yield from one(inner, f"{module}.{number}", owner, at)
        elif part is not None and found.cls == "Model":
            yield from below(Instance(module, f"{at.path}{owner}/", part, at.graph.bodies[owner]), None)
        elif part is not None and found.inside is not None:
            model = found.inside.model
            path = f"{at.path}{model}/" if model else at.path
            graph = at.graph.bodies[model] if model else at.graph
            labels = (*at.labels, model) if model else at.labels
            inner_at = Instance(module, path, part, graph, found.inside.tensors, labels)
            yield from below(inner_at, found.inside)

    yield from below(Instance("", "", program.classes, program.graph), None)


@dataclass(frozen=True)
class Places:
    """Resolves what is seen, (path of a module, number of an expression), to tensors of the graph."""

    program: Program
    orders: Orders
    classes: Mapping[str, Watched]
    by_module: Mapping[str, Instance]
    links: Mapping[str, Link]

    @classmethod
    def of(cls, program: Program, keep_io: bool) -> Places:
        found = list(standing(program))
        by_module = {it.module: it for it in found if isinstance(it, Instance)}
        links = {it.module: it for it in found if isinstance(it, Link)}
        return cls(program, choose_orders(program.graph, keep_io), watched(program), by_module, links)

    def labels(self, module: str) -> tuple[str, ...]:
        """Calls of nested models around a module that the port does not make."""
        if module in self.by_module:
            return self.by_module[module].labels
        it = self.links[module]
        return (*it.at.labels, it.model) if it.model else it.at.labels

    def linked(self, module: str) -> Place:
        """The tensor that a module in nn.Sequential gives."""
        it = self.links[module]
        if it.model:
            return self.place(f"{it.at.path}{it.model}/", it.at.graph.bodies[it.model], it.tensor)
        return self.place(it.at.path, it.at.graph, it.tensor)

    def at(self, module: str, number: int) -> tuple[Place, ...]:
        """The tensors that an expression gives."""
        if module not in self.by_module:
            return ()
        it = self.by_module[module]
        names = [it.name(mark) for mark in self.classes[it.item.name].marks.get(number, ())]
        return tuple(self.place(it.path, it.graph, name) for name in names if name is not None)

    def place(self, path: str, graph: Graph, name: str) -> Place:
        """A tensor; a permuted twin, `x.channels_first`, is `x` in that order."""
        order: Order | None = None
        if name not in graph.tensors:
            base, _, suffix = name.rpartition(".")
            order = next((it for it in Order if it.name.lower() == suffix), None)
            if base not in graph.tensors or order is None:
                raise KeyError(name)
            name = base
        tensor = graph.tensors[name]
        if order is None:
            order = self.orders.of(path, name) if is_permutable(tensor) else Order.SOURCE
        op = next((op for op in graph.ops if name in op.outputs), None)
        return Place(path, tensor, order, op)

    def all(self) -> Iterator[tuple[str, int, Place]]:
        """Every watched expression with its tensors."""
        for module, it in self.by_module.items():
            for number in self.classes[it.item.name].marks:
                for place in self.at(module, number):
                    yield module, number, place
        for module in self.links:
            yield module, -1, self.linked(module)

    def graph(self, path: str) -> Graph:
        return next(it.graph for it in self.by_module.values() if it.path == path)

    @cached_property
    def _modules(self) -> dict[str, list[str]]:
        """Paths of modules by layer: those that hold its weights, and those whose call gives its tensors."""
        found: dict[str, list[str]] = {}
        for entry in self.program.entries:
            if isinstance(entry.load, Load) and entry.load.source:
                layer = entry.load.source.name.removesuffix(f"/{entry.load.weight}")
                found.setdefault(layer, []).append(entry.name.rpartition(".")[0])
        for module, it in self.by_module.items():
            watched = self.classes[it.item.name]
            within: dict[ast.expr, tuple[Place, ...]] = {}  # the innermost tensor that a call is a part of
            for number, (node, _) in enumerate(expressions(watched.forward)):
                if places := self.at(module, number):
                    within.update((inner, places) for inner in ast.walk(node) if isinstance(inner, ast.Call))
            for node, places in within.items():
                attribute = called_attribute(node)
                path = f"{module}.{attribute}" if module else attribute
                if attribute and path not in self.by_module:
                    for place in places:
                        found.setdefault(place.layer, []).append(path)
        for module in self.links:
            found.setdefault(self.linked(module).layer, []).append(module)
        return {layer: list(dict.fromkeys(paths)) for layer, paths in found.items()}

    def module_of(self, layer: str) -> list[str]:
        """Paths of the modules that a layer became; the layer with the path of its graph."""
        return self._modules.get(layer.removesuffix(".activation"), [])
