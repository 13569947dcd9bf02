"""Functions of tf.image on the values of images: brightness, contrast, colours, crops of several sizes."""

from __future__ import annotations

import math
from typing import Any

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Infix, call
from torchport.rules.arguments import plain, unless
from torchport.rules.constants import fixed, shape_of
from torchport.rules.dtypes import as_dtype, as_float, dtype_of, float_dtype, is_float, kept_float
from torchport.rules.operations.image import CropImages, batch
from torchport.rules.operations.operands import buffer
from torchport.rules.resize import resize
from torchport.rules.sizes import all_along, all_of, all_of_last, size_of
from torchport.rules.table import CHANNELS_FIRST, FOLLOWS, Value, Wants, rule
from torchport.rules.window import Reading

#: Images of an unknown layout: those of TensorFlow have channels last.
IMAGE = CHANNELS_FIRST


def four(x: Tensor, *rest: Any) -> Shape:
    batch(x)
    return x.shape


def pixels_reads(x: Tensor) -> dict[int, Reading]:
    """All pixels of a channel."""
    return all_along(x, axis=(1, 2))


@rule("tf.image.adjust_brightness", dtype=kept_float)
def adjust_brightness(x: Value, *, delta: Any) -> Expr:
    """x + delta."""
    return x + (plain(delta) if isinstance(delta, (int, float)) else delta)


@rule("tf.image.adjust_contrast", wants=IMAGE, shape=four, dtype=kept_float, reads=pixels_reads)
def adjust_contrast(x: Value, *, contrast_factor: Any) -> Expr:
    """(x - mean) * factor + mean, over height and width."""
    mean = call(".mean", x, (2, 3), keepdim=True)
    return Infix("+", Infix("*", x - mean, plain(contrast_factor)), mean)


@rule("tf.image.adjust_gamma", dtype=kept_float)
def adjust_gamma(x: Value, *, gamma: float = 1, gain: float = 1) -> Expr:
    """gain * x ** gamma."""
    power = Infix("**", x, plain(gamma))
    return power if gain == 1 else Infix("*", plain(gain), power)


@rule("tf.image.adjust_saturation", wants=IMAGE, shape=four, dtype=kept_float, reads=all_of_last(1))
def adjust_saturation(x: Value, *, saturation_factor: float) -> Expr:
    """The saturation scaled, in a helper."""
    return call("adjust_saturation", x, plain(saturation_factor))


@rule("tf.image.adjust_hue", wants=IMAGE, shape=four, dtype=kept_float, reads=all_of_last(1))
def adjust_hue(x: Value, *, delta: float) -> Expr:
    """The hue moved, in a helper."""
    return call("adjust_hue", x, plain(delta))


#: By columns: what each of red, green and blue gives. Source: tensorflow/python/ops/image_ops_impl.py.
COLOURS: dict[str, list[list[float]]] = {
    "rgb_to_yiq": [[0.299, 0.59590059, 0.2115], [0.587, -0.27455667, -0.52273617],
                   [0.114, -0.32134392, 0.31119955]],
    "yiq_to_rgb": [[1, 1, 1], [0.95598634, -0.27201283, -1.10674021], [0.6208248, -0.64720424, 1.70423049]],
    "rgb_to_yuv": [[0.299, -0.14714119, 0.61497538], [0.587, -0.28886916, -0.51496512],
                   [0.114, 0.43601035, -0.10001026]],
    "yuv_to_rgb": [[1, 1, 1], [0, -0.394642334, 2.03206185], [1.13988303, -0.58062185, 0]],
}  # fmt: skip


def coloured(name: str) -> Any:
    def write(x: Value) -> Expr:
        matrix = fixed(name, [[float(it) for it in row] for row in COLOURS[name]])
        if x.order is Order.CHANNELS_FIRST and x.rank == 4:
            return call("torch.einsum", "nchw,cd->ndhw", x, matrix)
        return Infix("@", x, matrix)

    write.__doc__ = "A product with the colours of the other system."
    return write


for _name in COLOURS:
    rule(f"tf.image.{_name}", shape=four, dtype=kept_float, reads=all_of_last(1))(coloured(_name))


def grey_shape(x: Tensor) -> Shape:
    batch(x)
    return (*x.shape[:-1], 3)


@rule("tf.image.grayscale_to_rgb", wants=IMAGE, shape=grey_shape)
def grayscale_to_rgb(x: Value) -> Expr:
    """x.expand: the channel three times."""
    return call(".expand", x, -1, 3, -1, -1)


@rule("tf.image.per_image_standardization", wants=FOLLOWS, shape=four, dtype=float_dtype, reads=all_of)
def per_image_standardization(x: Value) -> Expr:
    """Each image less its mean, over its deviation, in a helper."""
    return call("standardize_images", as_float(x))


#: The largest of the whole numbers that stand for 1.
LARGEST = {"uint8": 255, "int8": 127, "uint16": 65535, "int16": 32767}


def converted_dtype(x: Tensor, *, dtype: Any) -> str:
    return dtype_of(dtype)


