"""What a verification found: a line for each question, and where the two sides part."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torchport.report.terminal import counted, grid, styled

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from torchport.verify.result import Row, Verification

#: How bad an error is that is not a number.
WORST = math.inf


def number(error: float | None) -> str:
    """An error as a person reads it: `3.1e-15`; an exact match is 0."""
    if error is None:
        return ""
    return "0" if error == 0 else f"{error:.1e}"


#: A verdict's colour.
STYLES = {"agrees": "green", "differs": "bold red", "not decided": "bold yellow"}


def badness(row: Row) -> tuple[int, float, float]:
    """How bad a comparison is: one that differs is worst, then one that is not decided."""
    sizes = (row.error64, row.error32)
    known = [0.0 if it is None else WORST if math.isnan(it) else it for it in sizes]
    return (2 * row.differs + (row.passed is None), known[0], known[1])


def by_check(result: Verification) -> dict[str, list[Row]]:
    """The rows of each question that was asked, in the order of asking."""
    found: dict[str, list[Row]] = {}
    for row in result.rows:
        found.setdefault(row.check, []).append(row)
    return found


def show(result: Verification, console: Console, every: bool = False) -> None:
    """The verification for a person; `every`: all rows, not only the worst of each question."""
    console.print()
    if every:
        for check, rows in by_check(result).items():
            console.print(styled(f"  {check}", "bold"), styled(_question(check), "dim"))
            console.print(_every(rows))
            console.print()
    console.print(_questions(result))
    if result.differs:
        _divergence(result, console)
    elif not result.passed:
        console.print(styled("\n  Not decided, because", "bold yellow"), styled(result.because))
    for note in result.notes:
        table = grid({"style": "yellow"}, {})
        table.add_row("", "note", styled(note))
        console.print()
        console.print(table)
    relative = "errors relative to each tensor's largest value, in float32 to the float64 reference"
    console.print(styled(f"\n  {relative}", "dim"))
    sides = ("tensorflow", "keras", "tf_keras", "torch")
    versions = ", ".join(f"{it} {result.versions[it]}" for it in sides if it in result.versions)
    console.print()
    compared = counted(len(result.rows), "comparison")
    verdict = styled(f"  {result.verdict}", f"bold {STYLES[result.verdict]}")
    console.print(verdict, styled(f"{compared}; {versions}", "dim"), soft_wrap=True)
    console.print()


def _question(check: str) -> str:
    from torchport.verify.result import CHECKS

    return CHECKS.get(check, "")


def _questions(result: Verification) -> Table:
    """A line for each question: how many were compared, and the worst of them."""
    right: dict[str, Any] = {"justify": "right", "no_wrap": True}
    table = grid(
        {"style": "bold"}, right, {}, right, right, {**right, "style": "dim"}, {"style": "dim"}
    )  # fmt: skip
    heads = ("", "compared", "", "float64", "float32", "TensorFlow float32", "worst at")
    table.add_row("", *(styled(it, "dim") for it in heads))
    for check, rows in by_check(result).items():
        worst = max(rows, key=badness)
        wrong = sum(row.differs for row in rows)
        undecided = sum(row.passed is None for row in rows)
        verdict = styled("agree", "green")
        if undecided:
            verdict = styled(f"{undecided} not decided", "bold yellow")
        if wrong:
            verdict = styled(f"{wrong} differ" if wrong > 1 else "1 differs", "bold red")
        measured = bool(worst.error64 or worst.error32)
        table.add_row(
            "", styled(check), f"{len(rows):,}", verdict,
            *map(number, (worst.error64, worst.error32, worst.reference32)),
            styled(worst.name or worst.layer if measured or not worst.passed else ""),
        )  # fmt: skip
    return table


def _divergence(result: Verification, console: Console) -> None:
    """The first tensor that diverges, and the likely cause."""
    first = result.first
    if first is None:
        console.print(styled("\n  nothing was compared", "bold red"))
        return
    row = next(
        (it for it in result.rows if it.differs and (it.check, it.name) == (first.check, first.name)),
        None,
    )
    table = grid({"style": "dim"}, {})
    console.print(styled("\n  The first that differs", "bold red"))
    facts = {
        "layer": first.layer,
        "tensor": first.tensor,
        "in the port": first.name,
        "check": f"{first.check}: {_question(first.check)}",
        "error": _error(row, first.cause) if row else "",
        "likely cause": first.cause,
    }
    for name, value in facts.items():
        if value:
            table.add_row("", name, styled(value, "bold" if name == "likely cause" else ""))
    console.print(table)


def _error(row: Row, cause: str) -> str:
    """The errors of a comparison beside their limits; its note, if the cause does not say it."""
    parts = [
        f"{number(error)} in {name}, at most {number(limit)} is allowed"
        for name, error, limit in (
            ("float64", row.error64, row.limit),
            ("float32", row.error32, row.limit32),
        )
        if error is not None and limit is not None
    ]
    return "; ".join([*parts, *([row.note] if row.note and row.note not in cause else [])])


def _every(rows: list[Row]) -> Table:
    """A line for each comparison of one question."""
    right: dict[str, Any] = {"justify": "right", "no_wrap": True}
    folded: dict[str, Any] = {"overflow": "fold"}
    table = grid(
        folded, {**folded, "style": "dim"}, right, right, {**right, "style": "dim"},
        {"no_wrap": True}, {"style": "dim"},
    )  # fmt: skip
    heads = ("in the port", "in Keras", "float64", "float32", "TensorFlow float32", "", "")
    table.add_row("", *(styled(it, "dim") for it in heads))
    for row in rows:
        table.add_row(
            "", styled(row.name or row.layer), styled(row.tensor or row.layer),
            *map(number, (row.error64, row.error32, row.reference32)),
            styled(row.verdict, STYLES[row.verdict]), styled(row.note),
        )  # fmt: skip
    return table
