"""A tensor that differs, and all that is known around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from torchport.axes import to_order
from torchport.verify.compare import agrees
from torchport.verify.diagnosis.relations import EXACT
from torchport.verify.places import Place


@dataclass(frozen=True)
class ModuleCall:
    """What a module of the port read and gave; arrays as PyTorch holds them, in a row."""

    inputs: Sequence[np.ndarray]
    outputs: Sequence[np.ndarray]


@dataclass(frozen=True)
class Suspect:
    """A tensor that differs, what it should be, and what is known around it.

    The layer is the first that differs, so what it reads in the source is right. `inputs`: what its op reads
    there, `input_axes` the names of their axes. `modules`: the modules of its layer, by path. `weights`: what
    their state should be. `reapply`: the port run again with a changed module in a path's place, and the
    tensor that it then gives. `calls`: what the module of a path reads and gives, each time.
    `twin`: the layer that gives an array in the source, if one does. Arrays are
    float64, as PyTorch holds them.
    """

    place: Place
    got: np.ndarray
    want: np.ndarray
    inputs: Sequence[np.ndarray]
    modules: dict[str, Any]
    weights: dict[str, np.ndarray]
    reapply: Callable[[str, Any], np.ndarray | None]
    training: bool = False
    input_axes: Sequence[tuple[str, ...]] = ()
    calls: Callable[[str], Sequence[ModuleCall]] = field(default=lambda path: ())
    twin: Callable[[np.ndarray], str] = field(default=lambda array: "")
    limit: float = EXACT

    def agrees(self, got: np.ndarray, want: np.ndarray) -> bool:
        """Whether a hypothesis explains a tensor, as well as TensorFlow's precision there lets one tell."""
        return agrees(got, want, self.limit)

    @property
    def kind(self) -> str:
        """The kind of its op, `Conv2D`; empty where it has none."""
        return self.place.op.kind if self.place.op else ""

    @property
    def axes(self) -> tuple[str, ...]:
        """Names of its axes, as PyTorch holds it."""
        return axes_of(self.place)


def axes_of(place: Place) -> tuple[str, ...]:
    """Names of a tensor's axes, as PyTorch holds it: n c h w."""
    return tuple(map(str, to_order(place.tensor.axes, place.order)))
