"""Rows for what is compared without running the model: weights, what trains, dropout layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from torchport.emit.weights import Entry
from torchport.errors import TorchportError
from torchport.graph import Graph, Op
from torchport.program import Fill, Load
from torchport.verify.compare import compare
from torchport.verify.frameworks import torch
from torchport.verify.places import Places
from torchport.verify.port_runs import is_dropout, read_state
from torchport.verify.reference import value_of
from torchport.verify.result import Row
from torchport.verify.weights import explain

#: How many values a dropout layer is tried on, and how many standard deviations it may be off.
TRIES, SIGMAS = 40_000, 5.0


def layer_of(entry: Entry) -> str:
    """The layer that a tensor of the state_dict belongs to."""
    if isinstance(entry.load, Load) and entry.load.source:
        return entry.load.source.name.removesuffix(f"/{entry.load.weight}")
    return ""


def expected(entry: Entry, variables: Mapping[str, Any]) -> np.ndarray:
    """A tensor of the state_dict as it should be, from the variables that Keras loaded."""
    if isinstance(entry.load, Fill):
        return np.full(entry.load.shape, entry.load.value, entry.load.dtype)
    if entry.source not in variables:
        raise TorchportError(f"the model that Keras loaded has no variable {entry.source!r}")
    return np.ascontiguousarray(entry.load.turn.apply(value_of(variables[entry.source])))


def state_rows(
    folder: Path, entries: tuple[Entry, ...], variables: Mapping[str, Any]
) -> Iterator[Row]:
    """Every tensor of the weights file against the source's variable, bit for bit; none missing, none extra."""
    try:
        found = read_state(folder)
    except Exception as error:  # the file may be anything
        yield Row("state", "model.safetensors", "", "", False, note=f"cannot be read: {error}")
        return
    used = set()
    for entry in entries:
        layer = layer_of(entry)
        if entry.name not in found:
            yield Row(
                "state",
                entry.name,
                layer,
                entry.source,
                False,
                note="is missing from the weights file",
            )
            continue
        want, got = expected(entry, variables), found[entry.name]
        used.add(entry.source)
        note = ""
        if got.shape != want.shape or got.dtype != want.dtype:
            note = (
                f"is {got.dtype}{list(got.shape)}, the source's is {want.dtype}{list(want.shape)}"
            )
        elif got.tobytes() != want.tobytes():
            note = explain(
                got,
                want,
                entry,
                {it.name: expected(it, variables) for it in entries if layer_of(it) == layer},
            )
        elif want.dtype.kind == "f" and not np.isfinite(want).all():
            note = "the source's own value is not finite"
        measured = compare(got, want)
        yield Row(
            "state", entry.name, layer, entry.source, not note, measured.error, limit=0.0, note=note
        )
    for name in sorted(set(found) - {entry.name for entry in entries}):
        yield Row(
            "state",
            name,
            "",
            "",
            False,
            note="is in the weights file, the source has nothing like it",
        )
    for name in variables:
        if name not in {entry.source for entry in entries}:
            yield Row(
                "state",
                "",
                name.rpartition("/")[0],
                name,
                False,
                note="the port has no place for this variable",
            )


def trainable_rows(
    module: Any, entries: tuple[Entry, ...], variables: Mapping[str, Any], trained: set[int]
) -> Iterator[Row]:
    """A parameter takes gradients where, and only where, the source trains it."""
    parameters = dict(module.named_parameters())
    for entry in entries:
        if isinstance(entry.load, Load):
            trains = id(variables[entry.source]) in trained
            kind = "trained" if trains else "not trained"
        elif entry.name in parameters:
            trains, kind = False, "constant"
        else:
            continue
        if entry.name in parameters:
            takes = bool(parameters[entry.name].requires_grad)
        else:
            takes = False
        note = (
            ""
            if takes == trains
            else f"is {kind} in the source; in the port it {'is' if takes else 'is not'} trained"
        )
        yield Row(
            "trainable", entry.name, layer_of(entry), entry.source, takes == trains, note=note
        )


def dropouts(graph: Graph, path: str = "") -> Iterator[tuple[str, Op, Graph]]:
    """Every dropout layer, once, with the path of its graph."""
    seen: set[str] = set()
    for op in graph.ops:
        if (
            op.kind.endswith(("Dropout", "Dropout1D", "Dropout2D", "Dropout3D"))
            and op.layer not in seen
        ):
            seen.add(op.layer)
            yield path, op, graph
    for layer, body in graph.bodies.items():
        yield from dropouts(body, f"{path}{layer}/")


def dropout_rows(
    module: Any, places: Places, model: Any, ran: Mapping[str, int], calls: Mapping[str, int]
) -> Iterator[Row]:
    """Each dropout layer is there, with its rate, runs as often as in the source, and drops that share.

    `ran`: how often each module ran in training mode. `calls`: how often each layer of the source
    did.
    """
    modules = dict(module.named_modules())
    for path, op, _ in dropouts(places.program.graph):
        layer, source = f"{path}{op.layer}", model
        for part in path.split("/")[:-1]:
            source = source.get_layer(part)
        rate = float(source.get_layer(op.layer).rate)
        names = [name for name in places.module_of(layer) if is_dropout(modules.get(name))]
        if not names:
            yield Row(
                "dropout",
                "",
                layer,
                op.outputs[0],
                False,
                note="the port has no dropout module for this layer",
            )
            continue
        (name,) = names
        it, note = modules[name], ""
        dropped, limit = (
            share_dropped(it),
            SIGMAS * math.sqrt(max(rate * (1 - rate), 1e-12) / units(it)),
        )
        if it.p != rate:
            note = f"drops {it.p:g}, the source {rate:g}"
        elif ran.get(name, 0) != calls.get(layer, 0):
            note = f"runs {ran.get(name, 0)} times in training mode, in the source {calls.get(layer, 0)} times"
        elif abs(dropped - rate) > limit:
            note = f"dropped {dropped:.3f} of the values in training mode, should drop {rate:g}"
        said = f"rate {rate:g}, dropped {dropped:.3f} of the values in training mode"
        yield Row("dropout", name, layer, op.outputs[0], not note, note=note or said)


def units(module: Any) -> int:
    """How many independent draws `share_dropped` makes: values, or whole channels."""
    return TRIES if type(module).__name__ == "Dropout" else TRIES // 100


def share_dropped(module: Any) -> float:
    """The share of a tensor of ones that a module sets to zero in training mode; seeded."""
    pt = torch()
    inside = {"Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3}.get(type(module).__name__, 0)
    count = units(module)
    shape = (count // 20, 20, *(2,) * inside)
    with pt.random.fork_rng(devices=[]):
        pt.manual_seed(0)
        was = module.training
        out = module.train()(pt.ones(shape, dtype=pt.float32))
        module.train(was)
    return float((out == 0).float().mean())
