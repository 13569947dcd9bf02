"""What `forward` does in training alone, as a statement.

before:  x = (x + noise if self.training else x)
after:   if self.training:
             x = x + noise
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torchport.emit.variables import Statement
from torchport.program import TRAINING, Assign, is_choice, walk


@dataclass(frozen=True)
class Branches:
    """The lines that are run in training alone, and those in inference alone."""

    training: tuple[Statement, ...] = ()
    inference: tuple[Statement, ...] = ()


def branched(lines: Sequence[Statement]) -> list[Statement | Branches]:
    """The statements of a body, those of one mode together, with the lines that they alone read."""
    found: list[Statement | Branches] = []
    for at, line in enumerate(lines):
        sides = [[it] if it is not None else [] for it in sides_of(line)]
        if not any(sides):
            found.append(line)
            continue
        read = [set().union(*(it.reads for it in side)) for side in sides]
        later = set().union(*(it.reads for it in lines[at + 1 :]))
        while found and isinstance(before := found[-1], Statement) and moves(before):
            outputs = set(before.outputs)
            users = [number for number in (0, 1) if outputs & read[number]]
            if outputs & later or len(users) != 1:
                break
            sides[users[0]].insert(0, before)
            read[users[0]] |= before.reads
            found.pop()
        before = found[-1] if found else line
        if isinstance(before, Branches):
            found.pop()
            sides = [[*before.training, *sides[0]], [*before.inference, *sides[1]]]
        found.append(Branches(tuple(sides[0]), tuple(sides[1])))
    return found


def sides_of(line: Statement) -> tuple[Statement | None, Statement | None]:
    """What a statement is in training and in inference, where it is not the same in both."""
    value = line.value
    if is_choice(value):
        return Statement(line.outputs, value.value), Statement(line.outputs, value.other)
    if isinstance(value, Assign) and value.test:
        alone = Statement(line.outputs, replace(value, test=""))
        return (alone, None) if value.test == TRAINING.text else (None, alone)
    return None, None


def moves(line: Statement) -> bool:
    """Whether a line may be left to one mode: it gives something, and assigns nothing."""
    return bool(line.outputs) and not any(isinstance(it, Assign) for it in walk(line.value))
