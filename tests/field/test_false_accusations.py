"""Right ports that verify accused or could not judge; live models whose functions were taken for others."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchport
from torchport.verify import Verification

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")

BOTH = pytest.mark.parametrize("framework", [keras, tf_keras], ids=lambda it: it.__name__)


def verified(source: Any) -> Verification:
    """A port compared; it has to agree."""
    result = torchport.verify(source, torchport.convert(source))
    shown = [str(row) for row in result.rows if not row.passed]
    assert result.passed, "\n".join([str(result), *shown[:5]])
    return result


def saved(model: Any, path: Path) -> Path:
    model.save(str(path))
    return path


# Functions that Keras does not have


@tf_keras.utils.register_keras_serializable(package="Addons", name="mish")
def mish(x: Any) -> Any:
    return x * tf.tanh(tf.math.softplus(x))


@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_functions_that_keras_does_not_have(ending: str, tmp_path: Path) -> None:
    """Of TensorFlow and of a package, by name: the reference is torchport's definition of them."""
    L = tf_keras.layers
    x = tf_keras.Input((6,))
    y = L.Dense(5, activation=mish)(x)
    y = L.Dense(4, activation=tf.sin)(y)
    y = L.Dense(4, activation=tf.nn.relu6)(y)
    y = L.Activation(tf.math.softplus)(L.Dense(3, activation=tf.nn.log_softmax)(y))
    path = saved(tf_keras.Model(x, y), tmp_path / f"model.{ending}")
    registered = tf_keras.utils.get_custom_objects()
    known = dict(registered)
    registered.clear()  # as in another process, where no one has registered it
    try:
        result = verified(path)
    finally:
        registered.update(known)
    assert any("torchport's definition" in note and "Addons>mish" in note for note in result.notes)


def test_every_function_that_is_ported_by_name_is_defined() -> None:
    """And the definition computes what the rule's function does."""
    from torchport.normalise.activations import FUNCTIONS_OF_ONE, KNOWN, NUMPY, by_name
    from torchport.rules import find
    from torchport.verify.definitions import definition

    x = np.linspace(-0.9, 0.95, 12, dtype=np.float32).reshape(2, 6)
    for name in (*FUNCTIONS_OF_ONE, *NUMPY, *KNOWN):
        function = definition(name, tf)
        assert function is not None, name
        if find(by_name(name)[0]) is None or name in ("crelu", "crelu_v2", "arccosh", "acosh"):
            continue
        given = tf_keras.Input((6,))
        model = tf_keras.Model(given, tf_keras.layers.Activation(named(name, function))(given))
        port = torchport.convert(model)
        np.testing.assert_allclose(
            port.run(x), np.asarray(function(tf.constant(x))), rtol=2e-5, atol=2e-6, err_msg=name
        )


def named(name: str, function: Any) -> Any:
    """A function that a configuration has by that name."""

    def made(x: Any) -> Any:
        return function(x)

    made.__name__, made.__module__ = (
        name.rpartition(">")[2],
        "tensorflow_addons" if ">" in name else "tensorflow",
    )
    if ">" in name:
        return tf_keras.utils.register_keras_serializable(*name.split(">"))(made)
    return made


# Functions of live models


#: What changes the state of Keras, or draws, is no activation.
OTHER = (
    "_",
    "print",
    "set_",
    "get_",
    "clear",
    "reset",
    "manual",
    "random",
    "dropout",
    "learning",
    "in_train",
)


def functions() -> list[Any]:
    """Functions of one tensor in every place that people take an activation from."""
    owners = [
        (keras, keras.ops), (keras, keras.activations), (keras, tf.nn), (keras, tf.math),
        (tf_keras, tf_keras.activations), (tf_keras, tf_keras.backend), (tf_keras, tf.nn),
        (tf_keras, tf.math), (tf_keras, keras.ops), (tf_keras, keras.activations),
    ]  # fmt: skip
    return [
        (framework, owner, name)
        for framework, owner in owners
        for name in sorted(vars(owner))
        if inspect.isfunction(getattr(owner, name)) and not name.startswith(OTHER)
    ]


def test_a_live_model_s_function_is_that_function() -> None:
    """Right or refused: `keras.ops.gelu` is not `keras.activations.gelu`, though both are called "gelu"."""
    x = (np.random.default_rng(0).standard_normal((4, 6)) * 2).astype(np.float32)
    wrong, right = [], set()
    for framework, owner, name in functions():
        function = getattr(owner, name)
        given = framework.Input((6,))
        try:
            assert np.asarray(function(tf.constant(x))).shape == x.shape
            model = framework.Model(given, framework.layers.Activation(function)(given))
            want = np.asarray(model(x))
            port = torchport.convert(model)
        except Exception:  # no activation, or refused
            continue
        right.add(name)
        if not np.allclose(port.run(x), want, rtol=1e-5, atol=1e-6, equal_nan=True):
            wrong.append(f"{framework.__name__} {owner.__name__}.{name}")
    assert not wrong
    assert {"gelu", "relu", "tanh", "sin", "hard_sigmoid", "silu", "log_softmax"} <= right


@BOTH
@pytest.mark.parametrize("name", ["gelu", "hard_sigmoid"])
def test_functions_of_the_same_name(framework: Any, name: str) -> None:
    """In a layer with weights, in one inside of another, and in one of Keras's other version."""
    L = framework.layers
    x = framework.Input((3, 6))
    y = L.TimeDistributed(L.Dense(4, activation=getattr(keras.ops, name)))(x)
    verified(framework.Model(x, L.Dense(4, activation=getattr(keras.activations, name))(y)))


