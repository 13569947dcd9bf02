"""Masks that a model of Keras 3 records, of layers at every step, and across nested models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.normalise.test_masks import KERAS_2, KERAS_3, PLAIN, A, B, got, lstm, op, unlike

from torchport.graph import Graph, Op, Ref, Tensor, refs
from torchport.normalise.masks import write_masks
from torchport.rules import book
from torchport.rules.table import rule


def call(name: str, function: str, *args: Any, **config: Any) -> Op:
    """An operation of keras.ops, as a model records it; what it reads is named by `@`."""

    def read(value: Any) -> Any:
        if isinstance(value, list):
            return [read(it) for it in value]
        return Ref(value[1:]) if isinstance(value, str) and value.startswith("@") else value

    return Op(name, f"keras.ops.{function}", tuple(map(read, args)), (name,), config, layer=name)


def under(mask: str) -> Op:
    return op("y", "LSTM", "v", units=3, mask=Ref(mask))


NOT_A, NOT_B = call("na", "NotEqual", "@ia", 0), call("nb", "NotEqual", "@ib", 0)
#: What Concatenate of Keras 3 makes of a mask, and of none, before it joins them.
WIDE = [
    call("ea", "ExpandDims", "@na", axis=-1), call("za", "ZerosLike", "@a"),
    call("wa", "LogicalOr", "@ea", "@za"), call("eb", "ExpandDims", "@nb", axis=-1),
    call("zb", "ZerosLike", "@b"), call("wb", "LogicalOr", "@eb", "@zb"), call("ones", "OnesLike", "@p"),
]  # fmt: skip


def joint(*parts: str, axis: int) -> list[Op]:
    together = call("cat", "Concatenate", [f"@{it}" for it in parts], axis=axis)
    return [A, B, PLAIN, NOT_A, NOT_B, *WIDE, together, call("m", "Any", "@cat", axis=-1), under("m")]


EITHER = ("or", [unlike("a"), unlike("b")])
RECORDED: dict[str, tuple[list[Op], Any]] = {
    "of tokens": ([A, NOT_A, under("na")], unlike("a")),
    "of values": (
        [call("n", "NotEqual", "@v", 2.0), call("m", "Any", "@n", axis=-1), under("m")],
        ("any_unlike", "v", 2.0),
    ),
    "any along the steps is another": (
        [call("n", "NotEqual", "@v", 2.0), call("m", "Any", "@n", axis=1), under("m")], "m",
    ),
    "any that keeps its axis is another": (
        [call("n", "NotEqual", "@v", 2.0), call("m", "Any", "@n", axis=-1, keepdims=True), under("m")], "m",
    ),
    "any of what nobody made": ([call("m", "Any", "@v", axis=-1), under("m")], "m"),
    "two tensors that are unlike": ([call("m", "NotEqual", "@ia", "@ib"), A, B, under("m")], "m"),
    "either": ([A, B, NOT_A, NOT_B, call("m", "LogicalOr", "@na", "@nb"), under("m")], EITHER),
    "either, one twice": (
        [A, B, NOT_A, NOT_B, call("l", "LogicalOr", "@na", "@nb"), call("m", "LogicalOr", "@l", "@na"),
         under("m")],
        EITHER,
    ),
    "either of one and itself": ([A, NOT_A, call("m", "LogicalOr", "@na", "@na"), under("m")], unlike("a")),
    "end to end in time": (joint("wa", "wb", axis=1), ("cat", [unlike("a"), unlike("b")], 1)),
    "end to end, one without": (joint("wa", "ones", axis=1), ("cat", [unlike("a"), ("all", "p")], 1)),
    "features side by side": (joint("wa", "wb", axis=-1), EITHER),
    "features side by side, one without": (joint("wa", "ones", axis=-1), "m"),
    "of what is no mask": (joint("wa", "v", axis=1), "m"),
    "of what is another mask": (joint("wa", "nb", axis=1), "m"),
    "of a tensor that nobody made wide": (
        [A, NOT_A, call("w", "LogicalOr", "@na", "@na"), call("cat", "Concatenate", ["@w"], axis=1),
         call("m", "Any", "@cat", axis=-1), under("m")],
        "m",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RECORDED)
def test_recorded(case: str) -> None:
    ops, expected = RECORDED[case]
    assert got(*ops)["y"] == {"mask": expected}


def test_what_nobody_reads_is_left_out() -> None:
    """Operations that made a mask which is known; but not those whose numbers are an output."""
    tensors = {"ia": Tensor("ia", (None, 5)), "v": Tensor("v", (None, 5, 4))}
    for outputs, left in ((("y",), []), (("y", "na"), ["na"])):
        structure = tuple(map(Ref, outputs))
        graph = Graph("net", ("ia", "v"), outputs, (A, NOT_A, under("na")), tensors, KERAS_3, structure)
        kinds = {it.name for it in write_masks(graph).ops}
        assert sorted(kinds - {"a", "y", "mask"}) == left


def inner(kind: str, **config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


def every(name: str, x: str, layer: dict[str, Any], **config: Any) -> Op:
    """A layer at every step."""
    return op(name, "TimeDistributed", x, layer=layer, **config)


AT_EVERY_STEP: dict[str, tuple[dict[str, Any], Any]] = {
    "one that passes it": (inner("ReLU"), unlike("a")),
    "steps of steps": (inner("LSTM", return_sequences=True), unlike("a")),
    "the last of them": (inner("LSTM"), ("steps", unlike("a"))),
    "their mean": (inner("GlobalAveragePooling1D"), ("steps", unlike("a"))),
    "one that makes it anew": (inner("Embedding", mask_zero=True), ("unlike", "a", 0)),
    "one that could": (inner("Embedding", mask_zero=False), unlike("a")),
    "of values": (inner("Masking", mask_value=3.0), ("any_unlike", "a", 3.0)),
    "of zeros": (inner("Masking"), ("any_unlike", "a", 0.0)),
    "twice, one that passes it": (inner("TimeDistributed", layer=inner("ReLU")), unlike("a")),
}


@pytest.mark.parametrize("case", AT_EVERY_STEP)
def test_at_every_step(case: str) -> None:
    layer, expected = AT_EVERY_STEP[case]
    assert got(A, every("t", "a", layer), lstm("y", "t"), dialect=KERAS_2)["y"] == {"mask": expected}


@pytest.mark.parametrize(
    ("layer", "is_given"),
    [
        (inner("LSTM"), True), (inner("GlobalAveragePooling1D"), True), (inner("Dense"), False),
        (inner("Bidirectional", layer=inner("LSTM")), True), (inner("Embedding"), False), ("none", False),
    ],
)  # fmt: skip
def test_what_is_inside_is_given_it(layer: Any, is_given: bool) -> None:
    found = got(A, every("y", "a", layer)) if isinstance(layer, dict) else {}
    assert found.get("y", {}) == ({"mask": unlike("a")} if is_given else {})


def refused(*ops: Op, dialect: str = KERAS_3, **more: Any) -> list[str]:
    """The ops that are refused, each with why."""
    inputs = [f"i{it.name}" for it in ops if it.kind == "Embedding"] + ["v"]
    tensors = {name: Tensor(name, (None, 5)) for name in inputs}
    graph = write_masks(Graph("net", tuple(inputs), ops[-1].outputs, ops, tensors, dialect, **more))
    return [f"{it.name}: {it.refused[0]}" for it in graph.ops if it.refused]


def test_what_is_not_followed() -> None:
    last = every("t", "a", inner("TimeDistributed", layer=inner("LSTM")))
    assert refused(A, last, lstm("y", "t"), dialect=KERAS_2) == [
        "y: it gets the mask of a layer at every step of every step"
    ]
    across = op("s", "Concatenate", ["a", "b"], axis=3)
    assert refused(A, B, across, lstm("y", "s")) == ["y: it gets the mask of a concatenation along axis 3"]
    assert not refused(A, B, across, op("y", "ReLU", "s"))


def test_a_model_at_every_step() -> None:
    fold, unfold = op("f", "time:fold", "a"), op("u", "time:unfold", "a", "v")
    for dialect in (KERAS_2, KERAS_3):
        assert refused(A, fold, dialect=dialect) == ["f: a mask at a model at every step"]
    assert refused(A, unfold, dialect=KERAS_2) == ["u: a mask at a model at every step"]
    assert not refused(A, unfold)
    assert not refused(PLAIN, op("f", "time:fold", "p"))


def test_a_mask_that_is_asked_for() -> None:
    """By code that reads `x._keras_mask`."""
    graph = Graph(
        "net", ("ia",), ("y",), (A, op("y", "mask:of", "a")), {"ia": Tensor("ia", (None, 5))}, KERAS_3
    )
    made, asked = write_masks(graph).ops[1:]
    assert made.kind == "mask:unlike" and asked.kind == "Identity" and asked.args == (Ref(made.name),)
    assert refused(PLAIN, op("y", "mask:of", "p")) == ["y: a mask that is not followed up to here"]


@pytest.mark.parametrize(("mode", "both"), [(None, True), ("concat", False), ("sum", False)])
def test_two_directions_that_stay_apart_have_it_both(mode: str | None, both: bool) -> None:
    config = {"layer": inner("LSTM", return_sequences=True), "merge_mode": mode}
    pair = Op("r", "Bidirectional", (Ref("a"),), ("r0", "r1"), config, layer="r")
    found = got(A, pair, lstm("y", "r0"), lstm("z", "r1"))
    assert found["y"] == {"mask": unlike("a")}
    assert ("z" in found) == both


@pytest.mark.parametrize(("given", "expected"), [(["ib"], "ib"), (["ib", "ia"], "ib"), ([], unlike("a"))])
def test_one_that_is_given_in_a_list(given: list[str], expected: Any) -> None:
    """The first is that of its first argument; of an empty list it is the tensor's own."""
    layer = Op("y", "LSTM", (Ref("a"),), ("y",), {}, {"mask": list(map(Ref, given))}, layer="y")
    assert got(A, B, layer)["y"] == {"mask": expected}


