"""What one element of an output reads, in words: axis by axis of each tensor that its op reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from torchport.geometry.links import POINT, Digit, Link
from torchport.rules.window import Among, Part, Past, Pick, Rotation, Table, Whole, Window

if TYPE_CHECKING:
    from torchport.geometry.cards import Subject


def read(subject: Subject) -> Iterator[str]:
    """What one element of the output reads."""
    several = len(subject.reads) > 1
    for x, links in subject.reads[:4]:
        words = [word(letter, link) for letter, link in zip(x.keras.axes[1:], links[1:], strict=True)]
        words = words or ["its sample"]
        if subject.op.kind == "time:fold":
            words[0] = f"one {x.keras.axes[1]}"
        yield f"an element of the output reads{f' of {x.id}' if several else ''}: {', '.join(words)}"


def word(letter: str, link: Link) -> str:
    """What it reads along one axis."""
    reading = link.reading
    if isinstance(reading, (Among, Table)):
        return reading.says.format(letter)
    if isinstance(reading, Pick):
        return f"{letter} = {reading.step}"
    if isinstance(reading, Part):
        return f"its {letter}, if that is {reading.before} to {reading.before + (link.n or 1) - 1}"
    if isinstance(reading, Whole) or link.axis is None:
        if link.n == 1:
            return f"the one {letter}"
        return f"all {link.n} {letter}" if link.n is not None else f"all {letter}"
    if reading == POINT:
        return f"its own {letter}"
    if isinstance(reading, Past):
        return f"every {letter} {'from' if reading.backwards else 'up to'} its own"
    if isinstance(reading, Digit):
        return f"one {letter}"
    if isinstance(reading, Rotation):
        back = f"{abs(reading.by)} {'back' if reading.by > 0 else 'on'} and around"
        return f"its {letter}, {'counted from the end' if reading.backwards else back}"
    first, last = link.spans
    wide = (last - first + 1).clip(0)
    if isinstance(reading, Window) and reading.k == 1 and reading.s == 1:
        return f"its {letter}, moved by {(reading.pads(link.n) or (0, 0))[0]}"
    if isinstance(reading, Window) and reading.d > 1:
        return f"{reading.k} {letter}, {reading.d} apart"
    if wide.min() == wide.max():
        return f"{wide.max()} {letter}"
    return f"{wide.min()} to {wide.max()} {letter}"
