"""Sizes of tensors as numbers: what models of Keras 2 compute of `tf.shape(x)`.

before:  s = tf.shape(x);  n = s[1] * s[2];  y = keras.ops.Reshape(x), newshape=[s[0], n, 3]
after:   y = Reshape(x), target_shape=[35, 3]

Sizes that are known are numbers. One that only the run time knows is an op, `b = tf.size(x), axis=0`, whose
value is a number of Python: it may stand in a reshape, a slice, and in arithmetic with other numbers.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import reduce
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor, map_refs, refs

#: A number, or the size that is one at run time.
Entry = int | float | Ref

SHAPE = "tf.shape"
OPS = "keras.ops."
#: Arithmetic by the operator of Python that it is.
ARITHMETIC: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    f"{OPS}Add": ("+", operator.add), f"{OPS}Subtract": ("-", operator.sub),
    f"{OPS}Multiply": ("*", operator.mul), f"{OPS}FloorDivide": ("//", operator.floordiv),
    f"{OPS}Mod": ("%", operator.mod), f"{OPS}TrueDivide": ("/", operator.truediv),
    f"{OPS}Divide": ("/", operator.truediv), "tf.div": ("//", operator.floordiv),
    "tf.raw_ops.Div": ("//", operator.floordiv), "tf.truncatediv": ("//", operator.floordiv),
    f"{OPS}Power": ("**", operator.pow), f"{OPS}Maximum": ("max", max), f"{OPS}Minimum": ("min", min),
}  # fmt: skip
#: Functions of one number, as a power of it.
POWERS = {f"{OPS}Sqrt": 0.5, f"{OPS}Rsqrt": -0.5, f"{OPS}Square": 2, f"{OPS}Reciprocal": -1}
COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    f"{OPS}Greater": operator.gt, f"{OPS}GreaterEqual": operator.ge, f"{OPS}Less": operator.lt,
    f"{OPS}LessEqual": operator.le, f"{OPS}Equal": operator.eq, f"{OPS}NotEqual": operator.ne,
}  # fmt: skip
#: What hands its argument on.
SAME = (f"{OPS}Copy", f"{OPS}StopGradient", f"{OPS}ConvertToTensor")
RESHAPE = f"{OPS}Reshape"
SEGMENTS = tuple(f"{OPS}Segment{how}" for how in ("Sum", "Max", "Min", "Prod"))
#: Operations that take a number of Python in the place of a tensor, or a size that is one.
OPEN = frozenset({
    *(kind for kind, (sign, _) in ARITHMETIC.items() if not sign.isalpha()), *COMPARED, RESHAPE,
    *(f"{OPS}{name}" for name in "BroadcastTo Tile Repeat GetItem Resize".split()),
    "tf.zeros", "tf.ones", "tf.fill", "tf.range",
    "tf.random.normal", "tf.random.uniform", "tf.random.truncated_normal", "tf.sequence_mask",
    f"{OPS}OneHot", "tf.compat.v1.image.resize",
    *SEGMENTS,
})  # fmt: skip
#: Operations that make a tensor of a shape alone; they are told of a tensor, whose device it shares.
MADE = frozenset({
    "tf.zeros", "tf.ones", "tf.fill", "tf.range", "tf.eye", "tf.linspace", "tf.random.normal",
    "tf.random.uniform", "tf.random.truncated_normal",
})  # fmt: skip


class Sizes:
    """The sizes that are known so far, of one graph."""

    def __init__(self, inputs: Sequence[str] = (), bodies: Mapping[str, Graph] | None = None) -> None:
        self.numbers: dict[str, Entry] = {}
        self.vectors: dict[str, list[Entry]] = {}
        #: Sizes that only the run time knows: of which tensor, and axis; None: of what is worked out.
        self.open: dict[str, tuple[str, int] | None] = {}
        #: Ops that give such sizes, or what is made of them, and that nobody has read yet.
        self.waiting: dict[str, Op] = {}
        #: A tensor of which each was asked; the tensor whose whole shape a vector is.
        self.origin: dict[str, str] = {}
        self.whole: dict[str, str] = {}
        self.first = next(iter(inputs), "")
        #: Tensors whose first axis is that of inputs, and of which: two of the same have one size.
        self.batch: Batches = {name: frozenset({name}) for name in inputs}
        #: The ops that give these sizes.
        self.counts: dict[frozenset[str], Ref] = {}
        self.bodies = bodies or {}

    def rewrite(self, op: Op, tensors: dict[str, Tensor]) -> Iterator[Op]:
        """What stands for an op: nothing where its outputs are numbers. Raises Unsupported."""
        first = op.args[0] if op.args else None
        if op.refused:
            yield op
        elif op.kind == SHAPE and isinstance(first, Ref) and first.tensor in tensors:
            self._shape(op, tensors[first.tensor])
        elif op.kind == "tf.rank" and isinstance(first, Ref) and first.tensor in tensors:
            self._keep(op, len(tensors[first.tensor].shape), first.tensor)
        elif op.kind in MADE and not op.inputs and self.first:
            yield replace(op, args=(Ref(self.first), *op.args))
        elif not any(map(self._knows, op.inputs)):
            self.batch.update(batches(op, self.batch, self.bodies))
            yield op
        elif not self._folded(op):
            yield from self._with_sizes(self._used(op))

    def copy(self) -> Sizes:
        """The same sizes, to be added to without a trace."""
        made = Sizes()
        vars(made).update({name: copy(value) for name, value in vars(self).items()})
        return made

    def check(self, graph: Graph) -> None:
        """Raises Unsupported where a model gives sizes."""
        if any(map(self._knows, graph.outputs)):
            raise Unsupported("the model gives sizes of tensors", "leave them out of its outputs")

    def _knows(self, name: str) -> bool:
        return name in self.numbers or name in self.vectors

    def _keep(self, op: Op, value: Any, origin: str = "") -> None:
        """A number or a list of them is what an op gives."""
        (output, *_) = op.outputs
        (self.vectors if isinstance(value, list) else self.numbers)[output] = value
        found = (self.origin[name] for name in op.inputs if name in self.origin)
        self.origin[output] = origin or next(found, "")

    def _shape(self, op: Op, x: Tensor) -> None:
        (output,), entries = op.outputs, list[Entry]()
        rows = self.batch.get(x.name)
        for axis, size in enumerate(x.shape):
            if size is None and axis == 0 and rows in self.counts:
                entries.append(self.counts[rows])
                continue
            name = f"{output}.{axis}"
            self.open[name] = (x.name, axis)
            self.waiting[name] = Op(name, "tf.size", op.args, (name,), {"axis": axis}, layer=name)
            entries.append(Ref(name) if size is None else size)
            if size is None and axis == 0 and rows:
                self.counts[rows] = Ref(name)
        self._keep(op, entries, x.name)
        self.whole[output] = x.name

    def _value(self, value: Any) -> Any:
        """A number, a size or a list of them for the tensor that it is; else the value itself."""
        if isinstance(value, Ref):
            return self.vectors.get(value.tensor) or self.numbers.get(value.tensor, value)
        return [self._value(it) for it in value] if isinstance(value, list) else value

    def _folded(self, op: Op) -> bool:
        """Whether the op's outputs are numbers now."""
        values = [self._value(it) for it in op.args]
        if not all(map(self._is_size, values)) or any(refs(op.kwargs)):
            return False
        first, *others = values
        if op.kind == f"{OPS}GetItem" and isinstance(first, list) and not any(refs(others)):
            (key,) = op.args[1] if isinstance(op.args[1], list) else [op.args[1]]
            self._keep(op, first[key])
            self._call(first[key], op.name)
        elif op.kind == f"{OPS}Unstack" and isinstance(first, list):
            self.numbers.update(zip(op.outputs, first, strict=False))
            self.origin.update(dict.fromkeys(op.outputs, self.origin.get(op.inputs[0], "")))
        elif op.kind == f"{OPS}Stack" and isinstance(first, list):
            self._keep(op, [self._one(it) for it in first])
        elif op.kind == f"{OPS}Concatenate" and isinstance(first, list):
            self._keep(op, [it for part in first for it in (part if isinstance(part, list) else [part])])
        elif op.kind in SAME:
            self._keep(op, first)
        elif op.kind == f"{OPS}ExpandDims" and not isinstance(first, list):
            self._keep(op, [first])
        elif op.kind == RESHAPE and op.config.get("newshape") in ([1], [-1]) and not isinstance(first, list):
            self._keep(op, [first])
        elif op.kind == f"{OPS}Cast":
            self._keep(op, self._cast(first, str(op.config.get("dtype"))))
        elif op.kind == f"{OPS}Prod" and isinstance(first, list):
            entries: list[Entry] = [1, *first]
            self._keep(op, reduce(lambda x, y: self._math(op, f"{OPS}Multiply", x, y), entries))
        elif op.kind in (f"{OPS}OnesLike", f"{OPS}ZerosLike") and isinstance(first, list):
            self._keep(op, [int(op.kind.endswith("OnesLike"))] * len(first))
        elif op.kind in POWERS and not isinstance(first, list):
            self._keep(op, self._math(op, f"{OPS}Power", first, POWERS[op.kind]))
        elif (op.kind in ARITHMETIC or op.kind in COMPARED) and len(values) == 2:
            return self._each(op, values, lambda x, y: self._math(op, op.kind, x, y))
        elif op.kind == f"{OPS}Where" and len(values) == 3 and not any(refs(first)):
            return self._each(op, values, lambda test, x, y: x if test else y)
        else:
            return False
        return True

    def _call(self, size: Any, name: str) -> None:
        """A size that nobody has read yet by the name that the author gave it."""
        if isinstance(size, Ref) and size.tensor in self.waiting and not UNNAMED.search(name):
            op = self.waiting[size.tensor]
            self.waiting[size.tensor] = replace(op, name=name, layer=name)

    def _is_size(self, value: Any) -> bool:
        """Whether a value is made of numbers and open sizes alone."""
        if isinstance(value, list):
            return all(map(self._is_size, value))
        return value.tensor in self.open if isinstance(value, Ref) else not isinstance(value, dict)

    def _each(self, op: Op, values: Sequence[Any], function: Callable[..., Entry]) -> bool:
        """A function of numbers, or of each of those in lists."""
        length = max((len(it) for it in values if isinstance(it, list)), default=0)
        if any(isinstance(it, list) and len(it) not in (1, length) for it in values):
            return False
        if not length:
            self._keep(op, function(*values))
            return True
        rows = [it * length if isinstance(it, list) and len(it) == 1 else it for it in values]
        rows = [it if isinstance(it, list) else [it] * length for it in rows]
        self._keep(op, [function(*it) for it in zip(*rows, strict=True)])
        return True

    def _math(self, op: Op, kind: str, left: Entry, right: Entry) -> Entry:
        """Two numbers together; an op of its own where only the run time knows one."""
        if not isinstance(left, Ref) and not isinstance(right, Ref):
            return (COMPARED.get(kind) or ARITHMETIC[kind][1])(left, right)
        if kind in COMPARED:
            if not self._is_alike(left, right):
                raise Unsupported(f"{kind} of sizes that only the run time knows", KNOWN)
            return COMPARED[kind](0, 0)
        sign = ARITHMETIC[kind][0]
        if left == right and sign in NEUTRAL:
            return NEUTRAL[sign] if isinstance(NEUTRAL[sign], int) else left
        if right == 1 and sign in ("*", "/", "//") or right == 0 and sign in ("+", "-"):
            return left
        if (left, sign) in ((1, "*"), (0, "+")):
            return right
        name = f"{op.outputs[0]}.{len(self.waiting)}"
        self.open[name] = None
        self.waiting[name] = Op(name, "tf.size_of_sizes", (left, right), (name,), {"sign": sign}, layer=name)
        return Ref(name)

    def _is_alike(self, left: Entry, right: Entry) -> bool:
        """Whether two numbers of samples are compared, or their difference with 0.

        The inputs of a model have as many samples each, or Keras does not run it.
        Source: keras/src/trainers/data_adapters/data_adapter_utils.py, check_data_cardinality.
        """
        op = self.waiting.get(left.tensor) if isinstance(left, Ref) else None
        if op is not None and op.kind == "tf.size_of_sizes" and op.config["sign"] == "-" and right == 0:
            left, right = op.args
        counts = list(self.counts.values())
        return left in counts and right in counts

    def _cast(self, value: Any, dtype: str) -> Any:
        if isinstance(value, list):
            return [self._cast(it, dtype) for it in value]
        if isinstance(value, Ref):
            return value
        return float(value) if "float" in dtype else bool(value) if dtype == "bool" else int(value)

    def _one(self, value: Any) -> Entry:
        if isinstance(value, list):
            raise Unsupported("shapes of several tensors in one", "stack sizes, not shapes")
        return value  # type: ignore[no-any-return]

    def _used(self, op: Op) -> Op:
        """The op with numbers in the place of what it reads of them."""
        if op.kind == RESHAPE and "newshape" in op.kwargs:
            given = self._value(op.kwargs["newshape"])
            return self._reshape(op, given if isinstance(given, list) else [given])
        if op.kind in MADE:
            return self._made(op)
        if op.kind == "tf.nn.conv_transpose":
            op = self._spread(op)
        args, kwargs = map_refs((op.args, op.kwargs), lambda name: self._value(Ref(name)))
        found = [name for name in refs((args, kwargs)) if name in self.open]
        if found and op.kind not in OPEN:
            raise Unsupported("of a size that only the run time knows", KNOWN)
        counted = {"counted": True} if op.kind in SEGMENTS else {}
        return replace(op, args=args, kwargs=kwargs, config={**op.config, **counted})

    def _spread(self, op: Op) -> Op:
        """A transposed convolution that is told all sizes: that of the batch is its input's own."""
        given = self._value(op.kwargs.get("output_shape", op.config.get("output_shape")))
        if not isinstance(given, list) or not given:
            return op
        kwargs = {key: it for key, it in op.kwargs.items() if key != "output_shape"}
        return replace(op, config={**op.config, "output_shape": [-1, *given[1:]]}, kwargs=kwargs)

    def _made(self, op: Op) -> Op:
        """The op with its shape as numbers, behind a tensor that is on the same device."""
        known = next((self.whole[name] for name in op.inputs if name in self.whole), "")
        origin = known or next((self.origin[name] for name in op.inputs if self.origin.get(name)), "")
        args, kwargs = map_refs((op.args, op.kwargs), lambda name: self._value(Ref(name)))
        config = {**op.config, "whole": True} if known else op.config
        return replace(op, args=(Ref(origin), *args), kwargs=kwargs, config=config)

    def _reshape(self, op: Op, sizes: Sequence[Entry]) -> Op:
        """A size that is open is -1, as long as it is the only one; the batch's own needs none."""
        (x,), first = op.args, sizes[0]
        if not _plain(sizes) and _plain(sizes[1:]) and isinstance(first, Ref) and isinstance(x, Ref):
            rows = self.batch.get(x.tensor)
            if self.open[first.tensor] == (x.tensor, 0) or rows and first == self.counts.get(rows):
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


