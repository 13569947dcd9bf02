"""Functions of TensorFlow by the class of `keras.ops` that does the same, and how their arguments differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from torchport.errors import Unsupported

Config = dict[str, Any]


class Function(NamedTuple):
    """The class; arguments passed by place after the first; other defaults than Keras's; and what is left
    to change.
    """

    kind: str
    places: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = {}
    change: Callable[[Config], None] | None = None


#: Arguments that change nothing, at the values that they have.
IDLE = {
    "name": ..., "validate_indices": ..., "conjugate": False, "keep_dims": None, "axis_name": ...,
    "output_type": ..., "transpose_a": False, "adjoint_a": False, "adjoint_b": False, "batch_dims": 0,
    "a_is_sparse": False, "b_is_sparse": False, "antialias": False, "preserve_aspect_ratio": False,
    "exclusive": False, "reverse": False, "num": ..., "dim": None, "dtype": None,
    "dimension": None, "squeeze_dims": None, "on_value": None, "off_value": None, "transpose_b": False,
    "reduction_indices": None, "num_split": ..., "value_index": None, "use_cudnn_on_gpu": ...,
    "message": ..., "index_type": ..., "bad_indices_policy": "", "direction": "ASCENDING", "stable": ...,
    "out_type": ..., "explicit_paddings": [], "align_corners": False,
    "adjoint": False,
}  # fmt: skip

#: What TensorFlow calls an argument that Keras calls otherwise.
RENAMED = {
    "shape": "newshape", "perm": "axes", "multiples": "repeats", "num_or_size_splits": "indices_or_sections",
    "paddings": "pad_width", "clip_value_min": "x_min", "clip_value_max": "x_max", "alpha": "negative_slope",
    "depth": "num_classes", "method": "interpolation", "ksize": "pool_size", "keepdim": "keepdims",
    "input_axis": "axis", "dilations": "dilation_rate", "rates": "dilation_rate", "rate": "dilation_rate",
    "sizes": "size", "stride": "strides", "variance_epsilon": "epsilon",
}  # fmt: skip


def by_words(name: str) -> str:
    """The name of a class: `log_softmax` is LogSoftmax."""
    return "".join(word.capitalize() for word in name.split("_"))


def split(config: Config) -> None:
    """TensorFlow gives the sizes of pieces, Keras where they are cut."""
    sizes = config.get("indices_or_sections")
    if isinstance(sizes, (list, tuple)):
        config["indices_or_sections"] = list(accumulate(sizes))[:-1]


def pad(config: Config) -> None:
    config["mode"] = str(config.get("mode", "constant")).lower()


def space(values: Any, data_format: str) -> Any:
    """Values for space alone, of those for all axes."""
    if not isinstance(values, (list, tuple)) or len(values) < 3:
        return values
    batch, *middle, last = values
    if data_format.startswith("NC"):
        first, middle = middle[0], [*middle[1:], last]
    else:
        first = last
    if (batch, first) != (1, 1):
        raise Unsupported("windows or steps over the batch or the channels")
    return middle


def window(config: Config) -> None:
    """Sizes, strides and padding of a window over images."""
    layout = str(config.pop("data_format", None) or "NHWC")
    padding = config.get("padding", "VALID")
    if not isinstance(padding, str):
        raise Unsupported("padding that is given as numbers", "use tf.pad before it")
    config["padding"] = padding.lower()
    if layout.startswith("NC"):
        config["data_format"] = "channels_first"
    for key in ("pool_size", "strides", "dilation_rate", "size"):
        if config.get(key) is not None:
            config[key] = space(config[key], layout)
        elif key == "dilation_rate":
            config.pop(key, None)


def blocks(config: Config) -> None:
    if str(config.pop("data_format", "NHWC")) != "NHWC":
        config["data_format"] = "channels_first"


def normalize(config: Config) -> None:
    """TensorFlow's epsilon is that of the sum of squares."""
    config["epsilon"] = math.sqrt(config["epsilon"])