def test_of_a_list_it_is_that_of_the_first() -> None:
    for read, expected in ((["a", "p"], {"y": {"mask": unlike("a")}}), (["p", "a"], {})):
        assert got(A, PLAIN, op("y", "LSTM", read, units=3), dialect=KERAS_2) == expected


@pytest.mark.parametrize(("dialect", "is_seen"), [(KERAS_2, True), (KERAS_3, False)])
def test_states_hide_it_in_keras_3(dialect: str, is_seen: bool) -> None:
    layer = op("y", "LSTM", "a", "v", "v", units=3)
    by_name = op("y", "LSTM", "a", units=3, initial_state=Ref("v"))
    expected = {"y": {"mask": unlike("a")}} if is_seen else {}
    assert got(A, layer, dialect=dialect) == got(A, by_name, dialect=dialect) == expected


# Nested models


def nested(
    body: list[Op], *after: Op, inputs: tuple[str, ...] = ("w",), dialect: str = KERAS_3, **call: Any
) -> Graph:
    """A model that reads the embedding `a`, and layers behind it, which read `base`."""
    tensors = {it: Tensor(it, (None, 5, 4) if it == "w" else (None, 5)) for it in inputs}
    inside = Graph("base", inputs, body[-1].outputs, tuple(body), tensors, dialect)
    args = tuple(map(Ref, ("a", "ib")[: len(inputs)]))
    use = Op("base", "Model", args, ("base",), {}, call, layer="base")
    outer = {"ia": Tensor("ia", (None, 5)), "ib": Tensor("ib", (None, 5))}
    return write_masks(
        Graph("net", ("ia", "ib"), ("y",), (A, B, use, *after), outer, dialect, bodies={"base": inside})
    )


