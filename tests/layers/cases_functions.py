"""Functions of TensorFlow between the layers of a Keras 2 model: TFOpLambda and SlicingOpLambda."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case

PAIR = ("2 5 7 3", "2 5 7 3")


def function(kind: str, call: str, x: Any = "2 5 7 3", **more: Any) -> Case:
    return Case(f"keras.ops.{kind}", {}, x, call=call, of="tf_keras", **more)


FUNCTIONS = [
    function("Add", "x + 1"), function("Subtract", "1 - x"), function("Multiply", "x * y", PAIR),
    function("Divide", "x / (y * y + 1)", PAIR), function("Power", "x ** 2"), function("Negative", "-x"),
    function("Mod", "x % 2"), function("Maximum", "tf.maximum(x, y)", PAIR),
    function("SquaredDifference", "tf.math.squared_difference(x, y)", PAIR),
    function("Where", "tf.where(x > 0, x, y)", PAIR),
    function("Where", "tf.where(tf.logical_not(x > y), x, y)", PAIR),
    function("Mean", "tf.reduce_mean(x, [1, 2])"), function("Sum", "tf.reduce_sum(x, axis=1, keepdims=True)"),
    function("Max", "tf.reduce_max(x, axis=-1)"), function("Std", "tf.math.reduce_std(x, 1)"),
    function("Concatenate", "tf.concat([x, y], -1)", PAIR), function("Stack", "tf.stack([x, y], 1)", PAIR),
    function("Reshape", "tf.reshape(x, [-1, 35, 3])"), function("Transpose", "tf.transpose(x, [0, 2, 1, 3])"),
    function("Cast", "tf.cast(tf.cast(x, 'int32'), 'float64') * x"),
    function("Relu", "tf.nn.relu(x)"), function("Softmax", "tf.nn.softmax(x)"), function("Exp", "tf.exp(x)"),
    function("Sigmoid", "tf.sigmoid(x)"), function("Silu", "tf.nn.silu(x)"), function("Elu", "tf.nn.elu(x)"),
    function("Resize", "tf.image.resize(x, [11, 13], method='nearest')"),
    function("GetItem", "x[:, 1:, 0]"), function("GetItem", "x[..., None]"), function("GetItem", "x[:, -1]"),
    function("Split", "tf.concat(tf.split(x, [1, 2], axis=-1)[::-1], -1)"),
    function("Unstack", "tf.add_n(tf.unstack(x, axis=-1))"),
    function("ExpandDims", "tf.expand_dims(x, 1)"), function("Squeeze", "tf.squeeze(x[:, :1], 1)"),
    function("Pad", "tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]])"),
    function("Pad", "tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]], mode='REFLECT')"),
    function("Clip", "tf.clip_by_value(x, -1, 1)"), function("Tile", "tf.tile(x, [1, 2, 1, 1])"),
    function("OneHot", "tf.one_hot(tf.cast(x, 'int32'), 4, dtype='float64') * x[..., None]"),
    function("Take", "tf.gather(x, [1, 0], axis=2)"),
    function("Normalize", "tf.nn.l2_normalize(x, -1)"),
    function("Matmul", "tf.matmul(x, y, transpose_b=True)", PAIR),
    function("Argmax", "tf.cast(tf.argmax(x, -1), 'float64') * x[..., 0]"),
    function("AveragePool", "tf.nn.avg_pool2d(x, 2, 2, 'SAME')"),
    function("Rsqrt", "tf.math.rsqrt(tf.abs(x) + 1)"),
]  # fmt: skip
