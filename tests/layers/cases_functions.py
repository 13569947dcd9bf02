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
    function("Split", "tf.split(x[..., :1], 1, axis=-1)[0]"),
    function("Unstack", "tf.unstack(x[..., :1], axis=-1)[0]"),
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


def constant(*shape: int) -> str:
    """An array whose numbers float32 holds."""
    return f"np.random.default_rng(0).integers(-9, 9, {shape}).astype('float64') / 8"


FUNCTIONS += [
    function("Tensordot", "tf.tensordot(x, tf.reduce_mean(y, [0, 1]), axes=[[3], [1]])", PAIR),
    function("TopK", "tf.math.top_k(x, 2)[0]"),
    function("DepthToSpace", "tf.nn.depth_to_space(tf.concat([x, x[..., :1]], -1), 2)"),
    function("SpaceToDepth", "tf.nn.space_to_depth(x[:, :4, :6], 2)"),
    function("Conv", f"tf.nn.conv2d(x, {constant(3, 3, 3, 2)}, 1, 'SAME')"),
    function("Conv", f"tf.nn.conv2d(x, {constant(3, 3, 3, 2)}, [1, 2, 2, 1], 'VALID')"),
    function("Conv", f"tf.nn.conv2d(tf.stop_gradient(x), {constant(3, 3, 3, 2)}, 1, 'SAME', "
             "dilations=[1, 2, 2, 1])"),
    function("DepthwiseConv", f"tf.nn.depthwise_conv2d(x, {constant(3, 3, 3, 1)}, [1, 1, 1, 1], 'SAME')"),
    function("SeparableConv", f"tf.nn.separable_conv2d(x, {constant(3, 3, 3, 1)}, {constant(1, 1, 3, 2)}, "
             "[1, 1, 1, 1], 'SAME')"),
    function("MaxPool", "tf.nn.max_pool(x, 2, 2, 'SAME')"),
    function("AveragePool", "tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], 'VALID')"),
    function("BatchNorm", "tf.nn.batch_normalization(x, tf.reduce_mean(y, [0, 1, 2]), "
             "tf.reduce_mean(y * y, [0, 1, 2]), None, None, 1e-3)", PAIR, within=1e-7,
             why="TensorFlow casts 1e-3 to float32"),
    function("Moments", "tf.nn.moments(x, [1, 2])[1]"),
    function("Norm", "tf.norm(x, axis=-1)"), function("Norm", "tf.norm(x, axis=[1, 2], keepdims=True)"),
    function("Norm", "tf.norm(x, ord=1, axis=-1, keepdims=True)"),
    function("Norm", "tf.math.reduce_euclidean_norm(x, 1)"),
    function("Sort", "tf.sort(x, axis=1)"), function("Argsort", "tf.cast(tf.argsort(x), 'float64')"),
    function("DivideNoNan", "tf.math.divide_no_nan(x, tf.nn.relu(y))", PAIR),
    function("Cumprod", "tf.math.cumprod(x, axis=1)"), function("Repeat", "tf.repeat(x, 2, axis=1)"),
    function("RGBToGrayscale", "tf.image.rgb_to_grayscale(x)", within=1e-6,
             why="TensorFlow casts to float32"),
    function("ExtractPatches", "tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 2, 1], [1] * 4, 'SAME')"),
    function("Flip", "tf.image.flip_left_right(x)"), function("Flip", "tf.image.flip_up_down(x)"),
    function("Rot90", "tf.image.rot90(x)"), function("Add", "tf.nn.bias_add(x, [1.0, 2.0, 3.0])"),
    function("CropImages", "tf.image.crop_to_bounding_box(x, 1, 2, 3, 4)"),
    function("PadImages", "tf.image.pad_to_bounding_box(x, 1, 2, 9, 11)"),
    function("Det", "tf.linalg.det(x[:, :3, 0])"), function("Trace", "tf.linalg.trace(x)"),
    function("Diagonal", "tf.linalg.diag_part(x)"), function("Tril", "tf.linalg.band_part(x, -1, 0)"),
    function("Triu", "tf.linalg.band_part(x, 0, -1)"), function("Erfc", "tf.math.erfc(x)"),
    function("Swapaxes", "tf.linalg.matrix_transpose(x)"), function("Arcsin", "tf.asin(tf.sin(x) / 2)"),
    function("Slice", "tf.slice(x, [0, 1, 0, 0], [-1, 2, -1, -1])"),
    function("Matmul", "tf.matmul(x, y, transpose_a=True)", PAIR),
    function("Matmul", "tf.matmul(x, y, transpose_a=True, transpose_b=True)", ("2 3 5", "2 7 3")),
    function("SegmentSum", "tf.math.unsorted_segment_sum(tf.reduce_sum(x, 0), [0, 2, 0, 1, 2], 3)"),
    function("Arctan2", "tf.atan2(x, y)", PAIR), function("I0", "tf.math.bessel_i0(x)"),
    function("Solve", "tf.linalg.solve(x, y)", ("2 5 5", "2 5 3")),
]  # fmt: skip


