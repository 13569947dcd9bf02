"""What the pages show of generated programs is what is generated."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from docs.links import broken

ROOT = Path(__file__).parents[1]
GOLDEN = {file.stem: file.read_text() for file in (ROOT / "tests" / "golden").glob("*.py")}
READABILITY = "docs/readability.md"
#: Code of a person's, and what `torchport port` makes of it.
SOURCE, PORT = ((ROOT / "examples" / "unet_code" / name).read_text() for name in ("unet.py", "port/unet.py"))


def blocks(page: str) -> list[str]:
    """The pieces of Python on a page."""
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)


@pytest.mark.parametrize("page", ["README.md", READABILITY])
def test_programs_are_those_of_the_golden_files(page: str) -> None:
    programs = [it for it in blocks(page) if it.lstrip().startswith(("class ", "self."))]
    assert programs
    for it in programs:
        assert any(it.rstrip() in code for code in (*GOLDEN.values(), PORT)), it


def test_the_code_that_is_ported_is_the_example() -> None:
    pieces = [it.rstrip() for it in blocks("README.md") if it.startswith("def decoder_block")]
    assert len(pieces) == 1 and pieces[0] in SOURCE


def test_every_page_is_in_the_sites_navigation() -> None:
    """And all that is named there is a page; `make docs` checks links."""
    nav = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]["nav"]
    named = re.findall(r"[\w/-]+\.md", str(nav))
    pages = [it.relative_to(ROOT / "docs").as_posix() for it in (ROOT / "docs").rglob("*.md")]
    assert sorted(named) == sorted(pages)


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1><img src="no.png"><a href="https://far">')
    links = ("b.html", "b.html#there", "b.html#not", "c.html", "#here", "#nowhere")
    text = "".join(f'<a href="{it}">' for it in links)
    (tmp_path / "a.html").write_text(f'<p id="here">{text}')
    assert list(broken(tmp_path)) == [
        "a.html: b.html#not", "a.html: c.html", "a.html: #nowhere", "b.html: no.png"
    ]  # fmt: skip


def test_lines_are_counted() -> None:
    table = re.findall(r"^\| (\w+) \| (\d+) \|$", (ROOT / READABILITY).read_text(), re.M)
    assert dict(table) == {name: str(len(code.splitlines())) for name, code in GOLDEN.items()}


def test_the_api_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines under "Use it", on a small U-Net in the place of the user's own."""
    import numpy as np
    from tests.blocks.networks import classic_unet

    (api,) = (it for it in blocks("README.md") if it.startswith("import torchport"))
    monkeypatch.chdir(tmp_path)
    model = classic_unet(levels=2, width=4)
    model.save("unet.keras")
    images = np.random.default_rng(0).random((1, *model.input_shape[1:]), "float32")
    found: dict[str, Any] = {"images": images}
    exec(api, found)
    want = model(images).numpy()
    assert np.abs(found["masks"] - want).max() < 1e-5 and found["port"].permutes == ()
