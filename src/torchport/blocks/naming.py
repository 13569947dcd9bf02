"""Names for blocks and for what stands in them, from what the source calls them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from torchport.blocks.nodes import Node
from torchport.names import identifier, is_automatic
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
    if not layers and (meeting := next((it.step for it in reversed(leaves) if it.merges), None)):
        # `inception_3a`: where the branches meet is named for the whole
        own = "" if is_automatic(meeting.layer, meeting.kind) else meeting.layer.removeprefix(among)
        return identifier(own) if re.search(r"_|\d[a-z]$", own) else ""
    if len(layers) < 2 or len(layers) < sum(it.weighted for it in leaves):
        return ""
    name = prefix(layers).removeprefix(among) or _stem_of([it for it in leaves if it.heavy], among)
    return identifier(name) if name else ""


def _stem_of(working: Sequence[Node], among: str) -> str:
    """What is left of the working layers' names without the last number: `conv11` of `conv11_1`."""
    layers = named_layers(working)
    if not 1 < len(layers) == len(working):
        return ""
    stems = {re.sub(r"_?\d+$|_[a-z]$", "", it) for it in layers}
    stem = stems.pop().removeprefix(among)
    stem = re.sub(r"_(fc|conv|dense|linear)$", "", stem)
    return stem if not stems and stem and stem not in layers else ""
