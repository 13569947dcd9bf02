"""What a block's docstring says of sizes that only the run time knows."""

from __future__ import annotations

import pytest
from tests.blocks.graphs import Network

from torchport.pipeline import written


def conv(net: Network, x: str, width: int, stride: int = 1, padding: str = "same") -> str:
    x = net.layer("Conv2D", x, filters=width, kernel_size=3, strides=stride, padding=padding)
    return net.layer("Activation", net.layer("BatchNormalization", x), activation="relu")


def halves(net: Network, x: str, width: int) -> str:
    x = conv(net, x, width, 2)
    return net.layer("Add", x, conv(net, x, width))


def pools(net: Network, x: str, width: int) -> str:
    return net.layer("MaxPooling2D", conv(net, conv(net, x, width), width), pool_size=2)


def grows(net: Network, x: str, width: int) -> str:
    return conv(net, conv(net, net.layer("UpSampling2D", x, size=2), width), width)


def stays(net: Network, x: str, width: int) -> str:
    return conv(net, conv(net, x, width), width)


def loses(net: Network, x: str, width: int) -> str:
    """Without padding an image becomes smaller by some pixels."""
    return conv(net, conv(net, x, width, padding="valid"), width)


SIZES = {halves: "h / 2, w / 2", pools: "h / 2, w / 2", grows: "2 * h, 2 * w", stays: "h, w", loses: "h', w'"}


@pytest.mark.parametrize("block", SIZES, ids=lambda it: it.__name__)
@pytest.mark.parametrize("size", [None, 128])
def test_sizes(block, size: int | None) -> None:  # type: ignore[no-untyped-def]
    net = Network((size, size, 3))
    x = "image"
    for width in (4, 6, 8, 6, 4, 6):
        x = block(net, x, width)
    code = written(net.graph(x), "Net").code
    assert f"(n, in_channels, h, w) -> (n, out_channels, {SIZES[block]})" in code
