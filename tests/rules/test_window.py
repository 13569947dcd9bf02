"""What a window says that it reads is exactly what TensorFlow reads: each input step alone is set to one.

Kernels are ones, so that an output step is not zero exactly where it reads that step.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from torchport.errors import Unsupported
from torchport.rules.window import Adaptive, Reading, Stretch, Transposed, Whole, Window, centred

SIZES = (5, 8, 11)


def check(over: Reading, n: int, layer: Callable[[Any], Any]) -> None:
    """`layer` takes (n, n, 1), a step set to one in each; it gives (n, steps, …)."""
    found = np.asarray(layer(tf.eye(n)[:, :, None]))
    length = over.length(n)
    assert found.shape[1] == length, (over, n)
    moves = np.abs(found.reshape(n, length, -1)).max(-1) > 1e-6
    reads = [list(over.reads(at, n)) for at in range(length)]
    assert reads == [list(np.flatnonzero(moves[:, at])) for at in range(length)], (over, n)
    if over.reach is not None:
        assert max(it[-1] - it[0] + 1 for it in reads if it) <= over.reach
    assert over.length(None) in (None, length)


def options(*values: tuple[Any, ...]) -> pytest.MarkDecorator:
    found = [it for it in product(*values) if it[1] == 1 or it[2] == 1]  # TensorFlow has not both
    return pytest.mark.parametrize(("k", "s", "d", "padding"), found)


@options((1, 2, 3, 4), (1, 2, 3), (1, 2), ("valid", "same", "causal"))
def test_convolution(k: int, s: int, d: int, padding: str) -> None:
    for n in SIZES:
        if padding == "valid" and (k - 1) * d >= n:
            continue
        layer = layers.Conv1D(1, k, s, padding, dilation_rate=d, kernel_initializer="ones")
        check(Window(k, s, d, padding), n, layer)


@options((2, 3, 4), (1, 2, 3, 4), (1,), ("valid", "same"))
def test_pooling(k: int, s: int, d: int, padding: str) -> None:
    for n in SIZES:
        check(Window(k, s, d, padding), n, layers.AveragePooling1D(k, s, padding))
        check(Window(k, s, d, padding), n, layers.MaxPooling1D(k, s, padding))


@options((1, 2, 3, 4, 5), (1, 2, 3), (1, 2), ("valid", "same"))
def test_transposed_convolution(k: int, s: int, d: int, padding: str) -> None:
    for n, extra in product(SIZES, (None, *range(min(s, 2)))):
        if padding == "same" and k % 2 == 0 and extra == 0:  # TensorFlow itself refuses these sizes
            continue
        made = {"dilation_rate": d, "output_padding": extra, "kernel_initializer": "ones"}
        layer = layers.Conv1DTranspose(1, k, s, padding, **made)
        layer.build((None, n, 1))
        # with a dilation only the compiler has a kernel for it
        check(
            Transposed(k, s, d, padding, extra), n, tf.function(layer, jit_compile=True) if d > 1 else layer
        )


def test_transposed_convolution_to_a_size() -> None:
    for n, k, s in product(SIZES, (2, 3, 4), (2, 3)):
        for size in range((n - 1) * s + 1, n * s + 1):

            def layer(x: Any, k: int = k, s: int = s, size: int = size) -> Any:
                return tf.nn.conv1d_transpose(x, tf.ones((k, 1, 1)), (len(x), size, 1), s, "SAME")

            check(Transposed(k, s, size=size), n, layer)


@pytest.mark.parametrize("pair", [(0, 0), (2, 1), (0, 3)])
def test_padding_and_cropping(pair: tuple[int, int]) -> None:
    for n in SIZES:
        check(Window(1, padding=pair), n, layers.ZeroPadding1D(pair))
        check(Window(1, padding=(-pair[0], -pair[1])), n, layers.Cropping1D(pair))


def row(layer: Any) -> Callable[[Any], Any]:
    """A layer for images, of images of one column."""
    return lambda x: layer(x[:, :, None])


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic", "lanczos3"])
def test_upsampling(method: str) -> None:
    for n, factor in product(SIZES, (1, 2, 3)):
        check(Stretch(factor, method=method), n, row(layers.UpSampling2D((factor, 1), interpolation=method)))


@pytest.mark.parametrize(
    ("method", "antialias"),
    [("nearest", False), ("bilinear", False), ("bilinear", True), ("bicubic", True), ("area", False)],
)
def test_resizing(method: str, antialias: bool) -> None:
    for n, size in product(SIZES, (2, 3, 7, 16)):

        def layer(x: Any, size: int = size) -> Any:
            return tf.image.resize(x, (size, 1), method, antialias=antialias)

        check(Stretch(size=size, method=method, antialias=antialias), n, row(layer))


def test_adaptive_and_global_pooling() -> None:
    for n in SIZES:
        for size in (1, 2, 3, 5):
            check(Adaptive(size), n, layers.AdaptiveAveragePooling1D(size))
        check(Whole(), n, layers.GlobalAveragePooling1D(keepdims=True))


def test_frames() -> None:
    for n, k, s in product(SIZES, (2, 3, 4), (1, 2, 3)):
        check(Window(k, s), n, lambda x, k=k, s=s: ops.extract_sequences(x[..., 0], k, s))
        end = Window(k, s, padding="end")
        check(end, n, lambda x, k=k, s=s: tf.signal.frame(x[..., 0], k, s, pad_end=True))


def test_frames_of_a_mirrored_signal() -> None:
    for n, k, s in product(SIZES, (4, 6), (1, 2, 3)):

        def layer(x: Any, k: int = k, s: int = s) -> Any:
            real, imaginary = ops.stft(x[..., 0], k, s, k, window=None)
            return real**2 + imaginary**2

        check(centred(k, s), n, layer)


@pytest.mark.parametrize(
    "over", [Window(3, 2), Window(4, 3, padding="same"), Transposed(3, 2), Stretch(3)], ids=str
)
def test_jump(over: Reading) -> None:
    middles = [over.reads(at, 60)[len(over.reads(at, 60)) // 2] for at in (6, 12)]
    assert abs(middles[1] - middles[0] - 6 * (over.jump or 0)) <= Fraction(1, 2)


def test_a_size_in_full() -> None:
    assert Window(3, 2, padding="same").says(8) == "(8 + 0 + 1 - 3) // 2 + 1 = 4"


def test_an_unknown_padding_is_refused() -> None:
    with pytest.raises(Unsupported, match="padding='full' is not known"):
        Window(3, padding="full").length(8)