#: Names that Keras or TensorFlow gave an index.
UNNAMED = re.compile(r"item|slice|/|\.")
KNOWN = "give the model's input its size, or use -1 for it"
#: What an operator makes of two equal sizes; ... is the size itself.
NEUTRAL: dict[str, Any] = {"-": 0, "/": 1, "//": 1, "%": 0, "max": ..., "min": ...}
#: Operations that keep the first axis of what they read.
KEEPING = frozenset({
    *ARITHMETIC, *COMPARED, f"{OPS}Cast", f"{OPS}Where", *SAME, f"{OPS}OnesLike", f"{OPS}ZerosLike",
})  # fmt: skip


#: The tensors whose first axis is that of inputs, by name, and of which inputs.
Batches = dict[str, frozenset[str]]


def batches(op: Op, known: Batches, bodies: Mapping[str, Graph]) -> Batches:
    """The outputs of an op whose first axis is that of its inputs, and of which.

    Not those of a nested graph that folds an axis into it, or gives the rows of one argument of two.
    """
    if op.kind == "Model" and op.layer in bodies:
        body = bodies[op.layer]
        inner = {name: known[it] for name, it in zip(body.inputs, op.inputs, strict=False) if it in known}
        for it in body.ops:
            inner |= batches(it, inner, body.bodies)
        pairs = zip(op.outputs, body.outputs, strict=False)
        return {name: inner[it] for name, it in pairs if it in inner}
    read = op.inputs[-1:] if op.kind == "time:unfold" else op.inputs
    if not read or not keeps_batch(op) or any(it not in known for it in read):
        return {}
    return dict.fromkeys(op.outputs, frozenset().union(*(known[it] for it in read)))


def keeps_batch(op: Op) -> bool:
    """Whether the first axis of an op's outputs is that of its inputs."""
    return op.kind in KEEPING or not op.kind.startswith((OPS, "tf.", "time:fold"))


def _plain(sizes: Sequence[Entry]) -> bool:
    return not any(isinstance(it, Ref) for it in sizes)
