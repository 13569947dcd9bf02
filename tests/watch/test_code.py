"""--code: a file with classes and functions of the user's own, which are run; what the file holds is not."""

from __future__ import annotations

import os

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
from torchport.errors import TorchportError

LAYERS = """
import {package} as keras
import tensorflow as tf


@keras.utils.register_keras_serializable(package="mine")
class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, shape):
        self.gain = self.add_weight(name="gain", shape=(shape[-1],), initializer="ones")

    def call(self, x):
        return tf.tanh(x * self.gain) * self.factor

    def get_config(self):
        return {{**super().get_config(), "factor": self.factor}}


@keras.utils.register_keras_serializable(package="mine")
def to_range(x):
    return x / 127.5 - 1.0
"""
SAVED = [(keras, "m.keras"), (tf_keras, "m.h5"), (tf_keras, "m.keras")]


def saved(package: Any, name: str, folder: Path) -> tuple[Path, Path]:
    """A file of a model with a layer of its own, and the Python file that has it."""
    code = folder / "my_layers.py"
    code.write_text(LAYERS.format(package=package.__name__))
    mine = scripts.run(code, "")
    inputs = package.Input((4, 5, 3))
    x = package.layers.Conv2D(6, 3)(inputs)
    if package is keras:
        x = package.layers.Lambda(mine.to_range)(x)
    model = package.Model(inputs, mine.Scale(1.5)(x))
    for variable in model.weights:
        variable.assign(variable * 0.7 + 0.1)
    model.save(folder / name)
    return folder / name, code


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "name"), SAVED)
def test_a_file_with_its_code(package: Any, name: str, tmp_path: Path) -> None:
    path, code = saved(package, name, tmp_path)
    port = torchport.convert(path, code=code)
    assert "self.gain = nn.Parameter(torch.zeros(6))" in port.code
    assert "class Scale(nn.Module):" in port.code
    result = torchport.verify(path, port, code=code, precision="float64", steps=1)
    assert result.passed, str(result)


BUILD = """

def build():
    inputs = keras.Input((6,))
    return keras.Model(inputs, Scale(1.5)(keras.layers.Dense(6)(inputs)))
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", [keras, tf_keras], ids=("3", "2"))
def test_weights_and_the_function_that_builds_their_model(package: Any, tmp_path: Path) -> None:
    code, weights = tmp_path / "mine.py", tmp_path / "w.weights.h5"
    code.write_text(LAYERS.format(package=package.__name__) + BUILD)
    model = scripts.run(code, "").build()
    for variable in model.weights:
        variable.assign(variable * 0.7 + 0.1)
    model.save_weights(weights)
    how: dict[str, Any] = {"config": f"{code}:build", "code": code}
    port = torchport.convert(weights, **how)
    assert "class Scale(nn.Module):" in port.code
    x = np.ones((2, 6), "float32")
    np.testing.assert_allclose(port.run(x), model(x), rtol=1e-5)
    result = torchport.verify(weights, port, **how, precision="float64", steps=1)
    assert result.passed, str(result)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("package", [keras, tf_keras], ids=("3", "2"))
def test_weights_and_the_json_of_their_model(package: Any, tmp_path: Path) -> None:
    path, code = saved(package, "m.h5" if package is tf_keras else "m.keras", tmp_path)
    with package.utils.custom_object_scope({}):
        mine = scripts.run(code, "")
        model = package.models.load_model(
            path, custom_objects={"Scale": mine.Scale, "to_range": mine.to_range}
        )
    for variable in model.weights:
        variable.assign(variable * 0.7 + 0.1)
    weights, architecture = tmp_path / "w.weights.h5", tmp_path / "model.json"
    model.save_weights(weights)
    architecture.write_text(model.to_json())
    with pytest.raises(TorchportError, match="Scale"):
        torchport.convert(weights, config=architecture)
    how: dict[str, Any] = {"config": architecture, "code": code}
    port = torchport.convert(weights, **how)
    assert "class Scale(nn.Module):" in port.code
    x = np.random.default_rng(0).uniform(-1, 1, (2, 4, 5, 3)).astype("float32")
    np.testing.assert_allclose(port.run(x), model(x), rtol=1e-5, atol=1e-6)
    result = torchport.verify(weights, port, **how, precision="float64", steps=1)
    assert result.passed, str(result)


def lambdas(package: Any, mine: Any) -> dict[str, Any]:
    """Models of which a part is in the user's code, and a part is bytes in the file."""
    x = inputs = package.Input((6,))
    layers = package.layers
    named, scaled = layers.Lambda(mine.to_range)(x), mine.Scale(0.5)(x)
    twice = eval("lambda t: t * 2.0")
    shifted = eval("lambda t, by=1.5: t + by")
    inner = package.Model(inputs, layers.Lambda(twice, name="twice")(scaled), name="inner")
    return {
        "function": package.Model(inputs, layers.Lambda(twice)(named)),
        "layer": package.Model(inputs, layers.Lambda(shifted, arguments={"by": 2.5})(scaled)),
        "nested": package.Model(inputs, layers.Dense(3)(inner(named))),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "name"), SAVED)
@pytest.mark.parametrize("kind", ["function", "layer", "nested"])
def test_one_function_in_the_code_and_one_in_the_file(
    package: Any, name: str, kind: str, tmp_path: Path
) -> None:
    code = tmp_path / "my_layers.py"
    code.write_text(LAYERS.format(package=package.__name__))
    model = lambdas(package, scripts.run(code, ""))[kind]
    path = tmp_path / name
    model.save(path)
    port = torchport.convert(path, code=code)
    assert any("was read from its bytes" in it for it in port.program.notes)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 6)).astype("float32")
    np.testing.assert_allclose(port.run(x), model(x), rtol=1e-5, atol=1e-6)
    result = torchport.verify(path, port, code=code, precision="float64", steps=1)
    assert result.passed, str(result)
    assert any("bytes were not run" in " ".join(it.split()) for it in result.notes), result.notes


