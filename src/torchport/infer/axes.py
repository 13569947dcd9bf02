"""Which axis of its inputs each axis of an op's output is.

No rule says it: the function that gives a rule's shapes is asked again, with sizes that know whose they are.
One that it hands on is an axis of an input, whatever its place; one that it works out is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchport.axis import Axis, default_names, new_axis, regroup
from torchport.errors import TorchportError, Unsupported
from torchport.graph import Graph, Op, Shape, Tensor

#: What reads the values of a tensor again, in the order of memory, as those of another shape.
REGROUPING = frozenset({"Flatten", "Reshape", "keras.ops.Reshape"})
#: What gives each axis another place.
MOVING = REGROUPING | {"Permute", "keras.ops.Transpose", "keras.ops.Swapaxes", "keras.ops.Moveaxis"}
#: Stand for sizes that only the run time knows: primes, each larger than what a model is made of.
OPEN = (100_003, 100_019, 100_043, 100_049, 100_057, 100_069, 100_103, 100_109)


class Size(int):
    """A size that knows its axis. What is worked out of it is a number like any other."""

    axis: Axis

    @classmethod
    def of(cls, size: int | None, axis: Axis, at: int) -> Size:
        found = cls(OPEN[at] if size is None else size)
        found.axis = axis
        return found


def channels_first(graph: Graph) -> frozenset[str]:
    """The tensors that go, as they are, into a layer whose data_format is channels_first."""
    found: set[str] = set()
    for op in reversed(graph.ops):
        data_format = op.config.get("data_format")
        if op.kind == "Model":
            body = graph.bodies[op.layer]
            inner = channels_first(body)
            pairs = zip(op.inputs, body.inputs, strict=False)
            found |= {outer for outer, inside in pairs if inside in inner}
        elif data_format == "channels_first" or (
            data_format is None and op.kind not in MOVING and found.intersection(op.outputs)
        ):
            found |= {*op.inputs}
    return frozenset(found)


def input_axes(name: str, shape: Shape, is_channels_first: bool, is_text: bool) -> tuple[Axis, ...]:
    """The axes of an input; `is_text`: those of words, whose last axis are steps."""
    names = ("n", "t") if is_text else default_names(len(shape), is_channels_first)
    return tuple(Axis(own, f"{name}.{at}") for at, own in enumerate(names))


def output_axes(
    op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], function: Callable[..., Any] | None,
    has_kernel: bool, first: frozenset[str],
) -> Iterator[tuple[Axis, ...]]:  # fmt: skip
    """The axes of each output. `function`: gives the shapes of the outputs for other tensors as inputs.

    `has_kernel`: it makes features of features. `first`: the tensors that are read as channels first.
    """
    traced = _traced(op, inputs, outputs, function)
    for tensor, known in zip(outputs, traced, strict=True):
        yield _completed(op, inputs, tensor, known, has_kernel, tensor.name in first)


def _traced(
    op: Op, inputs: Sequence[Tensor], outputs: Sequence[Tensor], function: Callable[..., Any] | None
) -> list[Sequence[Axis | None]]:
    """For each axis of each output that of an input that it is; None where it is another."""
    first = inputs[0] if inputs else None
    if first is None or not all(tensor.axes for tensor in inputs):
        return [[None] * len(tensor.shape) for tensor in outputs]
    if function is None:
        return [first.axes for _ in outputs]
    if op.kind in REGROUPING:
        before = first
        if op.config.get("data_format") == "channels_first" and len(first.shape) > 2:  # Flatten
            order = (0, *range(2, len(first.shape)), 1)
            before = replace(
                first,
                shape=tuple(first.shape[at] for at in order),
                axes=tuple(first.axes[at] for at in order),
            )
        kept = 0 if op.kind.startswith("keras.ops.") else 1  # the batch is that of a layer whatever its size
        return [
            [*first.axes[:kept], *regroup(before.axes[kept:], before.shape[kept:], tensor.shape[kept:])]
            for tensor in outputs
        ]
    tagged = {
        tensor.name: replace(tensor, shape=tuple(map(Size.of, tensor.shape, tensor.axes, range(len(OPEN)))))
        for tensor in inputs
    }
    try:
        found = function(tagged)
    except (TorchportError, Unsupported, TypeError, ValueError, KeyError, IndexError, AttributeError):
        found = []
    shapes = found if isinstance(found, list) else [found]
    if [len(shape) for shape in shapes] != [len(tensor.shape) for tensor in outputs]:
        return [[None] * len(tensor.shape) for tensor in outputs]
    return [[size.axis if isinstance(size, Size) else None for size in shape] for shape in shapes]


def _completed(
    op: Op, inputs: Sequence[Tensor], tensor: Tensor, known: Sequence[Axis | None], has_kernel: bool,
    is_channels_first: bool,
) -> tuple[Axis, ...]:  # fmt: skip
    """The axes that are known, and new ones: named as the axis in the same place, or by the rank."""
    rank = len(tensor.shape)
    names = default_names(rank, is_channels_first or op.config.get("data_format") == "channels_first")
    features = names.index("c") if "c" in names else rank - 1
    same = [it for it in inputs if len(it.shape) == rank and len(it.axes) == rank]
    taken = {name for axis in known if axis for name in axis.atoms}
    if op.kind in REGROUPING and inputs and len(inputs[0].shape) > 2:
        taken |= {name for axis in inputs[0].axes for name in axis.atoms}
    axes, seen = list[Axis](), set[Axis]()
    for at, axis in enumerate(known):
        origin = f"{tensor.name}.{at}"
        if axis is None or axis in seen:
            preferred = names[at]
            there = {str(it.axes[at]) for it in same}
            if op.kind not in REGROUPING and len(there) == 1 and not (has_kernel and at == features):
                (preferred,) = (name if not name.startswith("(") else preferred for name in there)
            axis = new_axis(preferred, taken, origin)
            taken.add(axis.name)
        seen.add(axis)
        axes.append(axis)
    return tuple(axes)
