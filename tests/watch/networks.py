"""Networks of people's own layers whose programs are golden files: read as a reviewer reads them."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
import tf_keras

L = tf_keras.layers


class PatchEncoder(L.Layer):
    """Cuts an image into patches; adds a token of the class, and vectors of the places."""

    def __init__(self, size, width, **options):
        super().__init__(**options)
        self.size, self.width = size, width
        self.projection = L.Conv2D(width, size, strides=size)

    def build(self, shape):
        count = (shape[1] // self.size) * (shape[2] // self.size)
        self.token = self.add_weight(name="token", shape=(1, 1, self.width), initializer="zeros")
        self.places = self.add_weight(name="places", shape=(1, count + 1, self.width))
        super().build(shape)

    def call(self, images):
        batch = tf.shape(images)[0]
        patches = self.projection(images)
        patches = tf.reshape(patches, (batch, -1, self.width))
        token = tf.tile(self.token, (batch, 1, 1))
        return tf.concat([token, patches], axis=1) + self.places


class StochasticDepth(L.Layer):
    """Leaves a branch out, of some images in training."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.rate = rate

    def call(self, x, training=None):
        if training:
            keep = 1 - self.rate
            shape = (tf.shape(x)[0],) + (1,) * (len(x.shape) - 1)
            mask = tf.floor(keep + tf.random.uniform(shape, 0, 1))
            return x / keep * mask
        return x


class TransformerBlock(L.Layer):
    def __init__(self, width, heads, rate=0.1, **options):
        super().__init__(**options)
        self.norm1 = L.LayerNormalization(epsilon=1e-6)
        self.attention = L.MultiHeadAttention(heads, width // heads)
        self.norm2 = L.LayerNormalization(epsilon=1e-6)
        self.mlp = tf_keras.Sequential([L.Dense(2 * width, activation="gelu"), L.Dense(width)])
        self.drop = StochasticDepth(rate)

    def call(self, x, training=None):
        y = self.norm1(x)
        x = x + self.drop(self.attention(y, y), training=training)
        return x + self.drop(self.mlp(self.norm2(x)), training=training)


def vision_transformer() -> Any:
    image = tf_keras.Input((32, 32, 3), name="image")
    x = PatchEncoder(8, 24, name="patches")(image)
    for at in range(2):
        x = TransformerBlock(24, 3, name=f"block{at + 1}")(x)
    x = L.LayerNormalization(name="norm")(x)
    return tf_keras.Model(image, L.Dense(10, name="head")(x[:, 0]), name="vision_transformer")


class GatedLinearUnit(L.Layer):
    def __init__(self, units, **options):
        super().__init__(**options)
        self.linear = L.Dense(units)
        self.sigmoid = L.Dense(units, activation="sigmoid")

    def call(self, x):
        return self.linear(x) * self.sigmoid(x)


class GatedResidual(L.Layer):
    """The gated residual network of the temporal fusion transformer."""

    def __init__(self, units, rate, **options):
        super().__init__(**options)
        self.units = units
        self.elu = L.Dense(units, activation="elu")
        self.linear = L.Dense(units)
        self.dropout = L.Dropout(rate)
        self.gate = GatedLinearUnit(units)
        self.norm = L.LayerNormalization()
        self.project = L.Dense(units)

    def call(self, inputs):
        x = self.elu(inputs)
        x = self.linear(x)
        x = self.dropout(x)
        if inputs.shape[-1] != self.units:
            inputs = self.project(inputs)
        return self.norm(inputs + self.gate(x))


def gated_residual() -> Any:
    x = tf_keras.Input((13,), name="features")
    y = GatedResidual(16, 0.1, name="encoder")(x)
    y = GatedResidual(16, 0.1, name="mixer")(y)
    return tf_keras.Model(x, L.Dense(3, name="head")(y), name="gated_residual")


class VectorQuantizer(L.Layer):
    """Each vector as the nearest of a codebook, which follows the vectors that it stands for."""

    def __init__(self, count, width, decay=0.99, **options):
        super().__init__(**options)
        self.count, self.width, self.decay = count, width, decay

    def build(self, shape):
        own = {"shape": (self.count, self.width), "trainable": False}
        self.codebook = self.add_weight(name="codebook", initializer="random_uniform", **own)
        self.sums = self.add_weight(name="sums", initializer="zeros", **own)
        self.uses = self.add_weight(name="uses", shape=(self.count,), initializer="ones", trainable=False)
        super().build(shape)

    def call(self, x, training=None):
        flat = tf.reshape(x, (-1, self.width))
        distances = (
            tf.reduce_sum(flat**2, axis=1, keepdims=True)
            - 2 * tf.matmul(flat, self.codebook, transpose_b=True)
            + tf.reduce_sum(self.codebook**2, axis=1)
        )
        codes = tf.argmin(distances, axis=1)
        quantized = tf.reshape(tf.gather(self.codebook, codes), tf.shape(x))
        if training:
            hot = tf.one_hot(codes, self.count)
            self.uses.assign(self.decay * self.uses + (1 - self.decay) * tf.reduce_sum(hot, axis=0))
            sums = tf.matmul(hot, flat, transpose_a=True)
            self.sums.assign(self.decay * self.sums + (1 - self.decay) * sums)
            self.codebook.assign(self.sums / self.uses[:, None])
        return x + tf.stop_gradient(quantized - x)


def vector_quantizer() -> Any:
    image = tf_keras.Input((16, 16, 1), name="image")
    x = L.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="encoder")(image)
    x = VectorQuantizer(11, 8, name="quantizer")(x)
    x = L.Conv2DTranspose(1, 3, strides=2, padding="same", name="decoder")(x)
    return tf_keras.Model(image, x, name="vq_vae")


