"""Which layers of an op are quantised, and how.

A quantised layer says so in its dtype policy, `int8_from_float32`. An attention does not say it of the layers
inside of it: their variables do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.graph import Op, Weight
from torchport.read.dialect import dtype_name

SUFFIX = "_from_"


def mode_of(config: Mapping[str, Any]) -> str:
    """How a layer's weights are quantised, `int8`; empty if they are not."""
    policy = dtype_name(config.get("dtype"))
    if not isinstance(policy, str) or SUFFIX not in policy:
        return ""
    return policy.partition(SUFFIX)[0].partition("/")[0]


@dataclass(frozen=True)
class Part:
    """A layer that may be quantised: an op's own, or one inside of it, whose variables are under `prefix`.

    `mode` is how it is, "" if it is not.
    """

    prefix: str
    kind: str
    mode: str
    config: Mapping[str, Any]
    stored: Mapping[str, Weight]


#: The EinsumDense layers of an attention in Keras's order: the place of each in an archive, what it computes.
#: No configuration says that they are quantised, so that Keras 3.15 does not load such a file itself.
INSIDE = {
    "query_dense": "...a,abc->...bc", "key_dense": "...a,abc->...bc", "gate_dense": "...a,abc->...bc",
    "value_dense": "...a,abc->...bc", "output_dense": "...ab,abc->...c",
}  # fmt: skip
ATTENTIONS = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention")


def parts_of(op: Op) -> list[Part]:
    """The layers of an op that may be quantised."""
    entry = op.config.get("layer")
    inner = entry.get("config") if isinstance(entry, Mapping) else None
    if op.kind == "TimeDistributed" and isinstance(entry, Mapping) and isinstance(inner, Mapping):
        stored = {key.removeprefix("layer/"): it for key, it in op.stored.items()}
        return [Part("layer", str(entry.get("class_name")), mode_of(inner), inner, stored)]
    if op.kind in ATTENTIONS:
        names = [it for it in INSIDE if it != "gate_dense" or op.config.get("use_gate")]
        inside = [_inside(op, it, names.index(it)) for it in names]
        if any(it.mode for it in inside):
            return inside
    return [Part("", op.kind, mode_of(op.config), op.config, op.stored)]


def _inside(op: Op, prefix: str, at: int) -> Part:
    """The layer of an attention at a place among them. How it is quantised shows in its variables."""
    if all(key.isdigit() for key in op.stored):
        groups = _by_layer(list(op.stored.values()))
        stored = {str(n): it for n, it in enumerate(groups[at])} if at < len(groups) else {}
    else:
        stored = {key: it for key, it in op.stored.items() if key.lstrip("_").startswith(f"{prefix}/")}
    dtypes = {it.dtype for it in stored.values()}
    if "uint8" in dtypes:
        mode = "awq" if any("awq" in it.name for it in stored.values()) else "gptq"
    elif "int8" in dtypes:
        mode = "int8" if any(it.dtype == "int8" and len(it.shape) == 3 for it in stored.values()) else "int4"
    else:
        mode = "float8" if len(stored) > 2 else ""  # scales and histories beside kernel and bias
    bias = "c" if op.config.get("use_bias", True) else None
    return Part(prefix, "EinsumDense", mode, {"equation": INSIDE[prefix], "bias_axes": bias}, stored)


def _by_layer(weights: Sequence[Weight]) -> list[list[Weight]]:
    """The variables of layers in a row, of which none has two of one name."""
    groups: list[list[Weight]] = []
    names: set[str] = set()
    for it in weights:
        name = it.name.rpartition("/")[2]
        if name in names or not groups:
            groups.append([])
            names = set()
        groups[-1].append(it)
        names.add(name)
    return groups
