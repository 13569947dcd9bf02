"""Transformers of many layers, written with the Functional API, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import pytest
from keras import layers, ops

import torchport
from torchport.pipeline import port

WIDTH, HEADS, WORDS = 64, 4, 101


def embedded(words: Any, name: str) -> Any:
    """Words and positions."""
    positions = ops.cumsum(ops.ones_like(words), axis=1) - 1
    table = layers.Embedding(64, WIDTH, name=f"{name}_positions")
    return layers.Embedding(WORDS, WIDTH, name=f"{name}_tokens")(words) + table(positions)


def attended(x: Any, other: Any, name: str, **options: Any) -> Any:
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.1, name=f"{name}_attention")
    x = x + layers.Dropout(0.1)(attention(x, other, **options))
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_norm")(x)


def fed(x: Any, name: str) -> Any:
    y = layers.Dense(4 * WIDTH, activation="gelu", name=f"{name}_fc1")(x)
    y = layers.Dropout(0.1)(layers.Dense(WIDTH, name=f"{name}_fc2")(y))
    return layers.LayerNormalization(epsilon=1e-6, name=f"{name}_out")(x + y)


def encoder(count: int = 12) -> Any:
    words = keras.Input((16,), dtype="int32", name="words")
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(embedded(words, "bert"))
    x = layers.Dropout(0.1)(x)
    for at in range(count):
        x = fed(attended(x, x, f"layer{at}"), f"layer{at}_ff")
    pooled = layers.Dense(WIDTH, activation="tanh", name="pooler")(x[:, 0])
    return keras.Model(words, [x, pooled], name="bert")


def encoder_decoder(count: int = 6) -> Any:
    source = keras.Input((16,), dtype="int32", name="source")
    target = keras.Input((12,), dtype="int32", name="target")
    x, y = embedded(source, "encoder"), embedded(target, "decoder")
    for at in range(count):
        x = fed(attended(x, x, f"encoder{at}"), f"encoder{at}_ff")
    for at in range(count):
        y = attended(y, y, f"decoder{at}_self", use_causal_mask=True)
        y = fed(attended(y, x, f"decoder{at}_cross"), f"decoder{at}_ff")
    return keras.Model([source, target], layers.Dense(WORDS, name="head")(y), name="translator")


@pytest.mark.parametrize(("make", "lines"), [(encoder, 110), (encoder_decoder, 125)])
def test_it_is_short_and_right(make: Any, lines: int, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / "model.keras")
    program = port(tmp_path / "model.keras")
    assert not program.permutes
    assert len(program.code.splitlines()) <= lines, program.code
    ported = torchport.convert(str(tmp_path / "model.keras"))
    found = torchport.verify(str(tmp_path / "model.keras"), ported, steps=1)
    assert found.passed, [row for row in found.rows if not row.passed]
