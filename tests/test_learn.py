"""The pages whose programs are run show what these print: docs/explain.md, and the chapters of docs/learn."""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path

import pytest
from docs.run import PAGES, ROOT, rendered

pytest.importorskip("scipy")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_shows_what_its_programs_print(page: Path) -> None:
    """Exercises check their answers themselves. `make docs` writes the pages anew."""
    before = (ROOT / page).read_text(encoding="utf-8")
    os.chdir(ROOT)
    after = rendered(before)
    assert after == before, "\n".join(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1))


def test_every_chapter_has_programs_and_ends_in_an_exercise() -> None:
    chapters = [it for it in PAGES if it.parent.name == "learn"]
    assert len(chapters) == 5
    for page in chapters:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert "## Exercise" in text and "assert " in text.partition("## Exercise")[2], page
