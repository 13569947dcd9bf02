"""The table: every rule with its options, on tensors whose sizes are unequal where they can be."""

from __future__ import annotations

from typing import Any

from tests.layers import cases_masks, cases_recurrent, cases_tied
from tests.layers.cases_attention import ATTENTION
from tests.layers.cases_functions import FUNCTIONS
from tests.layers.cases_images import IMAGE_OPERATIONS
from tests.layers.cases_linear import LINEAR
from tests.layers.cases_operations import OPERATIONS
from tests.layers.cases_preprocessing import PREPROCESSING
from tests.layers.harness import Case

FIRST = {"data_format": "channels_first"}
#: TensorFlow keeps some numbers as float32, whatever the tensors are.
FLOAT32 = "tf.cast makes a float32 of a number first"
ATTRIBUTE = "tf.raw_ops.LeakyRelu has a float32 `alpha`"
NO_KERNEL = "tf.raw_ops.MaxPool3D has no float64"
BILINEAR = "tf.raw_ops.ResizeBilinear computes in float32"


#: How far batch renormalisation goes.
CLIPPING = {"rmin": 0.75, "rmax": 1.25, "dmax": 0.5}
#: tf-keras compares float64 statistics with a float32 epsilon, which TensorFlow does not.
OLD_RENORM: dict[str, Any] = {"dtype": "float32", "within": 2e-6, "why": "it runs in float32 alone"}


def flat(kind: str, options: dict[str, Any] | None = None, x: str = "2 3 5 7") -> Case:
    """A layer on flattened features, whose order the layout chooses."""
    return Case("Flatten", {}, x, then=((kind, options or {}), ("Dense", {"units": 5})))


