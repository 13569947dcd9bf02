"""A graph with all nested models in their place, and a number for every size that the model leaves open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torchport.errors import Refusal, TorchportError
from torchport.graph import Graph, Op, Shape, Tensor
from torchport.infer.parts import infer_parts
from torchport.infer.shapes import infer_shapes

#: What an open axis is taken to be, by its name; the first that fits all that the model joins.
DEFAULTS = {"h": 256, "w": 256, "d": 64}
OTHER = 128
#: What poolings and strides make of sizes fits where these are multiples of one of these.
STEPS = (2, 4, 8, 16, 32, 64, 5, 7)
#: Sizes of all axes that are tried where these do not fit.
OTHERS = (128, 64, 224, 299, 512, 32, 16, 8)


@dataclass(frozen=True)
class Call:
    """One op where it is called. `path`: of its graph in port.json; `inputs`, `outputs`: ids in the whole."""

    op: Op
    path: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    #: The tensors of its graph, by their own names.
    tensors: Mapping[str, Tensor]


@dataclass
class Whole:
    """All calls of a model in order, nested models opened, and all tensors by id, with path and name."""

    calls: list[Call] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def add(self, name: str, tensor: Tensor, path: str, prefix: str) -> str:
        own = f"{prefix}{name}"
        self.tensors[own], self.places[own] = tensor, (path, name)
        return own


def whole(graph: Graph) -> Whole:
    """The calls of a graph whose sizes are known."""
    found = Whole()
    ids = {name: found.add(name, graph.tensors[name], "", "") for name in graph.inputs}
    found.inputs = list(ids.values())
    opened = _open(graph, "", "", ids, found, set())
    found.outputs = [opened[name] for name in graph.outputs]
    return found


def _open(
    graph: Graph, path: str, prefix: str, ids: dict[str, str], found: Whole, taken: set[str]
) -> dict[str, str]:
    """Adds the calls of a graph; gives the ids of its tensors by name."""
    for op in graph.ops:
        inputs = tuple(ids[name] for name in op.inputs)
        if op.kind != "Model":
            for name in op.outputs:
                ids[name] = found.add(name, graph.tensors[name], path, prefix)
            outputs = tuple(ids[name] for name in op.outputs)
            found.calls.append(Call(op, path, inputs, outputs, graph.tensors))
            continue
        body = graph.bodies[op.layer]
        given = [graph.tensors[name].shape for name in op.inputs]
        if given != [body.tensors[name].shape for name in body.inputs]:
            body = infer_parts(infer_shapes(body, [], given))
        inner = next(
            it for it in (f"{prefix}{op.layer}/", *(f"{prefix}{op.layer}:{at}/" for at in range(2, 10**6)))
            if it not in taken
        )  # fmt: skip
        taken.add(inner)
        inside = dict(zip(body.inputs, inputs, strict=True))
        inside = _open(body, f"{path}{op.layer}/", inner, inside, found, taken)
        ids.update({name: inside[it] for name, it in zip(op.outputs, body.outputs, strict=True)})
    return ids


def open_axes(graph: Graph) -> Iterator[tuple[str, int, str]]:
    """The axes that a model leaves open, samples aside: the input, the number of the axis, its name."""
    for name in graph.inputs:
        tensor = graph.tensors[name]
        for at, size in enumerate(tensor.shape):
            if size is None and at:
                yield name, at, str(tensor.axes[at])


def sized(graph: Graph, size: Sequence[int] = ()) -> tuple[Graph, dict[str, int]]:
    """The graph with a number for every open size, and those numbers by the axis's name.

    `size`: those of the first input that leaves some open; other inputs have them by name. Without it 256
    for rows and columns. Raises TorchportError where they do not fit the model.
    """
    axes = list(open_axes(graph))
    if not axes:
        if size:
            shapes = ", ".join(str(graph.tensors[name]) for name in graph.inputs)
            what = f"--size has nothing to say: the model has its own sizes, {shapes}"
            raise TorchportError(what, where=graph.name, advice="leave --size out")
        return graph, {}
    names = [name for tensor, _, name in axes if tensor == axes[0][0]]
    if size and len(size) != len(names):
        what = f"--size has {len(size)} numbers, {axes[0][0]} leaves {len(names)} open: {' '.join(names)}"
        raise TorchportError(what, where=graph.name, advice=f"--size {' '.join('256' for _ in names)}")
    if size:
        numbers = dict(zip(names, size, strict=True))
        refusals = _attempt(graph, numbers)
        if isinstance(refusals, Graph):
            return refusals, numbers
        others = (_shifted(numbers, step * sign) for step in STEPS for sign in (1, -1))
        fits = next((it for it in others if it and _fits(graph, it)), None)
        what = f"--size {' '.join(map(str, size))} does not fit: {refusals[0]}"
        advice = f"--size {' '.join(map(str, fits.values()))} fits" if fits else "give other sizes"
        raise TorchportError(what, where=graph.name, advice=advice)
    defaults = {name: DEFAULTS.get(name, OTHER) for _, _, name in axes}
    found: list[Refusal] = []
    for numbers in (defaults, *(dict.fromkeys(defaults, it) for it in OTHERS)):
        made = _attempt(graph, numbers)
        if isinstance(made, Graph):
            return made, numbers
        found += made
    what = f"its sizes are open, and {DEFAULTS['h']} does not fit: {found[0]}"
    raise TorchportError(what, where=graph.name, advice=f"--size {' '.join(name.upper() for name in names)}")


def _shifted(numbers: Mapping[str, int], up: int) -> dict[str, int]:
    """Each number moved to the next multiple of `up` above it, or below it."""
    step = abs(up)
    moved = {name: -(-it // step) * step if up > 0 else it // step * step for name, it in numbers.items()}
    return moved if moved != numbers and all(moved.values()) else {}


def _fits(graph: Graph, numbers: Mapping[str, int]) -> bool:
    return isinstance(_attempt(graph, numbers), Graph)


def _attempt(graph: Graph, numbers: Mapping[str, int]) -> Graph | list[Refusal]:
    """The graph with these sizes, or why not."""
    given: list[Shape] = []
    for name in graph.inputs:
        tensor = graph.tensors[name]
        sizes = zip(tensor.shape, tensor.axes, strict=True)
        given.append(
            tuple(
                numbers.get(str(axis), OTHER) if size is None and at else size
                for at, (size, axis) in enumerate(sizes)
            )
        )
    refusals: list[Refusal] = []
    made = infer_shapes(graph, refusals, given)
    missing = [op for op in made.ops if any(name not in made.tensors for name in op.outputs)]
    if refusals or missing:
        return refusals or [Refusal(missing[0].name, missing[0].kind, "its shape cannot be told")]
    parts = {name: tensor.parts for name, tensor in graph.tensors.items() if tensor.parts}
    tensors = {name: replace(tensor, parts=parts.get(name, ())) for name, tensor in made.tensors.items()}
    weights = {op.name: op for op in graph.ops}
    ops = tuple(
        replace(op, weights=weights[op.name].weights if op.name in weights else {}) for op in made.ops
    )
    return made.replace(tensors=tensors, ops=ops)
