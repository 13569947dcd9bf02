"""Layers of classes that loops, conditions and lists put in, and those that are chosen."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from tests.source.proofs import check_unit

from torchport.source import SourcePort, SourceRefused, port_of, watched_project
from torchport.source.sites import SourceFile

TEXT = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Chosen(layers.Layer):
    def __init__(self, units, norm="batch", with_dropout=False):
        super().__init__()
        self.with_dropout = with_dropout
        self.dense = layers.Dense(units)
        if norm == "batch":
            self.norm = layers.BatchNormalization()
        else:
            self.norm = layers.LayerNormalization(epsilon=1e-6)
        if with_dropout:
            self.drop = layers.Dropout(0.2)
        self.act = layers.ReLU() if units > 4 else layers.Activation("tanh")

    def call(self, x):
        x = self.act(self.norm(self.dense(x)))
        if self.with_dropout:
            x = self.drop(x)
        return x


class Sized(layers.Layer):
    def __init__(self, is_big=True):
        super().__init__()
        if is_big:
            self.dense = layers.Dense(7)
        else:
            self.dense = layers.Dense(4, use_bias=False)
        self.out = layers.Dense(2)

    def call(self, x):
        return self.out(self.dense(x))


class Optional(layers.Layer):
    def __init__(self, units, with_norm=True):
        super().__init__()
        self.dense = layers.Dense(units)
        self.norm = None
        if with_norm:
            self.norm = layers.LayerNormalization()

    def call(self, x):
        x = self.dense(x)
        if self.norm is not None:
            x = self.norm(x)
        return x


class Encoder(keras.Model):
    def __init__(self, widths=(16, 8), latent=3, rate=0.1):
        super().__init__()
        self.hidden = keras.Sequential([layers.Dense(width, activation="relu") for width in widths])
        self.body = keras.Sequential()
        for width in widths:
            self.body.add(layers.Dense(width))
            self.body.add(layers.Dropout(rate))
        parts = []
        for width in widths:
            parts.append(layers.Dense(width, activation="gelu"))
        parts.append(layers.LayerNormalization())
        self.tail = keras.Sequential(parts)
        self.mean = layers.Dense(latent)

    def call(self, x, training=False):
        h = self.hidden(x)
        mean = self.mean(self.tail(self.body(h, training=training)))
        return mean + tf.random.normal(shape=tf.shape(mean))


class Wide(layers.Layer):
    def __init__(self, widths):
        super().__init__()
        self.parts = []
        for width in widths:
            if width > 4:
                self.parts.append(layers.Dense(width))

    def call(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Gate(layers.Layer):
    def build(self, input_shape):
        channels = input_shape[-1]
        self.pool = layers.GlobalAveragePooling2D()
        self.dense = layers.Dense(channels, activation="sigmoid")
        self.reshape = layers.Reshape((1, 1, channels))

    def call(self, x):
        return layers.multiply([x, self.reshape(self.dense(self.pool(x)))])


class Flat(keras.Model):
    def __init__(self, width=8):
        super().__init__()
        self.conv = layers.Conv2D(width, 3, padding="same")
        self.flatten = layers.Flatten()
        self.out = layers.Dense(2)

    def call(self, x):
        x = self.flatten(self.conv(x))
        return self.out(x * 2.0)


class Double(layers.Layer):
    def __init__(self, filters):
        super().__init__()
        self.conv = layers.Conv2D(filters, 3, padding="same")
        self.norm = layers.BatchNormalization()

    def call(self, x, training=None):
        return tf.nn.relu(self.norm(self.conv(x), training=training))


class Unet(keras.Model):
    def __init__(self, classes=2, widths=(8, 16)):
        super().__init__()
        self.downs = [Double(width) for width in widths]
        self.pools = [layers.MaxPooling2D() for _ in widths]
        self.ups = [layers.Conv2DTranspose(width, 2, strides=2) for width in reversed(widths)]
        self.convs = [Double(width) for width in reversed(widths)]
        self.out = layers.Conv2D(classes, 1)

    def call(self, x):
        skips = []
        for down, pool in zip(self.downs, self.pools):
            x = down(x)
            skips.append(x)
            x = pool(x)
        for i, (up, conv, skip) in enumerate(zip(self.ups, self.convs, reversed(skips))):
            x = conv(tf.concat([up(x), skip], axis=-1))
        return self.out(x)


def attend(q, k, v, mask):
    scores = tf.matmul(q, k, transpose_b=True)
    if mask is not None:
        scores += mask * -1e9
    return tf.matmul(tf.nn.softmax(scores, axis=-1), v)


class Attention(layers.Layer):
    def __init__(self, dim):
        super().__init__()
        self.query = layers.Dense(dim)

    def call(self, x, mask=None):
        q = self.query(x)
        return attend(q, q, q, mask)


class Tagger(keras.Model):
    def __init__(self, words, dim, units, tags):
        super().__init__()
        self.embed = layers.Embedding(words, dim)
        self.lstm = layers.Bidirectional(layers.LSTM(units, return_sequences=True))
        self.out = layers.Dense(tags)

    def call(self, x):
        return self.out(self.lstm(self.embed(x)))
"""
CALLS = (
    "Chosen(8)(keras.Input((5,)))", "Chosen(3, 'layer', True)(keras.Input((5,)))",
    "Optional(6)(keras.Input((5,)))", "Sized()(keras.Input((5,)))", "Encoder()(keras.Input((7,)))",
    "Wide([6, 5, 7])(keras.Input((5,)))",
    "Unet()(keras.Input((16, 16, 3)))",
    "Gate()(keras.Input((8, 8, 6)))", "Flat()(keras.Input((8, 8, 3)))",
    "Attention(6)(keras.Input((5, 8)))", "Tagger(20, 6, 5, 4)(keras.Input((7,), dtype='int32'))",
)  # fmt: skip
#: What stands in the port of a unit.
PARTS = {
    "Chosen": (
        "self.norm = nn.BatchNorm1d(units, eps=1e-3, momentum=0.01) else: self.norm = nn.LayerNorm(units",
        "self.act = nn.ReLU() else: self.act = nn.Tanh()", "self.act(self.norm(self.dense(x)))",
    ),
    "Sized": ("self.out = nn.Linear((7 if is_big else 4), 2)", "self.out(self.dense(x))"),
    "Optional": ("self.norm = None", "if self.norm is not None:"),
    "Encoder": ("for width in widths:", "torch.randn_like(mean)"),
    "Wide": ("if width > 4:",),
    "Unet": (
        "for width, skip_channels in zip(reversed(widths), reversed(skips_channels)):",
        "in zip(reversed(skips), self.ups, self.convs):",
    ),
    "Gate": ("return x * torch.sigmoid(self.dense(x.mean(dim=(2, 3))))[:, :, None, None]",),
    "Flat": ("self.out = nn.Linear(64 * width, 2)",),
    "attend": ("def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:",),
    "Attention": ("return attend(q, q, q)",),
    "Tagger": ("nn.LSTM(dim, units, batch_first=True, bidirectional=True)",),
}  # fmt: skip


