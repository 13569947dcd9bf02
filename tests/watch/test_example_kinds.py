"""What layers of public examples do that was refused, that crashed the proof, or that it called wrong."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

pytestmark = pytest.mark.filterwarnings("ignore")
L = tf_keras.layers


class Attention(L.Layer):
    """A local variable has the name of a layer of the class: what the layer gives is another tensor."""

    def __init__(self, width, **options):
        super().__init__(**options)
        self.query, self.key, self.proj = L.Dense(width), L.Dense(width), L.Dense(width)

    def call(self, x):
        scores = tf.nn.softmax(tf.matmul(self.query(x), self.key(x), transpose_b=True))
        proj = tf.matmul(scores, x)
        proj = self.proj(proj)
        return x + proj


class Fourier(L.Layer):
    """Complex numbers by the class's own word, which are double where the model is."""

    def call(self, x):
        return x + tf.cast(tf.signal.fft2d(tf.cast(x, tf.complex64)), tf.float32)


class Neighbours(L.Layer):
    """Takes rows of its argument: their gradient is one of slices."""

    def call(self, x):
        return tf.gather(x, [2, 0, 1, 1], axis=1)


class Tree(tf_keras.Model):
    """No functional model stands for it: it has a variable of its own."""

    def __init__(self, leaves=4, **options):
        super().__init__(**options)
        self.leaves = tf.Variable(tf.random.normal((leaves, 3)), name="leaves", trainable=True)
        self.route = L.Dense(leaves, activation="sigmoid")

    def call(self, x):
        return tf.matmul(self.route(x), self.leaves)


class Scaled(L.Layer):
    """Keras 2 makes its configuration of the arguments: no name is in it."""

    def __init__(self, width, rate=2.0):
        super().__init__()
        self.dense, self.rate = L.Dense(width), rate

    def call(self, x):
        return self.rate * self.dense(x)


class Forest(tf_keras.Model):
    """Models in a list, and a Sequential of the user's own layers."""

    def __init__(self):
        super().__init__()
        self.trees = [Tree() for _ in range(2)]
        self.stem = tf_keras.Sequential([Scaled(5), Scaled(6, 0.5)])

    def call(self, x):
        x = self.stem(x)
        return self.trees[0](x) - self.trees[1](x)


class Measured(L.Layer):
    """Gives a size before the tensor."""

    def call(self, x):
        return tf.shape(x)[1], tf.transpose(x, (0, 2, 1)) * 2.0


class Divided(L.Layer):
    def call(self, x, size):
        return x / tf.cast(size, x.dtype)


class Residual(L.Layer):
    """Batch normalisation of images, whose kernel is of float32 alone; layers that `call` makes."""

    def __init__(self, filters):
        super().__init__()
        self.conv, self.norm = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()
        self.shortcut = lambda x: x

    def call(self, x, training=None):
        y = self.norm(self.conv(x), training=training)
        return tf.nn.relu(L.add([self.shortcut(x), y])) * tf.math.sqrt(0.3) / tf.sqrt(tf.constant(0.7))


class Windows(L.Layer):
    """A mask that is a variable, handed to the layer that attends."""

    def __init__(self):
        super().__init__()
        self.inner = Masked()

    def build(self, shape):
        mask = np.triu(np.full((shape[1], shape[1]), -9.0, "float32"), 1)
        self.mask_table = tf.Variable(mask, trainable=False, name="mask")

    def call(self, x):
        return self.inner(x, table=self.mask_table)


class Masked(L.Layer):
    def __init__(self):
        super().__init__()
        self.key = L.Dense(6)

    def call(self, x, table=None):
        scores = tf.matmul(self.key(x), x, transpose_b=True)
        return tf.matmul(tf.nn.softmax(scores + tf.cast(table, scores.dtype)), x)


def windows() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, Windows()(x))


def checked(call: Any) -> Any:
    """A decorator that is put around the `call` of an object: it holds the object's own method."""

    @functools.wraps(call)
    def inner(inputs, **options):
        return call([tf.identity(it) for it in inputs], **options)

    return inner


