"""Embeddings of positions of packages, against stand-ins that compute what their sources say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.field.test_packages import Kept
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

RNG = np.random.default_rng(0)
hub = keras.saving.register_keras_serializable(package="keras_hub")


def waves(steps: int, size: int, longest: float = 10000.0) -> np.ndarray:
    """Sines at even channels and cosines at odd ones, of one frequency for each pair."""
    table = np.zeros((steps, size), "float32")
    for channel in range(size):
        angles = np.arange(steps) / longest ** (2 * (channel // 2) / size)
        table[:, channel] = np.cos(angles) if channel % 2 else np.sin(angles)
    return table


class KeptNewly(keras.layers.Layer):
    """A layer of Keras 3 that keeps its options for its configuration."""

    def __init__(self, **options: Any) -> None:
        base = {key: options.pop(key) for key in ("name", "dtype", "trainable") if key in options}
        super().__init__(**base)
        self.own = options

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.own}


@hub
class PositionEmbedding(KeptNewly):
    def build(self, shape: Any) -> None:
        self.table = self.add_weight(name="embeddings", shape=(self.own["sequence_length"], shape[-1]))

    def call(self, x: Any) -> Any:
        return tf.zeros_like(x) + tf.convert_to_tensor(self.table)[: x.shape[1]]

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@hub
class SinePositionEncoding(KeptNewly):
    def call(self, x: Any) -> Any:
        return tf.zeros_like(x) + waves(x.shape[1], x.shape[2], self.own.get("max_wavelength", 10000))


@hub
class TokenAndPositionEmbedding(KeptNewly):
    def build(self, shape: Any) -> None:
        own, self.supports_masking = self.own, True
        self.token_embedding = keras.layers.Embedding(own["vocabulary_size"], own["embedding_dim"])
        self.position_embedding = PositionEmbedding(sequence_length=own["sequence_length"])
        self.token_embedding.build(shape)
        self.position_embedding.build((*shape, own["embedding_dim"]))

    def call(self, x: Any) -> Any:
        tokens = self.token_embedding(x)
        return tokens + self.position_embedding(tokens)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return keras.ops.not_equal(x, 0) if self.own["mask_zero"] else None


@hub
class ReversibleEmbedding(keras.layers.ReversibleEmbedding):
    pass


def named(cls: Any, name: str, module: str) -> Any:
    """The class under its package's name, which a class of keras_hub has here already."""
    cls.__name__, cls.__module__ = name, module
    return cls


EMBEDDINGS = {f"embeddings_{of}": None for of in ("initializer", "regularizer", "constraint")}
AFFINE = {key.replace("embeddings", it): None for it in ("gamma", "beta") for key in EMBEDDINGS}


class Added(Kept):
    OPTIONS = {"input_dim": 0, "output_dim": 0, "mode": "add", "mask_zero": False,
               "activity_regularizer": None, **EMBEDDINGS}  # fmt: skip

    def build(self, shape: Any) -> None:
        size = self.own["input_dim"], self.own["output_dim"]
        self.table = self.add_weight(name="embeddings", shape=size)

    def call(self, x: Any) -> Any:
        return x + self.table[: x.shape[1]]


class TrigPosEmbedding(Kept):
    OPTIONS = {"mode": "add", "output_dim": None}

    def call(self, x: Any) -> Any:
        return x + waves(x.shape[1], x.shape[2])


class Normal(Kept):
    OPTIONS = {"center": True, "scale": True, "epsilon": 1e-14, **AFFINE}

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight(name="gamma", shape=shape[-1:]) if self.own["scale"] else 1.0
        self.beta = self.add_weight(name="beta", shape=shape[-1:]) if self.own["center"] else 0.0

    def call(self, x: Any) -> Any:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return (x - mean) / tf.sqrt(variance + self.own["epsilon"]) * self.gamma + self.beta


named(Added, "PositionEmbedding", "keras_pos_embd.pos_embd")
named(TrigPosEmbedding, "TrigPosEmbedding", "keras_pos_embd.trig_pos_embd")
named(Normal, "LayerNormalization", "keras_layer_normalization.layer_normalization")