CONV = [
    Case("Conv1D", {"filters": 7, "kernel_size": 3}, "2 11 5"),
    Case("Conv1D", {"filters": 7, "kernel_size": 4, "strides": 3, "padding": "same"}, "2 11 5"),
    Case(
        "Conv1D",
        {"filters": 7, "kernel_size": 3, "padding": "causal", "dilation_rate": 2},
        "2 11 5",
    ),
    Case("Conv1D", {"filters": 7, "kernel_size": 3, "padding": "causal", "strides": 2}, "2 11 5"),
    Case("Conv1D", {"filters": 6, "kernel_size": 3, "groups": 2, "padding": "same"}, "2 11 4"),
    Case("Conv1D", {"filters": 7, "kernel_size": 3, **FIRST}, "2 5 11", compiled=True),
    Case(
        "Conv1D",
        {"filters": 7, "kernel_size": 5, "strides": 2, "padding": "same"},
        "2 11 5",
        sizes="? ? 5",
    ),
    Case("Conv2D", {"filters": 7, "kernel_size": 3}, "2 11 5 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": (3, 2), "use_bias": False}, "2 11 5 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same"}, "2 11 5 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same"}, "2 10 6 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "strides": (1, 2), "padding": "same"}, "2 11 6 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": (2, 4), "padding": "same"}, "2 11 5 3"),
    Case(
        "Conv2D",
        {"filters": 7, "kernel_size": (1, 3), "padding": "same", "dilation_rate": 2},
        "2 11 7 3",
    ),
    Case("Conv2D", {"filters": 7, "kernel_size": 1, "strides": 2, "padding": "same"}, "2 11 6 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "dilation_rate": (2, 3)}, "2 11 7 3"),
    Case("Conv2D", {"filters": 6, "kernel_size": 3, "groups": 2}, "2 7 5 4"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "activation": "relu"}, "2 7 5 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "activation": "softmax"}, "2 7 5 3"),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, **FIRST}, "2 3 7 5", compiled=True),
    Case(
        "Conv2D",
        {"filters": 7, "kernel_size": 3, "padding": "same", "strides": 2, **FIRST},
        "2 3 7 5",
        compiled=True,
    ),
    Case("Conv2D", {"filters": 7, "kernel_size": 3, "padding": "same"}, "2 11 5 3", sizes="? ? ? 3"),
    Case(
        "Conv2D",
        {"filters": 7, "kernel_size": 3, "padding": "same", "strides": 2},
        "2 11 6 3",
        sizes="? ? ? 3",
    ),
    Case(
        "Conv2D",
        {"filters": 7, "kernel_size": 3, "padding": "same", "strides": 2},
        "2 11 6 3",
        sizes="? 11 ? 3",
    ),
    Case("Conv3D", {"filters": 5, "kernel_size": (2, 3, 1)}, "2 5 7 3 2"),
    Case(
        "Conv3D",
        {"filters": 5, "kernel_size": 3, "strides": (1, 2, 2), "padding": "same"},
        "2 5 7 4 2",
    ),
    Case("Conv3D", {"filters": 5, "kernel_size": 2, "dilation_rate": 2}, "2 5 7 3 2"),
    Case("Conv3D", {"filters": 4, "kernel_size": 2, "groups": 2}, "2 5 7 3 2"),
    Case("Conv3D", {"filters": 5, "kernel_size": 2, **FIRST}, "2 2 5 7 3"),
    Case("DepthwiseConv1D", {"kernel_size": 3, "depth_multiplier": 2}, "2 11 5"),
    Case(
        "DepthwiseConv1D",
        {"kernel_size": 3, "padding": "same", "strides": 2, "use_bias": False},
        "2 12 5",
    ),
    Case("DepthwiseConv1D", {"kernel_size": 3, **FIRST}, "2 5 11"),
    Case("DepthwiseConv2D", {"kernel_size": (3, 2), "depth_multiplier": 3}, "2 11 5 3"),
    Case("DepthwiseConv2D", {"kernel_size": 3, "padding": "same", "strides": 2}, "2 10 5 3"),
    Case("DepthwiseConv2D", {"kernel_size": 3, "dilation_rate": 2, "activation": "relu6"}, "2 11 7 3"),
    Case(
        "DepthwiseConv2D",
        {"kernel_size": 3, "dilation_rate": 2, "strides": (1, 2), "padding": "same"},
        "2 11 7 3",
    ),
    Case("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2, **FIRST}, "2 3 11 5"),
    Case("SeparableConv1D", {"filters": 7, "kernel_size": 3, "depth_multiplier": 2}, "2 11 5"),
    Case(
        "SeparableConv1D",
        {"filters": 7, "kernel_size": 4, "padding": "same", "strides": 3},
        "2 11 5",
    ),
    Case("SeparableConv1D", {"filters": 7, "kernel_size": 3, **FIRST}, "2 5 11"),
    Case("SeparableConv2D", {"filters": 7, "kernel_size": (3, 2), "depth_multiplier": 2}, "2 11 5 3"),
    Case(
        "SeparableConv2D",
        {"filters": 7, "kernel_size": 3, "padding": "same", "strides": 2, "use_bias": False},
        "2 10 5 3",
    ),
    Case(
        "SeparableConv2D",
        {"filters": 7, "kernel_size": 3, "dilation_rate": 2, "activation": "tanh"},
        "2 11 7 3",
    ),
    Case("SeparableConv2D", {"filters": 7, "kernel_size": 3, **FIRST}, "2 3 11 5"),
    Case("Conv1DTranspose", {"filters": 7, "kernel_size": 3, "strides": 2}, "2 11 5"),
    Case(
        "Conv1DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same"},
        "2 11 5",
    ),
    Case(
        "Conv1DTranspose",
        {"filters": 7, "kernel_size": 4, "strides": 3, "output_padding": 2},
        "2 11 5",
    ),
    Case(
        "Conv1DTranspose",
        {"filters": 7, "kernel_size": 3, "dilation_rate": 2},
        "2 11 5",
        compiled=True,
    ),
    Case(
        "Conv1DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, **FIRST},
        "2 5 11",
        compiled=True,
    ),
    Case("Conv2DTranspose", {"filters": 7, "kernel_size": 2, "strides": 2}, "2 7 5 3"),
    Case("Conv2DTranspose", {"filters": 7, "kernel_size": 3, "strides": 2}, "2 7 5 3"),
    Case("Conv2DTranspose", {"filters": 7, "kernel_size": (2, 5), "strides": 3}, "2 7 5 3"),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same"},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": (4, 5), "strides": (2, 3), "padding": "same"},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 2, "strides": 3, "padding": "same"},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 4, "padding": "same", "use_bias": False},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, "padding": "same", "output_padding": 0},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 5, "strides": 2, "padding": "same", "output_padding": 1},
        "2 7 5 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, "activation": "relu"},
        "2 7 5 3",
        sizes="? ? ? 3",
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 3, "dilation_rate": 2, "padding": "same"},
        "2 7 5 3",
        compiled=True,
    ),
    Case(
        "Conv2DTranspose",
        {"filters": 7, "kernel_size": 3, "strides": 2, **FIRST},
        "2 3 7 5",
        compiled=True,
    ),
    Case(
        "Conv3DTranspose",
        {"filters": 5, "kernel_size": 3, "strides": 2, "padding": "same"},
        "2 3 4 5 2",
    ),
    Case(
        "Conv3DTranspose",
        {"filters": 5, "kernel_size": (1, 2, 3), "strides": (1, 2, 2)},
        "2 3 4 5 2",
    ),
]

