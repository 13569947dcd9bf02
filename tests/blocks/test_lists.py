"""Branches side by side as lists of modules, from graphs made by hand: the text of the line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.blocks.graphs import Network, head, unit

from torchport.pipeline import written

CONV = {"filters": 4, "padding": "same"}


def convs(net: Network, *sizes: int, **more: object) -> list[str]:
    return [net.layer("Conv1D", "image", kernel_size=size, **CONV, **more) for size in sizes]


def activated(net: Network) -> str:
    return net.layer("Concatenate", *(net.layer("ReLU", it) for it in convs(net, 1, 2, 3)))


def added(net: Network) -> str:
    return net.layer("Add", *convs(net, 1, 3, 5))


def largest(net: Network) -> str:
    return net.layer("Maximum", *convs(net, 1, 3, 5))


def smallest(net: Network) -> str:
    return net.layer("Minimum", *convs(net, 1, 3, 5))


def rows(net: Network) -> str:
    norms = [net.layer("BatchNormalization", it) for it in convs(net, 1, 3, 5)]
    return net.layer("Concatenate", *(net.layer("ReLU", it) for it in norms))


def dilated(net: Network) -> str:
    one = net.layer("Conv1D", "image", kernel_size=1, **CONV)
    rates = [net.layer("Conv1D", "image", kernel_size=3, dilation_rate=it, **CONV) for it in (2, 4, 6)]
    return net.layer("Concatenate", one, *rates)


def with_input(net: Network) -> str:
    return net.layer("Concatenate", "image", *convs(net, 1, 3, 5))


def two(net: Network) -> str:
    return net.layer("Concatenate", *convs(net, 1, 3))


def read_twice(net: Network) -> str:
    branches = convs(net, 1, 3, 5)
    return net.layer("Concatenate", *branches, net.layer("ReLU", branches[0]))


def one_behind_another(net: Network) -> str:
    """Not side by side: each reads the one before."""
    first = net.layer("Conv1D", "image", kernel_size=3, **CONV)
    second = net.layer("Conv1D", first, kernel_size=3, **CONV)
    return net.layer("Concatenate", first, second, net.layer("Conv1D", second, kernel_size=3, **CONV))


WRITTEN: dict[Callable[[Network], str], str] = {
    activated: "torch.cat([F.relu(branch(image)) for branch in self.convs], dim=1)",
    added: "torch.stack([branch(image) for branch in self.convs]).sum(dim=0)",
    largest: "torch.stack([branch(image) for branch in self.convs]).amax(dim=0)",
    smallest: "torch.stack([branch(image) for branch in self.convs]).amin(dim=0)",
    rows: "torch.cat([F.relu(branch(image)) for branch in self.branches], dim=1)",
    dilated: "for dilation in (2, 4, 6)",
    with_input: "torch.cat([image] + [branch(image) for branch in self.convs], dim=1)",
    two: "",
    read_twice: "",
    one_behind_another: "",
}


@pytest.mark.parametrize("branches", WRITTEN, ids=lambda it: it.__name__)
def test_branches(branches: Callable[[Network], str]) -> None:
    net = Network((16, 3))
    x = branches(net)
    code = written(net.graph(net.layer("Dense", net.layer("Flatten", x), units=2)), "Net").code
    assert WRITTEN[branches] in code, code
    assert ("ModuleList" in code) == bool(WRITTEN[branches]), code


def deeper(net: Network, x: str, width: int, merge: str, between: bool) -> str:
    """Branches of one, two and three units; `between`: what the first of two gives is read elsewhere too."""
    branches = []
    for depth in (1, 2, 3):
        y = net.layer("Conv2D", x, filters=width, kernel_size=1)
        for at in range(depth):
            y = unit(net, y, (3, True, "relu", True), width)
            branches += [y] if between and (depth, at) == (2, 0) else []
        branches.append(y)
    return net.layer(merge, *branches)


@pytest.mark.parametrize("between", [False, True])
@pytest.mark.parametrize("merge", ["Concatenate", "Add"])
def test_uses_of_one_block_in_a_row_inside_of_another(merge: str, between: bool) -> None:
    net = Network((32, 32, 3))
    x = net.layer("Conv2D", "image", filters=4, kernel_size=3, padding="same")
    for width in (4, 6, 8):
        x = deeper(net, x, width, merge, between)
    code = written(head(net, x), "Net").code
    row = (
        "(DepthwiseSeparable(channels_1x1)" if merge == "Concatenate" else "(DepthwiseSeparable(out_channels)"
    )
    name = "branch" if merge == "Concatenate" else "blocks"
    assert f"self.{name} = nn.Sequential(*{row} for _ in range(" in code, code
    assert ("range(2)" in code) == (not between) and "range(3)" in code, code
