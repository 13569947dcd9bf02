"""A page with a file's code and its port side by side, and what was proven of each function: one HTML file.

Both sides are text of the user's and are escaped; the page asks for nothing from anywhere.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape

from torchport.emit.source import formatted
from torchport.report import code
from torchport.source import SourcePort
from torchport.source.sites import SourceRefusal
from torchport.source.unit import Unit

#: A line of either side and its number; None for a gap.
Cell = tuple[int, str] | None
#: Pairs of lines that are less alike than this stand below each other.
ALIKE = 0.55
STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --dim: #6a6f76; --paper: #fff; --band: #f4f5f7;
  --line: #dcdfe4; --good: #176f3d; --bad: #a8281d; --lit: #fff3c4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e7ea; --dim: #9aa0a8; --paper: #17181b;
  --band: #1f2125; --line: #34373d; --good: #6fcf97; --bad: #ff8a7a; --lit: #40391c; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 110rem; color: var(--ink); background: var(--paper);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.3rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2rem 0 .25rem; overflow-wrap: anywhere; }
p, ul { margin: .25rem 0; } li { overflow-wrap: anywhere; }
.dim { color: var(--dim); } .good { color: var(--good); } .bad { color: var(--bad); }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: .5rem; margin: .5rem 0; }
figure { margin: 0; min-width: 0; border: 1px solid var(--line); border-radius: 6px;
  background: var(--band); }
figcaption { padding: .25rem .75rem; border-bottom: 1px solid var(--line); font-size: .85rem; }
pre { margin: 0; padding: .5rem 0; overflow-x: auto; font: 12.5px/1.5 ui-monospace, monospace; tab-size: 4; }
pre span { display: block; min-width: max-content; padding-right: .75rem; white-space: pre;
  min-height: 1.5em; }
pre span::before { content: attr(data-n); display: inline-block; width: 3.2em; padding-right: .8em;
  text-align: right; color: var(--dim); }
pre span:hover { background: var(--lit); }
details > summary { cursor: pointer; }
@media (max-width: 760px) { .pair { grid-template-columns: 1fr; } .gap { display: none; } }
"""


def page(port: SourcePort) -> str:
    """The whole page."""
    name = escape(port.source.path.name)
    body, title = "".join(sections(port)), f"{name}: TensorFlow and PyTorch"
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    summary = (
        f"{len(port.units)} proven, {len(port.refusals)} not ported. Each function was run on both sides in "
        "float64, with the same weights and draws: outputs, gradients, statistics."
    )
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="dim">{escape(summary)}</p>{body}</body></html>\n'
    )


def sections(port: SourcePort) -> Iterator[str]:
    """One section for each function or class that was ported or refused, in the source's order."""
    units = {it.name: it for it in port.units}
    refused: dict[str, list[SourceRefusal]] = {}
    for it in port.refusals:
        refused.setdefault(it.unit, []).append(it)
    lines, places = port.source.text.splitlines(), places_of(port.code)
    for node in port.source.definitions():
        start = min([node.lineno, *(it.lineno for it in node.decorator_list)])
        theirs = lines[start - 1 : node.end_lineno]
        if (unit := units.get(node.name)) is not None:
            ours = places.get(unit.cls) or (formatted(unit.text).splitlines(), 1)
            yield section(port, unit, theirs, start, *ours)
        elif node.name in refused:
            yield from refusal(node.name, refused[node.name], theirs, start)


def section(
    port: SourcePort, unit: Unit, theirs: Sequence[str], start: int, ours: Sequence[str], first: int
) -> str:
    rows = list(aligned(theirs, ours, start, first))
    proof = port.proofs[unit.name]
    cases = "".join(f"<li><code>{escape(str(it))}</code></li>" for it in proof.cases)
    failed = "".join(f"<li><code>{escape(it)}</code></li>" for it in proof.failed)
    notes = "".join(f"<li>{escape(it)}</li>" for it in unit.notes)
    return (
        f'<section><h2 id="{escape(unit.name)}">{escape(unit.name)} &rarr; {escape(code.becomes(unit))}</h2>'
        f'<p class="good">{code.proven(proof)}</p>'
        + "".join(f'<p class="dim">{escape(it)}</p>' for it in (*code.without(unit), *code.always(unit)))
        + f"<details><summary>What it was proven with</summary><ul>{cases}</ul></details>"
        + (
            f"<details><summary>What the source itself refuses</summary><ul>{failed}</ul></details>"
            if failed
            else ""
        )
        + (f'<ul class="dim">{notes}</ul>' if notes else "")
        + f'<div class="pair">{column("TensorFlow", [it for it, _ in rows])}'
        f"{column('PyTorch', [it for _, it in rows])}</div></section>"
    )