class AttentionPooling(L.Layer):
    """The mean of words, each as heavy as it scores; words that are padding weigh nothing."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.supports_masking = True
        self.score = L.Dense(units, activation="tanh")
        self.context = L.Dense(1, use_bias=False)

    def call(self, x, mask=None):
        scores = tf.squeeze(self.context(self.score(x)), -1)
        if mask is not None:
            scores += (1.0 - tf.cast(mask, tf.float32)) * -1e9
        weights = tf.nn.softmax(scores, axis=-1)
        return tf.reduce_sum(x * weights[..., tf.newaxis], axis=1)

    def compute_mask(self, inputs, mask=None):
        return None


def attention_pooling() -> Any:
    words = tf_keras.Input((20,), dtype="int32", name="words")
    x = L.Embedding(100, 16, mask_zero=True, name="embedding")(words)
    x = AttentionPooling(8, name="pooling")(x)
    return tf_keras.Model(words, L.Dense(2, name="head")(x), name="attention_pooling")


class CausalBlock(L.Layer):
    """A block of a language model, its attention written out."""

    def __init__(self, width, heads, **options):
        super().__init__(**options)
        self.heads, self.depth = heads, width // heads
        self.qkv = L.Dense(3 * width)
        self.out = L.Dense(width)

    def call(self, x):
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        qkv = tf.reshape(self.qkv(x), (batch, length, 3, self.heads, self.depth))
        q, k, v = tf.unstack(tf.transpose(qkv, (2, 0, 3, 1, 4)))
        scores = tf.matmul(q, k, transpose_b=True) / math.sqrt(self.depth)
        mask = tf.linalg.band_part(tf.ones((length, length)), -1, 0)
        scores = scores - 1e9 * (1 - mask)
        y = tf.matmul(tf.nn.softmax(scores), v)
        y = tf.reshape(tf.transpose(y, (0, 2, 1, 3)), (batch, length, self.heads * self.depth))
        return x + self.out(y)


class LanguageModel(tf_keras.Model):
    """Words in, scores of the next word out: by the embeddings' own vectors."""

    def __init__(self, words, length, width, heads, depth):
        super().__init__(name="language_model")
        self.tokens = L.Embedding(words, width)
        self.places = L.Embedding(length, width)
        self.blocks = [CausalBlock(width, heads) for _ in range(depth)]
        self.norm = L.LayerNormalization()

    def call(self, words):
        x = self.tokens(words) + self.places(tf.range(tf.shape(words)[1]))
        for block in self.blocks:
            x = block(x)
        return tf.matmul(self.norm(x), self.tokens.embeddings, transpose_b=True)


