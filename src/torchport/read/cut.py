"""A model up to some of its layers: what is behind them is left out, and need not be ported."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import Graph, Op, Ref, is_keras_2

#: Names of layers that a note lists.
LISTED = 6


def cut(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph whose outputs are those of the layers of that name; itself where none is given.

    Raises TorchportError for a name that no layer has, and for a layer that is called several times.
    """
    if not names:
        return graph
    ends = [end(graph, name) for name in names]
    outputs = tuple(dict.fromkeys(name for op in ends for name in op.outputs))
    kept = list(reversed(list(reached(graph, outputs))))
    read = {name for op in kept for name in op.inputs} | {*outputs}
    inputs = tuple(name for name in graph.inputs if name in read)
    layers = {op.layer for op in kept}
    left_out = [name for name, _ in graph.layers if name not in layers | {*inputs}]
    return graph.replace(
        inputs=inputs,
        outputs=outputs,
        ops=tuple(kept),
        tensors={name: it for name, it in graph.tensors.items() if name in inputs},
        structure=Ref(outputs[0]) if len(outputs) == 1 else [Ref(name) for name in outputs],
        bodies={layer: body for layer, body in graph.bodies.items() if layer in layers},
        layers=tuple(it for it in graph.layers if it[0] in layers | {*inputs}),
        keys={key: name for key, name in graph.keys.items() if name in inputs},
        notes=(*graph.notes, note(names, left_out)),
        entry=entry(graph, kept, inputs, ends),
        is_part=True,
    )


def end(graph: Graph, name: str) -> Op:
    """The one call of a layer."""
    calls = [op for op in graph.ops if op.layer == name]
    if len(calls) == 1:
        return calls[0]
    if calls:
        what = f"the layer {name!r} is called {len(calls)} times"
        raise TorchportError(what, where=graph.name, advice="give a layer that is called once")
    inner = [layer for layer, body in graph.bodies.items() if any(op.layer == name for op in body.ops)]
    if inner:
        what, advice = f"the layer {name!r} is inside of the model {inner[0]!r}", f"give --outputs {inner[0]}"
        raise TorchportError(what, where=graph.name, advice=advice)
    known = [op.layer for op in graph.ops]
    near = difflib.get_close_matches(name, known, 3, 0.4) or known[-3:]
    advice = f"for instance --outputs {near[0]}" if near else ""
    raise TorchportError(f"has no layer {name!r}", where=graph.name, advice=advice)


def reached(graph: Graph, outputs: Iterable[str]) -> Iterable[Op]:
    """The calls that the outputs are made of, the last first."""
    wanted = {*outputs}
    for op in reversed(graph.ops):
        if wanted.intersection(op.outputs):
            wanted.update(op.inputs)
            yield op


def ends_before(graph: Graph, refused: Collection[str]) -> list[str]:
    """The layers to cut a graph at, where what is refused is at its end, and has no weights behind it.

    refused: the names of ops.
    """
    behind: set[str] = set()
    found: dict[str, None] = {}
    layers = {name: op.layer for op in graph.ops for name in op.outputs}
    for op in graph.ops:
        if op.name not in refused and not behind & set(op.inputs):
            continue
        behind.update(op.outputs)
        if op.stored or op.weights or op.kind == "Model":
            return []
        found.update(dict.fromkeys(layers[it] for it in op.inputs if it in layers and it not in behind))
    others = [layers[it] for it in graph.outputs if it in layers and it not in behind]
    return list(dict.fromkeys([*others, *found]))


def note(names: Sequence[str], left_out: Sequence[str]) -> str:
    text = ", ".join(left_out[:LISTED]) + (f" and {len(left_out) - LISTED} more" * (len(left_out) > LISTED))
    rest = f"; left out: {text}" if left_out else ""
    return f"the port ends at {', '.join(names)}, as --outputs asked{rest}."


def entry(graph: Graph, kept: Sequence[Op], inputs: Sequence[str], ends: Sequence[Op]) -> Any:
    """The configuration of that part, for Keras to build it; None where it is not known."""
    if not isinstance(graph.entry, Mapping):
        return None
    config = graph.entry["config"]
    rows: list[Any] = config if isinstance(config, list) else config["layers"]
    names = {op.layer for op in kept} | {*inputs}
    if graph.entry["class_name"] == "Sequential":
        found = [it for it in rows if it["class_name"] == "InputLayer" or it["config"].get("name") in names]
        return {**graph.entry, "config": found if isinstance(config, list) else {**config, "layers": found}}
    # A layer's calls behind the cut, and what they read, are built as well: they are counted.
    for op in reversed(graph.ops):
        if op.layer in names:
            sources = {*op.inputs}
            names |= {it.layer for it in graph.ops if sources.intersection(it.outputs)}
            names |= sources & {*graph.inputs}
    found = [it for it in rows if it.get("name", it["config"].get("name")) in names]
    # Calls of a model in a model are counted from 1: not those of a chain in Keras 3 (`keras_3_output`).
    chains = {it.get("name", it["config"].get("name")) for it in rows if it["class_name"] == "Sequential"}
    from_zero = chains if not is_keras_2(graph.dialect) else set()
    first = {name: int(name in graph.bodies and name not in from_zero) for name in names}
    return {
        **graph.entry,
        "config": {
            **config,
            "layers": found,
            "input_layers": [[name, 0, 0] for name in inputs],
            "output_layers": [
                [op.layer, first[op.layer], at] for op in ends for at in range(len(op.outputs))
            ],
        },
    }
