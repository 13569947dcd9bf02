"""Tensors and classes are called what a person would call them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from tests.quick import QUICK

import torchport
from torchport.blocks.naming import local
from torchport.names import class_name, identifier, telling

L = keras.layers


def test_outputs_of_a_nested_model_have_its_names() -> None:
    image = keras.Input((8,))
    encoder = keras.Model(image, [L.Dense(2, name="z_mean")(image), L.Dense(2, name="z_log_var")(image)])
    z_mean, z_log_var = encoder(image)
    z = z_mean + ops.exp(0.5 * z_log_var)
    model = keras.Model(image, [L.Dense(8)(z), z_mean, z_log_var])
    port = torchport.convert(model)
    assert "z_mean, z_log_var = self." in port.code
    x = np.random.default_rng(0).normal(size=(2, 8)).astype("float32")
    for ours, theirs in zip(port.run(x), model(x), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-5, atol=1e-5)


def test_words_are_steps() -> None:
    words = keras.Input((None,), dtype="int32")
    model = keras.Model(words, L.LSTM(3, return_sequences=True)(L.Embedding(10, 4)(words)))
    assert '"""(n, t) int -> (n, t, 3)."""' in torchport.convert(model).code


def test_numbers_of_operators_are_short() -> None:
    x = keras.Input((4,))
    model = keras.Model(x, ops.relu6(x + 3.0) * (1 / 6))
    port = torchport.convert(model)
    assert "return F.relu6(x + 3) / 6" in port.code
    found = torchport.verify(model, port, **QUICK)
    assert found.passed, str(found)
    whole = keras.Input((4,), dtype="int32")
    assert "x + 3.0" in torchport.convert(keras.Model(whole, whole + 3.0)).code, "of whole numbers a float"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("resnet50v2", "ResNet50V2"), ("efficientnetb0", "EfficientNetB0"),
        ("efficientnetv2-b0", "EfficientNetV2B0"), ("my_unet", "MyUNet"),
        ("unet3d", "UNet3D"), ("gans", "Gans"), ("3d model", "N3dModel"), ("", "Model"),
    ],
)  # fmt: skip
def test_classes_are_spelled_as_people_spell_networks(name: str, written: str) -> None:
    assert class_name(name) == written


@pytest.mark.parametrize(
    ("names", "called"),
    [
        (["1_conv", "1_conv"], "conv1"), (["expand_conv"], "expand_conv"),
        (["left1_stem_1", "left1_stem_2"], "left1_stem"), (["1_left_stem_1", "1_normal_left"], "left1"),
        (["block2a_expand_bn", "block4a_expand_bn"], "expand_bn"),
        (["sepconv1_bn", "sepconv2_bn"], "bn"), (["1_left", "1_right"], "1"), (["left", "right"], ""),
        (["conv_1.activation", "conv_2.activation"], "conv.activation"),
        (["a.b-c", "a.b-c"], "a.b-c"), (["_", "x"], ""), (["été_1", "été_2"], "été"),
    ],
)  # fmt: skip
def test_a_place_in_a_block_is_called_by_what_its_names_share(names: list[str], called: str) -> None:
    assert local(names) == called


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("BilinearUpSampling2D", "bilinear_up_sampling_2d"), ("Conv2DTranspose", "conv_2d_transpose"),
        ("conv2D", "conv_2d"), ("ResNet50V2", "res_net50_v2"), ("enc1Conv", "enc1_conv"),
        ("conv2d", "conv2d"),
        ("block1Conv2", "block1_conv2"), ("Conv1D_2", "conv_1d_2"), ("3D", "n3d"),
    ],
)  # fmt: skip
def test_names_in_snake_case(name: str, called: str) -> None:
    assert identifier(name) == called


@pytest.mark.parametrize(
    ("file", "called"),
    [
        ("best_model", "Model"), ("model", "Model"), ("weights", "Model"), ("functional_10", "Model"),
        ("my_unet", "MyUNet"), ("build_unet", "UNet"), ("misic-model", "Misic"), ("final_model_v2", "Model"),
        ("mobilenet_v2", "MobileNetV2"), ("BDEI_LARGE_CNN", "BdeiLargeCNN"),
        ("tumour_grader", "TumourGrader"),
        ("full_hc_PXD005573_mcp_cb975cfdd4105f97efa0b3afffe075cc", "FullHcPXD005573Mcp"),
        ("model_struct", "ModelStruct"),
    ],
)  # fmt: skip
def test_classes_are_not_named_by_what_says_nothing(file: str, called: str) -> None:
    assert class_name(telling(file) or "model") == called
