"""What a verification holds: comparisons take no room beside the tensors that they are of."""

import tracemalloc

import numpy as np
import pytest

from torchport.verify import compare, memory


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of seven values."""
    monkeypatch.setattr(compare, "BLOCK", 7)


ARRAYS = (
    np.arange(30.0),
    np.arange(2 * 3 * 5 * 7.0).reshape(2, 3, 5, 7).transpose(2, 0, 3, 1),
    np.full((1, 31), -4.0, np.float32),
    np.array(3.0),
    np.zeros((0, 4)),
    np.broadcast_to(np.arange(4.0)[:, None], (4, 9)),
)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda it: str(it.shape))
def test_blocks_have_each_value_once(few: None, array: np.ndarray) -> None:
    found = [part for (part,) in compare.blocks(array)]
    assert all(part.size <= 7 for part in found)
    values = np.concatenate([part.ravel() for part in found])
    assert sorted(values) == sorted(array.ravel())


@pytest.mark.parametrize("odd", [None, np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["got", "want", "both"])
def test_blocks_change_no_comparison(odd: float | None, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    want = rng.standard_normal((5, 3, 11)).transpose(1, 2, 0)
    got = want + 1e-9 * rng.standard_normal(want.shape)
    for name, array in (("got", got), ("want", want)):
        if odd is not None and side in (name, "both"):
            array[1, 4, 2] = odd
    expected = compare.compare(got, want), compare.size_of(want), compare.distance_of(got, want)
    monkeypatch.setattr(compare, "BLOCK", 7)
    found = compare.compare(got, want), compare.size_of(want), compare.distance_of(got, want)
    assert repr(found) == repr(expected)


def test_whole_numbers_are_counted_over_all_blocks(few: None) -> None:
    want = np.arange(40)
    got = np.where(want % 10 == 3, -1, want)
    assert compare.compare(got, want).distance == 0.1
    assert not compare.same_bits(got, want) and compare.same_bits(want.copy(), want)
    assert not compare.same_bits(np.array([0.0]), np.array([-0.0]))


def test_a_comparison_takes_no_room_beside_a_large_tensor() -> None:
    want = np.ones((1024, 4096)).T  # as a kernel is turned
    got = want.copy()
    tracemalloc.start()
    found = compare.compare(got, want), compare.largest(got), compare.same_bits(got, want)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == (compare.Compared(0.0, 1.0), 1.0, True)
    assert peak < got.nbytes / 3


def test_only_a_process_that_grew_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search takes a third of a second where both frameworks are imported; a verify asks for six."""
    searched: list[int] = []
    sizes = iter([1000, 1000 + memory.ROOM, 400, 10, 30, memory.ROOM + 9, memory.ROOM + 10, 50, None, 0])
    monkeypatch.setattr(memory, "resident", lambda: next(sizes))
    monkeypatch.setattr(memory.gc, "collect", lambda: searched.append(1))
    monkeypatch.setattr(memory, "_held", 900)
    counts = []
    for _ in range(7):
        memory.release()
        counts.append(len(searched))
    assert counts == [0, 1, 1, 1, 1, 2, 3]


def test_what_a_process_has() -> None:
    before = memory.resident()
    array = np.ones(1 << 24)
    after = memory.resident()
    assert (before is None) == (after is None)
    if before is not None and after is not None:
        assert array.nbytes * 0.9 < after - before < array.nbytes * 2
