"""Random options of convolutions, pooling, and what pads, crops and resizes."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from tests.layers.draws import ACTIVATIONS, Draw, each, eighths, family, one_of, placed, rank_of, sizes, text
from tests.layers.harness import Case

FORMATS = ("channels_last", "channels_first")


def shifted(options: dict[str, Any], window: str) -> bool:
    """Whether TensorFlow's 3D kernels on the CPU move the window: a stride beyond it, with 'same'.

    Eigen then pads by a negative amount. The same kernels on a GPU or compiled by XLA do not, nor
    do the CPU's own gradients.
    """
    window_, stride = (options.get(key, 1) for key in (window, "strides"))
    windows = window_ if isinstance(window_, tuple) else (window_,) * 3
    strides = stride if isinstance(stride, tuple) else (stride,) * 3
    return options["padding"] == "same" and any(k < s for k, s in zip(windows, strides, strict=True))


@family(
    "Conv1D Conv2D Conv3D DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D"
)  # fmt: skip
def convolutions(draw: Draw, kind: str) -> Case:
    rank, is_plain = rank_of(kind), kind.startswith("Conv")
    # TensorFlow has the kernel for channels first only when XLA compiles it, which takes long.
    first = draw(st.integers(0, 9)) == 9 if is_plain else draw(st.booleans())
    options: dict[str, Any] = {
        "kernel_size": each(draw, rank, 1, 4),
        "padding": one_of(draw, "valid", "same", *(["causal"] if kind == "Conv1D" else [])),
        "use_bias": draw(st.booleans()),
        "activation": draw(ACTIVATIONS),
        "data_format": FORMATS[first],
    }
    if draw(st.booleans()):
        options["dilation_rate"] = each(draw, rank, 1, 3)
    else:
        options["strides"] = each(draw, rank, 1, 3)
    groups = draw(st.integers(1, 3)) if is_plain else 1
    if not kind.startswith("Depthwise"):
        options["filters"] = groups * draw(st.integers(1, 5 if groups == 1 else 2))
    if is_plain:
        options["groups"] = groups
    else:
        options["depth_multiplier"] = draw(st.integers(1, 3))
    assume(not (first and options["padding"] == "causal"))
    assume(rank < 3 or not shifted(options, "kernel_size"))
    x, declared = placed(draw, sizes(draw, rank, 4, 9), groups * draw(st.integers(1, 4 // groups)), first)
    compiled = first and is_plain
    return Case(kind, options, x, sizes="" if compiled else declared, compiled=compiled)


@family("Conv1DTranspose Conv2DTranspose Conv3DTranspose")
def transposed(draw: Draw, kind: str) -> Case:
    rank = rank_of(kind)
    compiled = draw(st.integers(0, 9)) == 9 and rank < 3
    strides = 1 if compiled else each(draw, rank, 1, 3)
    options = {
        "filters": draw(st.integers(1, 4)),
        "kernel_size": each(draw, rank, 1, 5),
        "strides": strides,
        "padding": one_of(draw, "valid", "same"),
        "use_bias": draw(st.booleans()),
        "activation": draw(ACTIVATIONS),
    }
    if compiled:
        options["dilation_rate"] = draw(st.integers(2, 3))
    elif draw(st.booleans()):
        least = min(strides) if isinstance(strides, tuple) else strides
        options["output_padding"] = draw(st.integers(0, least - 1))
    assume(rank < 3 or not shifted(options, "kernel_size"))
    x, declared = placed(draw, sizes(draw, rank, 2, 5), draw(st.integers(1, 3)), False)
    return Case(kind, options, x, sizes="" if compiled else declared, compiled=compiled)


@family("MaxPooling1D MaxPooling2D MaxPooling3D AveragePooling1D AveragePooling2D AveragePooling3D")
def pooling(draw: Draw, kind: str) -> Case:
    rank = rank_of(kind)
    first = draw(st.booleans())
    options = {
        "pool_size": draw(st.integers(1, 5)) if rank == 1 else each(draw, rank, 1, 4),
        "padding": one_of(draw, "valid", "same"),
        "data_format": FORMATS[first],
    }
    if draw(st.booleans()):
        options["strides"] = draw(st.integers(1, 4)) if rank == 1 else each(draw, rank, 1, 3)
    x, declared = placed(draw, sizes(draw, rank, 4, 7), draw(st.integers(1, 3)), first)
    if rank == 3:  # no kernel for float64
        assume(not shifted(options, "pool_size"))
        return Case(kind, options, x, (), declared, 1e-5, "float32", dtype="float32")
    return Case(kind, options, x, sizes=declared)


@family(
    "GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D "
    "GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D"
)
def global_pooling(draw: Draw, kind: str) -> Case:
    first = draw(st.booleans())
    options = {"keepdims": draw(st.booleans()), "data_format": FORMATS[first]}
    x, declared = placed(draw, sizes(draw, rank_of(kind), 1, 5), draw(st.integers(1, 3)), first)
    return Case(kind, options, x, sizes=declared)


@family(
    "AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D "
    "AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D"
)
def adaptive_pooling(draw: Draw, kind: str) -> Case:
    rank, first = rank_of(kind), draw(st.booleans())
    space = sizes(draw, rank, 1, 7)
    options = {"output_size": each(draw, rank, 1, 6), "data_format": FORMATS[first]}
    if kind.startswith("AdaptiveMax"):
        # Keras pools with windows of two sizes; where the longer is longer than the axis, TensorFlow's
        # gradient of nothing is what was in memory. Source: core/kernels/maxpooling_op.cc, MaxPoolingGradOp.
        wanted = options["output_size"]
        wanted = wanted if isinstance(wanted, tuple) else (wanted,) * rank
        assume(all(-(-size // count) < size for size, count in zip(space, wanted, strict=True)))
    x, _ = placed(draw, space, draw(st.integers(1, 3)), first)
    if rank == 3:
        return Case(kind, options, x, within=1e-5, why="float32", dtype="float32")
    return Case(kind, options, x)


@family(
    "UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D "
    "Cropping1D Cropping2D Cropping3D"
)
def space(draw: Draw, kind: str) -> Case:
    rank, first = rank_of(kind), False
    options: dict[str, Any] = {}
    if kind != "UpSampling1D" and kind != "Cropping1D" and draw(st.booleans()):
        first, options = True, {"data_format": "channels_first"}
    pair = st.tuples(st.integers(0, 2), st.integers(0, 2))
    pairs = [draw(pair) for _ in range(rank)]
    if kind.startswith("UpSampling"):
        options["size"] = draw(st.integers(1, 4)) if rank == 1 else each(draw, rank, 1, 4)
    else:
        name = "padding" if kind.startswith("ZeroPadding") else "cropping"
        ways = [draw(st.integers(0, 2)), pairs[0] if rank == 1 else tuple(pairs)]
        options[name] = one_of(draw, *ways, *([tuple(it for it, _ in pairs)] if rank > 1 else []))
    x, declared = placed(draw, sizes(draw, rank, 5, 7), draw(st.integers(1, 3)), first)
    if kind == "UpSampling2D" and draw(st.booleans()):
        options["interpolation"] = "bilinear"
        return Case(kind, options, x, (), declared, 1e-5, "TensorFlow resizes in float32")
    return Case(kind, options, x, sizes=declared)


@family("Resizing")
def resizing(draw: Draw, kind: str) -> Case:
    methods = ("bilinear", "nearest", "bicubic", "lanczos3", "lanczos5")
    how: dict[str, Any] = {"interpolation": one_of(draw, *methods), "antialias": draw(st.booleans())}
    fit = one_of(draw, {}, {"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True})
    if "pad_to_aspect_ratio" in fit:
        how["fill_value"] = eighths(draw, -1, 1)
    # TensorFlow has the gradients of the other ways in float32 only.
    kernel = how["antialias"] or "lanczos" in how["interpolation"]
    dtype = "float32" if kernel else "float64"
    first = draw(st.booleans())
    height, width = sizes(draw, 2, 1, 9)
    options = {"height": height, "width": width, **how, **fit, "data_format": FORMATS[first]}
    x, declared = placed(draw, sizes(draw, 2, 1, 9), draw(st.integers(1, 3)), first)
    return Case(kind, options, x, (), declared, 1e-5, "TensorFlow resizes in float32", dtype=dtype)


@family("CenterCrop")
def center_crop(draw: Draw, kind: str) -> Case:
    first = draw(st.booleans())
    height, width = sizes(draw, 2, 1, 9)
    options = {"height": height, "width": width, "data_format": FORMATS[first]}
    x, _ = placed(draw, sizes(draw, 2, 1, 9), draw(st.integers(1, 3)), first)
    return Case(kind, options, x, within=1e-5, why="TensorFlow resizes in float32")


@family("STFTSpectrogram")
def spectrograms(draw: Draw, kind: str) -> Case:
    length = draw(st.integers(2, 12))
    options: dict[str, Any] = {
        "mode": one_of(draw, "log", "magnitude", "psd", "real", "imag", "angle", "stft"),
        "frame_length": length,
        "padding": one_of(draw, "valid", "same"),
        "expand_dims": draw(st.booleans()),
    }
    if draw(st.booleans()):
        options["frame_step"] = draw(st.integers(1, length))
    if draw(st.booleans()):
        options["fft_length"] = draw(st.sampled_from([it for it in (2, 4, 8, 16, 32) if it >= length]))
    x, declared = placed(draw, sizes(draw, 1, 12, 40), draw(st.integers(1, 3)), False)
    return Case(kind, options, x, sizes=declared)


@family("MelSpectrogram")
def mel_spectrograms(draw: Draw, kind: str) -> Case:
    fft = one_of(draw, 8, 16, 32)
    options: dict[str, Any] = {
        "fft_length": fft,
        "sequence_stride": draw(st.integers(1, fft)),
        "num_mel_bins": draw(st.integers(1, 6)),
        "sampling_rate": one_of(draw, 800, 1000, 8000),
        "window": one_of(draw, "hann", "hamming"),
        "power_to_db": draw(st.booleans()),
        "mag_exp": one_of(draw, 1.0, 1.5, 2.0),
        "top_db": one_of(draw, 20.0, 80.0),
        "min_freq": one_of(draw, 0.0, 20.0),
        "ref_power": one_of(draw, 1.0, 2.0),
    }
    if draw(st.booleans()):
        options["sequence_length"] = draw(st.integers(2, fft))
    if draw(st.booleans()):
        options["max_freq"] = 300.0
    x = text([2, *sizes(draw, 1, fft, 60)])
    why = "TensorFlow weighs frequencies in float32"
    return Case(kind, options, x, within=1e-4, why=why, dtype="float32")
