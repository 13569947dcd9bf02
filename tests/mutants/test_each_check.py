"""An error is planted for each kind of comparison: a check that cannot fail is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import torchport
from torchport.verify import CHECKS, Verification, record
from torchport.verify.reference import Reference

keras = pytest.importorskip("keras")

#: What is replaced in model.py, and the check that has to see it first.
PLANTED = [
    ("trainable", "self.frozen.requires_grad_(False)", "self.frozen.requires_grad_(True)"),
    ("dropout", "nn.Dropout(0.25)", "nn.Dropout(0.3)"),
    ("inference", "eps=1e-3", "eps=2e-3"),
    ("sizes", ".mean(dim=(2, 3))", ".sum(dim=(2, 3)) / 1380"),
    ("training", "self.bn(self", "(nn.Identity() if self.training else self.bn)(self"),
    ("gradient", "self.dropout(x))", "self.dropout(x.detach() + 0 * x))"),
    ("steps", "momentum=0.01", "momentum=0.02"),
    ("run", "return self.fc(", "raise KeyError('planted')\n        return self.fc("),
]


@pytest.fixture(scope="module")
def model() -> Any:
    L = keras.layers
    keras.utils.set_random_seed(0)
    x = image = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, name="frozen", trainable=False)(x)
    x = L.ReLU()(L.BatchNormalization(name="bn")(x))
    x = L.Dropout(0.25, name="dropout")(L.GlobalAveragePooling2D()(x))
    made = keras.Model(image, L.Dense(2, name="fc")(x), name="net")
    rng = np.random.default_rng(0)
    for weight in made.weights:
        if "seed" not in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return made


@pytest.fixture(scope="module")
def truth(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What TensorFlow computes, kept once for all errors."""
    return record(model, tmp_path_factory.mktemp("net") / "truth", precision="float64")


def compared(model: Any, folder: Path) -> Verification:
    return torchport.verify(model, folder, precision="float64")


def test_nothing_is_planted(model: Any, tmp_path: Path) -> None:
    result = compared(model, torchport.convert(model).save(tmp_path / "port"))
    assert result.passed, str(result)
    assert {row.check for row in result.rows} == set(CHECKS) - {"run"}


@pytest.mark.parametrize(("check", "old", "new"), PLANTED, ids=[it[0] for it in PLANTED])
def test_an_error_in_the_text(
    check: str, old: str, new: str, model: Any, truth: Path, tmp_path: Path
) -> None:
    folder = torchport.convert(model).save(tmp_path / "port")
    text = (folder / "model.py").read_text()
    assert old in text, text
    (folder / "model.py").write_text(text.replace(old, new))
    result = torchport.verify(truth, folder)
    assert check in {row.check for row in result.rows if row.differs}, str(result)


def test_an_error_in_the_weights(model: Any, truth: Path, tmp_path: Path) -> None:
    folder = torchport.convert(model).save(tmp_path / "port")
    weights = load_file(folder / "model.safetensors")
    weights["fc.bias"] = np.nextafter(weights["fc.bias"], np.float32(9))
    save_file(weights, folder / "model.safetensors")
    result = torchport.verify(truth, folder)
    assert result.first and result.first.check == "state"


def test_a_reference_that_is_not_the_source(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rebuilt = Reference.rebuilt

    def other(self: Reference, dtype: str) -> Any:
        made = rebuilt(self, dtype)
        made.weights[0].assign(made.weights[0] * 1.1)
        return made

    monkeypatch.setattr(Reference, "rebuilt", other)
    result = compared(model, torchport.convert(model).save(tmp_path / "port"))
    assert any(row.check == "reference" and row.passed is None for row in result.rows)
    assert not result.passed
