"""Random options of augmentation that leave nothing to chance: in training as TensorFlow, or refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest
import tensorflow as tf
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.examples import examples
from tests.layers.draws import Draw, eighths, one_of, sizes, text
from tests.layers.harness import Case, Inner, Reference, error, pins, ports

from torchport.errors import Refused
from torchport.rules import TABLE

FORMATS = ("channels_last", "channels_first")
FILLS = ("reflect", "constant", "wrap", "nearest")
#: These draw something whatever their options are; tested by their distribution, or with the same noise.
DRAW_ALWAYS = {"RandomFlip", "RandomPerspective", "RandomElasticTransform", "RandomShear", "AugMix"}


@pytest.fixture(autouse=True, scope="module")
def _pins() -> Iterator[None]:
    with pins():
        yield


def same(draw: Draw, low: float, high: float) -> list[float]:
    """A range that is one number."""
    return [eighths(draw, low, high)] * 2


def way(draw: Draw) -> dict[str, Any]:
    """How places between and beyond pixels are filled."""
    return {
        "fill_mode": one_of(draw, *FILLS), "fill_value": eighths(draw, -1, 1),
        "interpolation": one_of(draw, "bilinear", "nearest"),
    }  # fmt: skip


def colored(least: float = 0) -> Callable[[Draw], dict[str, Any]]:
    return lambda draw: {"factor": same(draw, least, 1)}


#: What the options of each kind are; all but those of places have a value_range too.
OPTIONS: dict[str, Callable[[Draw], dict[str, Any]]] = {
    "RandomBrightness": colored(-1),
    "RandomContrast": lambda draw: {"factor": [0.0, 0.0]},
    "RandomInvert": lambda draw: {"factor": one_of(draw, [0.0, 0.0], [1.0, 1.0])},
    "RandomGrayscale": lambda draw: {"factor": one_of(draw, 0.0, 1.0)},
    "RandomColorDegeneration": colored(),
    "RandomSaturation": lambda draw: {"factor": same(draw, 0, 0.875)},
    "RandomSharpness": colored(),
    "RandomPosterization": lambda draw: {"factor": [draw(st.integers(1, 8))] * 2},
    "RandomGaussianBlur": lambda draw: {
        "factor": [1.0, 1.0], "sigma": same(draw, 0.125, 1), "kernel_size": one_of(draw, 1, 3, 5),
    },
    "RandomErasing": lambda draw: {
        "factor": [1.0, 1.0], "scale": [1.0, 1.0],
        "fill_value": one_of(draw, eighths(draw, -3, 3), [0.5, -2.0, 2.0]),
    },
    "Solarization": lambda draw: {"threshold_factor": 0.0, "addition_factor": 0.0},
    "AutoContrast": lambda draw: {},
    "Equalization": lambda draw: {"bins": draw(st.integers(2, 300))},
    "ContrastLimitedAdaptiveHistogramEqualization": lambda draw: {
        "clip_limit": eighths(draw, 0, 9), "tile_grid_size": sizes(draw, 2, 1, 4),
    },
    "RandomColorJitter": lambda draw: {
        "brightness_factor": one_of(draw, None, same(draw, -1, 1)),
        "contrast_factor": one_of(draw, None, 0.0),
        "saturation_factor": one_of(draw, None, same(draw, 0, 0.875)),
    },
    "RandAugment": lambda draw: {"num_ops": 0},
    "RandomCrop": lambda draw: dict(zip(("height", "width"), sizes(draw, 2, 6, 12), strict=True)),
    # By an eighth of a turn pixels come to lie between two others, where the last bits decide.
    "RandomRotation": lambda draw: {"factor": [draw(st.integers(-9, 9)) / 9.7] * 2, **way(draw)},
    "RandomZoom": lambda draw: {
        "height_factor": same(draw, -0.875, 1), "width_factor": one_of(draw, None, same(draw, -0.875, 1)),
        **way(draw),
    },
    "RandomTranslation": lambda draw: {
        "height_factor": same(draw, -1, 1), "width_factor": same(draw, -1, 1), **way(draw),
    },
}  # fmt: skip
#: They have no value_range.
NO_RANGE = {"RandomGrayscale", "RandomCrop", "RandomRotation", "RandomZoom", "RandomTranslation"}
#: A turn of the hue by nothing or by half a circle is the same both ways.
OPTIONS["RandomHue"] = lambda draw: {"factor": one_of(draw, [0.0, 0.0], [1.0, 1.0])}


@st.composite
def fixed(draw: Draw, kind: str) -> Case:
    """A case of a kind, its inputs within the range: beyond, bytes are as the processor makes them."""
    options = OPTIONS[kind](draw)
    if kind not in NO_RANGE:
        options["value_range"] = [-draw(st.integers(4, 6)), draw(st.integers(4, 6))]
    first = draw(st.integers(0, 3)) == 0
    options["data_format"] = FORMATS[first]
    space = sizes(draw, 2, 4, 9)
    shape = text([2, 3, *space] if first else [2, *space, 3])
    if kind == "Equalization":  # which no functional model can hold, for its output is its input
        return Case("Pipeline", {"layers": [Inner(kind, options)]}, shape)
    return Case(kind, options, shape)


@pytest.mark.parametrize("kind", OPTIONS)
def test_training_agrees_or_is_refused(kind: str) -> None:
    tried, agreed = 0, 0

    @examples(4)
    @given(fixed(kind))
    def check(case: Case) -> None:
        nonlocal tried, agreed
        tried += 1
        try:
            reference = Reference(case)
            theirs = reference.call(*map(tf.constant, reference.x), training=True).numpy()
        except (ValueError, TypeError, tf.errors.OpError):  # Keras or TensorFlow does not take it
            assume(False)
        try:
            made = ports(reference.model, ("free", "first first", "keep_io"))
        except Refused:
            return
        for port in made:
            ours = port.back(port.module().train()(*port.turned(reference.x))).numpy()
            assert error(ours, theirs) < 1e-4, port.code  # TensorFlow computes places in float32
        agreed += 1

    check()
    assert agreed >= tried / 2


#: Held by tests of their own, tests/field/test_layers_people_write.py.
KERAS_2 = {"RandomHeight", "RandomWidth"}


def test_every_augmentation_is_drawn() -> None:
    kinds = {name for name, it in TABLE.items() if it.family.startswith("augment")}
    assert kinds - KERAS_2 == OPTIONS.keys() | DRAW_ALWAYS and kinds - KERAS_2 <= set(dir(keras.layers))
