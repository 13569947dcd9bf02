"""What a random graph is made of: calls as text, by the rank of what they read.

In `{a|b}` one of the two is drawn; a name in capitals stands for a list of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

LISTS = {
    "ACT": "None|'relu'|'tanh'|'sigmoid'|'softmax'|'silu'|'elu'|'softplus'|'hard_sigmoid'|'selu'",
    "PAD": "'valid'|'same'",
    "FORMAT": "|, data_format='channels_first'",
    "SEQ": "True|False",
    "GATE": "|, activation='relu'|, go_backwards=True|, use_bias=False",
    "BN": "|, scale=False|, center=False|, trainable=False",
}


def drawn(draw: Draw, template: str) -> str:
    """A template with every choice made."""

    def chosen(found: re.Match[str]) -> str:
        choices = re.sub(r"[A-Z]+", lambda name: LISTS.get(name[0], name[0]), found[1])
        return str(draw(st.sampled_from(choices.split("|"))))

    return re.sub(r"\{([^{}]*)\}", chosen, template)


#: Layers of one tensor, whatever its rank.
ANY = """
Dense({2|3|4}, activation={ACT})
Dense(4, use_bias=False)
Activation({'relu'|'tanh'|'softmax'|'silu'|'log_softmax'|'mish'|'softsign'})
ReLU(max_value={None|1.0}, negative_slope={0.0|0.25})
LeakyReLU(negative_slope=0.25)
ELU()
Softmax()
Dropout(0.5)
GaussianNoise(0.5)
Identity()
Rescaling(0.5, offset=0.25)
UnitNormalization()
BatchNormalization(axis=-1{BN})
LayerNormalization(axis=-1{|, scale=False|, center=False})
Flatten()
""".split("\n")[1:-1]

#: Layers of one tensor by its rank; ranks 3 and 4 are sequences and images.
LAYERS: dict[int, list[str]] = {
    2: """
RepeatVector({2|3})
Reshape(({-1, 2|2, -1|-1, 1|1, -1}))
Reshape(({2, -1, 2|2, 2, -1}))
PReLU()
EinsumDense('ab,bc->ac', 3, bias_axes={None|'c'})
ActivityRegularization(0.5)
""",
    3: """
Conv1D({2|3|4}, {1|2|3}, padding={'valid'|'same'|'causal'}, strides={1|2}, activation={ACT})
Conv1D(4, 2, dilation_rate=2, padding={'valid'|'same'|'causal'}, groups={1|2})
Conv1DTranspose(3, {2|3}, strides={1|2}, padding={PAD})
SeparableConv1D(3, 2, depth_multiplier={1|2}, padding={PAD})
DepthwiseConv1D({2|3}, padding={PAD}, use_bias=False{FORMAT})
MaxPooling1D({2|3}, padding={PAD}{FORMAT})
AveragePooling1D({2|3}, strides={1|2}, padding={PAD}{FORMAT})
GlobalAveragePooling1D(keepdims={SEQ}{FORMAT})
GlobalMaxPooling1D(keepdims={SEQ}{FORMAT})
LSTM({2|3}, return_sequences={SEQ}{GATE})
GRU({2|3}, return_sequences={SEQ}{GATE|, reset_after=False})
SimpleRNN({2|3}, return_sequences={SEQ}{GATE})
Bidirectional(layers.{LSTM|GRU}(2, return_sequences={SEQ}), merge_mode={'concat'|'sum'|'mul'})
RNN(layers.{LSTMCell|GRUCell}(2), return_sequences={SEQ})
TimeDistributed(layers.Dense(3, activation={ACT}))
Permute((2, 1))
Reshape(({-1,|-1, 2|2, -1, 2|-1, 1}))
Flatten(data_format='channels_first')
UpSampling1D(2)
ZeroPadding1D({1|(1, 2)})
Cropping1D({1|(1, 0)})
BatchNormalization(axis={1|2}{BN})
LayerNormalization(axis={1|2|[1, 2]})
GroupNormalization(groups={1|-1}, axis={1|2})
SpatialDropout1D(0.5)
PReLU(shared_axes={[1]|[2]|None})
Softmax(axis=1)
EinsumDense('abc,cd->abd', (None, 3), bias_axes={'d'|None})
EinsumDense('abc,bde->acde', (None, 2, 3), bias_axes={'e'|None})
""",
    4: """
Conv2D({2|3|4}, {1|2|3|(1, 3)}, padding={PAD}, strides={1|2}, activation={ACT})
Conv2D({2|3|4}, 3, padding='same', activation={ACT})
Conv2D(4, 2, dilation_rate=2, padding='same', use_bias=False, groups={1|2})
Conv2DTranspose(3, {2|3}, strides={1|2}, padding={PAD})
SeparableConv2D(3, 2, padding={PAD}, use_bias=False{FORMAT})
DepthwiseConv2D({2|3}, depth_multiplier={1|2}, padding={PAD}, use_bias=False{FORMAT})
MaxPooling2D({2|3}, strides={1|2}, padding={PAD}{FORMAT})
AveragePooling2D({2|(1, 2)}, padding={PAD}{FORMAT})
GlobalAveragePooling2D(keepdims={SEQ}{FORMAT})
GlobalMaxPooling2D(keepdims={SEQ}{FORMAT})
Permute(({2, 1, 3|3, 1, 2|2, 3, 1|1, 3, 2}))
Reshape(({-1,|-1, 2|2, -1|-1, 2, 2|-1, 1, 2}))
Flatten(data_format='channels_first')
UpSampling2D({2|(1, 2)}{FORMAT})
ZeroPadding2D({1|((0, 1), (1, 0))}{FORMAT})
Cropping2D({1|((0, 1), (1, 0))}{FORMAT})
BatchNormalization(axis={1|2|3}{BN})
LayerNormalization(axis={1|3|[1, 2]|[1, 2, 3]})
GroupNormalization(groups={1|2|-1}, axis={1|3})
SpatialDropout2D(0.5{FORMAT})
PReLU(shared_axes={[1, 2]|[2, 3]|[1]|None})
Softmax(axis={1|2})
TimeDistributed(layers.Conv1D(3, 2, padding={PAD}))
TimeDistributed(layers.{Flatten()|LSTM(2)|Dense(2)|GlobalMaxPooling1D()})
ConvLSTM1D(2, {1|2}, return_sequences={SEQ}, padding={PAD})
EinsumDense('abcd,de->abce', (None, None, 3), bias_axes={'e'|None})
""",
    5: """
