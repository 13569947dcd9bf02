"""What the modules of a layer read and give in the port, held against what the source's layer does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from torchport.rules import window
from torchport.verify.diagnosis.alternatives import functions, many
from torchport.verify.diagnosis.relations import padding, relations, said
from torchport.verify.diagnosis.suspect import ModuleCall, Suspect
from torchport.verify.frameworks import torch

Sides = Sequence[tuple[int, int]]


def readings(it: Suspect) -> Iterator[str]:
    """A module is handed something else than the source's layer, or another part of it is taken."""
    for path in it.modules:
        for module_call in it.calls(path):
            yield from returned(it, path, module_call)
            yield from windows(it, path, module_call)
            for given in module_call.inputs:
                yield from handed(it, path, given)


def held(right: np.ndarray, axes: Sequence[str]) -> list[tuple[np.ndarray, tuple[str, ...]]]:
    """An array as PyTorch holds it, and with its channels moved: a module may take it in either order."""
    names = tuple(axes)
    if right.ndim < 3:
        return [(right, names)]
    return [
        (right, names),
        (np.moveaxis(right, -1, 1), (*names[:1], *names[-1:], *names[1:-1])),
        (np.moveaxis(right, 1, -1), (*names[:1], *names[2:], *names[1:2])),
    ]


def handed(it: Suspect, path: str, given: np.ndarray) -> Iterator[str]:
    """How what a module is handed came of what it should be handed."""
    pairs = zip(it.inputs, it.input_axes, strict=False)
    known = [variant for right, axes in pairs for variant in held(right, axes)]
    if given.dtype.kind != "f":
        return
    if any(it.agrees(given, right) or is_padded(it, path, given, right, axes) for right, axes in known):
        return
    for right, axes in known:
        for relation in relations(given, right, axes, it.limit):
            yield f"reads its input {relation}"
            return
    for right, _ in known:
        if given.shape != right.shape:
            continue
        for behind, before, text in (
            (given, right, "behind {}: the activation stands before it, not after"),
            (right, given, "before {}: that activation is missing, or stands after it"),
        ):
            x = torch().from_numpy(np.ascontiguousarray(before))
            for name, function in functions().items():
                if name != "no activation" and it.agrees(behind, function(x).numpy()):
                    yield f"reads its input {text.format(name)}"
                    return


def is_padded(it: Suspect, path: str, given: np.ndarray, right: np.ndarray, axes: Sequence[str]) -> bool:
    """Whether a convolution is handed what TensorFlow pads as well."""
    module, op = it.modules[path], it.place.op
    kernel = getattr(module, "kernel_size", None)
    if op is None or not isinstance(kernel, tuple) or right.ndim != len(kernel) + 2:
        return False
    moved = padding(given, right, axes, it.limit)
    sides = Window.of(op.config, len(kernel)).sides(right.shape[2:], kernel)
    return moved is not None and sides is not None and not moved[0] and list(moved[1][2:]) == sides


def returned(it: Suspect, path: str, module_call: ModuleCall) -> Iterator[str]:
    """Another part of what a module gives than the source takes: another step, another state."""
    if len(module_call.outputs) < 2 and it.got.ndim >= module_call.outputs[0].ndim:
        return
    found = [(name, array) for name, array in parts(module_call.outputs)]
    taken = next((name for name, array in found if it.agrees(it.got, array)), "")
    wanted = next((name for name, array in found if it.agrees(it.want, array)), "")
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
    """A convolution with another stride, dilation or padding than the source's options say."""
    module, op = it.modules[path], it.place.op
    is_conv = type(module).__name__.startswith("Conv") and not getattr(module, "transposed", False)
    if op is None or not is_conv or not it.inputs or not module_call.inputs:
        return
    rank = len(module.kernel_size)
    right = Window.of(op.config, rank)
    for x, axes in held(it.inputs[0], it.input_axes[0]):
        if x.ndim != rank + 2 or x.shape[1] != module.in_channels:
            continue
        sides = right.sides(x.shape[2:], module.kernel_size)
        if sides is None:
            continue
        found = applied(module, x, right, sides)
        if not any(it.agrees(found, array) for array, _ in held(it.want, it.axes)):
            continue
        for name, own, source in (
            ("stride", module.stride, right.stride), ("dilation", module.dilation, right.dilation),
        ):  # fmt: skip
            if tuple(own) != source:
                yield f"its {name} is {tuple(own)}, the source's {source}"
                return
        moved = padding(module_call.inputs[0], x, axes, it.limit)
        if isinstance(module.padding, str) or (moved is None and module_call.inputs[0].shape != x.shape):
            return
        before = moved[1][2:] if moved else ((0, 0),) * rank
        port = [(a + more, b + more) for (a, b), more in zip(before, module.padding, strict=True)]
        filled = moved[0] if moved else ""
        if port != sides or filled:
            names = tuple(axes[2:])
            odd = any(a != b for a, b in sides) and not right.is_causal
            why = ": TensorFlow puts the odd step of 'same' at the end" if odd else ""
            yield f"is {filled}{said(port, names)}, the source's input is {said(sides, names)}{why}"
            return


@dataclass(frozen=True)
class Window:
    """What the source's options say of a convolution's window."""

    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    mode: str

    @classmethod
    def of(cls, config: Mapping[str, Any], rank: int) -> Window:
        strides, rates = config.get("strides") or 1, config.get("dilation_rate") or 1
        return cls(many(strides, rank), many(rates, rank), str(config.get("padding") or "valid").lower())

    @property
    def is_causal(self) -> bool:
        return self.mode == "causal"

    def sides(self, sizes: Sequence[int], kernel: Sequence[int]) -> list[tuple[int, int]] | None:
        """What TensorFlow puts before and after each axis in space; None for a mode that it has not."""
        if self.mode not in ("valid", "same", "causal"):
            return None
        axes = zip(sizes, kernel, self.stride, self.dilation, strict=True)
        over = [(n, window.Window(k, s, d, self.mode)) for n, k, s, d in axes]
        return [side for n, it in over if (side := it.pads(n))]


def applied(module: Any, x: np.ndarray, window: Window, sides: Sides) -> np.ndarray:
    """A module's convolution with another window, on an input that is padded so."""
    pt = torch()
    whole = np.pad(x, [(0, 0), (0, 0), *sides])
    functions = {3: pt.nn.functional.conv1d, 4: pt.nn.functional.conv2d, 5: pt.nn.functional.conv3d}
    with pt.no_grad():
        given = pt.from_numpy(np.ascontiguousarray(whole)).to(module.weight.dtype)
        options = (window.stride, 0, window.dilation, module.groups)
        found = functions[x.ndim](given, module.weight, module.bias, *options)
    return np.asarray(found.numpy().astype(np.float64))
