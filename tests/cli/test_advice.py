"""What a refusal advises works when it is pasted."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from torchport.cli import app

from .files import UNET, changed, layer

#: Puts into the folder what is refused; the arguments of convert that are.
Refused = Callable[[Path], list[str]]
#: What is pasted, of what was printed: further arguments, or a shell command and all arguments behind it.
CASES: dict[str, tuple[Refused, str]] = {}


def case(advice: str) -> Callable[[Refused], Refused]:
    def enter(refused: Refused) -> Refused:
        CASES[refused.__name__] = refused, advice
        return refused

    return enter


@case(r"add (--force) to replace it")
def a_port_is_there(folder: Path) -> list[str]:
    assert CliRunner().invoke(app, ["convert", str(UNET), "-o", str(folder / "port")]).exit_code == 0
    return [str(UNET)]


@case(r"for instance (--class-name \w+)")
def no_name_of_a_class(folder: Path) -> list[str]:
    return [str(UNET), "--class-name", "class"]


@case(r"for instance (--outputs \w+)")
def no_name_of_a_layer(folder: Path) -> list[str]:
    return [str(UNET), "--outputs", "heads"]


@case(r"the architecture too, --config (model\.json)|(--config model\.json)")
def weights_alone(folder: Path) -> list[str]:
    with zipfile.ZipFile(UNET) as packed:
        (folder / "model.weights.h5").write_bytes(packed.read("model.weights.h5"))
        (folder / "model.json").write_bytes(packed.read("config.json"))
    return ["model.weights.h5"]


@case(r"give the file in it, (\S+)")
def a_folder(folder: Path) -> list[str]:
    (folder / "unet").mkdir()
    shutil.copy(UNET, folder / "unet" / "best.keras")
    return ["unet"]


@case(r"pack it again: (.*)")
def an_unpacked_archive(folder: Path) -> list[str]:
    if shutil.which("zip") is None:
        pytest.skip("there is no zip")
    with zipfile.ZipFile(UNET) as packed:
        packed.extractall(folder / "unet")
    return ["unet"]


@case(r"add (--rules my_rules\.py)")
def a_class_of_ones_own(folder: Path) -> list[str]:
    def mystery(config: object) -> object:
        layer(config, "drop3")["class_name"] = "Mystery"
        return config

    changed(folder / "odd.keras", mystery, groups={"dropout": "mystery", "dropout_1": "dropout"})
    return ["odd.keras"]


@pytest.mark.parametrize("name", CASES)
def test_advice_works_when_it_is_pasted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused, advice = CASES[name]
    source, *given = refused(tmp_path)
    result = CliRunner().invoke(app, ["convert", source, "-o", "port", *given])
    said = result.stderr
    assert result.exit_code == 2 and (found := re.search(advice, said)), said
    pasted = next(filter(None, found.groups()))
    if pasted.startswith("cd "):
        subprocess.run(pasted, shell=True, check=True, cwd=tmp_path, capture_output=True)
        source, pasted = f"{source}.keras", ""
    elif not pasted.startswith("--"):
        source, pasted = (f"{source}/{pasted}", "") if name == "a_folder" else (source, f"--config {pasted}")
    if "--rules" in pasted:
        lines = said[said.index("from torchport.rules") :].partition("\n\nNothing was written")[0]
        body = re.sub(r"return call\('torch\.your_function', (\w+)[^)]*\)", r"return \1", lines)
        assert body != lines, lines
        (tmp_path / "my_rules.py").write_text(body)
    kept = [] if pasted and given and pasted.split()[0] == given[0] else given
    again = CliRunner().invoke(app, ["convert", source, "-o", "port", *kept, *shlex.split(pasted)])
    assert again.exit_code == 0, again.output
    assert json.loads((tmp_path / "port" / "port.json").read_text())
