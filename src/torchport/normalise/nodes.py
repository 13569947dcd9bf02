"""Nodes of a graph in a model of TensorFlow 2.0 to 2.3 become calls of TensorFlow's functions.

before:  y = TensorFlowOpLayer(x), node_def={"op": "Mean", "attr": {"keep_dims": ...}}, constants={1: [1, 2]}
after:   y = math.reduce_mean(x), axis=[1, 2], keepdims=True
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from torchport.errors import Unsupported
from torchport.graph import Op


class Node(NamedTuple):
    """The function; names of inputs after the first; arguments that are attributes, by attribute; and
    whether the first inputs are a list.
    """

    function: str
    inputs: tuple[str, ...] = ()
    attributes: Mapping[str, str] = {}
    listed: bool = False


RUNNING = {"exclusive": "exclusive", "reverse": "reverse"}
CORNERS = {"align_corners": "align_corners", "half_pixel_centers": "half_pixel_centers"}
AROUND = {key: key for key in ("depth_radius", "bias", "alpha", "beta")}
STEPS = {"seq_dim": "seq_axis", "batch_dim": "batch_axis"}
AXIS, REDUCED = {"axis": "axis"}, {"keep_dims": "keepdims"}
WINDOW = {"ksize": "ksize", "strides": "strides", "padding": "padding", "data_format": "data_format"}
CONV = {key: key for key in ("strides", "padding", "data_format", "dilations")}

NODES: dict[str, Node] = {
    **{name: Node(function, ("y",)) for name, function in {
        "Add": "add", "AddV2": "add", "Sub": "subtract", "Mul": "multiply", "RealDiv": "truediv",
        "FloorDiv": "floordiv", "FloorMod": "floormod", "Pow": "pow", "Maximum": "maximum",
        "Minimum": "minimum", "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater",
        "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal",
        "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "SquaredDifference": "squared_difference",
        "DivNoNan": "divide_no_nan", "Div": "raw_ops.Div", "TruncateDiv": "truncatediv",
        "TruncateMod": "truncatemod", "Xlogy": "xlogy", "Xdivy": "xdivy", "Xlog1py": "xlog1py",
        "MulNoNan": "multiply_no_nan",
        "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
        "BitwiseXor": "bitwise_xor", "LeftShift": "left_shift", "RightShift": "right_shift",
    }.items()},
    **{name: Node(function, ("axis",), REDUCED) for name, function in {
        "Mean": "reduce_mean", "Sum": "reduce_sum", "Max": "reduce_max", "Min": "reduce_min",
        "Prod": "reduce_prod", "Any": "reduce_any", "All": "reduce_all",
    }.items()},
    **{name: Node(function, ("axis",)) for name, function in {
        "ExpandDims": "expand_dims", "ArgMax": "argmax", "ArgMin": "argmin", "ReverseV2": "reverse",
    }.items()},
    **{name: Node(name.lower()) for name in (
        "Exp", "Expm1", "Log", "Log1p", "Sqrt", "Rsqrt", "Square", "Abs", "Tanh", "Sigmoid", "Relu", "Relu6",
        "Elu", "Selu", "Softplus", "Softsign", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh",
        "Floor", "Ceil", "Sign", "Softmax", "Erf", "Erfc", "Identity", "Reciprocal",
    )},
    "Atan2": Node("atan2", ("x",)), "NextAfter": Node("nextafter", ("x2",)),
    "Round": Node("raw_ops.Round"), "Rint": Node("rint"), "Neg": Node("negative"), "Inv": Node("reciprocal"),
    "LogSoftmax": Node("log_softmax"), "IsNan": Node("is_nan"), "LogicalNot": Node("logical_not"),
    "ZerosLike": Node("zeros_like"), "OnesLike": Node("ones_like"), "StopGradient": Node("stop_gradient"),
    "LeakyRelu": Node("leaky_relu", (), {"alpha": "alpha"}),
    "Reshape": Node("reshape", ("shape",)), "Transpose": Node("transpose", ("perm",)),
    "Tile": Node("tile", ("multiples",)), "BroadcastTo": Node("broadcast_to", ("shape",)),
    "Pad": Node("pad", ("paddings",)), "PadV2": Node("pad", ("paddings", "constant_values")),
    "MirrorPad": Node("pad", ("paddings",), {"mode": "mode"}),
    "MatMul": Node("matmul", ("b",), {"transpose_a": "transpose_a", "transpose_b": "transpose_b"}),
    **{name: Node("matmul", ("b",), {"adj_x": "transpose_a", "adj_y": "transpose_b"})
       for name in ("BatchMatMul", "BatchMatMulV2")},
    "GatherV2": Node("gather", ("indices", "axis"), {"batch_dims": "batch_dims"}),
    "Cast": Node("cast", (), {"DstT": "dtype"}), "Squeeze": Node("squeeze", (), {"squeeze_dims": "axis"}),
    "ConcatV2": Node("concat", ("axis",), {}, True), "Pack": Node("stack", (), AXIS, True),
    "AddN": Node("add_n", (), {}, True), "Unpack": Node("unstack", (), AXIS),
    "Split": Node("split", ("axis",), {"num_split": "num_or_size_splits"}),
    "SplitV": Node("split", ("num_or_size_splits", "axis")),
    "Select": Node("where", ("x", "y")), "SelectV2": Node("where", ("x", "y")),
    "OneHot": Node("one_hot", ("depth", "on_value", "off_value"), AXIS),
    "Cumsum": Node("cumsum", ("axis",), RUNNING),
    "Slice": Node("slice", ("begin", "size")), "BiasAdd": Node("bias_add", ("bias",)),
    "TopKV2": Node("top_k", ("k",)), "Conv2D": Node("conv2d", ("filter",), CONV),
    "DepthwiseConv2dNative": Node("depthwise_conv2d", ("filter",), CONV),
    "MaxPool": Node("max_pool", (), WINDOW), "AvgPool": Node("avg_pool", (), WINDOW),
    **{name: Node(function, (), {"block_size": "block_size", "data_format": "data_format"})
       for name, function in {"DepthToSpace": "depth_to_space", "SpaceToDepth": "space_to_depth"}.items()},
    **{f"Resize{name}": Node(f"compat.v1.image.{function}", ("size",), CORNERS) for name, function in {
        "Bilinear": "resize_bilinear", "NearestNeighbor": "resize_nearest_neighbor",
        "Bicubic": "resize_bicubic", "Area": "resize_area",
    }.items()},
    "FFT": Node("signal.fft"), "IFFT": Node("signal.ifft"), "FFT2D": Node("signal.fft2d"),
    "IFFT2D": Node("signal.ifft2d"), "RFFT": Node("signal.rfft", ("fft_length",)),
    "IRFFT": Node("signal.irfft", ("fft_length",)), "ComplexAbs": Node("abs"), "Real": Node("real"),
    "Imag": Node("imag"), "Conj": Node("conj"), "Complex": Node("complex", ("imag",)), "Angle": Node("angle"),
    "Einsum": Node("einsum", (), {"equation": "equation"}, True),
    "GatherNd": Node("gather_nd", ("indices",)), "ScatterNd": Node("scatter_nd", ("updates", "shape")),
    "LRN": Node("local_response_normalization", (), AROUND),
    "L2Loss": Node("l2_loss"), "Range": Node("range", ("limit", "delta")), "Fill": Node("fill", ("value",)),
    "Roll": Node("roll", ("shift", "axis")), "Cumprod": Node("cumprod", ("axis",), RUNNING),
    "ReverseSequence": Node("reverse_sequence", ("seq_lengths",), STEPS),
    "MatrixBandPart": Node("band_part", ("num_lower", "num_upper")), "MatrixDiag": Node("diag"),
    "MatrixDiagV3": Node("diag", ("k", "num_rows", "num_cols", "padding_value")),
    "MatrixDiagPart": Node("diag_part"), "MatrixInverse": Node("inv"), "MatrixDeterminant": Node("det"),
    "Cholesky": Node("cholesky"), "Lgamma": Node("lgamma"), "Digamma": Node("digamma"),
    "Asinh": Node("asinh"), "Acosh": Node("acosh"), "Atanh": Node("atanh"),
    "Rank": Node("rank"), "Size": Node("size"),
    "IsInf": Node("is_inf"), "IsFinite": Node("is_finite"), "Invert": Node("invert"),
    "CheckNumerics": Node("check_numerics"), "PreventGradient": Node("identity"),
    "Snapshot": Node("identity"), "EnsureShape": Node("ensure_shape"),
    "PlaceholderWithDefault": Node("identity"),
    "EuclideanNorm": Node("reduce_euclidean_norm", ("axis",), REDUCED),
    "UnsortedSegmentSum": Node("unsorted_segment_sum", ("segment_ids", "num_segments")),
    "Shape": Node("shape"),
}  # fmt: skip
#: How nodes name the dtypes that have a name of another kind than DT_INT32.
DTYPES = {"FLOAT": "float32", "DOUBLE": "float64", "HALF": "float16"}


def function_of(op: Op) -> tuple[Op, str, dict[str, Any]]:
    """The op with its tensors in order, its function and the function's arguments; "" where there is none.

    Constants are kept beside the node, by the number of the input that they are.
    """
    node: Any = op.config.get("node_def")
    try:
        node = json.loads(node) if isinstance(node, str) else node
    except ValueError:  # TensorFlow 2.0 wrote it in binary
        node = None
    kind = str(node.get("op")) if isinstance(node, Mapping) else "TensorFlowOpLayer"
    unknown: tuple[Op, str, dict[str, Any]] = (
        replace(op, kind=f"tf.raw_ops.{kind}", config={}, kwargs={}), "", {},
    )  # fmt: skip
    attributes = node.get("attr") if isinstance(node, Mapping) else None
    if not isinstance(attributes, Mapping):
        attributes = {}
    inputs = _inputs(op)
    if kind == "StridedSlice" and len(inputs) == 4:
        masks = {name: int(_value(attributes.get(f"{name}_mask")) or 0) for name in MASKS}
        first, begin, end, strides = inputs
        return (
            replace(op, args=(first,)),
            "__operators__.getitem",
            {"key": key_of(begin, end, strides, masks)},
        )
    known = NODES.get(kind)
    if known is None:
        return unknown
    if kind == "Split":  # the axis comes first
        inputs = [*inputs[1:], inputs[0]]
    elif known.listed:
        count = len(inputs) - len(known.inputs)
        inputs = [inputs[:count], *inputs[count:]]
    given = dict(zip(known.inputs, inputs[1:], strict=False))
    for attribute, argument in known.attributes.items():
        if attribute in attributes:
            given[argument] = _value(attributes[attribute])
    if kind == "Squeeze":
        given["axis"] = given.get("axis") or None
    if kind == "Einsum":
        return replace(op, args=(given.pop("equation"),)), known.function, {"inputs": inputs[0]}
    return replace(op, args=(inputs[0],)), known.function, given


def _inputs(op: Op) -> list[Any]:
    """Tensors and constants in the node's order."""
    held = op.config.get("constants")
    constants = {int(at): _constant(it) for at, it in held.items()} if isinstance(held, Mapping) else {}
    first = op.args[0]
    tensors = list(first) if isinstance(first, (list, tuple)) else [first]
    inputs: list[Any] = []
    while tensors or len(inputs) in constants:
        inputs.append(constants[len(inputs)] if len(inputs) in constants else tensors.pop(0))
    return inputs


