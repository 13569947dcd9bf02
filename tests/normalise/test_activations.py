"""What an `activation` in a configuration stands for: names, objects, nothing that is known."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.activations import activation, split_activations, unknown


@pytest.mark.parametrize(
    ("spec", "kind", "options"),
    [
        (None, "activation:linear", {}),
        ("relu", "activation:relu", {}),
        ("sin", "keras.ops.Sin", {}),
        ("arctan", "keras.ops.Arctan", {}),
        ("log_softmax_v2", "activation:log_softmax", {}),
        ("quick_gelu", "tf.nn.silu", {"beta": 1.702}),
        ("gelu_new", "activation:gelu", {"approximate": True}),
        ("mine", "activation:mine", {}),
        ({"class_name": "function", "config": "relu"}, "activation:relu", {}),
        (
            {"class_name": "function", "config": "gelu", "owner": "keras.src.acts"},
            "activation:gelu",
            {},
        ),
        ({"class_name": "function", "config": "abs", "owner": "keras.src.ops.numpy"}, "keras.ops.Abs", {}),
        ({"class_name": "function", "config": "relu", "owner": "mine"}, "activation:mine.relu", {}),
        ({"class_name": "function", "config": "other", "owner": "mine"}, "activation:other", {}),
        ({"class_name": "Activation", "config": {"activation": "tanh"}}, "activation:tanh", {}),
        ({"class_name": "LeakyReLU", "config": {"name": "l", "alpha": 0.1}}, "LeakyReLU", {"alpha": 0.1}),
        ({"class_name": "ReLU", "config": None}, "ReLU", {}),
        ({"class_name": "__lambda__", "config": {"value": "x"}}, "activation:<lambda>", {}),
        (7, "activation:<lambda>", {}),
    ],
    ids=str,
)
def test_what_it_stands_for(spec: Any, kind: str, options: dict[str, Any]) -> None:
    assert activation(spec) == (kind, options)


def test_what_is_not_known_gets_a_rule_to_write() -> None:
    assert unknown("activation:relu") is None
    assert unknown("Conv2D") is None and unknown("Mine") is None
    why, advice = unknown("activation:my_curve") or ("", "")
    assert "'my_curve' is a function of its own" in why
    assert "@rule('activation:my_curve')\n    def my_curve(x):" in advice
    why, advice = unknown("activation:<lambda>") or ("", "")
    assert "is a lambda" in why and "@rule('activation:<lambda>')" in advice


def split(kind: str, **config: Any) -> list[Op]:
    op = Op("y", kind, (Ref("x"),), ("y",), {"units": 3, **config}, layer="fc")
    graph = Graph("m", ("x",), ("y",), (op,), {"x": Tensor("x", (None, 4))}, "3.15.0")
    return list(split_activations(graph).ops)


def test_an_activation_is_an_op_of_its_own() -> None:
    inner, outer = split("Dense", activation="relu")
    assert (inner.kind, inner.outputs, inner.layer, dict(inner.config)) == (
        "Dense", ("y.linear",), "fc", {"units": 3}
    )  # fmt: skip
    assert (outer.kind, outer.args, outer.outputs, outer.layer, outer.refused) == (
        "activation:relu", (Ref("y.linear"),), ("y",), "fc.activation", None
    )  # fmt: skip
    assert outer.name == "y.activation"


@pytest.mark.parametrize("config", [{}, {"activation": None}, {"activation": "linear"}])
def test_none_is_left_where_it_does_nothing(config: dict[str, Any]) -> None:
    (op,) = split("Dense", **config)
    assert op.outputs == ("y",) and dict(op.config) == {"units": 3}


def test_one_that_is_not_known_is_refused() -> None:
    inner, outer = split("Dense", activation="mine")
    assert inner.refused is None and outer.refused == unknown("activation:mine")
    (alone,) = split("Activation", activation="mine")
    assert alone.kind == "activation:mine" and alone.refused == outer.refused
    assert dict(alone.config) == {"units": 3}


def test_a_layer_that_is_not_split_keeps_its_own() -> None:
    (op,) = split("LSTM", activation="relu")
    assert op.config["activation"] == "relu"
