"""Expressions as text."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from typing import Any

from torchport.errors import BadFile
from torchport.program import (
    Apply,
    Attribute,
    Call,
    Code,
    Each,
    IfElse,
    Index,
    Infix,
    Mark,
    Module,
    State,
    Unpack,
    Var,
    is_loop,
    walk,
)

#: How tightly an operator binds.
BINDS = {
    "<": 0, "<=": 0, ">": 0, ">=": 0, "==": 0, "!=": 0, "|": 1, "&": 2, "+": 3, "-": 3, "*": 4, "/": 4,
    "//": 4, "%": 4, "@": 4, "**": 6,
}  # fmt: skip
ATOM = 9


class Writer:
    """Text for expressions, given names for tensors and for what the class holds.

    `turn`: what a module is called while a list of them is gone through.
    `marks`: write `_mark("tensor", value)` around every tensor of the source's graph; only ever parsed.
    """

    def __init__(
        self,
        variable: Callable[[str], str],
        attribute: Callable[[str, str], str],
        marks: bool = False,
        turn: str = "branch",
    ) -> None:
        self.variable, self.attribute, self.marks, self.turn = variable, attribute, marks, turn

    def text(self, value: Any) -> str:
        return self._bound(value)[0]

    def _bound(self, value: Any) -> tuple[str, int]:
        """The text, and how tightly its outermost operator binds."""
        if isinstance(value, Mark):
            text, binds = self._bound(value.value)
            return (f"_mark({value.tensor!r}, {text})", ATOM) if self.marks else (text, binds)
        if isinstance(value, Unpack):
            return self._bound(value.value)
        if isinstance(value, Attribute):
            return f"{self._operand(value.value, ATOM)}.{value.name}", ATOM
        if isinstance(value, Var):
            return self.variable(value.tensor), ATOM
        if isinstance(value, Code):
            return value.text, ATOM
        if isinstance(value, State):
            return f"self.{self.attribute(value.owner, value.role)}", ATOM
        if isinstance(value, Each):
            listed = next(it for it in walk(value.value) if is_loop(it))
            text = self.text(value.value)
            return f"{text} for {self.turn} in self.{self.attribute(listed.owner, listed.module.role)}", -1
        if is_loop(value):
            return f"{self.turn}({self.arguments(value.args, value.kwargs)})", ATOM
        if isinstance(value, Apply):
            callee = f"self.{self.attribute(value.owner, value.module.role)}"
            inside = f"({self.arguments(value.args, value.kwargs)})" if value.called else ""
            return f"{callee}{inside}", ATOM
        if isinstance(value, Call):
            if value.function.startswith("."):
                receiver = self._operand(value.args[0], ATOM)
                return (
                    f"{receiver}{value.function}({self.arguments(value.args[1:], value.kwargs)})",
                    ATOM,
                )
            return f"{value.function}({self.arguments(value.args, value.kwargs)})", ATOM
        if isinstance(value, Infix):
            mine = BINDS[value.symbol]
            left = self._operand(value.left, mine + (value.symbol == "**" or not mine))
            right = self._operand(value.right, mine + (value.symbol != "**"))
            return f"{left} {value.symbol} {right}", mine
        if isinstance(value, IfElse):
            texts = [self._operand(it, 0) for it in (value.value, value.test, value.other)]
            return f"{texts[0]} if {texts[1]} else {texts[2]}", -1
        if isinstance(value, Module):
            return self.constructor(value), -1 if value.when else ATOM
        if isinstance(value, Index):
            inside = ", ".join(self._index(at) for at in value.index)
            return f"{self._operand(value.value, ATOM)}[{inside}]", ATOM
        return self.literal(value), ATOM if not isinstance(value, (int, float)) or value >= 0 else 5

    def _operand(self, value: Any, needed: int) -> str:
        text, binds = self._bound(value)
        return text if binds >= needed else f"({text})"

    def _index(self, at: Any) -> str:
        if isinstance(at, slice):
            start, stop, step = ("" if it is None else self.text(it) for it in (at.start, at.stop, at.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return "..." if at is Ellipsis else self.text(at)

    def arguments(self, args: tuple[Any, ...], kwargs: Any) -> str:
        return ", ".join([*map(self.text, args), *(f"{key}={self.text(it)}" for key, it in kwargs.items())])

    def constructor(self, made: Module) -> str:
        """A module as it is built; without its condition nn.Identity stands for it."""
        if made.cls == "nn.Sequential":
            text = f"nn.Sequential({', '.join(repeated(list(map(self.text, made.args))))})"
        elif made.cls == "nn.ModuleList":
            texts = list(map(self.text, made.args))
            parts = repeated(texts)
            parts = pair_numbers(texts) if len(parts) > 2 else parts
            one = len(parts) == 1 and parts[0].startswith("*")
            text = f"nn.ModuleList{parts[0][1:]}" if one else f"nn.ModuleList([{', '.join(parts)}])"
        else:
            text = f"{made.cls}({self.arguments(made.args, made.kwargs)})"
        return f"{text} if {made.when} else nn.Identity()" if made.when else text

    def literal(self, value: Any) -> str:
        """A constant as a person writes it."""
        if isinstance(value, bool) or value is None or isinstance(value, str):
            return repr(value)
        if isinstance(value, int):
            return repr(value)
        if isinstance(value, float):
            return number(value)
        if isinstance(value, (list, tuple)):
            if any(isinstance(it, Each) for it in value):  # TorchScript has no stars
                parts = itertools.groupby(value, lambda it: id(it) if isinstance(it, Each) else 0)
                return " + ".join(f"[{', '.join(map(self.text, part))}]" for _, part in parts)
            inside = ", ".join(map(self.text, value))
            if isinstance(value, list):
                return f"[{inside}]"
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        raise BadFile(
            f"an option of a layer is {repr(value)[:60]}, which cannot be written as source text",
            advice="the file is damaged: save the model again",
        )


def repeated(texts: list[str]) -> list[str]:
    """Equal neighbours as one comprehension; so too neighbours of which one number differs."""
    found: list[str] = []
    at = 0
    while at < len(texts):
        count = next((n for n in range(1, len(texts) - at) if texts[at + n] != texts[at]), len(texts) - at)
        if count > 1:
            found.append(f"*({texts[at]} for _ in range({count}))")
        else:
            count, text = _varying(texts[at:])
            found.append(text)
        at += count
    return found


#: What a convolution's second and third number are.
PAIR = ("channels", "size")


def pair_numbers(texts: list[str]) -> list[str]:
    """Convolutions whose channels and kernels differ as one comprehension; others as `repeated` has them.

    `for channels, size in zip((170, 200, 150), (1, 2, 3))`.
    """
    split = [re.split(r"(?<=[\d(]), (\d+), (\d+)(?=[,)])", text, maxsplit=1) for text in texts]
    first = split[0]
    is_one = all(len(it) == 4 and (it[0], it[3]) == (first[0], first[3]) for it in split)
    if not is_one or not re.fullmatch(r"nn\.Conv\dd\(\d+", first[0]) or len(texts) <= LISTED:
        return repeated(texts)
    columns = ", ".join(_range_of([int(it[at]) for it in split]) for at in (1, 2))
    names = ", ".join(PAIR)
    return [f"*({first[0]}, {names}{first[3]} for {names} in zip({columns}, strict=True))"]


def _range_of(sizes: list[int]) -> str:
    """Numbers that grow by one as a range, others as they are."""
    if sizes == list(range(sizes[0], sizes[0] + len(sizes))):
        return f"range({sizes[0]}, {sizes[-1] + 1})"
    return f"({', '.join(map(str, sizes))})"


#: A number that stands alone; so many of them, at most, are listed where they grow by the same step.
NUMBER, LISTED = re.compile(r"(?<![\w.])(\d+)(?![\w.])"), 4


def _varying(texts: list[str]) -> tuple[int, str]:
    """The longest run from the first text of which one number differs, and its comprehension.

    `for size in range(64, 288, 32)` for many that grow evenly, else `for size in (3, 5, 7)`.
    """
    split = [NUMBER.split(text) for text in texts]
    places = [
        at for at in range(1, len(split[0]), 2)
        if len(texts) > 1 and len(split[1]) == len(split[0]) and split[0][at] != split[1][at]
    ]  # fmt: skip
    if len(places) != 1:
        return 1, texts[0]
    (place,) = places

    def text(value: str) -> str:
        return "".join([*split[0][:place], value, *split[0][place + 1 :]])

    alike = [words for words, whole in zip(split, texts, strict=True) if _fits(words, place, text, whole)]
    count = next((n for n, words in enumerate(split) if n >= len(alike) or words != alike[n]), len(split))
    sizes = [int(words[place]) for words in split[:count]]
    if count < 3 or any(one == other for one, other in itertools.pairwise(sizes)):
        return 1, texts[0]
    start, step = sizes[0], sizes[1] - sizes[0]
    even = next((n for n, size in enumerate(sizes) if size != start + step * n), count)
    keyword = re.search(r"(\w+)=$", split[0][place - 1])
    first = "features" if "Linear" in split[0][0] else "channels"
    name = keyword[1] if keyword else first if split[0][place - 1].endswith("(") else "size"
    if even > LISTED and step > 0:
        end = start + step * even
        sizes_text = f"range({start}, {end})" if step == 1 else f"range({start}, {end}, {step})"
        return even, f"*({text(name)} for {name} in {sizes_text})"
    return count, f"*({text(name)} for {name} in ({', '.join(map(str, sizes))}))"


def _fits(words: list[str], place: int, text: Callable[[str], str], whole: str) -> bool:
    """Whether a text is the first one but for the number in one place."""
    return place < len(words) and text(words[place]) == whole


def number(value: float) -> str:
    """The shortest text of a float: `1e-3`, not `0.001`."""
    if not math.isfinite(value):
        return f'float("{value}")'
    rounded = float(f"{value:.12g}")
    if math.isclose(rounded, value, rel_tol=1e-15):
        # 0.07500000000000001 is what arithmetic made of 0.075.
        value = rounded
    plain = repr(value)
    mantissa, _, exponent = f"{value:.16e}".partition("e")
    for digits in range(17):
        text = f"{value:.{digits}e}"
        if float(text) == value:
            mantissa, _, exponent = text.partition("e")
            break
    short = f"{mantissa}e{int(exponent)}"
    return short if len(short) < len(plain) - (0 if abs(value) < 0.01 else 1) else plain
