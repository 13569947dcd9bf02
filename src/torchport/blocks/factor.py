"""The search for blocks.

1. Regions: where branches part and meet (a residual block, squeeze-and-excite), the inner ones first. Regions
   that do the same, but for parts that some lack, become one block.
2. Variants: a run of nodes that is a known block but for such parts becomes a use of it.
3. Repeats: of all runs that stand in the program more than once, the one that saves most lines becomes a
   block. 2 and 3 take turns until none saves any.
4. A block that stands in one place only is written out again.

Every step must make the program shorter by `lines`; all choices are by position and length, so that the same
model gives the same program. The cost is the number of nodes times the longest run, for each round.
"""

from __future__ import annotations

from torchport.blocks.draft import Draft, Place
from torchport.blocks.families import make_of_regions
from torchport.blocks.models import is_chain
from torchport.blocks.repeats import make_of_repeats
from torchport.blocks.variants import Tried, use_for_variants


def search(draft: Draft) -> None:
    """Find the blocks of a program."""
    tried: Tried = set()
    while make_of_regions(draft):
        pass
    while use_for_variants(draft, tried) or make_of_repeats(draft):
        pass
    while _write_out(draft):
        pass


def _write_out(draft: Draft) -> bool:
    """Write a block that stands in one place only, whole, where it stands.

    An optional part with weights has to stay a chain of modules.
    """
    for block in list(draft.blocks):
        places = [
            Place(number, at, at + 1)
            for number, body in enumerate(draft.bodies) for at, it in enumerate(body.nodes)
            if it.key == block.key
        ]  # fmt: skip
        if len(places) == 1 and not block.parts:
            outer = draft.bodies[places[0].body].block
            optional = outer is not None and outer.slots[places[0].start].part is not None
            if not optional or is_chain(block.nodes()):
                draft.open(block, places[0])
                return True
    return False
