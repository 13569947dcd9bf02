"""The geometry of one model, for people: as a table, as cards, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torchport
from torchport.geometry import table
from torchport.geometry.facts import facts
from torchport.geometry.network import Network

if TYPE_CHECKING:
    from rich.console import Console

    from torchport.port import Port


@dataclass(frozen=True)
class Explanation:
    """What `torchport.explain` gives. `size`: numbers for the sizes that the model leaves open."""

    port: Port
    size: tuple[int, ...] = ()

    @cached_property
    def network(self) -> Network:
        """All facts, elements of weights included."""
        return facts(self.port, self.size)

    @property
    def data(self) -> dict[str, Any]:
        """The document of docs/explain-json.md."""
        return self.network.record()

    def table(self, width: int = 100) -> str:
        """One line a tensor under its block, both shapes by named axes."""
        found = [table.heading(self.network), [], *table.lines(self.network, width)]
        return "\n".join("".join(text for text, _ in line).rstrip() for line in found)

    def show(self, console: Console) -> None:
        """The same in a terminal."""
        console.print()
        console.print(table.text(table.heading(self.network)), soft_wrap=True)
        console.print()
        for line in table.lines(self.network, console.width):
            console.print(table.text(line), no_wrap=True, crop=False, overflow="ignore")
        console.print()


def explain(model: Any, size: Sequence[int] | None = None, **options: Any) -> Explanation:
    """The geometry of a model, or of a port. `options`: those of `torchport.convert`."""
    from torchport.port import Port

    port = model if isinstance(model, Port) else torchport.convert(model, **options)
    found = Explanation(port, tuple(size or ()))
    _ = found.network  # sizes that do not fit are said now
    return found