POOL = [
    case
    for kind, more in (
        ("MaxPooling", {"dtype": "float32", "within": 1e-6, "why": NO_KERNEL}),
        ("AveragePooling", {"compiled": True}),
    )
    for case in (
        Case(f"{kind}1D", {"pool_size": 2}, "2 11 5"),
        Case(f"{kind}1D", {"pool_size": 3, "strides": 2, "padding": "same"}, "2 12 5"),
        Case(f"{kind}1D", {"pool_size": 2, "strides": 1, "padding": "same"}, "2 11 5"),
        Case(f"{kind}1D", {"pool_size": 2, **FIRST}, "2 5 11"),
        Case(f"{kind}2D", {"pool_size": 2}, "2 11 6 3"),
        Case(f"{kind}2D", {"pool_size": (3, 2), "strides": (2, 1)}, "2 11 6 3"),
        Case(f"{kind}2D", {"pool_size": 2, "padding": "same"}, "2 11 6 3"),
        Case(f"{kind}2D", {"pool_size": 2, "padding": "same"}, "2 11 6 3", sizes="? ? ? 3"),
        Case(f"{kind}2D", {"pool_size": 3, "strides": 2, "padding": "same"}, "2 11 6 3"),
        Case(
            f"{kind}2D",
            {"pool_size": 3, "strides": 2, "padding": "same"},
            "2 11 6 3",
            sizes="? ? ? 3",
        ),
        Case(
            f"{kind}2D",
            {"pool_size": 3, "strides": 1, "padding": "same"},
            "2 11 6 3",
            sizes="? ? ? 3",
        ),
        Case(f"{kind}2D", {"pool_size": 4, "strides": 1, "padding": "same"}, "2 11 6 3"),
        Case(f"{kind}2D", {"pool_size": (4, 5), "strides": (1, 3), "padding": "same"}, "2 11 7 3"),
        Case(f"{kind}2D", {"pool_size": 2, "strides": 3, "padding": "same"}, "2 11 7 3"),
        Case(f"{kind}2D", {"pool_size": 5, "strides": 2, "padding": "same"}, "2 6 6 3"),
        Case(f"{kind}2D", {"pool_size": 3, "padding": "same", **FIRST}, "2 3 11 6"),
        Case(f"{kind}3D", {"pool_size": 2}, "2 5 4 7 2", **more),
        Case(
            f"{kind}3D",
            {"pool_size": (2, 3, 2), "strides": (2, 1, 3), "padding": "same"},
            "2 5 4 7 2",
            **more,
        ),
        Case(f"{kind}3D", {"pool_size": 2, **FIRST}, "2 2 5 4 7", **more),
    )
] + [
    case
    for kind in ("GlobalAveragePooling", "GlobalMaxPooling")
    for case in (
        Case(f"{kind}1D", {}, "2 11 5"),
        Case(f"{kind}1D", {"keepdims": True}, "2 11 5"),
        Case(f"{kind}1D", {**FIRST}, "2 11 5"),
        Case(f"{kind}2D", {}, "2 11 7 3"),
        Case(f"{kind}2D", {"keepdims": True}, "2 11 7 3"),
        Case(f"{kind}2D", {"keepdims": True, **FIRST}, "2 3 11 7"),
        Case(f"{kind}3D", {}, "2 5 4 7 3"),
        Case(f"{kind}3D", {"keepdims": True}, "2 5 4 7 3"),
    )
]