def nodes(kind: str, call: str, x: Any = "2 5 7 3", **more: Any) -> Case:
    return Case(f"keras.ops.{kind}", {}, x, call=call, of="nodes", **more)


#: What TensorFlow 2.0 to 2.3 kept of the same.
NODES = [
    nodes("Add", "2 * x + 1 - y / 4", PAIR),
    nodes("Power", "x ** 2"), nodes("Negative", "-tf.abs(x)"), nodes("Sqrt", "tf.sqrt(tf.exp(x))"),
    nodes("Maximum", "tf.maximum(x, 0.25)"), nodes("Clip", "tf.clip_by_value(x, -0.5, 0.5)"),
    nodes("Where", "tf.where(x > y, x, y)", PAIR),
    nodes("Mean", "tf.reduce_mean(x, [1, 2])"), nodes("Max", "tf.reduce_max(x, -1, keepdims=True)"),
    nodes("Sum", "tf.reduce_sum(x, axis=[1, -1])"),
    nodes("Concatenate", "tf.concat([x, y], -1)", PAIR), nodes("Stack", "tf.stack([x, y], 1)", PAIR),
    nodes("Unstack", "tf.add_n(tf.unstack(x, axis=-1))"),
    nodes("Split", "tf.concat(tf.split(x, 3, axis=-1)[::-1], -1)"),
    nodes("Split", "tf.concat(tf.split(x, [1, 2], axis=-1)[::-1], -1)"),
    *(nodes("GetItem", f"x[{key}]")
      for key in (":, 1:", "..., 0", ":, ::2, None, 1", "..., tf.newaxis", ":, -1")),
    nodes("Reshape", "tf.reshape(x, [-1, 35, 3])"), nodes("Transpose", "tf.transpose(x, [0, 2, 1, 3])"),
    nodes("ExpandDims", "tf.expand_dims(x, 1)"), nodes("Squeeze", "tf.squeeze(x[:, :1], 1)"),
    nodes("Tile", "tf.tile(x, [1, 2, 1, 1])"), nodes("Pad", "tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]])"),
    nodes("Pad", "tf.pad(x, [[0, 0], [1, 1], [2, 2], [0, 0]], mode='REFLECT')"),
    nodes("Pad", "tf.pad(x, [[0, 0], [1, 1], [2, 0], [0, 0]], constant_values=1.5)"),
    nodes("Cast", "tf.cast(tf.cast(x, 'int32'), 'float64') * x"),
    nodes("Softmax", "tf.nn.softmax(x)"), nodes("Relu6", "tf.nn.relu6(x)"), nodes("Elu", "tf.nn.elu(x)"),
    nodes("LeakyRelu", "tf.nn.leaky_relu(x, 0.25)", within=1e-7, why="its attribute is a float32"),
    nodes("Matmul", "tf.matmul(x, y, transpose_b=True)", PAIR),
    nodes("Take", "tf.gather(x, [1, 0], axis=2)"),
    nodes("OneHot", "tf.one_hot(tf.cast(x, 'int32'), 4, dtype='float64') * x[..., None]"),
    nodes("Argmax", "tf.cast(tf.argmax(x, -1), 'float64') * x[..., 0]"),
    nodes("Cumsum", "tf.cumsum(x, 1)"), nodes("TopK", "tf.math.top_k(x, 2)[0]"),
    nodes("Conv", f"tf.nn.conv2d(x, {constant(3, 3, 3, 2)}, 2, 'SAME')"),
    nodes("MaxPool", "tf.nn.max_pool2d(x, 2, 2, 'VALID')"),
    nodes("DepthToSpace", "tf.nn.depth_to_space(x, 2)", "2 3 5 8"),
    nodes("Resize", "tf.image.resize(x, [11, 13], method='nearest')"),
    nodes("Resize", "tf.image.resize(x, [11, 13])", within=1e-6, why="TensorFlow resizes in float32"),
    nodes("Rsqrt", "tf.math.rsqrt(tf.square(x) + 1)"), nodes("Normalize", "tf.nn.l2_normalize(x, -1)"),
]  # fmt: skip