class Graphs(L.Layer):
    def __init__(self, rate=0.2, **options):
        super().__init__(**options)
        self.rate = rate
        self.call = checked(self.call)

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[0][-1], 6))
        self.drop = L.Dropout(0.3, dtype=self.dtype)
        self.mlp = tf_keras.Sequential([L.Dense(6, dtype=self.dtype)])
        self.built = True

    def call(self, inputs, mask=None):
        x, edges = inputs
        x = tf_keras.backend.dot(x, self.kernel)
        return self.drop(tf.matmul(edges, self.mlp(x)) * (1 - self.rate) + self.rate * x)


def graphs() -> Any:
    x, edges = tf_keras.Input((5, 4)), tf_keras.Input((5, 5))
    return tf_keras.Model([x, edges], Graphs()([x, edges]))


def residual() -> Any:
    x = tf_keras.Input((6, 5, 3))
    return tf_keras.Model(x, Residual(3)(x))


def chain() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, Fourier()(Attention(6)(Neighbours()(x))))


def forest() -> Any:
    model = Forest()
    model(np.zeros((2, 7), "float32"))
    return model


def measured() -> Any:
    x = tf_keras.Input((5, 6))
    _, y = Measured()(x)
    return tf_keras.Model(x, L.Dense(3)(y))


@pytest.mark.parametrize(
    "build", [chain, forest, graphs, measured, residual, windows], ids=lambda it: str(it.__name__)
)
def test_ports_and_is_not_called_wrong(build: Any) -> None:
    tf_keras.utils.set_random_seed(3)
    model = build()
    port = torchport.convert(model)
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"
    assert not any("does not run this model in float64" in it for it in result.notes)


def test_a_size_that_another_layer_reads_is_refused() -> None:
    """In a functional model; before, the tensor behind it was taken in its place, or none was found."""
    x = tf_keras.Input((5, 6))
    size, y = Measured()(x)
    with pytest.raises(Refused, match="it gives the size of a tensor"):
        torchport.convert(tf_keras.Model(x, Divided()(y, size)))