SPACE = [
    Case("UpSampling1D", {}, "2 5 3"),
    Case("UpSampling1D", {"size": 3}, "2 5 3"),
    Case("UpSampling2D", {}, "2 5 7 3"),
    Case("UpSampling2D", {"size": (3, 5)}, "2 5 7 3"),
    Case(
        "UpSampling2D",
        {"size": (2, 3), "interpolation": "bilinear"},
        "2 5 7 3",
        within=1e-6,
        why=BILINEAR,
    ),
    Case("UpSampling2D", {"interpolation": "bilinear", **FIRST}, "2 3 5 7", within=1e-6, why=BILINEAR),
    Case("UpSampling2D", {"size": 2, **FIRST}, "2 3 5 7", sizes="? 3 ? ?"),
    Case("UpSampling3D", {"size": (2, 1, 3)}, "2 5 3 2 3"),
    Case("UpSampling3D", {**FIRST}, "2 3 5 3 2"),
    Case("ZeroPadding1D", {}, "2 5 3"),
    Case("ZeroPadding1D", {"padding": (2, 0)}, "2 5 3"),
    Case("ZeroPadding1D", {"padding": 2, **FIRST}, "2 5 3"),
    Case("ZeroPadding2D", {}, "2 5 7 3"),
    Case("ZeroPadding2D", {"padding": (1, 2)}, "2 5 7 3"),
    Case("ZeroPadding2D", {"padding": ((0, 1), (2, 3))}, "2 5 7 3", sizes="? ? ? 3"),
    Case("ZeroPadding2D", {"padding": ((0, 0), (2, 3)), **FIRST}, "2 3 5 7"),
    Case("ZeroPadding2D", {"padding": 0}, "2 5 7 3"),
    Case("ZeroPadding3D", {"padding": ((0, 1), (2, 3), (1, 0))}, "2 3 5 2 3"),
    Case("Cropping1D", {}, "2 5 3"),
    Case("Cropping1D", {"cropping": (0, 2)}, "2 5 3"),
    Case("Cropping2D", {"cropping": 1}, "2 5 7 3"),
    Case("Cropping2D", {"cropping": ((0, 1), (2, 0))}, "2 5 7 3", sizes="? ? ? 3"),
    Case("Cropping2D", {"cropping": ((1, 0), (0, 3)), **FIRST}, "2 3 5 7"),
    Case("Cropping2D", {}, "2 5 7 3"),
    Case("Cropping3D", {"cropping": ((1, 0), (0, 2), (1, 1))}, "2 3 5 4 3"),
]

