"""Turning, naming and placing axes, and back: every way there is undone by the way back."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchport import axes
from torchport.axes import Order, Turn

SIZES = (2, 3, 5, 7, 11)
NAMES = ("h", "w", "i", "o", "m")

settings.register_profile("axes", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("axes")

orders = st.sampled_from(list(Order))
ranks = st.integers(0, 6)


def filled(shape: tuple[int, ...]) -> np.ndarray:
    """An array in which every value is another."""
    return np.arange(math.prod(shape), dtype="float64").reshape(shape)


@st.composite
def turns(draw: Callable[[st.SearchStrategy[Any]], Any]) -> tuple[Turn, tuple[int, ...]]:
    """A turn of a weight with up to 4 axes, some of which may be flattened images, and its shape."""
    rank = draw(st.integers(1, 4))
    regroup, shape = [], []
    for axis in range(rank):
        parts = draw(st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=3), max_size=2))
        size = sum(math.prod(part) for part in parts)
        if parts and draw(st.booleans()):
            regroup.append((axis, tuple(map(tuple, parts))))
            shape.append(size)
        else:
            shape.append(draw(st.sampled_from(SIZES)))
    names = NAMES[:rank]
    right = list(draw(st.permutations(names)))
    sizes: list[tuple[str, int]] = []
    if rank > 1 and not regroup and draw(st.booleans()):  # merge two, as depthwise kernels do
        first, second = right[:2]
        right = [f"({first} {second})", "1", *right[2:]]
        sizes = [(second, shape[names.index(second)])]
    pattern = f"{' '.join(names)} -> {' '.join(right)}"
    return Turn(pattern, tuple(regroup), tuple(sizes)), tuple(shape)


@pytest.mark.parametrize("view", [(), (8, 3)])
def test_gates_in_another_order_of_memory(view: tuple[int, ...]) -> None:
    """Four gates of 2 units over 3 features: each gate's block is read again row by row, or stays."""
    pattern = "i (g o) -> (g i o)" if view else "i (g o) -> (g i) o"
    turn = Turn(pattern, (), (("g", 4), ("o", 2)), ((1, 4, (1, 0, 2, 3)),), view)
    array = filled((3, 8))
    gates = [array[:, [2 * at, 2 * at + 1]] for at in (1, 0, 2, 3)]
    wanted = np.concatenate([it.reshape(2, 3) if view else it for it in gates])
    assert np.array_equal(turn.apply(array), wanted)
    assert np.array_equal(turn.undo(wanted), array)
    assert turn.shape(array.shape) == wanted.shape
    assert np.array_equal(np.concatenate(list(turn.pieces(array))), wanted)


@pytest.mark.parametrize(
    ("pattern", "shape", "sizes"),
    [
        ("i (g o) -> g o i", (3, 8), {"g": 4}),
        ("i (g o) -> (o g) i", (3, 8), {"o": 2}),
        ("h w (m i) o -> (m o) i 1 h w", (3, 2, 6, 5), {"m": 2}),
    ],
)
def test_an_axis_in_parts_of_which_one_is_given(
    pattern: str, shape: tuple[int, ...], sizes: dict[str, int]
) -> None:
    turn, array = Turn(pattern, (), tuple(sizes.items())), filled(shape)
    turned = turn.apply(array)
    assert turn.shape(shape) == turned.shape
    for at in np.ndindex(shape):
        place = turn.index(shape, at)
        assert place is not None
        assert turned[place] == array[at]


