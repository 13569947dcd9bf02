"""Layers as classes: bound once, refused by an option's name, their weights and windows stated once."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest

from torchport.axes import Order
from torchport.errors import Unsupported
from torchport.graph import Tensor
from torchport.rules import TABLE, Value, rule_for
from torchport.rules.conv import Conv, ConvTranspose
from torchport.rules.entry import Layer, Span, Windowed, variables
from torchport.rules.window import Among, Past, Transposed, Whole, Window, centred

#: What a layer cannot do without.
NEEDED = {
    "filters": 4, "kernel_size": 2, "units": 5, "output_size": 2, "height": 5, "width": 5, "size": 2,
    "frame_length": 4, "top_padding": 1, "bottom_padding": 2, "left_padding": 0, "right_padding": 1,
    "top_cropping": 1, "bottom_cropping": 2, "left_cropping": 0, "right_cropping": 1,
    "input_dim": 7, "output_dim": 4,
}  # fmt: skip
CLASSES = {kind: it.write for kind, it in TABLE.items() if isinstance(it.write, type)}
WINDOWED = {kind: it for kind, it in CLASSES.items() if issubclass(it, Windowed)}


def bound(kind: str, **options: Any) -> Layer:
    needed = {name: it for name, it in NEEDED.items() if name in TABLE[kind].options}
    made = rule_for(kind).bind({**needed, **options}, dialect="3.15.0")
    assert isinstance(made, Layer)
    return made


def image(kind: str, size: int | None = 11) -> Tensor:
    found = re.search(r"(\d)D", kind)
    rank = int(found[1]) if found else 1 if kind == "STFTSpectrogram" else 2
    return Tensor("x", (None, *[size] * rank, 3))


def test_an_option_that_is_not_known_is_refused_by_its_name() -> None:
    with pytest.raises(Unsupported, match=r"the option kernel=3 is not ported"):
        rule_for("Conv2D").bind({"filters": 4, "kernel_size": 3, "kernel": 3})


def test_an_option_that_is_missing_is_named() -> None:
    with pytest.raises(Unsupported, match=r"the option filters, kernel_size is missing"):
        rule_for("Conv2D").bind({"strides": 2})


@pytest.mark.parametrize("kind", CLASSES)
def test_a_layer_is_frozen_and_its_fields_are_its_options(kind: str) -> None:
    layer = bound(kind)
    assert TABLE[kind].options == {it.name for it in fields(layer)} - {"dialect", "exact"}
    with pytest.raises(FrozenInstanceError):
        layer.dialect = "2"  # type: ignore[misc]


@pytest.mark.parametrize("kind", WINDOWED)
def test_what_a_window_says_is_the_shape(kind: str) -> None:
    layer = bound(kind)
    assert isinstance(layer, Windowed)
    for size in (11, None):
        x = image(kind, size)
        if "LocallyConnected" in kind and size is None:
            continue
        lengths = [it.length(size) for it in layer.windows(x)]
        assert len(lengths) == len(x.shape) - 2
        if "Global" not in kind:  # whose axes go
            assert list(layer.shape(x)[1:-1]) == lengths


def test_windows_have_the_options_of_their_axis() -> None:
    x = Tensor("x", (None, 11, 13, 3))
    conv = Conv(filters=4, kernel_size=(3, 5), strides=(2, 1), padding="same")
    assert conv.windows(x) == [Window(3, 2, padding="same"), Window(5, padding="same")]
    up = ConvTranspose(filters=4, kernel_size=(3, 5), strides=2, output_padding=(1, 0))
    assert up.windows(x) == [Transposed(3, 2, extra=1), Transposed(5, 2, extra=0)]
    first = Conv(filters=4, kernel_size=3, data_format="channels_first")
    assert first.shape(Tensor("x", (None, 3, 11, 13))) == (None, 4, 9, 11)


def test_functions_say_what_they_read_by_the_axis() -> None:
    def reads(kind: str, shape: tuple[int | None, ...], *args: Any, **options: Any) -> Any:
        return rule_for(kind).bind(options).reads(Tensor("x", shape), *args)

    kernel = [[[[1.0] * 4] * 3] * 5] * 2
    same = {2: Window(2, 2, padding="same"), 3: Window(5, 2, padding="same")}
    first = {"strides": 2, "padding": "same", "data_format": "channels_first"}
    assert reads("keras.ops.Conv", (None, 3, 11, 13), kernel, **first) == [{**same, 1: Whole()}]
    told = {"output_shape": [1, 22, 26, 3], "strides": 2}
    spread = {1: Transposed(2, 2, size=22), 2: Transposed(5, 2, size=26)}
    assert reads("tf.nn.conv_transpose", (None, 11, 13, 4), kernel, **told) == spread
    options = {"filters": 4, "kernel_size": (2, 3), "data_format": "channels_first"}
    assert reads("ConvLSTM2D", (None, 1, 3, 11, 13), **options) == {3: Window(2), 4: Window(3)}
    through = {1: Past(), 3: Whole(keeps=True), 4: Whole(keeps=True)}
    assert reads("ConvLSTM2D", (None, 7, 3, 11, 13), return_sequences=True, **options) == through
    assert reads("MelSpectrogram", (None, 4096)) == {1: centred(2048, 512)}
    frames = {"sequence_length": 5, "sequence_stride": 2}
    within = Among("{0} = frame · 2 + place in it", Window(5, 2))
    assert reads("keras.ops.ExtractSequences", (None, 3, 64), **frames) == {2: within}
    assert reads("Add", (None, 3)) == {} and bound("MaxPooling1D").reads(image("1D")) == {1: Window(2, 2)}


def test_weights_name_their_axes_once() -> None:
    x = Tensor("x", (None, 11, 13, 6))
    conv = Conv(filters=4, kernel_size=(3, 5), groups=2)
    weights = conv.weights(x, Tensor("y", conv.shape(x)))
    assert {name: (it.axes, it.shape) for name, it in weights.items()} == {
        "kernel": ("h w i o", (3, 5, 3, 4)), "bias": ("o", (4,)),
    }  # fmt: skip
    assert weights["kernel"]("o i h w").turn.pattern == "h w i o -> o i h w"


def test_what_a_weight_is_turned_by() -> None:
    flat = Value(Tensor("x", (None, 12), parts=((2, 2, 3),)), Order.CHANNELS_FIRST)
    found = variables(
        kernel=("i o", {"i": Span.of(flat, 1), "o": 5}), one=("t i o", {"t": 1, "i": 3, "o": 5}),
        deep=("h w i m", {"h": 3, "w": 3, "i": 4, "m": 2}), none=None,
    )  # fmt: skip
    assert list(found) == ["kernel", "one", "deep"]
    assert found["kernel"]("o i").turn.regroup == ((0, ((2, 2, 3),)),)
    assert found["one"]("o i").turn.pattern == "1 i o -> o i"
    assert found["deep"]("(i m) 1 h w").turn.sizes == (("m", 2),)
