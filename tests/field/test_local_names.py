"""Names in generated programs: what people meet in `forward`, and names that are no Python."""

from __future__ import annotations

import keras
import pytest
from torch import nn

import torchport
from torchport.names import RESERVED, class_name, identifier, is_automatic, short_name

L = keras.layers


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("слой_1", "sloy_1"), ("出力", "chu_li"), ("größe", "grosse"), ("class", "class_"),
        ("forward", "forward_"), ("set_submodule", "set_submodule_"), ("été", "ete"), ("1", "n1"),
        ("<lambda>", "lambda_"), ("", "unnamed"),
    ],
)  # fmt: skip
def test_names_are_identifiers_in_latin_letters(name: str, written: str) -> None:
    assert identifier(name) == written
    assert class_name("模型") == "MoXing"


def test_no_attribute_takes_the_place_of_one_that_every_module_has() -> None:
    public = {name for name in dir(nn.Module()) if not name.startswith("_")}
    assert {name for name in public if identifier(name) == name} == set(), "T_destination is t_destination"
    assert "set_submodule" in RESERVED


def test_names_that_keras_gives_functions_are_automatic() -> None:
    assert is_automatic("tf.nn.relu_1", "keras.ops.Relu")
    assert is_automatic("tf.__operators__.add_3", "keras.ops.Add")
    assert is_automatic("tf_op_layer_Relu_2", "keras.ops.Relu")
    assert not is_automatic("tf_block", "Dense")
    assert short_name("activation:<lambda>") == "activation:<lambda>"
    assert (short_name("shop>Scale"), short_name("a.b.Scale")) == ("Scale", "Scale")


def body(model: keras.Model) -> str:
    """The statements of `forward`."""
    return torchport.convert(model).code.rpartition("def forward(")[2].partition("@classmethod")[0]


def test_a_tensor_is_called_like_no_module_but_its_own() -> None:
    """A reviewer struck out `double_conv1 = self.double_conv2(...)`."""
    x = keras.Input((8, 8, 2))
    first = L.Conv2D(3, 3, padding="same")(x)
    convs = [L.Conv2D(3, 1)(first) for _ in range(3)]
    text = body(keras.Model(x, [L.Dot(-1)(convs[:2]), L.Subtract()(convs[1:]), L.Flatten()(convs[2])]))
    lines = [line.partition(" = self.") for line in text.splitlines() if " = self.conv" in line]
    assert lines and all(line[0].strip() in ("x", line[2].partition("(")[0]) for line in lines), text


def test_what_goes_past_is_a_skip_and_what_stands_beside_is_a_branch() -> None:
    x = keras.Input((8, 8, 2))
    y = L.Conv2D(3, 3, padding="same")(x)
    model = keras.Model(x, L.Concatenate()([y, L.Conv2D(3, 3, padding="same")(L.Conv2D(3, 1)(y))]))
    assert "skip = self.conv1(x)" in body(model)
    branches = [L.MaxPooling2D(n, 1, padding="same")(L.Conv2D(3, n, padding="same")(x)) for n in (1, 3, 5)]
    text = body(keras.Model(x, L.Concatenate()(branches)))
    assert "branch1 = " in text and "skip" not in text, text


def test_masks_are_named_for_their_inputs() -> None:
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    steps = [L.GRU(3)(L.Embedding(7, 3, mask_zero=True)(it)) for it in (source, target)]
    text = body(keras.Model([source, target], L.Add()(steps)))
    assert "source_mask" in text and "target_mask" in text, text
