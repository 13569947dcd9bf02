"""What every kind of layer does with a mask, and what a rule of the user's has to say of it."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import torchport
from torchport.errors import Refused
from torchport.normalise.masks import _Masks
from torchport.normalise.modes import resolve_modes
from torchport.normalise.operations import name_operations
from torchport.read import read

#: Layers of one tensor (n, 6, 4), with what they cannot do without.
ONE: dict[str, dict[str, Any]] = {
    "Activation": {"activation": "tanh"}, "ELU": {}, "LeakyReLU": {}, "PReLU": {}, "ReLU": {}, "Softmax": {},
    "ThresholdedReLU": {}, "Dense": {"units": 4}, "BatchNormalization": {}, "LayerNormalization": {},
    "GroupNormalization": {"groups": 2}, "UnitNormalization": {}, "RMSNormalization": {},
    "Rescaling": {"scale": 2.0},
    "ActivityRegularization": {}, "AlphaDropout": {"rate": 0.1}, "Dropout": {"rate": 0.1},
    "GaussianDropout": {"rate": 0.1}, "GaussianNoise": {"stddev": 0.1}, "SpatialDropout1D": {"rate": 0.1},
    "Identity": {}, "Conv1D": {"filters": 4, "kernel_size": 1},
    "SeparableConv1D": {"filters": 4, "kernel_size": 1},
    "DepthwiseConv1D": {"kernel_size": 1}, "Conv1DTranspose": {"filters": 4, "kernel_size": 1},
    "MaxPooling1D": {"pool_size": 1}, "AveragePooling1D": {"pool_size": 1}, "GlobalAveragePooling1D": {},
    "GlobalMaxPooling1D": {}, "Flatten": {}, "Reshape": {"target_shape": (6, 4)}, "Permute": {"dims": (1, 2)},
    "Cropping1D": {"cropping": 0}, "ZeroPadding1D": {"padding": 0}, "UpSampling1D": {"size": 1},
    "EinsumDense": {"equation": "btc,cd->btd", "output_shape": (6, 4)},
    "LSTM": {"units": 4, "return_sequences": True}, "GRU": {"units": 4},
    "SimpleRNN": {"units": 4, "return_sequences": True},
    "Normalization": {"mean": 0.0, "variance": 1.0},
}  # fmt: skip
#: Layers of two such tensors.
TWO: dict[str, dict[str, Any]] = {
    "Add": {}, "Subtract": {}, "Multiply": {}, "Average": {}, "Maximum": {}, "Minimum": {}, "Concatenate": {},
    "Dot": {"axes": 2}, "Attention": {}, "AdditiveAttention": {},
}  # fmt: skip


def carries(model: Any, name: str) -> bool:
    """Whether torchport takes the output of a layer to carry a mask."""
    masks = _Masks(resolve_modes(name_operations(read(model))), {})
    masks.written()
    return masks.masks.get(name) is not None


def kept(tensor: Any) -> bool:
    """Whether Keras does."""
    return getattr(tensor, "_keras_mask", None) is not None


#: Keras keeps a mask that is true everywhere, which is as good as none.
TRIVIAL = {("keras", "Concatenate", ("masked", "x")), ("keras", "Concatenate", ("x", "masked"))}
#: tf-keras cannot compute these.
FAILS = {("tf_keras", "Softmax"), ("tf_keras", "GroupNormalization")}


@pytest.mark.parametrize("of", ["keras", "tf_keras"])
def test_masks_go_on_where_keras_passes_them(of: str) -> None:
    package = importlib.import_module(of)
    layers, wrong = package.layers, []
    for kind, options in {**ONE, **TWO}.items():
        if not hasattr(layers, kind) or (of, kind) in FAILS:
            continue
        x, z = package.Input((6, 4)), package.Input((6, 4))
        first, second = (layers.Masking(name=f"mask_{at}")(it) for at, it in enumerate((x, z)))
        for given in ([first],) if kind in ONE else ([first, second], [first, z], [x, second]):
            y = getattr(layers, kind)(name="layer", **options)(given if kind in TWO else given[0])
            model = package.Model([x, z], [y, layers.Dense(1)(z)])
            read_as = tuple("x" if it is x or it is z else "masked" for it in given)
            if carries(model, "layer") != kept(y) and (of, kind, read_as) not in TRIVIAL:
                wrong.append(f"{kind} of {read_as}: Keras {kept(y)}")
    assert not wrong, "\n".join(wrong)


#: Layers that tf-keras takes at every step of a masked tensor.
AT_STEPS = (
    "Activation", "LeakyReLU", "PReLU", "ReLU", "Dense", "LayerNormalization", "Dropout", "LSTM", "GRU",
    "SimpleRNN", "GlobalAveragePooling1D", "BatchNormalization", "SpatialDropout1D",
)  # fmt: skip


def test_masks_at_every_step() -> None:
    """TimeDistributed of Keras 2 asks its layer at every step: an Embedding in it makes a mask."""
    tf_keras = importlib.import_module("tf_keras")
    layers, wrong = tf_keras.layers, []
    steps = layers.TimeDistributed
    for kind in AT_STEPS:
        for zero in (True, False):
            words = tf_keras.Input((3, 6))
            x = steps(layers.Embedding(9, 4, mask_zero=zero), name="words")(words)
            y = steps(getattr(layers, kind)(**ONE[kind]), name="layer")(x)
            model = tf_keras.Model(words, y)
            if (carries(model, "words"), carries(model, "layer")) != (kept(x), kept(y)):
                wrong.append(f"{kind}: Keras {kept(x)}, {kept(y)}")
    assert not wrong, "\n".join(wrong)


def test_words_of_letters(tmp_path: Path) -> None:
    """A tagger that reads words and their letters: masks of both, at every step and of the steps."""
    tf_keras = importlib.import_module("tf_keras")
    layers, steps = tf_keras.layers, tf_keras.layers.TimeDistributed
    words, letters = tf_keras.Input((7,)), tf_keras.Input((7, 5))
    x = steps(layers.Embedding(9, 3, mask_zero=True))(letters)
    both = layers.Bidirectional(layers.GRU(3, return_sequences=True))
    x = steps(layers.LSTM(4))(steps(both)(x))
    x = layers.concatenate([layers.Embedding(9, 3, mask_zero=True)(words), x])
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    y = layers.GlobalAveragePooling1D()(steps(layers.Dense(2))(y))
    model = tf_keras.Model([words, letters], y)
    rng = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(rng.normal(0, 0.5, variable.shape))
    given = [rng.integers(0, 9, (6, *it.shape[1:])).astype("float32") for it in model.inputs]
    given[0][:, 5:], given[1][:, 4:], given[1][:3, :, 2:] = 0, 0, 0
    model.save(tmp_path / "model.h5")
    for source in (model, tmp_path / "model.h5"):
        port = torchport.convert(source)
        np.testing.assert_allclose(port.run(*given), np.asarray(model(given)), atol=1e-5)


def gain(keras: Any) -> type:
    @keras.saving.register_keras_serializable(package="shop")
    class Gain(keras.layers.Layer):  # type: ignore[misc, name-defined]
        def __init__(self, mix: float = 0.5, passes: bool = True, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.mix, self.passes, self.supports_masking = mix, passes, passes

        def call(self, x: Any) -> Any:
            return self.mix * x

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "mix": self.mix, "passes": self.passes}

    return Gain


RULE = """
from torchport.rules import FOLLOWS, Value, rule