def language_model() -> Any:
    model = LanguageModel(50, 12, 16, 2, 2)
    model(tf.zeros((1, 12), tf.int32))
    return model


class ChannelAttention(L.Layer):
    def __init__(self, filters, ratio=4, **options):
        super().__init__(**options)
        self.squeeze = L.Dense(filters // ratio, activation="relu")
        self.excite = L.Dense(filters)

    def call(self, x):
        mean = self.excite(self.squeeze(tf.reduce_mean(x, axis=[1, 2])))
        largest = self.excite(self.squeeze(tf.reduce_max(x, axis=[1, 2])))
        return x * tf.sigmoid(mean + largest)[:, None, None, :]


class SpatialAttention(L.Layer):
    def __init__(self, kernel_size=7, **options):
        super().__init__(**options)
        self.conv = L.Conv2D(1, kernel_size, padding="same", activation="sigmoid", use_bias=False)

    def call(self, x):
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        largest = tf.reduce_max(x, axis=-1, keepdims=True)
        return x * self.conv(tf.concat([mean, largest], axis=-1))


class CBAM(L.Layer):
    """Attention over channels, then over places."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.channel = ChannelAttention(filters)
        self.spatial = SpatialAttention()

    def call(self, x):
        return self.spatial(self.channel(x))


def attention_modules() -> Any:
    image = tf_keras.Input((16, 16, 3), name="image")
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(image)
    x = L.MaxPooling2D()(CBAM(8, name="cbam1")(x))
    x = L.Conv2D(16, 3, padding="same", activation="relu", name="conv2")(x)
    x = L.GlobalAveragePooling2D()(CBAM(16, name="cbam2")(x))
    return tf_keras.Model(image, L.Dense(5, name="head")(x), name="attention_modules")


class Sampling(L.Layer):
    """A code of the normal distribution that an encoder says."""

    def call(self, inputs):
        mean, log_var = inputs
        epsilon = tf.random.normal(tf.shape(mean))
        return mean + tf.exp(0.5 * log_var) * epsilon


def variational_autoencoder() -> Any:
    image = tf_keras.Input((12, 12, 1), name="image")
    x = L.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="encoder_conv")(image)
    x = L.Dense(16, activation="relu", name="encoder_fc")(L.Flatten()(x))
    mean, log_var = L.Dense(2, name="mean")(x), L.Dense(2, name="log_var")(x)
    x = Sampling(name="sampling")([mean, log_var])
    x = L.Reshape((6, 6, 4))(L.Dense(6 * 6 * 4, activation="relu", name="decoder_fc")(x))
    x = L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="decoder_conv1")(x)
    x = L.Conv2DTranspose(1, 3, padding="same", activation="sigmoid", name="decoder_conv2")(x)
    return tf_keras.Model(image, {"image": x, "mean": mean, "log_var": log_var}, name="vae")


class NALU(L.Layer):
    """Adds or multiplies, as its gate says."""

    def __init__(self, units, epsilon=1e-7, **options):
        super().__init__(**options)
        self.units, self.epsilon = units, epsilon

    def build(self, shape):
        for name in ("W_hat", "M_hat", "G"):
            setattr(self, name, self.add_weight(name=name, shape=(shape[-1], self.units)))

    def call(self, x):
        w = tf.tanh(self.W_hat) * tf.sigmoid(self.M_hat)
        added = tf.matmul(x, w)
        multiplied = tf.exp(tf.matmul(tf.math.log(tf.abs(x) + self.epsilon), w))
        gate = tf.sigmoid(tf.matmul(x, self.G))
        return gate * added + (1 - gate) * multiplied


def neural_arithmetic() -> Any:
    x = tf_keras.Input((6,), name="numbers")
    return tf_keras.Model(x, NALU(2, name="nalu2")(NALU(5, name="nalu1")(x)), name="neural_arithmetic")


class AttentionGate(L.Layer):
    """What passes a skip, as the level below it says."""

    def __init__(self, filters, **options):
        super().__init__(**options)
        self.query = L.Conv2D(filters, 1)
        self.key = L.Conv2D(filters, 1, strides=2)
        self.psi = L.Conv2D(1, 1, activation="sigmoid")
        self.up = L.UpSampling2D()

    def call(self, inputs):
        skip, gate = inputs
        weights = self.psi(tf.nn.relu(self.query(gate) + self.key(skip)))
        return skip * self.up(weights)


class ConvBlock(L.Layer):
    def __init__(self, filters, **options):
        super().__init__(**options)
        self.conv1, self.bn1 = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()
        self.conv2, self.bn2 = L.Conv2D(filters, 3, padding="same"), L.BatchNormalization()

    def call(self, x, training=None):
        x = tf.nn.relu(self.bn1(self.conv1(x), training=training))
        return tf.nn.relu(self.bn2(self.conv2(x), training=training))


def attention_unet() -> Any:
    image = tf_keras.Input((16, 16, 1), name="image")
    skip1 = ConvBlock(4, name="down1")(image)
    skip2 = ConvBlock(8, name="down2")(L.MaxPooling2D()(skip1))
    x = ConvBlock(16, name="bottleneck")(L.MaxPooling2D()(skip2))
    for at, (skip, filters) in enumerate(((skip2, 8), (skip1, 4)), 1):
        gated = AttentionGate(filters, name=f"gate{at}")([skip, x])
        x = L.Conv2DTranspose(filters, 2, strides=2, name=f"upsample{at}")(x)
        x = ConvBlock(filters, name=f"up{at}")(L.Concatenate()([x, gated]))
    return tf_keras.Model(image, L.Conv2D(1, 1, activation="sigmoid", name="head")(x), name="attention_unet")


class SpatialGatingBlock(L.Layer):
    """A block of gMLP: half of the channels open a gate for the others, over all places."""

    def __init__(self, places, width, rate=0.1, **options):
        super().__init__(**options)
        self.norm1, self.norm2 = L.LayerNormalization(epsilon=1e-6), L.LayerNormalization(epsilon=1e-6)
        self.expand = tf_keras.Sequential([L.Dense(2 * width, activation="gelu"), L.Dropout(rate)])
        self.spatial = L.Dense(places, bias_initializer="ones")
        self.project = L.Dense(width)

    def call(self, inputs):
        x = self.expand(self.norm1(inputs))
        content, gate = tf.split(x, 2, axis=-1)
        gate = tf.transpose(self.spatial(tf.transpose(self.norm2(gate), (0, 2, 1))), (0, 2, 1))
        return inputs + self.project(content * gate)


def gated_mlp() -> Any:
    x = tf_keras.Input((16, 12), name="patches")
    y = SpatialGatingBlock(16, 12, name="block1")(x)
    y = L.GlobalAveragePooling1D()(SpatialGatingBlock(16, 12, name="block2")(y))
    return tf_keras.Model(x, L.Dense(4, name="head")(y), name="gated_mlp")


NETWORKS = {
    it.__name__: it
    for it in (
        vision_transformer, gated_residual, vector_quantizer, attention_pooling, language_model,
        attention_modules, variational_autoencoder, neural_arithmetic, attention_unet, gated_mlp,
    )
}  # fmt: skip
