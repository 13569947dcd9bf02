"""Fused activations become ops of their own.

before:  conv1 = Conv2D(image)  with activation="relu"
after:   conv1.linear = Conv2D(image);  conv1 = activation:relu(conv1.linear)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from torchport.graph import Graph, Op, Ref
from torchport.rules import find


def split_activations(graph: Graph) -> Graph:
    """The graph with an op for every activation that is more than the identity."""
    bodies = {layer: split_activations(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(it for op in graph.ops for it in _split(op)), bodies=bodies)


def _split(op: Op) -> Iterator[Op]:
    if op.kind == "Activation":
        kind, options = activation(op.config.get("activation"))
        rest = {key: value for key, value in op.config.items() if key != "activation"}
        yield replace(op, kind=kind, config={**rest, **options})
        return
    entry = find(op.kind)
    if entry is None or not entry.splits_activation or "activation" not in op.config:
        yield op
        return
    config = dict(op.config)
    kind, options = activation(config.pop("activation"))
    if kind == "activation:linear":
        yield replace(op, config=config)
        return
    (output,) = op.outputs
    inner = f"{output}.linear"
    yield replace(op, config=config, outputs=(inner,))
    name, layer = f"{op.name}.activation", f"{op.layer}.activation"
    yield Op(name, kind, (Ref(inner),), (output,), options, layer=layer)


def activation(spec: Any) -> tuple[str, dict[str, Any]]:
    """The kind and options that an `activation` in a config stands for: a name, or an object."""
    if spec is None:
        return "activation:linear", {}
    if isinstance(spec, str):
        return f"activation:{spec}", {}
    if isinstance(spec, Mapping):
        name, config = spec.get("class_name"), spec.get("config")
        if name == "function" and isinstance(config, str):
            return f"activation:{config}", {}
        if name == "Activation" and isinstance(config, Mapping):
            return activation(config.get("activation"))
        if isinstance(name, str):
            options = dict(config) if isinstance(config, Mapping) else {}
            return name, {key: value for key, value in options.items() if key != "name"}
    return f"activation:{spec!r}", {}
