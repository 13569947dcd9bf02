"""What people call a block, by what it is made of: a table, of which the first line that holds is taken.

A name says what is there, and never what is not. A block for which people have no name is called by its
layers in order, `ConvBNReLU`, if they are few.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torchport.blocks.align import Wire
from torchport.blocks.block import leaves
from torchport.blocks.nodes import Node, is_activation
from torchport.callees import callee
from torchport.names import class_name, short_name
from torchport.program import IN_A_ROW, Apply, Call, Infix, Mark, Module, is_loop, walk

#: What a module is called in the name of a block.
SHORT = {
    "BatchNorm": "BN", "FrozenBatchNorm": "BN", "BiasedBatchNorm": "BN", "RenormBatchNorm": "BN",
    "StepBatchNorm": "BN", "LayerNorm": "LN",
    "ChannelLayerNorm": "LN", "GroupNorm": "GN", "InstanceNorm": "IN", "ConvTranspose": "Up",
}  # fmt: skip
#: Kinds at which branches meet.
MERGES = ("Add", "Concatenate", "Multiply", "Average", "Maximum", "Subtract")


@dataclass(frozen=True)
class Structure:
    """What a block is made of: for each slot a node, what it reads, and what the block gives."""

    nodes: Sequence[Node]
    reads: Sequence[tuple[Wire, ...]]
    outputs: Sequence[Wire]

    @cached_property
    def leaves(self) -> list[Node]:
        return [leaf for it in self.nodes for leaf in leaves(it)]

    @cached_property
    def words(self) -> list[str]:
        """What its steps are, in order: `Conv`, `BN`, `ReLU`; of a step that is nothing much, nothing."""
        return [word for leaf in self.leaves for word in _words(leaf)]

    @cached_property
    def count(self) -> Counter[str]:
        return Counter(self.words)

    @cached_property
    def convs(self) -> int:
        return sum(self.count[it] for it in ("Conv", "Depthwise", "SeparableConv", "Up"))

    @property
    def inputs(self) -> int:
        """How many tensors it takes."""
        return len({wire for reads in self.reads for wire in reads if wire[0] == "in"})

    @property
    def heavy(self) -> int:
        """How many of its modules do the work of a line."""
        return sum(leaf.heavy for leaf in self.leaves)

    @cached_property
    def merges(self) -> list[str]:
        """The kinds at which tensors meet, in order."""
        return [merge_kind(leaf) for leaf in self.leaves if _meets(leaf)]

    @cached_property
    def kernels(self) -> list[int]:
        """Sizes of the square kernels, 0 for others, in order."""
        return [kernel(leaf) for leaf in self.leaves if "Conv" in _words(leaf)]

    @property
    def last(self) -> str:
        return self.merges[-1] if self.merges else ""

    def ends(self, kind: str) -> bool:
        """Whether it ends in a meeting of this kind, but for what is light."""
        return self._meeting() is not None and self.last == kind

    def _meeting(self) -> int | None:
        """The slot in which the branches meet at the end: behind it stand norms and activations only."""
        found = [at for at, it in enumerate(self.nodes) if it.inside is None and _meets(it)]
        if not found or any(not it.light for it in self.nodes[found[-1] + 1 :]):
            return None
        return found[-1]

    @property
    def passes(self) -> bool:
        """Whether its own input is one of what meets at the end, as it is or projected."""
        at = self._meeting()
        return at is not None and any(self._is_short(wire) for wire in self.reads[at])

    @property
    def keeps(self) -> bool:
        """Whether its own input itself is one of what meets at the end."""
        at = self._meeting()
        return at is not None and ("in", 0) in self.reads[at]

    def _is_short(self, wire: Wire) -> bool:
        """Whether a wire is the input, or one convolution and what goes with it away."""
        heavy = 0
        while wire[0] != "in":
            it, reads = self.nodes[int(wire[0])], self.reads[int(wire[0])]
            heavy += sum(leaf.heavy for leaf in leaves(it))
            if len(set(reads)) != 1 or heavy > 1:
                return False
            wire = reads[0]
        return wire == ("in", 0)

    @cached_property
    def branches(self) -> int:
        """How many tensors meet at the end."""
        at = self._meeting()
        return 0 if at is None else len(set(self.reads[at])) + _listed(self.nodes[at])

    @property
    def is_chain(self) -> bool:
        return not any(leaf.merges or _listed(leaf) for leaf in self.leaves)

    @property
    def parallel(self) -> int:
        """How many branches of one kind stand side by side."""
        return max(map(_listed, self.leaves), default=0)

    @property
    def grows(self) -> bool:
        """Whether images leave larger than they entered."""
        return any(scale(leaf) > 1 for leaf in self.leaves)

    @property
    def narrows(self) -> bool:
        """Whether images become smaller on the way."""
        return any(scale(leaf) < 1 for leaf in self.leaves)

    @property
    def shrinks(self) -> bool:
        """Whether the first step makes images smaller."""
        return bool(self.leaves) and scale(self.leaves[0]) < 1

    @property
    def crossed(self) -> bool:
        """Whether something is attended to that is not what attends."""
        return any(
            leaf.step.kind == "MultiHeadAttention" and leaf.step.inputs[0] != leaf.step.inputs[1]
            for leaf in self.leaves if len(leaf.step.inputs) > 1
        )  # fmt: skip

    @property
    def is_gated(self) -> bool:
        """Whether what a tanh gives is weighted by what a sigmoid gives."""
        return "Multiply" in self.merges and bool(self.count["Tanh"] and self.count["Sigmoid"])

    @property
    def squeezes(self) -> bool:
        """Whether channels are weighted by what a mean over the image tells."""
        return "Multiply" in self.merges and any("GlobalAverage" in leaf.step.kind for leaf in self.leaves)

    @property
    def shuffles(self) -> bool:
        """Whether channels of several groups change places."""
        calls = (it for leaf in self.leaves for it in walk(leaf.step.value) if isinstance(it, Call))
        return any(it.function == "F.channel_shuffle" for it in calls)


#: The name of a block, and what it is made of: the first line that holds.
STRUCTURES: tuple[tuple[str, Callable[[Structure], Any]], ...] = (
    ("DecoderBlock", lambda it: it.crossed and it.count["Attention"] > 1),
    ("CrossAttention", lambda it: it.crossed),
    ("TransformerBlock", lambda it: it.count["Attention"] > 0 and it.count["Linear"] > 0),
    ("SelfAttention", lambda it: it.count["Attention"] > 0),
    ("MixerBlock", lambda it: it.count["Permute"] > 1 and it.merges == ["Add"] * 2),
    ("TokenMixing", lambda it: it.count["Permute"] > 1 and it.ends("Add") and it.count["Linear"] == 2),
    ("ChannelAttention", lambda it: it.merges == ["Add", "Multiply"] and it.squeezes and it.keeps
        and it.inputs == 1),
    ("AttentionGate", lambda it: it.ends("Multiply") and it.merges[0] == "Add" and it.count["Sigmoid"] == 1),
    ("SpatialAttention", lambda it: it.merges == ["Concatenate", "Multiply"] and it.keeps and it.convs == 1
        and it.count["Sigmoid"] == 1 and not it.squeezes),
    ("SqueezeExcite", lambda it: it.ends("Multiply") and it.squeezes and it.keeps),
    ("SEConvBlock", lambda it: it.ends("Multiply") and it.squeezes and it.convs > 1 and it.inputs == 1
        and not it.count["Depthwise"]),
    ("PreActBlock", lambda it: it.inputs == 2 and it.merges == ["Add", "Multiply", "Add"]),
    ("MBConv", lambda it: it.count["Depthwise"] > 0 and it.squeezes),
    ("ConvNeXtBlock", lambda it: it.count["Depthwise"] > 0 and it.count["LN"] > 0 and it.ends("Add")),
    ("ShuffleUnit", lambda it: it.shuffles and it.convs > 2),
    ("InvertedResidual", lambda it: it.count["Depthwise"] and it.convs > 2 and it.passes),
    ("SeparableResidual", lambda it: it.ends("Add") and it.passes and it.count["SeparableConv"] > 0),
    ("Bottleneck", lambda it: it.ends("Add") and it.passes and it.kernels[:1] == it.kernels[2:3] == [1]),
    ("MultiResBlock", lambda it: it.passes and it.merges == ["Concatenate", "Add"] and it.convs > 3),
    ("GatedResidual", lambda it: it.is_gated and it.passes and "Add" in it.merges),
    ("ResidualBlock", lambda it: it.ends("Add") and it.passes and it.convs > 0 and not it.grows),
    ("ConvMixerBlock", lambda it: it.merges == ["Add"] and it.count["Depthwise"] == it.count["Conv"] == 1
        and it.convs == 2 and it.count["GELU"] == 2 and not it.ends("Add")),
    ("MLP", lambda it: it.is_chain and it.count["Linear"] == it.heavy > 2),
    ("FeedForward", lambda it: it.count["Linear"] == 2 and it.convs == 0 and it.merges in ([], ["Add"])),
    ("ResidualBlock", lambda it: it.ends("Add") and it.passes),
    ("Head", lambda it: it.ends("Concatenate") and 2 < it.inputs == it.branches <= it.convs),
    ("DenseLayer", lambda it: it.ends("Concatenate") and it.keeps and it.branches == 2 and not it.grows),
    ("DenseBlock", lambda it: it.keeps and set(it.merges) == {"Concatenate"} and len(it.merges) > 2),
    ("Cell", lambda it: it.ends("Concatenate") and len(it.merges) > 4),
    ("InceptionBlock", lambda it: it.parallel > 2 and it.convs > 0 and not it.grows),
    ("InceptionBlock", lambda it: it.ends("Concatenate") and it.branches > 2 and not it.grows),
    ("ParallelConv", lambda it: it.ends("Concatenate") and it.convs == it.branches),
    ("Hourglass", lambda it: it.grows and it.narrows and it.inputs == 1),
    ("Up", lambda it: it.grows and it.convs > 0),
    ("GatedConv", lambda it: it.is_gated and it.convs > 0),
    ("GatedLinear", lambda it: it.ends("Multiply") and it.count["Sigmoid"] == 1 and it.count["Linear"] == 2),
    ("Down", lambda it: it.shrinks and "Pool" in it.words[:1] and it.convs > 0 and it.is_chain),
    ("DoubleSeparableConv", lambda it: it.is_chain and it.convs == it.count["SeparableConv"] == 2),
    ("DepthwiseSeparable", lambda it: it.is_chain and it.count["Depthwise"] == it.count["Conv"] == 1),
    ("DoubleConv", lambda it: it.is_chain and it.convs == it.count["Conv"] == 2 and it.heavy == 2),
    ("ConvBlock", lambda it: it.convs > 1),
)  # fmt: skip


def structure_name(it: Structure) -> str:
    """What a person calls the class."""
    known = next((name for name, holds in STRUCTURES if holds(it)), "")
    return known or _spelled(it) or ("ConvBlock" if it.convs else "Block")


#: A block of more words has no name that says them all.
FEW = 4


def _spelled(it: Structure) -> str:
    """The words of its steps in a row, each once: `ConvBNReLU`."""
    words = [word for word in dict.fromkeys(it.words) if word not in ("Pad", "Permute")]
    return "".join(words) if it.is_chain and len(words) <= FEW else ""


def _words(leaf: Node) -> Iterator[str]:
    kind = short_name(leaf.step.kind)
    modules = [it.module for it in walk(leaf.step.value) if isinstance(it, Apply)]
    if "Attention" in kind:
        yield "Attention"
    elif kind.startswith("SeparableConv"):
        yield "SeparableConv"
    elif kind.startswith("Depthwise") or any(_is_depthwise(leaf) for _ in modules):
        yield "Depthwise"
    elif kind == "pad" or (kind in MERGES and not modules):
        pass
    elif kind.startswith("UpSampling"):
        yield "Upsample"
    elif "Pooling" in kind:
        yield "Pool"
    elif kind in ("Permute", "Reshape", "Flatten"):
        yield kind
    elif is_activation(leaf.step.value):
        value = leaf.step.value.value if isinstance(leaf.step.value, Mark) else leaf.step.value
        assert isinstance(value, Call)
        yield callee(value.function).module.removeprefix("nn.")
    elif modules:
        for it in (one for made in modules for one in _opened(made)):
            word = re.sub(r"\dd$", "", it.cls.removeprefix("nn."))
            yield SHORT.get(word, word)
    elif leaf.step.kind.startswith("activation:"):
        yield class_name(leaf.step.kind.partition(":")[2])


def _opened(made: Module) -> Iterator[Module]:
    """A module, or those in a list of them."""
    if made.cls not in IN_A_ROW:
        yield made
    for it in made.args if made.cls in IN_A_ROW else ():
        yield from _opened(it)


def _listed(leaf: Node) -> int:
    """How many modules are called side by side in a step."""
    return sum(len(it.module.args) for it in walk(leaf.step.value) if is_loop(it))


def _meets(leaf: Node) -> bool:
    return bool((leaf.merges or _listed(leaf)) and merge_kind(leaf))


def merge_kind(leaf: Node) -> str:
    """The kind at which tensors meet in a step; an addition that is written out is one too."""
    kind = short_name(leaf.step.kind)
    if kind in MERGES:
        return kind
    value = leaf.step.value.value if isinstance(leaf.step.value, Mark) else leaf.step.value
    if isinstance(value, Infix):
        return {"+": "Add", "*": "Multiply", "-": "Subtract"}.get(value.symbol, "")
    return ""


def _is_depthwise(leaf: Node) -> bool:
    calls = [it.module for it in walk(leaf.step.value) if isinstance(it, Apply)]
    return any(it.kwargs.get("groups", 1) == it.args[0] > 1 for it in calls if it.args)


def kernel(leaf: Node) -> int:
    """The kernel size of a convolution, 0 if it is not square."""
    for it in walk(leaf.step.value):
        if isinstance(it, Apply) and len(it.module.args) > 2 and isinstance(it.module.args[2], int):
            return it.module.args[2]
    return 0


def scale(leaf: Node) -> float:
    """How many times as large an image leaves a step as it entered: 1 where that is not known."""
    kind = short_name(leaf.step.kind)
    if kind.startswith("UpSampling"):
        return 2
    strides = [it.module for it in walk(leaf.step.value) if isinstance(it, Apply)]
    for it in strides:
        if it.cls.startswith("nn.ConvTranspose"):
            return 2 if it.kwargs.get("stride", 1) != 1 else 1
        if it.cls.startswith("nn.Conv") and it.kwargs.get("stride", 1) != 1:
            return 0.5
    return 0.5 if "Pooling" in kind and "Global" not in kind else 1
