"""The card of one call: what became of its tensors and weights, every number computed of the model."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torchport.axes import Turn, ravel
from torchport.geometry import drawings
from torchport.geometry.arithmetic import says
from torchport.geometry.flatten import flattened, inside
from torchport.geometry.links import POINT, Digit, Link
from torchport.geometry.mistakes import Scene, mistakes
from torchport.geometry.network import Layer, Section, Side, Tensor, Weight
from torchport.geometry.table import amount
from torchport.geometry.titles import title
from torchport.geometry.words import read
from torchport.graph import Op
from torchport.program import Load, Permute
from torchport.report.terminal import counted, size
from torchport.rules.window import Part, Past, Transposed, Whole, Window

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Subject:
    """A call as its card looks at it: what it reads and gives, its layer, where its weights come from."""

    op: Op
    kind: str
    reads: Sequence[tuple[Tensor, Sequence[Link]]]
    outputs: Sequence[Tensor]
    layer: Layer
    loads: Mapping[str, Load]
    values: Mapping[str, np.ndarray]
    permutes: Sequence[Permute]
    multiplies: int | None

    @property
    def links(self) -> Sequence[Link]:
        """Along the axes of the first tensor that it reads."""
        return self.reads[0][1] if self.reads else ()


def card(subject: Subject) -> tuple[Section, ...]:
    """Its sections; one that has nothing to say is left out."""
    found = [
        ("layer", title(subject)), ("shape", shapes(subject)), ("size", sizes(subject)),
        ("reads", read(subject)), ("element", elements(subject)), ("flatten", flattened(subject)),
        ("weights", weights(subject)),
        ("mistake", mistakes(scene(subject))), *drawn(subject), ("matrix", matrix(subject)),
        ("costs", costs(subject)),
    ]  # fmt: skip
    made = ((name, tuple(lines)) for name, lines in found)
    return tuple(Section(name, lines) for name, lines in made if lines)


def tuple_of(side: Side) -> str:
    """`(n, 32, 32, 16)`."""
    return f"({', '.join('n' if it is None else str(it) for it in side.sizes)})"


def shapes(subject: Subject) -> Iterator[str]:
    """What it reads and gives on both sides."""
    y = subject.outputs[0]
    for framework, side in (("Keras  ", "keras"), ("PyTorch", "torch")):
        given = " + ".join(tuple_of(getattr(it, side)) for it, _ in subject.reads[:4])
        given += f" + {len(subject.reads) - 4} more" if len(subject.reads) > 4 else ""
        axes = " ".join(getattr(y, side).axes)
        yield f"{framework}  {given or 'nothing'} -> {tuple_of(getattr(y, side))}    {axes}"
    names = {y.id, *(it.id for it, _ in subject.reads)}
    left = [it for it in subject.permutes if it.tensor in names]
    for it in left:
        yield f"{it.tensor} is permuted, {it.source} -> {it.target}: {it.why}"
    if left:
        return
    turned = [it for it in (y, *(it for it, _ in subject.reads)) if it.keras.axes != it.torch.axes]
    if turned and all(len(it.keras.sizes) == 2 for it in turned):
        yield f"no permute: PyTorch counts the flat axis as {turned[0].torch.axes[-1]}"
    elif turned:
        yield "no permute: PyTorch holds it channels first on both sides of this layer"
    elif len(y.keras.sizes) > 2:
        yield "no permute: PyTorch holds it in Keras's order"


def sizes(subject: Subject) -> Iterator[str]:
    """The size of each axis in full."""
    if not subject.reads:
        return
    x, links = subject.reads[0]
    y = subject.outputs[0]
    seen: dict[str, str] = {}
    for letter, link in zip(x.keras.axes, links, strict=True):
        if link.axis is None and not isinstance(link.reading, Whole):
            continue
        if link.reading == POINT or isinstance(link.reading, (Digit, Past)):
            continue
        if isinstance(link.reading, Whole) and letter not in "hwdt":
            continue
        is_reduced = values(y) * (link.n or 1) <= values(x) or subject.op.kind == "time:fold"
        if isinstance(link.reading, Whole) and not is_reduced:
            continue
        if subject.op.kind == "time:fold" and isinstance(link.reading, Whole):
            yield f"{letter}: {link.n} steps of a sample are {link.n} samples"
            continue
        if isinstance(link.reading, Part):
            counts = [
                str(own.n)
                for _, own_links in subject.reads
                for own in own_links
                if isinstance(own.reading, Part)
            ]
            yield f"{letter}: {' + '.join(counts)} = {link.length}"
            continue
        text = says(link.reading, link.n)
        if text:
            yield f"{letter}: the same as {seen[text]}" if text in seen else f"{letter}: {text}"
            seen.setdefault(text, letter)
    flat = [link.n or 1 for link in links if isinstance(link.reading, Digit)]
    if flat:
        yield f"{'·'.join(map(str, flat))} = {math.prod(flat)}"


def values(it: Tensor) -> int:
    """How many values a sample has."""
    return math.prod(size or 1 for size in it.keras.sizes[1:])


def elements(subject: Subject) -> Iterator[str]:
    """Where one element of the output is on both sides."""
    y = subject.outputs[0]
    at, held = element(y)
    if not at or y.keras.axes == y.torch.axes:
        if len(y.keras.sizes) > 2:
            yield "the same index and the same place in memory on both sides"
        return
    keras, torch = ([size or 1 for size in side.sizes[1:]] for side in (y.keras, y.torch))
    yield (
        f"y[n, {', '.join(map(str, at))}] is y[n, {', '.join(map(str, held))}]: in memory at "
        f"{ravel(at, keras):,} of a sample's {math.prod(keras):,} values, now at {ravel(held, torch):,}"
    )


def element(y: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The index of one element on both sides, samples aside; its numbers unequal where the sizes allow it."""
    sizes = [size or 1 for size in y.keras.sizes[1:]]
    at = inside(sizes)
    if y.keras.axes == y.torch.axes:
        return at, at
    if len(sizes) == 1 and y.parts:
        found = Turn("c -> c", ((0, y.parts),)).index(sizes, at)
        return at, found or at
    if set(y.torch.axes) != set(y.keras.axes):
        return at, at
    return at, tuple(at[y.keras.axes.index(axis) - 1] for axis in y.torch.axes[1:])


