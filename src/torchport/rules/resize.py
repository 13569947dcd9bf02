"""Images of another size: resized, cropped."""

from __future__ import annotations

from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.dtypes import as_float, float_dtype, is_float
from torchport.rules.image import channels, image_shape, spatial
from torchport.rules.table import Value, image, rule


def resized_shape(x: Tensor, *, height: int, width: int, data_format: str | None) -> Shape:
    if len(x.shape) != 4:
        raise Unsupported(f"images with {len(x.shape)} axes: four are ported")
    return image_shape(x.shape, (height, width), channels(x.shape, data_format), data_format)


def sizes_of(x: Value, data_format: str | None, what: str) -> tuple[int, int]:
    height, width = spatial(x.shape, data_format)
    if height is None or width is None:
        raise Unsupported(f"{what} of images whose size is not known", "give the model's input its size")
    return height, width


def resize(x: Any, height: int, width: int, method: str, antialias: bool = False) -> Expr:
    """F.interpolate where torch does the same, else a helper."""
    size = (height, width)
    if method == "nearest":
        return call("F.interpolate", x, size, mode="nearest-exact")
    if method == "bilinear" and not antialias:
        return call("F.interpolate", x, size, mode="bilinear")
    if method in ("bilinear", "bicubic", "lanczos3", "lanczos5"):
        return call("resize", x, size, method, *([True] if antialias else []))
    if method == "area":
        return call("resize_area", x, size)
    raise Unsupported(f"interpolation={method!r} is not ported", "'bilinear', 'bicubic', 'lanczos3' are")


def fractions(x: Value) -> Value:
    if not is_float(x.tensor.dtype):
        advice = "declare the input as float32, or put Rescaling(1.0) before"
        raise Unsupported("images of whole numbers, which are rounded", advice)
    return x


def to_aspect(x: Any, size: tuple[int, int], height: int, width: int) -> Expr:
    """The largest part in the midst that has the wanted ratio. Source: keras/src/utils/image_utils.py."""
    rows = max(min(size[0], int(float(size[1] * height) / width)), 1)
    columns = max(min(size[1], int(float(size[0] * width) / height)), 1)
    top, left = (size[0] - rows) // 2, (size[1] - columns) // 2
    return cropped(x, size, (top, top + rows), (left, left + columns))


def cropped(x: Any, size: tuple[int, int], rows: tuple[int, int], columns: tuple[int, int]) -> Expr:
    """A slice of images (n, c, h, w)."""
    if (rows, columns) == ((0, size[0]), (0, size[1])):
        return x  # type: ignore[no-any-return]
    cuts = [
        slice(start or None, stop if stop < n else None)
        for n, (start, stop) in zip(size, (rows, columns), strict=True)
    ]
    return x[(..., *cuts)]  # type: ignore[no-any-return]


@rule(
    "Resizing", wants=image, shape=resized_shape, ignores="bounding_box_format factor",
    only={"fill_mode": ("constant",)},
)  # fmt: skip
def resizing(
    x: Value, *, height: int, width: int, interpolation: str = "bilinear", data_format: str | None = None,
    crop_to_aspect_ratio: bool = False, pad_to_aspect_ratio: bool = False, fill_mode: str = "constant",
    fill_value: float = 0.0, antialias: bool = False,
) -> Expr:  # fmt: skip
    """F.interpolate; bicubic, Lanczos and antialiased as TensorFlow weighs pixels."""
    image: Any = fractions(x)
    if crop_to_aspect_ratio:
        image = to_aspect(image, sizes_of(x, data_format, "a crop"), height, width)
    elif pad_to_aspect_ratio:
        rows, columns = sizes_of(x, data_format, "padding")
        top = (max(rows, int(float(columns * height) / width)) - rows) // 2
        left = (max(columns, int(float(rows * width) / height)) - columns) // 2
        if top or left:
            image = call("F.pad", image, (left, left, top, top), value=fill_value or None)
    return resize(image, height, width, interpolation, antialias)


@rule("CenterCrop", wants=image, shape=resized_shape, dtype=float_dtype, ignores="bounding_box_format factor")
def center_crop(x: Value, *, height: int, width: int, data_format: str | None = None) -> Expr:
    """A slice; of images that are too small, the largest part of that ratio, resized."""
    size = sizes_of(x, data_format, "a crop")
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    if top >= 0 and left >= 0:
        return cropped(as_float(x), size, (top, top + height), (left, left + width))
    return resize(to_aspect(as_float(x), size, height, width), height, width, "bilinear")