NORM = [
    Case("BatchNormalization", {}, "3 5 7 2"),
    Case("BatchNormalization", {"scale": False, "momentum": 0.9}, "3 5 7 2"),
    Case("BatchNormalization", {"center": False, "epsilon": 1e-5}, "3 5 7 2"),
    Case("BatchNormalization", {"center": False, "scale": False}, "3 5 7 2"),
    Case("BatchNormalization", {"axis": 1}, "3 5 7 2"),
    Case("BatchNormalization", {"axis": 2}, "3 5 7 2"),
    Case("BatchNormalization", {"trainable": False}, "3 5 7 2"),
    Case("BatchNormalization", {}, "5 7"),
    Case("BatchNormalization", {}, "3 5 7"),
    Case("BatchNormalization", {"axis": 1}, "3 5 7"),
    Case("BatchNormalization", {}, "2 3 5 2 7"),
    Case("BatchNormalization", {"renorm": True}, "3 5 7 2"),
    Case("BatchNormalization", {"renorm": True}, "3 5 7 2", of="tf_keras", **OLD_RENORM),
    Case("BatchNormalization", {"renorm": True, "renorm_clipping": CLIPPING, "axis": 1}, "3 5 7"),
    Case(
        "BatchNormalization",
        {"renorm": True, "renorm_clipping": CLIPPING, "scale": False},
        "3 5",
        of="tf_keras",
        **OLD_RENORM,
    ),
    Case("BatchNormalization", {"renorm": True, "scale": False, "center": False}, "2 3 5 2 7"),
    Case("BatchNormalization", {"renorm": True, "trainable": False, "center": False}, "3 5 7 2"),
    flat("BatchNormalization", {"renorm": True}),
    flat("BatchNormalization"),
    flat("BatchNormalization", {"scale": False}),
    Case("LayerNormalization", {}, "2 5 7 3"),
    Case("LayerNormalization", {"scale": False, "epsilon": 1e-5}, "2 5 7 3"),
    Case("LayerNormalization", {"center": False}, "2 5 7 3"),
    Case("LayerNormalization", {"center": False, "scale": False}, "2 5 7 3"),
    Case("LayerNormalization", {"axis": [1, 2, 3]}, "2 5 7 3"),
    Case("LayerNormalization", {"axis": (-2, -1)}, "2 5 7 3"),
    Case("LayerNormalization", {"axis": 1}, "2 5 7 3"),
    Case("LayerNormalization", {"axis": [1, 3]}, "2 5 7 3"),
    Case("LayerNormalization", {"axis": [1, 2]}, "2 5 7 3"),
    Case("LayerNormalization", {}, "2 7"),
    Case("LayerNormalization", {}, "2 5 7"),
    Case("LayerNormalization", {"rms_scaling": True}, "2 5 7 3"),
    Case("LayerNormalization", {"rms_scaling": True, "scale": False, "epsilon": 0.125}, "2 7"),
    Case("LayerNormalization", {"rms_scaling": True, "axis": [1, 3]}, "2 5 7 3"),
    Case("LayerNormalization", {"rms_scaling": True, "axis": 1}, "2 5 7 3"),
    flat("LayerNormalization", {"rms_scaling": True}),
    flat("LayerNormalization"),
    Case("GroupNormalization", {"groups": 3}, "2 5 7 6"),
    Case("GroupNormalization", {"groups": -1, "center": False}, "2 5 7 6"),
    Case("GroupNormalization", {"groups": 1, "scale": False, "epsilon": 1e-5}, "2 5 7 6"),
    Case("GroupNormalization", {"groups": 2, "axis": 1}, "2 4 7 3"),
    Case("GroupNormalization", {"groups": 2, "axis": 2}, "2 5 4 3"),
    Case("GroupNormalization", {"groups": 2}, "2 6"),
    Case("GroupNormalization", {"groups": 2}, "2 5 6"),
    flat("GroupNormalization", {"groups": 3}),
]

DENSE = [
    Case("Dense", {"units": 5}, "2 7"),
    Case("Dense", {"units": 5, "use_bias": False, "activation": "tanh"}, "2 7"),
    Case("Dense", {"units": 5}, "2 3 7"),
    Case("Dense", {"units": 5, "activation": "softmax"}, "2 3 5 7"),
    Case("Dense", {"units": 5, "use_bias": False}, "2 3 5 2 7"),
    flat("Dense", {"units": 11}),
    Case("Dense", {"units": 30}, "2 7", then=(("Reshape", {"target_shape": (3, 5, 2)}),)),
]

RESHAPE = [
    Case("Flatten", {}, "2 3 5 7"),
    Case("Flatten", {}, "2 3"),
    Case("Flatten", {}, "2"),
    Case("Flatten", {**FIRST}, "2 3 5 7"),
    Case("Flatten", {}, "2 3 5 7", sizes="? ? 5 7"),
    Case("Flatten", {**FIRST}, "2 3 5 7", then=(("Dense", {"units": 5}),)),
    Case("Flatten", {**FIRST}, "2 3 5 7", sizes="? 3 ? 7"),
    Case("Flatten", {**FIRST}, "2 3 5", then=(("Reshape", {"target_shape": (3, 5)}),)),
    Case("Flatten", {}, "2 3 5 7", then=(("RepeatVector", {"n": 3}),)),
    Case("Reshape", {"target_shape": (5, 3, 7)}, "2 3 5 7"),
    Case("Reshape", {"target_shape": (15, 7)}, "2 3 5 7"),
    Case("Reshape", {"target_shape": (105,)}, "2 3 5 7", then=(("Dense", {"units": 5}),)),
    Case("Reshape", {"target_shape": (-1, 7)}, "2 3 5 7"),
    Case("Reshape", {"target_shape": (-1, 7)}, "2 3 5 7", sizes="? ? 5 7"),
    Case("Reshape", {"target_shape": (7, -1, 3)}, "2 3 5 7", sizes="? ? ? 7"),
    Case("Reshape", {"target_shape": (3, 5, 7)}, "2 15 7"),
    Case("Reshape", {"target_shape": (3, 5, 7)}, "2 105"),
    Case("Reshape", {"target_shape": (105,)}, "2 3 5 7"),
    Case("Reshape", {"target_shape": (7, 15)}, "2 3 5 7"),
    Case("Reshape", {"target_shape": (6,)}, "2 6"),
    Case("Permute", {"dims": (2, 1)}, "2 3 5"),
    Case("Permute", {"dims": (3, 1, 2)}, "2 3 5 7"),
    Case("Permute", {"dims": (2, 3, 1)}, "2 3 5 7"),
    Case("Permute", {"dims": (2, 1, 3)}, "2 3 5 7"),
    Case("Permute", {"dims": (1, 2, 3)}, "2 3 5 7"),
    Case("Permute", {"dims": (4, 2, 1, 3)}, "2 3 5 2 7"),
    Case("RepeatVector", {"n": 3}, "2 5"),
]

