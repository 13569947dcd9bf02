"""Functions of TensorFlow by the class of `keras.ops` that does the same, and how their arguments differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torchport.normalise.arguments import (
    Config,
    blocks,
    convolution,
    counted,
    cropped,
    direction,
    full,
    fused,
    gathered,
    norm,
    normalize,
    old_dropout,
    pad,
    padded,
    pool,
    sliced,
    split,
    transposed,
    window,
)


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
    "transpose_a": False, "adjoint_a": False, "adjoint_b": False, "transpose_b": False, "adjoint": False,
    "a_is_sparse": False, "b_is_sparse": False, "antialias": False,
    "dim": None, "dtype": None, "dimension": None, "squeeze_dims": None, "num_split": ...,
    "reduction_indices": None, "value_index": None, "use_cudnn_on_gpu": ..., "message": ..., "msg": ...,
    "data": ..., "summarize": ..., "index_type": ..., "bad_indices_policy": "", "stable": ...,
    "explicit_paddings": [], "align_corners": False, "seed": ...,
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


UNARY = (
    "exp expm1 log log1p sqrt rsqrt sin cos tan sinh cosh tanh asinh acosh atanh abs negative sign square "
    "floor round erf sigmoid reciprocal relu relu6 selu softsign softplus elu leaky_relu softmax "
    "log_softmax is_nan is_inf is_finite logical_not identity stop_gradient ceil swish asin acos atan erfc "
    "bessel_i0 check_numerics inv det logdet slogdet cholesky log_sigmoid angle conj real imag erfinv rint "
    "assert_all_finite convert_to_tensor ensure_shape invert_permutation"
).split()
SPELLED = {
    "asinh": "Arcsinh", "acosh": "Arccosh", "atanh": "Arctanh", "abs": "Absolute", "is_nan": "Isnan",
    "is_inf": "Isinf", "is_finite": "Isfinite", "identity": "Copy", "swish": "Silu", "asin": "Arcsin",
    "acos": "Arccos", "atan": "Arctan", "bessel_i0": "I0", "check_numerics": "Copy",
    "conj": "Conjugate", "rint": "Round", "assert_all_finite": "Copy", "ensure_shape": "Copy",
    "invert_permutation": "Argsort",
}  # fmt: skip
#: Functions of two tensors; the second is `y`, except where named.
BINARY = {
    "add": "Add", "subtract": "Subtract", "multiply": "Multiply", "truediv": "TrueDivide", "divide": "Divide",
    "floordiv": "FloorDivide", "floormod": "Mod", "mod": "Mod", "pow": "Power", "maximum": "Maximum",
    "minimum": "Minimum", "equal": "Equal", "not_equal": "NotEqual",
    "greater": "Greater", "greater_equal": "GreaterEqual", "less": "Less", "less_equal": "LessEqual",
    "logical_and": "LogicalAnd", "logical_or": "LogicalOr", "logical_xor": "LogicalXor", "atan2": "Arctan2",
    "squared_difference": "SquaredDifference", "sub": "Subtract", "mul": "Multiply", "div": "tf.div",
    "raw_ops.Div": "tf.raw_ops.Div", "realdiv": "TrueDivide", "floor_div": "FloorDivide",
    "truncatediv": "tf.truncatediv", "truncatemod": "Fmod", "nextafter": "Nextafter",
    "bitwise_and": "BitwiseAnd", "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
    "left_shift": "LeftShift", "right_shift": "RightShift", "xlogy": "tf.xlogy", "xlog1py": "tf.xlog1py",
    "xdivy": "tf.xdivy", "multiply_no_nan": "tf.multiply_no_nan", "polygamma": "tf.polygamma",
    "igamma": "tf.igamma", "igammac": "tf.igammac", "scalar_mul": "Multiply", "polyval": "tf.polyval",
    "zeta": "tf.zeta",
    "divide_no_nan": "DivideNoNan",
}  # fmt: skip
SECOND = {name: "x" for name in ("atan2", "polygamma", "igamma", "igammac", "scalar_mul", "polyval")} | {
    "nextafter": "x2",
    "zeta": "q",
}
#: Functions of one tensor that `keras.ops` has not.
OWN = (
    "lgamma digamma bessel_i0e bessel_i1 bessel_i1e ndtri erfcinv reciprocal_no_nan lbeta is_non_decreasing "
    "is_strictly_increasing zero_fraction"
).split()
REDUCED = {
    "reduce_mean": "Mean", "reduce_sum": "Sum", "reduce_max": "Max", "reduce_min": "Min",
    "reduce_prod": "Prod", "reduce_std": "Std", "reduce_variance": "Var", "reduce_any": "Any",
    "reduce_all": "All", "reduce_logsumexp": "Logsumexp", "reduce_euclidean_norm": "Norm",
}  # fmt: skip
SEGMENTS = {
    f"{which}segment_{how}": f"Segment{how.capitalize()}"
    for how in ("sum", "max", "min", "prod")
    for which in ("", "unsorted_")
}
#: Operators of Python: their second argument is `other`.
OTHER = {"eq": "Equal", "ne": "NotEqual"}
#: Functions of tf.image that `keras.ops` has not.
IMAGES = (
    "adjust_brightness adjust_contrast adjust_gamma adjust_saturation adjust_hue rgb_to_yiq yiq_to_rgb "
    "rgb_to_yuv yuv_to_rgb grayscale_to_rgb per_image_standardization convert_image_dtype central_crop "
    "resize_with_crop_or_pad resize_with_pad"
).split()
#: Functions of tf.signal.
SIGNALS = (
    "fft ifft fft2d ifft2d fft3d ifft3d rfft irfft fftshift ifftshift dct idct frame overlap_and_add stft "
    "inverse_stft "
    "mfccs_from_log_mel_spectrograms"
).split()
OLD = "tf.compat.v1.image.resize"
FIRST, MATRIX = {"axis": 0}, {"axis1": -2, "axis2": -1}

FUNCTIONS: dict[str, Function] = {
    **{name: Function(SPELLED.get(name, by_words(name))) for name in UNARY},
    **{name: Function(kind, (SECOND.get(name, "y"),)) for name, kind in BINARY.items()},
    **{name: Function(kind, ("other",)) for name, kind in OTHER.items()},
    **{name: Function(kind) for name, kind in REDUCED.items()},
    **{name: Function(f"tf.{name}") for name in OWN},
    **{name: Function(kind, ("segment_ids",)) for name, kind in SEGMENTS.items()},
    **{f"{which}segment_mean": Function("tf.segment_mean", ("segment_ids",)) for which in ("", "unsorted_")},
    "unsorted_segment_sqrt_n": Function("tf.segment_mean", ("segment_ids",), {"root": True}),
    **{
        f"{name}_cross_entropy_with_logits": Function(f"tf.nn.{name}_cross_entropy_with_logits", ("logits",))
        for name in ("sigmoid", "softmax", "sparse_softmax", "weighted")
    },
    "softmax_cross_entropy_with_logits_v2": Function("tf.nn.softmax_cross_entropy_with_logits", ("logits",)),
    "log_poisson_loss": Function("tf.nn.log_poisson_loss", ("log_input",)),
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
    "bincount": Function("Bincount", (), {}, counted),
    "split": Function("Split", (), FIRST, split),
    "slice": Function("Slice", ("begin",), {}, sliced),
    "pad": Function("Pad", (), {}, pad),
    "clip_by_value": Function("Clip"),
    "where": Function("Where", ("x", "y")),
    "where_v2": Function("Where", ("x", "y")),
    "gather": Function("Take", ("indices",), FIRST, gathered),
    "one_hot": Function("OneHot"),
    "matmul": Function("Matmul", ("b",)),
    "tensordot": Function("Tensordot", ("b",)),
    "solve": Function("Solve", ("rhs",)),
    "bias_add": Function("tf.bias_add", ("bias",)),
    "gelu": Function("Gelu", (), {"approximate": False}),
    "argmax": Function("Argmax", (), FIRST),
    "argmin": Function("Argmin", (), FIRST),
    "argsort": Function("Argsort", (), {"axis": -1}, direction),
    "sort": Function("Sort", (), {"axis": -1}, direction),
    "invert": Function("BitwiseInvert"),
    "count_nonzero": Function("CountNonzero"),
    "cumulative_logsumexp": Function("tf.cumulative_logsumexp", (), FIRST),
    "clip_by_norm": Function("tf.clip_by_norm"),
    "saturate_cast": Function("SaturateCast"),
    "complex": Function("tf.complex", ("imag",)),
    "in_top_k": Function("InTopK", ("predictions",)),
    "compat.v1.math.in_top_k": Function("tf.in_top_k", ("targets",)),
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
    "l2_normalize": Function("Normalize", (), {"axis": None, "epsilon": 1e-12}, normalize),
    "norm": Function("Norm", (), {}, norm),
    "trace": Function("Trace", (), MATRIX),
    "diag_part": Function("Diagonal", (), MATRIX),
    "band_part": Function("tf.band_part"),
    "adjoint": Function("Swapaxes", (), MATRIX),
    "cross": Function("Cross", ("b",)),
    "cholesky_solve": Function("tf.cholesky_solve", ("rhs",)),
    "triangular_solve": Function("SolveTriangular", ("rhs",), {"lower": True}),
    "diag": Function("tf.diag"),
    "set_diag": Function("tf.set_diag", ("diagonal",)),
    "eigvalsh": Function("tf.eigvalsh"),
    "expm": Function("tf.expm"),
    "matrix_rank": Function("MatrixRank"),
    "pinv": Function("Pinv"),
    "qr": Function("Qr", (), {}, full),
    "svd": Function("SVD"),
    "normalize": Function("tf.normalize", (), {}, norm),
    "tensor_diag": Function("tf.tensor_diag"),
    "tensor_diag_part": Function("tf.tensor_diag_part"),
    **{f"max_pool{rank}": Function("MaxPool", (), {}, window) for rank in ("", "1d", "2d", "3d")},
    **{f"avg_pool{rank}": Function("AveragePool", (), {}, window) for rank in ("", "1d", "2d", "3d")},
    **{f"conv{rank}d": Function("Conv", ("filter", "filters"), {}, window) for rank in (1, 2, 3)},
    **{
        f"conv{rank}_transpose": Function("tf.nn.conv_transpose", ("filters", "filter"), {}, transposed)
        for rank in ("1d", "2d", "3d", "")
    },
    "convolution": Function("Conv", ("filters", "filter"), {}, convolution),
    "pool": Function("Pool", (), {}, pool),
    "max_pool_with_argmax": Function("MaxPool", (), {}, window),
    "dropout": Function("tf.nn.dropout", (), {}, old_dropout),
    "crelu": Function("tf.nn.crelu"),
    "fused_batch_norm": Function("BatchNorm", (), {"axis": -1}, fused),
    "silu": Function("tf.nn.silu"),
    "l2_loss": Function("tf.nn.l2_loss"),
    "local_response_normalization": Function("tf.nn.local_response_normalization"),
    "batch_normalization": Function("BatchNorm", ("mean", "variance", "offset", "scale"), {"axis": -1}),
    "depthwise_conv2d": Function("DepthwiseConv", ("filter",), {}, window),
    "separable_conv2d": Function("SeparableConv", ("depthwise_filter", "pointwise_filter"), {}, window),
    **{f"image.{name}": Function(f"tf.image.{name}") for name in IMAGES},
    "image.crop_and_resize": Function("tf.image.crop_and_resize", ("boxes", "box_indices")),
    "image.rgb_to_hsv": Function("RGBToHSV"),
    "image.hsv_to_rgb": Function("HSVToRGB"),
    "image.transpose": Function("Swapaxes", (), {"axis1": -3, "axis2": -2}),
    **{
        f"compat.v1.image.{name}": Function(OLD, (), {"method": method})
        for name, method in {
            "resize_bilinear": "bilinear",
            "resize_nearest_neighbor": "nearest",
            "resize_bicubic": "bicubic",
            "resize_area": "area",
            "resize_images": "bilinear",
            "resize": "bilinear",
        }.items()
    },
    **{f"signal.{name}": Function(f"tf.signal.{name}") for name in SIGNALS},
    "depth_to_space": Function("DepthToSpace", (), {}, blocks),
    "space_to_depth": Function("SpaceToDepth", (), {}, blocks),
    "ones_like": Function("OnesLike"),
    "zeros_like": Function("ZerosLike"),
    "roll": Function("Roll"),
    "broadcast_to": Function("BroadcastTo"),
    "tensor_scatter_nd_update": Function("ScatterUpdate", ("indices", "updates")),
    "tensor_scatter_nd_add": Function("ScatterUpdate", ("indices", "updates"), {"reduction": "add"}),
    "size": Function("Size"),
    "embedding_lookup": Function("Take", ("ids",), FIRST),
    "rank": Function("tf.rank"),
    "raw_ops.Round": Function("tf.raw_ops.Round"),
    "shape": Function("tf.shape"),
    **{name: Function(f"tf.{name}") for name in ("zeros", "ones", "fill", "range", "eye", "linspace")},
    **{f"random.{name}": Function(f"tf.random.{name}") for name in ("normal", "uniform", "truncated_normal")},
    "einsum": Function("Einsum"),
    "meshgrid": Function("Meshgrid"),
    "keras.backend.batch_flatten": Function("layers.Flatten"),
    "keras.backend.print_tensor": Function("Copy"),
    "keras.backend.cast_to_floatx": Function("Cast", (), {"dtype": "float32"}),
    "sequence_mask": Function("tf.sequence_mask"),
    "reverse_sequence": Function("tf.reverse_sequence", ("seq_lengths",)),
    "gather_nd": Function("tf.gather_nd", ("indices",)),
    "scatter_nd": Function("Scatter", ("updates",)),
    "tensor_scatter_nd_sub": Function("ScatterUpdate", ("indices", "updates"), {"reduction": "subtract"}),
    "searchsorted": Function("SearchSorted", ("values",)),
    "compat.v1.where": Function("tf.compat.v1.where", ("x", "y")),
    "boolean_mask": Function("tf.boolean_mask", ("mask",)),
    "space_to_batch_nd": Function("tf.space_to_batch"),
    "batch_to_space_nd": Function("tf.batch_to_space"),
}
#: Arguments that keep a name that RENAMED would change.
KEPT = {
    "diag_part": {"k": "offset"},
    "scatter_nd": {"shape": "shape"},
    "broadcast_to": {"shape": "shape"},
    "elu": {"alpha": "alpha"},
}
#: Arguments that change nothing in one function, though they do in others.
UNUSED = {
    "diag_part": ("align", "padding_value"),
    "unstack": ("num",),
    "split": ("num",),
    "size": ("out_type",),
    "shape": ("out_type",),
    "embedding_lookup": ("partition_strategy", "max_norm"),
    "ensure_shape": ("shape",),
    "assert_all_finite": ("x",),
    "convert_to_tensor": ("dtype_hint",),
    "count_nonzero": ("input_tensor",),
}
