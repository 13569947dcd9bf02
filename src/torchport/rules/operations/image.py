"""Operations on images: their size, colours, and where their pixels are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, call
from torchport.rules.arguments import default
from torchport.rules.constants import numbers
from torchport.rules.dtypes import as_float, float_dtype, is_float, kept_float
from torchport.rules.entry import layer
from torchport.rules.image import channels, each, image_shape, spatial
from torchport.rules.operations.operands import buffer
from torchport.rules.resize import Resizing
from torchport.rules.resize import resize as resized
from torchport.rules.sizes import all_along, size_of
from torchport.rules.space import Margin
from torchport.rules.table import CHANNELS_FIRST, SOURCE, Value, Want, Wants, image, rule
from torchport.rules.window import Among, Reading, Stretch, Window

IMAGE = CHANNELS_FIRST


def batch(x: Tensor | Value) -> None:
    if len(x.shape) != 4:
        raise Unsupported("one image without a batch axis", "give it a batch axis")


def aspect(x: Tensor | Value, size: Sequence[Any]) -> tuple[int, int]:
    """The largest size of the image's own ratio. Source: image_ops_impl.py, _resize_images_common."""
    height, width = size_of(x, 1), size_of(x, 2)
    scale = min(size[0] / height, size[1] / width)
    return round(scale * height), round(scale * width)


def wanted(x: Tensor | Value, size: Any, preserve_aspect_ratio: bool) -> tuple[Any, Any]:
    """Height and width, of which some may be numbers that only the run time knows."""
    given = numbers(size)
    if not isinstance(given, Sequence) or len(given) != 2:
        raise Unsupported("to a size that is a tensor", "give height and width as numbers")
    return aspect(x, given) if preserve_aspect_ratio else (given[0], given[1])


def resized_shape(
    x: Tensor, *, size: Any, data_format: str | None = None, preserve_aspect_ratio: bool = False
) -> Shape:  # fmt: skip
    batch(x)
    sizes = [it if isinstance(it, int) else None for it in wanted(x, size, preserve_aspect_ratio)]
    return image_shape(x.shape, sizes, channels(x.shape, data_format), data_format)


def resized_dtype(x: Tensor, *, interpolation: str = "bilinear", dialect: str = "") -> str:
    return x.dtype if not is_keras_2(dialect) or interpolation == "nearest" else float_dtype(x)


def resized_reads(
    x: Tensor, *, size: Any, interpolation: str, antialias: bool, crop_to_aspect_ratio: bool,
    pad_to_aspect_ratio: bool, data_format: str | None, preserve_aspect_ratio: bool = False,
) -> Mapping[int, Reading]:  # fmt: skip
    height, width = wanted(x, size, preserve_aspect_ratio)
    return Resizing(
        height=height, width=width, interpolation=interpolation, antialias=antialias,
        crop_to_aspect_ratio=crop_to_aspect_ratio, pad_to_aspect_ratio=pad_to_aspect_ratio,
        data_format=data_format,
    ).reads(x)  # fmt: skip


@rule(
    "keras.ops.Resize", wants=image, shape=resized_shape, dtype=resized_dtype, ignores="fill_mode",
    reads=resized_reads,
    only={"fill_mode": ("constant",)},
)  # fmt: skip
def resize(
    x: Value, *, out: Value, size: Any, interpolation: str = "bilinear", antialias: bool = False,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_value: float = 0.0,
    data_format: str | None = None, preserve_aspect_ratio: bool = False, dialect: str = "",
) -> Expr:  # fmt: skip
    """F.interpolate, as the layer Resizing; TensorFlow's own gives fractions of whole numbers."""
    height, width = wanted(x, size, preserve_aspect_ratio)
    if is_keras_2(dialect):
        if (height, width) == spatial(x.shape, data_format):
            return x
        if not is_float(x.tensor.dtype) and (interpolation != "nearest" or x.tensor.dtype == "uint8"):
            read = as_float(x) if interpolation != "nearest" else x
            return resized(read, height, width, interpolation, antialias)
    return Resizing(
        height=height, width=width, interpolation=interpolation, antialias=antialias,
        crop_to_aspect_ratio=crop_to_aspect_ratio, pad_to_aspect_ratio=pad_to_aspect_ratio,
        fill_value=fill_value, data_format=data_format,
    ).write(x)  # fmt: skip


#: tf.compat.v1.image.ResizeMethod.
METHODS = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}


def old_dtype(x: Tensor, *, method: Any = "bilinear") -> str:
    return x.dtype if METHODS.get(method, method) == "nearest" else float_dtype(x)


