"""The table of what people call a block: each line holds where it should, and not one step before."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from torchport.blocks.structures import STRUCTURES, structure_name


def stand_in(words: str = "", *, merges: tuple[str, ...] = (), ends: bool = True, **facts: Any) -> Any:
    """A structure by what the table asks of it; `ends`: whether the last of `merges` is the end of it."""
    count = Counter(words.split())
    convs = sum(count[it] for it in ("Conv", "Depthwise", "SeparableConv", "Up"))
    flags = ("passes", "keeps", "grows", "narrows", "shrinks", "crossed", "is_gated", "squeezes", "shuffles")
    counted = {
        "branches": 0,
        "parallel": 0,
        "inputs": 1,
        "heavy": convs + count["Linear"] + count["Attention"],
    }
    own = {
        "words": words.split(), "count": count, "convs": convs, "merges": list(merges), "kernels": [],
        "is_chain": not merges, "ends": lambda kind: ends and merges[-1:] == (kind,),
    }  # fmt: skip
    return SimpleNamespace(**{**dict.fromkeys(flags, False), **counted, **own, **facts})


ADD, CAT, TIMES = ("Add",), ("Concatenate",), ("Multiply",)
SQUEEZED = {"squeezes": True, "keeps": True}


ROWS = [
        ("DecoderBlock", stand_in("Attention Attention Linear", crossed=True)),
        ("CrossAttention", stand_in("Attention Linear", crossed=True)),
        ("TransformerBlock", stand_in("Attention Linear", merges=ADD)),
        ("SelfAttention", stand_in("Attention LN", merges=ADD)),
        ("MixerBlock", stand_in("Permute Linear Permute", merges=ADD * 2)),
        ("TokenMixing", stand_in("Permute Linear Linear Permute", merges=ADD)),
        ("FeedForward", stand_in("Permute Linear Linear", merges=ADD)),
        ("ChannelAttention", stand_in("Pool Linear Pool Linear", merges=ADD + TIMES, **SQUEEZED)),
        ("AttentionGate", stand_in("Pool Linear Sigmoid", merges=ADD + TIMES, **SQUEEZED, inputs=2)),
        ("AttentionGate", stand_in("Linear Linear Sigmoid", merges=ADD + TIMES, squeezes=True)),
        ("SqueezeExcite", stand_in("Pool Linear", merges=ADD * 2 + TIMES, **SQUEEZED)),
        ("SpatialAttention", stand_in("Conv Sigmoid", merges=CAT + TIMES, keeps=True)),
        ("SqueezeExcite", stand_in("Conv Sigmoid", merges=CAT + TIMES, keeps=True, squeezes=True)),
        ("ConvBlock", stand_in("Conv Conv Sigmoid", merges=CAT + TIMES, keeps=True)),
        ("ConvMixerBlock", stand_in("Depthwise GELU BN Conv GELU BN", merges=ADD, ends=False)),
        ("ResidualBlock", stand_in("Depthwise GELU BN Conv GELU BN", merges=ADD, passes=True)),
        ("ConvBlock", stand_in("Depthwise ReLU BN Conv GELU BN", merges=ADD, ends=False)),
        ("ConvBlock", stand_in("Depthwise GELU Conv GELU Conv", merges=ADD, ends=False)),
        ("MLP", stand_in("Linear ReLU Linear ReLU Linear")),
        ("LinearReLULSTM", stand_in("Linear ReLU Linear Linear LSTM", heavy=4)),
        ("AttentionGate", stand_in("Conv Sigmoid", merges=ADD + TIMES, inputs=2)),
        ("SqueezeExcite", stand_in("Pool Linear Linear", merges=TIMES, squeezes=True, keeps=True)),
        ("SEConvBlock", stand_in("Conv Conv Pool Linear", merges=TIMES, squeezes=True)),
        ("ConvBlock", stand_in("Conv Conv Pool Linear", merges=TIMES, squeezes=True, inputs=2)),
        ("MBConv", stand_in("Conv Depthwise Pool Conv", merges=TIMES, squeezes=True)),
        ("PreActBlock", stand_in("Conv", merges=("Add", "Multiply", "Add"), inputs=2)),
        ("ConvNeXtBlock", stand_in("Depthwise LN Linear Linear", merges=ADD, passes=True)),
        ("ShuffleUnit", stand_in("Conv Conv Conv", merges=CAT, shuffles=True)),
        ("ConvBlock", stand_in("Conv Conv", merges=CAT, shuffles=True, branches=1)),
        ("InvertedResidual", stand_in("Conv Depthwise Conv", merges=ADD, passes=True)),
        ("ResidualBlock", stand_in("Depthwise Conv", merges=ADD, passes=True)),
        ("SeparableResidual", stand_in("SeparableConv SeparableConv", merges=ADD, passes=True)),
        ("Bottleneck", stand_in("Conv Conv Conv", merges=ADD, passes=True, kernels=[1, 3, 1])),
        ("ResidualBlock", stand_in("Conv Conv Conv", merges=ADD, passes=True, kernels=[1, 1, 3])),
        ("ResidualBlock", stand_in("Conv Conv", merges=ADD, passes=True, kernels=[1, 3])),
        ("MultiResBlock", stand_in("Conv Conv Conv Conv", merges=CAT + ADD, passes=True)),
        ("ResidualBlock", stand_in("Conv Conv Conv", merges=CAT + ADD, passes=True)),
        ("GatedResidual", stand_in("Conv Tanh Sigmoid", merges=TIMES + ADD, is_gated=True, passes=True)),
        ("ResidualBlock", stand_in("LSTM", merges=ADD, passes=True)),
        ("FeedForward", stand_in("Linear ReLU Linear")),
        ("Head", stand_in("Conv Conv Conv", merges=CAT, inputs=3, branches=3)),
        ("InceptionBlock", stand_in("Conv Conv", merges=CAT, inputs=3, branches=3)),
        ("DenseLayer", stand_in("Conv", merges=CAT, keeps=True, branches=2)),
        ("DenseBlock", stand_in("Conv Conv Conv", merges=CAT * 3, keeps=True, branches=3)),
        ("Up", stand_in("Conv Conv Conv", merges=CAT * 2, keeps=True, branches=2, grows=True)),
        ("Cell", stand_in("Conv", merges=CAT * 5, branches=5)),
        ("InceptionBlock", stand_in("Conv", merges=CAT * 4, branches=3)),
        ("InceptionBlock", stand_in("Conv Conv Conv", merges=CAT, branches=3)),
        ("InceptionBlock", stand_in("Conv", parallel=3)),
        ("ParallelConv", stand_in("Conv Conv", merges=CAT, branches=2)),
        ("ConvBlock", stand_in("Conv Conv Conv", merges=CAT, branches=2)),
        ("Hourglass", stand_in("Pool Conv Upsample", merges=ADD, grows=True, narrows=True)),
        ("Up", stand_in("Upsample Conv", merges=CAT, grows=True, narrows=True, inputs=2)),
        ("Up", stand_in("Up Conv", grows=True)),
        ("GatedConv", stand_in("Conv Tanh Sigmoid", merges=TIMES, is_gated=True)),
        ("GatedLinear", stand_in("Linear Linear Sigmoid", merges=TIMES)),
        ("Down", stand_in("Pool Conv Conv", shrinks=True)),
        ("DoubleConv", stand_in("Conv Conv", shrinks=True)),
        ("DoubleSeparableConv", stand_in("SeparableConv ReLU SeparableConv ReLU")),
        ("DepthwiseSeparable", stand_in("Depthwise BN ReLU Conv BN ReLU")),
        ("DoubleConv", stand_in("Conv BN ReLU Conv BN ReLU")),
        ("ConvBlock", stand_in("Conv Conv Conv BN ReLU Pool Dropout Softmax")),
        ("ConvBNReLU", stand_in("Pad Conv BN ReLU")),
        ("ConvBNReLUPool", stand_in("Conv BN ReLU Pool")),
        ("ConvBlock", stand_in("Conv BN ReLU Pool Dropout")),
        ("Block", stand_in("BN ReLU Pool Dropout Linear")),
        ("Block", stand_in("BN", merges=ADD)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "structure"), ROWS, ids=[name for name, _ in ROWS])
def test_a_block_is_called_what_people_call_it(name: str, structure: Any) -> None:
    assert structure_name(structure) == name


def test_each_line_of_the_table_is_the_first_that_holds_somewhere() -> None:
    first = {
        next((at for at, (_, holds) in enumerate(STRUCTURES) if holds(structure)), None)
        for _, structure in ROWS
    }
    assert [name for at, (name, _) in enumerate(STRUCTURES) if at not in first] == []
