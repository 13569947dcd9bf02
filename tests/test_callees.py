"""What is known of torch's classes and functions is what torch says; of our own, they are there."""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from torchport.callees import ACTIVATIONS, CALLEES, callee
from torchport.emit import helpers

SPACES = {"nn": nn, "F": F, "torch": torch}


@pytest.mark.parametrize("name", CALLEES)
def test_it_is_there(name: str) -> None:
    space, dot, own = name.partition(".")
    assert hasattr(SPACES[space], own) if dot else name in helpers.own_names()


@pytest.mark.parametrize("name", [it for it in CALLEES if it.startswith("nn.")])
def test_places_and_defaults_are_those_of_torch(name: str) -> None:
    known, cls = CALLEES[name], getattr(nn, name.removeprefix("nn."))
    parameters = inspect.signature(cls).parameters
    assert {key: parameters[key].default for key in known.defaults} == dict(known.defaults)
    assert len(known.positional) <= len(parameters)
    if known.amount:
        assert hasattr(cls(), known.amount)


def test_a_norm_is_light_and_batches_change_what_they_call() -> None:
    for name in dir(nn):
        if "BatchNorm" in name and not name.startswith("Lazy"):
            assert callee(f"nn.{name}").is_stateful and callee(f"nn.{name}").is_light, name
        elif name.endswith("Dropout") or "InstanceNorm" in name and not name.startswith("Lazy"):
            assert callee(f"nn.{name}").is_light, name


def test_a_function_is_the_module_that_it_is() -> None:
    x = torch.linspace(-3, 3, 13)
    for function, module in ACTIVATIONS.items():
        space, _, own = function.partition(".")
        torch.testing.assert_close(
            getattr(SPACES[space], own)(x), getattr(nn, module.removeprefix("nn."))()(x)
        )


def test_what_is_not_known() -> None:
    assert not callee("nn.Bilinear").is_stateful and not callee("torch.cat").is_stateful
    assert callee("DoubleConv").is_stateful and not callee("DoubleConv").is_light