def named(graph: Graph) -> dict[str, Op]:
    return {it.name: it for it in graph.ops}


def kinds(graph: Graph) -> list[str]:
    """The masks that are made there."""
    return [it.kind for it in graph.ops if it.kind.startswith("mask:")]


def test_a_mask_that_is_used_inside_is_an_input() -> None:
    graph = nested([lstm("s", "w", True)], lstm("y", "base"))
    inside, use = graph.bodies["base"], named(graph)["base"]
    assert inside.inputs == ("w", "mask") and named(inside)["s"].kwargs == {"mask": Ref("mask")}
    assert inside.tensors["mask"].shape == (None, 5) and inside.tensors["mask"].dtype == "bool"
    (made,) = (it for it in graph.ops if it.kind == "mask:unlike")
    assert use.args == (Ref("a"), Ref(made.name)) and made.args == (Ref("ia"),)
    assert named(graph)["y"].kwargs == {"mask": Ref(made.name)}  # it comes out as it went in


def test_one_that_is_not_used_is_none() -> None:
    graph = nested([op("r", "ReLU", "w")], op("y", "ReLU", "base"))
    assert graph.bodies["base"].inputs == ("w",) and named(graph)["base"].args == (Ref("a"),)
    assert not kinds(graph)


@pytest.mark.parametrize(
    ("taken", "name"), [(["mask"], "w_mask"), (["mask", "w_mask"], "base_w_mask"), (["w_mask"], "mask")]
)
def test_its_name_is_free(taken: list[str], name: str) -> None:
    others = [op(it, "Dense", "w", units=4) for it in taken]
    body = [*others, lstm("l", "w", True), op("s", "Add", ["l", *taken])]
    assert nested(body, op("y", "ReLU", "base")).bodies["base"].inputs == ("w", name)