def _constant(value: Any) -> Any:
    """A constant that is a few whole numbers as these; others as they were saved."""
    config = value.get("config") if isinstance(value, Mapping) else None
    if isinstance(config, Mapping) and "int" in str(config.get("dtype")):
        return config.get("value")
    return value


def _value(attribute: Any) -> Any:
    """The value of an attribute: {"i": "3"} is 3, {"type": "DT_INT32"} is "int32"."""
    if not isinstance(attribute, Mapping) or len(attribute) != 1:
        return None
    ((kind, value),) = attribute.items()
    if kind == "list" and isinstance(value, Mapping):
        return [_value({inner: it}) for inner, items in value.items() for it in items]
    if kind == "i":
        return int(value)
    if kind == "type":
        name = str(value).removeprefix("DT_")
        return DTYPES.get(name, name.lower())
    if kind == "s":
        try:
            return base64.b64decode(value, validate=True).decode("ascii")
        except (binascii.Error, UnicodeDecodeError, TypeError, ValueError):
            return None
    return value


MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")


def key_of(begin: Any, end: Any, strides: Any, masks: Mapping[str, int]) -> list[Any]:
    """The index of Python that a strided slice was, whose ends are numbers."""
    begin, end, strides = ([it] if isinstance(it, int) else it for it in (begin, end, strides))
    if not all(isinstance(it, (list, tuple)) for it in (begin, end, strides)):
        raise Unsupported("a slice with ends that are tensors", "give them as numbers")
    return index_of(begin, end, strides, masks, int)


def index_of(
    begin: Sequence[Any], end: Sequence[Any], strides: Sequence[Any], masks: Mapping[str, int],
    number: Callable[[Any], Any] = lambda it: it,
) -> list[Any]:  # fmt: skip
    """The index of Python that a strided slice was; its ends, which may be tensors, as `number` makes them.

    Source: tensorflow/python/ops/array_ops.py, _slice_helper.
    """
    key: list[Any] = []
    for at, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        bit = 1 << at
        if masks["ellipsis"] & bit:
            key.append(...)
        elif masks["new_axis"] & bit:
            key.append(None)
        elif masks["shrink_axis"] & bit:
            key.append(number(first))
        else:
            start = None if masks["begin"] & bit else number(first)
            stop = None if masks["end"] & bit else number(last)
            key.append(slice(start, stop, None if step == 1 else number(step)))
    return key
