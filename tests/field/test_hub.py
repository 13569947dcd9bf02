"""Transformers and positions of keras_hub in files, against stand-ins written from their documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops
from tests.field.test_composed import agrees, filled, with_options

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
L = keras.layers
Layer = with_options(L.Layer)
hub = keras.saving.register_keras_serializable(package="keras_hub")
TRANSFORMER = {"intermediate_dim": 7, "num_heads": 2, "dropout": 0, "activation": "relu",
               "layer_norm_epsilon": 1e-5, "normalize_first": False}  # fmt: skip


class Cached(L.MultiHeadAttention):
    """Takes no masks but the one that it is handed."""

    def call(self, query: Any, value: Any, attention_mask: Any = None, training: Any = None) -> Any:
        heads = [self._query_dense(query), self._key_dense(value), self._value_dense(value)]
        out, _ = self._compute_attention(*heads, attention_mask=attention_mask, training=training)
        return self._output_dense(out)


def padding(x: Any, mask: Any, pairs: Any) -> Any:
    """The mask of pairs of steps that is made of those that are given, or else of that of the tensor."""
    mask = getattr(x, "_keras_mask", None) if mask is None else mask
    mask = None if mask is None else ops.cast(ops.expand_dims(mask, 1), "int32")
    if pairs is None:
        return mask
    pairs = ops.cast(pairs, "int32")
    return pairs if mask is None else ops.minimum(mask, pairs)


class Transformer(Layer):  # type: ignore[misc,valid-type]
    OPTIONS = TRANSFORMER

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def attention(self, name: str, kind: Any, query: Any, value: Any) -> None:
        own = self.given
        made = kind(own["num_heads"], query[-1] // own["num_heads"], dropout=own["dropout"])
        made.build(query, value)
        setattr(self, f"_{name}_attention_layer", made)
        self.norm(f"_{name}_attention_layer_norm", query)
        setattr(self, f"_{name}_attention_dropout", L.Dropout(own["dropout"]))

    def norm(self, name: str, shape: Any) -> None:
        made = L.LayerNormalization(epsilon=self.given["layer_norm_epsilon"])
        made.build(shape)
        setattr(self, name, made)

    def feed(self, shape: Any) -> None:
        own = self.given
        self._feedforward_intermediate_dense = L.Dense(own["intermediate_dim"], activation=own["activation"])
        self._feedforward_intermediate_dense.build(shape)
        self._feedforward_output_dense = L.Dense(shape[-1])
        self._feedforward_output_dense.build((*shape[:-1], own["intermediate_dim"]))
        self._feedforward_dropout = L.Dropout(own["dropout"])

    def around(self, x: Any, norm: Any, function: Any) -> Any:
        if self.given["normalize_first"]:
            return function(norm(x)) + x
        return norm(function(x) + x)

    def fed(self, x: Any, training: Any) -> Any:
        hidden, out = self._feedforward_intermediate_dense, self._feedforward_output_dense
        drop = self._feedforward_dropout
        return self.around(x, self._feedforward_layer_norm, lambda y: drop(out(hidden(y)), training=training))

    def compute_output_shape(self, shape: Any, *rest: Any) -> Any:
        return shape


@hub
class TransformerEncoder(Transformer):
    def build(self, shape: Any) -> None:
        self.attention("self", L.MultiHeadAttention, shape, shape)
        self.norm("_feedforward_layer_norm", shape)
        self.feed(shape)
        self.built = True

    def call(
        self, inputs: Any, padding_mask: Any = None, attention_mask: Any = None, training: Any = None
    ) -> Any:
        mask, layer, drop = (
            padding(inputs, padding_mask, attention_mask),
            self._self_attention_layer,
            self._self_attention_dropout,
        )

        def attend(y: Any) -> Any:
            return drop(layer(y, y, attention_mask=mask, training=training), training=training)

        x = self.around(inputs, self._self_attention_layer_norm, attend)
        return self.fed(x, training)


@hub
class TransformerDecoder(Transformer):
    def build(self, decoder_sequence_shape: Any, encoder_sequence_shape: Any = None) -> None:
        self.attention("self", Cached, decoder_sequence_shape, decoder_sequence_shape)
        self.crosses = encoder_sequence_shape is not None
        if self.crosses:
            self.attention("cross", Cached, decoder_sequence_shape, encoder_sequence_shape)
        self.feed(decoder_sequence_shape)
        self.norm("_feedforward_layer_norm", decoder_sequence_shape)
        self.built = True

    def call(
        self, decoder_sequence: Any, encoder_sequence: Any = None, decoder_padding_mask: Any = None,
        decoder_attention_mask: Any = None, encoder_padding_mask: Any = None,
        encoder_attention_mask: Any = None, use_causal_mask: bool = True, training: Any = None,
    ) -> Any:  # fmt: skip
        mask = padding(decoder_sequence, decoder_padding_mask, decoder_attention_mask)
        if use_causal_mask:
            steps = decoder_sequence.shape[1]
            causal = tf.linalg.band_part(tf.ones((1, steps, steps), "int32"), -1, 0)
            mask = causal if mask is None else ops.minimum(mask, causal)
        x = self.step(decoder_sequence, None, mask, "self", training)
        if self.crosses:
            mask = padding(encoder_sequence, encoder_padding_mask, encoder_attention_mask)
            x = self.step(x, encoder_sequence, mask, "cross", training)
        return self.fed(x, training)

    def step(self, x: Any, value: Any, mask: Any, name: str, training: Any) -> Any:
        parts = [getattr(self, f"_{name}_attention_{it}") for it in ("layer", "layer_norm", "dropout")]
        layer, norm, drop = parts

        def attend(y: Any) -> Any:
            given = y if value is None else value
            return drop(layer(y, given, attention_mask=mask, training=training), training=training)

        return self.around(x, norm, attend)


@hub
class RotaryEmbedding(Layer):  # type: ignore[misc,valid-type]
    OPTIONS = {"max_wavelength": 10000, "scaling_factor": 1.0, "sequence_axis": 1, "feature_axis": -1,
               "rope_type": "linear", "beta_fast": 32.0, "beta_slow": 1.0, "denominator_dim": None,
               "original_max_position_embeddings": 4096, "truncate": True}  # fmt: skip

    def call(self, x: Any) -> Any:
        steps, size = x.shape[1], x.shape[-1]
        angles = np.arange(steps)[:, None] / self.given["max_wavelength"] ** (np.arange(0, size, 2) / size)
        angles = np.concatenate([angles, angles], -1).reshape(steps, *(1,) * (len(x.shape) - 3), size)
        angles = angles / self.given["scaling_factor"]
        first, second = ops.split(x, 2, axis=-1)
        turned = ops.concatenate([-second, first], axis=-1)
        return x * np.cos(angles).astype(self.compute_dtype) + turned * np.sin(angles).astype(
            self.compute_dtype
        )


def words(mask: bool = True) -> tuple[Any, Any]:
    x = keras.Input((5,), dtype="int32")
    return x, L.Embedding(5, 6, mask_zero=mask)(x)


def encoder(given: Any = (), masked: bool = False, **options: Any) -> Any:
    x, y = words(masked)
    masks = {name: keras.Input((5,) * rank, dtype="bool") for name, rank in given}
    return keras.Model([x, *masks.values()], L.Dense(3)(TransformerEncoder(**options)(y, **masks)))


def decoder(
    given: Any = (), masked: bool = False, crosses: bool = True, causal: bool = True, **options: Any
) -> Any:
    (x, y), z = words(masked), keras.Input((4, 3))
    value = L.Masking()(z) if masked else z
    masks = {name: keras.Input(shape, dtype="bool") for name, shape in given}
    layer = TransformerDecoder(**options)
    out = layer(y, *([value] if crosses else []), **masks, **({} if causal else {"use_causal_mask": False}))
    return keras.Model([x, *([z] if crosses else []), *masks.values()], L.Dense(3)(out))


CASES: dict[str, Any] = {
    "encoder": encoder,
    "encoder_first": lambda: encoder(normalize_first=True, activation="gelu", dropout=0.1),
    "encoder_masked": lambda: encoder(masked=True, dropout=0.1),
    "encoder_padding": lambda: encoder([("padding_mask", 1)]),
    "encoder_both": lambda: encoder([("padding_mask", 1), ("attention_mask", 2)], masked=True),
    "decoder": decoder,
    "decoder_first": lambda: decoder(normalize_first=True, dropout=0.1, layer_norm_epsilon=1e-3),
    "decoder_alone": lambda: decoder(crosses=False),
    "decoder_sees_all": lambda: decoder(crosses=False, causal=False),
    "decoder_masked": lambda: decoder(masked=True),
    "decoder_padding": lambda: decoder([("decoder_padding_mask", (5,)), ("encoder_padding_mask", (4,))]),
    "decoder_pairs": lambda: decoder(
        [("decoder_attention_mask", (5, 5)), ("encoder_attention_mask", (5, 4))], masked=True
    ),
    "rotary": lambda: keras.Sequential([keras.Input((5, 2, 6)), RotaryEmbedding(scaling_factor=2.0)]),
    "rotary_steps": lambda: keras.Sequential([keras.Input((5, 6)), RotaryEmbedding(max_wavelength=300)]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_as_documented(case: str, suffix: str, tmp_path: Path) -> None:
    agrees(filled(CASES[case]()), tmp_path / f"model{suffix}")


@pytest.mark.parametrize("case", ["encoder_masked", "decoder_first", "decoder_masked", "rotary"])
def test_trains_alike(case: str, tmp_path: Path) -> None:
    filled(CASES[case]()).save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    own = {it.__name__: it for it in (TransformerEncoder, TransformerDecoder, RotaryEmbedding)}
    result = torchport.verify(tmp_path / "m.keras", port, custom=own, precision="float64", steps=5)
    assert result.passed, f"{result}\n{port.code}"


@pytest.mark.parametrize("options", [{"rope_type": "yarn"}, {"sequence_axis": 2}])
def test_other_turns_are_refused(options: dict[str, Any], tmp_path: Path) -> None:
    keras.Sequential([keras.Input((5, 2, 6)), RotaryEmbedding(**options)]).save(tmp_path / "m.keras")
    with pytest.raises(Refused, match=next(iter(options))):
        torchport.convert(tmp_path / "m.keras")
