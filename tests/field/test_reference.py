"""What TensorFlow's side computes, and on what: right ports that verify accused, or crashed on."""

from __future__ import annotations

import json
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.quick import QUICK

import torchport
from torchport.graph import Graph
from torchport.verify import Verification
from torchport.verify.custom import custom_objects
from torchport.verify.patches import KERNELS, patched
from torchport.verify.ranges import ranges
from torchport.verify.reference import Reference

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")
tf = pytest.importorskip("tensorflow")

FIRST: Any = {"data_format": "channels_first"}


def verified(model: Any, tmp_path: Path | None = None, name: str = "", **options: Any) -> Verification:
    """A port of a live model, or of the file that it is saved as, compared; it has to agree."""
    source = model
    if name:
        assert tmp_path is not None
        source = tmp_path / name
        model.save(str(source))
    result = torchport.verify(source, torchport.convert(source), **{"steps": 1, **options})
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
        with patched(tf, KERNELS), tf.GradientTape() as tape:
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
        with patched(tf, KERNELS):
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
        verified(tokens(framework, dtype=dtype), **QUICK)


def test_floats_for_tokens() -> None:
    """`run` takes them as Keras does; `forward` whole numbers, as its docstring says."""
    model = tokens(keras)
    port = torchport.convert(model)
    assert "words (n, 12) int -> " in port.code and "self.embedding(words)" in port.code, port.code
    given = np.random.default_rng(0).integers(0, 50, (3, 12)).astype("float32")
    np.testing.assert_allclose(port.run(given), model(given), atol=1e-6)


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


# Random numbers


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=lambda it: it.__name__)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrent_dropout(framework: Any, kind: str) -> None:
    """Of the layer, in both directions, of a cell in RNN: off on both sides, rates are compared."""
    L = framework.layers
    drop = {"dropout": 0.3, "recurrent_dropout": 0.4}
    x = framework.Input((5, 3))
    y = L.Bidirectional(getattr(L, kind)(4, return_sequences=True, recurrent_dropout=0.2))(x)
    y = getattr(L, kind)(3, return_sequences=True, **drop)(y)
    y = L.RNN(getattr(L, f"{kind}Cell")(2, **drop))(y)
    result = verified(framework.Model(x, y), **QUICK)
    assert sum("recurrent dropout" in row.note for row in result.rows) == 3


def edited(model: Any, tmp_path: Path, old: str, new: str, **options: Any) -> Verification:
    """The port of a model with a change to its text, compared."""
    folder = torchport.convert(model, **options).save(tmp_path / "port", force=True)
    code = (folder / "model.py").read_text()
    assert old in code
    (folder / "model.py").write_text(code.replace(old, new))
    return torchport.verify(model, folder, **options)


def test_another_recurrent_dropout_differs(tmp_path: Path) -> None:
    x = keras.Input((5, 3))
    model = keras.Model(x, keras.layers.LSTM(4, recurrent_dropout=0.25)(x))
    result = edited(model, tmp_path, "recurrent_dropout=0.25", "recurrent_dropout=0.35")
    assert "dropout" in {row.check for row in result.rows if row.passed is False}


SAMPLING = """
from torchport.rules import Value, call, rule

@rule("Sampling", "Custom>Sampling")
def sampling(xs: list[Value]):
    mean, log_var = xs
    noise = call("torch.randn_like", mean)
    return mean + call("torch.exp", log_var * 0.5) * noise
"""


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=lambda it: it.__name__)
def test_a_draw_is_compared(framework: Any, tmp_path: Path) -> None:
    """The layer of a variational autoencoder, as tutorials write it: neither excused nor accused."""

    class Sampling(framework.layers.Layer):
        def call(self, inputs: Any) -> Any:
            mean, log_var = inputs
            return mean + tf.exp(0.5 * log_var) * tf.random.normal(tf.shape(mean), dtype=mean.dtype)

    L = framework.layers
    x = framework.Input((7,))
    parts = [L.Dense(2, name=name)(x) for name in ("mean", "log_var")]
    model = framework.Model(x, L.Dense(3)(Sampling()(parts)))
    (tmp_path / "rules.py").write_text(SAMPLING)
    options: dict[str, Any] = {"rules": tmp_path / "rules.py"}
    result = torchport.verify(model, torchport.convert(model, **options), **options)
    assert result.passed and result.precision == "float64", str(result)
    assert any("same ones" in note for note in result.notes)
    for old, new in (
        ("randn_like", "rand_like"),
        ("* 0.5", "* 0.45"),
        (" * torch.randn_like", " + torch.randn_like"),
    ):
        wrong = edited(model, tmp_path, old, new, **options)
        assert any(row.passed is False for row in wrong.rows), new


