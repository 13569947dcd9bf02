"""A step as the module that a list holds in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torchport.blocks.steps import as_module
from torchport.program import Apply, Module, Step, Var, call

CONV = Module("nn.Conv2d", (3, 5, 1), {"bias": False})


@pytest.mark.parametrize(
    ("value", "module"),
    [
        (Apply(CONV, (Var("x"),), owner="conv"), CONV),
        (call("F.relu", Var("x")), Module("nn.ReLU")),
        (call("F.leaky_relu", Var("x"), 0.2), Module("nn.LeakyReLU", (0.2,))),
        (call("F.gelu", Var("x"), approximate="tanh"), Module("nn.GELU", (), {"approximate": "tanh"})),
    ],
    ids=str,
)
def test_its_module(value: Any, module: Module) -> None:
    step = Step("y", "y", "Own", ("y",), value)
    assert replace(as_module(step), gives=("", "")) == module
    assert as_module(step, "net").gives == ("net", "y")