def old_reads(
    x: Tensor, *, size: Any, method: Any, align_corners: bool, half_pixel_centers: bool,
    preserve_aspect_ratio: bool,
) -> dict[int, Reading]:  # fmt: skip
    """As today's, where it counts at the middles of pixels; else as TensorFlow 1: from 0, or by corners."""
    name = str(METHODS.get(method, method))
    sizes = wanted(x, size, preserve_aspect_ratio)
    if half_pixel_centers or name == "area":
        return {at: Stretch(size=it, method=name) for at, it in zip((1, 2), sizes, strict=True)}
    says = f"{'one' if name == 'nearest' else '1 to 2'} {{0}}, as TensorFlow 1 counts pixels"
    return {1: Among(says), 2: Among(says)}


@rule("tf.compat.v1.image.resize", wants=IMAGE, shape=resized_shape, dtype=old_dtype, reads=old_reads)
def old_resize(
    x: Value, *, size: Any, method: Any = "bilinear", align_corners: bool = False,
    half_pixel_centers: bool = False, preserve_aspect_ratio: bool = False,
) -> Expr:  # fmt: skip
    """F.interpolate; as TensorFlow 1 counted pixels where neither option says otherwise, a helper.

    Source: tensorflow/core/util/image_resizer_state.h, LegacyScaler and HalfPixelScaler.
    """
    name = str(METHODS.get(method, method))
    height, width = wanted(x, size, preserve_aspect_ratio)
    read: Any = x if name == "nearest" else as_float(x)
    if half_pixel_centers or name == "area":
        return resized(read, height, width, name)
    sizes = (height, width)
    if name == "bilinear":
        corners = call("F.interpolate", read, sizes, mode="bilinear", align_corners=True)
        return corners if align_corners else call("resize_legacy", read, sizes)
    if name == "nearest" and not align_corners:
        return call("F.interpolate", x, sizes, mode="nearest")
    raise Unsupported(f"{name} as TensorFlow 1 has it", "use tf.image.resize, or half_pixel_centers=True")


def gray_shape(x: Tensor, *, data_format: str | None) -> Shape:
    batch(x)
    return image_shape(x.shape, spatial(x.shape, data_format), 1, data_format)


@rule("keras.ops.RGBToGrayscale", wants=image, shape=gray_shape, dtype=kept_float)
def grayscale(x: Value, *, data_format: str | None = None) -> Expr:
    """A weighted sum of red, green and blue."""
    return x if channels(x.shape, data_format) == 1 else call("grayscale", x)


def coloured_shape(x: Tensor, *, data_format: str | None) -> Shape:
    batch(x)
    return x.shape


def colours_reads(x: Tensor, *, data_format: str | None) -> dict[int, Reading]:
    """All three colours."""
    return all_along(x, axis=1 if data_format == "channels_first" else -1)


def around_reads(x: Tensor, over: Sequence[Window], data_format: str | None) -> dict[int, Reading]:
    """What slides over rows and columns."""
    return dict(enumerate(over, 2 if data_format == "channels_first" else 1))


@rule("keras.ops.RGBToHSV", wants=image, shape=coloured_shape, dtype=kept_float, reads=colours_reads)
def rgb_to_hsv(x: Value, *, data_format: str | None = None) -> Expr:
    """Hue, saturation and value, in a helper."""
    return call("torch.stack", call("rgb_to_hsv", x), dim=1)


@rule("keras.ops.HSVToRGB", wants=image, shape=coloured_shape, dtype=kept_float, reads=colours_reads)
def hsv_to_rgb(x: Value, *, data_format: str | None = None) -> Expr:
    """Red, green and blue, in a helper.

    It has a gradient. TensorFlow's has none: tensorflow/python/ops/image_ops_impl.py, NotDifferentiable.
    """
    return call("hsv_to_rgb", *(x[(slice(None), at)] for at in range(3)))


def blurred_reads(x: Tensor, *, kernel_size: Any, data_format: str | None) -> dict[int, Reading]:
    return around_reads(x, [Window(int(it), padding="same") for it in each(kernel_size, 2)], data_format)


@rule("keras.ops.GaussianBlur", wants=image, shape=coloured_shape, dtype=kept_float, reads=blurred_reads)
def gaussian_blur(
    x: Value, *, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None
) -> Expr:
    """F.conv2d with a Gaussian kernel."""
    rows, columns = each(kernel_size, 2)
    if rows != columns:
        raise Unsupported(f"kernel_size={kernel_size!r}: Keras scrambles a kernel that is no square")
    return call("gaussian_blur", x, rows, tuple(each(sigma, 2)))


