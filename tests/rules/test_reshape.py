"""Where a Reshape does no more than add axes of one, and how that is written."""

from __future__ import annotations

import pytest
from tests.blocks.graphs import Network

from torchport.pipeline import written
from torchport.rules.reshape import _new_axes


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ((None, 4), (None, 4, 1), [2]), ((None, 4), (None, 1, 4), [1]), ((None, 4), (None, 4, 1, 1), [2, 3]),
        ((None, 2, 3), (None, 2, 1, 3), [2]), ((None, 2, 3), (None, 1, 2, 1, 3, 1), [1, 3, 5]),
        ((None, 1), (None, 1, 1), [2]), ((None, None, 4), (None, None, 4, 1), [3]),
        ((None, 4), (None, 4), []), ((None, 4), (None, 2, 2), []), ((None, 4), (None, 2, 2, 1), []),
        ((None, 2, 3), (None, 3, 2, 1), []), ((None, 2, 3), (None, 6, 1), []), ((None, 4, 1), (None, 4), []),
        ((None, None, None), (None, None, None, 1), []), ((None, 4), (None, 1), []),
    ],
)  # fmt: skip
def test_new_axes(before: tuple[int | None, ...], after: tuple[int | None, ...], found: list[int]) -> None:
    assert _new_axes(before, after) == found


@pytest.mark.parametrize(
    ("shape", "target", "text"),
    [
        ((4,), (1, 4), "unsqueeze("), ((4,), (1, 1, 4), "[:, None, None]"), ((4,), (2, 2), "unflatten(1, "),
        ((6, 4), (6, 1, 4), ".unsqueeze("), ((6, 4), (3, 8), "reshape(-1, "),
    ],
)  # fmt: skip
def test_how_a_reshape_is_written(shape: tuple[int, ...], target: tuple[int, ...], text: str) -> None:
    net = Network(shape)
    code = written(net.graph(net.layer("Reshape", "image", target_shape=target)), "Net").code
    assert text in code, code
