"""torchport explain: the table, a card, a document; exit statuses and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from torchport.cli import app

UNET = str(Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras")


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["explain", *words])


def test_the_table_is_the_result_and_the_size_takes_two_words() -> None:
    found = run(UNET, "--size", "64", "96")
    assert found.exit_code == 0
    assert "at 64×96" in found.stdout and "enc1: DoubleConv" in found.stdout
    assert run(UNET, "--size", "64x96").stdout == found.stdout == run(UNET, "--size", "64,96").stdout


def test_a_card_of_a_layer() -> None:
    found = run(UNET, "--layer", "enc1_conv1")
    assert found.exit_code == 0 and "(256 + 1 + 1 - 3) // 1 + 1 = 256" in found.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layer", "enc1_convl"], "--layer enc1_conv"),
        (["--size", "100", "100"], "--size 104 104 fits"),
        (["--size", "x"], "--size 256 256"),
        (["--size", "0", "0"], "--size 256 256"),
        (["--input", "image.npy"], "add --html FILE"),
    ],
)
def test_errors_say_what_to_do(words: list[str], said: str) -> None:
    found = run(UNET, *words)
    assert found.exit_code == 2 and found.stdout == "" and said in found.stderr
    document = run(UNET, *words, "--json")
    assert document.exit_code == 2 and said in json.loads(document.stdout)["error"]["advice"]


def test_the_document_is_one_of_json() -> None:
    found = json.loads(run(UNET, "--json").stdout)
    assert found["schema"] == 1 and [it["id"] for it in found["ops"]][-1] == "head"


def test_help_teaches() -> None:
    text = run("--help").stdout
    for word in ("--layer NAME", "--size H W", "channels", "docs/explain-json.md", "--html"):
        assert word in text
