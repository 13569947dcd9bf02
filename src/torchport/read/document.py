"""JSON from a model file, and the checks that each piece of it is what the reader expects.

A model file is untrusted: every access goes through one of these functions, so that a wrong type
anywhere becomes a BadFile that says what was expected and where, never a TypeError.
"""

from __future__ import annotations

import json
from typing import Any

from torchport.errors import BadFile

#: Levels of JSON. A nested model adds four, so a hundred models in each other still fit.
DEPTH = 440
#: The largest size of one axis; no framework can hold a tensor with a longer one.
LARGEST = 2**31


def parse(data: bytes | str, where: str) -> Any:
    """The tree of plain Python values in a JSON text."""
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        tree = json.loads(text)
    except RecursionError:
        raise too_deep(where) from None
    except ValueError as problem:  # JSONDecodeError, UnicodeDecodeError, integers of absurd length
        raise BadFile(
            f"not valid JSON ({problem})", where=where, advice="the file is damaged: save it again"
        ) from None
    return bounded(tree, where)


def bounded(tree: Any, where: str) -> Any:
    """The same tree, if no deeper than DEPTH and all of its names are text that can be written."""
    level = [tree]
    for _ in range(DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                for key in value:
                    text(key, "a key", where)
                below.extend(value.values())
            elif isinstance(value, (list, tuple)):
                below.extend(value)
            elif isinstance(value, str):
                text(value, "a text", where)
        if not below:
            return tree
        level = below
    raise too_deep(where)


def too_deep(where: str) -> BadFile:
    return BadFile(
        "the configuration is nested too deeply",
        where=where,
        advice="no real model is: the file is damaged or made to do harm",
    )


def wrong(what: str, expected: str, value: Any, where: str) -> BadFile:
    """The error for a value of the wrong type."""
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
    return BadFile(
        f"{what} should be {expected}, not {shown}",
        where=where,
        advice="the file is damaged, or its format is newer than this torchport: save it again",
    )


def mapping(value: Any, what: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(what, "a dictionary", value, where)
    for key in value:
        if not isinstance(key, str):
            raise wrong(f"a key of {what}", "a text", key, where)
    return value


def sequence(value: Any, what: str, where: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise wrong(what, "a list", value, where)
    return list(value)


def text(value: Any, what: str, where: str) -> str:
    if not isinstance(value, str):
        raise wrong(what, "a text", value, where)
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        # Half a UTF-16 pair: it can be neither printed nor written to a file.
        raise wrong(what, "a text in Unicode", ascii(value), where)
    return value


def integer(value: Any, what: str, where: str, low: int = 0, high: int = LARGEST) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise wrong(what, f"a whole number from {low} to {high}", value, where)
    return value


def shape(value: Any, what: str, where: str) -> tuple[int | None, ...]:
    """A shape as saved; None is a size known only at run time."""
    sizes = sequence(value, what, where)
    if len(sizes) > 32:
        raise wrong(what, "a shape of at most 32 axes", value, where)
    return tuple(None if s is None else integer(s, f"a size in {what}", where) for s in sizes)