@BOTH
@pytest.mark.parametrize("name", ["swish", "sin"])
def test_a_function_of_the_user_s_own_is_not_keras_s(framework: Any, name: str) -> None:
    """It is refused, whatever its name: a live model has the function itself."""

    def own(x: Any) -> Any:
        return 1.7 * x

    own.__name__ = name
    L = framework.layers
    x = framework.Input((3, 6))
    inside = framework.Sequential([L.Input((6,)), L.Dense(4, activation=own)])
    with framework.utils.custom_object_scope({name: own}):  # Bidirectional copies its layer
        both = L.Bidirectional(L.LSTM(3, activation=own))
    for y in (
        L.Dense(4, activation=own)(x), L.Activation(own)(x), both(x),
        L.TimeDistributed(L.Dense(2, activation=own))(x), L.TimeDistributed(inside)(x),
        L.RNN(L.GRUCell(3, recurrent_activation=own))(x),
    ):  # fmt: skip
        with pytest.raises(torchport.Refused):
            torchport.convert(framework.Model(x, y))


# Dropout that is always on


@BOTH
def test_dropout_that_is_always_on(framework: Any, tmp_path: Path) -> None:
    """Monte Carlo dropout draws in inference too, on both sides; a port that does not is found."""
    L = framework.layers
    x = framework.Input((6, 6, 3))
    y = L.SpatialDropout2D(0.25)(L.Conv2D(4, 3)(x), training=True)
    y = L.Dropout(0.5)(L.Flatten()(y), training=True)
    y = L.GaussianNoise(0.1)(L.Dropout(0.4)(L.Dense(5)(y)), training=True)
    model = framework.Model(x, L.Dense(3)(y))
    result = verified(model)
    assert [row.check for row in result.rows].count("dropout") == 4
    verified(saved(model, tmp_path / "model.keras"))
    port = torchport.convert(model).save(tmp_path / "port")
    code = (port / "model.py").read_text()
    for old, new in (
        ("InTraining(nn.Dropout(0.5))", "nn.Dropout(0.5)"),
        ("nn.Dropout(0.4)", "InTraining(nn.Dropout(0.4))"),
    ):
        assert old in code
        (port / "model.py").write_text(code.replace(old, new))
        wrong = torchport.verify(model, port)
        assert wrong.first and wrong.first.check == "dropout", str(wrong)
        assert "in inference mode" in wrong.first.cause


@BOTH
def test_what_follows_dropout_that_is_always_on(framework: Any) -> None:
    """As in pix2pix: the layers behind it are in the model's mode, inside of a model too."""
    L = framework.layers
    x = framework.Input((8, 8, 3))
    z = framework.Input((6, 6, 4))
    y = L.Dropout(0.5)(L.BatchNormalization()(L.Conv2DTranspose(4, 3)(z)), training=True)
    inside = framework.Model(z, L.Dropout(0.3)(L.BatchNormalization()(y)))
    y = inside(L.Conv2D(4, 3)(x))
    verified(framework.Model(x, L.Dropout(0.2)(L.BatchNormalization()(L.Conv2D(2, 3)(y)))))


@BOTH
def test_normalisation_that_is_always_in_training(framework: Any) -> None:
    L = framework.layers
    x = framework.Input((5, 4))
    y = L.BatchNormalization()(L.Dense(4)(x), training=True)
    verified(framework.Model(x, L.BatchNormalization()(y, training=False)))


@BOTH
def test_layers_at_every_step_that_draw(framework: Any) -> None:
    """How often Keras calls them is its own affair."""
    L = framework.layers
    inside = framework.Sequential([L.Input((6,)), L.Dense(4), L.Dropout(0.3), L.GaussianNoise(0.2)])
    x = framework.Input((5, 6))
    y = L.TimeDistributed(inside)(x)
    verified(framework.Model(x, L.TimeDistributed(L.Dropout(0.4))(y)))


# Running variances


def test_running_variance_of_a_layer_at_every_step() -> None:
    """Keras 2 fuses normalisation of images, and keeps the unbiased variance then: also in TimeDistributed.

    Source: tensorflow/core/kernels/fused_batch_norm_op.cc, rest_size_adjust.
    """
    L = tf_keras.layers
    layers = [L.Input((6, 5, 3)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU()]
    x = tf_keras.Input((3, 6, 5, 3))
    y = L.TimeDistributed(tf_keras.Sequential(layers))(x)
    y = L.TimeDistributed(L.BatchNormalization(momentum=0.9))(y)
    verified(tf_keras.Model(x, L.Dense(2)(L.Flatten()(y))))


# Attention that drops


@pytest.mark.parametrize("kind", ["MultiHeadAttention", "GroupQueryAttention"])
def test_attention_that_drops_under_a_mask(kind: str) -> None:
    """By its own amount it chooses how it masks: verify took that away, and rows of padding were others.

    Source: keras/src/layers/attention/multi_head_attention.py, _compute_attention.
    """
    options: dict[str, Any] = {"dropout": 0.1}
    options |= {"num_heads": 2, "key_dim": 3} if kind == "MultiHeadAttention" else dict(
        head_dim=3, num_query_heads=2, num_key_value_heads=1)  # fmt: skip
    x = keras.Input((5,), dtype="int32")
    y = keras.layers.Embedding(5, 6, mask_zero=True)(x)
    verified(keras.Model(x, getattr(keras.layers, kind)(**options)(y, y)))
