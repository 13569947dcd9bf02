"""What a block must be after every step of the search."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.blocks.block import Block, Slot

IN = ("in", 0)


def block(reads: list[tuple[Any, ...]], outputs: tuple[Any, ...]) -> Block:
    return Block(1, [Slot(str(at), wires) for at, wires in enumerate(reads)], outputs)


def test_one_behind_another() -> None:
    block([(IN,), ((0, 0),), ((1, 0), IN)], ((2, 0),)).check()
    block([(IN,)], ((0, 0), (0, 1), IN)).check()


@pytest.mark.parametrize(
    ("reads", "outputs", "said"),
    [
        ([(IN,), ((1, 0),)], ((1, 0),), "slot 1 reads what comes later"),
        ([((1, 0),), (IN,)], ((1, 0),), "slot 0 reads what comes later"),
        ([(IN,), ((0, 0),)], ((2, 0),), "an output that nothing gives"),
        ([(IN,), ((0, 0),)], ((1, 0), (5, 0)), "an output that nothing gives"),
    ],
)
def test_what_is_none(reads: list[tuple[Any, ...]], outputs: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        block(reads, outputs).check()
