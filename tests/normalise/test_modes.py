"""What a call says of `training`: who hears it, in Keras 2 and 3, and what becomes of layers that rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.modes import resolve_modes, write_modes
from torchport.rules import book
from torchport.rules.table import rule

KERAS_2, KERAS_3 = "2.15.0", "3.15.0"


def graph(*ops: Op, dialect: str = KERAS_3, **more: Any) -> Graph:
    return Graph("net", ("x",), ops[-1].outputs, ops, {"x": Tensor("x", (None, 4))}, dialect, **more)


def op(kind: str, config: Any = None, name: str = "y", **more: Any) -> Op:
    return Op(name, kind, (Ref("x"),), (name,), config or {}, layer=name, **more)


def written(kind: str, config: Any, training: bool) -> Op:
    (found,) = write_modes(graph(op(kind, config, training=training))).ops
    assert found.training is None or found.is_in_training
    return found


CELL = {"class_name": "LSTMCell", "config": {"units": 3, "dropout": 0.5}}
STILL = {"class_name": "LSTMCell", "config": {"units": 3, "dropout": 0}}


@pytest.mark.parametrize(
    ("config", "rests"),
    [
        ({"units": 3, "dropout": 0.5}, {"units": 3, "dropout": 0}),
        ({"recurrent_dropout": 0.25, "units": 1}, {"recurrent_dropout": 0, "units": 1}),
        ({"cell": CELL}, {"cell": STILL}),
        ({"layer": {"class_name": "RNN", "config": {"cell": CELL}}},
            {"layer": {"class_name": "RNN", "config": {"cell": STILL}}}),
        ({"cells": [CELL, STILL]}, {"cells": [STILL, STILL]}),
        ({"backward_layer": CELL, "layer": STILL}, {"backward_layer": STILL, "layer": STILL}),
        ({"units": 3, "cell": "none"}, {"units": 3, "cell": "none"}),
    ],
    ids=str,
)  # fmt: skip
def test_amounts_of_a_layer_that_rests_are_nothing(config: Any, rests: Any) -> None:
    assert written("LSTM", config, training=False).config == rests


@pytest.mark.parametrize(
    ("config", "is_refused"),
    [
        ({"units": 3}, False), ({"dropout": 0.0}, False), ({"dropout": 0.5}, True),
        ({"recurrent_dropout": 0.5}, True), ({"cell": CELL}, True), ({"cell": STILL}, False),
        ({"cells": [STILL, CELL]}, True), ({"layer": {"class_name": "RNN", "config": {"cell": CELL}}}, True),
        ({"dropout": 0.0, "backward_layer": CELL}, True), ({"dropout": 0.5, "layer": STILL}, True),
    ],
    ids=str,
)  # fmt: skip
def test_a_layer_in_training_for_good_is_refused_where_it_has_an_amount(
    config: Any, is_refused: bool
) -> None:
    assert bool(written("LSTM", config, training=True).refused) == is_refused


def test_layers_that_rest() -> None:
    assert written("Dropout", {"rate": 0.5}, training=False).kind == "Identity"
    norm = written("BatchNormalization", {"axis": -1}, training=False)
    assert norm.config["trainable"] is False and norm.kind == "BatchNormalization"
    assert written("ReLU", {}, training=False).refused is None


#: What the outer call and the inner say, and which holds in Keras 2 and in Keras 3.
SAID = [
    (None, None, None, None), (True, None, True, True), (None, True, True, True), (True, False, False, True),
    (False, True, True, None), (False, None, False, None), (None, False, False, None),
    (False, False, False, None),
]  # fmt: skip


@pytest.mark.parametrize(("outer", "inner", "in_2", "in_3"), SAID)
def test_who_is_heard(outer: bool | None, inner: bool | None, in_2: bool | None, in_3: bool | None) -> None:
    """Keras 2 the innermost, Keras 3 the outermost, of which False says nothing."""

    def said(value: bool | None) -> dict[str, Any]:
        return {} if value is None else {"training": value}

    for dialect, expected in ((KERAS_2, in_2), (KERAS_3, in_3)):
        body = graph(op("Dropout", kwargs=said(inner)), dialect=dialect)
        whole = graph(op("Model", kwargs=said(outer), name="base"), dialect=dialect, bodies={"base": body})
        found = resolve_modes(whole)
        (within,) = found.bodies["base"].ops
        assert within.training is expected and "training" not in within.kwargs, dialect


def test_what_was_seen_holds_in_keras_3_too() -> None:
    """A mode that was watched, not recorded, is the one that Keras ran the layer in."""
    body = graph(op("Dropout"))
    whole = graph(op("Model", name="base", training=False), bodies={"base": body})
    assert resolve_modes(whole).bodies["base"].ops[0].training is False
    (found,) = resolve_modes(graph(op("Dropout", training=False))).ops
    assert found.training is False


def test_one_layer_in_two_modes_is_refused() -> None:
    first = op("Dropout", name="a", kwargs={"training": True})
    for training, refused in ((True, False), (False, True)):
        second = Op("b", "Dropout", (Ref("a"),), ("b",), {}, {"training": training}, layer="a")
        ops = resolve_modes(graph(first, second, dialect=KERAS_2)).ops
        assert [bool(it.refused) for it in ops] == [False, refused]


@pytest.fixture
def own() -> Iterator[None]:
    """Layers of somebody's: one whose rule asks for the mode, and one whose does not."""

    def asking(x: Any, *, training: Any = None) -> Any:
        return x

    def silent(x: Any) -> Any:
        return x

    rule("Asks")(asking)
    rule("Silent")(silent)
    try:
        yield
    finally:
        del book.PROCESS.rules["Asks"], book.PROCESS.rules["Silent"]


@pytest.mark.parametrize("training", [True, False])
def test_a_rule_of_the_user_s_is_told(own: None, training: bool) -> None:
    del own
    told, silent = (written(kind, {}, training) for kind in ("Asks", "Silent"))
    assert told.kwargs == {"training": training} and told.training is None and told.refused is None
    assert silent.training is None and silent.refused is not None
    assert f"training={training}" in silent.refused[0]


def test_a_layer_that_acts_alike_in_both_hears_nothing() -> None:
    for training in (True, False):
        found = written("ReLU", {}, training)
        assert (found.kind, found.training, found.refused) == ("ReLU", None, None)
