"""Layers of the user's own: refused with the lines to add; ported by the user's rules."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.quick import QUICK

import torchport
from torchport.errors import Refused, TorchportError
from torchport.rules import TABLE, book, user

PAGE = Path(__file__).parents[2] / "docs" / "custom-layers.md"


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of docs/custom-layers.md, and the model that they make."""
    folder = tmp_path_factory.mktemp("custom")
    for name, text in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        (folder / name).write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "make_model.py"], cwd=folder, check=True, capture_output=True)
    return folder


def test_refused_with_the_lines_to_add(example: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        torchport.convert(example / "model.keras")
    (refusal,) = caught.value.refusals
    assert refusal.kind == "shop>Gain"
    assert "shop>Gain" in refusal.why and "mix=0.25" in refusal.why and "(4,)" in refusal.why
    assert "--rules my_rules.py" in refusal.advice
    skeleton = tmp_path / "my_rules.py"
    skeleton.write_text(stub(refusal.advice).replace("torch.your_function", "torch.mul"))
    assert "torch.mul" in torchport.convert(example / "model.keras", rules=skeleton).code


def stub(text: str) -> str:
    """The lines to paste, as they stand in a message."""
    return text[text.index("from torchport.rules") :].partition("\n\nNothing was written")[0]


def test_the_documented_example_agrees(example: Path) -> None:
    port = torchport.convert(example / "model.keras", rules=example / "my_rules.py")
    assert port.code.count("class Gain(nn.Module)") == 1 and "torchport.rules" not in port.code
    result = torchport.verify(
        example / "model.keras", port, rules=example / "my_rules.py", custom=example / "my_layers.py", **QUICK
    )
    assert result.passed, result


def test_the_commands_take_the_files(example: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from torchport.cli import app

    given = ["convert", str(example / "model.keras"), "-o", str(tmp_path / "port")]
    refused = CliRunner().invoke(app, given)
    assert refused.exit_code == 2 and "@rule('Gain'" in refused.stderr
    rules = ["--rules", str(example / "my_rules.py")]
    done = CliRunner().invoke(app, [*given, *rules])
    assert done.exit_code == 0, done.output
    x = np.random.default_rng(0).normal(size=(2, 7, 5, 3)).astype("float32")
    port = torchport.convert(example / "model.keras", rules=example / "my_rules.py")
    assert port.run(x).shape == (2, 5, 3, 2)
    with pytest.raises(Refused):  # the rules held for the calls that named them
        torchport.convert(example / "model.keras")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("from torchport.rules import rule\nrule('Conv2D')(lambda x: x)", "already is a rule for Conv2D"),
        (
            "from torchport.rules import rule\nfor _ in 'ab':\n    rule('Mine')(lambda x: x)",
            "already is a rule",
        ),
        ("1 / 0", "ZeroDivisionError"),
        ("def", "SyntaxError"),
        ("from torchport.rules import helper\nhelper('x = 1')", "a function or a class"),
    ],
)
def test_a_bad_file_of_rules_enters_nothing(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text(text)
    before = dict(TABLE)
    with pytest.raises(TorchportError, match=said) as caught:
        user.load(path)
    assert TABLE == before and not book.PROCESS.rules
    assert re.search(r"rules\.py, line \d", caught.value.where), "the file and the line"


def test_a_file_is_run_again_only_if_changed(tmp_path: Path) -> None:
    path = tmp_path / "rules.py"
    path.write_text("from torchport.rules import rule\nrule('Mine')(lambda x: x)")
    first = user.load(path)
    assert user.load(path) is first and list(first.rules) == ["Mine"]
    path.write_text("from torchport.rules import rule\nrule('Yours')(lambda x: x)")
    with user.rules(path):
        assert user.find("Mine") is None and user.find("Yours") is not None
        assert user.find("shop>Yours") is user.find("Yours") and user.find("shop>Conv2D") is None
    assert user.find("Yours") is None
    with pytest.raises(TorchportError, match="cannot be read"):
        user.load(tmp_path / "missing.py")


def test_rules_that_two_files_import_hold_for_both(tmp_path: Path) -> None:
    (tmp_path / "shared_rules.py").write_text("from torchport.rules import rule\nrule('Mine')(lambda x: x)\n")
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(f"import shared_rules\nname = {name!r}\n")
        assert list(user.load(tmp_path / f"{name}.py").rules) == ["Mine"]
    assert str(tmp_path) not in sys.path


def test_rules_of_a_package_are_loaded_when_needed(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points: list[str] = []

    class Point:
        name, value = "shop", "shop.rules"

        def load(self) -> None:
            points.append("loaded")
            exec((example / "my_rules.py").read_text(), {"__name__": "shop"})

    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [Point()])
    user._plugins.cache_clear()
    unet = PAGE.parents[1] / "examples" / "ihc_unet" / "ihc_unet.keras"
    torchport.convert(unet)
    assert not points
    monkeypatch.setattr(book, "PROCESS", book.Book())
    torchport.convert(example / "model.keras")
    torchport.convert(example / "model.keras")
    assert points == ["loaded"]
    user._plugins.cache_clear()
