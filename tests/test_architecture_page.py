"""docs/architecture.md: what it shows of a model's way is what each room gives."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from torchport import convert
from torchport.infer import infer, share_out
from torchport.normalise import normalise
from torchport.read import read

PAGE = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The pieces of the page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def test_the_way_of_a_model_is_as_shown(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    source, program = blocks("python")
    found = {"keras": keras, "layers": keras.layers}
    exec(source, found)
    file = tmp_path / "tiny.keras"
    found["model"].save(file)  # type: ignore[attr-defined]
    _, first, plain, whole, weights = blocks("text")
    graph = read(file)
    assert f"{graph}\n" == first
    graph = normalise(share_out(graph))
    assert f"{graph}\n" == plain
    assert f"{infer(graph, [])}\n" == whole
    port = convert(file)
    assert program in port.code
    port.save(tmp_path / "port")
    record = json.loads((tmp_path / "port" / "port.json").read_text())
    rows = [f"{key} {it['source']} {it['pattern']}" for key, it in record["weights"].items()]
    assert [" ".join(line.split()) for line in weights.splitlines()] == rows


def test_every_room_has_its_row() -> None:
    from tests.test_architecture import PACKAGE

    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.M)) | {"rules", "port", "report"}
    assert rooms <= named, rooms - named
