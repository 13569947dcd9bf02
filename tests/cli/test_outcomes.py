"""Every outcome is one JSON document and a status; what is interrupted leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import torchport
from torchport.cli import app
from torchport.report.conversion import next_command

from .files import UNET, changed, layer

PAGE = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(it) for it in arguments])


def documented(section: str) -> set[str]:
    """The keys in the first column of a section's table."""
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return {key for row in re.findall(r"^\| (`.*?) \|", text, re.M) for key in re.findall(r"`(\w+)`", row)}


def test_what_convert_prints_is_documented(tmp_path: Path) -> None:
    found = json.loads(run("convert", UNET, "-o", tmp_path / "port", "--json").stdout)
    assert set(found) == documented("convert")


def mystery(config: Any) -> Any:
    layer(config, "drop3")["class_name"] = "Mystery"
    return config


@pytest.mark.parametrize(
    ("arguments", "kind", "status"),
    [
        (["convert", "absent.keras", "-o", "port"], "bad file", 2),
        (["convert", "odd.keras", "-o", "port"], "refused", 2),
        (["convert", UNET, "-o", "here"], "error", 2),
        (["convert", UNET, "-o", "port", "--class-name", "class"], "error", 2),
        (["convert", UNET, "-o", "port", "--rules", "absent.py"], "error", 2),
        (["convert", UNET, "-o", "port", "--config", "absent.json"], "error", 2),
        (["convert", UNET, "-o", "/proc/port"], "error", 2),
        (["convert", UNET], "usage", 2),
        (["convert", UNET, "-o", "port", "--upside-down"], "usage", 2),
        (["verify", UNET, "absent"], "bad file", 2),
        (["verify", UNET, "port", "--seed", "x"], "usage", 2),
    ],
    ids=lambda it: " ".join(map(str, it[2:])) if isinstance(it, list) else None,
)
def test_every_error_is_one_document(
    arguments: list[object], kind: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changed(tmp_path / "odd.keras", mystery, groups={"dropout": "mystery", "dropout_1": "dropout"})
    (tmp_path / "here").write_text("a file")
    there = sorted(os.listdir(tmp_path))
    result = run(*arguments, "--json")
    error = json.loads(result.stdout)["error"]
    assert (error["kind"], result.exit_code, result.stderr) == (kind, status, "")
    assert error["what"] and error["where"] and set(error) <= documented("An error")
    assert f"`{kind}`" in PAGE and sorted(os.listdir(tmp_path)) == there
    plain = run(*arguments)
    assert plain.exit_code == status and not plain.stdout and len(plain.stderr.splitlines()) < 40
    assert "Traceback" not in plain.stderr


def test_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(torchport, "convert", interrupted)
    result = run("convert", UNET, "-o", tmp_path / "port", "--json")
    assert result.exit_code == 130 and json.loads(result.stdout)["error"]["kind"] == "interrupted"
    assert run("convert", UNET, "-o", tmp_path / "port").exit_code == 130


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_nothing_behind(sent: signal.Signals, status: int, tmp_path: Path) -> None:
    """The port that is there stays as it was, and no scratch folder is left."""
    torchport.convert(UNET).save(tmp_path / "port")
    before = {it.name: it.read_bytes() for it in (tmp_path / "port").iterdir()}
    script = (
        "import signal, sys, time, torchport.port as room\n"
        "from torchport.cli import app\n"
        # What a shell runs in the background is started with SIGINT ignored, and so is what that starts.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "write = room.write_weights\n"
        "def slow(*given, **more):\n"
        "    write(*given, **more)\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "room.write_weights = slow\n"
        "app(sys.argv[1:])"
    )
    command = [sys.executable, "-c", script, "convert", str(UNET), "-o", str(tmp_path / "port"), "--force"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "writing\n"
    time.sleep(0.2)
    process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == status, said
    assert "Traceback" not in said and os.listdir(tmp_path) == ["port"]
    assert {it.name: it.read_bytes() for it in (tmp_path / "port").iterdir()} == before


def test_the_next_command_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"--rules": Path("my rules.py"), "--config": None, "--custom": Path("it's.py")}
    words = shlex.split(next_command(Path("-odd.keras"), Path("a port"), files))
    assert words == [
        "torchport", "verify", "./-odd.keras", "a port", "--rules", "my rules.py", "--custom", "it's.py",
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("my model.keras").symlink_to(UNET)
    Path("my rules.py").write_text("")
    said = run("convert", "my model.keras", "-o", "été", "--rules", "my rules.py").stdout
    (line,) = (it for it in said.splitlines() if "torchport verify" in it)
    given = shlex.split(line.partition("next")[2])
    assert given == ["torchport", "verify", "my model.keras", "été", "--rules", "my rules.py"]
