"""TensorFlow has a process of its own: where it dies, the command says so, and decides nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import torchport

keras = pytest.importorskip("keras")

RUN = """
import sys
from torchport.cli import app
try:
    app(sys.argv[1:])
finally:
    print(sorted({"tensorflow", "keras", "torch"} & set(sys.modules)), file=sys.stderr)
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    layers = [keras.Input((4,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dropout(0.5)]
    keras.Sequential(layers, name="small").save(tmp_path / "small.keras")
    torchport.convert(tmp_path / "small.keras").save(tmp_path / "port")
    return tmp_path / "small.keras"


def verify(source: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, "verify", str(source), str(source.parent / "port"), *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_command_itself_imports_no_tensorflow(model: Path) -> None:
    ran = verify(model, "--json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.strip().endswith("['torch']")
    found = json.loads(ran.stdout)
    assert found["verdict"] == "agrees" and {"tensorflow", "keras", "torch"} <= set(found["versions"])
    assert {"gradient", "steps", "dropout"} <= set(found["checks"])


def test_tensorflow_dies(model: Path, tmp_path: Path) -> None:
    custom = tmp_path / "deadly.py"
    custom.write_text("import os\nimport signal\n\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    ran = verify(model, "--custom", str(custom))
    assert ran.returncode == 4, ran.stdout + ran.stderr
    assert "TensorFlow ended (SIGSEGV)" in " ".join(ran.stdout.split())
    custom.write_text("raise KeyError('mine')\n")
    ran = verify(model, "--custom", str(custom))
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert "deadly.py" in ran.stderr and "KeyError" in ran.stderr


def test_a_port_in_doubt_is_told_by_a_second_process(model: Path) -> None:
    """The first has ended by then: the source is loaded again to measure how far rounding moves it."""
    code = model.parent / "port" / "model.py"
    text = code.read_text()
    assert "relu(" in text
    code.write_text(text.replace("relu(", "gelu("))
    ran = verify(model, "--json")
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["first"]["check"] == "inference" and "gelu" in found["first"]["cause"].lower()
    assert ran.stderr.strip().endswith("['torch']")
