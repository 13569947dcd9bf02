"""Blocks in a row that each give a tensor aside, all of which meet at the end: a loop that lists them.

for block in self.blocks:
    x, skip = block(x)
    skips.append(skip)
x = torch.stack(skips).sum(dim=0)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.blocks.branches import meeting
from torchport.blocks.draft import Body
from torchport.blocks.nodes import Node
from torchport.program import Infix, Mark, Step, Var

#: So many blocks in a row are a loop.
LEAST = 3


@dataclass(frozen=True)
class Row:
    """Uses of one block in a row; which of their two tensors goes on; the step in which the others meet."""

    uses: Sequence[Node]
    goes_on: int
    meets: Step

    @property
    def aside(self) -> list[str]:
        return [it.writes[1 - self.goes_on] for it in self.uses]

    def listed(self, name: str) -> Step:
        """The step in which they meet, with their list by its name in their place."""
        return replace(self.meets, value=_in_place(self.meets.value, self.aside, name))


def row_from(body: Body, at: int) -> Row | None:
    """The longest such row that begins at a node."""
    first = body.nodes[at]
    if first.inside is None or len(first.writes) != 2:
        return None
    for goes_on in (0, 1):
        uses = [first]
        while at + len(uses) < len(body.nodes):
            last, it = uses[-1], body.nodes[at + len(uses)]
            carried = last.writes[goes_on]
            follows = it.key == first.key and it.reads == (carried, *first.reads[1:])
            if not follows or body.readers.count[carried] != 1:
                break
            uses.append(it)
        while len(uses) >= LEAST:
            aside = [it.writes[1 - goes_on] for it in uses]
            meets = _reader(body, aside)
            if meets is not None and _in_place(meets.value, aside, "") is not None:
                return Row(uses, goes_on, meets)
            uses.pop()
    return None


def _reader(body: Body, names: Sequence[str]) -> Step | None:
    """The one step that reads these tensors, and nothing else does."""
    found = {id(it): it for it in body.nodes if set(it.reads) & set(names)}
    once = all(body.readers.count[name] == 1 for name in names)
    only = next(iter(found.values()), None)
    return only.step if once and len(found) == 1 and only is not None and only.inside is None else None


def _in_place(value: Any, names: Sequence[str], name: str) -> Any:
    """What puts tensors together, a list in the place of some that stand beside one another; or None."""
    inner = value.value if isinstance(value, Mark) else value
    terms, together = meeting(inner)
    tensors = [it.tensor if isinstance(it, Var) else None for it in terms]
    start = tensors.index(names[0]) if names[0] in tensors else 0
    end = start + len(names)
    if tensors[start:end] != list(names):
        return None
    pieces = [terms[:start], Var(name), terms[end:]]
    listed: Any = None
    for it in pieces:
        if it != []:
            listed = it if listed is None else Infix("+", listed, it)
    made = together(listed)
    return replace(value, value=made) if isinstance(value, Mark) else made