MERGE = [
    case
    for kind in ("Add", "Multiply", "Average", "Maximum", "Minimum", "Subtract")
    for case in (
        Case(kind, {}, ("2 3 5 7", "2 3 5 7")),
        Case(kind, {}, ("2 3 5 7", "2 7")),
        Case(kind, {}, ("2 1 1 7", "2 3 5 7")),
    )
] + [
    Case("Add", {}, ("2 3 5 7", "2 3 5 7", "2 3 5 7")),
    Case("Average", {}, ("2 3 5", "2 3 5", "2 3 5")),
    Case("Maximum", {}, ("2 5", "2 5", "2 1")),
    Case("Add", {}, ("2 5 7", "2 3 5 7")),
    Case("Multiply", {}, ("2 5 7", "2 7", "2 3 1 7")),
    Case("Add", {}, ("2 5 1", "2 3 5 7")),
    Case("Add", {}, ("2 5", "2 3 1 5 2 5")),
    Case("Concatenate", {}, ("2 3 5 7", "2 3 5 2")),
    Case("Concatenate", {"axis": 1}, ("2 3 5 7", "2 2 5 7")),
    Case("Concatenate", {"axis": -2}, ("2 3 5 7", "2 3 2 7", "2 3 1 7")),
    Case("Concatenate", {}, ("2 5", "2 3")),
    Case("Concatenate", {"axis": 1}, ("2 5 3", "2 7 3")),
    Case("Dot", {"axes": 1}, ("2 5", "2 5")),
    Case("Dot", {"axes": -1, "normalize": True}, ("2 5", "2 5")),
    Case("Dot", {"axes": (1, 2)}, ("2 5 3", "2 7 5")),
    Case("Dot", {"axes": 2, "normalize": True}, ("2 5 3", "2 7 3")),
    Case("Dot", {"axes": (1, 2)}, ("2 5", "2 7 5")),
    Case("Dot", {"axes": (2, 1)}, ("2 7 5", "2 5")),
    Case("Dot", {"axes": (3, 1)}, ("2 2 3 5", "2 5 7")),
    Case("Dot", {"axes": (1, 3)}, ("2 5 3 2", "2 2 3 5")),
]

REGULARISE = [
    Case("Dropout", {"rate": 0.3}),
    Case("Dropout", {"rate": 0.3, "noise_shape": (None, 1, 1, None)}),
    Case("Dropout", {"rate": 0.3, "noise_shape": (None, 1, None)}, "2 5 3", sizes="? ? 3"),
    Case("SpatialDropout1D", {"rate": 0.3}, "2 5 3"),
    Case("SpatialDropout2D", {"rate": 0.3}),
    Case("SpatialDropout2D", {"rate": 0.3, **FIRST}),
    Case("SpatialDropout3D", {"rate": 0.3}, "2 5 3 2 7"),
    Case("GaussianDropout", {"rate": 0.3}),
    Case("GaussianNoise", {"stddev": 0.3}),
    Case("AlphaDropout", {"rate": 0.3}),
    Case("Identity"),
    Case("ActivityRegularization", {"l1": 0.1, "l2": 0.2}),
    flat("Dropout", {"rate": 0.3}),
]

