"""torchport convert: what it says, what it writes, how it ends."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import torchport
from torchport.cli import app
from torchport.errors import BadFile, Refusal, Refused
from torchport.options import Options
from torchport.report import problem
from torchport.report.terminal import plain

from .files import HOSTILE, UNET, changed, layer


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(it) for it in arguments])


def test_summary(tmp_path: Path) -> None:
    result = run("convert", UNET, "-o", tmp_path / "unet", "--class-name", "UNet")
    assert result.exit_code == 0 and result.stderr == ""
    words = " ".join(result.stdout.split())
    for expected in (
        "UNet from", "input image n h w c n c h w (n, 3, h, w) float32",
        "output head n h w c n c h w (n, 1, h, w) float32", "483,441 parameters",
        "0 permutes left in forward", "model.safetensors 2.0 MB", "n/(n-1)", "14 layers",
        f"torchport verify {UNET} {tmp_path / 'unet'}",
    ):  # fmt: skip
        assert expected in words, expected


def test_json(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    result = run("convert", UNET, "-o", tmp_path / "unet", "--keep-io", "--exact", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    found = json.loads(result.stdout)
    assert found["inputs"][0]["torch_axes"] == "n h w c"
    assert len(found["permutes"]) == 2 and found["verified"] is None
    assert ["not carried over" in it for it in found["notes"]] == [True] and found["training"]["compiled"]
    assert {Path(it["path"]).name: it["bytes"] for it in found["files"]} == {
        it.name: it.stat().st_size for it in (tmp_path / "unet").iterdir()
    }
    module = torchport.load(tmp_path / "unet")
    assert found["parameters"] == sum(it.numel() for it in module.parameters())
    assert isinstance(module, torch.nn.Module)


def test_permutes_are_listed_with_their_reason(tmp_path: Path) -> None:
    stdout = run("convert", UNET, "-o", tmp_path / "unet", "--keep-io").stdout
    assert "2 permutes left in forward:" in stdout
    assert "image: n h w c -> n c h w, for enc1_conv1 (its module wants channels first)" in stdout


def test_force(tmp_path: Path) -> None:
    folder = tmp_path / "unet"
    assert run("convert", UNET, "-o", folder).exit_code == 0
    (folder / "model.py").write_text("edited")
    again = run("convert", UNET, "-o", folder)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "is there already" in again.stderr and "--force" in again.stderr
    assert (folder / "model.py").read_text() == "edited"
    assert run("convert", UNET, "-o", folder, "--force").exit_code == 0
    assert (folder / "model.py").read_text() != "edited"


def odd(config: Any) -> Any:
    for name in ("enc1_conv1", "enc2_conv1", "dec1_conv1"):
        layer(config, name)["config"]["flavour"] = "sour"
    layer(config, "drop3")["class_name"] = "Mystery"
    return config


def test_a_refusal_lists_everything_and_writes_nothing(tmp_path: Path) -> None:
    source = changed(tmp_path / "odd.keras", odd, groups={"dropout": "mystery", "dropout_1": "dropout"})
    result = run("convert", source, "-o", tmp_path / "port")
    assert (result.exit_code, result.stdout) == (2, "")
    for expected in (
        "odd.keras",
        "Mystery",
        "enc1_conv1",
        "enc2_conv1",
        "dec1_conv1",
        "flavour",
        "drop3",
    ):
        assert expected in result.stderr, expected
    assert "Traceback" not in result.stderr
    error = json.loads(run("convert", source, "-o", tmp_path / "port", "--json").stdout)["error"]
    assert error["kind"] == "refused" and error["where"] == str(source)
    assert len(error["refusals"]) == 4
    assert all(it["layer"] and it["kind"] and it["why"] for it in error["refusals"])
    assert os.listdir(tmp_path) == ["odd.keras"]


def cut(path: Path) -> None:
    path.write_bytes(UNET.read_bytes()[:1_000_000])


BROKEN = {
    "absent": lambda path: None,
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("hello"),
    "cut": cut,
    "folder": lambda path: path.mkdir(),
    "unreadable config": lambda path: changed(path, lambda config: []),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_message(name: str, tmp_path: Path) -> None:
    source = tmp_path / "model.keras"
    BROKEN[name](source)
    there = os.listdir(tmp_path)
    result = run("convert", source, "-o", tmp_path / "a" / "port")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ") and "model.keras" in result.stderr
    assert "Traceback" not in result.stderr and len(result.stderr.splitlines()) <= 4
    shown = run("convert", source, "-o", tmp_path / "a" / "port", "--json")
    assert shown.exit_code == 2 and shown.stderr == ""
    assert set(json.loads(shown.stdout)["error"]) == {"kind", "what", "where", "advice"}
    assert os.listdir(tmp_path) == there


@pytest.mark.parametrize("arguments", [[], ["convert"], ["convert", UNET], ["port", UNET], ["rules", "-x"]])
def test_a_wrong_command_is_2(arguments: list[object]) -> None:
    assert run(*arguments).exit_code == 2


def test_a_bug_is_neither_1_nor_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise KeyError("kernel")

    monkeypatch.setattr(torchport, "convert", broken)
    result = run("convert", UNET, "-o", tmp_path / "port")
    assert result.exit_code == 3 and "please report" in result.stderr
    error = json.loads(run("convert", UNET, "-o", tmp_path / "port", "--json").stdout)["error"]
    assert error["kind"] == "bug" and "KeyError" in error["what"]


#: What a layer may be called. Keras allows all of it.
NAMES = (
    HOSTILE,
    "a\nimport os",
    "lambda",
    "self",
    "[red]loud[/red]",
    "\x1b[2J\x1b]0;owned\x07",
    "\\N{BEL}",
    '"""',
)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    renamed = {
        "enc1_conv1": name,
        "image": f"{name} in",
        "head": f"{name} out",
        "ihc_unet": f"{name} model",
    }
    source = changed(tmp_path / "hostile.keras", renamed=renamed)
    result = run("convert", source, "-o", tmp_path / "port", "--keep-io")
    assert result.exit_code == 0, result.stderr
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout
    tree = ast.parse((tmp_path / "port" / "model.py").read_text())
    harmless(tree)
    record = json.loads((tmp_path / "port" / "port.json").read_text())
    assert record["inputs"][0]["source_name"] == f"{name} in"
    assert len(torchport.load(tmp_path / "port").state_dict()) == 106


