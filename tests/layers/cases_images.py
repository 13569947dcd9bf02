"""The table of operations on images, and of layers that are operations as well."""

from __future__ import annotations

from tests.layers.harness import Case

FIRST = "data_format='channels_first'"


def op(kind: str, call: str, x: str | tuple[str, ...] = "2 5 7 3", **more: object) -> Case:
    return Case(f"keras.ops.{kind}", {}, x, call=call, **more)  # type: ignore[arg-type]


def constant(*shape: int) -> str:
    """An array whose numbers float32 holds."""
    return f"np.random.default_rng(0).integers(-9, 9, {shape}).astype('float64') / 8"


#: A kernel that depends on the other input: numbers of the batch's mean.
KERNEL = "ops.mean(y, axis=0)"

CONVOLUTIONS = [
    op("Conv", f"ops.conv(x, {constant(3, 2, 3, 4)})"),
    op("Conv", f"ops.conv(x, {constant(3, 3, 3, 4)}, strides=2, padding='same')"),
    op("Conv", f"ops.conv(x, {constant(3, 3, 3, 4)}, padding='same', dilation_rate=2)"),
    op("Conv", f"ops.conv(x, {constant(3, 2, 4)}, padding='same')",
       "2 11 2"),
    op("Conv", f"ops.conv(x, {KERNEL}, padding='same')", ("2 5 7 3", "2 3 2 3 4")),
    op("Conv", f"ops.conv(x, {KERNEL})", ("2 11 5", "2 3 5 4")),
    op("DepthwiseConv", f"ops.depthwise_conv(x, {constant(3, 3, 3, 2)}, padding='same')"),
    op("DepthwiseConv", f"ops.depthwise_conv(x, {KERNEL}, strides=2)", ("2 5 7 3", "2 3 2 3 2")),
    op("SeparableConv", f"ops.separable_conv(x, {constant(3, 3, 3, 2)}, {constant(1, 1, 6, 4)})"),
]  # fmt: skip

NORMS = [
    op("BatchNorm", "ops.batch_normalization(x, ops.mean(y, 0), ops.square(ops.sum(y, 0)), axis=-1)",
       ("2 5 7 3", "2 3")),
    op("BatchNorm", f"ops.batch_normalization(x, {constant(3)}, ops.square({constant(3)}), axis=-1, "
       f"offset={constant(3)}, scale={constant(3)}, epsilon=0.01)"),
    op("LayerNorm", "ops.layer_normalization(x, ops.mean(y, 0), ops.sum(y, 0), epsilon=0.01)",
       ("2 5 7 3", "2 3")),
    op("LayerNorm", "ops.layer_normalization(x, axis=(-2, -1))"),
    op("RMSNorm", "ops.rms_normalization(x, ops.mean(y, 0))", ("2 5 7 3", "2 3")),
    op("RMSNorm", "ops.rms_normalization(x, axis=-1, epsilon=0.01)"),
]  # fmt: skip

STEPS, TWO = ("2 5 3 4", "2 7 3 4"), ("2 5 4 4", "2 7 2 4")
LOOKED = "ops.mean(x, axis=(2, 3))[:, None, :, None] > ops.mean(y, axis=(2, 3))[:, None, None, :]"
BIAS = "ops.mean(x, axis=(2, 3))[:, None, :, None] * ops.mean(y, axis=(2, 3))[:, None, None, :]"
ATTENTION = [
    op("DotProductAttention", f"ops.dot_product_attention(x, y, y + 1{more})", shapes)
    for shapes, more in (
        (STEPS, ""), (STEPS, ", scale=0.5"), (STEPS, ", is_causal=True"), (TWO, ""),
        (STEPS, f", bias={BIAS}"),
        (STEPS, f", mask={LOOKED}"), (STEPS, f", mask={LOOKED}, is_causal=True"), (TWO, f", mask={LOOKED}"),
        (STEPS, f", bias={BIAS}, mask={LOOKED}"), (STEPS, f", bias={BIAS}, is_causal=True"),
    )
]  # fmt: skip

