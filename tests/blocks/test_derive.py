"""What follows from a parameter is written so, and is no parameter of its own."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.blocks.derive import derived, padding_before
from torchport.blocks.nodes import ABSENT


@pytest.mark.parametrize(
    ("column", "found", "text"),
    [
        ((1, 0, 1), {"stride": (1, 2, 1)}, "1 if stride == 1 else 0"),
        (
            (1, 0, 2),
            {"stride": (1, 2, 1), "kernel_size": (3, 5, 5)},
            "kernel_size // 2 if stride == 1 else 0",
        ),
        ((1, 2, 2), {"kernel_size": (3, 5, 5)}, "kernel_size // 2"),
        ((0, 1, 0), {"stride": (1, 2, 1)}, None),
        ((1, 1, 0), {"stride": (1, 2, 2)}, None),
        ((1, 0, 2), {"stride": (1, 2, 1)}, None),
        ((1, 0, 1), {"stride": (1, 2, ABSENT)}, None),
        ((1, ABSENT, 0), {"stride": (1, 1, 2)}, "1 if stride == 1 else 0"),
        ((1, (1, 0), 0), {"stride": (1, 1, 2)}, None),
    ],
)
def test_a_padding(column: tuple[Any, ...], found: dict[str, tuple[Any, ...]], text: str | None) -> None:
    assert derived(column, "padding", list(found.items())) == text


@pytest.mark.parametrize(
    ("column", "found", "text"),
    [
        ((8, 16, 32), {"in_channels": (4, 8, 16)}, "2 * in_channels"),
        ((4, 8, 16), {"in_channels": (16, 32, 64)}, "in_channels // 4"),
        ((6, 8, 10), {"in_channels": (4, 6, 8)}, None),
        ((5, 8, 9), {"in_channels": (1, 2, 5), "out_channels": (4, 6, 4)}, "in_channels + out_channels"),
        ((8, 16, 30), {"in_channels": (4, 8, 16)}, None),
        (
            (51, 105, 212, 426),
            {
                "in_channels": (3, 51, 105, 212),
                "channels": (8, 17, 35, 71),
                "channels2": (17, 35, 71, 142),
                "channels3": (26, 53, 106, 213),
            },
            "channels + channels2 + channels3",
        ),
        (
            (51, 105, 212, 427),
            {"channels": (8, 17, 35, 71), "channels2": (17, 35, 71, 142), "channels3": (26, 53, 106, 213)},
            None,
        ),
        ((6, 8, 10), {"kernel_size": (3, 4, 5)}, None),
    ],
)
def test_a_size(column: tuple[Any, ...], found: dict[str, tuple[Any, ...]], text: str | None) -> None:
    assert derived(column, "hidden_channels", list(found.items())) == text


@pytest.mark.parametrize(
    ("column", "name", "text"),
    [
        ((9, 1024, 16), "hidden_features", "in_channels**2"),
        ((9, 1024, 16), "hidden_channels", None),
        ((9, 1024, 15), "hidden_features", None),
    ],
)
def test_a_square(column: tuple[Any, ...], name: str, text: str | None) -> None:
    assert derived(column, name, [("in_channels", (3, 32, 4))]) == text


@pytest.mark.parametrize(
    ("column", "found", "text"),
    [
        (((2, 0), (4, 0)), {"dilation": (1, 2)}, "(2 * dilation, 0)"),
        (((1, 0), (4, 0)), {"dilation": (1, 4)}, "(dilation, 0)"),
        (((2, 0), (8, 0)), {"kernel_size": (3, 5), "dilation": (1, 2)}, "((kernel_size - 1) * dilation, 0)"),
        (((2, 0), (4, 0)), {"kernel_size": (3, 5)}, "(kernel_size - 1, 0)"),
        (((0, 1), (1, 2)), {"kernel_size": (3, 5)}, "(kernel_size // 2 - 1, kernel_size // 2)"),
        (((1, 2), (2, 2)), {"kernel_size": (3, 5)}, "(kernel_size // 2, 2)"),
        (((2, 0), ABSENT, (4, 0)), {"dilation": (1, 5, 2)}, "(2 * dilation, 0)"),
        (((3, 1), (3, 1)), {"dilation": (1, 2)}, "(3, 1)"),
        (((0, 0), (0, 1)), {"dilation": (1, 2)}, None),
        (((0, 0), (0, 2)), {"kernel_size": (1, 3)}, "(0, kernel_size - 1)"),
        (((2, 0), (7, 0)), {"kernel_size": (3, 5), "dilation": (1, 2)}, None),
        (((2, 0), (4, 0, 0)), {"dilation": (1, 2)}, None),
        (((2, 0), 4), {"dilation": (1, 2)}, None),
        (((2, 0), (5, 0)), {"dilation": (1, 2)}, None),
        (((2, 0), (4, 0)), {"in_channels": (1, 2)}, None),
    ],
)
def test_a_padding_before(
    column: tuple[Any, ...], found: dict[str, tuple[Any, ...]], text: str | None
) -> None:
    assert padding_before(column, list(found.items())) == text
