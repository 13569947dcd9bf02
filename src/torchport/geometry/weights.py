"""The weights of a network as data: where each comes from and went, elements of it, a corner, the largest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torchport.axes import Turn, parse, ravel
from torchport.emit.weights import Entry
from torchport.emit.weights import weights as stored_weights
from torchport.geometry import network as made
from torchport.geometry.flatten import flat_parts
from torchport.geometry.walk import Call
from torchport.port import Port
from torchport.program import Load
from torchport.record import is_plain, steps
from torchport.rules.table import is_statistic


def owned(port: Port) -> dict[str, list[Entry]]:
    """The tensors of the state_dict by layer; a constant is of the layer of its module's others."""
    found: dict[str, list[Entry]] = {}
    for entry, it in zip(port.program.entries, stored_weights(port.program.entries), strict=True):
        found.setdefault(it.layer, []).append(entry)
    return found


def count(weights: Sequence[made.Weight]) -> int:
    return sum(math.prod(size or 1 for size in it.torch_side.sizes) for it in weights)


def weight(entry: Entry, kind: str, values: bool) -> made.Weight:
    """One tensor of the state_dict and the variable that it comes from."""
    load = entry.load
    letters = tuple(parse("a b c d e f")[: len(entry.shape)])
    if not isinstance(load, Load) or load.source is None:
        value = getattr(load, "value", None)
        constant = value if is_plain(value) else "several numbers"
        side = made.Side(letters, entry.shape)
        return made.Weight(
            None, None, entry.name, side, entry.dtype, entry.nbytes, "", (), True, constant
        )  # fmt: skip
    source, turn = load.source, load.turn
    text = turn.pattern if turn.view or turn.blocks else turn.text.partition(" (after")[0]
    left, right = (parse(it) for it in text.split("->"))
    right = right if len(right) == len(entry.shape) else letters
    array = source.load() if values else None
    return made.Weight(
        source.name, made.Side(left, source.shape), entry.name, made.Side(right, entry.shape), entry.dtype,
        entry.nbytes, turn.text, tuple(steps(turn)), is_statistic(source.name, kind),
        pairs=tuple(pairs(load, entry.shape, array)),
        sample=sample(opened(array, turn)) if array is not None else None,
        largest=largest(array) if array is not None else None,
    )  # fmt: skip


def pairs(load: Load, held: Sequence[int], array: Any) -> Iterator[made.Pair]:
    """Three elements, their indices unequal where the sizes allow it."""
    assert load.source is not None
    shape = load.source.shape
    seen = set()
    for share in (1, 3, 5):
        at = (
            tuple((size * share // 7 + place) % size for place, size in enumerate(shape))
            if 0 not in shape
            else ()
        )
        found = load.turn.index(shape, at) if len(at) == len(shape) else None
        if found is not None and at not in seen and len(found) == len(held):
            seen.add(at)
            value = float(array[at]) if array is not None and array.shape == tuple(shape) else None
            yield made.Pair(at, found, ravel(at, shape), ravel(found, held), value)


def opened(array: Any, turn: Turn) -> Any:
    """The kernel behind a Flatten with its rows as the axes that were flattened; another as it is."""
    parts = flat_parts(turn)
    return array.reshape(*parts, -1) if parts and array.ndim == 2 else array


def sample(array: Any, most: int = 4) -> dict[str, Any] | None:
    """A corner of a weight: small axes before the last two whole, four of each other.

    The rows of a kernel behind a Flatten are the axes that were flattened.
    """
    if array.ndim < 2 or array.dtype.kind != "f":
        return None
    cut = array[tuple(
        slice(0, size if at < array.ndim - 2 and size < 8 else most) for at, size in enumerate(array.shape)
    )]  # fmt: skip
    return {"shape": list(cut.shape), "values": [round(float(it), 4) for it in cut.ravel()]}


def largest(array: Any) -> float | None:
    """The largest absolute value."""
    return float(abs(array).max()) if array.size and array.dtype.kind == "f" else None


def affine(call: Call, entries: Sequence[Entry]) -> dict[str, Any] | None:
    """BatchNormalization in inference: a scale and a shift for each channel."""
    import numpy as np

    if call.op.kind != "BatchNormalization":
        return None
    held = {it.name.rpartition(".")[2]: it.array().astype(np.float64) for it in entries}
    if not {"running_mean", "running_var"} <= held.keys() or held["running_var"].size > 4096:
        return None
    scale = held.get("weight", 1.0) / np.sqrt(
        held["running_var"] + float(call.op.config.get("epsilon", 1e-3))
    )
    shift = held.get("bias", 0.0) - held["running_mean"] * scale
    return {
        name: [float(f"{it:.6g}") for it in values] for name, values in (("scale", scale), ("shift", shift))
    }