@rule("Gain", wants=FOLLOWS{said})
def gain(x: Value, *, mix: float = 0.5, passes: bool = True):
    return mix * x
"""


def test_a_rule_says_what_becomes_of_a_mask(tmp_path: Path) -> None:
    """A layer of the user's between an Embedding and an LSTM: the mask goes on, is gone, or it is refused."""
    import keras

    layers, rules = keras.layers, tmp_path / "rules.py"
    words = np.array([[1, 2, 3, 0, 0, 0, 0], [4, 5, 6, 7, 8, 9, 10]])
    for passes, said in ((True, ', masks="passes"'), (False, ', masks="drops"'), (True, "")):
        start = keras.Input((7,), dtype="int32")
        x = gain(keras)(0.25, passes)(layers.Embedding(11, 5, mask_zero=True)(start))
        model = keras.Model(start, layers.LSTM(3)(x))
        rules.write_text(RULE.format(said=said))
        if not said:
            with pytest.raises(Refused, match=r'(?s)carries a mask.*masks="passes"'):
                torchport.convert(model, rules=rules)
            continue
        port = torchport.convert(model, rules=rules)
        ours = port.module()(torch.from_numpy(words)).detach().numpy()
        np.testing.assert_allclose(ours, np.asarray(model(words)), atol=1e-6)
        assert ("kept_steps" in port.code) is passes


def test_a_mask_is_said_in_a_known_way(tmp_path: Path) -> None:
    import keras

    (tmp_path / "rules.py").write_text(RULE.format(said=', masks="sometimes"'))
    x = keras.Input((3,))
    with pytest.raises(torchport.TorchportError, match="sometimes"):
        torchport.convert(keras.Model(x, keras.layers.Dense(1)(x)), rules=tmp_path / "rules.py")
