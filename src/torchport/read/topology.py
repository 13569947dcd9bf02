"""How the calls of a Functional model hang together: their numbers, outputs and order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.errors import BadFile
from torchport.graph import Graph, Ref, map_refs
from torchport.read.document import sequence
from torchport.read.layers import Layer
from torchport.read.nodes import DEPTH, Call, Source, is_reference, reference, source


def references(tree: Any, what: str, where: str, depth: int = 0) -> Any:
    """Saved inputs or outputs of a model, each [layer, node, tensor] as a Source."""
    if depth > DEPTH:
        raise BadFile(f"{what} is nested too deeply", where=where)
    if is_reference(tree):
        return reference(tree, what, where)
    if isinstance(tree, dict):
        return {key: references(item, what, where, depth + 1) for key, item in tree.items()}
    return [references(item, what, where, depth + 1) for item in sequence(tree, what, where)]


def flatten(tree: Any) -> Iterator[Source]:
    """The sources in a tree as Keras flattens it: a dictionary by its sorted keys."""
    if isinstance(tree, Source):
        yield tree
    elif isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from flatten(tree[key])
    else:
        for item in tree:
            yield from flatten(item)


def map_sources(tree: Any, change: Callable[[Source], Any]) -> Any:
    """The same tree with every source replaced."""
    if isinstance(tree, Source):
        return change(tree)
    if isinstance(tree, Mapping):
        return {key: map_sources(item, change) for key, item in tree.items()}
    return [map_sources(item, change) for item in tree]


def from_zero(layers: list[Layer], outputs: Any) -> tuple[list[Layer], Any]:
    """The same layers and outputs with the calls of nested models numbered from 0.

    Keras 2 numbers them from 1, because a nested model holds the call that made it as number 0
    (`kept_nodes` in `get_network_config`); a Sequential model that was built late need not.
    """
    seen: dict[str, set[int]] = {layer.name: set() for layer in layers if layer.is_model}
    for at in [at for layer in layers for call in layer.calls for at in call.sources] + list(
        flatten(outputs)
    ):
        if at.layer in seen:
            seen[at.layer].add(at.node)
    shifted = {name for name, nodes in seen.items() if 0 not in nodes}

    def change(at: Source) -> Source:
        return replace(at, node=at.node - 1) if at.layer in shifted else at

    def changed(call: Call) -> Call:
        tree = map_refs((call.args, dict(call.kwargs)), lambda key: Ref(change(source(key)).key))
        return Call(*tree)

    layers = [replace(layer, calls=tuple(map(changed, layer.calls))) for layer in layers]
    return layers, map_sources(outputs, change)


def output_counts(
    layers: list[Layer], outputs: Any, bodies: Mapping[str, Graph], where: str
) -> dict[str, int]:
    """How many outputs each layer has: a nested model all its own, others those that are read."""
    counts = {layer.name: 1 for layer in layers}
    read = [at for layer in layers for call in layer.calls for at in call.sources] + list(flatten(outputs))
    for at in read:
        if at.layer in counts:
            counts[at.layer] = max(counts[at.layer], at.index + 1)
    for name, body in bodies.items():
        if counts[name] > len(body.outputs):
            raise BadFile(
                f"output {counts[name] - 1} of the nested model {name!r} is read, which has "
                f"{len(body.outputs)}",
                where=where,
            )
        counts[name] = max(1, len(body.outputs))
    return counts


def in_order(
    layers: list[Layer], known: Collection[Source], inputs: Collection[Source], where: str
) -> list[tuple[Layer, int]]:
    """The calls (layer, number), each after those that it reads, else in the config's order."""
    keys = {layer.name: place for place, layer in enumerate(layers)}
    waits: dict[tuple[int, int], int] = {}
    readers: dict[tuple[str, int], list[tuple[int, int]]] = {}
    given = {(at.layer, at.node) for at in inputs}
    ready: list[tuple[int, int]] = []
    for place, layer in enumerate(layers):
        for number, call in enumerate(layer.calls):
            for at in call.sources:
                check_source(at, layers, keys, known, f"{where}, layer {layer.name!r}")
            needed = {(at.layer, at.node) for at in call.sources} - given
            waits[place, number] = len(needed)
            for key in needed:
                readers.setdefault(key, []).append((place, number))
            if not needed:
                ready.append((place, number))
    heapq.heapify(ready)
    order = []
    while ready:
        place, number = heapq.heappop(ready)
        layer = layers[place]
        order.append((layer, number))
        for reader in readers.get((layer.name, number), ()):
            waits[reader] -= 1
            if not waits[reader]:
                heapq.heappush(ready, reader)
    if len(order) < len(waits):
        done = {(keys[layer.name], number) for layer, number in order}
        stuck = [layers[place].name for place, number in waits if (place, number) not in done]
        raise BadFile(
            f"the layers {', '.join(map(repr, stuck[:5]))} wait for each other, "
            "or for an input that the model does not have",
            where=where,
            advice="a Keras graph has no cycles: the file is damaged",
        )
    return order


