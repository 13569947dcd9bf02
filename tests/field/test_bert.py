"""Layers of keras-bert and what it is made of, against stand-ins written from their documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
import tf_keras
from tests.field.test_composed import agrees, filled, named, with_options

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
L, K = tf_keras.layers, tf_keras.backend
Layer = with_options(L.Layer)
PLAIN = {
    f"{of}_{it}": None for of in ("kernel", "bias") for it in ("initializer", "regularizer", "constraint")
}


def applied(activation: Any, x: Any) -> Any:
    return tf_keras.activations.get(activation)(x)


def attended(query: Any, key: Any, value: Any, mask: Any, history_only: bool) -> Any:
    """Softmax of scores, less 10000 for each reason not to see a step."""
    scores = query @ tf.linalg.matrix_transpose(key) / tf.sqrt(tf.cast(query.shape[-1], query.dtype))
    hidden = tf.zeros_like(scores)
    if history_only:
        steps = scores.shape[-2:]
        hidden += 1 - tf.linalg.band_part(tf.ones(steps, scores.dtype), -1, 0)
    if mask is not None:
        hidden += 1 - tf.cast(mask, scores.dtype)
    return tf.nn.softmax(scores - 10000 * hidden) @ value


class Own(Layer):  # type: ignore[misc,valid-type]
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True

    def weights_of(self, **shapes: Any) -> None:
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(name=f"{self.name}_{name}", shape=shape))


class MultiHeadAttention(Own):
    OPTIONS = {"head_num": 2, "activation": "relu", "use_bias": True, "history_only": False, **PLAIN}

    def build(self, shape: Any) -> None:
        q, k, v = shape if isinstance(shape, list) else [shape] * 3
        for at, size in (("q", q[-1]), ("k", k[-1]), ("v", v[-1]), ("o", v[-1])):
            bias = {f"b{at}": (v[-1],)} if self.given["use_bias"] else {}
            self.weights_of(**{f"W{at}": (size, v[-1])}, **bias)

    def part(self, at: str, x: Any) -> Any:
        y = x @ getattr(self, f"W{at}")
        return applied(self.given["activation"], y + getattr(self, f"b{at}") if self.given["use_bias"] else y)

    def call(self, x: Any, mask: Any = None) -> Any:
        given = x if isinstance(x, list) else [x] * 3
        mask = mask[1] if isinstance(mask, list) else mask
        heads = self.given["head_num"]
        q, k, v = (
            tf.stack(tf.split(self.part(at, it), heads, -1), 1) for at, it in zip("qkv", given, strict=True)
        )
        mask = None if mask is None else mask[:, None, None]
        y = attended(q, k, v, mask, self.given["history_only"])
        return self.part("o", tf.concat(tf.unstack(y, axis=1), -1))

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return mask[0] if isinstance(mask, list) else mask


class ScaledDotProductAttention(Own):
    OPTIONS = {"return_attention": False, "history_only": False}

    def call(self, x: Any, mask: Any = None) -> Any:
        mask = None if mask is None else mask[:, None]
        return attended(x, x, x, mask, self.given["history_only"])


class SeqSelfAttention(Own):
    OPTIONS = {
        "units": 5, "attention_width": None, "attention_type": "additive", "return_attention": False,
        "history_only": False, "use_additive_bias": True, "use_attention_bias": True,
        "attention_activation": None, "attention_regularizer_weight": 0.0, **PLAIN,
    }  # fmt: skip

    def build(self, shape: Any) -> None:
        own, size = self.given, shape[-1]
        bias = {"ba": (1,)} if own["use_attention_bias"] else {}
        if own["attention_type"] == "additive":
            self.weights_of(Wt=(size, own["units"]), Wx=(size, own["units"]))
            self.weights_of(**({"bh": (own["units"],)} if own["use_additive_bias"] else {}))
            self.weights_of(Wa=(own["units"], 1), **bias)
        else:
            self.weights_of(Wa=(size, size), **bias)

    def call(self, x: Any, mask: Any = None) -> Any:
        own = self.given
        if own["attention_type"] == "additive":
            pairs = (x @ self.Wt)[:, :, None] + (x @ self.Wx)[:, None]
            pairs = pairs + self.bh if own["use_additive_bias"] else pairs
            scores = (tf.tanh(pairs) @ self.Wa)[..., 0]
        else:
            scores = (x @ self.Wa) @ tf.linalg.matrix_transpose(x)
        scores = scores + self.ba if own["use_attention_bias"] else scores
        scores = applied(own["attention_activation"], scores)
        if (width := own["attention_width"]) is not None:
            steps = tf.range(x.shape[1])
            first = steps[:, None] - (width - 1 if own["history_only"] else width // 2)
            inside = tf.logical_and(first <= steps, steps < first + width)
            scores -= 10000 * (1 - tf.cast(inside, x.dtype))
        if mask is not None:
            kept = tf.cast(mask, x.dtype)[..., None]
            scores -= 10000 * (1 - kept) * (1 - tf.linalg.matrix_transpose(kept))
        return tf.nn.softmax(scores) @ x


class SeqWeightedAttention(Own):
    OPTIONS = {"use_bias": True, "return_attention": False}

    def build(self, shape: Any) -> None:
        self.weights_of(W=(shape[-1], 1), **({"b": (1,)} if self.given["use_bias"] else {}))

    def call(self, x: Any, mask: Any = None) -> Any:
        scores = x @ self.W
        scores = scores + self.b if self.given["use_bias"] else scores
        scores = scores if mask is None else scores - 10000 * (1 - tf.cast(mask, x.dtype)[..., None])
        parts = tf.exp(scores - tf.reduce_max(scores, 1, keepdims=True))
        return tf.reduce_sum(x * parts / (tf.reduce_sum(parts, 1, keepdims=True) + K.epsilon()), 1)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return None


class FeedForward(Own):
    OPTIONS = {"units": 5, "activation": "relu", "use_bias": True, "dropout_rate": 0.0, **PLAIN}

    def build(self, shape: Any) -> None:
        units, bias = self.given["units"], self.given["use_bias"]
        self.weights_of(W1=(shape[-1], units), **({"b1": (units,)} if bias else {}))
        self.weights_of(W2=(units, shape[-1]), **({"b2": shape[-1:]} if bias else {}))

    def call(self, x: Any, training: Any = None) -> Any:
        own = self.given
        y = x @ self.W1
        y = applied(own["activation"], y + self.b1 if own["use_bias"] else y)
        y = tf.nn.dropout(y, own["dropout_rate"]) if training and own["dropout_rate"] else y
        y = y @ self.W2
        return y + self.b2 if own["use_bias"] else y


class TokenEmbedding(L.Embedding):  # type: ignore[misc,name-defined]
    def call(self, x: Any) -> Any:
        return [super().call(x), self.embeddings + 0]

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return [super().compute_mask(x, mask), None]


class EmbeddingSimilarity(Own):
    OPTIONS = {"initializer": "zeros", "regularizer": None, "constraint": None}

    def build(self, shape: Any) -> None:
        self.weights_of(bias=(shape[1][0],))

    def call(self, x: Any) -> Any:
        return tf.nn.softmax(x[0] @ tf.transpose(x[1]) + self.bias)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return mask and mask[0]


class Masked(Own):
    OPTIONS = {"return_masked": False}

    def call(self, x: Any) -> Any:
        return x[0] + 0

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return tf.logical_and(tf.not_equal(x[1], 0), mask[0])


class Extract(Own):
    OPTIONS = {"index": 0}

    def call(self, x: Any) -> Any:
        return x[:, self.given["index"]]

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return None


MODULES = {
    "keras_multi_head.multi_head_attention": [MultiHeadAttention],
    "keras_self_attention.seq_self_attention": [
        SeqSelfAttention, SeqWeightedAttention, ScaledDotProductAttention],
    "keras_position_wise_feed_forward.feed_forward": [FeedForward],
    "keras_bert.layers.embedding": [TokenEmbedding, EmbeddingSimilarity, Masked, Extract],
}  # fmt: skip
OWN = {it.__name__: named(it, it.__name__, module) for module, them in MODULES.items() for it in them}


def one(layer: Any) -> Any:
    x = tf_keras.Input((7, 6))
    return tf_keras.Model(x, layer(x))


def masked(layer: Any) -> Any:
    x = tf_keras.Input((7,), dtype="int32")
    y = layer(L.Embedding(5, 6, mask_zero=True)(x))
    return tf_keras.Model(x, L.GlobalAveragePooling1D()(y) if len(y.shape) == 3 else y)


def three() -> Any:
    x, y = tf_keras.Input((7, 6)), tf_keras.Input((4, 8))
    return tf_keras.Model([x, y], MultiHeadAttention()([x, y, y]))


def words(activation: Any = "relu", index: bool = False) -> Any:
    """A model of keras-bert's layers: words in, their likeness to each word out, or one step."""
    x = tf_keras.Input((7,), dtype="int32")
    y, table = TokenEmbedding(5, 6, mask_zero=True)(x)
    y = L.Add()([y, L.Dropout(0.1)(MultiHeadAttention(activation=None)(y))])
    y = FeedForward(activation=activation)(y)
    if index:
        return tf_keras.Model(x, L.Dense(2)(Extract(index=0)(y)))
    return tf_keras.Model(x, Masked()([EmbeddingSimilarity()([y, table]), x]))


