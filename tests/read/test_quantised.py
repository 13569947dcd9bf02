"""Quantised layers of Keras 3: refused by name, or with `dequantise` the floats that Keras has for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers as L
from tests.quick import QUICK

import torchport
from torchport.errors import Refused


def images(mode: str) -> Any:
    if mode == "float8":
        start = [keras.Input((5, 7))]
    else:
        start = [keras.Input((5,), dtype="int32"), L.Embedding(11, 7, name="table")]
    return keras.Sequential(
        [
            *start,
            L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", name="one"),
            L.EinsumDense("abc,cde->abde", (None, 2, 3), name="two"),
            L.EinsumDense("abde,dec->abc", (None, 5), bias_axes="c", activation="relu", name="three"),
            L.Dense(4, use_bias=False, name="four"),
            L.Dense(3, name="five"),
        ],
        name="net",
    )


def quantised(mode: str, groups: bool = False) -> tuple[Any, Any]:
    """A network before and after."""
    from keras.quantizers import Int4QuantizationConfig

    keras.utils.set_random_seed(1)
    built = images(mode)
    built.set_weights([np.random.default_rng(3).normal(size=it.shape) for it in built.get_weights()])
    before = keras.models.clone_model(built)
    before.set_weights(built.get_weights())
    if mode == "int4":
        built.quantize(config=Int4QuantizationConfig(block_size=2 if groups else -1))
    else:
        built.quantize(mode)
    return before, built


def arrays(port: Any) -> dict[str, np.ndarray]:
    return {it.name: it.array() for it in port.program.entries}


KINDS = [("int8", False), ("int4", False), ("int4", True), ("float8", False)]


@pytest.mark.parametrize(("mode", "groups"), KINDS)
def test_floats(mode: str, groups: bool, tmp_path: Path) -> None:
    """Near to what was quantised, the same from every source, and Keras's own floats: verify says so.

    Keras clips the zero of a group whose numbers are all of one sign: those may be far off.
    """
    before, built = quantised(mode, groups)
    plain = torchport.convert(before, class_name="Net")
    built.save(tmp_path / "m.keras")
    built.save(tmp_path / "m.h5")
    live = torchport.convert(built, class_name="Net", dequantise=True)
    assert live.code == plain.code
    steps = {"int8": 1 / 127, "int4": 2 if groups else 1 / 7, "float8": 0}[mode]
    for name, array in arrays(plain).items():
        largest = np.abs(array).max()
        assert np.abs(arrays(live)[name] - array).max() <= steps * largest, name
        assert (np.abs(arrays(live)[name] - array).max() > 0) == (
            mode != "float8" and name.endswith("weight")
        )
    for name in ("m.keras", "m.h5"):
        found = torchport.convert(tmp_path / name, class_name="Net", dequantise=True)
        assert found.code == live.code
        assert all(np.array_equal(array, arrays(live)[key]) for key, array in arrays(found).items())
    assert any("dequantised" in it and "kernels train" in it for it in live.program.notes)
    live.save(tmp_path / "port")
    assert torchport.verify(tmp_path / "m.keras", tmp_path / "port", **QUICK).passed


@pytest.mark.parametrize(("mode", "groups"), KINDS)
def test_refused_by_name(mode: str, groups: bool, tmp_path: Path) -> None:
    _, built = quantised(mode, groups)
    built.save(tmp_path / "m.keras")
    with pytest.raises(Refused, match=rf"quantised \({mode}\)") as caught:
        torchport.convert(tmp_path / "m.keras")
    assert "--dequantise" in str(caught.value)


@pytest.mark.parametrize("what", ["layers", "model"])
def test_what_trains(what: str, tmp_path: Path) -> None:
    """What the network before it was quantised trains: no layer is frozen for its whole numbers."""
    before, built = quantised("int8")
    for net in (before, built):
        if what == "model":
            net.trainable = False
        else:
            net.layers[1].trainable = net.layers[3].trainable = net.layers[4].trainable = False
    plain = torchport.convert(before, class_name="Net", flat=True)
    live = torchport.convert(built, class_name="Net", flat=True, dequantise=True)
    assert live.code == plain.code
    built.save(tmp_path / "m.keras")
    assert (
        torchport.convert(tmp_path / "m.keras", class_name="Net", flat=True, dequantise=True).code
        == plain.code
    )


def attention(kind: str) -> Any:
    """A network whose quantised layers are inside of others."""
    x = keras.Input((5, 8), name="x")
    if kind == "steps":
        return keras.Model(x, L.TimeDistributed(L.Dense(3))(x), name="net")
    if kind == "heads":
        return keras.Model(x, L.MultiHeadAttention(2, 4, value_dim=3, name="heads")(x, x), name="net")
    if kind == "plain":
        return keras.Model(x, L.MultiHeadAttention(2, 4, use_bias=False, name="heads")(x, x), name="net")
    return keras.Model(x, L.GroupQueryAttention(4, 4, 2, name="heads")(x, x), name="net")


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("kind", ["heads", "plain", "groups", "steps"])
def test_what_is_quantised_inside(kind: str, mode: str, tmp_path: Path) -> None:
    """Keras 3.15 does not load what it saves of a quantised attention: its own layers say what it is."""
    keras.utils.set_random_seed(1)
    built = attention(kind)
    before = keras.models.clone_model(built)
    before.set_weights(built.get_weights())
    built.quantize(mode)
    built.save(tmp_path / "m.keras")
    with pytest.raises(Refused, match=rf"quantised \({mode}\)") as caught:
        torchport.convert(tmp_path / "m.keras")
    assert "--dequantise" in str(caught.value)
    with pytest.raises(Refused, match="quantised"):
        torchport.convert(built)
    live = torchport.convert(built, class_name="Net", dequantise=True)
    found = torchport.convert(tmp_path / "m.keras", class_name="Net", dequantise=True)
    plain = torchport.convert(before, class_name="Net")
    assert live.code == plain.code == found.code
    for name, array in arrays(plain).items():
        largest = np.abs(array).max()
        assert (
            np.abs(arrays(live)[name] - array).max()
            <= {"int8": 1 / 127, "int4": 1 / 7}.get(mode, 0) * largest
        )
        assert np.array_equal(arrays(live)[name], arrays(found)[name]), name
        assert np.abs(arrays(live)[name] - array).max() > 0 or mode == "float8" or "weight" not in name


def test_a_part_is_quantised(tmp_path: Path) -> None:
    """Of an attention one of its layers; the others are as they were."""
    built = attention("heads")
    before = arrays(torchport.convert(built))
    next(it for it in built._flatten_layers() if it.name == "key").quantize("int8")
    after = arrays(torchport.convert(built, dequantise=True))
    apart = {name for name, array in before.items() if not np.array_equal(array, after[name])}
    assert len(apart) == 1 and min(apart).endswith("k.weight")


@pytest.mark.parametrize("mode", ["gptq", "awq"])
@pytest.mark.parametrize("kind", ["Dense", "EinsumDense"])
def test_calibrated_kernels(kind: str, mode: str, tmp_path: Path) -> None:
    """Numbers as a calibration would leave them: the layer itself says what its kernel is."""
    from keras.quantizers import AWQConfig, GPTQConfig

    rng = np.random.default_rng(0)
    given = {"dataset": None, "tokenizer": None, "group_size": 2, "quantization_layer_structure": {}}
    config = GPTQConfig(**given, weight_bits=4) if mode == "gptq" else AWQConfig(**given)
    layer = L.Dense(5) if kind == "Dense" else L.EinsumDense("ab,bc->ac", 5, bias_axes="c")
    built = keras.Sequential([keras.Input((6,)), layer])
    layer.quantize(mode, config=config)
    for it in layer.weights:
        high = {"uint8": 256, "float32": 3}[str(it.dtype)]
        numbers = rng.uniform(1, high, it.shape) if "g_idx" not in it.name else np.arange(6) // 2
        if "zero" in it.name:
            numbers = rng.integers(0, 16, it.shape)
        it.assign(numbers.astype(str(it.dtype)))
    setattr(layer, f"is_{mode}_calibrated", True)
    port = torchport.convert(built, dequantise=True)
    wanted = np.asarray(built(np.eye(6, dtype="float32")))
    np.testing.assert_allclose(port.run(np.eye(6, dtype="float32")), wanted, rtol=1e-5)
    built.save(tmp_path / "m.keras")
    with pytest.raises(Refused, match="lacks kernel_zero"):
        torchport.convert(tmp_path / "m.keras", dequantise=True)