SQUEEZED = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Squeezed(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(4)

    def call(self, x):
        x = tf.squeeze(self.dense(x))
        return tf.reshape(x[..., 1:], (-1, 3))
"""


def test_an_unknown_number_of_axes_is_refused(tmp_path: Path) -> None:
    """It ended as a ValueError of TensorFlow's."""
    path = tmp_path / "squeezed.py"
    path.write_text(SQUEEZED)
    call = "Squeezed()(tf.keras.Input((None, 5)))"
    with pytest.raises(SourceRefused) as error:
        port_of(watched_project(SourceFile.of(path), (), [call]))
    (refusal,) = error.value.refusals
    assert refusal.line in (13, 14) and "how many axes" in refusal.why and refusal.advice


METRIC = """
import tensorflow as tf
from tensorflow import keras


class Hits(keras.metrics.Metric):
    def __init__(self):
        super().__init__()
        self.hits = self.add_weight(name="hits", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.hits.assign_add(tf.reduce_sum(y_true * y_pred))

    def result(self):
        return self.hits


def made():
    return Hits()
"""


TREE = """
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Tree(layers.Layer):
    def __init__(self, depth=2):
        super().__init__()
        self.depth = depth
        self.dense = layers.Dense(2**depth)

    def call(self, x):
        x = self.dense(x)
        start, total = 1, tf.reduce_sum(x, axis=-1)
        for level in range(self.depth):
            total = total + tf.reduce_sum(x[:, :start], axis=-1)
            start = start * 2
        return total
"""


def test_a_number_that_a_loop_changes_is_refused(tmp_path: Path) -> None:
    """It was kept as it is at the end, and the port called different."""
    path = tmp_path / "tree.py"
    path.write_text(TREE)
    with pytest.raises(SourceRefused) as error:
        port_of(watched_project(SourceFile.of(path), (), ["Tree()(keras.Input((5,)))"]))
    (refusal,) = error.value.refusals
    assert refusal.line == 17 and "start changes" in refusal.why and refusal.advice


def test_a_metric_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "metric.py"
    path.write_text(METRIC)
    with pytest.raises(SourceRefused) as error:
        port_of(watched_project(SourceFile.of(path), ["Hits"], ["made()"]), ["Hits"])
    (refusal,) = error.value.refusals
    assert refusal.line == 6 and "is a metric" in refusal.why and "a function of" in refusal.advice


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> SourcePort:
    path = tmp_path_factory.mktemp("lists") / "lists.py"
    path.write_text(dedent(TEXT))
    return port_of(watched_project(SourceFile.of(path), (), CALLS), calls=CALLS)


@pytest.mark.parametrize("name", PARTS)
def test_is_written_and_proven(port: SourcePort, name: str) -> None:
    check_unit(port, name, PARTS[name], least=2)