CASES: dict[str, Any] = {
    "heads": lambda: one(MultiHeadAttention()),
    "heads_linear": lambda: one(MultiHeadAttention(head_num=3, activation="linear", use_bias=False)),
    "heads_masked": lambda: masked(MultiHeadAttention(activation="tanh")),
    "heads_history": lambda: masked(MultiHeadAttention(activation="linear", history_only=True)),
    "heads_of_three": three,
    "dot": lambda: one(ScaledDotProductAttention()),
    "dot_history": lambda: masked(ScaledDotProductAttention(history_only=True)),
    "additive": lambda: one(SeqSelfAttention()),
    "additive_band": lambda: masked(SeqSelfAttention(attention_width=3, use_additive_bias=False)),
    "additive_history": lambda: one(SeqSelfAttention(attention_width=3, history_only=True)),
    "product": lambda: masked(
        SeqSelfAttention(attention_type="multiplicative", attention_activation="sigmoid")
    ),
    "product_plain": lambda: one(SeqSelfAttention(attention_type="multiplicative", use_attention_bias=False)),
    "pooled": lambda: one(SeqWeightedAttention()),
    "pooled_masked": lambda: masked(SeqWeightedAttention(use_bias=False)),
    "feed": lambda: one(FeedForward()),
    "feed_drops": lambda: masked(FeedForward(dropout_rate=0.1, activation="tanh", use_bias=False)),
    "words": words,
    "word": lambda: words(index=True),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_as_documented(case: str, suffix: str, tmp_path: Path) -> None:
    agrees(filled(CASES[case]()), tmp_path / f"model{suffix}")


@pytest.mark.parametrize("case", ["heads_history", "product", "pooled_masked", "feed_drops", "words"])
def test_trains_alike(case: str, tmp_path: Path) -> None:
    filled(CASES[case]()).save(tmp_path / "m.h5")
    port = torchport.convert(tmp_path / "m.h5")
    result = torchport.verify(tmp_path / "m.h5", port, custom=OWN, precision="float64", steps=5)
    assert result.passed, f"{result}\n{port.code}"


def test_a_gelu_is_one_of_two(tmp_path: Path) -> None:
    """That of keras_transformer is by tanh, and a file has its name alone; keras_bert loads with that."""
    with pytest.raises(Refused, match="gelu is another function"):
        one(FeedForward(activation="gelu")).save(tmp_path / "m.h5")
        torchport.convert(tmp_path / "m.h5")
    words("gelu").save(tmp_path / "bert.h5")
    port = torchport.convert(tmp_path / "bert.h5")
    assert 'approximate="tanh"' in port.code and any("gelu was taken" in it for it in port.program.notes)
