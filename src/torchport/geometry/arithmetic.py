"""The size of an axis, in full, as numbers that one can follow."""

from __future__ import annotations

from torchport.rules.window import Adaptive, Among, Past, Reading, Stretch, Table, Transposed, Whole, Window


def says(reading: Reading, n: int | None) -> str:
    """How long the output is, and why; empty where it is as long as the input.

    >>> says(Window(3, 2, padding="same"), 256)
    '(256 + 0 + 1 - 3) // 2 + 1 = 128'
    """
    if n is None or reading == Window(1) or isinstance(reading, (Past, Among)):
        return ""
    length = reading.length(n)
    if isinstance(reading, Window):
        before, after = reading.pads(n) or (0, 0)
        if reading.k == 1 and reading.s == 1:
            return f"{n} {signed(before)} {signed(after)} = {length}"
        reach = f" (its {reading.k} taps reach over {reading.reach})" if reading.d > 1 else ""
        edge = ", mirrored at both ends" if reading.edge == "reflect" else ""
        whole = f"({n} {signed(before)} {signed(after)} - {reading.reach}) // {reading.s} + 1"
        return f"{whole} = {length}{reach}{edge}"
    if isinstance(reading, Transposed):
        laid = (n - 1) * reading.s + reading.full
        before, after = reading.ends(n)
        tail = f"{after} off the end" if after >= 0 else f"{-after} of zeros added at the end"
        whole = f"({n} - 1) * {reading.s} + {reading.full} = {laid} are stamped"
        return f"{whole}; {before} off the start, {tail}: {length}"
    if isinstance(reading, Stretch):
        if reading.size is None:
            return f"{n} * {reading.factor} = {length}, {reading.method}"
        return (
            f"{n} to {reading.size}, {reading.method}: an output step stands for {float(reading.scale(n)):g}"
        )
    if isinstance(reading, Table):
        return f"{n} become {length}" if length != n else ""
    if isinstance(reading, Adaptive):
        return f"{n} in {reading.size} pieces"
    if isinstance(reading, Whole):
        return "" if reading.keeps else f"{n} become one"
    return ""


def signed(count: int) -> str:
    """`+ 1` or `- 1`."""
    return f"{'-' if count < 0 else '+'} {abs(count)}"