def edges_wants(x: Tensor, *, data_format: str | None) -> Wants:
    return Wants(
        Want.CHANNELS_FIRST if data_format != "channels_first" else Want.SOURCE,
        Want.SOURCE,
        "its convolution wants channels first",
    )


def edges_shape(x: Tensor, *, data_format: str | None) -> Shape:
    batch(x)
    return (*x.shape, 2)


def edges_reads(x: Tensor, *, data_format: str | None) -> dict[int, Reading]:
    return around_reads(x, [Window(3, padding=(1, 1), edge="reflect")] * 2, data_format)


@rule("keras.ops.SobelEdges", wants=edges_wants, shape=edges_shape, dtype=kept_float, reads=edges_reads)
def sobel_edges(x: Value, *, data_format: str | None = None) -> Expr:
    """F.conv2d with Sobel's kernels: down and across, as a last axis."""
    edges = call("sobel_edges", x)
    return edges if data_format == "channels_first" else call(".permute", edges, 0, 2, 3, 1, 4)


def transformed_reads(x: Tensor, transform: Any, *, data_format: str | None) -> dict[int, Reading]:
    """A pixel may come from anywhere: that is in the numbers of the transform."""
    return all_along(x, axis=(2, 3) if data_format == "channels_first" else (1, 2))


FILLS = ("constant", "nearest", "wrap", "reflect")


def transformed_wants(x: Tensor, transform: Any, *, data_format: str | None) -> Wants:
    return image(x, data_format=data_format)


def transformed_shape(x: Tensor, transform: Any) -> Shape:
    batch(x)
    return x.shape


@rule(
    "keras.ops.AffineTransform", wants=transformed_wants, shape=transformed_shape, reads=transformed_reads,
    only={"fill_mode": FILLS, "interpolation": ("bilinear", "nearest")},
)  # fmt: skip
def affine_transform(
    x: Value, transform: Any, *, interpolation: str = "bilinear", fill_mode: str = "constant",
    fill_value: float = 0, data_format: str | None = None,
) -> Expr:  # fmt: skip
    """Pixels at the places that the eight numbers of a transform give, in a helper.

    Its gradient is exact. TensorFlow's turns the gradient back, as if it were an image:
    tensorflow/python/ops/image_ops.py, _image_projective_transform_v3_grad.
    """
    return call(
        "affine_transform", x, buffer(transform, "transform"), fill_mode=default(fill_mode, "constant"),
        fill_value=float(fill_value) or None, interpolation=default(interpolation, "bilinear"),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sides(Margin):
    """A margin of which one of three numbers for each axis may follow of the others."""

    target_height: Any = None
    target_width: Any = None

    def sides(self, x: Tensor | Value, rows: Sequence[Any], columns: Sequence[Any], sign: int) -> Any:
        """What is added (or cropped: sign=-1) before and after height and width."""
        batch(x)
        targets = self.target_height, self.target_width
        for size, target, (before, after) in zip(self.spatial(x), targets, (rows, columns), strict=True):
            if None not in (before, after):
                yield sign * before, sign * after
            elif size is None or target is None:
                raise Unsupported("of images whose size is not known", "give the model's input its size")
            else:
                total = target - size
                first = total - sign * after if before is None else sign * before
                yield first, total - first if after is None else sign * after

    def wants(self, x: Any, y: Any) -> Wants:
        return SOURCE if self.is_first else IMAGE


@layer("keras.ops.PadImages")
class PadImages(Sides):
    """F.pad."""

    top_padding: Any = None
    bottom_padding: Any = None
    left_padding: Any = None
    right_padding: Any = None

    def pairs(self, x: Tensor | Value) -> list[tuple[int, int]]:
        rows, columns = (self.top_padding, self.bottom_padding), (self.left_padding, self.right_padding)
        return list(self.sides(x, rows, columns, 1))


@layer("keras.ops.CropImages")
class CropImages(Sides):
    """A slice."""

    top_cropping: Any = None
    bottom_cropping: Any = None
    left_cropping: Any = None
    right_cropping: Any = None

    def pairs(self, x: Tensor | Value) -> list[tuple[int, int]]:
        rows, columns = (self.top_cropping, self.bottom_cropping), (self.left_cropping, self.right_cropping)
        return list(self.sides(x, rows, columns, -1))


def measured_shape(x1: Tensor, x2: Tensor) -> Shape:
    return ()


@rule("keras.ops.PSNR", shape=measured_shape, dtype=kept_float)
def psnr(x1: Value, x2: Value, *, max_val: float) -> Expr:
    """The peak signal to noise ratio of all values, in decibel."""
    return call("psnr", x1, x2, numbers(max_val))