#: What is computed of sizes: the kind is that of the op that stays.
SIZES = [
    *(Case("Reshape" if batch == "x" else kind, {}, PAIR, call=call, of=of)
      for of in ("tf_keras", "nodes")
      for batch, kind, call in (
        ("x", "", "tf.reshape(x, [tf.shape(x)[0], -1, 3]) + tf.reshape(y, [-1, 35, 3])"),
        ("x", "", "tf.reshape(x, tf.stack([tf.shape(x)[0], 105])) + tf.reshape(y, [-1, 105])"),
        ("x", "", "tf.reshape(x, [tf.shape(x)[0], tf.shape(x)[1] * tf.shape(x)[2], 3]) "
         "+ tf.reshape(y, [-1, 35, 3])"),
        ("x", "", "tf.reshape(x, tf.concat([tf.shape(x)[:1], [35, 3]], 0)) + tf.reshape(y, [-1, 35, 3])"),
        ("x", "", "tf.reshape(x, [tf.unstack(tf.shape(x))[0], 105]) + tf.reshape(y, [-1, 105])"),
        ("y", "tf.size", "tf.reshape(x, [tf.shape(y)[0], -1, 3]) + tf.reshape(y, [-1, 35, 3])"),
        ("y", "tf.size", "tf.reshape(x, [tf.shape(y)[0] * 5, -1, 3])"),
        ("y", "keras.ops.Reshape", "tf.reshape(x, [tf.shape(y)[0] * 5, 7, 3])"),
        ("y", "keras.ops.TrueDivide", "x / tf.cast(tf.shape(y)[1], 'float64')"),
        ("y", "keras.ops.Multiply", "x * tf.cast(tf.reduce_prod(tf.shape(y)[1:]), 'float64')"),
      )),
]  # fmt: skip
#: Of nodes alone: TensorFlow's functions of these names are others, or take no tensors of Keras.
RAW = [
    Case("tf.raw_ops.Div", {}, PAIR, call="tf.raw_ops.Div(x=x, y=y * y + 1)", of="nodes"),
    Case("tf.raw_ops.Round", {}, call="tf.raw_ops.Round(x=4 * x)", of="nodes"),
    *(Case(f"tf.signal.{kind}", {}, ("2 3 8", "2 3 8"), call=call, of="nodes", dtype="float32", within=1e-5,
           why="tf.signal.rfft is ported for float32")
      for kind, call in (
          ("rfft", "tf.abs(tf.signal.rfft(x)) + tf.abs(tf.signal.rfft(y))"),
          ("irfft", "tf.signal.irfft(tf.signal.rfft(x) * tf.signal.rfft(y))"),
      )),
]  # fmt: skip
FUNCTIONS += [*NODES, *SIZES, *RAW]
