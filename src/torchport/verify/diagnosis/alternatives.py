"""What a layer would give if it were another: each is worked out from what it reads, and held against it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from torchport.axes import Order
from torchport.verify.diagnosis.suspect import Suspect
from torchport.verify.frameworks import torch


def alternatives(it: Suspect) -> Iterator[str]:
    """What the layer is taken for."""
    for guess in (activations, absence, pieces, batch_statistics, pools, means, sizes, layer_norms, flat):
        yield from guess(it)


def absence(it: Suspect) -> Iterator[str]:
    """Left out: what it reads is handed on."""
    if it.inputs and it.agrees(it.got, it.inputs[0]):
        yield f"is left out: what it reads is handed on ({it.kind or 'the layer'} is missing)"


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
        **{
            f"log softmax over axis {d}": lambda x, d=d: f.log_softmax(x, d) if x.dim() > d else x
            for d in (1, 2, 3)
        },
        **{
            f"softmax over axis {d}": lambda x, d=d: f.softmax(x, d) if x.dim() > d else x
            for d in (0, 1, 2, 3)
        },
    }


def activations(it: Suspect) -> Iterator[str]:
    """Missing, or another."""
    if len(it.inputs) != 1 or not ("activation:" in it.kind or "LU" in it.kind or "Softmax" in it.kind):
        return
    x = torch().from_numpy(np.ascontiguousarray(it.inputs[0]))
    for name, function in functions().items():
        if it.agrees(it.got, function(x).numpy()):
            named = it.kind.rpartition(":")[2]
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
            if it.agrees(it.got, made):
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
            if it.agrees(it.got, made):
                yield f"{name}, where the source has {it.kind}"
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
        if it.agrees(it.got, normal * scale.reshape(shape) + shift.reshape(shape)):
            yield f"normalises with {text}"


def first(it: Suspect) -> np.ndarray:
    """What the layer reads, channels first."""
    x = it.inputs[0]
    return x if it.place.order is Order.CHANNELS_FIRST or x.ndim < 3 else np.moveaxis(x, -1, 1)


def outcome(it: Suspect, array: np.ndarray) -> np.ndarray:
    """A result that is channels first, as the port holds it."""
    is_moved = it.place.order is not Order.CHANNELS_FIRST and array.ndim > 2
    return np.moveaxis(array, 1, -1) if is_moved else array


def pools(it: Suspect) -> Iterator[str]:
    """Pooling by another rule: of maximum and mean, of what is counted, of what is padded and where."""
    if "Pooling" not in it.kind or it.kind.startswith(("Global", "Adaptive")) or len(it.inputs) != 1:
        return
    x, config = first(it), it.place.op.config if it.place.op else {}
    rank = x.ndim - 2
    window = many(config.get("pool_size", 2), rank)
    steps = many(config.get("strides") or window, rank)
    total = [
        max(0, (math.ceil(n / s) - 1) * s + k - n) for n, k, s in zip(x.shape[2:], window, steps, strict=True)
    ]
    if config.get("padding") != "same":
        total = [0] * rank
    sides = {
        "": [(all_ // 2, all_ - all_ // 2) for all_ in total],
        " with the odd step of padding at the start": [(all_ - all_ // 2, all_ // 2) for all_ in total],
    }
    for where, pairs in sides.items():
        for kind, fill, count in (
            ("takes the mean and counts the padding", 0.0, True), ("takes the mean", np.nan, False),
            ("takes the maximum and pads with zeros", 0.0, False), ("takes the maximum", -np.inf, False),
        ):  # fmt: skip
            whole = np.pad(x, [(0, 0), (0, 0), *pairs], constant_values=fill)
            cut = np.lib.stride_tricks.sliding_window_view(whole, window, tuple(range(2, x.ndim)))
            cut = cut[(slice(None), slice(None), *(slice(None, None, step) for step in steps))]
            inner = tuple(range(-rank, 0))
            found = cut.mean(inner) if count else (np.nanmean if "mean" in kind else np.max)(cut, inner)
            if it.agrees(it.got, outcome(it, np.asarray(found))):
                yield f"{kind}{where}, where the source has {it.kind}"
                return


def many(value: Any, rank: int) -> tuple[int, ...]:
    """An option that is one number for all axes, or one for each."""
    found = tuple(value) if isinstance(value, (list, tuple)) else (int(value),)
    return found * rank if len(found) == 1 else found


def means(it: Suspect) -> Iterator[str]:
    """A whole axis reduced by another rule, or another axis."""
    if len(it.inputs) != 1 or it.got.ndim > it.inputs[0].ndim or it.inputs[0].ndim > 6:
        return
    x = it.inputs[0]
    rules: dict[str, Callable[..., Any]] = {
        "takes the mean": np.mean, "takes the sum": np.sum, "takes the maximum": np.max,
        "takes the minimum": np.min, "takes the first": lambda x, axis, keepdims: np.take(x, [0], axis[0]),
        "takes the last": lambda x, axis, keepdims: np.take(x, [-1], axis[0]),
    }  # fmt: skip
    for count in range(1, x.ndim):
        for axes in itertools.combinations(range(1, x.ndim), count):
            if math.prod(n for at, n in enumerate(x.shape) if at not in axes) != it.got.size:
                continue
            for name, rule in rules.items():
                if count > 1 and name.endswith(("first", "last")):
                    continue
                if it.agrees(it.got, rule(x, axis=axes, keepdims=True).reshape(it.got.shape)):
                    over = ", ".join(map(str, axes))
                    yield f"{name} over axis {over}, where the source has {it.kind.rpartition('.')[2]}"
                    return


def sizes(it: Suspect) -> Iterator[str]:
    """Resized by another method."""
    is_resize = any(word in it.kind for word in ("UpSampling", "Resiz", "resize", "Resize"))
    if not is_resize or not it.inputs or it.got.ndim not in (3, 4, 5):
        return
    pt = torch()
    x = pt.from_numpy(np.ascontiguousarray(first(it)))
    size = it.got.shape[2:] if it.place.order is Order.CHANNELS_FIRST else it.got.shape[1:-1]
    smooth = {3: ("linear",), 4: ("bilinear", "bicubic"), 5: ("trilinear",)}[it.got.ndim]
    methods: list[tuple[str, dict[str, Any]]] = [
        (mode, {"mode": mode}) for mode in ("nearest", "nearest-exact")
    ]
    methods += [
        (f"{mode}, align_corners={aligned}", {"mode": mode, "align_corners": aligned})
        for mode in smooth for aligned in (False, True)
    ]  # fmt: skip
    for name, options in methods:
        found = pt.nn.functional.interpolate(x, size=size, **options).numpy()
        if it.agrees(it.got, outcome(it, found)):
            config = it.place.op.config if it.place.op else {}
            source = config.get("interpolation") or config.get("method") or "another method"
            yield f"resizes by {name}, where the source resizes by {source}"
            return


def layer_norms(it: Suspect) -> Iterator[str]:
    """Normalised over other axes, by another variance, or without scale and shift."""
    kinds = ("LayerNormalization", "GroupNormalization", "InstanceNormalization")
    if it.kind not in kinds or len(it.inputs) != 1:
        return
    x = it.inputs[0]
    epsilon = float(it.place.op.config.get("epsilon", 1e-3)) if it.place.op else 1e-3
    state = {name.rpartition(".")[2]: value for name, value in it.weights.items()}
    for count in range(1, x.ndim):
        for axes in itertools.combinations(range(1, x.ndim), count):
            for ddof, which in ((0, ""), (1, " with the unbiased variance")):
                mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True, ddof=ddof)
                normal = (x - mean) / np.sqrt(variance + epsilon)
                over = f"normalises over axis {', '.join(map(str, axes))}{which}"
                for array, text in (
                    (normal, f"{over}, without scale and shift"),
                    *_scaled(normal, state, over),
                ):
                    if it.agrees(it.got, array):
                        yield f"{text}, where the source has {it.kind}"
                        return


def _scaled(normal: np.ndarray, state: dict[str, np.ndarray], text: str) -> Iterator[tuple[np.ndarray, str]]:
    """A normal tensor with the layer's scale and shift along each axis that they fit."""
    scale, shift = state.get("weight", np.ones(1)), state.get("bias", np.zeros(1))
    for axis in range(1, normal.ndim):
        if max(scale.size, shift.size) == normal.shape[axis]:
            shape = [-1 if at == axis else 1 for at in range(normal.ndim)]
            yield normal * scale.reshape(shape) + shift.reshape(shape), text


def flat(it: Suspect) -> Iterator[str]:
    """An image made a row in another order."""
    x = it.inputs[0] if it.inputs else np.zeros(0)
    if it.got.ndim != 2 or x.ndim < 3 or it.got.size != x.size:
        return
    for order in itertools.permutations(range(1, x.ndim)):
        if it.agrees(it.got, np.transpose(x, (0, *order)).reshape(it.got.shape)):
            names = it.input_axes[0] if it.input_axes else ()
            words = " ".join(names[at] if at < len(names) else str(at) for at in order)
            yield f"is flattened in the order ({words}): the rows of the next kernel are for another one"
            return
