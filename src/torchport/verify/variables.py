"""The variables of a Keras model by the names that the graph has for them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import Graph, Op
from torchport.rules import find
from torchport.watch import is_own
from torchport.watch.parts import innermost, members


@dataclass(frozen=True)
class Owned:
    """Variables that a layer has itself, and the graph as those of a layer in it."""

    weights: list[Any]


def outer_layers(model: Any, graph: Graph) -> dict[str, Any]:
    """A model's layers by the graph's names for them; those of a Pipeline stand beside it in the graph.

    Of a layer of the user's own they are its attributes, and its variables stand there like layers; of one of
    a package what its graph says.
    """
    if graph.places:
        return {name: at(model, places) for name, places in graph.places.items()}
    if is_own(model):
        return dict(members(model))
    layers = getattr(model, "layers", ())
    found = {it.name: it for it in layers}
    pipelines = [it for it in layers if type(it).__name__ == "Pipeline"]
    for pipeline in pipelines:
        for it in pipeline.layers:
            found |= {f"{pipeline.name}.{it.name}": it, it.name: found.get(it.name, it)}
            pipelines += [it] if type(it).__name__ == "Pipeline" else []
    return found


def at(layer: Any, places: tuple[str, ...]) -> Any:
    """What a layer has at a place, `blocks.0.conv`; several are variables of its own."""

    def one(place: str) -> Any:
        found = layer
        for part in place.split("."):
            found = found[int(part)] if part.isdigit() else getattr(found, part)
        return found

    found = [one(it) for it in places]
    is_layer = len(found) == 1 and not hasattr(found[0], "assign")
    return found[0] if is_layer else Owned(found)


def is_random(op: Op) -> bool:
    """Whether an op draws in training, by an amount."""
    acts = entry.training if (entry := find(op.kind)) else None
    return bool(acts and acts.lasts and acts.amount)


def outer_layer(model: Any, graph: Graph, name: str) -> Any:
    """A model's layer by the graph's name for it."""
    return outer_layers(model, graph)[name]


def layer_of(model: Any, graph: Graph, name: str) -> Any:
    """The same, or the layer that it is around."""
    return innermost(outer_layer(model, graph, name))


def variables(model: Any, graph: Graph, path: str = "") -> Iterator[tuple[str, Any]]:
    """The variables of a model by the names that the graph has for them: `encoder/conv1/kernel`.

    By layer, and there by the variable's own name; where that is no name of the rule, by Keras's
    order.
    """
    seen: set[str] = set()
    layers = outer_layers(model, graph)
    for op in graph.ops:
        if op.layer in seen or not (op.weights or op.kind == "Model") or op.config.get("of_"):
            continue
        seen.add(op.layer)
        if op.layer not in layers and is_random(op):  # one that `call` makes: it has a seed alone
            continue
        layer = innermost(layers[op.layer])
        if op.kind == "tf.Variable":
            yield f"{path}{op.layer}/value", layer.weights[0] if isinstance(layer, Owned) else layer
            continue
        if op.kind == "Model":
            yield from variables(layer, graph.bodies[op.layer], f"{path}{op.layer}/")
            continue
        own = [it for it in layer.weights if "seed_generator" not in str(getattr(it, "path", it.name))]
        for name, variable in named(list(op.weights), own, f"{path}{op.layer}"):
            yield f"{path}{op.layer}/{name}", variable


def named(names: list[str], own: list[Any], where: str) -> Iterator[tuple[str, Any]]:
    if len(names) != len(own):
        raise TorchportError(f"has {len(own)} variables in Keras, the graph has {names}", where=where)
    spelled = [str(it.name).rpartition("/")[2].partition(":")[0] for it in own]
    short = [name.rpartition("/")[2] for name in names]
    alike = (
        set(spelled) & set(short) if len(set(spelled)) == len(own) and len(set(short)) == len(own) else set()
    )
    if len(alike) >= len(own) - 1:  # the sn_u of one package is the vector_u of another
        rest = next((it for it, name in zip(own, spelled, strict=True) if name not in alike), None)
        for name, wanted in zip(names, short, strict=True):
            yield name, own[spelled.index(wanted)] if wanted in alike else rest
    else:
        yield from zip(names, own, strict=True)
