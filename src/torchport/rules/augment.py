"""Augmentation of what images look like: nothing in inference, in training Keras's distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import is_keras_2
from torchport.program import Expr, module
from torchport.rules.dtypes import as_float, float_dtype
from torchport.rules.facts import AUGMENTS
from torchport.rules.sizes import all_of
from torchport.rules.table import Value, image, rule

#: What every one of these layers has, and none of those ported reads.
COMMON = "bounding_box_format factor value_range"
DROP = "take the layer out of the model and augment in the data loader"


def images(x: Value, dialect: str = "") -> Expr:
    """A batch of images of fractions: Keras 2 makes them of whole numbers, Keras 3 in training alone."""
    if x.rank != 4:
        raise Unsupported(f"augmentation of a tensor with {x.rank} axes: images have four")
    if not x.tensor.dtype.startswith("float") and not is_keras_2(dialect):
        raise Unsupported(
            "augmentation of whole numbers, which Keras leaves as they are in inference alone",
            "put Rescaling(1.0) before",
        )
    return as_float(x)


def floats(x: Value) -> Expr:
    """A batch of images for layers that make fractions of whole numbers in inference too."""
    images(fractions(x))
    return as_float(x)


def fractions(x: Value) -> Value:
    """The same images as fractions."""
    return replace(x, tensor=replace(x.tensor, dtype=float_dtype(x.tensor)))


def between(factor: Any, least: float = float("-inf")) -> tuple[float, float]:
    """The range that a factor stands for: of one number, both ways."""
    if isinstance(factor, Sequence):
        low, high = sorted(factor)
        return float(low), float(high)
    return float(max(-abs(factor), least)), float(abs(factor))


def ordered(value_range: Sequence[float]) -> tuple[float, float]:
    low, high = sorted(value_range)
    return low, high


@rule("RandomBrightness", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_brightness(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """A module of a few lines: a number that is added to each image."""
    return module("RandomBrightness", *between(factor, -1), ordered(value_range), loads={})(
        images(x, dialect)
    )


@rule("RandomContrast", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_contrast(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """A module of a few lines: each image scaled around its mean; Keras 2 scales all of a batch alike."""
    if is_keras_2(dialect):
        low, high = factor if isinstance(factor, Sequence) else (factor, factor)
        made = module("RandomContrast", 1 - low, 1 + high, (0, 255), alike=True, loads={})
        return made(images(x, dialect))
    low, high = between(factor, 0)
    return module("RandomContrast", 1 - low, 1 + high, tuple(value_range), loads={})(images(x))


@rule("RandomInvert", wants=image, ignores=COMMON, training=AUGMENTS)
def random_invert(
    x: Value, *, factor: Any = 1.0, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: some images inverted."""
    low, high = between(factor, 0)
    return module("RandomInvert", low, high, value_range[1], loads={})(images(x))


@rule("RandomGrayscale", wants=image, ignores=COMMON, training=AUGMENTS)
def random_grayscale(x: Value, *, factor: float = 0.5, data_format: str | None = None) -> Expr:
    """A module of a few lines: some images made gray."""
    return module("RandomGrayscale", factor, loads={})(images(x))


@rule("Solarization", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def solarization(
    x: Value, *, addition_factor: Any = 0.0, threshold_factor: Any = 0.0,
    value_range: Sequence[float] = (0, 255), data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of a few lines: what is above a threshold inverted."""

    def scaled(factor: Any) -> tuple[float, float]:
        low, high = ordered(factor) if isinstance(factor, Sequence) else (0, factor)
        return float(low), float(high * 255)  # Keras scales the upper end alone

    addition, threshold = scaled(addition_factor), scaled(threshold_factor)
    if addition[0] > addition[1] or threshold[0] > threshold[1]:
        raise Unsupported("an empty range of factors")
    return module("Solarization", addition, threshold, ordered(value_range), loads={})(floats(x))


@rule("AutoContrast", wants=image, dtype=float_dtype, ignores=COMMON, reads=all_of)
def auto_contrast(
    x: Value, *, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines; the same in inference and training."""
    if data_format == "channels_first":
        raise Unsupported("AutoContrast of channels-first images, where Keras takes other axes", DROP)
    return module("AutoContrast", ordered(value_range), loads={})(floats(x))


@rule("RandomPosterization", wants=image, ignores=COMMON, training=AUGMENTS)
def random_posterization(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: fewer bits of each value."""
    low, high = sorted(factor) if isinstance(factor, Sequence) else (1, factor)
    if int(low) != low or int(high) != high or not 1 <= low <= high <= 8:
        raise Unsupported(f"factor={factor!r}: whole numbers from 1 to 8 are wanted")
    # Keras draws below the upper end (`randint`).
    bits = (int(low), int(high) - (low < high))
    return module("RandomPosterization", *bits, ordered(value_range), loads={})(images(x))


@rule("RandomErasing", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS)
def random_erasing(
    x: Value, *, factor: Any = 1.0, scale: Any = (0.02, 0.33), fill_value: Any = None,
    value_range: Sequence[float] = (0, 255), data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines: a rectangle of noise or of one colour."""
    least, most = value_range
    fill: Any = None
    if isinstance(fill_value, Sequence):
        if data_format == "channels_first" or len(fill_value) != 3 or x.sizes[1:2] != (3,):
            raise Unsupported(
                f"fill_value={fill_value!r}", "a number is ported, or three for images of three channels"
            )
        fill = tuple(min(max(it, least), most) for it in fill_value)
    elif fill_value is not None:
        fill = min(max(fill_value, least), most)
    made = module("RandomErasing", *between(factor, 0), between(scale, 0), (least, most), fill=fill, loads={})
    return made(floats(x))


def color(kind: str, least: float, doc: str) -> None:
    """Enter a layer that scales something of each image by a factor that it draws."""

    def write(
        x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
    ) -> Expr:
        if x.rank == 4 and x.sizes[1] != 3:
            raise Unsupported(f"{x.sizes[1]} channels: red, green and blue are wanted")
        return module(kind, *between(factor, least), tuple(value_range), loads={})(images(x))

    write.__doc__ = doc
    rule(kind, wants=image, ignores=COMMON, training=AUGMENTS)(write)


color("RandomColorDegeneration", -1, "A module of a few lines: images with less colour.")
color("RandomSaturation", -1, "A module of some lines: images with another saturation.")
color("RandomHue", 0, "A module of some lines: images with another hue.")


@rule("RandomSharpness", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_sharpness(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: each image blurred or sharpened."""
    return module("RandomSharpness", *between(factor, 0), ordered(value_range), loads={})(floats(x))


@rule("RandomGaussianBlur", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS)
def random_gaussian_blur(
    x: Value, *, factor: Any = 1.0, kernel_size: Any = 3, sigma: Any = 1.0,
    value_range: Sequence[float] = (0, 255), data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines: a depthwise convolution with a kernel that is drawn."""
    sizes = set(kernel_size) if isinstance(kernel_size, Sequence) else {kernel_size}
    if len(sizes) != 1:
        raise Unsupported(
            f"kernel_size={kernel_size!r}, which Keras takes for another shape", "give one size"
        )
    low, high = between(factor, 0)
    made = module(
        "RandomGaussianBlur", low, high, sizes.pop(), between(sigma, 0), tuple(value_range), loads={}
    )  # fmt: skip
    return made(floats(x))
