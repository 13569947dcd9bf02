"""Where the tensors of the source's graph are in the port, as port.json says it.

The text is written twice, with and without marks around the tensors of the source's graph. Both parse to
the same tree but for the marks, so that each mark becomes the number of an expression (`expressions.py`).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.emit.source import Class, block_of, class_text, owned, source
from torchport.emit.weights import Entry
from torchport.expressions import called_attribute, expressions, forwards
from torchport.graph import Graph
from torchport.program import IN_A_ROW, Apply, Inside, Module
from torchport.record import Standing, graphs, layer_of


def trace(item: Class, graph: Graph, code: str, entries: Sequence[Entry]) -> dict[str, Any]:
    """ "trace" of port.json: modules, and what each class's `forward` was."""
    found = list(standing(item, graph))
    written, plain = forwards(source(item, marks=True)), forwards(code)
    classes: dict[Any, tuple[dict[int, tuple[str, ...]], dict[int, str]]] = {}
    modules: dict[str, Standing] = {}
    for it in found:
        if isinstance(it, Link):
            modules[it.module] = it.standing()
            continue
        key = id(it.item.definition) if it.item.shared else it.item.name
        if key not in classes:  # each use of a shared class has tensors of its own
            marked = forwards(class_text(it.item, True)) if it.item.shared else written
            classes[key] = watched(it, marked[it.item.name])
        modules[it.module] = it.standing(*classes[key])
    used = dict.fromkeys(it.item.name for it in found if isinstance(it, Instance))
    return {
        "modules": {path: it.record() for path, it in modules.items()},
        "layers": layers(modules, graph, {name: plain[name] for name in used}, entries),
        "forwards": {name: ast.unparse(plain[name]) for name in used},
    }  # fmt: skip


def watched(it: Instance, written: ast.FunctionDef) -> tuple[dict[int, tuple[str, ...]], dict[int, str]]:
    """Of a class the tensors that its expressions give, and the nested models' calls, by number."""
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
    return marks, calls


def layers(
    modules: Mapping[str, Standing], graph: Graph, forward: Mapping[str, ast.FunctionDef],
    entries: Sequence[Entry],
) -> dict[str, list[str]]:  # fmt: skip
    """Paths of modules by layer: those that hold its weights, and those whose call gives its tensors."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        if layer := layer_of(entry.load):
            found.setdefault(layer, []).append(entry.name.rpartition(".")[0])
    ops = {
        (path, name): op.layer.removesuffix(".activation")
        for path, body in graphs(graph) for op in body.ops for name in op.outputs
    }  # fmt: skip
    for module, it in modules.items():
        if it.gives:
            owner = ops.get((it.graph, it.gives), it.gives)
            found.setdefault(f"{it.graph}{owner}", []).append(module)
            continue
        within: dict[ast.expr, tuple[str, ...]] = {}  # the innermost tensor that a call is a part of
        for number, (node, _) in enumerate(expressions(forward[it.cls])):
            if names := it.tensors.get(number):
                within.update((inner, names) for inner in ast.walk(node) if isinstance(inner, ast.Call))
        for node, names in within.items():
            attribute = called_attribute(node)
            path = f"{module}.{attribute}" if module else attribute
            if attribute and not (path in modules and modules[path].cls):
                for name in names:
                    base = name if (it.graph, name) in ops else name.rpartition(".")[0]
                    owner = ops.get((it.graph, base), base)
                    found.setdefault(f"{it.graph}{owner}", []).append(path)
    return {layer: list(dict.fromkeys(paths)) for layer, paths in found.items()}


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

    def standing(self, marks: Mapping[int, tuple[str, ...]], calls: Mapping[int, str]) -> Standing:
        """The same as data, for a class with these marks and calls."""
        named = {at: tuple(it for name in names if (it := self.name(name))) for at, names in marks.items()}
        tensors = {at: names for at, names in named.items() if names}
        return Standing(self.path, self.item.name, tensors, calls, self.labels)


@dataclass(frozen=True)
class Link:
    """A module in nn.Sequential: its path, whose part it is, and the tensor of the graph that it gives."""

    module: str
    at: Instance
    model: str
    tensor: str

    def standing(self) -> Standing:
        """The same as data."""
        path = f"{self.at.path}{self.model}/" if self.model else self.at.path
        around = (*self.at.labels, self.model) if self.model else self.at.labels
        return Standing(path, around=around, gives=self.tensor)


def standing(item: Class, graph: Graph) -> Iterator[Instance | Link]:
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
            part = block_of(at.item, found)
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

    yield from below(Instance("", "", item, graph), None)
