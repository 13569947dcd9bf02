"""A function or class of the user's that was ported, and what those that use it need to know."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchport.axes import Order
from torchport.source.fragment import Call
from torchport.source.sites import Site
from torchport.source.values import Flow

#: Stands among what is fixed for the sizes of the tensors themselves.
SIZES_OF_SPACE = "image size"
#: Words that say that a function makes something, before what it makes.
VERBS = re.compile(r"^(build|get|make|create|define|construct)_(?=[a-z])")


@dataclass(frozen=True)
class Input:
    """A tensor that a unit takes: its name, the parameter with the size of its last axis, its order."""

    name: str
    channels: str
    rank: int
    order: Order
    default: str = ""
    #: The parameter that is a list of tensors, of which this is one.
    of: str = ""
    #: Parameters with the sizes of other axes than the last, by axis: those that are known in `build` alone.
    extents: Mapping[int, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Parameter:
    """A parameter of the source's function: its default as text; None: it has none."""

    name: str
    default: str | None
    annotation: str = ""


@dataclass
class Unit:
    """What a function or class became.

    `kind`: "builder", "block", "layer" or "function". `results`: what it gives: the flows, with channels in
    terms of its parameters. `drops`: parameters that it does without. `applied`: its expressions by place.
    """

    name: str
    cls: str
    kind: str
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    #: All of the source's; `parameters` are those that the port has.
    known: tuple[Parameter, ...] = ()
    sizes: tuple[str, ...] = ()
    results: tuple[Flow, ...] = ()
    is_tuple: bool = False
    exposes: bool = False
    text: str = ""
    applied: dict[tuple[int, ...], Call] = field(default_factory=dict)
    rows: dict[Site, tuple[Call, ...]] = field(default_factory=dict)
    chains: frozenset[Site] = frozenset()
    #: What its inputs are called, where the source's model has a dictionary of them.
    keys: tuple[str, ...] = ()
    #: Parameters that are activations, with the module that each value is.
    modules: dict[str, dict[str, str]] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    #: Parameters that had one value wherever the unit was asked for.
    fixed: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    #: Attributes that are weights of the class itself, the same in source and port.
    weights: tuple[str, ...] = ()
    #: Parameters of `call` that were never tensors, and what they always were.
    folded: dict[str, Any] = field(default_factory=dict)
    #: Of a function that gives a function: what that is called.
    inner: str = ""
    line: int = 0
    #: The same, as it is for tensors of other ranks: one text.
    by_ranks: dict[tuple[int, ...], Unit] = field(default_factory=dict, repr=False)

    def of_ranks(self, ranks: tuple[int, ...]) -> Unit:
        """The unit as it is for tensors of these ranks."""
        return self.by_ranks.get(ranks, self)

    def grouped(self, values: Sequence[Any]) -> dict[str, Any]:
        """One value for each tensor, by the parameters that take them: lists as lists."""
        found = dict[str, Any]()
        for it, value in zip(self.inputs, values, strict=True):
            if it.of:
                found.setdefault(it.of, []).append(value)
            else:
                found[it.name] = value
        return found


#: What the axes of space are called, by how many axes there are.
SPACES = {3: ("length",), 4: ("height", "width"), 5: ("depth", "height", "width")}


def class_name(function: str, taken: Collection[str] = ()) -> str:
    """The class of a function: `build_unet` makes a `Unet`; a `BuildUnet`, where that name is `taken`."""
    short, full = (
        "".join(it[:1].upper() + it[1:] for it in name.split("_"))
        for name in (VERBS.sub("", function), function)
    )
    return full if short in taken else short


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
