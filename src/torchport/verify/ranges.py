"""Which inputs hold whole numbers, and up to which: those that a table is looked up by, whatever their dtype.

Found by going back from each lookup, through what only moves numbers about, to the inputs of the model.
Keras 2 gives the input of a Sequential model with an Embedding the dtype float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torchport.graph import Graph, Op, refs
from torchport.rules import TABLE

#: What takes any whole number: no table, but a hash or a vocabulary of its own.
ANY = 1000
#: Families of rules that move numbers about, and single operations that do.
FAMILIES = frozenset({"reshape", "operations.axes", "operations.casts", "operations.pieces"})
MOVES = frozenset(
    "activation:linear Identity Dropout Concatenate Masking ZeroPadding1D Cropping1D time:fold time:unfold "
    "keras.ops.GetItem keras.ops.Hstack keras.ops.Vstack keras.ops.Ravel keras.ops.StopGradient "
    "keras.ops.Maximum keras.ops.Minimum keras.ops.Clip keras.ops.Where keras.ops.Abs keras.ops.Absolute "
    "keras.ops.Floor keras.ops.Round keras.ops.Sort keras.ops.Slice".split()
)
#: What becomes of a limit where a number of Python is added, taken away, multiplied or divided by.
ARITHMETIC: Mapping[str, Callable[[int, Any], Any]] = {
    "keras.ops.Add": lambda high, it: high - it,
    "keras.ops.Subtract": lambda high, it: high + it,
    "keras.ops.Multiply": lambda high, it: (high - 1) // it + 1 if it > 0 else high,
    "keras.ops.FloorDivide": lambda high, it: high * it,
    "keras.ops.Mod": lambda high, it: ANY,
}


@dataclass(frozen=True)
class Whole:
    """Whole numbers from `low` to below `high`; if there are `values`, mostly those. `ends`: zeros pad."""

    high: int
    low: int = 0
    values: tuple[int, ...] = ()
    ends: bool = False

    def __and__(self, other: Whole) -> Whole:
        """What both readers take."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        values = tuple(it for it in self.values or other.values if low <= it < high)
        return Whole(max(high, low + 1), low, values, self.ends or other.ends)


def ranges(graph: Graph, layer_of: Callable[[str], Any] = lambda name: None) -> dict[str, Whole]:
    """For each input that a table is looked up by, the numbers it takes; of bodies, those of its tensors.

    `layer_of`: the Keras layer of the user's own kind, by the graph's name for it: its parts are looked at.
    """
    found = dict[str, Whole]()

    def add(name: str, need: Whole | None) -> None:
        if need is not None:
            found[name] = found[name] & need if name in found else need

    for op in reversed(graph.ops):
        if op.kind == "Model":
            inner = ranges(graph.bodies[op.layer])
            for outer, name in zip(op.inputs, graph.bodies[op.layer].inputs, strict=False):
                add(outer, inner.get(name))
        for name, need in lookups(op, graph, layer_of):
            add(name, need)
        passed = [found[name] for name in op.outputs if name in found]
        if passed and moves(op):
            for name in op.inputs:
                add(name, through(op, passed[0]))
    return {name: found[name] for name in graph.inputs if name in found}


def moves(op: Op) -> bool:
    """Whether what goes in comes out, elsewhere or a little larger."""
    entry = TABLE.get(op.kind)
    return op.kind in MOVES or op.kind in ARITHMETIC or (entry is not None and entry.family in FAMILIES)


def through(op: Op, need: Whole) -> Whole:
    """What an op's input must be for its output to be what is needed."""
    numbers = [it for it in op.args if isinstance(it, int) and not isinstance(it, bool)]
    if op.kind not in ARITHMETIC or not numbers:
        return need
    high = int(ARITHMETIC[op.kind](need.high, numbers[0]))
    low = max(0, need.low - numbers[0]) if op.kind == "keras.ops.Add" else 0
    if op.kind == "keras.ops.Subtract":
        low = numbers[0] + need.low
    return Whole(max(high, low + 1), low, ends=need.ends)


def lookups(op: Op, graph: Graph, layer_of: Callable[[str], Any]) -> Iterator[tuple[str, Whole]]:
    """The tensors that an op looks something up by, and what they may hold."""
    config, given = op.config, list(op.inputs)
    if (entry := TABLE.get(op.kind)) and entry.indexes and not op.kwargs.get("reverse"):
        yield (
            given[0],
            Whole(size(config, "input_dim", "vocabulary_size"), ends=bool(config.get("mask_zero"))),
        )
    elif op.kind == "CategoryEncoding":
        yield given[0], Whole(size(config, "num_tokens"))
    elif op.kind in ("keras.ops.OneHot", "keras.ops.MultiHot"):
        options = {**config, **op.kwargs}
        yield given[0], Whole(size(options, "num_classes", "num_tokens"))
    elif op.kind == "IntegerLookup":
        tokens = tuple(it for it in config.get("vocabulary") or () if isinstance(it, int))
        if config.get("invert"):
            yield given[0], Whole(len(tokens) + 1)
        else:
            below = min((*tokens, 0))
            yield given[0], Whole(max((*tokens, 9)) + 2, below, tokens)
    elif op.kind in ("Hashing", "HashedCrossing"):
        yield from ((name, Whole(ANY)) for name in given)
    elif op.kind in ("keras.ops.Take", "keras.ops.TakeAlongAxis"):
        index = op.args[1] if len(op.args) > 1 else op.kwargs.get("indices")
        axis = {**config, **op.kwargs}.get("axis", -1)
        for name in refs(index):
            table = graph.tensors.get(given[0])
            count = table.shape[axis] if table and isinstance(axis, int) else None
            yield name, Whole(count or 1)
    elif op.kind not in TABLE and op.kind != "Model":
        tables = [it for it in parts(layer_of(op.layer)) if isinstance(it, int) and it > 0]
        if tables:
            yield from ((name, Whole(min(tables))) for name in refs((op.args, dict(op.kwargs))))


def size(config: Mapping[str, Any], *names: str) -> int:
    return next((it for name in names if isinstance(it := config.get(name), int) and it > 0), 1)


def parts(layer: Any) -> Iterator[Any]:
    """How many rows each table has that a layer of the user's own is made of."""
    flatten = getattr(layer, "_flatten_layers", None)
    for part in flatten() if flatten else ():
        yield getattr(part, "input_dim", None) if type(part).__name__ == "Embedding" else None