# Classes and functions of the user's own

GAIN = """
import tensorflow as tf
import {keras} as keras

class Gain(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inside = keras.layers.Dense(3, use_bias=False, name="inside")

    def build(self, shape):
        self.after = keras.layers.Dense(2, use_bias=False, name="after")
        for layer, sizes in ((self.inside, shape), (self.after, (None, 3))):
            with tf.name_scope(layer.name):
                layer.build(sizes)
        self.built = True

    def call(self, x):
        return self.after(self.inside(x))
"""
GAIN_RULE = """
from torchport.rules import SOURCE, Load, Value, module, rule

def weights(x):
    return {"inside/kernel": (x.shape[-1], 3), "after/kernel": (3, 2)}

@rule("Gain", "Custom>Gain", wants=SOURCE, shape=lambda x: (*x.shape[:-1], 2), weights=weights)
def gain(x: Value):
    parts = {}
    for name, sizes in (("inside", (x.shape[-1], 3)), ("after", (3, 2))):
        loads = {"weight": Load.of(f"{name}/kernel", "i o -> o i")}
        x = module("nn.Linear", *sizes, bias=False, role=name, loads=loads)(x)
    return x
"""


@pytest.mark.parametrize(("framework", "file"), [(keras, "a.keras"), (tf_keras, "a.h5")], ids=("3", "2"))
def test_layers_made_of_layers(framework: Any, file: str, tmp_path: Path) -> None:
    """In float64, with the dtype policy for what it makes in `__init__` and in `build`; of files and live."""
    (tmp_path / "rules.py").write_text(GAIN_RULE)
    (tmp_path / "layers.py").write_text(GAIN.format(keras=framework.__name__))
    (tmp_path / "others.py").write_text("def curve(x):\n    return 2 * x\n")
    Gain = custom_objects(str(tmp_path / "layers.py"), framework.__version__)["Gain"]
    x = framework.Input((4, 5))
    model = framework.Model(x, framework.layers.Dense(3)(Gain()(x)))
    model.save(str(tmp_path / file))
    options: dict[str, Any] = {"rules": tmp_path / "rules.py"}
    port = torchport.convert(model, **options)
    for source, custom in (
        (model, None),
        (tmp_path / file, tmp_path / "layers.py"),
        (tmp_path / file, [str(tmp_path / "others.py"), str(tmp_path / "layers.py")]),
        (tmp_path / file, {"Gain": Gain}),
    ):
        result = torchport.verify(source, port, custom=custom, **options)
        assert result.passed and result.precision == "float64", str(result)


NAMELESS = """
import {keras} as keras


class Gain(keras.layers.Layer):
    def __init__(self, mix=0.5, **options):
        super().__init__(**options)
        self.mix = mix

    def call(self, x):
        return self.mix * x

    def get_config(self):
        return {{"mix": self.mix}}
"""
NAMELESS_RULE = """
from torchport.rules import FOLLOWS, Value, rule


@rule("Gain", wants=FOLLOWS)
def gain(x: Value, *, mix: float = 0.5):
    return mix * x
"""


@pytest.mark.parametrize(("framework", "file"), [(keras, "a.keras"), (tf_keras, "a.h5")], ids=("3", "2"))
def test_layers_that_hand_their_names_on_to_nobody(framework: Any, file: str, tmp_path: Path) -> None:
    """A class whose `get_config` has no name: Keras makes another one up with each layer that it makes."""
    (tmp_path / "rules.py").write_text(NAMELESS_RULE)
    (tmp_path / "layers.py").write_text(NAMELESS.format(keras=framework.__name__))
    Gain = custom_objects(str(tmp_path / "layers.py"), framework.__version__)["Gain"]
    x = framework.Input((4,))
    model = framework.Model(x, Gain(3.0)(framework.layers.Dense(3)(Gain(0.25)(x))))
    model.save(str(tmp_path / file))
    port = torchport.convert(tmp_path / file, rules=tmp_path / "rules.py")
    for _ in range(2):
        result = torchport.verify(
            tmp_path / file, port, rules=tmp_path / "rules.py", custom=tmp_path / "layers.py"
        )
        assert result.passed and result.precision == "float64", str(result)


