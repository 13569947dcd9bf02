"""Inputs to compare on: random ones by seed, sizes chosen where the model leaves them open, or the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from torchport.errors import TorchportError
from torchport.graph import Graph, Shape, Text
from torchport.rules.dtypes import is_float
from torchport.verify.result import first_line

#: For axes that the model leaves open, by number of them: unequal, and divisible as most models
#: need.
SIZES = {1: (48,), 2: (32, 48), 3: (16, 32, 24)}
#: Sizes that nothing divides.
ODD = {1: (37,), 2: (29, 43), 3: (17, 23, 19)}
BATCH = 3
#: How often sizes are doubled until the model takes them.
DOUBLINGS = 4


def fill(shape: Shape, sizes: Sequence[int], batch: int | None) -> tuple[int, ...]:
    """A shape with every open axis given a size."""
    open_axes = [axis for axis, size in enumerate(shape) if axis and size is None]
    chosen = dict(zip(open_axes, (*sizes, *(7,) * len(open_axes)), strict=False))
    return tuple(
        (batch or BATCH) if not axis and size is None else chosen.get(axis, size) or 1
        for axis, size in enumerate(shape)
    )


def attempts(shape_count: int) -> Iterator[Sequence[int]]:
    """Sizes to try, one after the other."""
    sizes = SIZES[min(max(shape_count, 1), 3)]
    for doubling in range(DOUBLINGS):
        yield tuple(size * 2**doubling for size in sizes)


def shapes(graph: Graph, batches: Mapping[str, int | None], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return [fill(given_shape(graph, name), sizes, batches.get(name)) for name in graph.inputs]


def given_shape(graph: Graph, name: str) -> Shape:
    """The shape of an input in the source: where it is text, that of the text."""
    return graph.texts[name].shape if name in graph.texts else graph.tensors[name].shape


def open_axes(graph: Graph) -> int:
    """How many axes besides the batch have no size, in the input that has most."""
    shapes = (graph.tensors[name].shape for name in graph.inputs)
    return max((sum(size is None for size in shape[1:]) for shape in shapes), default=0)


def odd(graph: Graph, batches: Mapping[str, int | None]) -> list[tuple[int, ...]] | None:
    """Shapes of sizes that nothing divides; None where the model leaves no size open."""
    count = open_axes(graph)
    return shapes(graph, batches, ODD[min(count, 3)]) if count else None


@dataclass(frozen=True)
class Chosen:
    """Inputs that the source takes, what it gives for them, and what a reader has to know of them."""

    arrays: list[np.ndarray]
    outputs: list[np.ndarray]
    notes: tuple[str, ...] = ()


def choose(
    graph: Graph, batches: Mapping[str, int | None], seed: int,
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
) -> Chosen:  # fmt: skip
    """Random inputs of sizes that the source runs on, and of numbers that give finite outputs."""
    count = open_axes(graph)
    last: Exception | None = None
    for sizes in attempts(count):
        for positive in (False, True):
            arrays = random(graph, shapes(graph, batches, sizes), seed, positive)
            try:
                outputs = run(arrays)
            except Exception as error:  # TensorFlow has many kinds for a shape that does not fit
                last = error
                break
            if all(np.isfinite(it).all() for it in outputs if it.dtype.kind == "f"):
                uniform = "inputs are uniform in [0.1, 1): normal ones give values that are not finite"
                return Chosen(arrays, outputs, (uniform,) if positive else ())
        else:
            return Chosen(arrays, outputs, ("the source's own outputs are not finite",))
        if count == 0:
            break
    raise TorchportError(
        f"the source does not run on random inputs: {first_line(last)}", where=graph.name,
        advice="give inputs that it takes: inputs=[array, ...], or --input file.npy",
    )  # fmt: skip


def random(
    graph: Graph, sizes: Sequence[tuple[int, ...]], seed: int, positive: bool = False
) -> list[np.ndarray]:
    """Normal numbers, or uniform ones in [0.1, 1); whole numbers as the layers that read them allow."""
    rng = np.random.default_rng(seed)
    top = min(vocabularies(graph), default=10)
    arrays: list[np.ndarray] = []
    for name, shape in zip(graph.inputs, sizes, strict=True):
        dtype = graph.tensors[name].dtype
        if name in graph.texts:
            arrays.append(random_texts(graph.texts[name], shape, rng))
        elif dtype == "bool":
            arrays.append(rng.integers(0, 2, shape).astype(bool))
        elif "int" in dtype:
            arrays.append(rng.integers(0, top, shape).astype(dtype))
        elif positive:
            arrays.append(rng.uniform(0.1, 1.0, shape).astype(np.float32))
        else:
            arrays.append(rng.standard_normal(shape).astype(np.float32))
    return arrays


#: Words that are in few vocabularies, spaces and letters beyond ASCII.
ODD_WORDS = ("Unknown", "x-y,z!", "ÄRGER", "na\u00efve\u00a0it", "\ttab", "l" * 70)


def random_texts(text: Text, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Words of the vocabulary and, unless all must be known, others; where they are split, some in a row."""
    chosen = [text.tokens[at] for at in rng.integers(0, len(text.tokens), 64)]
    words = [*chosen, *(ODD_WORDS if text.unknown else ())] + [""] * (text.mask is not None)
    found = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        if not text.split:
            found[at] = text.mask if (word := str(rng.choice(words))) == "" else word
            continue
        row = [str(rng.choice(words)) for _ in range(int(rng.integers(0, 24)))]
        row = [it.upper() if rng.random() < 0.2 and text.unknown else it for it in row]
        found[at] = "  ".join(row) + ("." if rng.random() < 0.5 and text.unknown else "")
    return found


