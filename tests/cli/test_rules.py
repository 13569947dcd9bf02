"""torchport rules: the table of rules, as it stands."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from torchport.cli import app
from torchport.rules import TABLE

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


def rules(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["rules", *arguments])
    assert result.exit_code == 0 and result.stderr == ""
    return result.stdout


def test_json_has_every_kind_once() -> None:
    rows = json.loads(rules("--json"))
    kinds = [kind for row in rows for kind in row["kinds"]]
    assert sorted(kinds) == sorted(TABLE)
    conv = next(row for row in rows if "Conv2D" in row["kinds"])
    assert conv["family"] == "conv" and conv["options"]["filters"] == {}
    assert conv["options"]["strides"] == {"default": 1}
    assert all(row["written"] for row in rows), "every rule has a docstring"


def test_the_terminal_shows_every_kind() -> None:
    words = rules().split()
    for kind in TABLE:
        function = kind.removeprefix("activation:")
        shown = kind if function == kind else f'"{function}"'
        assert shown in words, kind


def test_the_page_is_current() -> None:
    advice = "run: torchport rules --markdown > docs/rules.md"
    assert PAGE.read_text(encoding="utf-8") == rules("--markdown"), advice


def test_the_readme_is_current() -> None:
    from torchport.report.rules import MARKS, families

    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert text.partition(MARKS[0])[2].partition(MARKS[1])[0].strip() == families()