@rule("tf.image.convert_image_dtype", dtype=converted_dtype)
def convert_image_dtype(x: Value, *, out: Value, dtype: Any, saturate: bool = False) -> Expr:
    """x / 255; back, scaled and cut. Source: image_ops_impl.py, convert_image_dtype."""
    had, wanted = x.tensor.dtype, out.tensor.dtype
    if had == wanted:
        return x
    if is_float(had) and is_float(wanted):
        return as_dtype(x, had, wanted)
    if had in LARGEST and is_float(wanted):
        return as_dtype(x, had, wanted) / LARGEST[had]
    if not is_float(had) or wanted not in LARGEST:
        raise Unsupported(f"of {had} to {wanted}", "8 and 16 bits to and from fractions are ported")
    scaled_ = x * (LARGEST[wanted] + 0.5)
    cut = call(".clamp", scaled_, -LARGEST[wanted] - 1 if wanted[0] == "i" else 0, LARGEST[wanted])
    return as_dtype(cut if saturate else scaled_, had, wanted)


def window(x: Tensor | Value, fraction: float) -> dict[str, Any]:
    """What is cropped. Source: image_ops_impl.py, central_crop."""
    top, left = (int((size - size * fraction) / 2) for size in (size_of(x, 1), size_of(x, 2)))
    return {"top_cropping": top, "bottom_cropping": top, "left_cropping": left, "right_cropping": left}


def central_shape(x: Tensor, *, central_fraction: float) -> Shape:
    batch(x)
    cut = window(x, central_fraction)
    sizes = size_of(x, 1) - 2 * cut["top_cropping"], size_of(x, 2) - 2 * cut["left_cropping"]
    return (x.shape[0], *sizes, x.shape[3])


@rule("tf.image.central_crop", wants=IMAGE, shape=central_shape)
def central_crop(x: Value, *, central_fraction: float) -> Expr:
    """A slice."""
    return CropImages(**window(x, central_fraction)).write(x)


def boxed_shape(x: Tensor, *, target_height: int, target_width: int) -> Shape:
    batch(x)
    return (x.shape[0], target_height, target_width, x.shape[3])


@rule("tf.image.resize_with_crop_or_pad", wants=IMAGE, shape=boxed_shape)
def crop_or_pad(x: Value, *, target_height: int, target_width: int) -> Expr:
    """A slice, F.pad, or both: in the midst. Source: image_ops_impl.py, resize_image_with_crop_or_pad."""
    sizes = [(size_of(x, axis), target) for axis, target in ((1, target_height), (2, target_width))]
    result: Any = x
    less = [max(-(target - size) // 2, 0) for size, target in sizes]
    if any(target < size for size, target in sizes):
        result = result[(..., *(
            slice(first, first + target) if target < size else slice(None)
            for first, (size, target) in zip(less, sizes, strict=True)
        ))]  # fmt: skip
    pads = [(max((target - size) // 2, 0), max(target - size, 0)) for size, target in sizes]
    if any(total for _, total in pads):
        (top, rows), (left, columns) = pads
        result = call("F.pad", result, (left, columns - left, top, rows - top))
    return result  # type: ignore[no-any-return]


@rule("tf.image.resize_with_pad", wants=IMAGE, shape=boxed_shape, dtype=float_dtype)
def resize_with_pad(
    x: Value, *, target_height: int, target_width: int, method: str = "bilinear", antialias: bool = False
) -> Expr:  # fmt: skip
    """F.interpolate, then F.pad. Source: image_ops_impl.py, _resize_image_with_pad_common."""
    height, width = size_of(x, 1), size_of(x, 2)
    ratio = max(width / target_width, height / target_height)
    rows, columns = math.floor(height / ratio), math.floor(width / ratio)
    top = max(0, math.floor((target_height - height / ratio) / 2))
    left = max(0, math.floor((target_width - width / ratio) / 2))
    made = resize(as_float(x), rows, columns, str(method), antialias)
    after = (target_width - columns - left, target_height - rows - top)
    return call("F.pad", made, (left, after[0], top, after[1])) if top + left + sum(after) else made


def boxes_shape(x: Tensor, boxes: Any, indices: Any, *, crop_size: Any) -> Shape:
    batch(x)
    return (shape_of(boxes)[0], *crop_size, x.shape[3])


def boxes_wants(x: Tensor, boxes: Any, indices: Any) -> Wants:
    return IMAGE


@rule(
    "tf.image.crop_and_resize", wants=boxes_wants, shape=boxes_shape, dtype="float32",
    only={"method": ("bilinear",)}, ignores="method",
)  # fmt: skip
def crop_and_resize(
    x: Value, boxes: Any, indices: Any, *, crop_size: Any, extrapolation_value: float = 0.0
) -> Expr:  # fmt: skip
    """F.grid_sample of each box, in a helper."""
    given = buffer(boxes, "boxes", "float32"), buffer(indices, "indices", "int64")
    return call(
        "crop_and_resize", as_float(x), *given, tuple(crop_size), *unless(plain(extrapolation_value), 0)
    )
