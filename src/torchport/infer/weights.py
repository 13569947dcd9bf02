"""Every variable of the file finds its place in a rule, by the archive's own order; its shape is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Graph, Op, Shape, Weight, map_refs
from torchport.infer.cudnn import as_stored
from torchport.infer.quantised import parts_of
from torchport.infer.shapes import bind
from torchport.read.trains import PARTLY
from torchport.rules import rule_for
from torchport.rules.guard import stored_shapes
from torchport.rules.table import is_statistic


def bind_weights(graph: Graph, path: str = "") -> Graph:
    """The graph with each op's weights by the names of its rule. Raises BadFile for any that do not fit."""
    ops, bodies = [], dict(graph.bodies)
    for op in graph.ops:
        if op.kind == "Model":
            if op.stored:
                raise BadFile("has variables that belong to none of its layers", where=f"{path}{op.layer}")
        else:
            op = as_stored(op, graph.dialect)
            op = replace(op, weights=_bound(op, graph, path))
        ops.append(op)
    bound = {layer: bind_weights(body, f"{path}{layer}/") for layer, body in bodies.items()}
    return graph.replace(ops=tuple(ops), bodies=bound)


def tied(graph: Graph) -> Iterator[Refusal]:
    """The layers that train weights which another of the models in each other has too.

    A port has a module of its own for every model, whose weights would part in training.
    """
    owners: dict[int, tuple[str, str]] = {}
    for path, op in _trained(graph, ""):
        layer = f"{path}{op.layer}"
        for weight in op.weights.values():
            model, owner = owners.setdefault(id(weight.load), (path, layer))
            if model != path:
                yield Refusal(
                    f"{graph.name}/{layer}", op.kind,
                    op.at_line(f"it shares its weights with {owner}, in another model"),
                    "call it in one of the two models only, or freeze it with trainable=False",
                )  # fmt: skip
                break


def partly(graph: Graph) -> Iterator[Refusal]:
    """The layers of a live model that train some of their weights and not others."""
    for op in graph.ops:
        said = {it.trains for name, it in op.weights.items() if not is_statistic(name, op.kind)}
        if len(said) > 1:
            yield Refusal(f"{graph.name}/{op.layer}", op.kind, op.at_line(PARTLY[0]), PARTLY[1])
    for body in graph.bodies.values():
        yield from partly(body)


def _trained(graph: Graph, path: str) -> Iterator[tuple[str, Op]]:
    """The ops with weights that train, and the path of the model that each is in."""
    for op in graph.ops:
        if op.weights and not op.frozen:
            yield path, op
    for layer, body in graph.bodies.items():
        yield from _trained(body, f"{path}{layer}/")


def expected(op: Op, graph: Graph) -> Mapping[str, Shape]:
    """Names and shapes of the weights that the op's rule has, in the order in which Keras creates them."""
    entry = bind(op, graph.tensors)
    if not entry.has_weights:
        return stored_shapes(op) if rule_for(op.kind).is_theirs else {}
    args = map_refs(op.args, graph.tensors.__getitem__)
    return entry.sizes(*args, y=graph.tensors[op.outputs[0]])


def _bound(op: Op, graph: Graph, path: str) -> dict[str, Weight]:
    wanted, where = expected(op, graph), f"{path}{op.layer}"
    if len(wanted) != len(op.stored) and (how := next((it.mode for it in parts_of(op) if it.mode), "")):
        why = f"the layers inside of it are quantised ({how})"
        advice = "add --dequantise (dequantise=True) for the network of floats that they stand for"
        raise Refused((Refusal(where, op.kind, op.at_line(why), advice),))
    if len(wanted) != len(op.stored):
        raise BadFile(
            f"has {len(op.stored)} weights where {len(wanted)} are needed: {', '.join(wanted) or 'none'}",
            where=where,
            advice="the file is damaged, or its weights belong to another model",
        )
    bound = {}
    for (name, shape), key in zip(wanted.items(), _ordered(wanted, op.stored), strict=True):
        weight = op.stored[key]
        if tuple(weight.shape) != tuple(shape):
            raise BadFile(f"{name} has the shape {weight.shape}, its configuration says {shape}", where=where)
        bound[name] = replace(weight, name=f"{where}/{name}")
    return bound


def _ordered(wanted: Mapping[str, Shape], stored: Mapping[str, Weight]) -> Iterator[str]:
    """The keys in `stored`, in the order of `wanted`.

    A Keras 3 archive keeps the weights of a layer inside a layer under that attribute: `cell/vars/0` is the
    first of `cell/kernel`, `cell/bias`. Older files and live models have one flat list.
    """
    if all(key.isdigit() for key in stored):
        yield from stored
        return
    counts: dict[str, int] = {}
    for name in wanted:
        prefix = name.rpartition("/")[0]
        at = counts.get(prefix, 0)
        counts[prefix] = at + 1
        key = f"{prefix}/vars/{at}" if prefix else f"vars/{at}"
        if key not in stored and f"_{key}" in stored:  # tf-keras calls some attributes so
            key = f"_{key}"
        if key not in stored:
            raise BadFile(f"the weight {name} is not at {key!r}; there are {', '.join(stored)}")
        yield key
