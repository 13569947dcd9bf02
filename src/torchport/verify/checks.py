"""Rows for what is compared without running the model: weights, what trains, dropout layers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from torchport.record import Stored
from torchport.verify.compare import compare, same_bits
from torchport.verify.diagnosis.weights import explain
from torchport.verify.port_runs import State
from torchport.verify.result import Row


def renames(folder: Path, entries: Sequence[Stored], variables: Mapping[str, Any]) -> dict[str, str]:
    """What tensors are called in the weights file, by the names they should have, where those are missing.

    A tensor is known by its values, bit for bit; of several alike the one in the module that others of its
    module are found in, else the first.
    """
    try:
        found = State(folder)
    except Exception:  # the file may be anything: `state_rows` says so
        return {}
    names = {entry.name for entry in entries}
    missing = [entry for entry in entries if entry.name not in found]
    extra = [name for name in found if name not in names]
    alike: dict[str, list[str]] = {}
    for entry in missing if extra else ():
        want = entry.expected(variables)
        alike[entry.name] = [name for name in extra if same_bits(found[name], want)]
    modules = {parent(name): parent(others[0]) for name, others in alike.items() if len(others) == 1}
    made: dict[str, str] = {}
    for name, others in alike.items():
        left = [it for it in others if it not in made.values()]
        near = [it for it in left if parent(it) == modules.get(parent(name))]
        if near or left:
            made[name] = (near or left)[0]
            modules.setdefault(parent(name), parent(made[name]))
    return made


def parent(name: str) -> str:
    return name.rpartition(".")[0]


def all_differ(rows: Sequence[Row]) -> bool:
    """Whether no weight of more than a few values is the source's."""
    return len(rows) > 2 and all(row.differs for row in rows if row.tensor)


def state_rows(folder: Path, entries: Sequence[Stored], variables: Mapping[str, Any]) -> Iterator[Row]:
    """Every tensor of the weights file against the source's variable, bit for bit, none missing."""
    try:
        found = State(folder)
    except Exception as error:  # the file may be anything
        yield Row("state", "model.safetensors", "", "", False, note=f"cannot be read: {error}")
        return
    used = set()
    for entry in entries:
        layer = entry.layer
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
        want, got = entry.expected(variables), found[entry.name]
        used.add(entry.source)
        note = ""
        if got.shape != want.shape or got.dtype != want.dtype:
            note = f"is {got.dtype}{list(got.shape)}, the source's is {want.dtype}{list(want.shape)}"
        elif not same_bits(got, want):
            same = [it for it in entries if it.shape == want.shape or it.layer == layer]
            note = explain(got, want, entry, {it.name: it.expected(variables) for it in same})
        elif entry.source and want.dtype.kind == "f" and not np.isfinite(want).all():
            note = "the source's own value is not finite"
        measured = compare(got, want)
        yield Row("state", entry.name, layer, entry.source, not note, measured.error, limit=0.0, note=note)
    for name in sorted(set(found) - {entry.name for entry in entries}):
        yield Row(
            "state",
            name,
            "",
            "",
            False,
            note="is in the weights file, the source has nothing like it",
        )
    sources = {entry.source for entry in entries}
    for name in variables:
        # Normalization counts what it was adapted to, WeightNormalization keeps what set its g: neither
        # is part of what they compute.
        counter = name.endswith("/count") and f"{name.removesuffix('count')}variance" in sources
        owner = re.sub(r"(initialized|_naked_clone_layer/naked_(kernel|bias))$", "g", name)
        if name not in sources and not counter and owner not in sources:
            yield Row(
                "state",
                "",
                name.rpartition("/")[0],
                name,
                False,
                note="the port has no place for this variable",
            )


def trainable_rows(module: Any, entries: Sequence[Stored], trained: Set[str]) -> Iterator[Row]:
    """A parameter takes gradients where, and only where, the source trains it. `trained`: what does there."""
    parameters = dict(module.named_parameters())
    for entry in entries:
        if entry.turn is not None:
            trains = entry.source in trained
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
        yield Row("trainable", entry.name, entry.layer, entry.source, takes == trains, note=note)
