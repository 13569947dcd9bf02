"""Models that people reported: the smallest with the same ingredients, from its file to the verdict.

Each is converted and verified by the commands, as its owner would; what is right was found with TensorFlow.
Models whose point is a kind of its own are tested where that kind is (tests/field, tests/layers).
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from typer.testing import CliRunner

from torchport.cli import app

#: A model, and where to save it: the source and further arguments.
Report = Callable[[Path], tuple[Any, ...]]
REPORTS: dict[str, Report] = {}
#: What a person reads, by report: a pattern in what convert or verify prints, or in the program.
READS: dict[str, tuple[str, ...]] = {}


def report(*reads: str) -> Callable[[Report], Report]:
    def enter(build: Report) -> Report:
        REPORTS[build.__name__], READS[build.__name__] = build, reads
        return build

    return enter


def saved(model: Any, path: Path) -> tuple[Any, ...]:
    """The file of a model with weights as training leaves them."""
    rng = np.random.default_rng(7)
    for it in model.weights:
        name, shape = (getattr(it, "path", None) or it.name).lower(), tuple(it.shape)
        if "seed" in name or "float" not in str(it.dtype):
            continue
        centre = 1.0 if "variance" in name or "gamma" in name else 0.0
        it.assign(centre + rng.uniform(-0.4, 0.4, shape))
    model.save(path)
    return (path,)


@report("GroupNorm\\(4, 4, eps=1e-3\\)", 'mode="reflect"')
def instance_norm_of_a_package(folder: Path) -> tuple[Any, ...]:
    """A CycleGAN generator: InstanceNormalization of TensorFlow Addons, reflections around it."""

    class InstanceNormalization(tf_keras.layers.GroupNormalization):  # type: ignore[misc, name-defined]
        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "groups": -1}

    L = tf_keras.layers
    with tf_keras.utils.custom_object_scope({}):
        tf_keras.utils.register_keras_serializable("Addons")(InstanceNormalization)
    x = i = tf_keras.Input((8, 8, 3))
    x = tf.pad(x, [[0, 0], [2, 2], [2, 2], [0, 0]], mode="REFLECT")
    x = L.ReLU()(InstanceNormalization(groups=-1)(L.Conv2D(4, 5, use_bias=False)(x)))
    source = saved(tf_keras.Model(i, tf.tanh(L.Conv2D(3, 3)(x))), folder / "generator.h5")
    tf_keras.utils.get_custom_objects().pop("Addons>InstanceNormalization")
    return source


@report("dropout", "F.silu")
def dropout_of_a_package(folder: Path) -> tuple[Any, ...]:
    """A block of the package efficientnet: FixedDropout drops whole images of a residual."""

    class FixedDropout(tf_keras.layers.Dropout):  # type: ignore[misc, name-defined]
        pass

    L = tf_keras.layers
    i = tf_keras.Input((8, 8, 3))
    x = L.Activation("swish")(L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(i)))
    y = FixedDropout(0.3, noise_shape=(None, 1, 1, 1))(L.Conv2D(4, 1)(x))
    model = tf_keras.Model(i, L.Dense(2)(L.GlobalAveragePooling2D()(L.add([x, y]))))
    return saved(model, folder / "efficientnet.h5")


@report("0 permutes", "F.interpolate")
def tf_functions(folder: Path) -> tuple[Any, ...]:
    """tf.* in a functional model: a resize to what another tensor measures, halves of channels, a pad."""
    L = tf_keras.layers
    i = tf_keras.Input((12, 16, 3))
    x = tf.pad(i / 127.5 - 1.0, [[0, 0], [1, 1], [2, 2], [0, 0]], "SYMMETRIC")
    x = L.Conv2D(4, 3, activation=tf.nn.leaky_relu)(x)
    y = tf.nn.depth_to_space(L.Conv2D(8, 3, padding="same")(tf.image.resize(x, (6, 8))), 2)
    y = tf.concat([x, tf.image.resize(y, tf.shape(x)[1:3])], axis=-1)
    y = y * tf.sigmoid(tf.reduce_mean(y, axis=[1, 2], keepdims=True))
    return saved(tf_keras.Model(i, tf.clip_by_value(y[:, 1:-1, ::2, :], -1.0, 1.0)), folder / "model.h5")


@report("ModelStruct from weights in", "not carried over: kernel_regularizer=L2", r"steer \(n, 1\), coll")
def weights_and_architecture(folder: Path) -> tuple[Any, ...]:
    """DroNet: weights and JSON apart, a regulariser on every kernel, two outputs."""
    L = tf_keras.layers
    x = i = tf_keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, strides=2, padding="same", kernel_regularizer=tf_keras.regularizers.l2(1e-4))(x)
    x = L.Flatten()(L.Activation("relu")(L.BatchNormalization()(x)))
    outputs = [L.Dense(1, name="steer")(x), L.Activation("sigmoid", name="coll")(L.Dense(1)(x))]
    model = tf_keras.Model(i, outputs)
    (folder / "model_struct.json").write_text(model.to_json())
    model.save_weights(folder / "best_weights.h5")
    return folder / "best_weights.h5", "--config", folder / "model_struct.json"


@report(r"self.conv\b", "self.classifier")
def weights_and_function(folder: Path) -> tuple[Any, ...]:
    """CREPE: weights alone, the architecture in Python; tall convolutions, a Permute before Dense."""
    script = folder / "crepe.py"
    script.write_text(
        "import tf_keras\n"
        "L = tf_keras.layers\n"
        "def build():\n"
        "    x = i = tf_keras.Input((64,))\n"
        "    x = L.Conv2D(4, (16, 1), strides=(4, 1), padding='same')(L.Reshape((64, 1, 1))(x))\n"
        "    x = L.MaxPooling2D((2, 1))(L.BatchNormalization()(x))\n"
        "    x = L.Flatten()(L.Permute((2, 1, 3))(x))\n"
        "    return tf_keras.Model(i, L.Dense(3, activation='sigmoid', name='classifier')(x))\n"
    )
    space: dict[str, Any] = {}
    exec(script.read_text(), space)
    space["build"]().save_weights(folder / "model-tiny.h5")
    return folder / "model-tiny.h5", "--config", f"{script}:build"


@report("self.sentence", "flatten\\(0, 1\\)", "class Sentence")
def model_at_every_step(folder: Path) -> tuple[Any, ...]:
    """A hierarchical network: TimeDistributed around a model."""
    L = tf_keras.layers
    words = tf_keras.Input((5,), dtype="int32")
    y = L.Dense(3)(L.GlobalMaxPooling1D()(L.Embedding(20, 4)(words)))
    sentence = tf_keras.Model(words, y, name="sentence")
    document = tf_keras.Input((3, 5), dtype="int32")
    x = L.TimeDistributed(L.Dropout(0.3))(L.TimeDistributed(sentence)(document))
    x = L.GlobalAveragePooling1D()(x)
    return saved(tf_keras.Model(document, L.Dense(2)(x)), folder / "han.h5")


@report("user \\(n, 1\\) int, movie \\(n, 1\\) int", "not carried over: embeddings_regularizer")
def recommender(folder: Path) -> tuple[Any, ...]:
    """Matrix factorisation: embeddings of float inputs, Dot, biases, a range."""
    L = keras.layers
    user, movie = keras.Input((1,), name="user"), keras.Input((1,), name="movie")
    norm = keras.regularizers.L2(1e-6)
    a, b = (L.Flatten()(L.Embedding(9, 4, embeddings_regularizer=norm)(it)) for it in (user, movie))
    bias = L.Flatten()(L.Embedding(9, 1)(user))
    x = L.Activation("sigmoid")(L.Add()([L.Dot(axes=1)([a, b]), bias]))
    return saved(keras.Model([user, movie], x * 4.5 + 0.5), folder / "rec.keras")


@report("self.base", "0 permutes")
def transfer_tutorial(folder: Path) -> tuple[Any, ...]:
    """Augmentation, preprocessing in the graph, a frozen base in inference mode, a head."""
    L = tf_keras.layers
    x = i = tf_keras.Input((16, 16, 3))
    x = L.ReLU(6.0)(L.BatchNormalization()(L.Conv2D(4, 3, strides=2, use_bias=False)(x)))
    base = tf_keras.Model(i, x, name="base")
    base.trainable = False
    image = tf_keras.Input((16, 16, 3))
    augmented = tf_keras.Sequential([L.RandomFlip("horizontal"), L.RandomRotation(0.2)], name="augmentation")
    x = tf_keras.applications.resnet50.preprocess_input(augmented(image))
    x = L.Dropout(0.2)(L.GlobalAveragePooling2D()(base(x, training=False)))
    return saved(tf_keras.Model(image, L.Dense(1)(x)), folder / "transfer.h5")


@report("torch.cat", "0 permutes")
def conditional_generator(folder: Path) -> tuple[Any, ...]:
    """A label made a plane, noise made planes, transposed convolutions; one channel needs no permute."""
    L = tf_keras.layers
    label, noise = tf_keras.Input((1,)), tf_keras.Input((6,))
    a = L.Reshape((4, 4, 1))(L.Dense(16)(L.Embedding(5, 3)(label)))
    b = L.Reshape((4, 4, 2))(L.LeakyReLU(0.2)(L.Dense(32)(noise)))
    x = L.LeakyReLU(alpha=0.2)(L.Conv2DTranspose(3, 4, strides=2, padding="same")(L.Concatenate()([b, a])))
    return saved(tf_keras.Model([noise, label], L.Conv2D(1, 3, activation="tanh")(x)), folder / "cgan.h5")


@report("VariationalDropout", "F.softmax")
def series_in_two_ways(folder: Path) -> tuple[Any, ...]:
    """MLSTM-FCN: Masking into an LSTM beside convolutions over the other axis, squeeze and excite."""
    L = tf_keras.layers
    i = tf_keras.Input((4, 10))
    x = L.Dropout(0.8)(L.LSTM(3, dropout=0.2)(L.Masking()(i)))
    y = L.Activation("relu")(L.BatchNormalization()(L.Conv1D(6, 3, padding="same")(L.Permute((2, 1))(i))))
    s = L.Reshape((1, 6))(L.GlobalAveragePooling1D()(y))
    y = L.multiply([y, L.Dense(6, activation="sigmoid", use_bias=False)(s)])
    z = L.concatenate([x, L.GlobalAveragePooling1D()(y)])
    return saved(tf_keras.Model(i, L.Dense(2, activation="softmax")(z)), folder / "mlstm.h5")


@report("shared_axes|PReLU", "pixel_shuffle")
def super_resolution(folder: Path) -> tuple[Any, ...]:
    """Open sizes, PReLU over channels, depth to space, numbers before and behind."""
    L = tf_keras.layers
    i = tf_keras.Input((None, None, 3))
    x = L.PReLU(shared_axes=[1, 2])(L.Conv2D(4, 3, padding="same")(i / 255.0))
    x = tf.nn.depth_to_space(L.Conv2D(12, 3, padding="same")(x), 2)
    return saved(tf_keras.Model(i, (tf.tanh(x) + 1) * 127.5), folder / "sr.h5")


@report("keras does not load this file")
def operations_in_hdf5(folder: Path) -> tuple[Any, ...]:
    """A sum of tensors in an .h5 file of Keras 3, which Keras itself takes for the layer Add."""
    L = keras.layers
    x = i = keras.Input((6, 8))
    x = L.LayerNormalization()(x + L.MultiHeadAttention(2, 4)(x, x))
    y = keras.ops.mean(x * 0.5 + keras.ops.sin(x), axis=1)
    return saved(keras.Model(i, L.Dense(2)(y)), folder / "encoder.h5")


@report(r"torch\.sin", "does not have sin")
def network_of_doubles(folder: Path) -> tuple[Any, ...]:
    """A physics-informed network: float64 all through, an activation that is a function of TensorFlow."""
    L = tf_keras.layers
    tf_keras.backend.set_floatx("float64")
    try:
        layers = [L.Rescaling(2.0, offset=-1.0), L.Dense(5, activation=tf.sin), L.Dense(1)]
        model = tf_keras.Sequential([tf_keras.Input((2,)), *layers])
        return saved(model, folder / "pinn.h5")
    finally:
        tf_keras.backend.set_floatx("float32")


@report("uint8", "get_default_dtype|/ 255")
def frames_of_bytes(folder: Path) -> tuple[Any, ...]:
    """A network of games: frames are bytes, and scaled in it."""
    L = keras.layers
    x = i = keras.Input((12, 12, 4), dtype="uint8")
    x = L.Flatten()(L.Conv2D(4, 4, strides=2, activation="relu")(L.Rescaling(1 / 255)(x)))
    return saved(keras.Model(i, L.Dense(3)(x)), folder / "q.keras")


@report("dim=1|1, 1", "0 permutes")
def attention_gate(folder: Path) -> tuple[Any, ...]:
    """An attention U-Net whose map of one channel is repeated by the backend."""
    L, B = tf_keras.layers, tf_keras.backend
    i = tf_keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same")(i)
    g = L.Conv2D(1, 1, activation="sigmoid")(L.MaxPooling2D()(x))
    g = B.repeat_elements(L.UpSampling2D(2)(g), 4, axis=3)
    return saved(tf_keras.Model(i, L.multiply([g, x])), folder / "gate.h5")


@report("ConvTranspose2d", "torch.sigmoid")
def decoder_of_a_vae(folder: Path) -> tuple[Any, ...]:
    """The half of a variational autoencoder that makes images of a code."""
    L = keras.layers
    z = keras.Input((2,))
    x = L.Reshape((4, 4, 6))(L.Dense(96, activation="relu")(z))
    x = L.Conv2DTranspose(5, 3, activation="relu", strides=2, padding="same")(x)
    x = L.Conv2DTranspose(1, 3, activation="sigmoid", padding="same")(x)
    return saved(keras.Model(z, x, name="decoder"), folder / "decoder.keras")


def synchronized(package: Any, norm: Any) -> Any:
    L = package.layers
    layers = [L.Conv2D(4, 3), norm, L.ReLU(), L.GlobalAveragePooling2D(), L.Dense(3)]
    return package.Sequential([package.Input((8, 8, 3)), *layers])


@report("nn.BatchNorm2d\\(4, eps=1e-3", "SyncBatchNorm")
def trained_on_several_gpus(folder: Path) -> tuple[Any, ...]:
    norm = tf_keras.layers.experimental.SyncBatchNormalization()
    return saved(synchronized(tf_keras, norm), folder / "sync.h5")


@report("nn.BatchNorm2d\\(4, eps=1e-3", "SyncBatchNorm")
def trained_on_several_gpus_by_keras_3(folder: Path) -> tuple[Any, ...]:
    norm = keras.layers.BatchNormalization(synchronized=True)
    return saved(synchronized(keras, norm), folder / "sync.keras")


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    yield
    for package in (keras, tf_keras):
        package.backend.clear_session()


@pytest.mark.parametrize("name", REPORTS)
def test_ports_and_verifies(name: str, tmp_path: Path) -> None:
    source, *more = map(str, REPORTS[name](tmp_path))
    folder = tmp_path / "port"
    converted = CliRunner().invoke(app, ["convert", source, "-o", str(folder), *more])
    assert converted.exit_code == 0, converted.output
    verified = CliRunner().invoke(app, ["verify", source, str(folder), *more, "--precision", "float64"])
    assert verified.exit_code == 0, verified.output
    said = " ".join(f"{converted.output} {verified.output} {(folder / 'model.py').read_text()}".split())
    for pattern in READS[name]:
        assert re.search(pattern, said), (pattern, said)
    assert json.loads((folder / "port.json").read_text())["verified"]
