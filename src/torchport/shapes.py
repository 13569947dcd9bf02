"""Shapes as they stand in a docstring: `(n, 3, h, w)`, `(n, 64, h / 8, w / 8)`, `(n, t) int`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torchport.program import Spec

#: What a second and a third open size of an axis are called.
FURTHER = {"t": "su"}
#: What windows may take of a size, or of a multiple or fraction of it, that is still told by it.
SLACK = 8
#: So much larger or smaller, at most, a size is said to be.
MOST = 4096
#: So many times as large, at most.
TIMES = 64


class Shapes:
    """Names for the sizes that a class's inputs leave open; what other sizes are in their terms."""

    def __init__(self, inputs: Sequence[Spec]) -> None:
        self.names: dict[int, str] = {}
        for spec in inputs:
            for axis, size, number in zip(spec.axes, spec.shape, spec.probe, strict=True):
                if size is None and number is not None and number not in self.names:
                    self.names[number] = self._new(axis.word)

    def _new(self, axis: str) -> str:
        taken = set(self.names.values())
        known: list[str] = [
            axis,
            *FURTHER.get(axis, ""),
            *(axis + "'" * count for count in range(1, len(taken) + 2)),
        ]
        return next(it for it in known if it not in taken)

    def text(self, spec: Spec) -> str:
        """`(n, 3, h, w)`; behind it what the numbers are, if they are not fractions."""
        return f"{self.sizes(spec)} {spec.numbers}".rstrip()

    def sizes(self, spec: Spec) -> str:
        """`(n, 3, h, w)`."""
        columns = zip(spec.axes, spec.shape, spec.probe, strict=True)
        words = [self._word(" * ".join(axis.atoms), size, number) for axis, size, number in columns]
        return f"({words[0]},)" if len(words) == 1 else f"({', '.join(words)})"

    def _word(self, axis: str, size: int | None, number: int | None) -> str:
        if size is not None:
            return str(size)
        if number is None or not self.names:
            return axis
        return next(self._terms(axis, number), f"{axis}'")

    def _terms(self, axis: str, number: int) -> Iterator[str]:
        """A size in terms of the inputs', of its own axis first."""
        known = sorted(self.names.items(), key=lambda it: not it[1].startswith(axis))
        yield from (name for whole, name in known if whole == number)
        for whole, name in known:
            if number % whole == 0 and number // whole <= TIMES:
                yield f"{number // whole} * {name}"
            ratio = round(whole / number) if number > 0 else 0
            if 2 <= ratio <= MOST and abs(whole / ratio - number) <= SLACK:
                yield f"{name} / {ratio}"
            if abs(number - whole) <= MOST // 8:
                yield f"{name} {'+' if number > whole else '-'} {abs(number - whole)}"
        for at, (one, left) in enumerate(known):
            for other, right in known[at:]:
                if number == one + other:
                    yield f"{left} + {right}"
                if number > 0 and one * other % number == 0 and (ratio := one * other // number) <= MOST:
                    yield f"{left} * {right}" + (f" / {ratio}" if ratio > 1 else "")
