"""Augmentation by histograms, and by several other augmentations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.program import Apply, Expr, Module, call, module
from torchport.rules.augment import COMMON, DROP, between, floats, fractions, images, ordered
from torchport.rules.dtypes import float_dtype
from torchport.rules.facts import AUGMENTS
from torchport.rules.table import Value, image, rule, rule_for


@rule("Equalization", wants=image, ignores=COMMON, training=AUGMENTS)
def equalization(
    x: Value, *, value_range: Sequence[float] = (0, 255), bins: int = 256, data_format: str | None = None
) -> Expr:
    """A module of some lines, in training only, as in Keras, whatever its page says."""
    shown = None if bins == 256 else bins
    return module("Equalization", ordered(value_range), bins=shown, loads={})(images(x))


@rule("ContrastLimitedAdaptiveHistogramEqualization", wants=image, ignores="bounding_box_format factor")
def adaptive_equalization(
    x: Value, *, value_range: Sequence[float] = (0, 255), clip_limit: float = 4.0,
    tile_grid_size: Sequence[int] = (8, 8), data_format: str | None = None,
) -> Expr:  # fmt: skip
    """A function of some lines; the same in inference and training."""
    limit = None if clip_limit == 4 else clip_limit
    tiles = None if tuple(tile_grid_size) == (8, 8) else tuple(tile_grid_size)
    return call("adaptive_equalize", images(x), tuple(value_range), clip_limit=limit, tiles=tiles)


def layer(kind: str, x: Value, dialect: str, **options: Any) -> Module:
    """The module that another rule writes."""
    entry = rule_for(kind)
    given = entry.accept(options)
    if "dialect" in given:
        given["dialect"] = dialect
    made = entry.write(x, **given)
    assert isinstance(made, Apply)
    return made.module


@rule("RandomColorJitter", wants=image, ignores=COMMON, training=AUGMENTS)
def random_color_jitter(
    x: Value, *, brightness_factor: Any = None, contrast_factor: Any = None, saturation_factor: Any = None,
    hue_factor: Any = None, value_range: Sequence[float] = (0, 255), data_format: str | None = None,
    dialect: str = "",
) -> Expr:  # fmt: skip
    """The modules of RandomBrightness, RandomContrast, RandomSaturation and RandomHue."""
    factors = {
        "Brightness": brightness_factor, "Contrast": contrast_factor, "Saturation": saturation_factor,
        "Hue": hue_factor,
    }  # fmt: skip
    result: Any = images(x)
    for what, factor in factors.items():
        if factor is not None and data_format == "channels_first" and what != "Brightness":
            raise Unsupported("channels-first images, of which Keras takes other axes", DROP)
        if factor is not None:
            made = layer(f"Random{what}", x, dialect, factor=factor, value_range=value_range)
            result = Module(made.cls, made.args, made.kwargs, role=what.lower())(result)
    return result  # type: ignore[no-any-return]


#: What AugMix and RandAugment draw from, and how they do it: places, then bytes, then colours.
PLACES = ("RandomShear", "RandomTranslation", "RandomRotation")
BYTES = ("RandomPosterization", "Solarization", "AutoContrast", "Equalization")
COLORS = ("RandomBrightness", "RandomColorDegeneration", "RandomContrast", "RandomSharpness")


def augmentations(
    x: Value, kinds: Sequence[str], factor: Any, value_range: Sequence[float], interpolation: str,
    data_format: str | None, dialect: str,
) -> list[Module]:  # fmt: skip
    """The layers that `AugMix.__init__` and `RandAugment.__init__` make of their factor."""
    span = between(factor, 0)
    ways: dict[str, dict[str, Any]] = {
        "RandomShear": {"x_factor": span, "y_factor": span},
        "RandomTranslation": {"height_factor": span, "width_factor": span},
        "RandomPosterization": {"factor": max(1, int(8 * span[1]))},
        "Solarization": {"addition_factor": span, "threshold_factor": span},
        "AutoContrast": {}, "Equalization": {},
    }  # fmt: skip
    found = []
    for kind in kinds:
        options = dict(ways.get(kind, {"factor": span}), data_format=data_format)
        options |= {"interpolation": interpolation} if kind in PLACES else {"value_range": value_range}
        found.append(layer(kind, fractions(x), dialect, **options))
    return found


@rule("RandAugment", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS)
def rand_augment(
    x: Value, *, num_ops: int = 2, factor: Any = 0.5, interpolation: str = "bilinear",
    value_range: Sequence[float] = (0, 255), data_format: str | None = None, dialect: str = "",
) -> Expr:  # fmt: skip
    """A module of a few lines, of those of the layers that it draws from, for the whole batch."""
    kinds = (*PLACES, *COLORS, *BYTES)
    layers = augmentations(x, kinds, factor, value_range, interpolation, data_format, dialect)
    return module("RandAugment", *layers, num_ops=num_ops, loads={})(floats(x))


@rule("AugMix", wants=image, dtype=float_dtype, ignores="bounding_box_format", training=AUGMENTS)
def aug_mix(
    x: Value, *, num_chains: int = 3, chain_depth: int = 3, factor: Any = 0.3, alpha: float = 1.0,
    all_ops: bool = True, interpolation: str = "bilinear", value_range: Sequence[float] = (0, 255),
    data_format: str | None = None, dialect: str = "",
) -> Expr:  # fmt: skip
    """A module of some lines, which draws its chains at each call; Keras in `fit` only as it traces."""
    kinds = (*PLACES, *BYTES, *(COLORS if all_ops else ()))
    layers = augmentations(x, kinds, factor, value_range, interpolation, data_format, dialect)
    made = module(
        "AugMix", *layers, num_chains=num_chains, chain_depth=chain_depth, alpha=alpha,
        value_range=tuple(value_range), loads={},
    )  # fmt: skip
    return made(floats(x))
