"""Text that is safe and pleasant to read in a terminal.

Names in a model are anyone's: no text from it is read as markup, and no control character in it
reaches the terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

#: Columns of text that goes to a file or a pipe.
WIDTH = 100


def plain(text: object) -> str:
    """The text with everything that would steer a terminal spelled out; newlines stay.

    >>> plain("a\\x1b[2Jb")
    'a\\\\x1b[2Jb'
    """
    return "".join(
        it if it.isprintable() or it == "\n" else it.encode("unicode_escape").decode() for it in str(text)
    )


def styled(text: object, style: str = "") -> Text:
    """The text in a style, not read as markup."""
    from rich.text import Text

    return Text(plain(text), style)


def console(error: bool = False) -> Console:
    """The terminal; what is printed to a file or a pipe is not cut to 80 columns."""
    from rich.console import Console

    made = Console(stderr=error, highlight=False, emoji=False, markup=False)
    if not made.is_terminal:
        made.width = WIDTH
    return made


def grid(*columns: dict[str, Any]) -> Table:
    """An indented table without lines; a column for each dict of options."""
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), pad_edge=False)
    for options in ({"width": 0}, *columns):
        table.add_column(**options)
    return table


def size(count: int) -> str:
    """Bytes as a person reads them: `124 MB`, in steps of 1000.

    >>> [size(it) for it in (999, 3939, 124_126_980)]
    ['999 B', '3.9 kB', '124 MB']
    """
    value, unit = float(count), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            break
        value /= 1000
    return f"{value:.1f} {unit}" if value < 9.95 and unit != "B" else f"{value:.0f} {unit}"


def counted(count: int, noun: str) -> str:
    """`1 permute`, `2 permutes`, `1,000 permutes`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
