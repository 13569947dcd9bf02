"""Inputs to compare on: random ones by seed, sizes chosen where the model leaves them open, or the user's."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from torchport.errors import Refusal, TorchportError
from torchport.graph import Graph, Shape, Text
from torchport.infer.shapes import infer_shapes
from torchport.rules.dtypes import is_float
from torchport.verify.ranges import Whole
from torchport.verify.result import first_line

#: For axes that the model leaves open, by number of them: unequal, and divisible as most models
#: need.
SIZES = {1: (48,), 2: (32, 48), 3: (16, 32, 24)}
#: Sizes that nothing divides.
ODD = {1: (37,), 2: (29, 43), 3: (17, 23, 19)}
BATCH = 3
#: Of images of more values than this a batch is two: a verification then needs less room and time.
LARGE = 1 << 16
#: Sizes are made larger by these factors, one after the other, until something is left of every axis: up to
#: so many values of an input.
FACTORS = tuple(2.0**power * part for power in range(12) for part in (1, 1.25, 1.5, 1.75))
LARGEST = 2**22
#: How many sizes are tried that the graph takes, TensorFlow does not.
TRIES = 4


def fill(shape: Shape, sizes: Sequence[int], batch: int | None) -> tuple[int, ...]:
    """A shape with every open axis given a size."""
    open_axes = [axis for axis, size in enumerate(shape) if axis and size is None]
    chosen = dict(zip(open_axes, (*sizes, *(7,) * len(open_axes)), strict=False))
    return tuple(
        (batch or BATCH) if not axis and size is None else chosen.get(axis, size) or 1
        for axis, size in enumerate(shape)
    )


def attempts(graph: Graph, batches: Mapping[str, int | None], base: Sequence[int]) -> Iterator[Sequence[int]]:
    """Sizes that the graph takes, from `base` on; where no rule tells, every one that is twice the last.

    Each is asked of the rules when the ones before have been tried: most models take the first.
    """
    found: dict[tuple[Shape, ...], Sequence[int]] = {}
    for factor in FACTORS:
        sizes = tuple(odd_as(size, factor) for size in base)
        found.setdefault(tuple(shapes(graph, batches, sizes)), sizes)
    known = [(given, it) for given, it in found.items() if most(given) <= LARGEST]
    known = known or list(found.items())[:1]
    good = (it for given, it in known if fits(graph, given))
    if (first := next(good, None)) is None:
        yield from [it for _, it in known[: 4 * TRIES : 4]]
        return
    yield first
    yield from islice(good, TRIES - 1)


def odd_as(size: int, factor: float) -> int:
    """A size that much larger, odd if it was odd."""
    return int(size * factor) // 2 * 2 + size % 2


def most(shapes: Sequence[Shape]) -> int:
    return max((math.prod(size or 1 for size in shape) for shape in shapes), default=0)


def fits(graph: Graph, given: Sequence[Shape]) -> bool:
    """Whether by the rules every tensor has something along every axis, nested models too."""
    refusals: list[Refusal] = []
    found = infer_shapes(graph, refusals, given).tensors
    if refusals or any(size is not None and size < 1 for it in found.values() for size in it.shape):
        return False
    return all(
        fits(graph.bodies[op.layer], [found[name].shape for name in op.inputs])
        for op in graph.ops
        if op.kind == "Model"
    )


def shapes(graph: Graph, batches: Mapping[str, int | None], sizes: Sequence[int]) -> list[tuple[int, ...]]:
    found = [fill(given_shape(graph, name), sizes, batches.get(name)) for name in graph.inputs]
    if max((math.prod(it[1:]) for it in found), default=0) <= LARGE:
        return found
    return [fill(given_shape(graph, name), sizes, batches.get(name) or 2) for name in graph.inputs]


def given_shape(graph: Graph, name: str) -> Shape:
    """The shape of an input in the source: where it is text, that of the text."""
    return graph.texts[name].shape if name in graph.texts else graph.tensors[name].shape


def open_axes(graph: Graph) -> int:
    """How many axes besides the batch have no size, in the input that has most."""
    shapes = (graph.tensors[name].shape for name in graph.inputs)
    return max((sum(size is None for size in shape[1:]) for shape in shapes), default=0)


def odd(graph: Graph, batches: Mapping[str, int | None]) -> list[tuple[int, ...]] | None:
    """Shapes of sizes that nothing divides; None where the model leaves no size open, or takes none."""
    if not (count := open_axes(graph)):
        return None
    sizes = next(iter(attempts(graph, batches, ODD[min(count, 3)])), None)
    return None if sizes is None else shapes(graph, batches, sizes)


@dataclass(frozen=True)
class Chosen:
    """Inputs that the source takes, what it gives for them, and what a reader has to know of them."""

    arrays: list[np.ndarray]
    outputs: list[np.ndarray]
    notes: tuple[str, ...] = ()


def choose(
    graph: Graph, batches: Mapping[str, int | None], seed: int,
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]], wholes: Mapping[str, Whole],
) -> Chosen:  # fmt: skip
    """Random inputs of sizes that the source runs on, and of numbers that give finite outputs."""
    count = open_axes(graph)
    last: Exception | None = None
    for sizes in attempts(graph, batches, SIZES[min(max(count, 1), 3)]):
        for kind in KINDS:
            arrays = random(graph, shapes(graph, batches, sizes), seed, wholes, kind)
            try:
                outputs = run(arrays)
            except Exception as error:  # TensorFlow has many kinds for a shape that does not fit
                last = error
                continue
            if is_finite(outputs):
                return Chosen(arrays, outputs, (KINDS[kind],) if KINDS[kind] else ())
        if last is None:
            return Chosen(arrays, outputs, ("the source's own outputs are not finite",))
        if count == 0:
            break
    raise TorchportError(
        f"the source does not run on random inputs: {first_line(last)}", where=graph.name,
        advice="give inputs that it takes: inputs=[array, ...], or --input file.npy",
    )  # fmt: skip


def is_finite(outputs: Sequence[np.ndarray]) -> bool:
    """Whether there are outputs, and all are numbers."""
    return all(it.size and np.isfinite(it).all() for it in outputs if it.dtype.kind == "f")


#: How inputs are drawn, one after the other until the source gives numbers, and what is said of it.
KINDS = {
    "normal": "",
    "uniform": "inputs are uniform in [0.1, 1): normal ones give values that are not finite",
    "few": "inputs are whole numbers, 0 and 1: the source does not run on others",
}


def random(
    graph: Graph, sizes: Sequence[tuple[int, ...]], seed: int, wholes: Mapping[str, Whole],
    kind: str = "normal",
) -> list[np.ndarray]:  # fmt: skip
    """Normal numbers, or as KINDS says; whole numbers as the layers that read them allow: `wholes`."""
    rng = np.random.default_rng(seed)
    arrays: list[np.ndarray] = []
    for name, shape in zip(graph.inputs, sizes, strict=True):
        dtype = graph.tensors[name].dtype
        if name in graph.texts:
            arrays.append(random_texts(graph.texts[name], shape, rng))
        elif dtype == "bool":
            arrays.append(rng.integers(0, 2, shape).astype(bool))
        elif name in wholes or "int" in dtype or kind == "few":
            need = wholes.get(name, Whole(256 if dtype == "uint8" else 10))
            need = need & Whole(2) if kind == "few" else need
            arrays.append(whole(need, shape, rng, dtype))
        elif kind == "uniform":
            arrays.append(rng.uniform(0.1, 1.0, shape).astype(np.float32))
        else:
            arrays.append(rng.standard_normal(shape).astype(np.float32))
    return arrays


#: The whole numbers that a dtype holds begin to have gaps here.
GAPS = {"float16": 2**11, "bfloat16": 2**8, "float32": 2**24, "int8": 2**7, "uint8": 2**8, "int16": 2**15}


def whole(need: Whole, shape: tuple[int, ...], rng: np.random.Generator, dtype: str) -> np.ndarray:
    """Whole numbers that a lookup takes, in an input's dtype; rows end in zeros where those are masked."""
    high = max(min(need.high, GAPS.get(dtype, need.high)), need.low + 1)
    found = rng.integers(need.low, high, shape)
    if need.values:
        found = np.where(rng.random(shape) < 0.8, rng.choice(need.values, shape), found)
    if need.ends and need.low <= 0 and len(shape) > 1 and shape[-1] > 2:
        kept = rng.integers(shape[-1] // 2, shape[-1] + 1, (*shape[:-1], 1))
        found = np.where(np.arange(shape[-1]) < kept, np.maximum(found, 1) if high > 1 else found, 0)
    return found.astype(np.float32 if is_float(dtype) else dtype)


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
                f"has the shape {array.shape}, the model takes {shape}", where=f"the input {name!r}",
                advice="give it in the source's order of axes, samples first",
            )  # fmt: skip
        wanted = "float32" if is_float(tensor.dtype) else tensor.dtype
        if np.dtype(wanted).kind != array.dtype.kind and not (
            wanted == "float32" and array.dtype.kind in "iu"
        ):
            raise TorchportError(
                f"is {array.dtype}, the model takes {tensor.dtype}", where=f"the input {name!r}"
            )
        made.append(array if array.dtype.kind == "f" and wanted == "float32" else array.astype(wanted))
    return made
