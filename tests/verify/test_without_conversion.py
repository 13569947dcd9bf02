"""verify reads port.json: nothing is converted again, and where numbers were kept there is no TensorFlow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import torchport
from torchport import pipeline
from torchport.cli import app
from torchport.errors import TorchportError

from .models import build

keras = pytest.importorskip("keras")

RULES = """
from torchport.rules import Value, rule

@rule("Custom>Double", "Double")
def double(x: Value, *, factor: float = 2.0):
    return x * factor
"""


@pytest.fixture(scope="module")
def unet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("source") / "unet.keras"
    build("unet", keras).save(path)
    return path


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> Any:
    def stop(*args: Any, **options: Any) -> Any:
        raise AssertionError("the model is converted again")

    def start() -> None:
        for name in ("port", "written"):
            monkeypatch.setattr(pipeline, name, stop)

    return start


@pytest.mark.parametrize(
    "options", [{"flat": True}, {"exact": True}, {"keep_io": True}, {"class_name": "Net"}], ids=str
)
def test_every_option(options: dict[str, Any], unet: Path, tmp_path: Path, no_conversion: Any) -> None:
    folder = torchport.convert(unet, **options).save(tmp_path / "port")
    no_conversion()
    result = torchport.verify(unet, folder, precision="float64")
    assert result.passed, str(result)
    assert not any("edited" in note for note in result.notes)
    assert json.loads((folder / "port.json").read_text())["verified"]["verdict"] == "agrees"


@keras.saving.register_keras_serializable(package="Custom", name="Double")
class Double(keras.layers.Layer):
    def __init__(self, factor: float = 2.0, **options: Any) -> None:
        super().__init__(**options)
        self.factor = factor

    def call(self, x: Any) -> Any:
        return self.factor * x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def test_with_rules(tmp_path: Path, no_conversion: Any) -> None:
    (tmp_path / "rules.py").write_text(RULES)
    x = keras.Input((3,))
    model = keras.Model(x, Double(1.5)(keras.layers.Dense(4)(x)))
    path = tmp_path / "model.keras"
    model.save(path)
    folder = torchport.convert(path, rules=tmp_path / "rules.py").save(tmp_path / "port")
    no_conversion()
    assert torchport.verify(path, folder, rules=tmp_path / "rules.py").passed
    with pytest.raises(TorchportError, match="rules for Custom>Double"):
        torchport.verify(path, folder)


def test_another_model_s_port(unet: Path, tmp_path: Path) -> None:
    x = keras.Input((3,))
    folder = torchport.convert(keras.Model(x, keras.layers.Dense(4)(x))).save(tmp_path / "port")
    with pytest.raises(TorchportError, match="another model"):
        torchport.verify(unet, folder)


BLOCKED = """
import sys
from importlib.machinery import ModuleSpec

class Blocked:
    def find_spec(self, name, *rest):
        if name.split(".")[0] in ("tensorflow", "keras", "tf_keras"):
            return ModuleSpec(name, self)

    def create_module(self, spec):
        raise ImportError(f"{spec.name} is blocked")

    exec_module = create_module

sys.meta_path.insert(0, Blocked())
from torchport.cli import app
app(sys.argv[1:])
"""


def blocked(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, where there is no TensorFlow."""
    return subprocess.run([sys.executable, "-c", BLOCKED, *arguments], capture_output=True, text=True)


def test_numbers_that_were_kept(unet: Path, tmp_path: Path) -> None:
    """Without TensorFlow, and without the model: the verdict is the same, and an error is found."""
    from torchport.verify import record

    truth, folder = tmp_path / "truth", torchport.convert(unet).save(tmp_path / "port")
    record(unet, truth)
    ran = blocked("verify", str(truth), str(folder), "--json")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["verdict"] == "agrees" and "tensorflow" in found["versions"]
    assert set(found["checks"]) == set(torchport.verify(unet, folder).summary()["checks"])
    text = (folder / "model.py").read_text()
    assert "momentum=0.01" in text
    (folder / "model.py").write_text(text.replace("momentum=0.01", "momentum=0.02", 1))
    ran = blocked("verify", str(truth), str(folder), "--json")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert "momentum" in json.loads(ran.stdout)["first"]["cause"]
    told = CliRunner().invoke(app, ["verify", str(truth), str(folder), "--input", str(saved(tmp_path))])
    assert told.exit_code == 2 and "those that were recorded" in told.stderr
    (truth / "arrays.bin").write_bytes((truth / "arrays.bin").read_bytes()[:1000])
    told = CliRunner().invoke(app, ["verify", str(truth), str(folder)])
    assert told.exit_code == 2 and "torchport record" in told.stderr


def saved(folder: Path) -> Path:
    np.save(folder / "x.npy", np.zeros((1, 32, 32, 3), np.float32))
    return folder / "x.npy"
