"""Pages with programs in them, and what these print: `make docs` writes it, tests/test_learn.py compares it.

A block of Python is run, all blocks of a page in one process and one place; the block of text under it is
what it printed. A block of console is a command of torchport and what it printed. Every number on these pages
is one that a run gave.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: A program with what it printed, or a command with what it printed.
BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```(?:\n+```text\n.*?```)?|```console\n(?P<command>\$ [^\n]*)\n.*?```", re.S
)
#: Pages whose blocks are run.
PAGES = (
    Path("docs/explain.md"),
    *sorted(it.relative_to(ROOT) for it in (ROOT / "docs" / "learn").glob("[0-9]*.md")),
)


def rendered(page: str) -> str:
    """The page with what its programs print now."""
    found: dict[str, Any] = {"__name__": "page"}
    return BLOCK.sub(lambda it: command(it["command"]) if it["command"] else program(it["code"], found), page)


def program(code: str, found: dict[str, Any]) -> str:
    """A program, run, and what it printed."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, "page", "exec"), found)
    text = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    return f"```python\n{code}```" + (f"\n\n```text\n{text}\n```" if text else "")


def command(line: str) -> str:
    """A command of torchport, run at 100 columns, and what it printed; `| head -9`: that many lines."""
    words, _, rest = line.removeprefix("$ ").partition(" | head -")
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    run = [sys.executable, "-m", *shlex.split(words)]
    done = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, env=environment)
    lines = [it.rstrip() for it in (done.stdout + done.stderr).strip("\n").splitlines()]
    return "\n".join(["```console", line, *(lines[: int(rest)] if rest else lines), "```"])


def main() -> None:
    """Writes all pages, or those that are named."""
    os.chdir(ROOT)
    for path in [Path(it) for it in sys.argv[1:]] or PAGES:
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
