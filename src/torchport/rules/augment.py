"""Augmentation: nothing in inference, the same distribution as Keras's in training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.program import Expr, call, module
from torchport.rules.table import Value, image, rule

#: What every one of these layers has, and none of those ported reads.
COMMON = "bounding_box_format factor value_range"
OTHER_KERAS = "Keras 2 draws it in another way, which is not ported"
DROP = "take the layer out of the model and augment in the data loader"


def images(x: Value) -> Value:
    """A batch of images of fractions. Raises Unsupported for others."""
    if x.rank != 4:
        raise Unsupported(f"augmentation of a tensor with {x.rank} axes: images have four")
    if not x.tensor.dtype.startswith("float"):
        raise Unsupported("augmentation of whole numbers, which are rounded", "put Rescaling(1.0) before")
    return x


def between(factor: Any, least: float = float("-inf")) -> tuple[float, float]:
    """The range that a factor stands for: of one number, both ways."""
    if isinstance(factor, Sequence):
        low, high = sorted(factor)
        return float(low), float(high)
    return max(-abs(factor), least), float(abs(factor))


def ordered(value_range: Sequence[float]) -> tuple[float, float]:
    low, high = sorted(value_range)
    return low, high


@rule("RandomFlip", wants=image, ignores=COMMON)
def random_flip(
    x: Value, *, mode: str = "horizontal_and_vertical", data_format: str | None = None, dialect: str = ""
) -> Expr:
    """A module of a few lines. Keras 3 flips both ways or none, Keras 2 each by itself."""
    dims = {"horizontal": (3,), "vertical": (2,), "horizontal_and_vertical": (2, 3)}.get(mode)
    if dims is None:
        raise Unsupported(f"mode={mode!r} is not known")
    if len(dims) == 2 and not dialect.startswith("3"):
        across = module("RandomFlip", (3,), role="horizontal", loads={})(images(x))
        return module("RandomFlip", (2,), role="vertical", loads={})(across)
    return module("RandomFlip", dims, loads={})(images(x))


@rule("RandomBrightness", wants=image, ignores=COMMON)
def random_brightness(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: a number that is added to each image."""
    return module("RandomBrightness", *between(factor, -1), ordered(value_range), loads={})(images(x))


@rule("RandomContrast", wants=image, ignores=COMMON)
def random_contrast(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """A module of a few lines: each image scaled around its mean."""
    if not dialect.startswith("3"):
        raise Unsupported(OTHER_KERAS, DROP)
    low, high = between(factor, 0)
    return module("RandomContrast", 1 - low, 1 + high, tuple(value_range), loads={})(images(x))


@rule("RandomInvert", wants=image, ignores=COMMON)
def random_invert(
    x: Value, *, factor: Any = 1.0, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: some images inverted."""
    low, high = between(factor, 0)
    return module("RandomInvert", low, high, value_range[1], loads={})(images(x))


@rule("RandomGrayscale", wants=image, ignores=COMMON)
def random_grayscale(x: Value, *, factor: float = 0.5, data_format: str | None = None) -> Expr:
    """A module of a few lines: some images made gray."""
    return module("RandomGrayscale", factor, loads={})(images(x))


@rule("Solarization", wants=image, ignores=COMMON)
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
    return module("Solarization", addition, threshold, ordered(value_range), loads={})(images(x))


@rule("AutoContrast", wants=image, ignores=COMMON)
def auto_contrast(
    x: Value, *, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A function of a few lines; the same in inference and training."""
    if data_format == "channels_first":
        raise Unsupported("AutoContrast of channels-first images, where Keras takes other axes", DROP)
    return call("auto_contrast", images(x), ordered(value_range))


def affine(
    x: Value, fill_mode: str, fill_value: float, interpolation: str, cls: str = "RandomAffine", **ranges: Any
) -> Expr:
    """RandomAffine with what is not its default."""
    if fill_mode not in ("reflect", "constant", "wrap", "nearest"):
        raise Unsupported(f"fill_mode={fill_mode!r} is not known")
    if interpolation not in ("bilinear", "nearest"):
        raise Unsupported(f"interpolation={interpolation!r} is not ported", "'bilinear' or 'nearest' is")
    made = module(
        cls, **ranges, fill_mode=None if fill_mode == "reflect" else fill_mode,
        fill_value=fill_value or None, interpolation=None if interpolation == "bilinear" else interpolation,
        loads={},
    )  # fmt: skip
    return made(images(x))


@rule("RandomRotation", wants=image, ignores=COMMON)
def random_rotation(
    x: Value, *, factor: Any, fill_mode: str = "reflect", fill_value: float = 0.0,
    interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    return affine(x, fill_mode, fill_value, interpolation, rotate=between(factor))


@rule("RandomZoom", wants=image, ignores=COMMON)
def random_zoom(
    x: Value, *, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    across = None if width_factor is None else between(width_factor)
    return affine(x, fill_mode, fill_value, interpolation, zoom_y=between(height_factor), zoom_x=across)


@rule("RandomTranslation", wants=image, ignores=COMMON)
def random_translation(
    x: Value, *, height_factor: Any, width_factor: Any, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    move: dict[str, Any] = {"move_y": between(height_factor), "move_x": between(width_factor)}
    return affine(x, fill_mode, fill_value, interpolation, **move)


@rule("RandomShear", wants=image, ignores=COMMON)
def random_shear(
    x: Value, *, x_factor: Any = 0.0, y_factor: Any = 0.0, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    ranges: dict[str, Any] = {"shear_x": between(x_factor), "shear_y": between(y_factor)}
    return affine(x, fill_mode, fill_value, interpolation, "RandomShear", **ranges)


def color(kind: str, least: float, doc: str) -> None:
    """Enter a layer that scales something of each image by a factor that it draws."""

    def write(
        x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
    ) -> Expr:
        if x.rank == 4 and x.sizes[1] != 3:
            raise Unsupported(f"{x.sizes[1]} channels: red, green and blue are wanted")
        return module(kind, *between(factor, least), tuple(value_range), loads={})(images(x))

    write.__doc__ = doc
    rule(kind, wants=image, ignores=COMMON)(write)


color("RandomColorDegeneration", -1, "A module of a few lines: images with less colour.")
color("RandomSaturation", 0, "A module of some lines: images with another saturation.")
color("RandomHue", 0, "A module of some lines: images with another hue.")


@rule("RandomSharpness", wants=image, ignores=COMMON)
def random_sharpness(
    x: Value, *, factor: Any, value_range: Sequence[float] = (0, 255), data_format: str | None = None
) -> Expr:
    """A module of a few lines: each image blurred or sharpened."""
    return module("RandomSharpness", *between(factor, 0), ordered(value_range), loads={})(images(x))


@rule("RandomGaussianBlur", wants=image, ignores="bounding_box_format")
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
    return made(images(x))