def weights(subject: Subject) -> Iterator[str]:
    """Where its weights went, with an element of each that has more than one axis."""
    for it in subject.layer.weights:
        yield from moved(it)


def moved(it: Weight) -> Iterator[str]:
    """One weight, and where an element of it went."""
    if it.keras is None or it.keras_side is None:
        yield f"{it.torch} {tuple_of(it.torch_side)} = {it.constant}: Keras has none"
        return
    yield f"{it.keras} {tuple_of(it.keras_side)} -> {it.torch} {tuple_of(it.torch_side)}    {it.pattern}"
    for pair in it.pairs[:1] if len(it.keras_side.sizes) > 1 else ():
        value = "" if pair.value is None else f" = {pair.value:+.6f}"
        keras, torch = it.keras.rpartition("/")[2], it.torch.rpartition(".")[2]
        yield (
            f"  {keras}[{', '.join(map(str, pair.keras))}] is "
            f"{torch}[{', '.join(map(str, pair.torch))}]{value}: "
            f"in memory at {pair.keras_place:,}, now at {pair.torch_place:,}"
        )


def scene(subject: Subject) -> Scene:
    """The call as mistakes look at it."""
    x = subject.reads[0][0] if subject.reads else subject.outputs[0]
    readings = [
        (letter, link.reading, link.n or 1)
        for letter, link in zip(x.keras.axes, subject.links, strict=False) if link.axis is not None
    ]  # fmt: skip
    shape = [size or 1 for size in x.keras.sizes]
    held = [it.torch for it in subject.layer.weights]
    return Scene(subject.kind, subject.layer.options, readings, subject.loads, subject.values, shape, held)


def drawn(subject: Subject) -> Iterator[tuple[str, Iterator[str]]]:
    """A small picture of what slides along its first axis of space."""
    for link in subject.links:
        over = link.reading
        if isinstance(over, Transposed) and link.n:
            yield "stamps", drawings.stamps(over, link.n)
            return
        if isinstance(over, Window) and link.n and (over.k > 1 or over.s > 1) and over.edge == "zeros":
            yield "window", drawings.windows(over, link.n)
            return


def matrix(subject: Subject) -> Iterator[str]:
    """The layer as a matrix: its size, how full it is, what it is made of. For one tensor and one kernel."""
    kernels = [it for name, it in subject.loads.items() if name.endswith("kernel")]
    if len(subject.reads) != 1 or len(kernels) != 1 or kernels[0].source is None:
        return
    x, y = subject.reads[0][0], subject.outputs[0]
    along = [
        (axis, link) for axis, link in zip(x.keras.axes[1:], subject.links[1:], strict=True)
        if link.axis is not None and link.length
    ]  # fmt: skip
    if not all(isinstance(link.reading, (Window, Transposed)) for _, link in along):
        return
    taps = math.prod(getattr(link.reading, "k", 1) for _, link in along)
    rows, columns = (math.prod(size or 1 for size in it.keras.sizes[1:]) for it in (y, x))
    channels = math.prod(kernels[0].source.shape) // max(taps, 1)
    met = [
        sum(len(link.reading.reads(at, link.n or 1)) for at in range(link.length or 0)) for _, link in along
    ]
    entries = math.prod(met) * channels
    if not rows * columns or subject.layer.options.get("kernel_size") is None and subject.kind != "Dense":
        return
    yield (
        f"A is {rows:,} × {columns:,} with {entries:,} entries, "
        f"{'all' if entries == rows * columns else format(entries / (rows * columns), '.2g')} of it; "
        "the bias is added to A x"
    )
    if along:
        space = " ⊗ ".join(f"S_{axis}" for axis, _ in along)
        yield f"a sum over the taps: {space} ⊗ C with channels last, C ⊗ {space} with channels first"
    if any(isinstance(link.reading, Transposed) for _, link in along):
        yield "it is the transpose of the matrix of the convolution from this output's size to this input's"


def met(link: Link) -> int:
    """How many pairs of steps, of the output and the input, meet along an axis."""
    return sum(len(link.reading.reads(at, link.n or 1)) for at in range(link.length or 0))


def costs(subject: Subject) -> Iterator[str]:
    """Numbers, multiply-adds, memory, and how much of the input an element depends on."""
    found = []
    if subject.layer.parameters:
        found.append(counted(subject.layer.parameters, "parameter"))
    if subject.layer.statistics:
        found.append(counted(subject.layer.statistics, "number") + " not trained")
    if subject.multiplies is None:
        found.append("multiply-adds are not counted")
    elif subject.multiplies:
        found.append(f"{amount(subject.multiplies)} multiply-adds a sample")
    found.append(f"{size(subject.outputs[0].bytes)} a sample")
    yield ", ".join(found)
    sees = [it for it in subject.outputs[0].sees if it.along is not None or it.most > 1]
    for it in sees[:6]:
        many = str(it.most) if it.fewest == it.most else f"{it.fewest} to {it.most}"
        yield f"an element depends on {many} {it.name} of {it.input}"
