"""Styles of other people's code, each as small as it can be: generators, patches, samplers, shared heads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.mistakes import with_mistake
from tests.source.test_kinds import port

from torchport.source import SourceRefused, cases_of, module, proven, watched_project
from torchport.source.prove import Prover


def test_an_image_that_a_reshape_makes_enters_a_loop_as_images_are(tmp_path: Path) -> None:
    """A generator: the reshape gives channels last, each turn of the loop takes channels first."""
    found = port(
        tmp_path,
        """
        def generator(width=4, depth=2):
            noise = keras.Input((5,))
            x = layers.Dense(2 * 2 * width)(noise)
            x = layers.Reshape((2, 2, width))(x)
            for _ in range(depth):
                x = layers.Conv2DTranspose(width, 4, strides=2, padding="same", use_bias=False)(x)
                x = layers.ReLU()(x)
            return keras.Model(noise, layers.Conv2D(3, 1)(x))
        """,
        "generator()",
    )
    assert "permute(0, 3, 1, 2)\n" in found.code


def test_the_number_of_examples_and_an_open_size_in_one_reshape(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Rows(layers.Layer):
            def call(self, images):
                examples = tf.shape(images)[0]
                return tf.reshape(images, [examples, -1, images.shape[-1]])
        """,
        "Rows()(keras.Input((4, 4, 3)))",
    )
    assert len(found.proofs["Rows"].cases) > 2


def test_one_function_for_tensors_of_several_ranks(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def mlp(x, widths, rate):
            for width in widths:
                x = layers.Dense(width, activation="gelu")(x)
                x = layers.Dropout(rate)(x)
            return x

        def build(tokens=4, size=6):
            inputs = keras.Input((tokens, size))
            x = mlp(inputs, [8, size], 0.1)
            x = layers.GlobalAveragePooling1D()(x + inputs)
            return keras.Model(inputs, mlp(x, [5, 3], 0.2))
        """,
        "build()",
    )
    shapes = {len(it.shapes[0]) for it in found.proofs["mlp"].cases}
    assert shapes == {2, 3}
    assert found.code.count("class Mlp(") == 1


def test_a_function_that_would_be_two_for_two_ranks(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="tensors of 2 and of 4 axes, and would be two functions"):
        port(
            tmp_path,
            """
            def norm(x):
                return layers.BatchNormalization()(x)
            """,
            "norm(keras.Input((4,)))",
            "norm(keras.Input((4, 4, 3)))",
        )


def test_a_number_of_tensorflows_is_as_exact_as_that_of_math(tmp_path: Path) -> None:
    """The reference made float32 of it: a right port was called wrong."""
    found = port(
        tmp_path,
        """
        class Equalized(layers.Layer):
            def __init__(self, units, gain=2, **kwargs):
                super().__init__(**kwargs)
                self.units = units
                self.gain = gain

            def build(self, shape):
                self.w = self.add_weight(shape=(shape[-1], self.units), initializer="ones")
                self.scale = tf.sqrt(self.gain / shape[-1])

            def call(self, x):
                return tf.matmul(x, self.scale * self.w)
        """,
        "Equalized(4)(keras.Input((7,)))",
    )
    assert "self.scale = math.sqrt(" in found.code


def test_draws_are_those_of_the_source_in_every_digit(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Sampler(layers.Layer):
            def call(self, inputs):
                mean, spread = inputs
                noise = tf.random.normal(shape=(tf.shape(mean)[0], tf.shape(mean)[1]))
                return mean + tf.exp(0.5 * spread) * noise
        """,
        "Sampler()([keras.Input((6,)), keras.Input((6,))])",
    )
    assert "torch.randn(" in found.code


def test_a_layer_that_is_an_argument_is_made_again_for_the_proof(tmp_path: Path) -> None:
    """It was made in float32, and computes in that."""
    found = port(
        tmp_path,
        """
        def block(x, width, activation):
            return activation(layers.Dense(width)(x))

        def build(width=4):
            inputs = keras.Input((3,))
            return keras.Model(inputs, block(inputs, width, layers.LeakyReLU(0.3)))
        """,
        "build()",
    )
    assert "0.3)" in found.code


