"""Changes to a module that are tried on one that gives the wrong output."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from torchport.verify.frameworks import torch

#: Attributes of torch's modules that are taken for granted: what each is called, and usual values.
SETTINGS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "eps": ("epsilon", (1e-3, 1e-5, 1e-6, 1e-7, 1e-4, 1e-12)),
    "negative_slope": ("slope", (0.01, 0.1, 0.2, 0.3)),
    "alpha": ("alpha", (1.0, 0.3, 0.2, 0.1)),
    "batch_first": ("batch_first", (True, False)),
    "ceil_mode": ("ceil_mode", (True, False)),
    "count_include_pad": ("count_include_pad", (True, False)),
    "align_corners": ("align_corners", (True, False)),
    "mode": ("mode", ("nearest", "nearest-exact", "bilinear", "bicubic")),
    "approximate": ("approximation", ("none", "tanh")),
    "nonlinearity": ("nonlinearity", ("tanh", "relu")),
    "num_groups": ("number of groups", (1, 2, 4, 8, 16, 32)),
    "groups": ("number of groups", (1, 2, 3, 4, 8, 16, 32)),
    "dilation": ("dilation", ((1,), (2,), (3,), (4,), (1, 1), (2, 2), (3, 3), (4, 4), (1, 1, 1), (2, 2, 2))),
    "stride": ("stride", ((1,), (2,), (3,), (1, 1), (2, 2), (3, 3), (1, 2), (2, 1), (1, 1, 1), (2, 2, 2))),
    "dim": ("dim", (1, 2, 3, -1)),
    "padding_mode": ("padding mode", ("zeros", "reflect", "replicate", "circular")),
}


def said(value: Any) -> str:
    """A setting as one writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def working(
    module: Any, change: Callable[[Any], Any], run: Callable[[Any], np.ndarray | None]
) -> np.ndarray | None:
    """What a changed copy of a module gives; None if it cannot be changed so, or does not run."""
    repaired = copy.deepcopy(module)
    with torch().no_grad():
        if change(repaired) is False:
            return None
    try:
        return run(repaired)
    except Exception:  # a repair that does not fit is no repair
        return None


def changes(
    path: str, module: Any, weights: dict[str, np.ndarray]
) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """Repairs to try: what to say if one works, and the change itself."""
    pt = torch()

    def from_source(it: Any) -> None:
        for name, tensor in it.state_dict().items():
            if (want := weights.get(f"{path}.{name}")) is not None and want.shape == tuple(tensor.shape):
                tensor.copy_(pt.from_numpy(want.copy()))

    def setting(name: str, value: Any) -> Callable[[Any], Any]:
        return lambda it: setattr(it, name, value)

    def without_bias(it: Any) -> Any:
        want = weights.get(f"{path}.bias")
        if getattr(it, "bias", None) is not None or want is None:
            return False
        it.bias = pt.nn.Parameter(pt.from_numpy(want.copy()).to(it.weight.dtype))
        return None

    yield "its weights are not the source's", from_source
    if hasattr(module, "bias"):
        yield "its bias is missing", without_bias
    if hasattr(module, "running_mean"):
        yield (
            "normalises with running statistics where the source uses the batch's"
            if not module.training
            else "normalises with the batch's statistics where the source uses running ones"
        ), lambda it: it.train(not it.training)  # fmt: skip
    for name, (words, values) in SETTINGS.items():
        own = getattr(module, name, None)
        for value in values if own is not None else ():
            if value != own and type(value) is type(own):
                yield f"its {words} is {said(own)}, the source's {said(value)}", setting(name, value)
    if isinstance(getattr(module, "p", None), float):
        yield "drops values in inference mode", setting("p", 0.0)
    padding = getattr(module, "padding", None)
    if isinstance(padding, tuple) and all(isinstance(it, int) for it in padding):
        for more in itertools.product((-1, 1, 0), repeat=len(padding)):
            if any(more) and all(a + b >= 0 for a, b in zip(padding, more, strict=True)):
                new = tuple(a + b for a, b in zip(padding, more, strict=True))
                yield f"its padding is {padding}, should be {new}", setting("padding", new)
                if type(module).__name__.startswith("Conv"):
                    yield f"its padding is {padding}, should be {new}", repadded(new)


def repadded(padding: tuple[int, ...]) -> Callable[[Any], Any]:
    def change(it: Any) -> None:
        it.padding = padding
        it._reversed_padding_repeated_twice = [side for at in reversed(padding) for side in (at, at)]

    return change
