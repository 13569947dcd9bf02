"""What TensorFlow's side computes, and on what: right ports that verify accused, or crashed on."""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchport
from torchport.verify import Verification
from torchport.verify.kernels import on_a_cpu
from torchport.verify.ranges import ranges

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")

FIRST: Any = {"data_format": "channels_first"}


def verified(model: Any, tmp_path: Path | None = None, name: str = "") -> Verification:
    """A port of a live model, or of the file that it is saved as, compared; it has to agree."""
    source = model
    if name:
        assert tmp_path is not None
        source = tmp_path / name
        model.save(str(source))
    result = torchport.verify(source, torchport.convert(source))
    shown = [str(row) for row in result.rows if not row.passed]
    assert result.passed, "\n".join([str(result), *shown[:5]])
    return result


# Channels first on a CPU

LAYERS = [
    ("Conv1D", (3, 3), {"strides": 2, "padding": "same"}, 3),
    ("Conv2D", (4, 3), {"strides": 2, "padding": "same"}, 4),
    ("Conv2D", (4, 3), {"groups": 2}, 4),
    ("Conv2D", (4, (1, 3)), {"dilation_rate": 2, "padding": "same"}, 4),
    ("Conv3D", (3, 3), {"strides": 2, "padding": "same"}, 5),
    ("Conv2DTranspose", (3, 3), {"strides": 2, "padding": "same"}, 4),
    ("Conv3DTranspose", (3, 3), {"strides": 2}, 5),
    ("DepthwiseConv2D", (3,), {"strides": 2, "padding": "same"}, 4),
    ("SeparableConv2D", (3, 3), {"padding": "same"}, 4),
    ("MaxPooling1D", (2,), {}, 3),
    ("MaxPooling2D", ((2, 3),), {"padding": "same"}, 4),
    ("MaxPooling3D", (2,), {}, 5),
    ("AveragePooling1D", (2,), {}, 3),
    ("AveragePooling2D", ((3, 2),), {"strides": 2, "padding": "same"}, 4),
    ("AveragePooling3D", (2,), {}, 5),
    ("UpSampling2D", (2,), {"interpolation": "bilinear"}, 4),
]


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=lambda it: it.__name__)
@pytest.mark.parametrize(("kind", "args", "options", "rank"), LAYERS, ids=lambda it: str(it))
def test_channels_first_is_channels_last(
    framework: Any, kind: str, args: Any, options: Any, rank: int
) -> None:
    """The numbers, and the gradient, of a layer without a kernel for channels first on a CPU."""
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 9)[: rank - 1] + (4,)).astype(np.float32)
    last = getattr(framework.layers, kind)(*args, **options)
    first = getattr(framework.layers, kind)(*args, **options, **FIRST)
    found = []
    for layer, given in ((last, x), (first, np.moveaxis(x, -1, 1))):
        with on_a_cpu(tf), tf.GradientTape() as tape:
            value = tf.constant(given)
            tape.watch(value)
            y = layer(value)
            if layer is last and layer.weights:
                first.build(np.moveaxis(x, -1, 1).shape)
                first.set_weights(layer.get_weights())
            loss = tf.reduce_sum(y * y)
        found.append((y.numpy(), tape.gradient(loss, value).numpy()))
    for want, got in zip(*found, strict=True):
        np.testing.assert_allclose(np.moveaxis(got, 1, -1), want, rtol=1e-6, atol=1e-6)


def test_fused_normalisation_channels_first(tmp_path: Path) -> None:
    """Keras 2 fuses it, which has no kernel on a CPU; pooling has no gradient. A note says what was done."""
    L = tf_keras.layers
    model = tf_keras.Sequential(
        [
            L.Input((3, 12, 10)), L.Conv2D(4, 3, padding="same", **FIRST), L.BatchNormalization(axis=1),
            L.MaxPooling2D(**FIRST), L.Conv2DTranspose(3, 3, strides=2, **FIRST), L.Flatten(**FIRST),
        ]
    )  # fmt: skip
    result = verified(model, tmp_path, "model.h5")
    assert result.precision == "float64"
    assert any("channels last" in note for note in result.notes)
    inside = tf_keras.Sequential([L.Input((2, 3, 8, 6)), L.TimeDistributed(L.MaxPooling2D(**FIRST))])
    assert any("channels last" in note for note in verified(inside, tmp_path, "time.h5").notes)


