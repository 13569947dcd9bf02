"""Models with layers of their own, as people write them, for Keras 2 and for Keras 3."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def make(K: Any, v: int) -> dict[str, Callable[[], Any]]:
    """By name, what builds a model. `K`: keras or tf_keras; `v`: 3 or 2."""
    L = K.layers
    ops = getattr(K, "ops", None)
    B = K.backend
    C = {}

    def case(f):
        C[f.__name__] = f
        return f

    class DenseOwn(L.Layer):
        def __init__(self, units=32, activation=None, **kw):
            super().__init__(**kw)
            self.units = units
            self.activation = K.activations.get(activation)

        def build(self, s):
            self.w = self.add_weight(
                name="w", shape=(s[-1], self.units), initializer="random_normal", trainable=True
            )
            self.b = self.add_weight(
                name="b", shape=(self.units,), initializer="random_normal", trainable=True
            )

        def call(self, inputs):
            return self.activation(tf.matmul(inputs, self.w) + self.b)

    @case
    def dense_own():
        i = K.Input((7,))
        return K.Model(i, DenseOwn(3, "relu")(DenseOwn(5)(i)))

    class SE(L.Layer):
        def __init__(self, ratio=2, **kw):
            super().__init__(**kw)
            self.ratio = ratio

        def build(self, s):
            c = s[-1]
            self.gap = L.GlobalAveragePooling2D()
            self.fc1 = L.Dense(c // self.ratio, activation="relu", use_bias=False)
            self.fc2 = L.Dense(c, activation="sigmoid", use_bias=False)
            self.resh = L.Reshape((1, 1, c))

        def call(self, x):
            s = self.gap(x)
            s = self.fc1(s)
            s = self.fc2(s)
            s = self.resh(s)
            return x * s

    @case
    def se():
        i = K.Input((8, 9, 3))
        x = L.Conv2D(6, 3)(i)
        x = SE()(x)
        return K.Model(i, L.Conv2D(2, 1)(SE(3)(x)))

    class ResBlock(L.Layer):
        def __init__(self, f, stride=1, **kw):
            super().__init__(**kw)
            self.conv1 = L.Conv2D(f, 3, strides=stride, padding="same")
            self.bn1 = L.BatchNormalization()
            self.conv2 = L.Conv2D(f, 3, padding="same")
            self.bn2 = L.BatchNormalization()
            self.down = L.Conv2D(f, 1, strides=stride) if stride != 1 else None

        def call(self, inputs, training=False):
            x = tf.nn.relu(self.bn1(self.conv1(inputs), training=training))
            x = self.bn2(self.conv2(x), training=training)
            short = inputs if self.down is None else self.down(inputs)
            return tf.nn.relu(x + short)

    @case
    def resblock():
        i = K.Input((8, 9, 3))
        x = L.Conv2D(4, 3, padding="same")(i)
        x = ResBlock(4)(x)
        x = ResBlock(6, 2)(x)
        x = ResBlock(6)(x)
        return K.Model(i, L.Dense(2)(L.GlobalAveragePooling2D()(x)))

    class Patches(L.Layer):
        def __init__(self, p, **kw):
            super().__init__(**kw)
            self.patch_size = p

        def call(self, images):
            batch_size = tf.shape(images)[0]
            patches = tf.image.extract_patches(
                images=images,
                sizes=[1, self.patch_size, self.patch_size, 1],
                strides=[1, self.patch_size, self.patch_size, 1],
                rates=[1, 1, 1, 1],
                padding="VALID",
            )
            patch_dims = patches.shape[-1]
            return tf.reshape(patches, [batch_size, -1, patch_dims])

    class PatchEncoder(L.Layer):
        def __init__(self, n, d, **kw):
            super().__init__(**kw)
            self.num_patches = n
            self.projection = L.Dense(units=d)
            self.position_embedding = L.Embedding(input_dim=n, output_dim=d)

        def call(self, patch):
            positions = tf.range(start=0, limit=self.num_patches, delta=1)
            return self.projection(patch) + self.position_embedding(positions)

    @case
    def vit():
        i = K.Input((8, 8, 3))
        x = Patches(4)(i)
        x = PatchEncoder(4, 6)(x)
        a = L.MultiHeadAttention(2, 3)(x, x)
        return K.Model(i, L.LayerNormalization()(L.Add()([a, x])))

    class Sampling(L.Layer):
        def call(self, inputs):
            z_mean, z_log_var = inputs
            batch = tf.shape(z_mean)[0]
            dim = tf.shape(z_mean)[1]
            epsilon = tf.random.normal(shape=(batch, dim))
            return z_mean + tf.exp(0.5 * z_log_var) * epsilon

    @case
    def vae():
        i = K.Input((5,))
        m = L.Dense(3)(i)
        log_var = L.Dense(3)(i)
        return K.Model(i, [m, log_var, Sampling()([m, log_var])])

    class TokenPos(L.Layer):
        def __init__(self, maxlen, vocab, d, **kw):
            super().__init__(**kw)
            self.token_emb = L.Embedding(vocab, d)
            self.pos_emb = L.Embedding(maxlen, d)

        def call(self, x):
            maxlen = tf.shape(x)[-1]
            positions = tf.range(start=0, limit=maxlen, delta=1)
            positions = self.pos_emb(positions)
            x = self.token_emb(x)
            return x + positions

    class TransformerBlock(L.Layer):
        def __init__(self, d, heads, ff, rate=0.1, **kw):
            super().__init__(**kw)
            self.att = L.MultiHeadAttention(num_heads=heads, key_dim=d)
            self.ffn = K.Sequential([L.Dense(ff, activation="relu"), L.Dense(d)])
            self.layernorm1 = L.LayerNormalization(epsilon=1e-6)
            self.layernorm2 = L.LayerNormalization(epsilon=1e-6)
            self.dropout1 = L.Dropout(rate)
            self.dropout2 = L.Dropout(rate)

        def call(self, inputs, training=None):
            attn_output = self.att(inputs, inputs)
            attn_output = self.dropout1(attn_output, training=training)
            out1 = self.layernorm1(inputs + attn_output)
            ffn_output = self.ffn(out1)
            ffn_output = self.dropout2(ffn_output, training=training)
            return self.layernorm2(out1 + ffn_output)

    @case
    def transformer():
        i = K.Input((6,), dtype="int32")
        x = TokenPos(6, 11, 4)(i)
        x = TransformerBlock(4, 2, 5)(x)
        x = TransformerBlock(4, 2, 5)(x)
        return K.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(x)))

    class PosEnc(L.Layer):
        def __init__(self, n, d, **kw):
            super().__init__(**kw)
            self.pos_encoding = self.positional_encoding(n, d)

        def positional_encoding(self, position, d):
            angle = np.arange(position)[:, None] / np.power(
                10000, (2 * (np.arange(d)[None, :] // 2)) / np.float32(d)
            )
            angle[:, 0::2] = np.sin(angle[:, 0::2])
            angle[:, 1::2] = np.cos(angle[:, 1::2])
            return tf.cast(angle[np.newaxis, ...], dtype=tf.float32)

        def call(self, inputs):
            return inputs + self.pos_encoding[:, : tf.shape(inputs)[1], :]

    @case
    def posenc():
        i = K.Input((6, 4))
        return K.Model(i, PosEnc(10, 4)(i))

    class BahdanauAttention(L.Layer):
        def __init__(self, units, **kw):
            super().__init__(**kw)
            self.W1 = L.Dense(units)
            self.W2 = L.Dense(units)
            self.V = L.Dense(1)

        def call(self, features, hidden):
            hidden_with_time_axis = tf.expand_dims(hidden, 1)
            score = tf.nn.tanh(self.W1(features) + self.W2(hidden_with_time_axis))
            attention_weights = tf.nn.softmax(self.V(score), axis=1)
            context_vector = attention_weights * features
            context_vector = tf.reduce_sum(context_vector, axis=1)
            return context_vector, attention_weights

    @case
    def bahdanau():
        i = K.Input((6, 4))
        h = K.Input((5,))
        c, w = BahdanauAttention(3)(i, h)
        return K.Model([i, h], [L.Dense(2)(c), w])

    class AttentionK(L.Layer):
        def __init__(self, **kw):
            super().__init__(**kw)

        def build(self, s):
            self.W = self.add_weight(name="att_weight", shape=(s[-1], 1), initializer="normal")
            self.b = self.add_weight(name="att_bias", shape=(s[1], 1), initializer="normal")
            super().build(s)

        def call(self, x):
            if v == 2:
                et = B.squeeze(B.tanh(B.dot(x, self.W) + self.b), axis=-1)
                at = B.softmax(et)
                at = B.expand_dims(at, axis=-1)
                return B.sum(x * at, axis=1)
            et = ops.squeeze(ops.tanh(ops.matmul(x, self.W) + self.b), axis=-1)
            at = ops.softmax(et)
            at = ops.expand_dims(at, axis=-1)
            return ops.sum(x * at, axis=1)

    @case
    def attention_backend():
        i = K.Input((6, 4))
        x = L.LSTM(5, return_sequences=True)(i)
        return K.Model(i, L.Dense(1, activation="sigmoid")(AttentionK()(x)))

    class GCN(L.Layer):
        def __init__(self, u, **kw):
            super().__init__(**kw)
            self.u = u

        def build(self, s):
            self.kernel = self.add_weight(name="kernel", shape=(s[0][-1], self.u))
            self.bias = self.add_weight(name="bias", shape=(self.u,), initializer="normal")

        def call(self, inputs):
            x, adj = inputs
            h = tf.matmul(x, self.kernel)
            out = tf.matmul(adj, h)
            deg = tf.reduce_sum(adj, axis=-1, keepdims=True) + 1.0
            return tf.nn.elu(out / deg + self.bias)

    @case
    def gcn():
        i = K.Input((5, 4))
        a = K.Input((5, 5))
        x = GCN(6)([i, a])
        x = GCN(2)([x, a])
        return K.Model([i, a], x)

    class RBF(L.Layer):
        def __init__(self, units, gamma, **kw):
            super().__init__(**kw)
            self.units = units
            self.gamma = gamma

        def build(self, s):
            self.mu = self.add_weight(name="mu", shape=(int(s[1]), self.units), initializer="uniform")

        def call(self, inputs):
            diff = tf.expand_dims(inputs, -1) - self.mu
            l2 = tf.reduce_sum(tf.pow(diff, 2), axis=1)
            return tf.exp(-1 * self.gamma * l2)

    @case
    def rbf():
        i = K.Input((4,))
        return K.Model(i, L.Dense(1)(RBF(6, 0.5)(i)))

    def squash(vectors, axis=-1):
        s = tf.reduce_sum(tf.square(vectors), axis, keepdims=True)
        scale = s / (1 + s) / tf.sqrt(s + 1e-7)
        return scale * vectors

    class Length(L.Layer):
        def call(self, inputs, **kwargs):
            return tf.sqrt(tf.reduce_sum(tf.square(inputs), -1))

    class Capsule(L.Layer):
        def __init__(self, num_capsule, dim_capsule, routings=3, **kw):
            super().__init__(**kw)
            self.num_capsule = num_capsule
            self.dim_capsule = dim_capsule
            self.routings = routings

        def build(self, s):
            self.W = self.add_weight(
                shape=[self.num_capsule, s[1], self.dim_capsule, s[2]], initializer="glorot_uniform", name="W"
            )

        def call(self, inputs):
            inputs_expand = tf.expand_dims(inputs, 1)
            inputs_tiled = tf.tile(inputs_expand, [1, self.num_capsule, 1, 1])
            inputs_tiled = tf.expand_dims(inputs_tiled, 4)
            inputs_hat = tf.squeeze(tf.matmul(self.W, inputs_tiled), axis=-1)
            b = tf.zeros(shape=[tf.shape(inputs_hat)[0], self.num_capsule, 1, inputs_hat.shape[2]])
            for i in range(self.routings):
                c = tf.nn.softmax(b, axis=1)
                outputs = squash(tf.matmul(c, inputs_hat))
                if i < self.routings - 1:
                    b += tf.matmul(outputs, inputs_hat, transpose_b=True)
            return tf.squeeze(outputs, axis=2)

    @case
    def capsule():
        i = K.Input((5, 4))
        x = Capsule(3, 2)(i)
        return K.Model(i, Length()(x))

    class InstanceNorm(L.Layer):
        def __init__(self, epsilon=1e-5, **kw):
            super().__init__(**kw)
            self.epsilon = epsilon

        def build(self, s):
            self.scale = self.add_weight(name="scale", shape=s[-1:], initializer="ones", trainable=True)
            self.offset = self.add_weight(name="offset", shape=s[-1:], initializer="normal")

        def call(self, x):
            mean, variance = tf.nn.moments(x, axes=[1, 2], keepdims=True)
            inv = tf.math.rsqrt(variance + self.epsilon)
            normalized = (x - mean) * inv
            return self.scale * normalized + self.offset

    @case
    def instance_norm():
        i = K.Input((8, 9, 3))
        x = L.Conv2D(4, 3)(i)
        x = InstanceNorm()(x)
        return K.Model(i, L.Conv2D(2, 3)(L.ReLU()(x)))

    class LN(L.Layer):
        def __init__(self, eps=1e-6, **kw):
            super().__init__(**kw)
            self.eps = eps

        def build(self, s):
            self.gamma = self.add_weight(name="gamma", shape=s[-1:], initializer="ones")
            self.beta = self.add_weight(name="beta", shape=s[-1:], initializer="zeros")

        def call(self, x):
            mean = tf.reduce_mean(x, axis=-1, keepdims=True)
            std = tf.math.reduce_std(x, axis=-1, keepdims=True)
            return self.gamma * (x - mean) / (std + self.eps) + self.beta

    @case
    def layer_norm():
        i = K.Input((6, 4))
        return K.Model(i, LN()(i))

    class GLU(L.Layer):
        def __init__(self, u, **kw):
            super().__init__(**kw)
            self.linear = L.Dense(u)
            self.sigmoid = L.Dense(u, activation="sigmoid")

        def call(self, inputs):
            return self.linear(inputs) * self.sigmoid(inputs)

    class GRN(L.Layer):
        def __init__(self, u, rate, **kw):
            super().__init__(**kw)
            self.units = u
            self.elu_dense = L.Dense(u, activation="elu")
            self.linear_dense = L.Dense(u)
            self.dropout = L.Dropout(rate)
            self.gated_linear_unit = GLU(u)
            self.layer_norm = L.LayerNormalization()
            self.project = L.Dense(u)

        def call(self, inputs):
            x = self.elu_dense(inputs)
            x = self.linear_dense(x)
            x = self.dropout(x)
            if inputs.shape[-1] != self.units:
                inputs = self.project(inputs)
            x = inputs + self.gated_linear_unit(x)
            return self.layer_norm(x)

    @case
    def grn():
        i = K.Input((6,))
        x = GRN(4, 0.1)(i)
        return K.Model(i, GRN(4, 0.1)(x))

    class Noisy(L.Layer):
        def __init__(self, s, **kw):
            super().__init__(**kw)
            self.stddev = s

        def call(self, inputs, training=False):
            if training:
                return inputs + tf.random.normal(tf.shape(inputs), stddev=self.stddev)
            return inputs

    @case
    def noisy():
        i = K.Input((6,))
        return K.Model(i, L.Dense(2)(Noisy(0.3)(L.Dense(4)(i))))

    class DropPath(L.Layer):
        def __init__(self, p, **kw):
            super().__init__(**kw)
            self.drop_prob = p

        def call(self, x, training=None):
            if training:
                keep_prob = 1 - self.drop_prob
                shape = (tf.shape(x)[0],) + (1,) * (len(x.shape) - 1)
                random_tensor = keep_prob + tf.random.uniform(shape, 0, 1)
                random_tensor = tf.floor(random_tensor)
                return (x / keep_prob) * random_tensor
            return x

    @case
    def droppath():
        i = K.Input((6, 5))
        return K.Model(i, L.Dense(2)(L.Add()([i, DropPath(0.3)(L.Dense(5)(i))])))

    class Lists(L.Layer):
        def __init__(self, n, **kw):
            super().__init__(**kw)
            self.convs = [L.Conv1D(4, 3, padding="same", dilation_rate=2**k) for k in range(n)]
            self.heads = {"a": L.Dense(2), "b": L.Dense(3)}

        def call(self, x):
            outs = []
            for c in self.convs:
                x = tf.nn.relu(c(x))
                outs.append(x)
            y = tf.concat(outs, axis=-1)
            return self.heads["a"](y), self.heads["b"](y)

    @case
    def lists():
        i = K.Input((6, 5))
        return K.Model(i, Lists(3)(i))

    class Twice(L.Layer):
        def __init__(self, **kw):
            super().__init__(**kw)
            self.d = L.Dense(5)

        def call(self, x):
            return self.d(tf.nn.relu(self.d(x)))

    @case
    def twice():
        i = K.Input((5,))
        t = Twice()
        return K.Model(i, t(t(i)))

    class PixelShuffle(L.Layer):
        def __init__(self, s, **kw):
            super().__init__(**kw)
            self.s = s

        def call(self, x):
            return tf.nn.depth_to_space(x, self.s)

    @case
    def pixelshuffle():
        i = K.Input((5, 6, 3))
        return K.Model(i, PixelShuffle(2)(L.Conv2D(8, 3)(i)))

    class ReflectPad(L.Layer):
        def __init__(self, padding=(1, 1), **kw):
            super().__init__(**kw)
            self.padding = tuple(padding)

        def call(self, t):
            w, h = self.padding
            return tf.pad(t, [[0, 0], [h, h], [w, w], [0, 0]], mode="REFLECT")

    @case
    def reflectpad():
        i = K.Input((5, 6, 3))
        return K.Model(i, L.Conv2D(2, 3)(ReflectPad((1, 2))(i)))

    class MultiHead(L.Layer):
        def __init__(self, d, h, **kw):
            super().__init__(**kw)
            self.num_heads = h
            self.d_model = d
            self.depth = d // h
            self.wq = L.Dense(d)
            self.wk = L.Dense(d)
            self.wv = L.Dense(d)
            self.dense = L.Dense(d)

        def split_heads(self, x, batch_size):
            x = tf.reshape(x, (batch_size, -1, self.num_heads, self.depth))
            return tf.transpose(x, perm=[0, 2, 1, 3])

        def call(self, v_, k, q):
            batch_size = tf.shape(q)[0]
            q = self.split_heads(self.wq(q), batch_size)
            k = self.split_heads(self.wk(k), batch_size)
            v_ = self.split_heads(self.wv(v_), batch_size)
            matmul_qk = tf.matmul(q, k, transpose_b=True)
            dk = tf.cast(tf.shape(k)[-1], tf.float32)
            scaled = matmul_qk / tf.math.sqrt(dk)
            w = tf.nn.softmax(scaled, axis=-1)
            o = tf.transpose(tf.matmul(w, v_), perm=[0, 2, 1, 3])
            return self.dense(tf.reshape(o, (batch_size, -1, self.d_model)))

    @case
    def multihead():
        i = K.Input((6, 4))
        return K.Model(i, MultiHead(4, 2)(i, i, i))

    class CBAM(L.Layer):
        def __init__(self, r=2, **kw):
            super().__init__(**kw)
            self.r = r

        def build(self, s):
            c = s[-1]
            self.d1 = L.Dense(c // self.r, activation="relu")
            self.d2 = L.Dense(c)
            self.conv = L.Conv2D(1, 7, padding="same", activation="sigmoid")

        def call(self, x):
            avg = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
            mx = tf.reduce_max(x, axis=[1, 2], keepdims=True)
            a = tf.sigmoid(self.d2(self.d1(avg)) + self.d2(self.d1(mx)))
            x = x * a
            s = tf.concat(
                [tf.reduce_mean(x, -1, keepdims=True), tf.reduce_max(x, -1, keepdims=True)], axis=-1
            )
            return x * self.conv(s)

    @case
    def cbam():
        i = K.Input((8, 9, 4))
        x = L.Conv2D(4, 3)(i)
        return K.Model(i, L.Conv2D(2, 3)(CBAM()(x)))

    class GeM(L.Layer):
        def __init__(self, p=3.0, **kw):
            super().__init__(**kw)
            self.p0 = p

        def build(self, s):
            self.p = self.add_weight(name="p", shape=(1,), initializer=K.initializers.Constant(self.p0))

        def call(self, x):
            x = tf.math.maximum(x, 1e-6)
            x = tf.pow(x, self.p)
            x = tf.reduce_mean(x, axis=[1, 2])
            return tf.pow(x, 1 / self.p)

    @case
    def gem():
        i = K.Input((8, 9, 3))
        return K.Model(i, L.Dense(2)(GeM()(L.Conv2D(4, 3, activation="sigmoid")(i))))

    class L2Norm(L.Layer):
        def call(self, x):
            return tf.math.l2_normalize(x, axis=1)

    @case
    def l2norm():
        i = K.Input((8,))
        return K.Model(i, L2Norm()(L.Dense(3)(i)))

    class Arc(L.Layer):
        def __init__(self, n, s=30.0, **kw):
            super().__init__(**kw)
            self.n = n
            self.s = s

        def build(self, sh):
            self.W = self.add_weight(name="W", shape=(sh[-1], self.n), initializer="glorot_uniform")

        def call(self, x):
            x = tf.nn.l2_normalize(x, axis=1)
            W = tf.nn.l2_normalize(self.W, axis=0)
            return tf.nn.softmax(x @ W * self.s)

    @case
    def arcface():
        i = K.Input((8,))
        return K.Model(i, Arc(4)(L.Dense(3)(i)))

    class Conv2DOwn(L.Layer):
        def __init__(self, f, **kw):
            super().__init__(**kw)
            self.f = f

        def build(self, s):
            self.kernel = self.add_weight(name="kernel", shape=(3, 3, s[-1], self.f))
            self.bias = self.add_weight(name="bias", shape=(self.f,), initializer="normal")

        def call(self, x):
            return tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, strides=1, padding="SAME"), self.bias)

    @case
    def conv_own():
        i = K.Input((8, 9, 3))
        return K.Model(i, Conv2DOwn(2)(tf.nn.relu(Conv2DOwn(4)(i)) if v == 2 else ops.relu(Conv2DOwn(4)(i))))

    class AddCLS(L.Layer):
        def build(self, s):
            self.cls = self.add_weight(name="cls", shape=(1, 1, s[-1]), initializer="normal")
            self.pos = self.add_weight(name="pos", shape=(1, s[1] + 1, s[-1]), initializer="normal")

        def call(self, x):
            batch = tf.shape(x)[0]
            c = tf.broadcast_to(self.cls, [batch, 1, x.shape[-1]])
            return tf.concat([c, x], axis=1) + self.pos

    @case
    def addcls():
        i = K.Input((6, 4))
        return K.Model(i, AddCLS()(i)[:, 0])

    class Upsample(L.Layer):
        def __init__(self, s=2, **kw):
            super().__init__(**kw)
            self.s = s

        def call(self, x):
            return tf.image.resize(x, (tf.shape(x)[1] * self.s, tf.shape(x)[2] * self.s), method="bilinear")

    @case
    def upsample():
        i = K.Input((8, 9, 3))
        return K.Model(i, L.Conv2D(2, 1)(Upsample()(L.Conv2D(4, 3)(i))))

    class Swish(L.Layer):
        def __init__(self, beta=1.5, **kw):
            super().__init__(**kw)
            self.beta = beta

        def call(self, x):
            return x * tf.sigmoid(self.beta * x)

    @case
    def swish():
        i = K.Input((8,))
        return K.Model(i, Swish()(L.Dense(3)(i)))

    class Fourier(L.Layer):
        def __init__(self, n, **kw):
            super().__init__(**kw)
            self.n = n

        def build(self, s):
            self.B = self.add_weight(name="B", shape=(s[-1], self.n), initializer="normal", trainable=False)

        def call(self, x):
            p = 2.0 * math.pi * (x @ self.B)
            return tf.concat([tf.sin(p), tf.cos(p)], axis=-1)

    @case
    def fourier():
        i = K.Input((3,))
        return K.Model(i, L.Dense(2)(Fourier(4)(i)))

    class CosSim(L.Layer):
        def call(self, a, b):
            a = tf.nn.l2_normalize(a, -1)
            b = tf.nn.l2_normalize(b, -1)
            return tf.reduce_sum(a * b, axis=-1, keepdims=True)

    @case
    def cossim():
        d = L.Dense(4)
        i = K.Input((3,))
        j = K.Input((3,))
        return K.Model([i, j], CosSim()(d(i), d(j)))

    class DistanceLayer(L.Layer):
        def call(self, anchor, positive, negative):
            ap = tf.reduce_sum(tf.square(anchor - positive), -1)
            an = tf.reduce_sum(tf.square(anchor - negative), -1)
            return (ap, an)

    @case
    def triplet():
        d = L.Dense(4)
        a, b, c = K.Input((3,)), K.Input((3,)), K.Input((3,))
        return K.Model([a, b, c], DistanceLayer()(d(a), d(b), d(c)))

    class VQ(L.Layer):
        def __init__(self, n, d, **kw):
            super().__init__(**kw)
            self.n = n
            self.d = d

        def build(self, s):
            self.embeddings = self.add_weight(name="emb", shape=(self.d, self.n), initializer="uniform")

        def call(self, x):
            shape = tf.shape(x)
            flat = tf.reshape(x, [-1, self.d])
            sim = tf.matmul(flat, self.embeddings)
            dist = (
                tf.reduce_sum(flat**2, axis=1, keepdims=True)
                + tf.reduce_sum(self.embeddings**2, axis=0)
                - 2 * sim
            )
            idx = tf.argmin(dist, axis=1)
            enc = tf.one_hot(idx, self.n)
            q = tf.reshape(tf.matmul(enc, self.embeddings, transpose_b=True), shape)
            self.add_loss(0.25 * tf.reduce_mean((tf.stop_gradient(q) - x) ** 2))
            return x + tf.stop_gradient(q - x)

    @case
    def vq():
        i = K.Input((4, 4, 3))
        x = L.Conv2D(2, 1)(i)
        return K.Model(i, L.Conv2D(1, 1)(VQ(5, 2)(x)))

    class MaskedMean(L.Layer):
        def __init__(self, **kw):
            super().__init__(**kw)
            self.supports_masking = True

        def call(self, x, mask=None):
            if mask is None:
                return tf.reduce_mean(x, 1)
            m = tf.cast(mask, x.dtype)[..., None]
            return tf.reduce_sum(x * m, 1) / tf.reduce_sum(m, 1)

        def compute_mask(self, x, mask=None):
            return None

    @case
    def masked():
        i = K.Input((6,), dtype="int32")
        x = L.Embedding(9, 4, mask_zero=True)(i)
        return K.Model(i, L.Dense(2)(MaskedMean()(x)))

    class BNOwn(L.Layer):
        def __init__(self, m=0.9, **kw):
            super().__init__(**kw)
            self.m = m

        def build(self, s):
            self.mm = self.add_weight(name="mm", shape=s[-1:], initializer="zeros", trainable=False)

        def call(self, x, training=None):
            if training:
                mean = tf.reduce_mean(x, 0)
                self.mm.assign(self.m * self.mm + (1 - self.m) * mean)
                return x - mean
            return x - self.mm

    @case
    def bn_own():
        i = K.Input((5,))
        return K.Model(i, BNOwn()(i))

    class Cond(L.Layer):
        def call(self, x):
            if tf.reduce_sum(x) > 0:
                return x * 2
            return x

    if v == 3:
        pass
    else:

        @case
        def cond():
            i = K.Input((5,))
            return K.Model(i, Cond()(i))

    @case
    def lam():
        i = K.Input((5, 4))
        x = L.Lambda(lambda t: t * 0.17 + tf.reduce_mean(t, axis=1, keepdims=True))(i)
        return K.Model(i, L.Dense(2)(x))

    @case
    def lam_named():
        def scaling(x, scale):
            return x * scale

        i = K.Input((5, 4))
        x = L.Lambda(scaling, arguments={"scale": 0.3}, name="scaling")(i)
        return K.Model(i, L.Dense(2)(x))

    class SpatialTransformer(L.Layer):
        def call(self, img, theta):
            H, W = img.shape[1], img.shape[2]
            x, y = tf.meshgrid(tf.linspace(-1.0, 1.0, W), tf.linspace(-1.0, 1.0, H))
            ones = tf.ones_like(tf.reshape(x, [-1]))
            grid = tf.stack([tf.reshape(x, [-1]), tf.reshape(y, [-1]), ones])
            n = tf.shape(img)[0]
            grid = tf.tile(tf.expand_dims(grid, 0), [n, 1, 1])
            theta = tf.reshape(theta, [-1, 2, 3])
            g = tf.matmul(theta, grid)
            gx, gy = g[:, 0], g[:, 1]
            gx = 0.5 * (gx + 1.0) * tf.cast(W - 1, "float32")
            gy = 0.5 * (gy + 1.0) * tf.cast(H - 1, "float32")
            x0 = tf.clip_by_value(tf.cast(tf.floor(gx), tf.int32), 0, W - 1)
            y0 = tf.clip_by_value(tf.cast(tf.floor(gy), tf.int32), 0, H - 1)
            b = tf.tile(tf.reshape(tf.range(n), [-1, 1]), [1, H * W])
            ia = tf.gather_nd(img, tf.stack([b, y0, x0], -1))
            wx = 1.0 - tf.abs(gx - tf.cast(x0, tf.float32))
            return tf.reshape(ia * tf.expand_dims(wx, -1), [n, H, W, img.shape[3]])

    @case
    def stn():
        i = K.Input((4, 5, 2))
        t = L.Dense(6)(L.Flatten()(i))
        return K.Model(i, SpatialTransformer()(i, t))

    class Net(K.Model):
        def __init__(self):
            super().__init__()
            self.c1 = L.Conv2D(4, 3, activation="relu")
            self.blocks = [ResBlock(4), ResBlock(4)]
            self.fl = L.Flatten()
            self.out = L.Dense(2)

        def call(self, x, training=None):
            x = self.c1(x)
            for b in self.blocks:
                x = b(x, training=training)
            return self.out(self.fl(x))

    @case
    def subclassed():
        m = Net()
        m(np.zeros((1, 8, 8, 3), "float32"))
        return m

    class Net2(K.Model):
        def __init__(self):
            super().__init__()
            self.d = L.Dense(4)
            self.scale = self.add_weight(name="scale", shape=(4,), initializer="normal")
            self.o = L.Dense(2)

        def call(self, x):
            x = tf.nn.relu(self.d(x)) * self.scale
            return self.o(x)

    @case
    def subclassed_tf():
        m = Net2()
        m(np.zeros((1, 5), "float32"))
        return m

    return C
