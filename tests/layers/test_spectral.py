"""SpectralNormalization beyond one call: what it leaves behind, files, calls in a row, verify."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.layers.cases_tied import spectral
from tests.layers.harness import Reference, error, ports
from tests.quick import QUICK

import torchport

L = keras.layers


@pytest.mark.parametrize("steps", [1, 3])
def test_kernel_and_vector_change_as_in_keras(steps: int) -> None:
    """After three calls in training mode; the second finds what the first left."""
    reference = Reference(
        spectral("DepthwiseConv2D", {"kernel_size": 3, "depth_multiplier": 2}, "2 7 5 3", steps)
    )
    (port, *_) = ports(reference.model, ("free",))
    module = port.module().train()
    for _ in range(3):
        module(*port.turned(reference.x))
        reference.call(*map(tf.constant, reference.x), training=True)
    state, variables = module.state_dict(), reference.weights(port.graph)
    assert len(port.entries) == 3
    for entry in port.entries:
        ours, theirs = state[entry.name].numpy(), variables[entry.source].numpy()
        assert error(entry.load.turn.undo(ours), theirs) < 1e-12, entry.name


def test_called_twice_before_the_gradients() -> None:
    """The first call's gradients are those of the kernel that it used."""
    layer = L.SpectralNormalization(L.Dense(5, dtype="float64"), dtype="float64")
    inputs = [keras.Input((3,), dtype="float64"), keras.Input((3,), dtype="float64")]
    model = keras.Model(inputs, L.Multiply(dtype="float64")([layer(inputs[0]), layer(inputs[1])]))
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(size=variable.shape))
    x = [rng.normal(size=(2, 3)) for _ in inputs]
    (port, *_) = ports(model, ("free",))
    module, given = port.module().train(), [torch.tensor(it, requires_grad=True) for it in x]
    module(*given).sum().backward()
    with tf.GradientTape() as tape:
        watched = [tf.constant(it) for it in x]
        tape.watch(watched)
        loss = tf.reduce_sum(model(watched, training=True))
    for ours, theirs in zip(given, tape.gradient(loss, watched), strict=True):
        assert error(ours.grad.numpy(), theirs.numpy()) < 1e-12


def test_kernel_of_zeros_stays() -> None:
    reference = Reference(spectral("Dense", {"units": 5}, "2 3"))
    kernel = reference.model.layers[1].kernel
    kernel.assign(np.zeros(kernel.shape))
    (port, *_) = ports(reference.model, ("free",))
    module = port.module().train()
    assert torch.isfinite(module(*port.turned(reference.x))).all()


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_files_and_verify(tmp_path: Path, suffix: str) -> None:
    """A discriminator; its weights lie elsewhere in each kind of file."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.SpectralNormalization(L.Conv2D(4, 3, strides=2, activation="relu")),
            L.SpectralNormalization(L.Conv2D(5, 3, use_bias=False), power_iterations=2),
            L.Flatten(),
            L.SpectralNormalization(L.Dense(4)),
            L.SpectralNormalization(L.Dense(1, trainable=False)),
        ]
    )
    path = tmp_path / f"model.{suffix}"
    model.save(path)
    port = torchport.convert(path)
    assert port.code.count("class SpectralNorm(") == 1
    assert torchport.verify(path, port, **QUICK).passed


def test_reversible_embedding_and_verify(tmp_path: Path) -> None:
    ids = keras.Input((7,), dtype="int32")
    words = L.ReversibleEmbedding(11, 5, tie_weights=False, logit_soft_cap=3.0, mask_zero=True)
    logits = words(L.LSTM(5, return_sequences=True)(words(ids)), reverse=True)
    model = keras.Model(ids, logits)
    path = tmp_path / "model.keras"
    model.save(path)
    assert torchport.verify(path, torchport.convert(path), **QUICK).passed