@pytest.mark.parametrize(
    ("pattern", "shape", "count"),
    [
        ("i o -> o i", (6, 5), 3), ("h w i o -> o i h w", (2, 2, 3, 5), 3), ("h i o -> i o h", (2, 5, 3), 3),
        ("i o -> i o", (6, 5), 1), ("i o -> (i o)", (6, 5), 1),
    ],
)  # fmt: skip
def test_a_large_array_is_turned_in_pieces(pattern: str, shape: tuple[int, ...], count: int) -> None:
    turn, array = Turn(pattern), filled(shape)
    pieces = list(turn.pieces(array, array.nbytes * 2 // 5))
    assert len(pieces) == count
    assert all(piece.flags.c_contiguous for piece in pieces)
    assert np.array_equal(np.concatenate(pieces), turn.apply(array))


def test_texts_of_what_no_pattern_says() -> None:
    """What is done before the pattern, and behind it, in words."""
    gates = Turn("i o -> o i", blocks=((1, 4, (0, 2)),))
    assert gates.text == "i o -> o i (after taking blocks 0, 2 of 4 along axis 1)"
    assert Turn("i o -> (i o)", view=(8, 3)).text == "i o -> (i o) (gate by gate, read again as 8 x 3)"
    pieces = Turn("i o -> o i", regroup=((0, ((2, 3), (5,))),))
    assert pieces.text == "i o -> o i (after turning axis 0 in pieces [(2, 3), (5,)])"
    assert Turn("i o -> o i", regroup=((0, ((2, 3, 5),)),)).text == "(h w c) o -> o (c h w)"


@given(turns())
def test_turn_is_undone(case: tuple[Turn, tuple[int, ...]]) -> None:
    turn, shape = case
    array = filled(shape)
    turned = turn.apply(array)
    assert turned.shape == turn.shape(shape)
    assert sorted(turned.flat) == sorted(array.flat)
    assert np.array_equal(turn.undo(turned), array)


@given(turns())
def test_an_element_is_found_where_it_went(case: tuple[Turn, tuple[int, ...]]) -> None:
    turn, shape = case
    array = filled(shape)
    turned = turn.apply(array)
    for at in list(np.ndindex(shape))[:: array.size // 100 + 1]:
        place = turn.index(shape, at)
        assert place is not None
        assert turned[place] == array[at]


@pytest.mark.parametrize(
    ("turn", "shape"),
    [
        (Turn("i (g o) -> (g i) o", (), (("g", 3), ("o", 2)), ((1, 4, (2, 0, 1)),)), (3, 8)),
        (Turn("i (g o) -> (g i o)", (), (("g", 2), ("o", 2)), ((1, 4, (3, 1)),), (4, 3)), (3, 8)),
        (Turn("i o -> o i", blocks=((0, 2, (1,)), (1, 3, (2, 1)))), (4, 9)),
        (Turn("i o -> o i", regroup=((0, ((2, 3), (5,), (2, 1, 2))),), blocks=((1, 2, (1,)),)), (15, 4)),
    ],
)
def test_of_blocks_that_are_left_out(turn: Turn, shape: tuple[int, ...]) -> None:
    """What is taken is found where it went; what is left out is nowhere, and does not come back."""
    array = filled(shape)
    turned = turn.apply(array)
    assert turned.shape == turn.shape(shape)
    places = {at: turn.index(shape, at) for at in np.ndindex(shape)}
    assert {array[at]: place for at, place in places.items() if place is not None} == {
        turned[place]: place for place in np.ndindex(turned.shape)
    }
    assert np.array_equal(turn.undo(turned), turn.part(array))
    assert turn.part(array).size == turned.size


def test_a_place_behind_the_end_of_its_pieces() -> None:
    turn = Turn("i o -> o i", regroup=((0, ((2, 3), (1,))),))
    assert turn.index((8, 2), (6, 1)) == (1, 6)
    with pytest.raises(IndexError, match="7 is behind"):
        turn.index((8, 2), (7, 1))


def test_places_in_memory() -> None:
    for place, at in enumerate(np.ndindex(SIZES[:3])):
        assert axes.ravel(at, SIZES[:3]) == place
        assert axes.unravel(place, SIZES[:3]) == at


@given(turns())
def test_text_says_the_whole_turn(case: tuple[Turn, tuple[int, ...]]) -> None:
    """Where one einops pattern can say it, that pattern alone does the same."""
    turn, shape = case
    if any(len(parts) > 1 for _, parts in turn.regroup):
        assert "in pieces" in turn.text
        return
    left = axes.parse(turn.text.split("->")[0])
    sizes = dict(turn.sizes)
    for axis, (part,) in turn.regroup:
        sizes.update(zip(left[axis].strip("()").split(), part, strict=True))
    array = filled(shape)
    assert np.array_equal(axes.turn(array, turn.text, **sizes), turn.apply(array))


@given(ranks, orders, orders)
def test_dims_bring_one_order_into_the_other(rank: int, source: Order, target: Order) -> None:
    array = filled(SIZES[:rank] + (1,) * (rank - 5 if rank > 5 else 0))
    held = array.transpose(axes.dims(Order.SOURCE, source, array.ndim))
    there = held.transpose(axes.dims(source, target, array.ndim))
    assert np.array_equal(there, array.transpose(axes.dims(Order.SOURCE, target, array.ndim)))
    assert np.array_equal(there.transpose(axes.dims(target, source, array.ndim)), held)


@given(ranks, orders)
def test_to_order_and_back(rank: int, order: Order) -> None:
    items = tuple(range(rank))
    assert axes.from_order(axes.to_order(items, order), order) == items
    assert axes.to_order(axes.from_order(items, order), order) == items


@given(st.integers(1, 6), orders, st.data())
def test_position_finds_the_axis(rank: int, order: Order, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-rank, rank - 1))
    held = axes.to_order(tuple(range(rank)), order)
    assert held[axes.position(axis, rank, order)] == axis % rank


@given(st.permutations(NAMES), st.permutations(NAMES))
def test_permutation_is_what_transpose_takes(source: list[str], target: list[str]) -> None:
    array = filled(SIZES).transpose([NAMES.index(name) for name in source])
    turned = array.transpose(axes.permutation(source, target))
    assert turned.shape == tuple(SIZES[NAMES.index(name)] for name in target)
    back = turned.transpose(axes.permutation(target, source))
    assert np.array_equal(back, array)


@given(st.permutations(NAMES), st.permutations(range(5)))
def test_composed_patterns_are_one_after_the_other(middle: list[str], last: list[int]) -> None:
    first = f"{' '.join(NAMES)} -> {' '.join(middle)}"
    second = f"a b c d e -> {' '.join('abcde'[at] for at in last)}"
    array = filled(SIZES)
    both = axes.turn(axes.turn(array, first), second)
    assert np.array_equal(axes.turn(array, axes.compose(first, second)), both)
    assert np.array_equal(axes.turn(both, axes.invert(axes.compose(first, second))), array)


@pytest.mark.parametrize("axis", [4, -5])
def test_an_axis_that_is_not_there(axis: int) -> None:
    with pytest.raises(ValueError, match="with 4 axes"):
        axes.position(axis, 4, Order.SOURCE)


def test_names_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not name the same axes"):
        axes.permutation(("n", "c"), ("n", "h"))
    with pytest.raises(ValueError, match="gives 2 axes"):
        axes.compose("a b -> b a", "a b c -> c b a")


def test_examples_in_docstrings_run() -> None:
    assert doctest.testmod(axes).failed == 0