def harmless(tree: ast.Module) -> None:
    """Nothing but the imports of every port, and classes whose only strings are docstrings."""
    imported = {ast.unparse(it) for it in ast.walk(tree) if isinstance(it, (ast.Import, ast.ImportFrom))}
    assert imported <= {
        "from __future__ import annotations", "from pathlib import Path", "import torch",
        "import torch.nn.functional as F", "from safetensors.torch import load_file",
        "from torch import Tensor, nn",
    }  # fmt: skip
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if ast.unparse(node) == "WEIGHTS = Path(__file__).with_name('model.safetensors')":
            continue
        assert isinstance(node, ast.ClassDef) or ast.get_docstring(tree) and node is tree.body[0]
    strings = [it for it in ast.walk(tree) if isinstance(it, ast.Constant) and isinstance(it.value, str)]
    holders = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = [ast.get_docstring(it) for it in ast.walk(tree) if isinstance(it, holders)]
    assert len(strings) == len([it for it in docstrings if it]) + 1  # and the name of the weights
    used = {it.func.id for it in ast.walk(tree) if isinstance(it, ast.Call) and isinstance(it.func, ast.Name)}
    own = {it.name for it in tree.body if isinstance(it, ast.ClassDef)}
    assert used <= {"super", "cls", "load_file", "Path"} | own


def test_control_characters_are_spelled_out() -> None:
    assert plain("a\x1b[31mb\x9b\u202ec\n") == "a\\x1b[31mb\\x9b\\u202ec\n"
    error = Refused((Refusal("\x1b[2J", "Lambda", "no"),))
    assert "\x1b" not in problem.text(problem.facts(error))


def test_refusals_that_say_the_same_stand_together() -> None:
    error = Refused(tuple(Refusal(f"gru_{at}", "GRU", "is not ported") for at in range(20)))
    text = problem.text(problem.facts(error, "m.keras"))
    assert text.count("is not ported") == 1 and "and 12 more layers" in text
    assert len(problem.facts(error)["refusals"]) == 20
    assert problem.facts(BadFile("is cut", where="a"), "b")["where"] == "a"


def test_module_and_version() -> None:
    command = [sys.executable, "-m", "torchport", "--version"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    assert shown.stdout == f"torchport {torchport.__version__}\n"


@pytest.mark.parametrize("command", [[], ["convert"], ["verify"], ["rules"]])
def test_help_teaches(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 100
    if command != ["rules"]:
        assert "Examples:" in result.stdout
    if not command:
        assert "Exit status:" in result.stdout and "--install-completion" in result.stdout
    if command in (["convert"], ["verify"]):
        assert "The Keras model: a .keras or .h5 file" in result.stdout, "arguments are explained"
    assert "\\" not in result.stdout, "brackets are not escaped for another program"


@pytest.mark.parametrize(
    "name",
    ["my-unet", "class", "match", "list", "1Net", "", "Tensor", "Path", "same_pad", "a b", "x)\nimport os"],
)
def test_a_name_that_no_class_can_have_is_refused(name: str, tmp_path: Path) -> None:
    result = run("convert", UNET, "-o", tmp_path / "port", "--class-name", name)
    assert result.exit_code == 2 and "for instance --class-name" in result.stderr, result.output
    assert "Traceback" not in result.stderr and not os.listdir(tmp_path)


@pytest.mark.parametrize("name", ["UNet", "unet", "My_Net", "Réseau"])
def test_the_class_has_the_very_name_that_was_asked_for(name: str, tmp_path: Path) -> None:
    for flat in (False, True):
        port = torchport.convert(UNET, class_name=name, flat=flat)
        assert port.class_name == name and f"class {name}(nn.Module):" in port.code
    record = json.loads((port.save(tmp_path / "port") / "port.json").read_text())
    assert record["options"] == {
        "class_name": name, "keep_io": False, "exact": False, "flat": True, "dequantise": False,
        "outputs": [],
    }  # fmt: skip


def test_a_record_with_an_unknown_option_is_refused(tmp_path: Path) -> None:
    from torchport.verify.folder import read_record

    folder = torchport.convert(UNET, flat=True, exact=True).save(tmp_path / "port")
    assert read_record(folder).options == Options(flat=True, exact=True)
    record = json.loads((folder / "port.json").read_text())
    record["options"]["upside_down"] = True
    (folder / "port.json").write_text(json.dumps(record))
    with pytest.raises(BadFile, match="upside_down"):
        read_record(folder)
