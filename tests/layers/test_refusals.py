"""What is not ported is refused by name, all of it at once, before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import torchport
from torchport.errors import Refused

LAYERS = keras.layers
FIRST: Any = {"data_format": "channels_first"}


def refused(model: Any) -> str:
    with pytest.raises(Refused) as caught:
        torchport.convert(model)
    return str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (LAYERS.UpSampling2D(2, interpolation="bicubic"), (4, 5, 3), "interpolation='bicubic'"),
        (LAYERS.UpSampling2D(2, interpolation="lanczos3"), (4, 5, 3), "interpolation='lanczos3'"),
        (LAYERS.LayerNormalization(axis=[-1, 1]), (5, 3), "axis=[-1, 1]"),
        (LAYERS.AlphaDropout(0.1, noise_shape=(None, 1)), (5,), "noise_shape="),
        (LAYERS.Dense(2, dtype="bfloat16"), (5,), "policy 'bfloat16'"),
        (LAYERS.RMSNormalization(axis=1), (5, 3), "axis=[1]: Keras itself"),
        (LAYERS.DepthwiseConv2D(2, **FIRST), (3, 5, 4), "bias along axis 3"),
        (LAYERS.DepthwiseConv2D(2, **FIRST), (3, None, None), "bias along another axis"),
        (LAYERS.SeparableConv1D(4, 2, **FIRST), (3, 5), "bias along axis 2"),
        (LAYERS.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="d"), (2, 5), "bias along axis 1"),
        (LAYERS.RandAugment(data_format="channels_first"), (3, 5, 7), "AutoContrast of channels-first"),
        (LAYERS.RandomColorJitter(hue_factor=0.1, data_format="channels_first"), (3, 5, 7), "channels-first"),
        (LAYERS.RandomErasing(fill_value=[0, 1, 2], data_format="channels_first"), (3, 5, 3), "fill_value="),
        (LAYERS.RandomElasticTransform(fill_mode="mirror"), (5, 7, 3), "fill_mode='mirror'"),
        (LAYERS.RandomPosterization(2.5), (5, 7, 3), "factor="),
        (LAYERS.RandomSaturation(0.1), (5, 7, 1), "1 channels"),
        (LAYERS.Pipeline([LAYERS.Dense(2), LAYERS.Dense(3)]), (5, 7), "weights cannot be told apart"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_option_is_named(layer: Any, shape: tuple[int, ...], said: str) -> None:
    layer.name = "the_layer"
    inputs = keras.Input(shape)
    text = refused(keras.Model(inputs, layer(inputs)))
    assert said in text
    assert "the_layer" in text and type(layer).__name__ in text
    assert text.startswith("1 thing in this model")


def test_batches_cut_into_smaller_ones() -> None:
    """Statistics of parts of the batch, in Keras 2: another training mode."""
    import tf_keras
    from tf_keras.src.layers.normalization.batch_normalization_v1 import BatchNormalization

    inputs = tf_keras.Input((5, 7, 3), batch_size=4)
    assert "virtual_batch_size=2" in refused(
        tf_keras.Model(inputs, BatchNormalization(virtual_batch_size=2)(inputs))
    )
    torchport.convert(tf_keras.Model(inputs, BatchNormalization()(inputs)))


def test_whole_numbers_that_inference_leaves_alone() -> None:
    inputs = keras.Input((5, 7, 3), dtype="uint8")
    text = refused(keras.Model(inputs, LAYERS.RandomBrightness(0.1)(inputs)))
    assert "augmentation of whole numbers" in text and "put Rescaling(1.0) before" in text
    scaled = LAYERS.RandomBrightness(0.1)(LAYERS.Rescaling(1.0)(inputs))
    assert torchport.convert(keras.Model(inputs, scaled)).code


def test_sizes_that_random_crop_does_not_give_in_inference() -> None:
    inputs = keras.Input((5, 7, 3))
    flat = LAYERS.Flatten()(LAYERS.RandomCrop(3, 4)(inputs))
    assert "is not known" in refused(keras.Model(inputs, LAYERS.Dense(2, name="dense")(flat)))


def test_everything_at_once() -> None:
    """Layers without a rule, options, and what stands behind them, all in one message."""
    inputs = keras.Input((4, 5, 3))
    x = LAYERS.UpSampling2D(2, interpolation="bicubic", name="up")(inputs)
    x = LAYERS.UpSampling2D(2, interpolation="lanczos3", name="large")(x)
    x = LAYERS.Dense(2, dtype="bfloat16", name="half")(x)
    y = LAYERS.UpSampling2D(2, interpolation="lanczos3", name="other")(inputs)
    text = refused(keras.Model(inputs, [x, y]))
    for name in ("up", "large", "half", "other"):
        assert f"/{name} (" in text
    assert text.startswith("4 things in this model")


def test_unknown_option_is_named() -> None:
    """An option that no rule names is never ignored."""
    inputs = keras.Input((4, 5, 3))
    model = keras.Model(inputs, LAYERS.Conv2D(2, 3, name="conv")(inputs))
    config = model.layers[1].get_config
    model.layers[1].get_config = lambda: {**config(), "sparkle": 7}
    assert "the option sparkle=7 is not ported" in refused(model)


def test_bias_of_as_many_heads_as_steps() -> None:
    query, value = keras.Input((5, 3)), keras.Input((2, 3))
    attention = LAYERS.MultiHeadAttention(2, key_dim=1)
    assert "bias along axis 1" in refused(keras.Model([query, value], attention(query, value)))


@pytest.mark.parametrize(
    ("shape", "constant", "axis"), [((5, 3, 7), (5, 1, 1), 0), ((5, 3, 5), (5, 1, 1), 3), ((4, 4), (4, 1), 2)]
)
def test_constant_that_keras_takes_for_a_bias(
    shape: tuple[int, ...], constant: tuple[int, ...], axis: int
) -> None:
    """It adds the constant as broadcasting would, or it is refused."""
    rng = np.random.default_rng(0)
    x, array = rng.normal(size=(2, *shape)).astype("float32"), rng.normal(size=constant).astype("float32")
    inputs = keras.Input(shape)
    model = keras.Model(inputs, inputs + array)
    if axis:
        assert np.abs(model(x).numpy() - (x + array)).max() > 0.1
        assert f"along axis {axis}" in refused(model)
    else:
        np.testing.assert_allclose(torchport.convert(model).run(x), model(x).numpy())


@pytest.mark.parametrize("kind", ["Maximum", "Minimum"])
def test_extremes_of_masked_tensors(kind: str) -> None:
    words = keras.Input((5,), dtype="int32")
    x = [LAYERS.Embedding(7, 3, mask_zero=zero)(words) for zero in (True, False)]
    assert "where a tensor is masked" in refused(keras.Model(words, getattr(LAYERS, kind)()(x)))


@pytest.mark.parametrize("suffix", ["", ".keras"])
def test_weights_that_a_nested_model_trains_too(suffix: str, tmp_path: Path) -> None:
    """Frozen they stay alike, so that two modules may have them."""
    shared = LAYERS.Dense(3, name="shared")
    inner = keras.Input((3,))
    x = keras.Input((3,))
    core = keras.Model(inner, LAYERS.Dense(3)(shared(inner)), name="core")
    model = keras.Model(x, core(shared(x)))
    source: Any = model
    if suffix:
        source = tmp_path / f"model{suffix}"
        model.save(source)
    assert "shares its weights with shared, in another model" in refused(source)
    shared.trainable = False
    assert torchport.convert(model)


def test_mask_argument_is_named() -> None:
    inputs, mask = keras.Input((5, 3)), keras.Input((5,), dtype="bool")
    norm = LAYERS.BatchNormalization(axis=1, name="norm")
    assert "norm (BatchNormalization): a mask over" in refused(
        keras.Model([inputs, mask], norm(inputs, mask=mask))
    )


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (lambda tf, x: tf.math.top_k(x, tf.shape(x)[0])[0], "only the run time knows"),
        (lambda tf, x: tf.shape(x), "the model gives sizes of tensors"),
        (lambda tf, x: tf.nn.max_pool(x, [1, 2, 2, 3], 1, "VALID"), "over the batch or the channels"),
        (lambda tf, x: tf.linalg.diag(x[:, :2, 0], k=(0, 1)), "one diagonal is ported"),
        (lambda tf, x: tf.math.cumulative_logsumexp(x, 1, exclusive=True), "exclusive=True is not ported"),
        (lambda tf, x: tf.math.top_k(x, 2, sorted=False)[0], "sorted=False is not ported"),
        (lambda tf, x: tf.boolean_mask(x, x[..., 0] > 0), "depends on the values"),
        (lambda tf, x: tf.where(x > 0), "depends on the values"),
    ],
)
def test_function_of_tensorflow_says_why(of: Any, said: str) -> None:
    import tensorflow as tf
    import tf_keras

    inputs = tf_keras.Input((4, 5, 3))
    assert said in refused(tf_keras.Model(inputs, of(tf, inputs)))