NAMELESS = """
import {package} as keras


@keras.utils.register_keras_serializable(package="mine")
class Twice(keras.layers.Layer):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return x * self.factor

    def get_config(self):
        return {{"factor": self.factor}}
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("package", "name"), SAVED)
def test_a_class_that_hands_its_name_on_to_nobody(package: Any, name: str, tmp_path: Path) -> None:
    """Keras makes up a name at each load: the same, so that every tensor is compared each time."""
    code, path = tmp_path / "mine.py", tmp_path / name
    code.write_text(NAMELESS.format(package=package.__name__))
    Twice = scripts.run(code, "").Twice
    inputs = package.Input((4,))
    x = package.layers.Dense(5)(Twice()(inputs))
    package.Model(inputs, Twice(3.0)(x)).save(path)
    texts, counts = set(), set()
    for _ in range(3):
        Twice()  # what other models of a session take of the names
        os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 10**9))
        port = torchport.convert(path, code=code)
        result = torchport.verify(path, port, code=code, precision="float64", steps=1)
        assert result.passed, str(result)
        texts.add(port.code)
        counts.add(len(result.rows))
    assert len(texts) == 1 and len(counts) == 1, counts


@pytest.mark.filterwarnings("ignore")
def test_bytes_that_are_not_read_beside_code(tmp_path: Path) -> None:
    code = tmp_path / "my_layers.py"
    code.write_text(LAYERS.format(package="keras"))
    mine = scripts.run(code, "")
    x = inputs = keras.Input((6,))
    function = eval("lambda t: unheard_of(t)", {"unheard_of": lambda t: t})
    keras.Model(inputs, keras.layers.Lambda(function, name="odd")(mine.Scale()(x))).save(tmp_path / "m.keras")
    with pytest.raises(TorchportError) as error:
        torchport.convert(tmp_path / "m.keras", code=code)
    assert "the Lambda 'odd'" in str(error.value)
    assert "unheard_of" in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_the_command_takes_it(tmp_path: Path) -> None:
    path, code = saved(keras, "m.keras", tmp_path)
    arguments = [str(path), "-o", str(tmp_path / "port"), "--code", str(code)]
    result = CliRunner().invoke(app, ["convert", *arguments])
    assert result.exit_code == 0, result.output
    assert f"verify {path} {tmp_path / 'port'} --code {code}" in result.output.replace("\n", " ")
    command = ["verify", str(path), str(tmp_path / "port"), "--code", str(code), "--precision", "float64"]
    result = CliRunner().invoke(app, [*command, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["passed"]


@pytest.mark.filterwarnings("ignore")
def test_code_that_lacks_the_class(tmp_path: Path) -> None:
    path, code = saved(keras, "m.keras", tmp_path)
    text = code.read_text().replace("Scale", "Other")
    code.write_text(text)
    keras.saving.get_custom_objects().pop("mine>Scale", None)
    with pytest.raises(TorchportError) as error:
        torchport.convert(path, code=code)
    assert "Scale" in str(error.value)
    assert "--code FILE.py" in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_an_error_in_the_code_has_its_line(tmp_path: Path) -> None:
    path, code = saved(keras, "m.keras", tmp_path)
    code.write_text(code.read_text() + "\n\nraise ValueError('boom')\n")
    with pytest.raises(TorchportError) as error:
        torchport.convert(path, code=code)
    lines = len(code.read_text().splitlines())
    assert f"my_layers.py, line {lines}" in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_code_in_the_file_is_not_run(tmp_path: Path) -> None:
    inputs = tf_keras.Input((3,))
    canary = tmp_path / "canary"
    function = eval(f"lambda x: (open({str(canary)!r}, 'w').close(), x)[1]")
    tf_keras.Model(inputs, tf_keras.layers.Lambda(function)(inputs)).save(tmp_path / "m.h5")
    canary.unlink()
    code = tmp_path / "mine.py"
    code.write_text("def nothing(x):\n    return x\n")
    with pytest.raises(TorchportError, match="Lambda"):
        torchport.convert(tmp_path / "m.h5", code=code)
    assert not canary.exists()


DRAWS = """
import keras
from keras import layers, ops

SHARED = keras.random.SeedGenerator(3)


@keras.saving.register_keras_serializable(package="mine")
class Sampling(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        mean, log_var = inputs
        epsilon = keras.random.normal(ops.shape(mean), seed={seed})
        return mean + ops.exp(0.5 * log_var) * epsilon
"""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", ["self.seed_generator", "SHARED", "None"])
def test_draws_from_a_generator_of_keras(seed: str, tmp_path: Path) -> None:
    """The generator counts its draws in a variable, whoever holds it: no state of the layer."""
    code, path = tmp_path / "mine.py", tmp_path / "encoder.keras"
    code.write_text(DRAWS.format(seed=seed))
    x = inputs = keras.Input((5,))
    mean, log_var = keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)
    keras.Model(inputs, [mean, scripts.run(code, "").Sampling()([mean, log_var])]).save(path)
    port = torchport.convert(path, code=code)
    assert ".normal_()" in port.code and "register_buffer" not in port.code
    assert torchport.verify(path, port, code=code, precision="float64", steps=1).passed