PATCHES = [
    op("DepthToSpace", "ops.depth_to_space(x, 2)", "2 3 5 4"),
    op("DepthToSpace", "ops.depth_to_space(x, 2)", "2 3 5 12"),
    op("DepthToSpace", f"ops.depth_to_space(x, 2, {FIRST})", "2 12 3 5"),
    op("SpaceToDepth", "ops.space_to_depth(x, 2)", "2 4 6 1"),
    op("SpaceToDepth", "ops.space_to_depth(x, 2)", "2 4 6 3"),
    op("Unfold", "ops.unfold(x, (3, 2), stride=2, padding=1)", "2 3 5 7"),
    op("Fold", "ops.fold(x, (5, 7), (3, 2))", "2 12 18"),
    op("ExtractPatches", "ops.image.extract_patches(x, (2, 3))", "2 4 6 3"),
    op("ExtractPatches", "ops.image.extract_patches(x, 3, strides=2, padding='same')"),
    op("ExtractPatches", "ops.image.extract_patches(x, 3, strides=1, padding='same')"),
    op("ExtractPatches", "ops.image.extract_patches(x, 2, strides=1, dilation_rate=2)"),
    op("AdaptiveAveragePool", "ops.adaptive_average_pool(x, (2, 3))"),
    op("AdaptiveMaxPool", "ops.adaptive_max_pool(x, (3, 3))"),
]

TURN = "np.array([1, 0.25, -0.5, 0.5, 0.75, 0.25, 0, 0], 'float32')"
POSITIVE = "ops.sigmoid(x)"
IMAGES = [
    op("Resize", "ops.image.resize(x, (9, 4), interpolation='bicubic')", within=1e-6,
       why="TensorFlow resizes in float32"),
    op("Resize", "ops.image.resize(ops.stop_gradient(x), (3, 4), antialias=True)", within=1e-6,
       why="TensorFlow resizes in float32"),
    op("Resize", "ops.image.resize(x, (3, 3), crop_to_aspect_ratio=True, interpolation='nearest')"),
    op("RGBToGrayscale", "ops.image.rgb_to_grayscale(x)"),
    op("RGBToGrayscale", f"ops.image.rgb_to_grayscale(x, {FIRST})", "2 3 5 7"),
    op("RGBToHSV", f"ops.image.rgb_to_hsv({POSITIVE})"),
    op("HSVToRGB", f"ops.image.hsv_to_rgb(ops.stop_gradient({POSITIVE}))"),
    op("GaussianBlur", "ops.image.gaussian_blur(x, (3, 3), (0.5, 1.5))"),
    op("SobelEdges", "ops.image.sobel_edges(x)"),
    *(
        op("AffineTransform", f"ops.image.affine_transform(ops.stop_gradient(x), {TURN}, "
           f"interpolation='{how}', fill_mode='{fill}')", within=1e-6, why="TensorFlow samples in float32")
        for how, fill in (("bilinear", "constant"), ("nearest", "reflect"), ("bilinear", "nearest"),
                          ("bilinear", "wrap"))
    ),
    op("PadImages", "ops.image.pad_images(x, 1, 2, target_height=11, target_width=12)"),
    op("PadImages", "ops.image.pad_images(x, top_padding=1, left_padding=2, bottom_padding=0, "
       "right_padding=3)"),
    op("CropImages", "ops.image.crop_images(x, 1, 2, target_height=3, target_width=4)"),
    op("PSNR", "ops.psnr(x, y, 2.0)", ("2 5 7 3", "2 5 7 3")),
    op("OneHot", "ops.one_hot(ops.cast(x * 2, 'int32'), 4, axis=1, dtype='float64')", "2 5"),
    op("MultiHot", "ops.cast(ops.multi_hot(x, 7), 'float64')", "3 5", below=7),
]  # fmt: skip

IMAGE_OPERATIONS = [*CONVOLUTIONS, *NORMS, *ATTENTION, *PATCHES, *IMAGES]
