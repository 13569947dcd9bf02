"""Recurrent layers of Keras 2 whose steps come before their batch: they are turned, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.time_major import turn_steps


def graph(*ops: Op, **more: Any) -> Graph:
    return Graph("net", ("x",), ("y",), ops, {"x": Tensor("x", (7, None, 4))}, "2.15.0", **more)


def layer(kind: str, *states: str, outputs: tuple[str, ...] = ("y",), mask: str = "", **config: Any) -> Op:
    args = tuple(Ref(it) for it in ("x", *states))
    return Op("r", kind, args, outputs, config, {"mask": Ref(mask)} if mask else {}, layer="r")


def turned(*ops: Op) -> list[tuple[Any, ...]]:
    """The ops as what they are, what they read and give, and their options."""
    found = turn_steps(graph(*ops)).ops
    return [(it.kind, [arg.tensor for arg in it.args], list(it.outputs), dict(it.config)) for it in found]


SWAP = {"axes": [1, 0, 2]}
TRANSPOSE = "keras.ops.Transpose"


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN", "RNN", "CuDNNLSTM", "CuDNNGRU"])
def test_all_steps_are_turned_back(kind: str) -> None:
    assert turned(layer(kind, units=3, time_major=True, return_sequences=True)) == [
        (TRANSPOSE, ["x"], ["r.turned"], SWAP),
        (kind, ["r.turned"], ["y.steps"], {"units": 3, "return_sequences": True}),
        (TRANSPOSE, ["y.steps"], ["y"], SWAP),
    ]


def test_the_last_step_has_its_batch_first() -> None:
    """The states that it is given, and those that it gives, have no steps."""
    given = layer("LSTM", "h", "c", outputs=("y", "h1", "c1"), time_major=True)
    assert turned(given) == [
        (TRANSPOSE, ["x"], ["r.turned"], SWAP),
        ("LSTM", ["r.turned", "h", "c"], ["y", "h1", "c1"], {}),
    ]


def test_states_beside_all_steps() -> None:
    given = layer("LSTM", outputs=("y", "h1", "c1"), time_major=True, return_sequences=True)
    assert turned(given)[1][2] == ["y.steps", "h1", "c1"]


@pytest.mark.parametrize("kind", ["LSTM", "CuDNNGRU"])
def test_one_that_has_its_batch_first_stays(kind: str) -> None:
    assert turned(layer(kind, units=3, time_major=False)) == [(kind, ["x"], ["y"], {"units": 3})]
    assert turned(layer(kind, units=3)) == [(kind, ["x"], ["y"], {"units": 3})]


def test_the_option_of_another_layer_is_its_own() -> None:
    assert turned(layer("Own", time_major=True)) == [("Own", ["x"], ["y"], {"time_major": True})]


def test_under_a_mask_it_is_refused() -> None:
    _, found = turn_steps(graph(layer("GRU", mask="m", time_major=True))).ops
    assert found.refused is not None and "mask" in found.refused[0]
    _, plain = turn_steps(graph(layer("GRU", time_major=True))).ops
    assert plain.refused is None


def test_in_a_nested_model_too() -> None:
    body = graph(layer("LSTM", time_major=True))
    whole = graph(Op("base", "Model", (Ref("x"),), ("y",), layer="base"), bodies={"base": body})
    assert [it.kind for it in turn_steps(whole).bodies["base"].ops] == [TRANSPOSE, "LSTM"]
