"""Pipeline becomes its layers, one by one.

before:  y = Pipeline(x), layers=[RandomFlip, RandomZoom]
after:   y.0 = RandomFlip(x);  y = RandomZoom(y.0)

Source: keras/src/layers/preprocessing/pipeline.py, `call`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torchport.graph import Graph, Op, Ref, Weight
from torchport.read.dialect import kind
from torchport.read.groups import CLASSES, snake_case
from torchport.rules import find


def unroll_pipelines(graph: Graph) -> Graph:
    """The graph without Pipeline, where its weights can be told apart."""
    bodies = {layer: unroll_pipelines(body) for layer, body in graph.bodies.items()}
    owners = {op.layer: op.layer for op in graph.ops}
    ops = [it for op in graph.ops for it in _unrolled(op, owners, graph.dialect)]
    return graph.replace(ops=tuple(ops), bodies=bodies)


def _unrolled(op: Op, owners: dict[str, str], dialect: str) -> Iterator[Op]:
    entries = op.config.get("layers")
    stored = _shared_out(op, dialect) if op.kind == "Pipeline" and isinstance(entries, list) else None
    if not entries or stored is None or len(op.args) != 1 or op.kwargs:
        yield op
        return
    value = op.args[0]
    for at, (entry, weights) in enumerate(zip(entries, stored, strict=True)):
        config = {key: it for key, it in entry["config"].items() if key != "name"}
        name = str(entry["config"].get("name", at))
        if owners.setdefault(name, op.layer) != op.layer or name == op.layer:
            name = f"{op.layer}.{name}"
        output = op.outputs[0] if at == len(entries) - 1 else f"{op.name}.{at}"
        inner = Op(
            f"{op.name}.{at}", kind(entry, op.layer), (value,), (output,), config, layer=name, stored=weights
        )
        yield from _unrolled(inner, owners, dialect)
        value = Ref(output)


def _shared_out(op: Op, dialect: str) -> list[Mapping[str, Weight]] | None:
    """The weights of each layer of a Pipeline; None if they cannot be told apart.

    A Keras 3 archive keeps them in a group for each; older files and live models have one flat list.
    """
    entries: list[Any] = op.config["layers"]
    if not all(isinstance(it, Mapping) and isinstance(it.get("config"), Mapping) for it in entries):
        return None
    if not all(key.isdigit() for key in op.stored):
        turns: dict[str, int] = {}
        return [_under(_group(str(it.get("class_name")), turns, dialect), op.stored) for it in entries]
    if not op.stored:
        return [{} for _ in entries]
    heavy = [_has_weights(it, op.layer) for it in entries]
    return [op.stored if it else {} for it in heavy] if sum(heavy) == 1 else None


def _group(name: str, turns: dict[str, int], dialect: str) -> str:
    """`layers/normalization_1/`, as `_save_container_state` of Keras numbers them."""
    group = snake_case(CLASSES.get(name, name), dialect)
    turn = turns[group] = turns.get(group, -1) + 1
    return f"layers/{group}_{turn}/" if turn else f"layers/{group}/"


def _under(group: str, stored: Mapping[str, Weight]) -> Mapping[str, Weight]:
    return {key.removeprefix(group): it for key, it in stored.items() if key.startswith(group)}


def _has_weights(entry: Mapping[str, Any], where: str) -> bool:
    """Whether a layer may have weights: a Pipeline, if one of its layers may."""
    inner = entry["config"].get("layers")
    if entry.get("class_name") == "Pipeline" and isinstance(inner, list):
        return any(isinstance(it, Mapping) and _has_weights(it, where) for it in inner if "config" in it)
    found = find(kind(entry, where))
    return found is None or found.weights is not None
