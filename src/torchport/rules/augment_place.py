"""Augmentation of where things are in images: in training the same distribution as Keras's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor, is_keras_2
from torchport.program import Expr, module
from torchport.rules.augment import COMMON, between, floats, images
from torchport.rules.dtypes import float_dtype
from torchport.rules.facts import AUGMENTS, Training
from torchport.rules.image import channels, image_shape, spatial, spatial_axes
from torchport.rules.sizes import with_size
from torchport.rules.table import Value, image, rule
from torchport.rules.window import Among, Onto, Reading, Window


@rule("RandomFlip", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_flip(
    x: Value, *, mode: str = "horizontal_and_vertical", data_format: str | None = None, dialect: str = ""
) -> Expr:
    """A module of a few lines. Keras 3 flips both ways or none, Keras 2 each by itself."""
    dims = {"horizontal": (3,), "vertical": (2,), "horizontal_and_vertical": (2, 3)}.get(mode)
    if dims is None:
        raise Unsupported(f"mode={mode!r} is not known")
    if len(dims) == 2 and is_keras_2(dialect):
        across = module("RandomFlip", (3,), role="horizontal", loads={})(floats(x))
        return module("RandomFlip", (2,), role="vertical", loads={})(across)
    return module("RandomFlip", dims, loads={})(floats(x))


def crop_shape(x: Tensor, *, height: int, width: int, data_format: str | None, dialect: str) -> Shape:
    """In Keras 3 sizes that inference, which leaves images as they are, does not have are not known."""
    if len(x.shape) != 4:
        return x.shape
    sizes = [
        wanted if size == wanted or is_keras_2(dialect) else None
        for size, wanted in zip(spatial(x.shape, data_format), (height, width), strict=True)
    ]
    return image_shape(x.shape, sizes, channels(x.shape, data_format), data_format)


def crop_reads(x: Tensor, *, data_format: str | None) -> dict[int, Reading]:
    """A piece, drawn in training; in inference Keras 3 leaves images at their size, Keras 2 resizes them."""
    says = Among("some {0}: the piece is drawn in training, and in inference Keras 2 resizes")
    return dict.fromkeys(spatial_axes(len(x.shape), data_format), says)


@rule(
    "RandomCrop",
    wants=image,
    shape=crop_shape,
    dtype=float_dtype,
    ignores=COMMON,
    training=Training(rests=None, is_image=True),
    reads=crop_reads,
)
def random_crop(
    x: Value, *, height: int, width: int, data_format: str | None = None, dialect: str = ""
) -> Expr:
    """A module of some lines. In inference Keras 3 leaves images at their size, Keras 2 resizes them."""
    cls = "RandomCropOrResize" if is_keras_2(dialect) else "RandomCrop"
    return module(cls, height, width, loads={})(images(x, dialect))


def filled(fill_mode: str) -> str | None:
    """How what comes from outside is filled; None for the modules' default."""
    if fill_mode not in ("reflect", "constant", "wrap", "nearest"):
        raise Unsupported(f"fill_mode={fill_mode!r} is not ported", "'reflect' or 'constant' is")
    return None if fill_mode == "reflect" else fill_mode


def sampled(interpolation: str) -> str | None:
    """How values between pixels are taken; None for the modules' default."""
    if interpolation not in ("bilinear", "nearest"):
        raise Unsupported(f"interpolation={interpolation!r} is not ported", "'bilinear' or 'nearest' is")
    return None if interpolation == "bilinear" else interpolation


def affine(
    x: Value, fill_mode: str, fill_value: float, interpolation: str, cls: str = "RandomAffine", **ranges: Any
) -> Expr:
    """RandomAffine with what is not its default."""
    made = module(
        cls, **ranges, fill_mode=filled(fill_mode), fill_value=fill_value or None,
        interpolation=sampled(interpolation), loads={},
    )  # fmt: skip
    return made(floats(x))


def stretched_shape(axis: int) -> Any:
    """The shape of images whose height or width is drawn in training."""

    def shape(x: Tensor) -> Shape:
        if len(x.shape) != 4:
            raise Unsupported(f"augmentation of a tensor with {len(x.shape)} axes: images have four")
        return with_size(x.shape, axis, None)

    return shape