def test_one_that_is_given_by_name() -> None:
    graph = nested([lstm("s", "w", True)], lstm("y", "base"), mask=Ref("ib"))
    use = named(graph)["base"]
    assert use.args == (Ref("a"), Ref("ib")) and "mask" not in use.kwargs


def test_one_that_is_made_inside_of_an_input_is_made_again() -> None:
    body = [op("e", "Embedding", "t", input_dim=9, output_dim=4, mask_zero=True), lstm("s", "e", True)]
    graph = nested(body, lstm("y", "base"), inputs=("w", "t"))
    (made,) = (it for it in graph.ops if it.kind == "mask:unlike")
    assert made.args == (Ref("ib"),) and named(graph)["y"].kwargs == {"mask": Ref(made.name)}
    assert kinds(graph.bodies["base"]) == ["mask:unlike"]


def test_one_that_is_given_and_one_that_is_made_are_two() -> None:
    embedding = op("e", "Embedding", "t", input_dim=9, output_dim=4, mask_zero=True)
    body = [embedding, lstm("s", "e", True), lstm("r", "w", True), op("m", "Add", ["s", "r"])]
    inside = nested(body, op("y", "ReLU", "base"), inputs=("w", "t")).bodies["base"]
    (made,) = (it for it in inside.ops if it.kind == "mask:unlike")
    assert inside.inputs == ("w", "t", "mask") and made.name != "mask"
    assert named(inside)["s"].kwargs == {"mask": Ref(made.name)}
    assert named(inside)["r"].kwargs == {"mask": Ref("mask")}


def test_several_that_meet_inside_meet_outside() -> None:
    embedding = op("e", "Embedding", "t", input_dim=9, output_dim=4, mask_zero=True)
    for axis, parts in ((None, "or"), (1, "cat")):
        kind, config = ("Concatenate", {"axis": axis}) if axis else ("Add", {})
        body = [embedding, op("r", "ReLU", "w"), op("s", kind, ["e", "r"], **config)]
        graph = nested(body, lstm("y", "base"), inputs=("w", "t"))
        (made,) = (it for it in graph.ops if it.kind == f"mask:{parts}")
        of = [named(graph)[it] for it in refs(made.args)]
        assert [it.args for it in of] == [(Ref("ib"),), (Ref("ia"),)]
        assert named(graph)["y"].kwargs == {"mask": Ref(made.name)}