PREPROCESS = [
    Case("Rescaling", {"scale": 2.0}),
    Case("Rescaling", {"scale": 1 / 128, "offset": -1.0}),
    Case("Rescaling", {"scale": 0.75, "offset": 0.5}),
    Case("Rescaling", {"scale": 1 / 127.5, "offset": -1}, within=1e-7, why=FLOAT32),
    Case("Rescaling", {"scale": [0.7, 1.1, 2.3], "offset": [0.1, -0.2, 0.3]}),
    Case("Rescaling", {"scale": 1.0, "offset": [[0.1, -0.2, 0.3], [1.0, 2.0, 3.0]]}, "2 5 2 3"),
    *(
        Case(kind, {}, "2 5 3", of=of, call=f"layers.{kind}({options}dtype='float64')(x * {scale})")
        for of in ("keras", "tf_keras")
        for kind, options in (
            ("UnitNormalization", ""),
            ("UnitNormalization", "axis=[1, 2], "),
            ("LayerNormalization", ""),
            ("GroupNormalization", "groups=3, "),
        )
        for scale in ("1e-5", "1e-8", "1e-14")
    ),
    *(
        Case(
            "Dot",
            {},
            ("2 5", "2 5"),
            of=of,
            call=f"layers.Dot(1, normalize=True, dtype='float64')([x * {scale}, y])",
        )
        for of in ("keras", "tf_keras")
        for scale in ("1e-6", "3e-8", "1e-14")
    ),
    Case("Normalization", {}),
    Case("Normalization", {"axis": 1}),
    Case("Normalization", {"axis": [1, 3]}),
    Case("Normalization", {"axis": None}),
    Case("Normalization", {"invert": True}),
    Case("Normalization", {"mean": [0.1, 0.2, 0.3], "variance": [1.1, 0.0, 2.2]}),
    Case("Normalization", {"mean": 0.3, "variance": 2.2, "axis": None}),
    Case("Normalization", {"mean": 0.3, "variance": 2.2}),
    Case(
        "Normalization",
        {"mean": [[0.3, 1.3, 2.3]], "variance": [[2.2, 1.1, 3.3]], "axis": [1, -1], "invert": True},
        "2 1 7 3",
    ),
    Case("Normalization", {}, "2 5"),
    flat("Normalization"),
    flat("Rescaling", {"scale": [0.5 + 0.1 * at for at in range(30)]}, "2 3 5 2"),
]

ROUNDED: dict[str, Any] = {
    "leaky_relu": {"within": 1e-7, "why": ATTRIBUTE},
    "gelu": {"within": 1e-7, "why": FLOAT32},
}
ACTIVATION = [
    Case("ReLU"),
    Case("ReLU", {"max_value": 6.0}),
    Case("ReLU", {"max_value": 0.7}, within=1e-7, why=FLOAT32),
    Case("ReLU", {"max_value": 1}),
    Case("ReLU", {"threshold": 0.4}),
    Case("ReLU", {"negative_slope": 0.25}),
    Case("ReLU", {"max_value": 0.9, "negative_slope": 0.25}, within=1e-7, why=FLOAT32),
    Case("ReLU", {"max_value": 6, "negative_slope": 0.3}),
    Case("ReLU", {"threshold": 0.4, "negative_slope": 0.3}),
    Case("ReLU", {"max_value": 0.9, "threshold": 0.4}, within=1e-7, why=FLOAT32),
    Case("ReLU", {"max_value": 0.75, "threshold": 0.4, "negative_slope": 0.3}),
    Case("ReLU", {"negative_slope": 0.3}, within=1e-7, why=ATTRIBUTE),
    Case("LeakyReLU", within=1e-7, why=ATTRIBUTE),
    Case("LeakyReLU", {"negative_slope": 0.125}),
    Case("LeakyReLU", {"negative_slope": 0.01}, within=1e-7, why=ATTRIBUTE),
    Case("ELU"),
    Case("ELU", {"alpha": 0.7}),
    Case("PReLU"),
    Case("PReLU", {"shared_axes": [1, 2]}),
    Case("PReLU", {"shared_axes": [1, 2, 3]}),
    Case("PReLU", {"shared_axes": [1]}),
    Case("PReLU", {"shared_axes": [2, 3]}),
    Case("PReLU", {}, "2 5"),
    Case("PReLU", {"shared_axes": [1]}, "2 5 3"),
    flat("PReLU"),
    Case("Softmax"),
    Case("Softmax", {"axis": 1}),
    Case("Softmax", {"axis": [1, 2]}),
    Case("Softmax", {"axis": [-1]}),
    flat("Softmax"),
    Case("ThresholdedReLU", {"theta": 0.5}, of="tf_keras"),
    *(
        Case("RandomFourierFeatures", {"output_dim": 5, "trainable": trainable, "scale": 2.0}, "2 7",
             of="tf_keras", within=1e-5, why="it casts to float32", dtype="float32")
        for trainable in (False, True)
    ),
    Case("LocallyConnected1D", {"filters": 5, "kernel_size": 3}, "2 7 3", of="tf_keras"),
    Case("LocallyConnected1D", {"filters": 5, "kernel_size": 2, "strides": 2, "use_bias": False}, "2 7 3",
         of="tf_keras"),
    Case("LocallyConnected2D", {"filters": 2, "kernel_size": 3, "activation": "relu"}, of="tf_keras"),
    Case("LocallyConnected2D", {"filters": 2, "kernel_size": (2, 3), "strides": (1, 2)}, of="tf_keras"),
    Case("LocallyConnected2D", {"filters": 2, "kernel_size": 2, "strides": 2, "use_bias": False},
         of="tf_keras"),
    Case("activation:keras2>hard_sigmoid", of="tf_keras"),
    *(
        Case(f"activation:{name}", {}, "2 5 7 6", **ROUNDED.get(name, {}))
        for name in (
            "linear relu sigmoid tanh softmax softplus softsign elu selu celu gelu silu "
            "exponential hard_sigmoid hard_silu hard_tanh leaky_relu log_sigmoid log_softmax "
            "mish relu6 glu tanh_shrink soft_shrink hard_shrink squareplus sparse_plus sparsemax "
            "sparse_sigmoid swish hard_swish"
        ).split()
    ),
    Case("activation:glu", {}, "2 6"),
    Case("Flatten", {}, "2 3 5 2", then=(("Activation", {"activation": "glu"}),)),
]  # fmt: skip

