"""Blocks in a row that each give a tensor aside: a loop, as a person writes a WaveNet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
import torch
from tests.blocks import styles
from tests.quick import QUICK

import torchport
from torchport.port import load

L = keras.layers


def gated(x: Any, rate: int) -> tuple[Any, Any]:
    """What goes aside, and what is gated."""
    y = L.Conv1D(6, 2, dilation_rate=rate, padding="causal", activation="tanh")(x)
    z = L.Conv1D(6, 2, dilation_rate=rate, padding="causal", activation="sigmoid")(x)
    y = L.Multiply()([y, z])
    return L.Conv1D(5, 1)(y), y


def wavenet(meeting: type[keras.Layer], whole: bool) -> keras.Model:
    """`whole`: the last block gives what goes on as well."""
    series = keras.Input((12, 1))
    x, skips = L.Conv1D(6, 2, padding="causal")(series), []
    for rate in (1, 2, 4, 1, 2):
        skip, y = gated(x, rate)
        skips.append(skip)
        x = L.Add()([x, L.Conv1D(6, 1)(y)])
    aside = L.Conv1D(5, 1, activation="relu")(meeting()(skips))
    return keras.Model(series, L.Concatenate()([aside, x]) if whole else aside)


def test_the_last_block_is_one_of_them_though_nothing_reads_its_end() -> None:
    model = styles.skip_tcn()
    port = torchport.convert(model)
    assert "skips.append(skip)" in port.code and "in_channels != 24" in port.code, port.code
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)


@pytest.mark.parametrize(
    ("meeting", "whole"), [(L.Add, False), (L.Concatenate, True), (L.Maximum, False)], ids=str
)
def test_skips_are_collected_in_a_loop(meeting: type[keras.Layer], whole: bool, tmp_path: Path) -> None:
    model = wavenet(meeting, whole)
    port = torchport.convert(model)
    assert "skips.append(skip)" in port.code and "for block in self.blocks:" in port.code
    assert "class GatedResidual" in port.code and port.code.count("class ") == 2
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    torch.jit.script(load(port.save(tmp_path / "port")))


def test_causal_convolutions_say_their_dilation_only() -> None:
    x = inputs = keras.Input((32, 8))
    for rate in (1, 2, 4, 8, 16):
        out = keras.layers.Conv1D(8, 3, padding="causal", dilation_rate=rate, activation="relu")(x)
        out = keras.layers.Conv1D(8, 3, padding="causal", dilation_rate=rate, activation="relu")(out)
        x = keras.layers.Add()([x, out])
    model = keras.Model(inputs, x)
    port = torchport.convert(model)
    assert "self.pad = (2 * dilation, 0)" in port.code
    assert (
        "ResidualBlock(dilation=dilation) for dilation in (1, 2, 4, 8, 16)" in port.code
        and "pad=" not in port.code
    )
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