def turns(layers: list[Layer], outputs: Any) -> dict[tuple[str, int], int]:
    """The place of each call (layer, number) in the order in which Keras runs them."""
    depths, _ = call_depths(layers, outputs)
    ordered = sorted(depths, key=lambda key: -depths[key])
    return {key: place for place, key in enumerate(ordered)}


def layer_order(layers: list[Layer], inputs: list[Source], outputs: Any) -> list[Layer]:
    """The layers in the order of Keras's `model.layers`; those that no output needs are left out.

    The farthest from the outputs first; of those that are as far, the one that was met first on the way back.
    """
    depths, met = call_depths(layers, outputs)
    farthest = {at.layer: 0 for at in inputs}
    for (name, _), depth in depths.items():
        farthest[name] = max(depth, farthest.get(name, 0))
    found = [layer for layer in layers if layer.name in farthest]
    return sorted(found, key=lambda layer: (-farthest[layer.name], met.get(layer.name, -1)))


def call_depths(layers: list[Layer], outputs: Any) -> tuple[dict[tuple[str, int], int], dict[str, int]]:
    """How far each call (layer, number) is from the outputs, and in which turn each layer is met from there.

    Source: keras/src/ops/function.py, map_graph; tf_keras/src/engine/functional.py does the same.
    """
    reads = {
        (layer.name, number): [(at.layer, at.node) for at in call.sources]
        for layer in layers
        for number, call in enumerate(layer.calls)
    }
    goals = [(at.layer, at.node) for at in flatten(outputs)]
    depths: dict[tuple[str, int], int] = {}
    farthest: dict[str, int] = {}
    after, met = _walk_back(reads, goals)
    for key in reversed(after):
        depth = max(depths.setdefault(key, 0), farthest.get(key[0], 0))
        farthest[key[0]] = depths[key] = depth
        for before in reads.get(key, ()):
            depths[before] = max(depth + 1, depths.get(before, 0))
    return depths, met


def _walk_back(
    reads: Mapping[tuple[str, int], list[tuple[str, int]]], goals: list[tuple[str, int]]
) -> tuple[list[tuple[str, int]], dict[str, int]]:
    """All calls that the goals need, each behind those that it reads; and when each layer is met first.

    Calls that wait for each other are walked once: what is wrong with them is said by `in_order`.
    """
    done: dict[tuple[str, int], None] = {}
    met: dict[str, int] = {}
    begun: set[tuple[str, int]] = set()
    for goal in goals:
        stack = [(goal, iter(reads.get(goal, ())))] if goal not in begun else []
        while stack:
            key, rest = stack[-1]
            begun.add(key)
            met.setdefault(key[0], len(met))
            following = next((it for it in rest if it not in begun), None)
            if following is None:
                done.setdefault(key)
                stack.pop()
            else:
                stack.append((following, iter(reads.get(following, ()))))
    return list(done), met


def check_source(
    at: Source, layers: list[Layer], keys: Mapping[str, int], known: Collection[Source], where: str
) -> None:
    """Raises BadFile if what a call or an output reads is not there."""
    if at in known:
        return
    if at.layer not in keys:
        raise BadFile(
            f"reads the layer {at.layer!r}, which is not in the model",
            where=where,
            advice="the file is damaged: save the model again",
        )
    layer = layers[keys[at.layer]]
    if layer.is_input:
        # An InputLayer beside the model's inputs: the calls that wait for it are named later.
        if at.node == 0 and at.index == 0:
            return
        raise BadFile(f"reads call {at.node}, output {at.index} of the input {at.layer!r}", where=where)
    raise BadFile(
        f"reads call number {at.node} of {at.layer!r}, which is called {len(layer.calls)} times",
        where=where,
        advice="the file is damaged: save the model again",
    )
