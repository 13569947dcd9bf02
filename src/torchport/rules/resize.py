"""Images of another size: resized, cropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.dtypes import as_float, float_dtype, is_float
from torchport.rules.entry import Windowed, layer
from torchport.rules.facts import LINEAR
from torchport.rules.image import channels, image_shape, spatial, spatial_axes
from torchport.rules.table import Value, image, rule
from torchport.rules.window import Among, Reading, Stretch, Window


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


@layer("Resizing", ignores="bounding_box_format factor", only={"fill_mode": ("constant",)}, linear=LINEAR)
class Resizing(Windowed):
    """F.interpolate; bicubic, Lanczos and antialiased as TensorFlow weighs pixels."""

    height: int
    width: int
    interpolation: str = "bilinear"
    crop_to_aspect_ratio: bool = False
    pad_to_aspect_ratio: bool = False
    fill_mode: str = "constant"
    fill_value: float = 0.0
    antialias: bool = False

    def windows(self, x: Tensor | Value) -> Sequence[Reading]:
        """Of images that are not cropped or padded before."""
        sizes = self.height, self.width
        return [Stretch(size=it, method=self.interpolation, antialias=self.antialias) for it in sizes]

    def reads(self, x: Tensor | Value) -> Mapping[int, Reading]:
        """Where it cuts or pads first, some of what that leaves."""
        found = super().reads(x)
        way = "cut" if self.crop_to_aspect_ratio else "padded"
        is_whole = self.crop_to_aspect_ratio or self.pad_to_aspect_ratio
        return (
            {at: Among(f"some {{0}}: it is {way} to the ratio first") for at in found} if is_whole else found
        )

    def shape(self, x: Tensor) -> Shape:
        return resized_shape(x, height=self.height, width=self.width, data_format=self.data_format)

    def write(self, x: Value, y: Any = None) -> Expr:
        read: Any = fractions(x)
        if self.crop_to_aspect_ratio:
            size = sizes_of(x, self.data_format, "a crop")
            read = to_aspect(read, size, self.height, self.width)
        elif self.pad_to_aspect_ratio:
            rows, columns = sizes_of(x, self.data_format, "padding")
            top = (max(rows, int(float(columns * self.height) / self.width)) - rows) // 2
            left = (max(columns, int(float(rows * self.width) / self.height)) - columns) // 2
            if top or left:
                read = call("F.pad", read, (left, left, top, top), value=self.fill_value or None)
        return resize(read, self.height, self.width, self.interpolation, self.antialias)


def center_reads(x: Tensor, *, height: int, width: int, data_format: str | None) -> dict[int, Reading]:
    """A slice; of images that are too small some of the largest part of that ratio."""
    axes = spatial_axes(len(x.shape), data_format)
    more = [((x.shape[at] or 0) - size) for at, size in zip(axes, (height, width), strict=True)]
    if min(more) < 0:
        return {at: Among("some {0}: it is cut to the ratio first") for at in axes}
    return {at: Window(1, padding=(-(it // 2), it // 2 - it)) for at, it in zip(axes, more, strict=True)}


@rule(
    "CenterCrop", reads=center_reads, wants=image, shape=resized_shape, dtype=float_dtype, linear=LINEAR,
    ignores="bounding_box_format factor",
)  # fmt: skip
def center_crop(x: Value, *, height: int, width: int, data_format: str | None = None) -> Expr:
    """A slice; of images that are too small, the largest part of that ratio, resized."""
    size = sizes_of(x, data_format, "a crop")
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    if top >= 0 and left >= 0:
        return cropped(as_float(x), size, (top, top + height), (left, left + width))
    return resize(to_aspect(as_float(x), size, height, width), height, width, "bilinear")
