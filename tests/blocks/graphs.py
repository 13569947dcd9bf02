"""Graphs as a reader gives them, built without TensorFlow: shapes and weights are what the rules say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.rules import rule_for

#: A unit: kernel size, whether normalised, activation, whether a depthwise convolution stands before it.
Unit = tuple[int, bool, str | None, bool]
#: A block: its units, how its branches meet, whether its channels are weighted by squeeze-and-excite.
Plan = tuple[tuple[Unit, ...], str, bool]


class Network:
    """A network that grows layer by layer, its layers named as Keras names them."""

    def __init__(self, shape: Sequence[int] = (16, 16, 3)) -> None:
        self.ops: list[Op] = []
        self.tensors = {"image": Tensor("image", (None, *shape))}
        self.count: dict[str, int] = {}

    def layer(self, kind: str, *inputs: str, **config: Any) -> str:
        """A layer; the name of its output."""
        number = self.count.get(kind, 0)
        self.count[kind] = number + 1
        name = config.pop("name", "") or f"{kind.lower()}_{number}"
        args = (
            [self.tensors[it] for it in inputs] if len(inputs) == 1 else [[self.tensors[it] for it in inputs]]
        )
        shape, stored = self.tensors[inputs[0]].shape, {}
        if kind != "Activation":
            entry = rule_for(kind).bind(config, dialect="3.15")
            shape = entry.shape(*args) or shape
            sizes = entry.sizes(*args, y=Tensor(name, shape)).values()
            stored = {str(at): weight(f"{name}/{at}", tuple(size)) for at, size in enumerate(sizes)}
        refs = [Ref(it) for it in inputs]
        self.ops.append(
            Op(
                name, kind, (refs[0],) if len(refs) == 1 else (refs,), (name,), config,
                layer=name, stored=stored, turn=len(self.ops),
            )
        )  # fmt: skip
        self.tensors[name] = Tensor(name, shape)
        return name

    def graph(self, *outputs: str) -> Graph:
        return Graph("net", ("image",), outputs, tuple(self.ops), {"image": self.tensors["image"]}, "3.15.0")


def weight(name: str, shape: tuple[int, ...]) -> Weight:
    return Weight(name, shape, "float32", lambda: np.zeros(shape, "float32"))


def unit(net: Network, x: str, plan: Unit, width: int, stride: int = 1) -> str:
    kernel, norm, activation, depthwise = plan
    if depthwise:
        x = net.layer("DepthwiseConv2D", x, kernel_size=kernel, padding="same", use_bias=False)
    padding = "valid" if kernel == 1 else "same"
    x = net.layer("Conv2D", x, filters=width, kernel_size=kernel, strides=stride, padding=padding)
    x = net.layer("BatchNormalization", x) if norm else x
    return net.layer("Activation", x, activation=activation) if activation else x


def block(net: Network, x: str, plan: Plan, width: int, stride: int, short: bool) -> str:
    """`short`: without its first unit."""
    units, merge, squeeze = plan
    y = x
    for at, it in enumerate(units[1:] if short and len(units) > 1 else units):
        y = unit(net, y, it, width, stride if at == 0 else 1)
    if squeeze:
        pooled = net.layer("GlobalAveragePooling2D", y, keepdims=True)
        pooled = net.layer("Conv2D", pooled, filters=2, kernel_size=1)
        pooled = net.layer("Conv2D", pooled, filters=width, kernel_size=1)
        y = net.layer("Multiply", y, net.layer("Activation", pooled, activation="sigmoid"))
    if merge == "add":
        if stride != 1 or net.tensors[x].shape[-1] != width:
            x = net.layer("Conv2D", x, filters=width, kernel_size=1, strides=stride)
        return net.layer("Add", x, y)
    return net.layer("Concatenate", x, y) if merge == "concat" and stride == 1 else y


def head(net: Network, x: str) -> Graph:
    return net.graph(net.layer("Dense", net.layer("GlobalAveragePooling2D", x), units=2))


def network(seed: int) -> Graph:
    """Blocks of one to three kinds, each several times: other widths and strides, some without a unit."""
    draw, net = random.Random(seed), Network()
    x = net.layer("Conv2D", "image", filters=3, kernel_size=3, padding="same")

    def drawn() -> Unit:
        activation = draw.choice((None, "relu", "silu", "tanh", "sigmoid"))
        return draw.choice((1, 3)), draw.random() < 0.5, activation, draw.random() < 0.3

    plans: list[Plan] = [
        (
            tuple(drawn() for _ in range(draw.randint(1, 3))),
            draw.choice(("", "add", "concat")),
            draw.random() < 0.4,
        )
        for _ in range(draw.randint(1, 3))
    ]
    for _ in range(draw.randint(2, 6)):
        plan, width, short = draw.choice(plans), draw.choice((2, 3, 5, 8)), draw.random() < 0.3
        stride = draw.choice((1, 1, 1, 2))
        for repeat in range(draw.randint(1, 3)):
            small = net.tensors[x].shape[1] <= 4
            x = block(net, x, plan, width, stride if repeat == 0 and not small else 1, short)
    return head(net, x)