def norm(config: Config) -> None:
    """By default TensorFlow's norm is that of all numbers, over however many axes."""
    if config.get("ord", "euclidean") == "euclidean":
        config["ord"] = None
    elif config.get("axis") is None or isinstance(config["axis"], (list, tuple)):
        raise Unsupported("a norm of matrices")
    config["keepdims"] = bool(config.get("keepdims"))


def band(config: Config) -> None:
    """All below the diagonal, or all above it: the class is made of `k`, see `banded`."""
    lower, upper = config.pop("num_lower"), config.pop("num_upper")
    if sorted((lower, upper)) != [-1, 0]:
        raise Unsupported(f"a band of {lower} and {upper}", "a triangle is ported: -1 and 0")
    config["upper"] = lower == 0


def boxed(config: Config, what: str) -> None:
    config[f"top_{what}"] = config.pop("offset_height")
    config[f"left_{what}"] = config.pop("offset_width")


def cropped(config: Config) -> None:
    boxed(config, "cropping")


def padded(config: Config) -> None:
    boxed(config, "padding")


def sliced(config: Config) -> None:
    config["shape"] = config.pop("size")


UNARY = (
    "exp expm1 log log1p sqrt rsqrt sin cos tan sinh cosh tanh asinh acosh atanh abs negative sign square "
    "floor round erf sigmoid reciprocal relu relu6 selu silu softsign softplus elu leaky_relu softmax "
    "log_softmax is_nan is_inf is_finite logical_not identity stop_gradient ceil swish asin acos atan erfc "
    "bessel_i0 check_numerics inv det logdet slogdet cholesky log_sigmoid"
).split()
SPELLED = {
    "asinh": "Arcsinh", "acosh": "Arccosh", "atanh": "Arctanh", "abs": "Absolute", "is_nan": "Isnan",
    "is_inf": "Isinf", "is_finite": "Isfinite", "identity": "Copy", "swish": "Silu", "asin": "Arcsin",
    "acos": "Arccos", "atan": "Arctan", "bessel_i0": "I0", "check_numerics": "Copy",
}  # fmt: skip
#: Functions of two tensors; the second is `y`, except where named.
BINARY = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "truediv": "TrueDivide", "divide": "Divide",
    "floordiv": "FloorDivide", "floormod": "Mod", "mod": "Mod", "pow": "Power", "maximum": "Maximum",
    "minimum": "Minimum", "equal": "Equal", "eq": "Equal", "not_equal": "NotEqual", "ne": "NotEqual",
    "greater": "Greater", "greater_equal": "GreaterEqual", "less": "Less", "less_equal": "LessEqual",
    "logical_and": "LogicalAnd", "logical_or": "LogicalOr", "logical_xor": "LogicalXor", "atan2": "Arctan2",
    "squared_difference": "SquaredDifference", "sub": "Subtract", "mul": "Multiply", "div": "Divide",
    "divide_no_nan": "DivideNoNan",
}  # fmt: skip
SECOND = {"atan2": "x"}
REDUCED = {
    "reduce_mean": "Mean", "reduce_sum": "Sum", "reduce_max": "Max", "reduce_min": "Min",
    "reduce_prod": "Prod", "reduce_std": "Std", "reduce_variance": "Var", "reduce_any": "Any",
    "reduce_all": "All", "reduce_logsumexp": "Logsumexp", "reduce_euclidean_norm": "Norm",
}  # fmt: skip
SEGMENTS = {f"unsorted_segment_{how}": f"Segment{how.capitalize()}" for how in ("sum", "max", "min", "prod")}
FIRST, MATRIX = {"axis": 0}, {"axis1": -2, "axis2": -1}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(SPELLED.get(name, by_words(name))) for name in UNARY},
    **{name: Function(kind, (SECOND.get(name, "y"),)) for name, kind in BINARY.items()},
    **{name: Function(kind) for name, kind in REDUCED.items()},
    **{name: Function(kind, ("segment_ids",)) for name, kind in SEGMENTS.items()},
    "concat": Function("Concatenate"),
    "stack": Function("Stack", (), FIRST),
    "reshape": Function("Reshape"),
    "unstack": Function("Unstack", (), FIRST),
    "transpose": Function("Transpose"),
    "matrix_transpose": Function("Swapaxes", (), {"axis1": -2, "axis2": -1}),
    "cast": Function("Cast"),
    "expand_dims": Function("ExpandDims"),
    "squeeze": Function("Squeeze"),
    "tile": Function("Tile"),
    "repeat": Function("Repeat"),
    "split": Function("Split", (), FIRST, split),
    "slice": Function("Slice", ("begin",), {}, sliced),
    "pad": Function("Pad", (), {}, pad),
    "clip_by_value": Function("Clip"),
    "where": Function("Where", ("x", "y")),
    "where_v2": Function("Where", ("x", "y")),
    "gather": Function("Take", ("indices",), FIRST),
    "one_hot": Function("OneHot"),
    "matmul": Function("Matmul", ("b",)),
    "tensordot": Function("Tensordot", ("b",)),
    "solve": Function("Solve", ("rhs",)),
    "bias_add": Function("Add", ("bias",)),
    "gelu": Function("Gelu", (), {"approximate": False}),
    "argmax": Function("Argmax", (), FIRST),
    "argmin": Function("Argmin", (), FIRST),
    "argsort": Function("Argsort", (), {"axis": -1}),
    "sort": Function("Sort", (), {"axis": -1}),
    "top_k": Function("TopK", (), {"k": 1}),
    "reverse": Function("Flip"),
    "image.flip_left_right": Function("Flip", (), {"axis": -2}),
    "image.flip_up_down": Function("Flip", (), {"axis": -3}),
    "image.rot90": Function("Rot90", (), {"k": 1, "axes": (1, 2)}),
    "image.resize": Function("Resize"),
    "image.rgb_to_grayscale": Function("RGBToGrayscale"),
    "image.extract_patches": Function("ExtractPatches", (), {}, window),
    "image.crop_to_bounding_box": Function("CropImages", (), {}, cropped),
    "image.pad_to_bounding_box": Function("PadImages", (), {}, padded),
    "cumsum": Function("Cumsum", (), FIRST),
    "cumprod": Function("Cumprod", (), FIRST),
    "l2_normalize": Function("Normalize", (), {"epsilon": 1e-12}, normalize),
    "norm": Function("Norm", (), {}, norm),
    "trace": Function("Trace", (), MATRIX),
    "diag_part": Function("Diagonal", (), MATRIX),
    "band_part": Function("Triangle", (), {}, band),
    **{f"max_pool{rank}": Function("MaxPool", (), {}, window) for rank in ("", "1d", "2d", "3d")},
    **{f"avg_pool{rank}": Function("AveragePool", (), {}, window) for rank in ("", "1d", "2d", "3d")},
    **{f"conv{rank}d": Function("Conv", ("filter", "filters"), {}, window) for rank in (1, 2, 3)},
    "depthwise_conv2d": Function("DepthwiseConv", ("filter",), {}, window),
    "separable_conv2d": Function("SeparableConv", ("depthwise_filter", "pointwise_filter"), {}, window),
    "depth_to_space": Function("DepthToSpace", (), {}, blocks),
    "space_to_depth": Function("SpaceToDepth", (), {}, blocks),
    "ones_like": Function("OnesLike"),
    "zeros_like": Function("ZerosLike"),
    "roll": Function("Roll"),
    "broadcast_to": Function("BroadcastTo"),
    "tensor_scatter_nd_update": Function("ScatterUpdate", ("indices", "updates")),
    "tensor_scatter_nd_add": Function("ScatterUpdate", ("indices", "updates"), {"reduction": "add"}),
    "size": Function("Size"),
}
#: Arguments that keep a name that RENAMED would change.
KEPT = {"broadcast_to": {"shape": "shape"}, "elu": {"alpha": "alpha"}}
