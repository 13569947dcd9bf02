"""Which mask each layer gets, and which it gives, in Keras 2 and 3."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.masks import write_masks

KERAS_2, KERAS_3 = "2.15.0", "3.15.0"


def op(name: str, kind: str, *reads: Any, **config: Any) -> Op:
    kwargs = {key: config.pop(key) for key in list(config) if isinstance(config[key], Ref)}
    args = tuple(Ref(it) if isinstance(it, str) else [Ref(one) for one in it] for it in reads)
    return Op(name, kind, args, (name,), config, kwargs, layer=name)


def words(name: str, mask_zero: bool = True) -> Op:
    """An embedding of the input `i`: its mask is where that is not 0."""
    return op(name, "Embedding", f"i{name}", input_dim=9, output_dim=4, mask_zero=mask_zero)


def got(*ops: Op, dialect: str = KERAS_3) -> dict[str, Any]:
    """What each of the given ops reads as masks: each mask as what it is made of."""
    inputs = [f"i{it.name}" for it in ops if it.kind == "Embedding"] + ["v"]
    tensors = {name: Tensor(name, (None, 5) if name != "v" else (None, 5, 4)) for name in inputs}
    graph = write_masks(Graph("net", tuple(inputs), ops[-1].outputs, ops, tensors, dialect))
    made = {it.name: it for it in graph.ops if it.kind.startswith("mask:")}

    def of(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [of(it) for it in value]
        if not isinstance(value, Ref):
            return value
        if (it := made.get(value.tensor)) is None:
            return value.tensor
        return (it.kind.removeprefix("mask:"), *map(of, it.args), *it.config.values())

    names = {it.name for it in ops}
    found = {
        it.name: {key: of(value) for key, value in it.kwargs.items() if "mask" in key}
        for it in graph.ops if it.name in names
    }  # fmt: skip
    return {name: masks for name, masks in found.items() if masks}


def unlike(name: str) -> tuple[Any, ...]:
    return ("unlike", f"i{name}", 0)


def lstm(name: str, x: str, sequences: bool = False) -> Op:
    return op(name, "LSTM", x, units=3, return_sequences=sequences)


A, B, PLAIN = words("a"), words("b"), words("p", mask_zero=False)
MASKING = op("m", "Masking", "v", mask_value=2.0)

CASES: dict[str, tuple[list[Op], str, dict[str, Any]]] = {
    "an embedding's": ([A, lstm("y", "a")], KERAS_3, {"y": {"mask": unlike("a")}}),
    "none": ([PLAIN, lstm("y", "p")], KERAS_3, {}),
    "passed on": ([A, op("r", "ReLU", "a"), lstm("y", "r")], KERAS_3, {"y": {"mask": unlike("a")}}),
    "dropped": ([A, op("r", "Conv1D", "a", filters=4, kernel_size=3), lstm("y", "r")], KERAS_3, {}),
    "through a sequence": ([A, lstm("s", "a", True), lstm("y", "s")], KERAS_3,
        {"s": {"mask": unlike("a")}, "y": {"mask": unlike("a")}}),
    "not behind the last step": ([A, lstm("s", "a"), lstm("y", "s")], KERAS_3, {"s": {"mask": unlike("a")}}),
    "of values": ([MASKING, lstm("y", "m")], KERAS_3,
        {"m": {"mask": ("any_unlike", "v", 2.0)}, "y": {"mask": ("any_unlike", "v", 2.0)}}),
    "either, in Keras 3": ([A, B, op("s", "Add", ["a", "b"]), lstm("y", "s")], KERAS_3,
        {"y": {"mask": ("or", [unlike("a"), unlike("b")])}}),
    "both, in Keras 2": ([A, B, op("s", "Add", ["a", "b"]), lstm("y", "s")], KERAS_2,
        {"y": {"mask": ("and", [unlike("a"), unlike("b")])}}),
    "one of two, in Keras 3": ([A, PLAIN, op("s", "Add", ["a", "p"]), lstm("y", "s")], KERAS_3, {}),
    "one of two, in Keras 2": ([A, PLAIN, op("s", "Add", ["a", "p"]), lstm("y", "s")], KERAS_2,
        {"y": {"mask": unlike("a")}}),
    "the same twice": ([A, op("r", "ReLU", "a"), op("s", "Add", ["a", "r"]), lstm("y", "s")], KERAS_3,
        {"y": {"mask": unlike("a")}}),
    "end to end in time": ([A, PLAIN, op("s", "Concatenate", ["a", "p"], axis=1), lstm("y", "s")], KERAS_3,
        {"y": {"mask": ("cat", [unlike("a"), ("all", "p")], 1)}}),
    "attention gives that of its query": ([A, B, op("s", "Attention", ["a", "b"]), lstm("y", "s")], KERAS_3,
        {"s": {"mask": [unlike("a"), unlike("b")]}, "y": {"mask": unlike("a")}}),
    "attention gives none where the query has none":
        ([PLAIN, B, op("s", "Attention", ["p", "b"]), lstm("y", "s")], KERAS_3,
        {"s": {"mask": [None, unlike("b")]}}),
    "a mean of steps": ([A, op("y", "GlobalAveragePooling1D", "a")], KERAS_3, {"y": {"mask": unlike("a")}}),
    "one that is given": ([A, B, op("y", "LSTM", "a", units=3, mask=Ref("ib"))], KERAS_3,
        {"y": {"mask": "ib"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_masks(case: str) -> None:
    ops, dialect, expected = CASES[case]
    assert got(*ops, dialect=dialect) == expected
