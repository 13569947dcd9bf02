"""Sizes of tensors against Python's own numbers: what a model computes of `tf.shape(x)`, in random chains."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor
from torchport.infer import infer
from torchport.infer.sizes import Entry, Sizes

OPS = "keras.ops."
#: What the runtime does with sizes that it alone knows, by its sign.
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "/": operator.truediv, "**": operator.pow, "max": max, "min": min,
}  # fmt: skip
#: Operations of two numbers: what they are, whatever the rooms say of them.
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    f"{OPS}Add": lambda a, b: a + b, f"{OPS}Subtract": lambda a, b: a - b,
    f"{OPS}Multiply": lambda a, b: a * b, f"{OPS}FloorDivide": lambda a, b: math.floor(a / b),
    f"{OPS}Mod": lambda a, b: a - b * math.floor(a / b), f"{OPS}TrueDivide": lambda a, b: a / b,
    f"{OPS}Maximum": lambda a, b: a if a > b else b, f"{OPS}Minimum": lambda a, b: b if a > b else a,
}  # fmt: skip
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    f"{OPS}Greater": lambda a, b: a > b, f"{OPS}GreaterEqual": lambda a, b: not a < b,
    f"{OPS}Less": lambda a, b: a < b, f"{OPS}LessEqual": lambda a, b: not a > b,
    f"{OPS}Equal": lambda a, b: a == b, f"{OPS}NotEqual": lambda a, b: not a == b,
}  # fmt: skip
SHAPE = (7, 2, 3, 5)


class Chain:
    """Operations on sizes, and the numbers that they are."""

    def __init__(self, declared: tuple[int | None, ...]) -> None:
        self.tensors = {"x": Tensor("x", declared)}
        self.sizes = Sizes(("x",))
        self.values: dict[str, Any] = {}
        self.take("tf.shape", list(SHAPE), Ref("x"))

    def take(self, kind: str, value: Any, *args: Any, **config: Any) -> Ref:
        """Adds an operation; what it is of the shape that the run time sees."""
        name = f"s{len(self.values)}"
        assert not list(self.sizes.rewrite(Op(name, kind, args, (name,), config, layer=name), self.tensors))
        self.values[name] = value
        return Ref(name)

    def found(self, name: str) -> Any:
        """What the room says it is, with the sizes of the run time."""
        known = self.sizes.vectors.get(name, self.sizes.numbers.get(name))
        return [self.number(it) for it in known] if isinstance(known, list) else self.number(known)

    def number(self, entry: Entry | None) -> Any:
        if not isinstance(entry, Ref):
            return entry
        op = self.sizes.waiting[entry.tensor]
        if op.kind == "tf.size":
            return SHAPE[op.config["axis"]]
        return SIGNS[op.config["sign"]](*map(self.number, op.args))

    def of_kind(self, kind: type) -> list[str]:
        return [name for name, value in self.values.items() if isinstance(value, kind)]


def step(chain: Chain, data: st.DataObject) -> None:
    """One more operation, of a kind that fits what is there."""
    lists, numbers = chain.of_kind(list), [it for it in chain.values if it not in chain.of_kind(list)]

    def any_number() -> tuple[Any, Any]:
        if numbers and data.draw(st.booleans()):
            name = data.draw(st.sampled_from(numbers))
            return Ref(name), chain.values[name]
        constant = data.draw(st.integers(0, 4))
        return constant, constant

    name = data.draw(st.sampled_from(lists))
    value, ref = chain.values[name], Ref(name)
    match data.draw(st.sampled_from(("item", "slice", "binary", "binary", "each", "stack", "join", "prod"))):
        case "item":
            at = data.draw(st.integers(-len(value), len(value) - 1))
            chain.take(f"{OPS}GetItem", value[at], ref, data.draw(st.sampled_from((at, [at]))))
        case "slice":
            start = data.draw(st.integers(0, len(value) - 1))
            chain.take(f"{OPS}GetItem", value[start:], ref, slice(start, None))
        case "binary":
            kind = data.draw(st.sampled_from(sorted(BINARY)))
            (left, a), (right, b) = any_number(), any_number()
            is_known = isinstance(left, Ref) or isinstance(right, Ref)
            if is_known and (b or not kind.endswith(("Divide", "Mod"))):
                chain.take(kind, BINARY[kind](a, b), left, right)
        case "each":
            kind = data.draw(st.sampled_from((f"{OPS}Add", f"{OPS}Subtract", f"{OPS}Multiply")))
            right, b = any_number()
            chain.take(kind, [BINARY[kind](a, b) for a in value], ref, right)
        case "stack":
            pairs = [any_number() for _ in range(data.draw(st.integers(1, 3)))]
            pairs.append((chain.take(f"{OPS}GetItem", value[0], ref, 0), value[0]))
            chain.take(f"{OPS}Stack", [b for _, b in pairs], [it for it, _ in pairs])
        case "join":
            more, b = any_number()
            chain.take(f"{OPS}Concatenate", [*value, b, *value], [ref, [more], ref])
        case "prod":
            chain.take(f"{OPS}Prod", math.prod(value), ref)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.tuples(*[st.booleans()] * 4), st.integers(1, 8), st.data())
def test_numbers_are_those_of_the_run_time(is_open: tuple[bool, ...], count: int, data: Any) -> None:
    chain = Chain(tuple(None if it else size for it, size in zip(is_open, SHAPE, strict=True)))
    for _ in range(count):
        step(chain, data)
    for name, value in chain.values.items():
        assert chain.found(name) == pytest.approx(value), name


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(TESTS)), st.integers(-1, 3), st.integers(0, 3), st.integers(0, 9))
def test_known_sizes_are_compared(kind: str, less: int, axis: int, other: int) -> None:
    chain = Chain(SHAPE)
    size = chain.take(f"{OPS}GetItem", SHAPE[axis], Ref("s0"), axis)
    for number in (SHAPE[axis] - less, other):
        test = chain.take(kind, TESTS[kind](SHAPE[axis], number), size, number)
        chosen = 11 if chain.values[test.tensor] else 13
        chain.take(f"{OPS}Where", chosen, test, 11, 13)
    assert all(chain.found(name) == value for name, value in chain.values.items())


def test_open_sizes_are_not_compared() -> None:
    chain = Chain((None, *SHAPE[1:]))
    size = chain.take(f"{OPS}GetItem", SHAPE[0], Ref("s0"), 0)
    with pytest.raises(Unsupported, match="Greater of sizes that only the run time knows"):
        chain.take(f"{OPS}Greater", True, size, 3)


def test_casts_and_powers() -> None:
    chain = Chain(SHAPE)
    size = chain.take(f"{OPS}GetItem", 5, Ref("s0"), 3)
    half = chain.take(f"{OPS}TrueDivide", 2.5, chain.take(f"{OPS}Cast", 5.0, size, dtype="float32"), 2)
    chain.take(f"{OPS}Cast", 2, half, dtype="int32")
    chain.take(f"{OPS}Cast", True, half, dtype="bool")
    chain.take(f"{OPS}Square", 25, size)
    chain.take(f"{OPS}Sqrt", math.sqrt(5), size)
    chain.take(f"{OPS}Rsqrt", 1 / math.sqrt(5), size)
    chain.take(f"{OPS}Reciprocal", 0.2, size)
    chain.take(f"{OPS}OnesLike", [1, 1, 1, 1], Ref("s0"))
    chain.take(f"{OPS}ZerosLike", [0, 0, 0, 0], Ref("s0"))
    for name, value in chain.values.items():
        assert chain.found(name) == pytest.approx(value), name
        assert type(chain.found(name)) is type(value), name


def test_a_number_is_a_list_of_one() -> None:
    chain, shape = Chain(SHAPE), Ref("s0")
    size = chain.take(f"{OPS}GetItem", 5, shape, 3)
    one = chain.take(f"{OPS}ExpandDims", [5], size, axis=0)
    for newshape in ([1], [-1]):
        chain.take(f"{OPS}Reshape", [5], size, newshape=newshape)
    chain.take(f"{OPS}Cast", [5.0], one, dtype="float32")
    chain.take(f"{OPS}Cast", [True], one, dtype="bool")
    chain.take(f"{OPS}Add", [12, 7, 8, 10], shape, one)
    chain.take(f"{OPS}Subtract", [-2, 3, 2, 0], one, shape)
    chain.take(f"{OPS}Multiply", [14, 4, 6, 10], 2, shape)
    chain.take(f"{OPS}Multiply", [10], one, 2)
    for name, value in chain.values.items():
        assert chain.found(name) == value, name
        kinds = [
            list(map(type, it)) if isinstance(it, list) else type(it) for it in (chain.found(name), value)
        ]
        assert kinds[0] == kinds[1], name


@pytest.mark.parametrize(
    ("kind", "args", "config"),
    [
        ("Add", (Ref("s0"), Ref("pair")), {}), ("Reshape", (Ref("size"),), {"newshape": [1, 1]}),
        ("Reshape", (Ref("s0"),), {"newshape": [-1]}), ("ExpandDims", (Ref("s0"),), {"axis": 0}),
        ("Prod", (Ref("size"),), {}), ("Add", (Ref("size"), Ref("x")), {}), ("Square", (Ref("s0"),), {}),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_left_to_the_run_time(kind: str, args: tuple[Any, ...], config: dict[str, Any]) -> None:
    """Lists of other lengths, and what makes more of them than a list."""
    sizes, tensors = Sizes(("x",)), {"x": Tensor("x", SHAPE)}
    for made, of, args_of in (
        ("s0", "tf.shape", (Ref("x"),)), ("size", f"{OPS}GetItem", (Ref("s0"), 3)),
        ("pair", f"{OPS}GetItem", (Ref("s0"), slice(1, 3))),
    ):  # fmt: skip
        assert not list(sizes.rewrite(Op(made, of, args_of, (made,), layer=made), tensors))
    (left,) = sizes.rewrite(Op("y", f"{OPS}{kind}", args, ("y",), config, layer="y"), tensors)
    assert left.kind == f"{OPS}{kind}" and not sizes._knows("y")


def reshaped(declared: tuple[int | None, ...], *newshape: int | str) -> Op:
    """A reshape to sizes, those of an axis as its letter, as it is inferred."""
    ops = [Op("s", "tf.shape", (Ref("x"),), ("s",), layer="s")]
    entries: list[Any] = []
    for it in newshape:
        if isinstance(it, str):
            ops.append(Op(it, f"{OPS}GetItem", (Ref("s"), "nhwc".index(it)), (it,), layer=it))
        entries.append(Ref(it) if isinstance(it, str) else it)
    ops.append(Op("y", f"{OPS}Reshape", (Ref("x"),), ("y",), {}, {"newshape": entries}, layer="y"))
    graph = Graph("m", ("x",), ("y",), tuple(ops), {"x": Tensor("x", declared)}, "2.15.0")
    refusals: list[Any] = []
    found = infer(graph, refusals)
    assert not refusals
    return found.ops[-1]


@pytest.mark.parametrize(
    ("declared", "newshape", "kind", "config"),
    [
        ((None, 2, 3, 5), ("n", 6, 5), "Reshape", {"target_shape": [6, 5]}),
        ((None, 2, 3, 5), ("n", -1), "Reshape", {"target_shape": [-1]}),
        ((None, 2, 3, 5), ("n", "h", 15), "Reshape", {"target_shape": [2, 15]}),
        ((None, None, 3, 5), (-1, "c"), f"{OPS}Reshape", {"newshape": [-1, 5]}),
        ((None, None, 3, 5), ("n", "h", 15), f"{OPS}Reshape", {}),
        ((None, None, 3, 5), ("n", -1, 15), "Reshape", {"target_shape": [-1, 15]}),
    ],
)
def test_reshapes(declared: Any, newshape: Any, kind: str, config: dict[str, Any]) -> None:
    """The batch's own size needs no number; one that is open is -1 where it is the only one."""
    op = reshaped(declared, *newshape)
    assert (op.kind, dict(op.config)) == (kind, config)
    assert bool(op.kwargs) == (not config)


@pytest.mark.parametrize(
    ("given", "told"),
    [([Ref("n"), 8, 8, 3], [-1, 8, 8, 3]), (Ref("x"), None), ([], None), ([4, 8, 8, 3], None)],
)
def test_a_transposed_convolution_that_is_told_all_sizes(given: Any, told: Any) -> None:
    """The size of the batch is its input's own; what is no list of sizes, or none of the run time, stays."""
    sizes, tensors = Sizes(("x",)), {"x": Tensor("x", (None, 4, 4, 5))}
    for made, of, args in (("s", "tf.shape", (Ref("x"),)), ("n", f"{OPS}GetItem", (Ref("s"), 0))):
        assert not list(sizes.rewrite(Op(made, of, args, (made,), layer=made), tensors))
    read = (Ref("x"), Ref("w"))
    op = Op("y", "tf.nn.conv_transpose", read, ("y",), {}, {"output_shape": given}, layer="y")
    (found,) = sizes.rewrite(op, tensors)
    wanted = ({"output_shape": told}, {}) if told else ({}, {"output_shape": given})
    assert (dict(found.config), dict(found.kwargs)) == wanted
