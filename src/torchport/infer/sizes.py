"""Sizes of tensors as numbers: what models of Keras 2 compute of `tf.shape(x)`.

before:  s = tf.shape(x);  n = s[1] * s[2];  y = keras.ops.Reshape(x), newshape=[s[0], n, 3]
after:   y = Reshape(x), target_shape=[35, 3]

Sizes that are known are numbers. One that only the run time knows is an op, `b = tf.size(x), axis=0`, whose
value is a number of Python: it may stand in a reshape, and in arithmetic with other numbers.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor, map_refs, refs

#: A number, or the size that is one at run time.
Entry = int | float | Ref

SHAPES = ("tf.shape", "tf.compat.v1.shape")
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "keras.ops.Add": operator.add, "keras.ops.Subtract": operator.sub, "keras.ops.Multiply": operator.mul,
    "keras.ops.FloorDivide": operator.floordiv, "keras.ops.Mod": operator.mod,
}  # fmt: skip
RESHAPE = "keras.ops.Reshape"


class Sizes:
    """The sizes that are known so far, of one graph."""

    def __init__(self) -> None:
        self.numbers: dict[str, Entry] = {}
        self.vectors: dict[str, list[Entry]] = {}
        #: Sizes that only the run time knows: of which tensor, and axis.
        self.open: dict[str, tuple[str, int]] = {}
        #: Ops that give such sizes, or what is made of them, and that nobody has read yet.
        self.waiting: dict[str, Op] = {}

    def rewrite(self, op: Op, tensors: dict[str, Tensor]) -> Iterator[Op]:
        """What stands for an op: nothing where its outputs are numbers. Raises Unsupported."""
        if op.kind in SHAPES and isinstance(op.args[0], Ref) and op.args[0].tensor in tensors:
            self._shape(op, tensors[op.args[0].tensor])
        elif not any(map(self._knows, op.inputs)):
            yield op
        elif not self._folded(op):
            yield from self._with_sizes(self._used(op))

    def check(self, graph: Graph) -> None:
        """Raises Unsupported where a model gives sizes."""
        if any(map(self._knows, graph.outputs)):
            raise Unsupported("the model gives sizes of tensors", "leave them out of its outputs")

    def _knows(self, name: str) -> bool:
        return name in self.numbers or name in self.vectors

    def _shape(self, op: Op, x: Tensor) -> None:
        (output,), entries = op.outputs, list[Entry]()
        for axis, size in enumerate(x.shape):
            name = f"{output}.{axis}"
            self.open[name] = (x.name, axis)
            self.waiting[name] = Op(name, "tf.size", op.args, (name,), {"axis": axis}, layer=name)
            entries.append(Ref(name) if size is None else size)
        self.vectors[output] = entries

    def _entry(self, value: Any) -> Any:
        """A number or size for the tensor that it is; else the value itself."""
        return self.numbers.get(value.tensor, value) if isinstance(value, Ref) else value

    def _folded(self, op: Op) -> bool:
        """Whether the op's outputs are numbers now."""
        first = op.args[0] if op.args else None
        vector = self.vectors.get(first.tensor) if isinstance(first, Ref) else None
        if op.kind == "keras.ops.GetItem" and vector is not None:
            (key,) = op.args[1] if isinstance(op.args[1], list) else [op.args[1]]
            if isinstance(key, slice):
                self.vectors[op.outputs[0]] = vector[key]
            else:
                self.numbers[op.outputs[0]] = vector[key]
        elif op.kind == "keras.ops.Unstack" and vector is not None:
            self.numbers.update(zip(op.outputs, vector, strict=False))
        elif op.kind == "keras.ops.Stack" and isinstance(first, list):
            self.vectors[op.outputs[0]] = [self._whole(it) for it in first]
        elif op.kind == "keras.ops.Concatenate" and isinstance(first, list):
            self.vectors[op.outputs[0]] = [it for part in first for it in self._list(part)]
        elif op.kind == "keras.ops.Cast" and isinstance(first, Ref):
            return self._cast(op, first.tensor)
        elif op.kind == "keras.ops.Prod" and vector is not None and _plain(vector):
            self.numbers[op.outputs[0]] = math.prod(it for it in vector if not isinstance(it, Ref))
        elif op.kind in ARITHMETIC and all(name in self.numbers for name in op.inputs):
            self._computed(op, *map(self._entry, op.args))
        else:
            return False
        return True

    def _computed(self, op: Op, left: Entry, right: Entry) -> None:
        (output,) = op.outputs
        if isinstance(left, Ref) or isinstance(right, Ref):
            self.numbers[output], self.open[output] = Ref(output), ("", 0)
            self.waiting[output] = replace(op, args=(left, right))
        else:
            self.numbers[output] = ARITHMETIC[op.kind](left, right)

    def _cast(self, op: Op, name: str) -> bool:
        fractions = str(op.config.get("dtype")).startswith("float")
        if name in self.vectors and not fractions:
            self.vectors[op.outputs[0]] = self.vectors[name]
            return True
        value = self.numbers.get(name)
        if value is None or (isinstance(value, Ref) and fractions):
            return False
        self.numbers[op.outputs[0]] = float(value) if fractions and not isinstance(value, Ref) else value
        return True

    def _whole(self, value: Any) -> Entry:
        entry = self._entry(value)
        if not isinstance(entry, int) and not (isinstance(entry, Ref) and entry.tensor in self.open):
            raise Unsupported("sizes and other tensors in one")
        return entry

    def _list(self, value: Any) -> list[Entry]:
        if isinstance(value, Ref):
            return self.vectors.get(value.tensor) or [self._whole(value)]
        return [self._whole(it) for it in value]

    def _used(self, op: Op) -> Op:
        """The op with numbers in the place of what it reads of them."""
        if op.kind == RESHAPE and "newshape" in op.kwargs:
            return self._reshape(op, self._list(op.kwargs["newshape"]))
        found = map_refs((op.args, op.kwargs), lambda name: self.numbers.get(name, Ref(name)))
        if any(name in self.open or name in self.vectors for name in refs(found)):
            raise Unsupported(
                "of a size that only the run time knows", "give the model's input its size, or use -1 for it"
            )
        args, kwargs = found
        return replace(op, args=args, kwargs=kwargs)

    def _reshape(self, op: Op, sizes: Sequence[Entry]) -> Op:
        """A size that is open is -1, as long as it is the only one; the batch's own needs none."""
        (x,), first = op.args, sizes[0]
        if not _plain(sizes) and _plain(sizes[1:]) and isinstance(first, Ref) and isinstance(x, Ref):
            if self.open[first.tensor] == (x.tensor, 0):
                return replace(op, kind="Reshape", config={"target_shape": list(sizes[1:])}, kwargs={})
        unknown = [it for it in sizes if isinstance(it, Ref) or it == -1]
        if len(unknown) > 1:
            return replace(op, kwargs={"newshape": list(sizes)})
        plain = [-1 if isinstance(it, Ref) else it for it in sizes]
        return replace(op, config={"newshape": plain}, kwargs={})

    def _with_sizes(self, op: Op) -> Iterator[Op]:
        """An op behind those of the sizes that it is the first to read."""
        for name in op.inputs:
            if name in self.waiting:
                yield from self._with_sizes(self.waiting.pop(name))
        yield op


def _plain(sizes: Sequence[Entry]) -> bool:
    return not any(isinstance(it, Ref) for it in sizes)
