"""What a reader struck out of programs, each kind on a graph made by hand."""

from __future__ import annotations

import re

from tests.blocks.graphs import Network

from torchport.graph import Op, Ref, Tensor
from torchport.pipeline import written


def code(net: Network, x: str) -> str:
    return written(net.graph(net.layer("Dense", net.layer("Flatten", x), units=2)), "Net").code


def pieces(net: Network, x: str, count: int) -> list[str]:
    """`x` in pieces along its last axis."""
    *shape, size = net.tensors[x].shape
    assert size is not None
    name = f"split_{len(net.ops)}"
    outputs = tuple(f"{name}:{at}" if at else name for at in range(count))
    options = {"indices_or_sections": count, "axis": -1}
    net.ops.append(Op(name, "keras.ops.Split", (Ref(x),), outputs, options, layer=name, turn=len(net.ops)))
    net.tensors.update({it: Tensor(it, (*shape, size // count)) for it in outputs})
    return list(outputs)


def test_the_last_norm_of_a_network_is_not_its_last_blocks() -> None:
    """Blocks that end in a norm, and one more behind them: each block has its own."""
    net = Network((8, 6))
    x = net.layer("Dense", "image", units=6)
    for _ in range(4):
        y = net.layer("Dense", net.layer("ReLU", net.layer("Dense", x, units=24)), units=6)
        x = net.layer("LayerNormalization", net.layer("Add", x, y))
    text = code(net, net.layer("LayerNormalization", x))
    assert re.search(r"return self\.\w+\(x \+ .*\)", text), text
    assert text.count("nn.LayerNorm(") == 2, text


def test_pieces_of_one_tensor_are_numbered() -> None:
    """As Res2Net has them: what becomes of each would call them skip, split, skip2."""
    net = Network((9, 8))
    first, *rest = pieces(net, net.layer("Conv1D", "image", filters=8, kernel_size=3, padding="same"), 4)
    found, before = [first], ""
    for piece in rest:
        y = net.layer("Add", piece, before) if before else piece
        before = net.layer("Conv1D", y, filters=2, kernel_size=3, padding="same")
        found.append(before)
    text = code(net, net.layer("Concatenate", *found))
    assert re.search(r"split1, split2, split3, split4 = .*\.chunk\(4, dim=1\)", text), text


def test_paddings_that_keep_the_size_are_written_in_one_way() -> None:
    net = Network((32, 8))
    x: str = "image"
    for rate in (1, 2, 4):
        y = x
        for _ in range(3):
            y = net.layer("Conv1D", y, filters=8, kernel_size=3, padding="same", dilation_rate=rate)
            y = net.layer("ReLU", net.layer("BatchNormalization", y))
        x = net.layer("Add", x, y)
    text = code(net, x)
    assert text.count('padding="same", dilation=dilation') in (1, 3) and "padding=dilation" not in text, text
