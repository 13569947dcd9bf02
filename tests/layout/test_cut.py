"""The layout against brute force: no choice of orders leaves fewer permutes than the one that is made."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchport.axes import Order
from torchport.errors import Refusal
from torchport.graph import Graph, Op, Ref, Tensor
from torchport.infer import infer
from torchport.layout import choose_orders, write
from torchport.layout.cut import FIRST as FIRST_SIDE
from torchport.layout.cut import SOURCE as SOURCE_SIDE
from torchport.layout.cut import cut, is_permutable
from torchport.program import Permute
from torchport.rules import book, table

SHAPE = (None, 3, 5, 7)
FIRST, SOURCE = "channels first", "source"


@pytest.fixture(scope="module", autouse=True)
def _source() -> Iterator[None]:
    """A kind that only these tests have: the identity in the source's order."""
    table.rule("cut:source", wants=table.SOURCE)(lambda x: x)
    yield
    del book.PROCESS.rules["cut:source"]


#: Kinds by what they want: an image op, one that looks at the source's order, one that follows.
KINDS = {
    FIRST: ("SpatialDropout2D", {"rate": 0.5}),
    SOURCE: ("cut:source", {}),
    "": ("activation:relu", {}),
}


@dataclass(frozen=True)
class Plan:
    """An op: what it wants, and which earlier tensors it reads (two are added)."""

    wants: str
    reads: tuple[int, ...]


@st.composite
def plans(draw: st.DrawFn) -> list[Plan]:
    """Up to ten ops, each on what is there before it."""
    found = []
    for at in range(draw(st.integers(1, 10))):
        if draw(st.booleans()):
            found.append(Plan(draw(st.sampled_from((FIRST, SOURCE, ""))), (draw(st.integers(0, at)),)))
        else:
            found.append(Plan("", (draw(st.integers(0, at)), draw(st.integers(0, at)))))
    return found


def ends(ops: list[Plan], outputs: int) -> list[int]:
    """The tensors that the graph gives: the last ones, and all that nobody reads."""
    read = {it for plan in ops for it in plan.reads}
    return [at for at in range(1, len(ops) + 1) if at not in read or at > len(ops) - outputs]


def graph_of(ops: list[Plan], outputs: int) -> Graph:
    """The graph of a plan."""
    made = []
    for at, plan in enumerate(ops, 1):
        refs = [Ref(f"t{read}") for read in plan.reads]
        kind, config = KINDS[plan.wants] if len(refs) == 1 else ("Add", {})
        args = (refs[0],) if len(refs) == 1 else (refs,)
        made.append(Op(f"op{at}", kind, args, (f"t{at}",), config, layer=f"op{at}"))
    last = [f"t{at}" for at in ends(ops, outputs)]
    return Graph("model", ("t0",), tuple(last), tuple(made), {"t0": Tensor("t0", SHAPE)})


def permutes(graph: Graph, keep_io: bool) -> tuple[Permute, ...]:
    refusals: list[Refusal] = []
    inferred = infer(graph, refusals)
    assert not refusals
    return write(inferred, choose_orders(inferred, keep_io)).permutes


def fewest(ops: list[Plan], outputs: int, keep_io: bool) -> int:
    """The fewest permutes over all orders of all ops that follow, and of the input."""
    free = [at for at, plan in enumerate(ops, 1) if not plan.wants]
    given_names = ends(ops, outputs)
    best = len(ops) + 2
    for choice in itertools.product((FIRST, SOURCE), repeat=len(free) + 1):
        order = {at: plan.wants for at, plan in enumerate(ops, 1)}
        order.update(zip(free, choice[1:], strict=True))
        order[0] = SOURCE if keep_io else choice[0]
        wanted: dict[int, set[str]] = {at: set() for at in order}
        for at, plan in enumerate(ops, 1):
            for read in plan.reads:
                wanted[read].add(order[at])
        if keep_io:
            for at in given_names:
                wanted[at].add(SOURCE)
        best = min(best, sum(bool(wanted[at] - {order[at]}) for at in order))
    return best


@settings(max_examples=150, deadline=None, derandomize=True)
@given(plans(), st.integers(1, 2), st.booleans())
def test_no_choice_is_better(ops: list[Plan], outputs: int, keep_io: bool) -> None:
    graph = graph_of(ops, outputs)
    assert len(permutes(graph, keep_io)) == fewest(ops, outputs, keep_io)


