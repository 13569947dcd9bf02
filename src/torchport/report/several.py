"""What a conversion of many files shows: a bar, a table at the end, one JSON document."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport.report.terminal import console as terminal
from torchport.report.terminal import counted, grid, styled

if TYPE_CHECKING:
    from rich.console import Console

Entry = dict[str, Any]


@contextmanager
def progress(count: int) -> Iterator[Callable[[Any], None]]:
    """A bar of files on standard error, if that is a terminal; gives what is told each outcome."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("  converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        TextColumn("{task.description}", style="dim", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=terminal(error=True), transient=True) as shown:
        task = shown.add_task("", total=count)
        yield lambda outcome: shown.update(task, advance=1, description=str(styled(outcome.source.name)))


def facts(found: Sequence[Entry], folder: Path) -> Entry:
    """The document that --json prints."""
    failed = sum("error" in entry for entry in found)
    return {"folder": str(folder), "converted": len(found) - failed, "failed": failed, "models": list(found)}


def show(found: Sequence[Entry], folder: Path, console: Console) -> None:
    """A line for each file, what failed last, and how many there are."""
    table = grid({}, {"style": "bold"}, {"justify": "right"}, {"justify": "right"}, {"style": "dim"})
    ported = [entry for entry in found if "error" not in entry]
    for entry in ported:
        left = len(entry["permutes"])
        table.add_row(
            "", styled(Path(entry["source"]["path"]).name), styled(entry["class"]),
            styled(counted(entry["parameters"], "parameter")), styled(counted(left, "permute")),
            styled(entry["folder"]),
        )  # fmt: skip
    console.print()
    if ported:
        console.print(table)
        console.print()
    for entry in found:
        if "error" in entry:
            line = f"  {entry['source']['path']}: {said(entry['error'])}"
            console.print(styled(line, "red"), soft_wrap=True)
    failed = len(found) - len(ported)
    if failed:
        console.print()
    rest = f", {failed} failed" if failed else ""
    console.print(styled(f"  {counted(len(ported), 'model')} ported to {folder}{rest}"))


def said(error: Entry) -> str:
    """An error in one line; of a refusal, what is not ported."""
    refusals = error.get("refusals") or []
    if not refusals:
        advice = f" -> {error['advice']}" if error["advice"] else ""
        return f"{error['kind']}: {error['what']}{advice}"
    first = f"{refusals[0]['layer']} ({refusals[0]['kind']}): {refusals[0]['why']}"
    more = f" and {len(refusals) - 1} more" if len(refusals) > 1 else ""
    return f"refused: {first}{more}"
