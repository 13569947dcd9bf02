"""How layers of packages for Keras 3 are written: masks asked of tensors, sizes that are tensors."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from typing import Any

import keras
import pytest
from keras import ops
from tests.quick import QUICK

import torchport

pytestmark = pytest.mark.filterwarnings("ignore")
L = keras.layers


class Masked(keras.layers.Layer):
    """Asks its argument for the mask that Keras keeps with it; `call` takes none."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.supports_masking = True
        self.scores = L.Dense(1)

    def call(self, x: Any) -> Any:
        scores = self.scores(x)[..., 0]
        mask = getattr(x, "_keras_mask", None)
        if mask is not None:
            scores = ops.where(mask, scores, -1e9)
        return ops.einsum("nt,ntc->nc", ops.softmax(scores), x)


class Broadcast(keras.layers.Layer):
    """Shapes with a size in them that only the run time knows: such an operation has no configuration."""

    def build(self, shape: Any) -> None:
        self.first = self.add_weight(shape=(1, 1, shape[-1]), name="first")

    def call(self, x: Any) -> Any:
        n, t = ops.shape(x)[0], ops.shape(x)[1]
        first = ops.broadcast_to(self.first, (n, 1, x.shape[-1]))
        turned = ops.reshape(ops.transpose(x, (1, 0, 2)), (n, t, x.shape[-1]))
        causal = ops.broadcast_to(ops.tril(ops.ones((5, 5)))[None], (n, 5, 5))
        return ops.concatenate([first, ops.matmul(causal, x) + turned], axis=1)


class Fourier(keras.layers.Layer):
    """Says float32 of its tensors, whatever the model computes in."""

    def call(self, x: Any) -> Any:
        x = ops.cast(x, "float32")
        real, _ = ops.fft2((x, ops.zeros_like(x)))
        return ops.cast(real, "float32") * ops.cast(ops.shape(x)[1], "float32")


class Dropped(keras.layers.Layer):
    """In training, unless somebody says otherwise: a default that Keras 3 writes beside the layer."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dense, self.drop = L.Dense(6), L.Dropout(0.2)

    def call(self, x: Any, training: bool = True) -> Any:
        return self.drop(self.dense(x), training=training)


class Told(keras.Model):
    """Hands the mode on; its own default is training. No functional model stands for it: it has a table."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.shift = Dropped(), self.add_weight(shape=(6,), name="shift")

    def call(self, x: Any, training: bool = True) -> Any:
        return self.inner(x, training=training) + self.shift


class Untold(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Dropped()

    def call(self, x: Any) -> Any:
        return self.inner(x)


def told() -> Any:
    model = Told()
    model(ops.zeros((2, 6)))
    return model


def untold() -> Any:
    model = Untold()
    model(ops.zeros((2, 6)))
    return model


def dropped() -> Any:
    x = keras.Input((6,))
    return keras.Model(x, Dropped()(x))


def fourier() -> Any:
    x = keras.Input((5, 6))
    return keras.Model(x, Fourier()(x))


def masked() -> Any:
    x = keras.Input((5,), dtype="int32")
    return keras.Model(x, Masked()(L.Embedding(9, 6, mask_zero=True)(x)))


def broadcast() -> Any:
    x = keras.Input((5, 6))
    return keras.Model(x, L.Dense(3)(Broadcast()(x)))


@pytest.mark.parametrize(
    "build", [masked, broadcast, fourier, dropped, told, untold], ids=lambda it: str(it.__name__)
)
def test_ports(build: Any) -> None:
    """Before, such a mask was refused, and an operation that has no configuration crashed."""
    keras.utils.set_random_seed(3)
    model = build()
    port = torchport.convert(model)
    result = torchport.verify(model, port, **QUICK)
    assert result.passed, f"{result}\n{port.code}"
