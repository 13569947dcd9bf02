"""Kinds of functions that build models: what they are given, and names and sizes that change on the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.source.proofs import check_whole
from tests.source.test_kinds import port

CASES = {
    "a dictionary of inputs": (
        """
        def create_model(size, width):
            inputs = {
                "target": layers.Input(name="target", shape=(), dtype="int32"),
                "context": layers.Input(name="context", shape=(), dtype="int32"),
            }
            embedding = layers.Embedding(size, width)
            target = embedding(inputs["target"])
            context = layers.Dense(width)(embedding(inputs["context"]))
            return keras.Model(inputs=inputs, outputs=layers.Dot(axes=1)([target, context]))
        """,
        "create_model(10, 4)",
        ["def forward(self, target: Tensor, context: Tensor)"],
    ),
    "inputs in another order than they are made in": (
        """
        def build(width=4):
            a = keras.Input((6,))
            b = keras.Input((6,))
            x = layers.Dense(width)(a) * layers.Dense(width, activation="relu")(b)
            return keras.Model([a, b], x)
        """,
        "build()",
        ["def forward(self, a: Tensor, b: Tensor)"],
    ),
    "recurrent layers": (
        """
        def tagger(x, units, depth=2):
            for i in range(1, depth + 1):
                recurrent = layers.GRU(units=units, return_sequences=True, name=f"gru_{i}")
                x = layers.Bidirectional(recurrent, name=f"bidirectional_{i}")(x)
                if i < depth:
                    x = layers.Dropout(rate=0.5)(x)
            y = layers.LSTM(units, return_sequences=True)(x)
            return layers.Dense(2)(layers.LSTM(units * 2)(y))
        """,
        "tagger(keras.Input((5, 6)), 4)",
        [
            "nn.GRU(x_channels, units, batch_first=True, bidirectional=True)",
            "x, _ = bidirectional(x)\n",
            "y, _ = self.lstm1(x)\n",
            "x_channels = 2 * units\n",
        ],
    ),
    "a number that changes": (
        """
        def attend(x, width, heads, coefficient=2):
            _, tokens, _ = x.shape
            heads = heads * coefficient
            x = layers.Dense(width * coefficient)(x)
            x = layers.Reshape((tokens, heads, width * coefficient // heads))(x)
            return layers.Permute((2, 1, 3))(x)
        """,
        "attend(keras.Input((5, 8)), 8, 2)",
        ["heads = heads * coefficient\n", "self.heads = heads\n", "tokens, self.heads,"],
    ),
    "a list of tensors for a factory": (
        """
        def residual(width):
            def apply(inputs):
                x, t = inputs
                return layers.Conv2D(width, 3, padding="same")(x) + layers.Dense(width)(t)[:, None, None, :]

            return apply


        def build(width=4):
            image = keras.Input((8, 8, 3))
            time = keras.Input((6,))
            x = residual(width)([image, time])
            return keras.Model([image, time], residual(width * 2)([x, time]))
        """,
        "build()",
        ["self.residual2([x, time])"],
    ),
    "a size that has a default": (
        """
        def build_head(outputs, depth=2):
            head = keras.Sequential([keras.Input((6,))])
            for _ in range(depth):
                head.add(layers.Dense(8))
            head.add(layers.Dense(outputs))
            return head


        class Net(layers.Layer):
            def __init__(self, outputs):
                super().__init__()
                self.boxes = build_head(outputs)
                self.classes = build_head(outputs, depth=3)

            def call(self, x):
                return self.boxes(x) + self.classes(x)
        """,
        "Net(4)(keras.Input((6,)))",
        ["Head(outputs, in_channels=in_channels)", "Head(outputs, depth=3, in_channels=in_channels)"],
    ),
    "an index of sizes": (
        """
        def total_variation(x):
            height = tf.shape(x)[1]
            rows = x[:, 1:, :, :] - x[:, : height - 1, :, :]
            return tf.reduce_sum(tf.square(rows)) / tf.cast(height, tf.float32)
        """,
        "total_variation(tf.ones((2, 8, 6, 3)))",
        ["x[:, :, : height - 1]"],
    ),
    "a branch that a text of the source leads to": (
        """
        def encoder(x, width, kind="mlp"):
            y = layers.LayerNormalization()(x)
            if kind == "mlp":
                y = layers.Dense(width)(y)
            elif kind == "attention":
                y = layers.MultiHeadAttention(num_heads=2, key_dim=width)(y, y)
            return layers.add([x, y])
        """,
        "encoder(keras.Input((5, 8)), 8)",
        [
            'elif kind == "attention":\n            self.multi_head_attention',
            'elif self.kind == "attention":',
        ],
    ),
    "a list that begins with a tensor": (
        """
        def unet(width=4, depth=2):
            inputs = keras.Input((8, 8, 3))
            x = layers.Conv2D(width, 3, padding="same")(inputs)
            skips = [x]
            for _ in range(depth):
                x = layers.Conv2D(width * 2, 3, padding="same")(x)
                skips.append(x)
            for _ in range(depth + 1):
                x = layers.Concatenate()([x, skips.pop()])
                x = layers.Conv2D(width, 3, padding="same")(x)
            return keras.Model(inputs, x)
        """,
        "unet()",
        ["skips_channels = [width]\n", "skips = [x]\n"],
    ),
    "nothing that can be another": (
        """
        def generator():
            # the size of the noise
            unused = 5 * 2
            noise = keras.Input((5,))
            x = layers.Reshape((2, 2, 4))(layers.Dense(2 * 2 * 4)(noise))
            return keras.Model(noise, layers.Conv2D(3, 1)(x))
        """,
        "generator()",
        ["super().__init__()\n        self.fc = nn.Linear(in_channels, 2 * 2 * 4)"],
    ),
    "a regulariser of the author's": (
        """
        class Small(keras.regularizers.Regularizer):
            def __call__(self, x):
                return tf.reduce_sum(tf.square(x))


        def project(x, n):
            return layers.Dense(n * n, activity_regularizer=Small(), kernel_regularizer="l2")(x)
        """,
        "project(keras.Input((5,)), 3)",
        ["nn.Linear(in_channels, n * n)"],
    ),
    "a text that is right for what it was": (
        """
        def conv_bn(x, filters, rows, columns, padding="same", strides=(1, 1), activation="relu", name=None):
            x = layers.Conv2D(filters, (rows, columns), strides=strides, padding=padding)(x)
            x = layers.BatchNormalization(axis=3, scale=False)(x)
            if activation is None:
                return x
            return layers.Activation(activation, name=name)(x)


        def both(x, filters=4):
            x = conv_bn(x, filters, 1, 1, activation=None)
            return conv_bn(x, filters, 3, 3)
        """,
        "both(keras.Input((8, 8, 3)))",
        [
            "same_pad(x, [self.rows, self.columns], self.strides)",
            'if activation not in (None, "relu"):\n            raise NotImplementedError(activation)',
        ],
    ),
    "settings of Keras": (
        """
        from tensorflow.keras import backend as K


        def block(x, filters, block_id=1):
            axis = 1 if K.image_data_format() == "channels_first" else -1
            prefix = "block_{}_".format(block_id)
            channels = K.int_shape(x)[axis]
            x = layers.Conv2D(filters * channels, 1, name=prefix + "conv")(x)
            return layers.BatchNormalization(axis=axis, epsilon=K.epsilon(), name=prefix + "bn")(x)
        """,
        "block(keras.Input((4, 4, 3)), 2)",
        [
            "nn.Conv2d(in_channels, filters * channels, 1)",
            "def __init__(self, in_channels: int, filters: int)",
        ],
    ),
    "a type of numbers that the author says": (
        """
        def head(shape=(6,), classes=3):
            inputs = keras.Input(shape, dtype=tf.float32)
            x = layers.Dense(8, activation="relu")(inputs)
            x = layers.Dense(classes)(layers.BatchNormalization()(x))
            return keras.Model(inputs, layers.Activation("softmax", dtype="float32")(x))
        """,
        "head()",
        ["return F.softmax(x, dim=1)"],
    ),
    "an open size that an argument has": (
        """
        def points(count=6, classes=3):
            inputs = keras.Input((None, 3))
            x = layers.Dense(4)(inputs)
            whole = layers.RepeatVector(count)(layers.GlobalMaxPooling1D()(x))
            return keras.Model(inputs, layers.Dense(classes)(layers.Concatenate()([x, whole])))
        """,
        "points()",
        ["torch.cat("],
    ),
    "rows behind Flatten that arguments make more": (
        """
        def network(blocks=(2, 2), classes=5):
            inputs = keras.Input((16, 16, 3))
            x = layers.Conv2D(4, 3, padding="same")(inputs)
            for count in blocks:
                for _ in range(count):
                    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
                x = layers.MaxPooling2D()(x)
            return keras.Model(inputs, layers.Dense(classes, activation="softmax")(layers.Flatten()(x)))
        """,
        "network()",
        ["nn.LazyLinear(classes)"],
    ),
    "rows behind Flatten that have a text": (
        """
        def encoder(width=4, size=6):
            inputs = keras.Input((8, 8, 3))
            x = layers.Conv2D(2 * width, 3, strides=2, padding="same")(inputs)
            x = layers.Dropout(0.2)(layers.Flatten()(x))
            return keras.Model(inputs, [layers.Dense(size)(x), layers.Dense(size)(x)])
        """,
        "encoder()",
        ["nn.Linear(16 * (2 * width), size)"],
    ),
    "patches of keras.ops": (
        """
        class Patches(layers.Layer):
            def __init__(self, size):
                super().__init__()
                self.size = size

            def call(self, images):
                count, height, width, channels = keras.ops.shape(images)
                patches = keras.ops.image.extract_patches(images, size=self.size)
                rows = (height // self.size) * (width // self.size)
                return keras.ops.reshape(patches, (count, rows, self.size * self.size * channels))


        class Encoder(layers.Layer):
            def __init__(self, count, width):
                super().__init__()
                self.count = count
                self.embedding = layers.Embedding(count, width)

            def call(self, x):
                places = keras.ops.expand_dims(keras.ops.arange(start=0, stop=self.count, step=1), axis=0)
                return x + self.embedding(places)


        def build(size=4):
            images = keras.Input((8, 8, 3))
            return keras.Model(images, Encoder(4, 48)(Patches(size)(images)))
        """,
        "build()",
        [
            "extract_patches(images, (self.size, self.size), (self.size, self.size))",
            "torch.arange(self.count,",
        ],
    ),
    "options that fix each other": (
        """
        def up(x, filters, kernel_size=3, strides=2):
            x = layers.Conv2DTranspose(filters, kernel_size, strides=strides, padding="same")(x)
            return layers.ReLU()(x)
        """,
        "up(keras.Input((4, 4, 3)), 4)",
        ["nn.ConvTranspose2d(in_channels, filters, 3, stride=2)"],
    ),
    "a wrapper's options": (
        """
        def frames(x, units):
            x = layers.TimeDistributed(layers.Dense(units, activation="relu"))(x)
            return layers.TimeDistributed(layers.Dense(units * 2))(x)
        """,
        "frames(keras.Input((5, 6)), 4)",
        ["nn.Linear(in_channels, units)", "nn.Linear(units, units * 2)"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_builder(tmp_path: Path, case: str) -> None:
    text, call, shown = CASES[case]
    found = port(tmp_path, text, call)
    check_whole(found, shown)


def test_pixels_of_one_channel_or_more(tmp_path: Path) -> None:
    """F.pixel_shuffle is right for one channel alone: torch has the channels outermost."""
    found = port(
        tmp_path,
        """
        class Up(layers.Layer):
            def __init__(self, factor=2, channels=1):
                super().__init__()
                self.factor = factor
                self.conv = layers.Conv2D(channels * (factor**2), 3, padding="same")

            def call(self, x):
                return tf.nn.depth_to_space(self.conv(x), self.factor)
        """,
        "Up()(keras.Input((4, 4, 3)))",
    )
    assert "depth_to_space(self.conv(x), self.factor)" in found.code