class Inner(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.dense = L.Dense(6)

    def call(self, x):
        hidden = tf.nn.relu(self.dense(x))
        centre = tf.reduce_mean(hidden, 1, keepdims=True)
        return hidden * centre + centre


class Outer(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.inner = Inner()

    def call(self, x):
        return tf.tanh(self.inner(x))


def test_names_of_variables_in_a_layer_of_a_layer() -> None:
    x = tf_keras.Input((5, 6))
    code = torchport.convert(tf_keras.Model(x, Outer()(x))).code
    assert "hidden = F.relu(self." in code


class Heads(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.qkv = L.Dense(18)

    def call(self, x):
        q, k, v = tf.split(self.qkv(x), 3, axis=-1)
        return tf.matmul(tf.nn.softmax(tf.matmul(q, k, transpose_b=True)), v)


def test_each_of_several_results_has_its_name() -> None:
    x = tf_keras.Input((5, 6))
    code = torchport.convert(tf_keras.Model(x, Heads()(x))).code
    assert "q, k, v = self.qkv(x).chunk(3, dim=2)" in code


class Chosen(L.Layer):
    """A table of numpy's, which two functions read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.chosen = np.eye(6, dtype="float32")[[0, 2, 3]]

    def call(self, x):
        y = tf.matmul(x, self.chosen, transpose_b=True)
        return tf.matmul(tf.tanh(y), self.chosen)


def test_a_table_has_the_name_of_its_attribute() -> None:
    x = tf_keras.Input((5, 6))
    model = tf_keras.Model(x, Chosen()(x))
    port = torchport.convert(model)
    assert port.code.count("self.chosen = nn.Buffer(torch.zeros(3, 6)") == 1, port.code
    assert torchport.verify(model, port, **QUICK).passed


class Cell(L.Layer):
    """A cell of a recurrent layer, of one's own."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.state_size = self.output_size = units
        self.mix = L.Dense(units, activation="tanh")

    def call(self, x, states):
        h = self.mix(tf.concat([x, states[0]], -1))
        return h, [h]


class Stepwise(L.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.cell = Cell(4)

    def call(self, x):
        h = tf.zeros((tf.shape(x)[0], 4))
        outputs = []
        for t in range(x.shape[1]):
            y, [h] = self.cell(x[:, t], [h])
            outputs.append(y)
        return tf.stack(outputs, 1)


@pytest.mark.parametrize("layer", [lambda: L.RNN(Cell(4)), Stepwise], ids=["RNN", "step by step"])
def test_a_cell_of_ones_own(layer: Callable[[], Any]) -> None:
    x = tf_keras.Input((3, 6))
    model = tf_keras.Model(x, layer()(x))
    port = torchport.convert(model)
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"


class Stack(tf_keras.Model):
    """Made of layers alone, which Keras calls dense, dense_1, layer_normalization."""

    def __init__(self):
        super().__init__()
        self.cell, self.heads = L.Dense(6, activation="tanh"), {"left": L.Dense(2), "right": L.Dense(3)}
        self.norms = [L.LayerNormalization() for _ in range(2)]

    def call(self, x):
        for norm in self.norms:
            x = norm(x + self.cell(x))
        return {name: head(x) for name, head in self.heads.items()}


def test_attributes_of_a_model_are_names_of_modules() -> None:
    model = Stack()
    model(np.zeros((2, 6), "float32"))
    port = torchport.convert(model)
    for name in ("cell", "heads_left", "heads_right", "norms_0", "norms_1"):
        assert f"self.{name} = nn." in port.code, port.code
    assert torchport.verify(model, port, **QUICK).passed


class Graded(L.Layer):
    """Sums over edges of a graph, whose rows are no samples: numbers of all rows are counted as one."""

    def call(self, inputs):
        nodes, edges = inputs
        scores = tf.exp(tf.reduce_mean(tf.gather(nodes, edges[:, 0]) * tf.gather(nodes, edges[:, 1]), -1))
        count = tf.math.bincount(tf.cast(edges[:, 0], tf.int32))
        return tf.reduce_sum(scores) * tf.cast(count, scores.dtype)


class Messages(L.Layer):
    """Nodes and edges of a graph: each has as many rows as it has."""

    def call(self, inputs):
        nodes, edges = inputs
        pairs = tf.reshape(tf.gather(nodes, edges), (tf.shape(edges)[0], -1))
        weights = tf.sigmoid(tf.reduce_sum(pairs, -1, keepdims=True))
        messages = tf.gather(nodes, edges[:, 1]) * weights
        return tf.math.unsorted_segment_sum(messages, edges[:, 0], num_segments=tf.shape(nodes)[0])


class Folded(L.Layer):
    """Steps become rows."""

    def call(self, x):
        return tf.reshape(x, (-1, x.shape[-1]))


class Spread(L.Layer):
    def call(self, inputs):
        x, rows = inputs
        return tf.reduce_mean(x) + tf.zeros((tf.shape(rows)[0], 2)) + tf.zeros((tf.shape(x)[0], 1, 1))


class Growing(L.Layer):
    """A list and a dictionary that change after they were handed over."""

    def __init__(self, **options):
        super().__init__(**options)
        left, right = tf_keras.Input((5, 6)), tf_keras.Input((5, 6))
        inputs = {"right": right, "left": left}
        self.mix = tf_keras.Model(inputs, L.Dense(6)(left) * tf.tanh(right))

    def call(self, x):
        parts, pair = [x], {"right": tf.nn.relu(x), "left": x}
        for _ in range(2):
            parts.append(tf.reduce_max(tf.concat(parts, axis=-1), -1, keepdims=True) + x)
            pair["left"] = self.mix(pair)
        return tf.concat(parts, axis=-1)[..., :6] + pair["left"]


class Placed(L.Layer):
    """Numbers for a batch of one size."""

    def __init__(self, count, **options):
        super().__init__(**options)
        self.count, self.dense = count, L.Dense(4)

    def call(self, x):
        x = tf.reshape(x, [self.count, 6])
        return tf.cumsum(self.dense(x), axis=0) * tf.random.uniform(x.shape[:1])[:1]


class Tinted(L.Layer):
    """A matrix for each sample: the identity of a size, in as many as there are samples."""

    def call(self, x):
        eye = tf.eye(6, batch_shape=[tf.shape(x)[0]])
        return tf.matmul(x, eye * tf.reduce_mean(x, [1, 2])[:, None, None] + 1.0)


class Repeats(L.Layer):
    """Chains of the very same layers: one that is called twice."""

    def __init__(self, **options):
        super().__init__(**options)
        block = [L.Dense(6, activation="tanh"), Inner()]
        self.blocks = [tf_keras.Sequential(block) for _ in range(3)]

    def call(self, x):
        for block in self.blocks:
            x = L.add([block(x), x])
        return x


prepare = tf_keras.Sequential([L.Normalization(), L.Dense(6, name="expand")])


class Prepared(tf_keras.Model):
    """Calls layers of its module's, which are no part of it: they do not train."""

    def __init__(self):
        super().__init__()
        self.head = L.Dense(3)

    def call(self, x):
        return self.head(prepare(x))


def graded() -> Any:
    nodes, edges = tf_keras.Input((6,)), tf_keras.Input((2,), dtype="int32")
    return tf_keras.Model([nodes, edges], Graded()([nodes, edges]))


def messages() -> Any:
    nodes, edges = tf_keras.Input((6,)), tf_keras.Input((2,), dtype="int32")
    return tf_keras.Model([nodes, edges], Messages()([nodes, edges]))


def folded() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, Spread()([x, Folded()(x)]))


def growing() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, Growing()(x))


def batched() -> Any:
    x = tf_keras.Input((3, 6), 4)
    return tf_keras.Model(x, Placed(12)(x))


def tinted() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, Tinted()(x))


def repeated() -> Any:
    x = tf_keras.Input((5, 6))
    return tf_keras.Model(x, L.Dense(2)(Repeats()(x)))


def prepared() -> Any:
    model = Prepared()
    prepare.layers[0].adapt(np.random.default_rng(0).normal(size=(20, 6)))
    model(np.zeros((2, 6), "float32"))
    return model


@pytest.mark.parametrize(
    "build",
    [graded, messages, folded, growing, batched, tinted, repeated, prepared],
    ids=lambda it: str(it.__name__),
)
def test_more_kinds(build: Any) -> None:
    """Before, of nodes and edges, and of steps that were folded, the size of the wrong one was taken."""
    tf_keras.utils.set_random_seed(3)
    model = build()
    port = torchport.convert(model)
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"


def test_layers_of_the_module_do_not_train() -> None:
    """Keras trains what is an attribute of the model. Before, such layers were refused."""
    code = torchport.convert(prepared()).code
    assert code.count("requires_grad_(False)") == 1, code


def test_rows_of_several_inputs() -> None:
    """Each input has as many as it has: a size of one is not that of another."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(6, 6)).astype("float32"), rng.integers(0, 6, size=(9, 2)).astype("int32")]
    model = messages()
    port = torchport.convert(model)
    assert torchport.verify(model, port, inputs=arrays, **QUICK).passed, port.code


augment = tf_keras.Sequential([L.Dropout(0.5), L.Dense(6)])


class Augmented(Prepared):
    def call(self, x):
        return self.head(augment(x))


def test_layers_of_the_module_that_draw_are_refused() -> None:
    """Keras does not know them as the model's: their draws cannot be held to the port's."""
    model = Augmented()
    model(np.zeros((2, 6), "float32"))
    with pytest.raises(Refused, match="augment, a layer of the module's, .*\\n.* self.augment = augment"):
        torchport.convert(model)
