"""Several models in one command: side by side, each on its own whatever becomes of the others."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.cli.test_outcomes import documented
from tests.read import dialects
from typer.testing import CliRunner, Result

import torchport
from torchport.cli import app
from torchport.conversions import folders, name_of


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert", *(str(it) for it in arguments)])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Three models, and a file that is none."""
    paths = [tmp_path / f"{name}.h5" for name in ("one", "two", "three", "none")]
    for path, network in zip(paths, (dialects.CNN, dialects.LSTM, dialects.CNN), strict=False):
        dialects.keras_2_4(path, network)
    paths[-1].write_bytes(b"no model")
    return paths


def test_each_has_a_folder_of_its_own(files: list[Path], tmp_path: Path) -> None:
    result = run(*files[:3], "-o", tmp_path / "ports")
    assert result.exit_code == 0 and "3 models ported to" in result.stdout
    assert sorted(os.listdir(tmp_path / "ports")) == ["one", "three", "two"]
    alone = tmp_path / "alone"
    assert run(files[1], "-o", alone).exit_code == 0
    for path in sorted(alone.iterdir()):
        assert path.read_bytes() == (tmp_path / "ports" / "two" / path.name).read_bytes(), path


def test_a_failure_stops_no_other(files: list[Path], tmp_path: Path) -> None:
    result = run(*files[::-1], "-o", tmp_path / "ports", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 2 and set(found) == documented("convert of several models") - {
        "source",
        "path",
        "error",
    }
    assert (found["converted"], found["failed"]) == (3, 1)
    assert [Path(entry["source"]["path"]).stem for entry in found["models"]] == [
        "none",
        "three",
        "two",
        "one",
    ]
    assert found["models"][0]["error"]["kind"] == "bad file"
    assert all(set(entry) == documented("convert") - {"verified"} for entry in found["models"][1:])
    again = run(*files, "-o", tmp_path / "ports")
    assert again.exit_code == 2 and "4 failed" in again.stdout and "one.h5" in again.stdout
    assert run(*files[:3], "-o", tmp_path / "ports", "--force").exit_code == 0


def test_a_process_that_ends_is_one_failure(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert = torchport.convert

    def killed(source: Path, **options: Any) -> Any:
        if source.stem == "two":
            os.kill(os.getpid(), signal.SIGKILL)
        return convert(source, **options)

    monkeypatch.setattr(torchport, "convert", killed)
    result = run(*files[:3], "-o", tmp_path / "ports", "--force", "--json")
    errors = [entry.get("error", {}).get("kind") for entry in json.loads(result.stdout)["models"]]
    assert errors == [None, "system", None] and result.exit_code == 2
    assert sorted(name for name in os.listdir(tmp_path / "ports") if name[0] != ".") == ["one", "three"]


def test_a_bug_shows_where(files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*given: Any, **more: Any) -> Any:
        raise KeyError("surprise")

    monkeypatch.setattr(torchport, "convert", wrong)
    result = run(*files[:2], "-o", tmp_path / "ports")
    assert result.exit_code == 3 and "surprise" in result.stderr and "Traceback" in result.stderr


@pytest.mark.parametrize("option", [("--class-name", "Net"), ("--config", "model.json"), ("--verify",)])
def test_options_of_one_model(option: tuple[str, ...], files: list[Path], tmp_path: Path) -> None:
    result = run(*files, "-o", tmp_path / "ports", *option)
    assert result.exit_code == 2 and f"{option[0]} is of one model" in result.stderr
    assert not (tmp_path / "ports").exists()


def test_names() -> None:
    paths = [
        Path(it) for it in ("/a/m.h5", "/b/m.keras", "/c/x.weights.h5", "/d/web/model.json", "/e/a/m.h5")
    ]
    assert [name_of(it) for it in paths] == ["m", "m", "x", "web", "m"]
    assert [it.name for it in folders(paths, Path("out"))] == ["a_m", "b_m", "x", "web", "a_m_2"]
