"""torchport verify: its table, its JSON, its exit status; what it compares is tested elsewhere."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from torchport.cli import app
from torchport.verify import frameworks
from torchport.verify.result import Divergence, Row, Verification

from .files import UNET

GOOD = (
    Row("inference", "conv1", "conv1", "conv1", True, 3e-15, 2e-7, 1.9e-7, 1e-10, 1e-5),
    Row("inference", "conv2", "conv2", "conv2", True, 5e-15, 3e-7, 1.9e-7, 1e-10, 1e-5),
    Row("gradient", "conv1.weight", "conv1", "conv1/kernel", True, 2e-13, None, None, 1e-10),
)
WRONG = Row("training", "bn1", "bn\x1b[2J1", "bn1", False, float("nan"), note="3 are not finite")
OPEN = Row("steps", "bn1.running_mean", "bn1", "bn1/moving_mean", None, 1e-3, note="TensorFlow draws")
FIRST = Divergence("training", "bn\x1b[2J1", "bn1", "bn1", "epsilon: the port has 1e-5, Keras 1e-3")


def verification(passed: bool | None) -> Verification:
    rows = {True: GOOD, False: (*GOOD, OPEN, WRONG), None: (*GOOD, OPEN)}
    return Verification(
        rows[passed], FIRST if passed is False else None, ("a note",),
        {"tensorflow": "2", "torch": "2"}, (), "float64", 0, 3,
    )  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asked of `torchport.verify`; set "passed" for its answer."""
    asked: dict[str, Any] = {"passed": True}

    def verify(source: Any, folder: Any, **options: Any) -> Verification:
        asked.update(options, source=source, folder=folder)
        return verification(asked["passed"])

    monkeypatch.setattr(importlib.import_module("torchport.verify"), "verify", verify)
    monkeypatch.setattr(frameworks, "tensorflow", lambda: None)
    return asked


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(it) for it in arguments])


def test_agreement_is_0(asked: dict[str, Any]) -> None:
    result = run("verify", UNET, "port", "--seed", 7)
    assert result.exit_code == 0 and result.stderr == ""
    words = " ".join(result.stdout.split())
    assert "inference 2 agree 5.0e-15 3.0e-07 1.9e-07 conv2" in words
    assert "note a note" in words and "agrees 3 comparisons; tensorflow 2, torch 2" in words
    assert asked["precision"] == "both"
    run("verify", UNET, "port", "--precision", "float32", "--seed", 7)
    assert (
        asked["precision"] == "float32"
        and asked["seed"] == 7
        and asked["inputs"] is None
        and asked["folder"] == Path("port")
    )
    assert "conv1/kernel" not in result.stdout
    assert "conv1/kernel" in run("verify", UNET, "port", "-v").stdout


def test_a_difference_is_1_and_named(asked: dict[str, Any]) -> None:
    asked["passed"] = False
    result = run("verify", UNET, "port")
    assert result.exit_code == 1
    words = " ".join(result.stdout.split())
    assert "training 1 1 differs nan" in words and "differs 5 comparisons" in words
    assert "likely cause epsilon: the port has 1e-5, Keras 1e-3" in words
    assert "\x1b" not in result.stdout


def test_what_is_not_decided_is_4_and_says_why(asked: dict[str, Any]) -> None:
    asked["passed"] = None
    result = run("verify", UNET, "port")
    assert result.exit_code == 4
    words = " ".join(result.stdout.split())
    assert "steps 1 1 not decided 1.0e-03" in words and "Not decided, because TensorFlow draws" in words
    assert "not decided 4 comparisons" in words and "differs" not in words


@pytest.mark.parametrize(
    ("passed", "status", "verdict"), [(True, 0, "agrees"), (False, 1, "differs"), (None, 4, "not decided")]
)
def test_json(asked: dict[str, Any], passed: bool | None, status: int, verdict: str) -> None:
    asked["passed"] = passed
    result = run("verify", UNET, "port", "--json")
    assert result.exit_code == status
    found = json.loads(result.stdout)
    assert found["passed"] is (passed is True) and found["verdict"] == verdict
    assert found["because"] == ("" if passed else "TensorFlow draws")
    assert len(found["rows"]) == {0: 3, 1: 5, 4: 4}[status]
    assert (found["first"] is None) is (passed is not False)


def test_convert_can_verify_at_once(asked: dict[str, Any], tmp_path: Path) -> None:
    asked["passed"] = False
    result = run("convert", UNET, "-o", tmp_path / "port", "--verify", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["verified"]["passed"] is False
    assert asked["folder"] == tmp_path / "port" and (tmp_path / "port" / "model.py").is_file()
    asked["passed"] = True
    shown = run("convert", UNET, "-o", tmp_path / "other", "--verify")
    assert shown.exit_code == 0 and "agrees" in shown.stdout and "next" not in shown.stdout


def test_inputs(asked: dict[str, Any], tmp_path: Path) -> None:
    image = np.ones((1, 8, 8, 3), np.float32)
    np.save(tmp_path / "image.npy", image)
    assert run("verify", UNET, "port", "--input", tmp_path / "image.npy").exit_code == 0
    np.testing.assert_array_equal(asked["inputs"][0], image)


@pytest.mark.parametrize("content", ["absent", "text", "pickle"])
def test_an_input_that_is_no_array_is_2(asked: Any, content: str, tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    if content == "text":
        path.write_text("hello")
    if content == "pickle":
        np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    result = run("verify", UNET, "port", "--input", path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "image.npy" in result.stderr and "source" not in asked