def test_a_name_that_is_doubled_in_place(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def build(width=4, depth=3):
            inputs = keras.Input((5,))
            x = inputs
            for _ in range(depth):
                width *= 2
                x = layers.Dense(width)(x)
            return keras.Model(inputs, x)
        """,
        "build()",
    )
    assert "width = width * 2" in found.code or "width *= 2" in found.code


def test_slices_beside_sizes_of_the_class(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Head(layers.Layer):
            def __init__(self, count, **kwargs):
                super().__init__(**kwargs)
                self.count = count

            def call(self, x):
                return x[:, : self.count], x[:, None, 0]
        """,
        "Head(2)(keras.Input((5, 4)))",
    )
    assert "x[:, :self.count]" in found.code.replace("[:, : self", "[:, :self")


def test_layers_that_the_author_names_as_keras_would(tmp_path: Path) -> None:
    """Names are counted from the start in each run, as in the author's own."""
    found = port(
        tmp_path,
        """
        def build(width=4):
            inputs = keras.Input((5,))
            x = layers.Dense(width, name="dense_1")(inputs)
            return keras.Model(inputs, layers.Dense(2)(x))
        """,
        "build()",
    )
    assert len(found.proofs["build"].cases) > 1


def test_an_argument_of_a_call_may_be_called_as_ours_are(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Mix(layers.Layer):
            def __init__(self, heads, size, **kwargs):
                super().__init__(**kwargs)
                self.attention = layers.MultiHeadAttention(heads, size)

            def call(self, x):
                return self.attention(query=x, value=x, key=x)
        """,
        "Mix(2, 4)(keras.Input((5, 8)))",
    )
    assert len(found.proofs["Mix"].cases) > 2


def test_a_call_of_the_script_that_fails_is_left_out(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def show(path):
            return open(path).read()

        def build(width=4):
            inputs = keras.Input((5,))
            return keras.Model(inputs, layers.Dense(width)(inputs))

        print(show("no such file"))
        model = build()
        """,
        partial=True,
    )
    assert [it.name for it in found.units] == ["build"]


def test_a_name_that_is_a_number_and_then_a_table(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class TimeEmbedding(layers.Layer):
            def __init__(self, dim, **kwargs):
                super().__init__(**kwargs)
                self.half = dim // 2
                self.scale = math.log(10000) / (self.half - 1)
                self.scale = tf.exp(tf.range(self.half, dtype=tf.float32) * -self.scale)

            def call(self, x):
                x = tf.cast(x, tf.float32)
                angles = x[:, None] * self.scale[None, :]
                return tf.concat([tf.sin(angles), tf.cos(angles)], axis=-1)
        """.replace("math.log(10000)", "9.2"),
        "TimeEmbedding(8)(keras.Input((), dtype='int64'))",
    )
    assert len(found.proofs["TimeEmbedding"].cases) > 1


def test_a_threshold_that_is_a_whole_number_keeps_its_name(tmp_path: Path) -> None:
    """`d < 1` was written for `d < self.delta`, right for one delta alone."""
    found = port(
        tmp_path,
        """
        class Huber(keras.losses.Loss):
            def __init__(self, delta, power):
                super().__init__(reduction="none")
                self.delta = delta
                self.power = power

            def call(self, y_true, y_pred):
                d = tf.abs(y_true - y_pred)
                loss = tf.where(tf.less(d, self.delta), 0.5 * d, d - 0.5)
                return tf.reduce_sum(tf.pow(loss, self.power), axis=-1)
        """,
        "Huber(1.0, 2.0)(tf.ones((2, 3)), tf.zeros((2, 3)))",
    )
    assert "d < self.delta" in found.code and "loss**self.power" in found.code


def test_a_shape_as_a_list(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        def attention(x):
            sizes = list(x.shape)
            y = layers.GlobalAveragePooling2D()(x)
            y = layers.Reshape((1, 1, sizes[-1]))(y)
            y = layers.Conv2D(sizes[-1] // 2, 1, activation="relu")(y)
            return x * layers.Conv2D(sizes[-1], 1, activation="sigmoid")(y)
        """,
        "attention(keras.Input((4, 4, 8)))",
    )
    assert "nn.Conv2d(in_channels, in_channels // 2, 1)" in found.code


