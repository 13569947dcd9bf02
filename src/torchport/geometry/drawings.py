"""Windows in letters: which taps of a kernel meet which steps, on an axis short enough to be shown."""

from __future__ import annotations

from collections.abc import Iterator

from torchport.rules.window import Transposed, Window

#: Taps of a kernel by their number.
TAPS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Wider windows, and more columns, are not drawn.
WIDEST, COLUMNS = 11, 30


def windows(over: Window, n: int) -> Iterator[str]:
    """A row for each output step: its taps under the steps that it reads; `·` is padding."""
    small = shorter(over, n)
    if small is None or not isinstance(small[0], Window):
        return
    before, after = small[0].pads(small[1]) or (0, 0)
    size = small[1]
    yield "x      " + " ".join(["·"] * before + [TAPS[at % 10] for at in range(size)] + ["·"] * after)
    for at in range(small[0].length(size) or 0):
        places = {at * over.s + tap * over.d: TAPS[tap] for tap in range(over.k)}
        row = [places.get(column, " ") for column in range(before + size + after)]
        yield f"y{at:<5} {' '.join(row)}".rstrip()


def stamps(over: Transposed, n: int) -> Iterator[str]:
    """A row for each input step: its taps over the output steps that it adds to; `×` is cut off."""
    small = shorter(over, n)
    if small is None:
        return
    size = small[1]
    length = over.length(size) or 0
    before, after = over.cuts(size)
    laid = (size - 1) * over.s + over.full
    columns = [at - before for at in range(max(laid, before + length))]
    for at in range(size):
        places = {at * over.s + tap * over.d: TAPS[tap] for tap in range(over.k)}
        yield f"x{at:<5} {' '.join(places.get(it, ' ') for it in range(len(columns)))}".rstrip()
    yield "y      " + " ".join(TAPS[it % 10] if 0 <= it < length else "×" for it in columns)
    counts = [len(over.reads(it, size)) for it in range(length)]
    numbers = [str(counts[it]) if 0 <= it < length else " " for it in columns]
    yield "taps   " + " ".join(numbers).rstrip()


def shorter(over: Window | Transposed, n: int) -> tuple[Window | Transposed, int] | None:
    """The same on an axis of few steps, padded and cut as the long one; None where the window is too wide."""
    if over.k > WIDEST or n < 1:
        return None
    if isinstance(over, Transposed):
        size = min(n, 4)
        return (over, size) if (size - 1) * over.s + over.full <= COLUMNS else None
    pads = over.pads(n)
    if pads is None or over.reach + sum(pads) > COLUMNS or min(pads) < 0:
        return None
    size = n
    while size > over.reach + 2 * over.s + 2:
        size -= over.s
    same = Window(over.k, over.s, over.d, pads)
    return (same, size) if size + sum(pads) <= COLUMNS else None
