"""Multiply-adds of every call, as the rules count them."""

from __future__ import annotations

from torchport.geometry.walk import Call, Whole
from torchport.graph import map_refs
from torchport.infer.shapes import bind


def all_multiplies(calls: Whole) -> dict[str, int | None]:
    """Multiply-adds of every call for one sample of the model; None where they are not counted.

    Steps that are folded into the batch, those of a layer in TimeDistributed, are samples of what follows.
    """
    samples: dict[str, int] = dict.fromkeys(calls.inputs, 1)
    found: dict[str, int | None] = {}
    for call in calls.calls:
        many = max((samples[name] for name in call.inputs), default=1)
        if call.op.kind == "time:fold":
            many *= calls.tensors[call.inputs[0]].shape[1] or 1
        elif call.op.kind == "time:unfold":
            many = samples[call.inputs[-1]]
        samples |= dict.fromkeys(call.outputs, many)
        if call.outputs:
            own = multiplies(call)
            found[call.outputs[0]] = None if own is None else own * many
    return found


def multiplies(call: Call) -> int | None:
    """Multiply-adds of a call for one sample; None where they are not counted."""
    tensors = call.tensors
    args = map_refs(call.op.args, tensors.__getitem__)
    try:
        found = bind(call.op, tensors).products(*args, y=tensors[call.op.outputs[0]])
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        return None
    return None if found is None else int(found)