def refusal(name: str, found: Sequence[SourceRefusal], theirs: Sequence[str], start: int) -> Iterator[str]:
    said = "".join(
        f"<li>line {it.line}: <code>{escape(it.text)}</code> {escape(it.why)}"
        + (f" &rarr; {escape(it.advice)}" if it.advice else "") + "</li>"
        for it in found
    )  # fmt: skip
    lines: list[Cell] = [(start + at, it) for at, it in enumerate(theirs)]
    yield (
        f'<section><h2 id="{escape(name)}">{escape(name)}</h2><p class="bad">not ported</p>'
        f'<ul class="bad">{said}</ul><details><summary>Its source</summary>{column("TensorFlow", lines)}'
        "</details></section>"
    )


def column(title: str, cells: Sequence[Cell]) -> str:
    """One side. Gaps keep the lines of both sides level."""
    lines = [
        '<span class="gap" data-n=""></span>'
        if it is None
        else f'<span data-n="{it[0]}">{escape(it[1])}</span>'
        for it in cells
    ]
    text = "".join(lines)
    return f'<figure><figcaption class="dim">{title}</figcaption><pre tabindex="0">{text}</pre></figure>'


def places_of(text: str) -> dict[str, tuple[list[str], int]]:
    """The lines of each function and class of a file, and the number of the first."""
    lines = text.splitlines()
    return {
        node.name: (lines[node.lineno - 1 : node.end_lineno], node.lineno)
        for node in reversed(ast.parse(text).body)  # the first of a name counts
        if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }


def aligned(
    theirs: Sequence[str], ours: Sequence[str], start: int, first: int
) -> Iterator[tuple[Cell, Cell]]:
    """Both sides line by line: those that say the same stand level, in the order of each side.

    The pairs of the greatest likeness in all (Needleman and Wunsch), without a price for gaps.
    """
    told, said = [list(map(words, it)) for it in (theirs, ours)]
    likeness = [[alike(a, b) for b in said] for a in told]
    best = [[0.0] * (len(ours) + 1) for _ in range(len(theirs) + 1)]
    for i in range(len(theirs) - 1, -1, -1):
        for j in range(len(ours) - 1, -1, -1):
            both = likeness[i][j] + best[i + 1][j + 1] if likeness[i][j] else 0.0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    i = j = 0
    while i < len(theirs) or j < len(ours):
        left: Cell = (start + i, theirs[i]) if i < len(theirs) else None
        right: Cell = (first + j, ours[j]) if j < len(ours) else None
        if left and right and likeness[i][j] and best[i][j] == likeness[i][j] + best[i + 1][j + 1]:
            i, j = i + 1, j + 1
            yield left, right
        elif left and (not right or best[i][j] == best[i + 1][j]):
            i += 1
            yield left, None
        else:
            j += 1
            yield None, right


def alike(one: Sequence[str], other: Sequence[str]) -> float:
    """How much two lines say the same, by their words: 0 to 1; 0 below ALIKE."""
    if not one or not other:
        return 0.0 if one or other else 0.1
    common = sum((Counter(one) & Counter(other)).values())
    found = 2 * common / (len(one) + len(other))
    if one[0] == other[0] and one[0] in ("def", "class", "for", "if", "else", "return"):
        found = max(found, ALIKE)
    if target(one) and target(one) == target(other):
        found = max(found, ALIKE)
    return found if found >= ALIKE else 0.0


def target(line: Sequence[str]) -> Sequence[str]:
    """The words of what a line assigns to."""
    return line[: line.index("=")] if "=" in line and "(" not in line[: line.index("=")] else ()


def words(line: str) -> list[str]:
    """The words of a line, those of both frameworks alike as one."""
    text = re.sub(r"\bcall\b", "forward", re.sub(r"\b(layers|tf|nn|F|torch|keras|self)\.", "", line))
    return re.findall(r"[A-Za-z_]\w*|[^\sA-Za-z_]", text)


__all__ = ["page"]
