"""The geometry of one model, for people: as a table, as cards, as data."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torchport
from torchport.errors import TorchportError
from torchport.geometry import sheets, table
from torchport.geometry.facts import facts
from torchport.geometry.network import Network, Op
from torchport.geometry.page import page

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console

    from torchport.geometry.activations import Activations
    from torchport.port import Port


@dataclass(frozen=True)
class Explanation:
    """What `torchport.explain` gives. `size`: numbers for the sizes that the model leaves open."""

    port: Port
    size: tuple[int, ...] = ()
    #: Arrays that the network is shown to work on, in Keras's axes, and what was done to them in words.
    inputs: tuple[np.ndarray, ...] = ()
    note: str = ""
    tell: Callable[[str], None] = field(default=lambda text: None, repr=False, compare=False)

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

    @cached_property
    def page(self) -> str:
        """The page: one file of HTML that opens offline."""
        return page(self.network, self.activations, self.note)

    @cached_property
    def activations(self) -> Activations | None:
        """What both sides make of the input, if one was given."""
        if not self.inputs:
            return None
        from torchport.geometry.activations import activations

        return activations(self.port, list(self.inputs), self.tell)

    def save(self, path: str | Path) -> Path:
        """Writes the page."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.page, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        """The page for notebooks: in a frame of its own that reaches nothing of the notebook."""
        title, style = html.escape(self.network.cls), "width: 100%; height: 820px; border: 0"
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts" title="{title}" '
            f'style="{style}"></iframe>'
        )

    def card(self, name: str, width: int = 100) -> str:
        """What became of a layer, or a tensor, by name. Raises TorchportError for one that is not there."""
        found = [line for op in self.ops(name) for line in [*sheets.lines(op, self.network, width), []]]
        return "\n".join("".join(text for text, _ in line).rstrip() for line in found)

    def ops(self, name: str) -> list[Op]:
        """The calls of a layer, that of a tensor, or all of a module or block of model.py by its path."""
        found = [
            it for it in self.network.ops
            if name in (it.id, it.layer, it.layer.removesuffix(".activation"), *it.outputs)
        ]  # fmt: skip
        if not found:
            layers = {it.id for it in self.network.layers if name in it.modules}
            found = [it for it in self.network.ops if it.layer in layers]
        if not found and name:
            inside = {it.op for it in self.network.tensors if f"{it.module}.".startswith(f"{name}.")}
            found = [it for it in self.network.ops if it.id in inside]
        if found:
            return found
        blocks = [it.path for it in self.network.blocks if it.path]
        names = {it.lower(): it for it in (*blocks, *(it.layer for it in self.network.ops))}
        near = [names[it] for it in get_close_matches(name.lower(), names, 3, 0.5)] or sorted(names.values())
        advice = f"for instance --layer {near[0]}; torchport explain lists all of them" if near else ""
        raise TorchportError(f"there is no layer {name!r}", where=self.network.name, advice=advice)

    def show_card(self, name: str, console: Console) -> None:
        """The same in a terminal."""
        for op in self.ops(name):
            console.print()
            for line in sheets.lines(op, self.network, console.width):
                console.print(table.text(line), no_wrap=True, crop=False, overflow="ignore")
        console.print()

    def show(self, console: Console) -> None:
        """The table in a terminal."""
        console.print()
        console.print(table.text(table.heading(self.network)), soft_wrap=True)
        console.print()
        for line in table.lines(self.network, console.width):
            console.print(table.text(line), no_wrap=True, crop=False, overflow="ignore")
        console.print()


def explain(
    model: Any, size: Sequence[int] | None = None, input: Any = None,
    tell: Callable[[str], None] = lambda text: None, **options: Any,
) -> Explanation:  # fmt: skip
    """The geometry of a model, or of a port. `options`: those of `torchport.convert`.

    input: an array in Keras's axes, a picture or `.npy` file, or a list of these, one for each input. The
    page shows what the network makes of it: torch runs the port, and TensorFlow the source if it is there.
    """
    from torchport.port import Port

    port = model if isinstance(model, Port) else torchport.convert(model, **options)
    arrays: list[np.ndarray] = []
    note = ""
    if input is not None:
        from torchport.geometry import given
        from torchport.verify import inputs

        graph = port.program.graph
        arrays, note = given.read_all(input if isinstance(input, (list, tuple)) else [input], graph)
        arrays = inputs.given(graph, arrays)
        own = given.open_sizes(arrays[0], graph.tensors[graph.inputs[0]])
        if size and own and list(size) != own:
            what = f"{' '.join(map(str, size))} is not the input's size, {' '.join(map(str, own))}"
            raise TorchportError(what, where="--size", advice="leave --size out: the input has its own")
        size = own or size
    found = Explanation(port, tuple(size or ()), tuple(arrays), note, tell)
    _ = found.network  # sizes that do not fit are said now
    return found
