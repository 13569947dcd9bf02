"""Branches side by side that differ in numbers only are lists of modules: the text, and the numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
import torch
from tests.quick import QUICK

import torchport
from torchport.port import load

L = keras.layers


def sizes(x: Any) -> Any:
    """As text classifiers and OS-CNNs have them: only the size of the kernel differs."""
    return L.Concatenate()([L.ReLU()(L.Conv1D(4, size, padding="same")(x)) for size in (1, 2, 3, 5)])


def pooled(x: Any) -> Any:
    return L.Concatenate()([L.GlobalMaxPooling1D()(L.Conv1D(4, size)(x)) for size in (3, 4, 5)])


def rows(x: Any) -> Any:
    """Several modules in each branch."""

    def branch(rate: int) -> Any:
        y = L.Conv1D(4, 3, dilation_rate=rate, padding="same", use_bias=False)(x)
        return L.ReLU()(L.BatchNormalization()(y))

    return L.Concatenate()([branch(rate) for rate in (1, 2, 4)])


def one_apart(x: Any) -> Any:
    """As in InceptionTime: the last branch is another."""
    branches = [L.Conv1D(4, size, padding="same", use_bias=False)(x) for size in (9, 7, 3)]
    return L.Concatenate()([*branches, L.Conv1D(4, 1)(L.MaxPooling1D(3, strides=1, padding="same")(x))])


def added(x: Any) -> Any:
    return L.Add()([L.Conv1D(4, size, padding="same")(x) for size in (1, 3, 5)])


def largest(x: Any) -> Any:
    return L.Maximum()([L.Conv1D(4, size, padding="same")(x) for size in (1, 3, 5)])


def grams(x: Any) -> Any:
    """As word segmenters have them: the channels differ as well."""
    sizes = zip((4, 6, 6, 6, 5, 3), range(1, 7), strict=True)
    return L.Concatenate()(
        [L.GlobalMaxPooling1D()(L.Conv1D(channels, size, padding="same")(x)) for channels, size in sizes]
    )


WRITTEN: dict[Callable[[Any], Any], str] = {
    sizes: "torch.cat([F.relu(branch(x)) for branch in self.convs], dim=1)",
    pooled: "torch.cat([branch(x).amax(dim=2) for branch in self.convs], dim=1)",
    rows: "torch.cat([F.relu(branch(x)) for branch in self.branches], dim=1)",
    one_apart: "torch.cat([branch(x) for branch in self.convs] + [",
    grams: "for channels, size in zip((4, 6, 6, 6, 5, 3), range(1, 7), strict=True)",
    added: "torch.stack([branch(x) for branch in self.convs]).sum(dim=0)",
    largest: "torch.stack([branch(x) for branch in self.convs]).amax(dim=0)",
}


@pytest.mark.parametrize("branches", WRITTEN, ids=lambda it: it.__name__)
def test_branches_are_a_list(branches: Callable[[Any], Any], tmp_path: Path) -> None:
    series = keras.Input((16, 3))
    model = keras.Model(series, L.Dense(2)(L.Flatten()(branches(series))))
    port = torchport.convert(model)
    assert WRITTEN[branches] in port.code
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    torch.jit.script(load(port.save(tmp_path / "port")))


@pytest.mark.parametrize("kind", ["shared", "read twice", "frozen"])
def test_what_is_no_list(kind: str) -> None:
    """A layer that is called again, a branch that is read again, one that does not train."""
    series = keras.Input((16, 3))
    layers = [L.Conv1D(4, size, padding="same") for size in (1, 3, 5)]
    layers[1].trainable = kind != "frozen"
    branches = [layer(series) for layer in layers]
    last = [branches[0]] if kind == "read twice" else [layers[0](L.ReLU()(series))]
    x = L.Concatenate()([*branches, *(last if kind != "frozen" else [])])
    model = keras.Model(series, L.Dense(2)(L.Flatten()(x)))
    found = torchport.verify(model, torchport.convert(model), **QUICK)
    assert found.passed, str(found)


def test_lists_stand_in_blocks() -> None:
    """A block of them, several times: with parameters, its lists called alike in all uses."""
    series = keras.Input((16, 3))
    x = series
    for _ in range(5):
        x = L.LayerNormalization()(L.Conv1D(6, 1, activation="relu")(L.LayerNormalization()(sizes(x))))
    model = keras.Model(series, L.Dense(2)(L.Flatten()(x)))
    port = torchport.convert(model)
    assert "class InceptionBlock" in port.code and "self.convs = nn.ModuleList(" in port.code
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