def vocabularies(graph: Graph) -> Iterator[int]:
    """How many different numbers the embeddings of a model know."""
    for op in graph.ops:
        for key in ("input_dim", "num_tokens"):
            if isinstance(op.config.get(key), int) and op.config[key] > 0:
                yield op.config[key]
    for body in graph.bodies.values():
        yield from vocabularies(body)


def given(graph: Graph, arrays: Any) -> list[np.ndarray]:
    """The user's inputs, in the graph's order, checked. They are in the source's axes."""
    if isinstance(arrays, Mapping):
        missing, extra = set(graph.inputs) - set(arrays), set(arrays) - set(graph.inputs)
        if missing or extra:
            raise TorchportError(f"the model's inputs are {list(graph.inputs)}, given are {sorted(arrays)}")
        arrays = [arrays[name] for name in graph.inputs]
    elif isinstance(arrays, np.ndarray) or not isinstance(arrays, Sequence):
        arrays = [arrays]
    if len(arrays) != len(graph.inputs):
        raise TorchportError(f"the model takes {len(graph.inputs)} inputs, given are {len(arrays)}")
    made = []
    for name, array in zip(graph.inputs, map(np.asarray, arrays), strict=True):
        tensor = graph.tensors[name]
        if name in graph.texts:
            made.append(array.astype(object))
            continue
        fits = len(array.shape) == len(tensor.shape) and all(
            size is None or size == have
            for size, have in zip(tensor.shape[1:], array.shape[1:], strict=False)
        )
        if not fits:
            shape = tuple("?" if size is None else size for size in tensor.shape)
            raise TorchportError(
                f"has the shape {array.shape}, the model takes {shape}", where=f"the input {name!r}"
            )
        wanted = "float32" if is_float(tensor.dtype) else tensor.dtype
        if np.dtype(wanted).kind != array.dtype.kind and not (
            wanted == "float32" and array.dtype.kind in "iu"
        ):
            raise TorchportError(
                f"is {array.dtype}, the model takes {tensor.dtype}", where=f"the input {name!r}"
            )
        made.append(array if array.dtype.kind == "f" and wanted == "float32" else array.astype(wanted))
    return made


def cast(arrays: Sequence[np.ndarray], dtype: str) -> list[np.ndarray]:
    """Numbers with a fraction in the dtype that is compared in; all others as they are."""
    return [array.astype(dtype) if array.dtype.kind == "f" else array for array in arrays]
