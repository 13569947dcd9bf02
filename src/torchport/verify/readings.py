"""What the modules of a layer read and give in the port, held against what the source's layer does."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from torchport.axes import Order
from torchport.verify.alternatives import functions
from torchport.verify.compare import agrees
from torchport.verify.frameworks import torch
from torchport.verify.relations import padding, relations, said
from torchport.verify.suspect import ModuleCall, Suspect

Sides = Sequence[tuple[int, int]]


def readings(it: Suspect) -> Iterator[str]:
    """A module is handed something else than the source's layer is."""
    for path in it.modules:
        for module_call in it.calls(path):
            yield from windows(it, path, module_call)
            for given in module_call.inputs:
                yield from handed(it, path, given)
            yield from returned(it, path, module_call)


def handed(it: Suspect, path: str, given: np.ndarray) -> Iterator[str]:
    """How what a module is handed came of what it should be handed."""
    if given.dtype.kind != "f" or any(agrees(given, right) for right in it.inputs):
        return
    for right, axes in zip(it.inputs, it.input_axes, strict=False):
        for relation in relations(given, right, axes):
            yield f"reads its input {relation}"
            return
        if given.shape != right.shape:
            continue
        x = torch().from_numpy(np.ascontiguousarray(right))
        for name, function in functions().items():
            if name != "no activation" and agrees(given, function(x).numpy()):
                yield f"reads its input behind {name}: the activation stands before it, not after"
                return
        for name, function in functions().items():
            if name != "no activation" and agrees(right, function(torch().from_numpy(given.copy())).numpy()):
                yield f"reads its input before {name}: that activation is missing, or stands after it"
                return


def returned(it: Suspect, path: str, module_call: ModuleCall) -> Iterator[str]:
    """Another part of what a module gives than the source takes: another step, another state."""
    if len(module_call.outputs) < 2 and it.got.ndim >= module_call.outputs[0].ndim:
        return
    found = [(name, array) for name, array in parts(module_call.outputs)]
    taken = next((name for name, array in found if agrees(it.got, array)), "")
    wanted = next((name for name, array in found if agrees(it.want, array)), "")
    if taken and wanted and taken != wanted:
        yield f"takes {taken} of what {path} gives, where the source takes {wanted}"


def parts(outputs: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """What one may take of a module's outputs: the last step, the final state, all of it."""
    names = ("the sequence", "the final hidden state", "the final cell state")
    for name, array in zip(names, outputs, strict=False):
        yield name, array
        if array.ndim == 3 and name == "the sequence":
            yield "the last step", array[:, -1]
            yield "the first step", array[:, 0]
            yield "the last item of the batch", array[-1]
        elif array.ndim == 3:
            yield name, array[-1]
            yield f"{name} of the first layer or direction", array[0]


def windows(it: Suspect, path: str, module_call: ModuleCall) -> Iterator[str]:
    """A convolution whose input is padded otherwise than 'same' or 'valid' of the source say."""
    module, op = it.modules[path], it.place.op
    own = getattr(module, "padding", None)
    if op is None or not isinstance(own, tuple) or not type(module).__name__.startswith("Conv"):
        return
    if getattr(module, "transposed", False) or not it.inputs or it.place.order is not Order.CHANNELS_FIRST:
        return
    x, axes = it.inputs[0], it.input_axes[0]
    right = source_padding(x.shape[2:], module, str(op.config.get("padding", "valid")).lower())
    found = padding(module_call.inputs[0], x, axes)
    same = module_call.inputs[0].shape == x.shape
    if right is None or (found is None and not same) or (found and found[0]):
        return
    sides = found[1] if found else ((0, 0),) * x.ndim
    port = [(a + more, b + more) for (a, b), more in zip(sides[2:], own, strict=True)]
    if port == list(right):
        return
    if agrees(applied(module, x, right), it.want):
        names = tuple(axes[2:])
        yield (
            f"is {said(port, names)}, the source's input is {said(right, names)}: TensorFlow puts the odd "
            "step of 'same' at the end"
        )


def source_padding(sizes: Sequence[int], module: Any, mode: str) -> list[tuple[int, int]] | None:
    """What TensorFlow puts before and after each axis in space; None for another mode.

    Source: tensorflow/core/framework/kernel_shape_util.cc, GetWindowedOutputSizeVerbose.
    """
    spans = [(k - 1) * d for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if mode == "valid":
        return [(0, 0)] * len(spans)
    if mode == "causal":
        return [(span, 0) for span in spans]
    if mode != "same":
        return None
    total = [
        max(0, (math.ceil(n / s) - 1) * s + span + 1 - n)
        for n, s, span in zip(sizes, module.stride, spans, strict=True)
    ]
    return [(steps // 2, steps - steps // 2) for steps in total]


def applied(module: Any, x: np.ndarray, sides: Sides) -> np.ndarray:
    """A convolution on an input that is padded so, and not by itself."""
    pt = torch()
    whole = np.pad(x, [(0, 0), (0, 0), *sides])
    functions = {3: pt.nn.functional.conv1d, 4: pt.nn.functional.conv2d, 5: pt.nn.functional.conv3d}
    with pt.no_grad():
        given = pt.from_numpy(np.ascontiguousarray(whole)).to(module.weight.dtype)
        found = functions[x.ndim](
            given, module.weight, module.bias, module.stride, 0, module.dilation, module.groups
        )
    return np.asarray(found.numpy().astype(np.float64))
