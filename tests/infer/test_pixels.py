"""Which reshapes and transposes lay blocks of channels out as pixels."""

from __future__ import annotations

from typing import Any

import pytest
from tests.blocks.graphs import Network

from torchport.infer import infer
from torchport.pipeline import written


def network(
    shape: tuple[int, ...] = (4, 6, 9), split: tuple[int, ...] = (4, 6, 3, 3, 1),
    dims: tuple[int, ...] = (1, 3, 2, 4, 5), join: tuple[int, ...] = (12, 18, 1), conv: int = 0,
) -> tuple[Network, list[str]]:  # fmt: skip
    net = Network(shape)
    x = net.layer("Conv2D", "image", filters=conv, kernel_size=1) if conv else "image"
    a = net.layer("Reshape", x, target_shape=split)
    b = net.layer("Permute", a, dims=dims)
    return net, [a, b, net.layer("Reshape", b, target_shape=join)]


def kinds(net: Network, *outputs: str) -> list[str]:
    found = infer(net.graph(*outputs), refusals := [])
    assert not refusals
    return [op.kind.rpartition(".")[2] for op in found.ops]


CASES: dict[str, tuple[dict[str, Any], bool]] = {
    "one channel": ({}, True),
    "behind a convolution": ({"conv": 27, "split": (4, 6, 3, 3, 3), "join": (12, 18, 3)}, True),
    "several channels of something else":
        ({"shape": (4, 6, 27), "split": (4, 6, 3, 3, 3), "join": (12, 18, 3)}, False),
    "other axes": ({"dims": (1, 2, 3, 4, 5)}, False),
    "rows and columns changed": ({"dims": (1, 4, 2, 3, 5)}, False),
    "laid out otherwise": ({"join": (18, 12, 1)}, False),
    "of an image of another shape": ({"shape": (6, 4, 9)}, False),
    "blocks that are not square": ({"shape": (4, 6, 6), "split": (4, 6, 2, 3, 1), "join": (8, 18, 1)}, False),
    "laid out as channels": ({"join": (12, 9, 2)}, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_pixels(case: str) -> None:
    options, is_joined = CASES[case]
    net, (_, _, y) = network(**options)
    found = kinds(net, y)
    assert ("DepthToSpace" in found) == is_joined
    assert ("Permute" in found) != is_joined


@pytest.mark.parametrize("also", [0, 1])
def test_what_is_read_between_stays(also: int) -> None:
    net, names = network()
    assert "DepthToSpace" not in kinds(net, names[-1], names[also])


def test_the_program() -> None:
    net, (_, _, y) = network()
    assert "F.pixel_shuffle(image, 3)" in written(net.graph(y), "Net").code