def test_one_pixel_with_a_stride(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN ends the process in the gradient of this kernel, so that it is computed without a stride."""
    from tensorflow.python.ops import gen_nn_ops

    original, steps = gen_nn_ops.conv2d, []

    @wraps(original)
    def conv2d(input: Any, filter: Any, strides: Any, *args: Any, **options: Any) -> Any:
        steps.append(list(strides))
        return original(input, filter, strides, *args, **options)

    monkeypatch.setattr(gen_nn_ops, "conv2d", conv2d)
    x = tf.constant(np.random.default_rng(0).standard_normal((2, 7, 6, 8)).astype(np.float32))
    kernel = tf.constant(np.random.default_rng(1).standard_normal((1, 1, 8, 5)).astype(np.float32))
    want = tf.nn.conv2d(x, kernel, (2, 3), "SAME")
    for padding in ("SAME", "VALID"):
        with on_a_cpu(tf):
            assert np.array_equal(tf.nn.conv2d(x, kernel, (2, 3), padding), want)
    assert steps == [[1, 2, 3, 1], [1, 1, 1, 1], [1, 1, 1, 1]]


# Whole numbers for what looks them up


def tokens(framework: Any, **options: Any) -> Any:
    L = framework.layers
    x = framework.Input((12,), name="words", **options)
    y = L.LSTM(4)(L.Embedding(50, 5, mask_zero=True)(x))
    return framework.Model(x, L.Dense(1)(y))


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=lambda it: it.__name__)
def test_tokens_into_a_float_input(framework: Any, tmp_path: Path) -> None:
    """A Sequential model of an Embedding has an input of float32 in Keras 2."""
    model = framework.Sequential([framework.layers.Embedding(50, 8), framework.layers.LSTM(6)])
    model.build((None, 20))
    verified(model, tmp_path, "model.h5")
    for dtype in ("float32", "float64", "float16", "int8", "uint16"):
        verified(tokens(framework, dtype=dtype))


def wholes_of(inputs: Any, outputs: Any) -> dict[str, Any]:
    return ranges(torchport.convert(keras.Model(inputs, outputs)).program.graph)


def test_each_input_has_its_own_range() -> None:
    """Not one for all; through shape operations, casts, sums with numbers, and nested models."""
    L, ops = keras.layers, keras.ops
    x = [keras.Input((6,), name=name) for name in ("user", "item", "shifted", "plain", "inside")]
    part = keras.Input((3, 2), name="part")
    nested = keras.Model(part, L.Embedding(9, 3)(L.Flatten()(part)), name="nested")
    user = L.Embedding(4, 3)(L.Reshape((2, 3))(x[0]))
    item = L.Embedding(7000, 3)(ops.cast(L.Concatenate()([x[1], x[1][:, ::-1]]), "int32"))
    y = [user, item, L.Embedding(20, 3)(x[2] + 4), L.Dense(2)(x[3]), nested(L.Reshape((3, 2))(x[4]))]
    found = wholes_of(x, y)
    assert {name: it.high for name, it in found.items()} == {
        "user": 4, "item": 7000, "shifted": 16, "inside": 9
    }  # fmt: skip
    verified(keras.Model(x, y))


def test_a_lookup_by_many_means() -> None:
    L, ops = keras.layers, keras.ops
    x = [keras.Input((5,), name=name, dtype="int32") for name in "abcde"]
    y = [
        ops.one_hot(x[0], 3), L.CategoryEncoding(4, output_mode="multi_hot")(x[1]),
        L.IntegerLookup(vocabulary=[300, 5, -7])(x[2]), L.Hashing(7)(x[3]),
        ops.take_along_axis(ops.tile(ops.cast(x[4], "float32"), (1, 2)), x[4], axis=1),
    ]  # fmt: skip
    found = wholes_of(x, y)
    assert [found[name].high for name in "abe"] == [3, 4, 10] and found["c"].values == (300, 5, -7)
    verified(keras.Model(x, y))


# Sizes that are open


def test_sizes_that_leave_something_of_every_axis(tmp_path: Path) -> None:
    """Where Keras gives NaN, or stops, nothing is said of the port."""
    L = tf_keras.layers
    pools = [it for _ in range(6) for it in (L.Conv2D(2, 3, padding="same"), L.MaxPooling2D((1, 2)))]
    pooled = tf_keras.Sequential([L.Input((8, None, 1)), *pools, L.GlobalAveragePooling2D(), L.Dense(2)])
    result = verified(pooled, tmp_path, "pooled.h5")
    assert "sizes" in {row.check for row in result.rows}
    long = tf_keras.Sequential([L.Input((None, 4)), L.Conv1D(3, 3, padding="same"), L.Cropping1D(5000)])
    result = verified(long, tmp_path, "long.h5")
    assert 10_000 < result.inputs[0]["shape"][1] < 13_000
    assert "sizes" in {row.check for row in result.rows}
