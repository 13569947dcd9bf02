"""A card in a terminal: its sections, wrapped to the width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from torchport.geometry.network import Network, Op
from torchport.geometry.table import Line
from torchport.report.terminal import plain

#: Sections whose lines are pictures: they are not wrapped.
PICTURES = ("window", "stamps")
MARGIN = 12


def lines(op: Op, network: Network, width: int) -> Iterator[Line]:
    """The card of a call; in a narrow terminal a section's title stands above it."""
    yield [(f"  {plain(op.id)}", "bold green"), (f"  of {plain(network.name)}", "dim")]
    is_narrow = width < 60
    margin = 4 if is_narrow else MARGIN
    for section in op.card:
        if is_narrow:
            yield [(f"  {section.title}", "dim")]
        for number, text in enumerate(section.lines):
            title = "" if is_narrow or number else section.title
            for at, piece in enumerate(wrapped(plain(text), width - margin, section.title in PICTURES)):
                yield [(f"  {title if not at else ''}".ljust(margin), "dim"), (piece, "")]


def wrapped(text: str, width: int, is_picture: bool) -> list[str]:
    """A line in pieces of that width, those behind the first indented; columns are kept where it fits."""
    if is_picture or len(text) <= width:
        return [text]
    indent = " " * (len(text) - len(text.lstrip(" ")))
    if "    " in text.strip():  # what stands apart goes below
        first, _, rest = text.strip().partition("    ")
        pieces = (f"{indent}{first}", f"{indent}  {rest.strip()}")
        return [it for piece in pieces for it in wrapped(piece, width, False)]
    return textwrap.wrap(
        text.strip(), max(width, 20), initial_indent=indent, subsequent_indent=f"{indent}  ",
        break_long_words=False,
    ) or [text]  # fmt: skip