def stretched_reads(axis: int) -> Any:
    """In inference the same step; in training one or two, as the size that is drawn says."""
    return lambda x: {
        axis: Onto(axis, Among("its {0}; in training as the size says that is drawn", Window(1)))
    }


def stretched(x: Value, cls: str, factor: Any, interpolation: str) -> Expr:
    mode = {"bilinear": None, "nearest": "nearest-exact"}
    if interpolation not in mode:
        raise Unsupported(f"interpolation={interpolation!r} is not ported", "'bilinear' or 'nearest' is")
    return module(cls, *between(factor), mode=mode[interpolation], loads={})(floats(x))


@rule(
    "RandomHeight", wants=image, shape=stretched_shape(1), dtype=float_dtype, training=AUGMENTS,
    reads=stretched_reads(1),
)  # fmt: skip
def random_height(
    x: Value, *, factor: Any, interpolation: str = "bilinear", data_format: str | None = None
) -> Expr:
    """A module of some lines: all images of a batch resized to a height that is drawn. Keras 2 has it."""
    return stretched(x, "RandomHeight", factor, interpolation)


@rule(
    "RandomWidth", wants=image, shape=stretched_shape(2), dtype=float_dtype, training=AUGMENTS,
    reads=stretched_reads(2),
)  # fmt: skip
def random_width(
    x: Value, *, factor: Any, interpolation: str = "bilinear", data_format: str | None = None
) -> Expr:
    """A module of some lines: all images of a batch resized to a width that is drawn. Keras 2 has it."""
    return stretched(x, "RandomWidth", factor, interpolation)


@rule("RandomRotation", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_rotation(
    x: Value, *, factor: Any, fill_mode: str = "reflect", fill_value: float = 0.0,
    interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    return affine(x, fill_mode, fill_value, interpolation, rotate=between(factor))


@rule("RandomZoom", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_zoom(
    x: Value, *, height_factor: Any, width_factor: Any = None, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    across = None if width_factor is None else between(width_factor)
    return affine(x, fill_mode, fill_value, interpolation, zoom_y=between(height_factor), zoom_x=across)


@rule("RandomTranslation", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_translation(
    x: Value, *, height_factor: Any, width_factor: Any, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    move: dict[str, Any] = {"move_y": between(height_factor), "move_x": between(width_factor)}
    return affine(x, fill_mode, fill_value, interpolation, **move)


@rule("RandomShear", wants=image, dtype=float_dtype, ignores=COMMON, training=AUGMENTS)
def random_shear(
    x: Value, *, x_factor: Any = 0.0, y_factor: Any = 0.0, fill_mode: str = "reflect",
    fill_value: float = 0.0, interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines, which samples and fills as TensorFlow does."""
    ranges: dict[str, Any] = {"shear_x": between(x_factor), "shear_y": between(y_factor)}
    return affine(x, fill_mode, fill_value, interpolation, "RandomShear", **ranges)


@rule("RandomPerspective", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS)
def random_perspective(
    x: Value, *, factor: Any = 1.0, scale: float = 1.0, fill_value: float = 0.0,
    interpolation: str = "bilinear", data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines: corners pulled, what is between them sampled as TensorFlow does."""
    made = module(
        "RandomPerspective", *between(factor, 0), scale, fill_value=fill_value or None,
        interpolation=sampled(interpolation), loads={},
    )  # fmt: skip
    return made(floats(x))


@rule(
    "RandomElasticTransform", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS
)
def random_elastic_transform(
    x: Value, *, factor: Any = 1.0, scale: Any = 1.0, fill_mode: str = "reflect", fill_value: float = 0.0,
    interpolation: str = "bilinear", value_range: Sequence[float] = (0, 255), data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A module of some lines: images moved by smooth noise. Keras draws the same noise for both axes."""
    chances, scales = between(factor, 0), between(scale, 0)
    if chances[1] == 0 or scales[1] == 0:
        return floats(x)
    made = module(
        "RandomElasticTransform", *chances, scales, tuple(value_range), fill_mode=filled(fill_mode),
        fill_value=fill_value or None, interpolation=sampled(interpolation), loads={},
    )  # fmt: skip
    return made(floats(x))
