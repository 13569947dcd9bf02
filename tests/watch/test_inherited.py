"""Classes of the user's own that only set options of one of Keras's layers: they are ported as that layer."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tests.quick import QUICK

import torchport

pytestmark = pytest.mark.filterwarnings("ignore")


def model(K: Any) -> Any:
    L = K.layers

    class Instance(L.GroupNormalization):
        def __init__(self, **options):
            super().__init__(groups=-1, **options)

    class Conv(L.Conv2D):
        """With padding and He's numbers, as people want them."""

        def __init__(self, filters, size=3, **options):
            super().__init__(filters, size, padding="same", activation="relu", **options)

    class Doubled(Conv):
        """Changes what is computed: no layer of Keras's."""

        def call(self, x):
            return 2 * super().call(x)

    class Block(L.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.conv, self.norm = Conv(4), Instance()

        def build(self, shape):
            self.conv.build(shape)
            self.norm.build((*shape[:-1], 4))
            self.built = True

        def call(self, x):
            return self.norm(self.conv(x)) + tf.sigmoid(x)

    x = K.Input((6, 5, 4))
    y = Block()(Instance()(Conv(4)(x)))
    frames = L.TimeDistributed(Conv(3))(L.Reshape((2, 3, 5, 4))(y))
    made = K.Model(x, [Doubled(3)(y), frames])
    rng = np.random.default_rng(5)
    for variable in made.trainable_variables:
        variable.assign(variable + rng.normal(size=variable.shape).astype("float32") * 0.3)
    return made


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_options_of_a_layer_of_keras(package: Any) -> None:
    source = model(package)
    port = torchport.convert(source)
    result = torchport.verify(source, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"
    assert port.code.count("nn.GroupNorm(4, 4") == 2
    assert "class Instance" not in port.code
    assert "class Conv" not in port.code
    assert "class Doubled(nn.Module)" in port.code
