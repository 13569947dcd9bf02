"""Why a layer's output differs: each guess is worked out and held against the numbers, none is only named.

The layer is the first that differs, so what it reads is right: the source's own value of it. Arrays
are as PyTorch holds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from torchport.axes import Order
from torchport.verify.diagnosis.alternatives import alternatives
from torchport.verify.diagnosis.readings import readings
from torchport.verify.diagnosis.relations import padding, relations, said
from torchport.verify.diagnosis.repairs import changes, working
from torchport.verify.diagnosis.suspect import Suspect


def cause(it: Suspect) -> str:
    """The likely cause, in words."""
    if not np.isfinite(it.got).all() and np.isfinite(it.want).all():
        return "gives values that are not finite"
    same = it.got.shape == it.want.shape
    for guess in (drops, alternatives, readings, repairs) if same else (readings, repairs):
        if text := next(iter(guess(it)), ""):
            return text
    if it.got.shape != it.want.shape:
        return shape_cause(it)
    for guess in (biases, results, twins):
        if text := next(iter(guess(it)), ""):
            return text
    return where_it_differs(it)


def shape_cause(it: Suspect) -> str:
    got, want = it.got.shape, it.want.shape
    text = f"gives the shape {got} where the source gives {want}"
    if sorted(got) == sorted(want):
        return f"{text}: its axes are in another order"
    if found := padding(it.got, it.want, it.axes, it.limit):
        text = f"{text}: it is {said(found[1], it.axes)}"
    if len(got) == len(want):
        longer = [a - b for a, b in zip(got, want, strict=True) if a != b]
        more = "more" if longer[0] > 0 else "fewer"
        axis = next(at for at in range(len(got)) if got[at] != want[at])
        return f"{text}: {abs(longer[0])} {more} along axis {axis} (padding, crop or stride)"
    return text


def repairs(it: Suspect) -> Iterator[str]:
    """A change to the module that makes its output right says what was wrong with it."""
    for path, module in it.modules.items():
        for text, change in changes(path, module, it.weights):
            out = working(module, change, partial(it.reapply, path))
            if out is not None and it.agrees(out, it.want):
                yield text
                return


def biases(it: Suspect) -> Iterator[str]:
    """The output is off by a weight of the layer."""
    for name, want in it.weights.items():
        if want.ndim == 1:
            for axis in range(1, it.got.ndim):
                if it.got.shape[axis] == want.size and want.any():
                    shape = [1] * it.got.ndim
                    shape[axis] = want.size
                    if it.agrees(it.got + want.reshape(shape), it.want):
                        yield f"{name} is not added"
                    elif it.agrees(it.got - want.reshape(shape), it.want):
                        yield f"{name} is added twice"


def results(it: Suspect) -> Iterator[str]:
    """The right values, moved or scaled."""
    for relation in relations(it.got, it.want, it.axes, it.limit):
        yield f"is {relation}"


def twins(it: Suspect) -> Iterator[str]:
    """What another layer gives stands in its place."""
    if name := it.twin(it.got):
        yield f"is what {name} gives"


def drops(it: Suspect) -> Iterator[str]:
    """Some values are zero and the others larger by one factor: a dropout where the source has none."""
    if not it.training or it.got.shape != it.want.shape:
        return
    kept = (it.got != 0) & (it.want != 0)
    share = 1 - kept.sum() / max(int((it.want != 0).sum()), 1)
    if not 0.01 < share < 0.99 or kept.sum() < 4:
        return
    ratio = it.got[kept] / it.want[kept]
    if np.allclose(ratio, ratio[0], rtol=1e-9):
        yield f"drops values: a dropout of about {1 - 1 / ratio[0]:.2g} that the source does not have here"


def where_it_differs(it: Suspect) -> str:
    """No guess fits: where the difference is says something still."""
    wrong = np.abs(it.got - it.want) > 1e-9 * max(float(np.abs(it.want).max(initial=0)), 1e-300)
    share = f"{int(wrong.sum())} of {wrong.size} values differ"
    if wrong.ndim > 2:
        axes = range(2, wrong.ndim) if it.place.order is Order.CHANNELS_FIRST else range(1, wrong.ndim - 1)
        inner = tuple(slice(1, -1) if at in axes else slice(None) for at in range(wrong.ndim))
        if wrong[inner].size and not wrong[inner].any():
            counts = {
                f"the {side} of axis {axis}": int(np.take(wrong, at, axis).sum())
                for axis in axes for side, at in (("start", 0), ("end", -1))
            }  # fmt: skip
            whole = [name for name, count in counts.items() if count == wrong.sum()]
            ends = whole or [name for name, count in counts.items() if count]
            return f"{share}, all at the border ({', '.join(ends)}): padding, crop, or what is counted there"
    if wrong.ndim > 1:
        axis = 1 if it.place.order is Order.CHANNELS_FIRST or wrong.ndim == 2 else wrong.ndim - 1
        others = tuple(at for at in range(wrong.ndim) if at != axis)
        channels = np.flatnonzero(wrong.any(others))
        if 0 < channels.size < wrong.shape[axis]:
            return f"{share}, all in the channels {channels[:8].tolist()}"
    return share