TOKENS = {"vocabulary_size": 11, "embedding_dim": 4, "tie_weights": True, "mask_zero": False}


def pooled(**options: Any) -> Any:
    """The mean of what the mask keeps."""
    layers = [TokenAndPositionEmbedding(**options), keras.layers.GlobalAveragePooling1D()]
    return lambda x: layers[1](layers[0](x))


#: The package of Keras, what is made of the input, its shape, and below what its whole numbers are.
CASES: dict[str, tuple[Any, Any, tuple[int, ...], int]] = {
    "position": (keras, lambda x: x + PositionEmbedding(sequence_length=9)(x), (5, 4), 0),
    "positions_all": (keras, lambda x: PositionEmbedding(sequence_length=5)(x) * x, (5, 4), 0),
    "sine": (keras, lambda x: x + SinePositionEncoding(max_wavelength=10000)(x), (5, 6), 0),
    "sine_odd": (keras, lambda x: SinePositionEncoding(max_wavelength=300)(x), (7, 5), 0),
    "tokens": (keras, lambda x: TokenAndPositionEmbedding(sequence_length=7, **TOKENS)(x), (7,), 11),
    "fewer": (keras, lambda x: TokenAndPositionEmbedding(sequence_length=9, **TOKENS)(x), (7,), 11),
    "masked": (keras, lambda x: pooled(sequence_length=9, **{**TOKENS, "mask_zero": True})(x), (7,), 3),
    "reversible": (keras, lambda x: ReversibleEmbedding(11, 4)(x), (7,), 11),
    "added": (tf_keras, lambda x: Added(input_dim=9, output_dim=4)(x), (5, 4), 0),
    "trigonometric": (tf_keras, lambda x: TrigPosEmbedding()(x), (5, 4), 0),
    "norm": (tf_keras, lambda x: Normal()(x), (5, 4), 0),
    "norm_plain": (tf_keras, lambda x: Normal(epsilon=0.1, center=False)(x), (5, 4), 0),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_as_their_source(case: str, suffix: str, tmp_path: Path) -> None:
    package, make, shape, below = CASES[case]
    x = package.Input(shape, dtype="int32" if below else "float32")
    model = package.Model(x, make(x))
    model.set_weights([RNG.uniform(0.5, 1.5, it.shape) for it in model.get_weights()])
    model.save(tmp_path / f"model{suffix}")
    port = torchport.convert(tmp_path / f"model{suffix}")
    data = RNG.uniform(-1, 1, (2, *shape)).astype("float32")
    data = RNG.integers(below, size=(2, *shape)).astype("int32") if below else data
    np.testing.assert_allclose(port.run(data), model(data), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", ["position", "masked"])
def test_verified_with_the_classes(case: str, tmp_path: Path) -> None:
    _, make, shape, below = CASES[case]
    x = keras.Input(shape, dtype="int32" if below else "float32")
    keras.Model(x, make(x)).save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    own = {it.__name__: it for it in (PositionEmbedding, TokenAndPositionEmbedding)}
    assert torchport.verify(tmp_path / "m.keras", port, custom=own, **QUICK).passed


@pytest.mark.parametrize("mode", ["expand", "concat"])
def test_other_modes_are_refused_by_name(mode: str, tmp_path: Path) -> None:
    x = tf_keras.Input((5, 4))
    tf_keras.Model(x, Added(input_dim=9, output_dim=4, mode=mode)(x)).save(tmp_path / "m.h5")
    with pytest.raises(Refused, match=f"mode='{mode}' is not ported"):
        torchport.convert(tmp_path / "m.h5")


def test_a_norm_of_keras_is_its_own(tmp_path: Path) -> None:
    x = tf_keras.Input((5, 4))
    tf_keras.Model(x, tf_keras.layers.LayerNormalization(axis=1)(x)).save(tmp_path / "m.h5")
    data = RNG.uniform(-1, 1, (2, 5, 4)).astype("float32")
    model = tf_keras.models.load_model(tmp_path / "m.h5")
    port = torchport.convert(tmp_path / "m.h5")
    np.testing.assert_allclose(port.run(data), model(data), rtol=1e-5, atol=1e-5)
