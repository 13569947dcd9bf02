"""Names for blocks and for what stands in them, from what they are and from what the source calls them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from torchport.blocks.nodes import Node, is_activation
from torchport.names import identifier, is_automatic, short_name
from torchport.program import Apply, State, walk


def prefix(layers: Sequence[str]) -> str:
    """The common beginning of layer names, in whole words: `conv2_block1_`."""
    common = os.path.commonprefix(list(layers)) if len(layers) > 1 else ""
    match = re.match(r"(.*[_./-])", common)
    return match.group(1) if match else ""


def local(names: Sequence[str]) -> str:
    """What stands in one place of a block, by the words that its names in all uses share.

    `1_conv` -> `conv1`; `left1_stem_1` and `left1_stem_2` -> `left1_stem`; nothing where no word is left.
    """
    words = _words(names[0])
    for name in names[1:]:
        others = iter(_words(name))
        if not all(word in others for word in words):  # not all of them, in this order
            from difflib import SequenceMatcher  # rarely needed, and not imported by others

            matcher = SequenceMatcher(None, words, _words(name), autojunk=False)
            words = [it for found in matcher.get_matching_blocks() for it in words[found.a :][: found.size]]
    rest = "".join(words).lstrip("_./-")
    match = re.match(r"(\d+)_(\w+)$", rest)
    return f"{match.group(2)}{match.group(1)}" if match else rest


def is_word(name: str) -> bool:
    """Whether it says something: more than a number."""
    return any(it.isalpha() for it in name)


def _words(name: str) -> list[str]:
    """Words with what stands before them: `conv1_bn` -> `conv1`, `_bn`."""
    return re.findall(r"[\W_]*[^\W_]+|[\W_]+$", name)


def named_layers(leaves: Sequence[Node]) -> list[str]:
    """The names that the source gave to layers with modules; names that Keras made up are none."""
    found = []
    for leaf in leaves:
        owners = [it.owner for it in walk(leaf.step.value) if isinstance(it, (Apply, State))]
        if owners and not is_automatic(owners[0], leaf.step.kind):
            found.append(owners[0])
    return found


def use_name(leaves: Sequence[Node], among: str = "") -> str:
    """What the source calls a group of layers, by the beginning that their names share; or nothing."""
    layers = named_layers(leaves)
    if len(layers) < 2 or len(layers) < sum(it.weighted for it in leaves):
        return ""
    name = prefix(layers).removeprefix(among)
    return identifier(name) if name else ""


def block_name(leaves: Sequence[Node]) -> str:
    """What a person calls the class, from what it is made of."""
    classes = [it.module.cls for leaf in leaves for it in walk(leaf.step.value) if isinstance(it, Apply)]
    kinds = [short_name(leaf.step.kind) for leaf in leaves]
    convs = [it for it in classes if re.match(r"nn\.Conv\dd", it)]
    depthwise = kinds.count("DepthwiseConv2D") + kinds.count("DepthwiseConv1D")
    depthwise += sum(_is_depthwise(leaf) for leaf in leaves if leaf.step.kind == "Conv2D")
    separable = sum(kind.startswith("SeparableConv") for kind in kinds)
    norms = [it for it in classes if "Norm" in it]
    merge = next(
        (kind for kind in reversed(kinds) if kind in ("Add", "Concatenate", "Multiply", "Average")),
        "",
    )
    sizes = [_kernel(leaf) for leaf in leaves if leaf.step.kind in ("Conv2D", "Conv1D", "Conv3D")]
    if sum(leaf.merges for leaf in leaves) > 4 and merge == "Concatenate":
        return "Cell"
    if any("Attention" in kind for kind in kinds):
        if any(_is_cross_attention(leaf) for leaf in leaves):
            return "DecoderBlock" if kinds.count("MultiHeadAttention") > 1 else "CrossAttention"
        return "TransformerBlock" if any("Linear" in it for it in classes) else "AttentionBlock"
    if any(it.startswith("nn.ConvTranspose") for it in classes) or any(
        "UpSampling" in kind for kind in kinds
    ):
        return "Up"
    if merge == "Multiply" and not depthwise and len(convs) <= 2 and any("Pooling" in kind for kind in kinds):
        return "SqueezeExcite"
    if depthwise and any("GlobalAverage" in kind for kind in kinds):
        return "MBConv"
    if depthwise and "LayerNormalization" in kinds:
        return "ConvNeXtBlock"
    if depthwise:
        return "InvertedResidual" if len(convs) > 2 else "DepthwiseSeparable"
    if merge == "Add" and separable:
        return "SeparableResidual"
    if separable:
        return "SeparableConvNorm" if norms else "SeparableConv"
    if merge == "Add" and len(sizes) >= 3 and sizes[0] == sizes[2] == 1:
        return "Bottleneck"
    if merge == "Add" and convs:
        return "ResidualBlock"
    if merge == "Concatenate" and len([leaf for leaf in leaves if leaf.merges]) == 1 and len(convs) <= 2:
        return "DenseLayer"
    if merge == "Concatenate" and len(convs) > 3:
        return "InceptionBlock"
    if len(convs) == 1:
        acts = any(is_activation(leaf.step.value) for leaf in leaves)
        return "Conv" + ("Norm" if norms else "") + ("Act" if acts else "")
    if kinds and "Pooling" in kinds[0]:
        return "Down"
    if len(convs) == 2:
        return "DoubleConv"
    if convs:
        return "ConvBlock"
    if any("Linear" in it for it in classes):
        return "FeedForward" if len([it for it in classes if "Linear" in it]) > 1 else "LinearBlock"
    return "Block"


def _is_cross_attention(leaf: Node) -> bool:
    return leaf.step.kind == "MultiHeadAttention" and leaf.merges


def _is_depthwise(leaf: Node) -> bool:
    calls = [it.module for it in walk(leaf.step.value) if isinstance(it, Apply)]
    return any(it.kwargs.get("groups", 1) == it.args[0] > 1 for it in calls if it.args)


def _kernel(leaf: Node) -> int:
    """The kernel size of a convolution, 0 if it is not square."""
    for it in walk(leaf.step.value):
        if isinstance(it, Apply) and len(it.module.args) > 2 and isinstance(it.module.args[2], int):
            return it.module.args[2]
    return 0
