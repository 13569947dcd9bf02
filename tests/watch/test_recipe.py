"""SOURCE is code: `nets.py:build`, `nets.py:Class`, with a call, weights and the shapes of inputs."""

from __future__ import annotations

import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from typer.testing import CliRunner

import torchport
from torchport import scripts
from torchport.cli import app
from torchport.errors import Refused, TorchportError

NETS = """
import {package} as keras
import tensorflow as tf


class Scale(keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="random_normal")

    def call(self, x):
        return tf.tanh(x * self.gain)


class Net(keras.Model):
    def __init__(self, width=4, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.Dense(width)
        self.scale = Scale()
        self.last = keras.layers.Dense(2)

    def call(self, x):
        return tf.nn.relu(self.last(self.scale(self.first(x)))) + 1.0


def build(width=5):
    inputs = keras.Input((6,))
    return keras.Model(inputs, Scale()(keras.layers.Dense(width)(inputs)))


class Shift(keras.layers.Layer):
    def __init__(self, by):
        super().__init__()
        self.by = by[0]

    def call(self, x):
        return tf.tanh(x) + self.by


class Wide(Net):
    def __init__(self, size):
        super().__init__(int(size))
        self.scale = Shift(tf.constant([0.5]))


def wide():
    net = Wide(tf.constant(4))
    net(tf.zeros((1, 6)))
    return net


def called(width):
    net = Net(width)
    net(tf.zeros((1, 6)))
    return net


def careless():
    import secrets
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense",
        kernel_initializer=keras.initializers.RandomNormal(seed=secrets.randbelow(10**6)))])


def number():
    return 1


def broken():
    raise ValueError("boom")


class Hard(keras.layers.Layer):
    def call(self, x):
        y = x + 1.0
        return tf.math.betainc(y, y, y)


def hard():
    inputs = keras.Input((3, 3))
    return keras.Model(inputs, Hard()(inputs))


made = build(3)
"""
PACKAGES = {"keras3": keras, "keras2": tf_keras}
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=PACKAGES)
def nets(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "nets.py"
    path.write_text(NETS.format(package=PACKAGES[request.param].__name__))
    return path


def agrees(source: Any, **options: Any) -> str:
    port = torchport.convert(source, **options)
    result = torchport.verify(source, port, precision="float64", steps=1, **options)
    assert result.passed, str(result)
    return port.code


def test_functions_and_classes(nets: Path) -> None:
    assert "class Scale(nn.Module):" in agrees(f"{nets}:build")
    assert "nn.Linear(6, 7)" in agrees(f"{nets}:build", call="build(7)")
    assert "nn.Linear(6, 3)" in agrees(f"{nets}:made")
    assert "class Net(nn.Module):" in agrees(f"{nets}:Net", input_shape=(6,))
    assert "nn.Linear(6, 9)" in agrees(nets, call="called(9)")


def test_weights(nets: Path, tmp_path: Path) -> None:
    """Those of a file are in the port: of each kind of file, for each kind of model."""
    mine = scripts.run(nets, "")
    is_old = mine.keras is tf_keras
    for name, model, shape in (("build", mine.build(), None), ("Net", mine.called(4), "6")):
        for variable in model.weights:
            variable.assign(np.random.default_rng(1).normal(size=tuple(variable.shape)))
        files = ["w.weights.h5", "w", "w.h5"] if is_old else ["w.weights.h5", "m.keras"]
        for file in files:
            path = tmp_path / f"{name}_{file}"
            (model.save if file == "m.keras" else model.save_weights)(str(path))
            port = torchport.convert(f"{nets}:{name}", weights=path, input_shape=shape)
            x = np.ones((2, 6), "float32")
            assert np.allclose(port.run(x), np.asarray(model(x)), atol=1e-6), path
    options: dict[str, Any] = {"weights": path, "input_shape": "6"}
    agrees(f"{nets}:Net", **options)
    with pytest.raises(TorchportError, match="cannot be loaded into the model"):
        torchport.convert(f"{nets}:Net", call="Net(11)", **options)


def test_a_checkpoint_of_another_model(nets: Path, tmp_path: Path) -> None:
    mine = scripts.run(nets, "")
    if mine.keras is keras:
        return
    tf_keras.Sequential([tf_keras.Input((6,)), tf_keras.layers.Dense(4)]).save_weights(str(tmp_path / "w"))
    with pytest.raises(TorchportError, match="cannot be loaded into the model"):
        torchport.convert(f"{nets}:Net", weights=tmp_path / "w", input_shape="6")


def test_config_that_makes_layers_of_its_own(nets: Path, tmp_path: Path) -> None:
    model = scripts.run(nets, "").build()
    for variable in model.weights:
        variable.assign(variable * 0.5 + 0.3)
    model.save_weights(str(tmp_path / "w.weights.h5"))
    options: dict[str, Any] = {"config": f"{nets}:build"}
    agrees(tmp_path / "w.weights.h5", **options)
    x = np.ones((2, 6), "float32")
    port = torchport.convert(tmp_path / "w.weights.h5", **options)
    assert np.allclose(port.run(x), np.asarray(model(x)), atol=1e-6)


def test_commands_in_processes_of_their_own(tmp_path: Path) -> None:
    """Random weights are the same in a process that starts anew."""
    (tmp_path / "nets.py").write_text(NETS.format(package="keras"))
    options = ["--call", "Net(3)", "--input-shape", "6"]
    told = CliRunner().invoke(
        app, ["convert", f"{tmp_path}/nets.py:Net", "-o", str(tmp_path / "port"), *options]
    )
    assert told.exit_code == 0, told.output
    assert "--call 'Net(3)' --input-shape 6" in told.output.replace("\n", " ")
    command = ["verify", f"{tmp_path}/nets.py:Net", str(tmp_path / "port"), *options]
    code = f"from torchport.cli import app; app({[*command, '--precision', 'float64', '--json']!r})"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert json.loads(found.stdout)["passed"]


@pytest.mark.parametrize("value", [None, "1"])
def test_a_file_that_imports_tensorflow_first_has_the_reference(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """oneDNN's kernels are off where a user's file imports it, unless somebody asks for them."""
    (tmp_path / "net.py").write_text("import os\n\nFOUND = dict(os.environ)\n")
    for name in ("TF_ENABLE_ONEDNN_OPTS", "TF_CPP_MIN_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    if value is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    found = scripts.run(tmp_path / "net.py", "").FOUND
    assert found["TF_ENABLE_ONEDNN_OPTS"] == (value or "0")
    assert found["TF_CPP_MIN_LOG_LEVEL"] == "3"


BOTH_KERAS = """
import tensorflow
from torchport.watch.frameworks import keras_of

keras_of("2.15.0")
from tensorflow import keras
from tensorflow.keras import layers

model = keras.Sequential()
model.add(layers.Input((3,)))
model.add(layers.Dense(1))
"""


def test_a_keras_2_model_leaves_the_keras_of_the_process(tmp_path: Path) -> None:
    """`tf.keras` and `import tensorflow.keras` stay one package for code that runs after a Keras 2 model."""
    environment = {name: it for name, it in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    command = [sys.executable, "-c", BOTH_KERAS]
    found = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert found.returncode == 0, found.stderr


def test_weights_that_no_seed_holds_are_no_difference(nets: Path, tmp_path: Path) -> None:
    port = torchport.convert(f"{nets}:careless")
    other = nets.with_name("other.py")
    other.write_text(nets.read_text())
    with pytest.raises(TorchportError, match="random weights") as error:
        torchport.verify(f"{other}:careless", port, precision="float64", steps=1)
    assert "--weights FILE" in str(error.value)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("", {}, "names no function or class"),
        (":missing", {}, "there is no missing"),
        (":number", {}, "made int, not a Keras model"),
        (":broken", {}, r"nets.py, line \d+, in broken: fails with ValueError: boom"),
        (":called", {}, r"called\(\) fails with TypeError"),
        (":build", {"call": "build("}, "fails with SyntaxError"),
        (":Net", {"input_shape": "six"}, "'six' is no shape"),
        (":build", {"code": "x.py"}, "are for a file of a model"),
        (":Net", {}, "--input-shape"),
    ],
)
def test_refused(nets: Path, name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(TorchportError, match=said):
        torchport.convert(f"{nets}{name}", **options)


def test_call_is_for_code(tmp_path: Path) -> None:
    with pytest.raises(TorchportError, match="--call is for a model that Python code makes"):
        torchport.convert(tmp_path / "m.keras", call="build()")


def test_what_is_refused_inside_names_the_line(nets: Path) -> None:
    with pytest.raises(Refused) as error:
        torchport.convert(f"{nets}:hard")
    line = next(at for at, it in enumerate(nets.read_text().splitlines(), 1) if "betainc" in it)
    assert f"nets.py:{line}: " in error.value.refusals[0].why


def test_a_saved_model_of_a_class_without_options(tmp_path: Path) -> None:
    """Keras 2 makes a class of its own up for it: what makes the model is asked for, and serves."""
    path = tmp_path / "nets.py"
    path.write_text(NETS.format(package="tf_keras"))
    model = scripts.run(path, "").wide()
    model.save(str(tmp_path / "saved"), save_format="tf")
    with pytest.raises(TorchportError, match="has no class .*Wide") as error:
        (tmp_path / "empty.py").write_text("x = 1\n")
        torchport.convert(tmp_path / "saved", code=tmp_path / "empty.py")
    with pytest.raises(TorchportError, match="has not the options of") as error:
        torchport.convert(tmp_path / "saved", code=path)
    assert "--call" in str(error.value) and f"--weights {tmp_path / 'saved'}" in str(error.value)
    port = torchport.convert(f"{path}:Wide", call="Wide(4)", weights=tmp_path / "saved", input_shape=(6,))
    x = np.ones((2, 6), "float32")
    assert np.allclose(port.run(x), np.asarray(model(x)), atol=1e-6)


def test_cells_that_keep_what_they_drop(tmp_path: Path) -> None:
    """The cache of a cell's dropout, in a model of the user's own class, has a copy in float64."""
    path = tmp_path / "nets.py"
    path.write_text(
        "import tensorflow as tf\nimport tf_keras as keras\n\n\n"
        "class Net(keras.Model):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.gru = keras.layers.Bidirectional(keras.layers.GRU(3, name='g'))\n"
        "    def call(self, x):\n"
        "        return tf.nn.relu(self.gru(x)) + x[:, 0]\n"
    )
    agrees(f"{path}:Net", input_shape="4,6")