TimeDistributed(layers.Conv2D(2, 2, padding={PAD}, activation={ACT}))
TimeDistributed(layers.GlobalAveragePooling2D())
ConvLSTM2D(2, 2, padding={PAD}, return_sequences={SEQ})
Conv3D(2, {1|2}, padding={PAD})
GlobalAveragePooling3D()
Reshape((-1,))
Permute((2, 1, 4, 3))
UpSampling3D((1, 2, 1))
BatchNormalization(axis={1|4})
""",
}  # fmt: skip
LAYERS = {rank: [*text.split("\n")[1:-1], *ANY] for rank, text in LAYERS.items()}

#: Layers that are called with several tensors.
MERGES = "Add Subtract Multiply Average Maximum Minimum".split()

#: Operators and functions on `x`, and on `y` of the same shape, by rank.
EXPRESSIONS: dict[int, list[str]] = {
    0: """
x * 2 + y
x - y
1 - x
-x / 2
x * y
x / (ops.abs(y) + 1)
x ** 2
ops.{tanh|sigmoid|abs|square|relu|sin|softplus|negative}(x)
ops.exp(-ops.abs(x))
ops.sqrt(ops.square(x) + 1)
ops.log1p(ops.abs(x))
ops.{maximum|minimum|add|multiply|subtract}(x, y)
ops.{maximum|minimum|add|multiply|subtract}(x, 0.5)
ops.where(x > y, x, y * 2)
ops.clip(x, -0.5, 0.75)
ops.softmax(x, axis={1|-1})
ops.concatenate([x, y], axis={1|-1})
ops.stack([x, y], axis={1|2|-1})
ops.expand_dims(x, {1|-1})
ops.reshape(x, (-1, {2|4|6}))
x[:, 1:]
x[:, ::2]
x[..., :2]
x[:, None]
x[..., None]
ops.sum(x, axis=1, keepdims=True)
""",
    2: """
ops.matmul(x[:, :, None], y[:, None])
ops.repeat(x, 2, axis=1)
ops.split(x, 2, axis=1)[{0|1}]
""",
    3: """
x[:, 0]
x[:, -1]
x[..., 0]
x[:, ::-1]
x[:, :, 1:]
ops.{mean|max|sum|min}(x, axis={1|2|-1}{|, keepdims=True})
ops.transpose(x, (0, 2, 1))
ops.moveaxis(x, 1, 2)
ops.matmul(x, ops.transpose(y, (0, 2, 1)))
x @ ops.transpose(y, (0, 2, 1))
ops.einsum('ntc,nsc->nts', x, y)
ops.pad(x, ((0, 0), (1, 1), (0, 0)))
ops.split(x, 2, axis={1|2})[{0|1}]
ops.repeat(x, 2, axis={1|2})
ops.concatenate([x, x[:, :1]], axis=1)
layers.MultiHeadAttention({1|2}, {1|4}, dropout={0.0|0.5})(x, {x|y}{|, use_causal_mask=True})
layers.Attention({|use_scale=True})([x, y]{|, use_causal_mask=True})
layers.AdditiveAttention()([x, y])
layers.Dot(axes={1|2|(1, 2)})([x, y])
layers.LSTM(2, return_state=True)(x)[{0|1|2}]
layers.GRU(2, return_sequences=True)(x, initial_state=[layers.Dense(2)(y[:, 0])])
""",
    4: """
x[:, 0]
x[:, :, 1]
x[..., 0]
x[..., 1:]
x[:, ::-1, 1:]
ops.{mean|max|sum}(x, axis={1|(1, 2)|-1|(2, 3)}{|, keepdims=True})
ops.transpose(x, (0, {2, 1, 3|3, 1, 2|2, 3, 1}))
ops.moveaxis(x, {-1, 1|1, -1})
ops.split(x, 2, axis={1|-1})[{0|1}]
ops.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)))
ops.einsum('nhwc,nhwd->ncd', x, y)
ops.matmul(x, ops.transpose(y, (0, 1, 3, 2)))
layers.Concatenate(axis={1|2|3})([x, y])
ops.concatenate(ops.unstack(x, axis=1), axis=-1)
""",
    5: """
x[:, 0]
x[..., 0]
ops.mean(x, axis={1|(2, 3)|-1})
ops.squeeze(x[:, :, :1], 2)
""",
}  # fmt: skip
EXPRESSIONS = {rank: text.split("\n")[1:-1] for rank, text in EXPRESSIONS.items()}
