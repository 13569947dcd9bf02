"""Why a layer's output differs: each guess is worked out and held against the numbers, none is only named.

The layer is the first that differs, so what it reads is right: the source's own value of it. Arrays
are as PyTorch holds them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from torchport.axes import Order
from torchport.verify.compare import agrees
from torchport.verify.frameworks import torch
from torchport.verify.places import Place
from torchport.verify.repairs import changes, working


@dataclass(frozen=True)
class Suspect:
    """A tensor that differs, what it should be, and what is known around it.

    `inputs`: what its op reads. `modules`: the modules of its layer, by path. `weights`: what their
    state should be. `reapply`: the module called on what it was called with, as it is changed
    meanwhile.
    """

    place: Place
    got: np.ndarray
    want: np.ndarray
    inputs: Sequence[np.ndarray]
    modules: dict[str, Any]
    weights: dict[str, np.ndarray]
    reapply: Callable[[str, Any], np.ndarray | None]
    training: bool = False

    @property
    def kind(self) -> str:
        return self.place.op.kind if self.place.op else ""


def cause(it: Suspect) -> str:
    """The likely cause, in words."""
    if it.got.shape != it.want.shape:
        return shape_cause(it)
    if not np.isfinite(it.got).all() and np.isfinite(it.want).all():
        return "gives values that are not finite"
    for guess in (
        activations,
        pieces,
        batch_statistics,
        repairs,
        biases,
        moved_axes,
        shifts,
        ratios,
    ):
        if text := next(iter(guess(it)), ""):
            return text
    return where_it_differs(it)


def shape_cause(it: Suspect) -> str:
    got, want = it.got.shape, it.want.shape
    text = f"gives the shape {got} where the source gives {want}"
    if sorted(got) == sorted(want):
        return f"{text}: its axes are in another order"
    if len(got) == len(want):
        longer = [a - b for a, b in zip(got, want, strict=True) if a != b]
        more = "more" if longer[0] > 0 else "fewer"
        axis = next(at for at in range(len(got)) if got[at] != want[at])
        return f"{text}: {abs(longer[0])} {more} along axis {axis} (padding, crop or stride)"
    return text


def functions() -> dict[str, Callable[[Any], Any]]:
    """Activations that are taken for one another."""
    pt = torch()
    f = pt.nn.functional
    return {
        "no activation": lambda x: x,
        "ReLU": f.relu,
        "ReLU6": f.relu6,
        **{f"LeakyReLU with slope {a}": lambda x, a=a: f.leaky_relu(x, a) for a in (0.01, 0.1, 0.2, 0.3)},
        "ELU": f.elu,
        "SELU": f.selu,
        "GELU (exact)": f.gelu,
        "GELU (tanh)": lambda x: f.gelu(x, approximate="tanh"),
        "SiLU": f.silu,
        "sigmoid": pt.sigmoid,
        "hard sigmoid (x/6 + 1/2)": f.hardsigmoid,
        "hard sigmoid (0.2x + 1/2)": lambda x: pt.clamp(0.2 * x + 0.5, 0, 1),
        "tanh": pt.tanh,
        "softplus": f.softplus,
        "softsign": f.softsign,
        "mish": f.mish,
        "hardswish": f.hardswish,
        **{f"softmax over axis {d}": lambda x, d=d: f.softmax(x, d) if x.dim() > d else x for d in (1, 2, 3)},
    }


def activations(it: Suspect) -> Iterator[str]:
    """Missing, or another."""
    if len(it.inputs) != 1 or not ("activation:" in it.kind or "LU" in it.kind or "Softmax" in it.kind):
        return
    x = torch().from_numpy(np.ascontiguousarray(it.inputs[0]))
    for name, function in functions().items():
        if agrees(it.got, function(x).numpy()):
            named = it.kind.removeprefix("activation:")
            yield (
                f"the activation is missing ({named})"
                if name == "no activation"
                else f"applies {name} where the source has {named}"
            )
            return


def pieces(it: Suspect) -> Iterator[str]:
    """Merged in another order, or by another operation."""
    if len(it.inputs) < 2 or len(it.inputs) > 5:
        return
    for axis in range(it.got.ndim):
        for order in itertools.permutations(range(len(it.inputs))):
            if order == tuple(range(len(it.inputs))):
                continue
            try:
                made = np.concatenate([it.inputs[at] for at in order], axis)
            except ValueError:
                break
            if agrees(it.got, made):
                yield f"concatenates its inputs in the order {list(order)}, not {list(range(len(order)))}"
                return
    if len(it.inputs) == 2 and it.inputs[0].shape == it.inputs[1].shape:
        a, b = it.inputs
        guesses = {
            "adds": a + b, "subtracts": a - b, "subtracts the other way round": b - a,
            "multiplies": a * b, "averages": (a + b) / 2, "takes the maximum": np.maximum(a, b),
            "takes the minimum": np.minimum(a, b), "takes only its first input": a,
            "takes only its second input": b,
        }  # fmt: skip
        for name, made in guesses.items():
            if agrees(it.got, made):
                yield f"{name}, where the source has {it.kind}"
                return


def repairs(it: Suspect) -> Iterator[str]:
    """A change to the module that makes its output right says what was wrong with it."""
    for path, module in it.modules.items():
        for text, change in changes(path, module, it.weights):
            out = working(module, change, partial(it.reapply, path))
            if out is not None and agrees(out, it.want):
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
                    if agrees(it.got + want.reshape(shape), it.want):
                        yield f"{name} is not added"
                    elif agrees(it.got - want.reshape(shape), it.want):
                        yield f"{name} is added twice"


def moved_axes(it: Suspect) -> Iterator[str]:
    """The right values in another order of axes."""
    for order in itertools.permutations(range(it.got.ndim)):
        if order == tuple(range(it.got.ndim)) or tuple(it.want.shape[at] for at in order) != it.got.shape:
            continue
        if agrees(it.got, np.transpose(it.want, order)):
            yield f"its axes are permuted by {order}"
            return
    for axis in range(1, it.got.ndim):
        if agrees(it.got, np.flip(it.want, axis)):
            yield f"is mirrored along axis {axis}"
    if it.got.ndim > 2:
        turned = (
            np.moveaxis(it.want, 1, -1)
            if it.place.order is Order.CHANNELS_FIRST
            else np.moveaxis(it.want, -1, 1)
        )
        if agrees(it.got, turned.reshape(it.got.shape)):
            yield "is reshaped where it should be permuted"


def shifts(it: Suspect) -> Iterator[str]:
    """Right but for a step to the side: a pad or a crop at the wrong end."""
    if it.got.ndim < 3:
        return
    axes = range(1, it.got.ndim)
    for steps in itertools.product((0, -1, 1), repeat=it.got.ndim - 1):
        if not any(steps):
            continue
        ours: list[slice] = [slice(None)]
        theirs: list[slice] = [slice(None)]
        for step in steps:
            ours.append(slice(max(step, 0) + 1, (min(step, 0) - 1)))
            theirs.append(slice(max(-step, 0) + 1, (min(-step, 0) - 1)))
        a, b = it.got[tuple(ours)], it.want[tuple(theirs)]
        if a.size and a.shape == b.shape and np.ptp(b) and agrees(a, b):
            moved = [f"{step:+d} along axis {axis}" for axis, step in zip(axes, steps, strict=True) if step]
            yield f"is shifted by {', '.join(moved)}: padding or crop at the wrong side"
            return


def batch_statistics(it: Suspect) -> Iterator[str]:
    """Normalised by the batch's statistics instead of the running ones, or the other way round."""
    if it.kind != "BatchNormalization" or len(it.inputs) != 1:
        return
    x, op = it.inputs[0], it.place.op
    state = {name.rpartition(".")[2]: value for name, value in it.weights.items()}
    axis = 1 if x.ndim == 2 or it.place.order is Order.CHANNELS_FIRST else x.ndim - 1
    shape = [-1 if at == axis else 1 for at in range(x.ndim)]
    others = tuple(at for at in range(x.ndim) if at != axis)
    scale, shift = state.get("weight", np.ones(1)), state.get("bias", np.zeros(1))
    epsilon = float(op.config.get("epsilon", 1e-3)) if op else 1e-3
    for text, mean, variance in (
        (
            "running statistics where the source uses the batch's",
            state["running_mean"],
            state["running_var"],
        ),
        (
            "the batch's statistics where the source uses running ones",
            x.mean(others),
            x.var(others),
        ),
    ):
        normal = (x - mean.reshape(shape)) / np.sqrt(variance.reshape(shape) + epsilon)
        if agrees(it.got, normal * scale.reshape(shape) + shift.reshape(shape)):
            yield f"normalises with {text}"


def ratios(it: Suspect) -> Iterator[str]:
    """Right but for a factor or a constant."""
    big = np.abs(it.want) > 1e-6 * np.abs(it.want).max(initial=0)
    if big.sum() > 3:
        ratio = it.got[big] / it.want[big]
        if np.allclose(ratio, ratio[0], rtol=1e-9) and abs(ratio[0] - 1) > 1e-9:
            yield f"is {ratio[0]:.6g} times what it should be"
    offset = it.got - it.want
    if offset.size > 3 and np.allclose(offset, offset.flat[0], rtol=1e-6, atol=0):
        yield f"is off by {offset.flat[0]:.6g} everywhere"


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