def test_one_permute_for_all_readers() -> None:
    ops = [Plan(FIRST, (0,)), Plan(SOURCE, (1,)), Plan(SOURCE, (1,)), Plan(SOURCE, (1,))]
    (found,) = permutes(graph_of(ops, 1), keep_io=False)
    assert (found.tensor, found.readers) == ("t1", ("op2", "op3", "op4"))
    assert (found.source, found.target) == ("n c h w", "n h w c")


def test_inputs_and_outputs_are_free_unless_kept() -> None:
    ops = [Plan(FIRST, (0,)), Plan("", (1,))]
    assert permutes(graph_of(ops, 1), keep_io=False) == ()
    inferred = infer(graph_of(ops, 1), [])
    assert write(inferred, choose_orders(inferred)).permutes == ()  # free is what is meant where none says
    kept = permutes(graph_of(ops, 1), keep_io=True)
    assert len(kept) == 2 and all(it.why for it in kept)


@pytest.mark.parametrize(
    ("shape", "parts", "differ"),
    [
        ((None, 4), (), False), ((None, 4, 1), (), True), ((None, 12), ((2, 2, 3),), True),
        ((None, 4), ((4, 1),), False), ((None, 3), ((1, 1, 3),), False), ((None, 6), ((1, 2, 3),), True),
        ((None, 6), ((2, 1, 3),), True), ((None, 9), ((1, 3), (2, 3)), True),
        ((None, 4), ((1, 2), (2,)), False), ((None, 4), ((2, 2),), True),
    ],
)  # fmt: skip
def test_whether_two_orders_differ(
    shape: tuple[int | None, ...], parts: tuple[tuple[int, ...], ...], differ: bool
) -> None:
    """Features of a flattened image are held in another order, but where it has one channel or one pixel."""
    assert is_permutable(Tensor("x", shape, parts=parts)) == differ


@pytest.mark.parametrize("order", list(Order), ids=str)
@pytest.mark.parametrize("wants", [FIRST, SOURCE, ""])
def test_an_input_that_is_given_in_an_order_stays_in_it(order: Order, wants: str) -> None:
    inferred = infer(graph_of([Plan(wants, (0,))], 1), [])
    orders = choose_orders(inferred, given={"t0": order})
    assert orders.of("", "t0") is order
    differs = wants and (wants == FIRST) != (order is Order.CHANNELS_FIRST)
    assert len(write(inferred, orders).permutes) == bool(differs)


@pytest.mark.parametrize("kinds", [("ReLU",), ("activation:tanh", "Dropout"), ()], ids=str)
def test_a_permute_goes_behind_what_is_on_the_line_of_a_layer(kinds: tuple[str, ...]) -> None:
    """An activation stays with the layer that it follows, whichever order is left for another."""
    for first, last in ((FIRST, SOURCE), (SOURCE, FIRST)):
        ends = [
            KINDS[first],
            *((kind, {"rate": 0.5} if kind == "Dropout" else {}) for kind in kinds),
            KINDS[last],
        ]
        ops = [
            Op(f"op{at}", kind, (Ref(f"t{at - 1}"),), (f"t{at}",), config, layer=f"op{at}")
            for at, (kind, config) in enumerate(ends, 1)
        ]
        graph = Graph("model", ("t0",), (ops[-1].outputs[0],), tuple(ops), {"t0": Tensor("t0", SHAPE)})
        (found,) = permutes(graph, keep_io=False)
        assert found.tensor == f"t{len(kinds) + 1}", (first, last)


def test_where_nothing_holds_both_sides_no_flow_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most conversions: they need not import networkx, which takes longer than all else of a small one."""
    monkeypatch.setattr("networkx.minimum_cut", None)
    one, other = ("op", "", "one"), ("op", "", "other")
    edges = {SOURCE_SIDE: {one: 0.0, other: 3.0}, one: {FIRST_SIDE: 2.0}, other: {one: 0.0, FIRST_SIDE: 0.0}}
    assert cut(edges) == {FIRST_SIDE, one}
    with pytest.raises(TypeError):
        cut({SOURCE_SIDE: {one: 1.0}, one: {FIRST_SIDE: 2.0}})