def test_a_tensor_that_is_changed_in_place(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Centred(layers.Layer):
            def call(self, inputs):
                inputs -= tf.reduce_mean(inputs, axis=-1, keepdims=True)
                return tf.nn.relu(inputs)
        """,
        "Centred()(keras.Input((5,)))",
    )
    assert len(found.proofs["Centred"].cases) > 1


def test_the_number_of_axes_has_a_name(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class DropPath(layers.Layer):
            def __init__(self, rate, **kwargs):
                super().__init__(**kwargs)
                self.rate = rate

            def call(self, x):
                examples = tf.shape(x)[0]
                rank = len(x.shape)
                shape = (examples,) + (1,) * (rank - 1)
                return x * tf.floor(1 - self.rate + tf.random.uniform(shape))
        """,
        "DropPath(0.2)(keras.Input((5, 4)))",
    )
    assert "torch.rand(" in found.code


def test_a_weight_that_begins_with_a_number(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Scale(layers.Layer):
            def __init__(self, start, width, **kwargs):
                super().__init__(**kwargs)
                self.gamma = tf.Variable(start * tf.ones((width,)))

            def call(self, x):
                return x * self.gamma
        """,
        "Scale(0.1, 4)(keras.Input((4,)))",
    )
    assert "nn.Parameter(start * torch.ones(width))" in found.code


def test_an_image_that_is_made_larger_between_its_pixels(tmp_path: Path) -> None:
    """TensorFlow's kernel is float32: the reference computes it in float64."""
    found = port(
        tmp_path,
        """
        def enlarge(x):
            return layers.UpSampling2D(2, interpolation="bilinear")(x)
        """,
        "enlarge(keras.Input((3, 5, 2)))",
    )
    assert found.proofs["enlarge"].worst < 1e-12


def test_a_branch_of_training_that_asks_for_more_than_a_symbol_knows(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class DropPath(layers.Layer):
            def __init__(self, rate, **kwargs):
                super().__init__(**kwargs)
                self.rate = rate

            def call(self, x, training=None):
                if training:
                    shape = (tf.shape(x)[0],) + (1,) * (len(tf.shape(x)) - 1)
                    return x * tf.floor(1 - self.rate + tf.random.uniform(shape, 0, 1))
                return x
        """,
        "DropPath(0.2)(keras.Input((5, 4)), training=False)",
    )
    assert "if self.training:" in found.code and "torch.rand(" in found.code


def test_a_default_of_the_port_is_proven(tmp_path: Path) -> None:
    """All arguments were said to it: another default passed."""
    found = port(
        tmp_path,
        """
        def head(x, width, scale=3):
            return layers.Dense(width * scale)(x)
        """,
        "head(keras.Input((5,)), 2)",
    )
    project = watched_project(found.source, (), found.calls)
    unit, text = with_mistake(found, "head", "scale: int = 3", "scale: int = 4")
    project.unit("head")
    prover = Prover(project, module.loaded(text, "mistake"))
    assert proven(prover, unit, list(cases_of(project.watched, unit))).differences


def test_complex_numbers_are_double_too(tmp_path: Path) -> None:
    found = port(
        tmp_path,
        """
        class Mix(layers.Layer):
            def call(self, x):
                return tf.cast(tf.signal.fft2d(tf.cast(x, tf.complex64)), tf.float32)
        """,
        "Mix()(keras.Input((4, 6)))",
    )
    assert found.proofs["Mix"].worst < 1e-12
