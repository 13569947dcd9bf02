"""What a call says of `training` holds for everything inside of it, as Keras resolves it.

before:  y = base(x), training=False;  base: a = BatchNormalization(x);  b = Dropout(a)
after:   y = base(x);  base: a = BatchNormalization(x), trainable=False;  b = Identity(a)

Keras 2 takes the innermost word, and neither `fit` nor `predict` changes it. Keras 3 takes the outermost,
and both give one: False says nothing then, and True what `model(x)` does.
Source: tf_keras/src/engine/base_layer.py, _set_training_mode; keras/src/models/functional.py, operation_fn.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torchport.graph import Graph, Op, is_keras_2
from torchport.rules import find
from torchport.rules.facts import Training

#: Options that act in training alone, as amounts.
AMOUNTS = ("dropout", "recurrent_dropout")
#: Where a layer has the layers inside of it.
INSIDE = ("layer", "backward_layer", "cell", "cells")


def resolve_modes(graph: Graph) -> Graph:
    """The graph in which every op says itself in which mode it is called, if its author said so."""
    return _resolved(graph, None, is_keras_2(graph.dialect))


def _resolved(graph: Graph, outer: bool | None, keras_2: bool, seen: bool = False) -> Graph:
    """`seen`: whether `outer` is the mode that the model was called in by code of the user's own.

    Such a call was watched: its mode is the one that Keras ran it in, also where Keras 3 is told False.
    """
    modes: dict[str, bool | None] = {}
    ops, bodies = [], dict(graph.bodies)
    for op in graph.ops:
        is_seen = op.training is not None and "training" not in op.kwargs
        own = op.kwargs.get("training", op.training)
        mode = _said(None if own is None else bool(own), None if is_seen else outer, keras_2)
        kwargs = {key: it for key, it in op.kwargs.items() if key != "training"}
        refused = op.refused
        if modes.setdefault(op.layer, mode) != mode and op.layer:
            refused = (
                "it is called with different values of training",
                "call it with the same value, or none",
            )
        holds = is_seen or seen
        if op.kind == "Model":
            bodies[op.layer] = _resolved(graph.bodies[op.layer], mode, keras_2, holds)
        # Of Keras 3 only True is left to say something, but for what was seen.
        shown = mode if keras_2 or mode or holds else None
        ops.append(replace(op, kwargs=kwargs, training=shown, refused=refused))
    return graph.replace(ops=tuple(ops), bodies=bodies)


def _said(own: bool | None, outer: bool | None, keras_2: bool) -> bool | None:
    first, second = (own, outer) if keras_2 else (outer, own)
    found = second if first is None else first
    return None if found is None else bool(found)


def write_modes(graph: Graph) -> Graph:
    """The graph in which layers that are never in training are written so, or say why they are refused."""
    bodies = {layer: write_modes(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(_written, graph.ops)), bodies=bodies)


def _written(op: Op) -> Op:
    if op.training is None or op.kind == "Model":
        return op
    if (entry := find(op.kind)) and entry.is_theirs:
        return _told(op, "training" in entry.options)
    acts = entry.training if entry else None
    if op.training:
        return _always(op, acts)
    rests = acts.rests if acts else {}
    if isinstance(rests, str):
        return replace(op, kind=rests, config={}, kwargs={}, training=None)
    config, refused = {**_without_amounts(op.config), **(rests or {})}, op.refused
    if rests is None:
        refused = ("training=False in its call", "call it without training, and put the model in eval mode")
    return replace(op, config=config, training=None, refused=refused)


def _told(op: Op, is_known: bool) -> Op:
    """A layer with a rule of the user's: it is told the mode, if it asks for it."""
    if is_known:
        return replace(op, kwargs={**op.kwargs, "training": op.training}, training=None)
    why = (
        f"training={op.training} in its call",
        "let its rule have an option `training`, and do what it says",
    )
    return replace(op, training=None, refused=op.refused or why)


def _always(op: Op, acts: Training | None) -> Op:
    """The op, in training for good."""
    if acts and acts.lasts:
        return op if op.is_in_training else replace(op, training=None)
    refused = op.refused
    if acts or _amounts(op.config):
        refused = ("training=True in its call", "of random layers Dropout and its kin are ported so")
    return replace(op, training=None, refused=refused)


def _amounts(config: Any) -> bool:
    """Whether a layer, or one in it, has an amount that acts in training."""
    found = [bool(config.get(name)) for name in AMOUNTS]
    return any(found) or any(_amounts(it["config"]) for key in INSIDE for it in _entries(config.get(key)))


def _entries(value: Any) -> list[Any]:
    """The serialized layers in an option."""
    items = value if isinstance(value, list) else [value]
    return [it for it in items if isinstance(it, dict) and isinstance(it.get("config"), dict)]


def _without_amounts(config: Any) -> dict[str, Any]:
    """A layer's options, and those of the layers in it, without amounts."""
    made = {key: 0 if key in AMOUNTS else value for key, value in config.items()}
    for key in INSIDE:
        if entries := _entries(made.get(key)):
            new = [{**it, "config": _without_amounts(it["config"])} for it in entries]
            made[key] = new if isinstance(made[key], list) else new[0]
    return made