CASES = [
    *CONV,
    *POOL,
    *SPACE,
    *NORM,
    *DENSE,
    *RESHAPE,
    *MERGE,
    *REGULARISE,
    *PREPROCESS,
    *PREPROCESSING,
    *ACTIVATION,
    *OPERATIONS,
    *LINEAR,
    *IMAGE_OPERATIONS,
    *ATTENTION,
    *FUNCTIONS,
    *cases_recurrent.CASES,
    *cases_masks.CASES,
    *cases_tied.CASES,
]

#: `threshold` has arguments without defaults, so that no config can name it; CuDNN layers need a GPU (see
#: test_recurrent.py); `mask:`, `time:`, `loop:` and `both:` are made of other layers, whose cases they have;
#: those of text are in tests/text; what draws, and activations of TensorFlow Addons, in
#: tests/field/test_operations.py.
UNREACHABLE = {
    "activation:threshold", "CuDNNLSTM", "CuDNNGRU",
    *(f"mask:{it}" for it in "unlike any_unlike steps or and all cat".split()), "time:fold", "time:unfold",
    "loop:step", "loop:over",
    "both:ConvLSTM",
    "StringLookup", "TextVectorization", "tf.Variable", "mode:select", "state:assign",
    "tf.nn.dropout", *(f"tf.random.{it}" for it in "normal truncated_normal uniform".split()),
    "activation:Addons>lisht", "activation:Addons>snake",
    # Of packages that are not installed: tests/field has stand-ins.
    *(f"Addons>{it}" for it in "FilterResponseNormalization Sparsemax StochasticDepth".split()),
    *(f"{package}>{it}PositionE{end}" for package in ("keras_hub", "keras_nlp")
      for it, end in (("", "mbedding"), ("TokenAnd", "mbedding"), ("Sine", "ncoding"))),
    "keras_hub>CachedMultiHeadAttention", "keras_hub>RotaryEmbedding", "keras_nlp>RotaryEmbedding",
    *(f"attention:{it}" for it in ("lowered", "banded", "pooled")),
    *(f"keras_pos_embd>{it}Embedding" for it in ("Position", "TrigPos")),
    "Addons>WeightNormalization", "activation:Addons>rrelu", "activation:Addons>sparsemax",
    "keras_contrib>InstanceNormalization",
}  # fmt: skip
