"""Layer, model and loss classes, each as small as it can be: what is written, and proven."""

from __future__ import annotations

from textwrap import dedent

import pytest
from tests.source.mistakes import with_mistake

from torchport.report import side
from torchport.source import SourcePort, cases_of, module, port_of, proven, watched_project
from torchport.source.project import Project
from torchport.source.prove import Prover
from torchport.source.sites import SourceFile

TEXT = '''
import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class Mixer(layers.Layer):
    """Two layers, and a gain for each channel."""

    def __init__(self, hidden, drop=0.1, **kwargs):
        super().__init__(**kwargs)
        self.hidden = hidden
        self.drop = drop

    def build(self, input_shape):
        self.up = layers.Dense(self.hidden, activation="gelu")
        self.down = layers.Dense(input_shape[-1])
        self.gain = self.add_weight(name="gain", shape=(input_shape[-1],), initializer="ones")

    def call(self, x, training=None):
        y = self.down(self.up(x)) * self.gain
        if training:
            keep = tf.floor(1 - self.drop + tf.random.uniform((tf.shape(x)[0], 1, 1)))
            y = y * keep / (1 - self.drop)
        return x + y


class Heads(layers.Layer):
    def __init__(self, dim, heads=2):
        super().__init__()
        self.dim, self.heads = dim, heads
        self.query = layers.Dense(dim)
        self.key = layers.Dense(dim)

    def split(self, x, count):
        b, t, c = tf.shape(x)[0], tf.shape(x)[1], tf.shape(x)[2]
        x = tf.reshape(x, (b, t, count, c // count))
        return tf.transpose(x, (0, 2, 1, 3))

    def call(self, inputs):
        x, bias = inputs
        q = self.split(self.query(x), self.heads)
        k = self.split(self.key(x), self.heads)
        scores = tf.matmul(q, k, transpose_b=True) / tf.math.sqrt(tf.cast(self.dim, tf.float32))
        return tf.reduce_sum(tf.square(tf.nn.softmax(scores)), axis=[1, 2, 3]), bias


class Scaled(layers.Layer):
    def __init__(self, units, gain=2):
        super().__init__()
        self.units = units
        self.gain = gain

    def build(self, input_shape):
        start = keras.initializers.RandomNormal(stddev=0.5)
        self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer=start, name="w")
        self.scale = self.gain / input_shape[-1]

    def call(self, x):
        return tf.matmul(x, self.scale * self.w)


class Tower(layers.Layer):
    def __init__(self, widths):
        super().__init__()
        self.denses = [layers.Dense(width, activation="relu") for width in widths]
        self.mixers = []
        for _ in range(2):
            self.mixers.append(Mixer(8))
        self.last = [layers.Dense(4), layers.LayerNormalization()]

    def call(self, x):
        for dense in self.denses:
            x = dense(x)
        for i in range(2):
            x = self.mixers[i](x)
        for layer in self.last:
            x = layer(x)
        return x


class Net(keras.Model):
    def __init__(self, width=8):
        super().__init__()
        self.stem = keras.Sequential([layers.Dense(width), Mixer(4)])
        self.head = layers.Dense(3)

    def call(self, x, mask=None):
        if mask is not None:
            x = x * mask
        return self.head(self.stem(x))

    def train_step(self, data):
        return {}


class Embed(layers.Layer):
    def __init__(self, length, words, dim):
        super().__init__()
        self.token = layers.Embedding(words, dim)
        self.place = layers.Embedding(length, dim)

    def call(self, x):
        length = tf.shape(x)[-1]
        return self.token(x) + self.place(tf.range(start=0, limit=length, delta=1))


class Squares(keras.losses.Loss):
    def __init__(self, scale=0.5):
        super().__init__(name="squares")
        self.scale = scale

    def call(self, y_true, y_pred):
        return self.scale * tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)


def residual(width):
    def apply(x):
        y = layers.Dense(width)(x)
        return layers.Add()([x, y]) if x.shape[-1] == width else y

    return apply


def build_net(width=8):
    inputs = keras.Input((4,))
    x = residual(width)(inputs)
    return keras.Model(inputs, residual(width)(x))
'''
CALLS = (
    "Mixer(8)(keras.Input((5, 6)))", "Heads(8)([keras.Input((5, 6)), keras.Input((3,))])",
    "Scaled(6)(keras.Input((5,)))", "Tower([8, 6])(keras.Input((5, 6)))", "Net()(keras.Input((5, 6)))",
    "Embed(9, 20, 8)(keras.Input((7,), dtype='int32'))", "build_net()",
)  # fmt: skip
#: What stands in the port of a unit.
PARTS = {
    "Mixer": (
        "self.down = nn.Linear(hidden, in_channels)", "self.gain = nn.Parameter(torch.ones(in_channels))",
        "if self.training:\n", "torch.rand(x.shape[0], 1, 1, device=x.device)",
    ),
    "Heads": (
        "def split(self, x: Tensor, count) -> Tensor:", "x.reshape(-1, t, count, c // count)",
        "return x.transpose(1, 2)", "/ math.sqrt(self.dim)", "def forward(self, inputs: list[Tensor])",
    ),
    "Scaled": ("self.w = nn.Parameter(torch.randn(in_channels, units) * 0.5)", "x @ (self.scale * self.w)"),
    "Tower": (
        "self.denses.append(nn.Linear(x_channels, width))", "self.mixers.append(Mixer(x_channels, 8))",
        "for dense in self.denses:", "for mixer in self.mixers:",
    ),
    "Net": ("self.mixer = Mixer(width, 4)", "return self.head(self.mixer("),
    "Embed": ("nn.Embedding(length, dim)", "torch.arange(length, device=x.device)"),
    "Squares": (".mean(dim=", ").mean()"),
    "residual": ("class Residual(nn.Module):", "if self.in_channels == self.width:"),
    "build_net": ("self.residual2 = Residual(self.residual1.out_channels, width)",),
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    path = tmp_path_factory.mktemp("classes") / "classes.py"
    path.write_text(dedent(TEXT))
    return watched_project(SourceFile.of(path), (), CALLS)


@pytest.fixture(scope="module")
def port(project: Project) -> SourcePort:
    return port_of(project, calls=CALLS)


@pytest.mark.parametrize("name", PARTS)
def test_is_written_and_proven(port: SourcePort, name: str) -> None:
    unit = next(it for it in port.units if it.name == name)
    for part in PARTS[name]:
        assert part in unit.text, unit.text
    proof = port.proofs[name]
    assert len(proof.cases) >= 2 and not proof.differences


def test_what_call_does_without_is_listed(port: SourcePort) -> None:
    assert any("train_step is left out" in it for it in port.notes)


def test_both_sides_are_on_one_page(port: SourcePort) -> None:
    text = side.page(port)
    assert 'data-n="7">class Mixer(layers.Layer):' in text and "class Mixer(nn.Module):" in text
    assert (
        "activation=&quot;gelu&quot;" in text
        and "<script" not in text
        and "http" not in text.lower().replace("http-equiv", "")
    )
    left, right = (it.split("<span ") for it in text.split("<pre", 3)[1:3])
    assert len(left) == len(right), "both sides are as long"


#: A unit, a part of the port, and what stands there by mistake.
MUTANTS = [
    ("Mixer", "torch.rand(x.shape[0]", "0.5 * torch.rand(x.shape[0]"),
    ("Mixer", "* self.gain", "+ self.gain"),
    ("Mixer", "if self.training:", "if not self.training:"),
    ("Heads", "math.sqrt(self.dim)", "math.sqrt(self.heads)"),
    ("Tower", "x = mixer(x)", "mixer(x)"),
    ("Squares", ").mean()", ").sum()"),
    ("Embed", "torch.arange(length, ", "torch.arange(length - 1, -1, -1, "),
]


@pytest.mark.parametrize(("name", "right", "wrong"), MUTANTS, ids=lambda it: str(it)[:30])
def test_a_mistake_in_a_class_is_found(
    project: Project, port: SourcePort, name: str, right: str, wrong: str
) -> None:
    unit, text = with_mistake(port, name, right, wrong)
    prover = Prover(project, module.loaded(text, "mutant"))
    assert proven(prover, unit, list(cases_of(project.watched, unit))[:1]).differences
