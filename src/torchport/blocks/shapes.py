"""What a block's docstring says of shapes, in terms of its parameters."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from torchport.blocks.align import Wire
from torchport.blocks.block import Block
from torchport.blocks.nodes import Node, is_activation
from torchport.blocks.parameters import Parameter
from torchport.program import Apply, Call, Infix, Mark, Spec


def docstring(block: Block, parameters: Sequence[Parameter], blocks: Mapping[Hashable, Block]) -> str:
    """`(n, in_channels, h, w) -> (n, out_channels, h / stride, w / stride)`."""
    seen: dict[str, list[Any]] = {}
    takes = [
        _shape([it.specs[it.reads[at]] for it in block.uses], parameters, seen, [])
        for at in range(len(block.uses[0].reads))
    ]
    gives = [
        _shape([it.specs[it.writes[at]] for it in block.uses], parameters, seen,
               [zoom(block, it, at, blocks) for it in block.uses])
        for at in range(len(block.uses[0].writes))
    ]  # fmt: skip
    return f"{', '.join(takes)} -> {', '.join(gives)}"


def _shape(
    specs: Sequence[Spec], parameters: Sequence[Parameter], seen: dict[str, list[Any]],
    zooms: Sequence[Fraction | None],
) -> str:  # fmt: skip
    """One tensor's shape over all uses.

    `seen`: sizes that an axis name stands for already. `zooms`: how many times as large as the first input it
    is in each use, for sizes that only the run time knows.
    """
    axes = specs[0].torch_axes.split()
    if any(len(it.shape) != len(axes) for it in specs):
        return "(...)"
    words = []
    for at, axis in enumerate(axes):
        column = [it.shape[at] for it in specs]
        words.append(_size(axis, column, parameters, seen, zooms))
    return f"({', '.join(words)})"


def _size(
    axis: str, column: list[Any], parameters: Sequence[Parameter], seen: dict[str, list[Any]],
    zooms: Sequence[Fraction | None],
) -> str:  # fmt: skip
    if axis == "n":
        return "n"
    if axis == "c":
        for found in parameters:
            if list(found.values) == column:
                return found.name
        return str(column[0]) if len(set(column)) == 1 and column[0] is not None else "c"
    if axis not in seen:
        seen[axis] = column
        return axis
    first = seen[axis]
    if zooms and None not in zooms:
        column, first = _filled(column, first, [it for it in zooms if it is not None])
    if None not in column and column == first:
        return axis
    stride = next((it.values for it in parameters if it.name == "stride"), None)
    triples = [it for it in zip(column, first, stride or (), strict=False) if None not in it]
    if triples and all(isinstance(s, int) and -(-b // s) == a for a, b, s in triples):
        return f"{axis} / stride"
    for ratio in (2, 3, 4, 8, 16, 32):
        pairs = [(a, b) for a, b in zip(column, first, strict=True) if a is not None and b is not None]
        if pairs and all(a == b * ratio for a, b in pairs):
            return f"{ratio} * {axis}"
        if pairs and all(a == -(-b // ratio) or a == b // ratio for a, b in pairs):
            return f"{axis} / {ratio}"
    return f"{axis}'"


#: Stands for a size that only the run time knows; it is divided without a rest.
OPEN = 2**12


def _filled(column: list[Any], first: list[Any], zooms: Sequence[Fraction]) -> tuple[list[Any], list[Any]]:
    """Sizes of an axis in all uses, and those that it had, numbers in the place of open ones."""
    pairs = [
        (OPEN * it, OPEN) if now is None or was is None else (now, was)
        for now, was, it in zip(column, first, zooms, strict=True)
    ]
    return [now for now, _ in pairs], [was for _, was in pairs]


def zoom(block: Block, use: Node, at: int, blocks: Mapping[Hashable, Block]) -> Fraction | None:
    """How many times as large as its first input a use of a block gives an image; None: not known."""
    inside = use.inside or ()
    passes = {slots[-1]: wire for slots, wire in _parts(block)}

    def along(wire: Wire) -> Fraction | None:
        if wire[0] == "in":
            return Fraction(1) if wire == ("in", 0) else None
        slot = int(wire[0])
        it = inside[slot]
        if it is None:
            return along(passes[slot]) if slot in passes else None
        own = zoom(blocks[it.key], it, wire[1], blocks) if it.key in blocks else zoom_of(it)
        if own is None:
            return None
        return next((own * above for read in block.slots[slot].reads if (above := along(read))), None)

    return along(block.outputs[at])


def _parts(block: Block) -> Iterator[tuple[list[int], Wire]]:
    for number, part in enumerate(block.parts):
        yield [at for at, slot in enumerate(block.slots) if slot.part == number], part.passes


def zoom_of(leaf: Node) -> Fraction | None:
    """How many times as large an image leaves a step as it entered; None: that is not known."""
    value = leaf.step.value.value if isinstance(leaf.step.value, Mark) else leaf.step.value
    if leaf.step.kind == "pad":  # before a convolution of a stride
        return Fraction(1)
    if (
        is_activation(value)
        or isinstance(value, Infix)
        or (isinstance(value, Call) and value.function == "torch.cat")
    ):
        return Fraction(1)
    if isinstance(value, Call) and value.function == "F.interpolate":
        return _times(value.kwargs.get("scale_factor"))
    if isinstance(value, Call) and "_pool" in value.function:
        kernel = value.args[1] if len(value.args) > 1 else None
        return _window(kernel, value.kwargs.get("stride") or kernel, value.kwargs.get("padding", 0), 1)
    if not isinstance(value, Apply):
        return None
    made = value.module
    if made.cls.startswith("nn.ConvTranspose"):
        return _times(made.kwargs.get("stride", 1))
    if made.cls.startswith("nn.Conv"):
        numbers = [
            made.kwargs.get(name, usual) for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1))
        ]
        return _window(made.args[2], *numbers)
    return Fraction(1) if leaf.light or made.cls == "nn.Linear" else None


def _times(value: Any) -> Fraction | None:
    return Fraction(value) if isinstance(value, (int, float)) and value > 0 else None


def _window(kernel: Any, stride: Any, padding: Any, dilation: Any) -> Fraction | None:
    """What a window leaves of an image, but for a rest."""
    if isinstance(stride, int) and stride > 1:
        return Fraction(1, stride)
    keeps = padding == "same" or (
        all(isinstance(it, int) for it in (kernel, padding, dilation))
        and 2 * padding == dilation * (kernel - 1)
    )
    return Fraction(1) if keeps and stride == 1 else None