def test_functions_without_a_name() -> None:
    """Two lambdas in one model, of which each layer keeps its own; a function by its name."""

    def shift(x: Any) -> Any:
        return x + 1

    for framework in (keras, tf_keras):
        L = framework.layers
        own = [lambda x: x * 2, lambda x: x * 3, shift]
        model = framework.Sequential([L.Input((4,)), *(L.Dense(4, activation=it) for it in own)])
        reference = Reference.load(model, Graph("m", (), (), (), {}, dialect=framework.__version__), None)
        x = tf.constant(np.random.default_rng(0).standard_normal((2, 4)).astype(np.float32))
        made = reference.rebuilt("float32")
        np.testing.assert_allclose(made(x), model(x), rtol=1e-6)


# Files that Keras does not load


def test_tensorflow_js(tmp_path: Path) -> None:
    """Keras builds the layers, which are given the file's weights; nested ones and two directions too."""
    L = tf_keras.layers
    part = tf_keras.Sequential([L.Input((5,), name="part_in"), L.Dense(4, name="inner")], name="part")
    x = L.Input((6, 5), name="x")
    y = L.Bidirectional(L.LSTM(3), name="both")(x)
    z = L.LeakyReLU(alpha=0.2, name="leak")(part(L.GlobalAveragePooling1D(name="mean")(x)))
    model = tf_keras.Model(x, L.Dense(2, name="out")(L.Concatenate(name="cat")([y, z])), name="js")
    result = verified_file(tensorflow_js(model, tmp_path), tmp_path)
    assert any("built the layers" in note for note in result.notes)


def tensorflow_js(model: Any, folder: Path) -> Path:
    """A model as TensorFlow.js's converter writes it: variables by the layer that they belong to."""
    listed, data = [], []
    for layer in model.layers:
        for it in layer.weights:
            path = it.name.partition(":")[0]
            name = path if path.startswith(f"{layer.name}/") else f"{layer.name}/{path}"
            name = path if layer.name == "part" else name
            listed.append({"name": name, "shape": list(it.shape), "dtype": "float32"})
            data.append(it.numpy().astype("<f4").tobytes())
    (folder / "w.bin").write_bytes(b"".join(data))
    topology = {
        "keras_version": "2.10.0", "backend": "tensorflow",
        "model_config": {"class_name": "Functional", "config": json.loads(model.to_json())["config"]},
    }  # fmt: skip
    whole = {
        "format": "layers-model", "modelTopology": topology,
        "weightsManifest": [{"paths": ["w.bin"], "weights": listed}],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(whole))
    return folder / "model.json"


def verified_file(path: Path, tmp_path: Path) -> Verification:
    folder = torchport.convert(path).save(tmp_path / "port", force=True)
    result = torchport.verify(path, folder)
    shown = [str(row) for row in result.rows if not row.passed]
    assert result.passed, "\n".join([str(result), *shown[:5]])
    return result


def test_options_that_keras_no_longer_takes(tmp_path: Path) -> None:
    """Written by another version: torchport reads them, Keras refuses the file."""
    import h5py

    L = tf_keras.layers
    model = tf_keras.Sequential([L.Input((6, 5)), L.SeparableConv1D(4, 3), L.GRU(3, reset_after=True)])
    path = tmp_path / "old.h5"
    model.save(path)
    with h5py.File(path, "r+") as file:
        saved = json.loads(file.attrs["model_config"])
        for layer in saved["config"]["layers"]:
            if layer["class_name"] != "InputLayer":
                layer["config"]["input_dtype"] = "float32"
        file.attrs["model_config"] = json.dumps(saved)
    result = verified_file(path, tmp_path)
    assert any("built the layers" in note for note in result.notes)


def test_inputs_by_name_in_one_file(tmp_path: Path) -> None:
    from torchport.cli.arrays import given_arrays
    from torchport.errors import BadFile

    np.savez(tmp_path / "all.npz", left=np.zeros((2, 3)), right=np.ones(2))
    np.save(tmp_path / "one.npy", np.ones(2))
    assert sorted(given_arrays([tmp_path / "all.npz"])) == ["left", "right"]
    assert [it.shape for it in given_arrays([tmp_path / "one.npy"])] == [(2,)]
    with pytest.raises(BadFile, match="one of several"):
        given_arrays([tmp_path / "all.npz", tmp_path / "one.npy"])
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "all.npz").read_bytes()[:100])
    for name in ("text.npy", "torn.npz"):
        with pytest.raises(BadFile, match=r"neither a .npy nor an .npz"):
            given_arrays([tmp_path / name])