def test_that_of_steps_inside_is_that_of_steps_outside() -> None:
    graph = nested([every("t", "w", inner("LSTM"))], lstm("y", "base"), dialect=KERAS_2)
    (made,) = (it for it in graph.ops if it.kind == "mask:steps")
    (whole,) = (named(graph)[it] for it in refs(made.args))
    assert whole.kind == "mask:unlike" and whole.args == (Ref("ia"),)
    assert named(graph)["y"].kwargs == {"mask": Ref(made.name)}
    masked = op("m", "Masking", "d", mask_value=1.0)
    body = [op("d", "Dense", "w", units=4), masked, every("t", "m", inner("LSTM"))]
    refused = named(nested(body, lstm("y", "base"), dialect=KERAS_2))["y"].refused
    assert refused is not None and "made in the nested model" in refused[0]


@pytest.mark.parametrize("behind", ["ReLU", "LSTM"])
def test_one_that_is_made_of_a_tensor_inside(behind: str) -> None:
    body = [op("d", "Dense", "w", units=4), op("m", "Masking", "d", mask_value=1.0)]
    y = lstm("y", "base") if behind == "LSTM" else op("y", behind, "base")
    found = named(nested(body, y))["y"].refused
    assert bool(found) == (behind == "LSTM")
    assert found is None or "made in the nested model 'base'" in found[0]


def test_called_with_other_masks_than_before() -> None:
    body = [lstm("s", "w", True)]
    for other, is_refused in (("p", True), ("a", False), ("c", False)):
        again = Op("again", "Model", (Ref(other),), ("again",), {}, layer="base")
        c = op("c", "Embedding", "ib", input_dim=9, output_dim=4, mask_zero=True)
        p = op("p", "Embedding", "ib", input_dim=9, output_dim=4, mask_zero=False)
        graph = nested(body, c, p, again, op("y", "Add", ["base", "again"]))
        why = named(graph)["again"].refused
        assert bool(why) == is_refused
        assert why is None or "with other masks than before" in why[0]


def test_given_tensors_by_name() -> None:
    why = named(nested([lstm("s", "w", True)], op("y", "ReLU", "base"), other=Ref("ib")))["base"].refused
    assert why is not None and "tensors by name" in why[0]
    plain = nested([op("r", "ReLU", "w")], op("y", "ReLU", "base"), other=Ref("ib"))
    assert named(plain)["base"].refused is None


# Rules of the user's


@pytest.fixture
def own() -> Iterator[None]:
    """Layers of somebody's: one that takes a mask, one that passes it, one that drops it, one silent."""

    def taking(x: Any, *, mask: Any = None) -> Any:
        return x

    def passing(x: Any) -> Any:
        return x

    rule("Takes", masks="passes")(taking)
    rule("Passes", masks="passes")(passing)
    rule("Drops", masks="drops")(passing)
    rule("Silent")(passing)
    try:
        yield
    finally:
        for kind in ("Takes", "Passes", "Drops", "Silent"):
            del book.PROCESS.rules[kind]


def test_a_rule_of_the_user_s_says_what_becomes_of_it(own: None) -> None:
    del own
    assert got(A, op("t", "Takes", "a"), lstm("y", "t")) == {
        "t": {"mask": unlike("a")}, "y": {"mask": unlike("a")},
    }  # fmt: skip
    assert got(A, op("t", "Passes", "a"), lstm("y", "t")) == {"y": {"mask": unlike("a")}}
    assert got(A, op("t", "Drops", "a"), lstm("y", "t")) == {}
    assert got(PLAIN, op("t", "Takes", "p"), lstm("y", "t")) == {}
    assert got(A, B, op("t", "Takes", "a", mask=Ref("ib")))["t"] == {"mask": "ib"}
    (why,) = refused(A, op("t", "Silent", "a"))
    assert "its rule does not say what becomes of it" in why
    assert not refused(PLAIN, op("t", "Silent", "p"))
