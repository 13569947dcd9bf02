"""Whose a variable is, and what is refused of it, on graphs that are made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torchport.errors import BadFile, Refusal
from torchport.graph import Graph, Group, Op, Ref, Tensor, Weight
from torchport.infer.cudnn import as_stored
from torchport.infer.dequantise import Quantised, unpack
from torchport.infer.order import Order, _half_frozen
from torchport.infer.steps import SEVERAL, UNKNOWN, count_steps
from torchport.infer.weights import _ordered as ordered_keys
from torchport.infer.weights import bind_weights, expected, partly, tied
from torchport.normalise.spectral import _unset, show_spectral


def weight(name: str, *shape: int, trains: bool | None = None) -> Weight:
    return Weight(name, shape, "float32", lambda: np.zeros(shape, "float32"), trains)


def op(name: str, kind: str, config: Any = None, **more: Any) -> Op:
    return Op(name, kind, (Ref("x"),), (name,), config or {}, layer=name, **more)


def graph_of(*ops: Op, name: str = "net", **more: Any) -> Graph:
    shape = more.pop("shape", (None, 4))
    return Graph(name, ("x",), ops[-1].outputs, ops, {"x": Tensor("x", shape)}, "3.15.0", **more)


# Weights of cuDNN

FAST = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "dropout": 0.0}


@pytest.mark.parametrize(
    ("kind", "bias", "options", "found", "more"),
    [
        ("CuDNNLSTM", (20,), {}, "LSTM", {}),
        ("CuDNNLSTM", (40,), {}, "CuDNNLSTM", {}),
        ("CuDNNGRU", (2, 15), {}, "GRU", {"reset_after": True}),
        ("CuDNNGRU", (30,), {}, "CuDNNGRU", {}),
        ("LSTM", (40,), FAST, "CuDNNLSTM", {}),
        ("LSTM", (20,), FAST, "LSTM", {}),
        ("LSTM", (40,), {**FAST, "activation": "relu"}, "LSTM", {}),
        ("LSTM", (40,), {**FAST, "recurrent_activation": "hard_sigmoid"}, "LSTM", {}),
        ("LSTM", (40,), {**FAST, "dropout": 0.5}, "LSTM", {}),
        ("GRU", (30,), {**FAST, "reset_after": True}, "CuDNNGRU", {}),
        ("GRU", (30,), {**FAST, "reset_after": False}, "GRU", {}),
        ("GRU", (2, 15), {**FAST, "reset_after": True}, "GRU", {}),
        ("SimpleRNN", (10,), {}, "SimpleRNN", {}),
    ],
)
def test_a_bias_says_how_weights_are_kept(
    kind: str, bias: tuple[int, ...], options: Any, found: str, more: Any
) -> None:
    """Source: tf_keras/src/saving/legacy/hdf5_format.py, _convert_rnn_weights."""
    gates = {"LSTM": 4, "GRU": 3}.get(kind.removeprefix("CuDNN"), 1)
    stored = {str(at): weight(str(at), *it) for at, it in enumerate(((3, gates * 5), (5, gates * 5), bias))}
    config = {"units": 5, **options}
    layer = op("rnn", kind, config, stored=stored)
    kept = as_stored(layer, "2.15.0")
    assert (kept.kind, dict(kept.config)) == (found, {**config, **more})
    assert as_stored(layer, "3.15.0") == layer, "Keras 3 has no such layers"
    halves = {"layer": {"class_name": kind, "config": config}}
    halves["backward_layer"] = {"class_name": "LSTM", "config": {"units": 5}}
    other = {str(3 + at): weight(str(at), *it) for at, it in enumerate(((3, 20), (5, 20), (20,)))}
    both = as_stored(op("both", "Bidirectional", halves, stored={**stored, **other}), "2.15.0")
    assert both.config["layer"] == {"class_name": found, "config": {**config, **more}}
    assert both.config["backward_layer"] == halves["backward_layer"]


# What trains


def dense(name: str, *trains: bool, load: Any = None) -> Op:
    made = {
        it: weight(f"{name}/{it}", 4, trains=flag)
        for it, flag in zip(("kernel", "bias"), trains, strict=False)
    }
    if load is not None:
        made = {it: Weight(own.name, own.shape, own.dtype, load) for it, own in made.items()}
    return op(name, "Dense", {"units": 4}, weights=made)


def test_a_layer_of_which_one_weight_trains_is_refused() -> None:
    norm = op(
        "norm", "BatchNormalization",
        weights={
            "gamma": weight("norm/gamma", 4, trains=True),
            "moving_mean": weight("norm/moving_mean", 4, trains=False),
        },
    )  # fmt: skip
    assert not list(partly(graph_of(dense("a", True, True), dense("b", False, False), norm)))
    inner = graph_of(dense("half", True, False), name="inner")
    found = list(partly(graph_of(dense("other", False, True), op("part", "Model"), bodies={"part": inner})))
    assert [(it.layer, it.kind) for it in found] == [("net/other", "Dense"), ("inner/half", "Dense")]
    assert all(it.why and it.advice for it in found)


def test_weights_of_two_models_part_in_training() -> None:
    def load() -> np.ndarray:
        return np.zeros(4, "float32")

    shared = graph_of(dense("theirs", True, load=load), name="inner")
    call = op("part", "Model")
    (found,) = tied(graph_of(dense("ours", True, load=load), call, bodies={"part": shared}))
    assert (found.layer, found.kind) == ("net/part/theirs", "Dense")
    assert "with ours, in another model" in found.why and "freeze" in found.advice
    frozen = Op(**{**vars(shared.ops[0]), "frozen": True})
    assert not list(
        tied(graph_of(dense("ours", True, load=load), call, bodies={"part": shared.replace(ops=(frozen,))}))
    )
    assert not list(tied(graph_of(dense("ours", True, load=load), dense("again", True, load=load))))


# Steps


def normed(*names: str, **more: Any) -> Op:
    return op(more.pop("name", "norm"), "BatchNormalization", {"steps": names} if names else {}, **more)


def counted(graph: Graph, times: int = 1) -> tuple[Graph, list[Refusal]]:
    refusals: list[Refusal] = []
    return count_steps(graph, refusals, times), refusals


def test_steps_are_counted() -> None:
    found, refusals = counted(graph_of(normed("x"), shape=(None, 5, 4)))
    assert found.ops[0].config == {"steps": 5} and not refusals
    found, refusals = counted(graph_of(normed()))
    assert found.ops[0].config == {} and not refusals
    inner = graph_of(normed("x"), name="inner", shape=(None, 3, 4))
    outer = graph_of(op("part", "Model", {"steps": ("x",)}), shape=(None, 5, 4), bodies={"part": inner})
    found, refusals = counted(outer)
    assert found.bodies["part"].ops[0].config == {"steps": 15} and found.ops[0].config == {}
    assert not refusals


def test_steps_that_are_not_known_are_refused() -> None:
    _, (refusal,) = counted(graph_of(normed("x"), shape=(None, None, 4)))
    assert (refusal.layer, refusal.kind, refusal.why, refusal.advice) == (
        "net/norm", "BatchNormalization", *UNKNOWN
    )  # fmt: skip


def test_one_layer_has_one_number_of_steps() -> None:
    tensors = {"x": Tensor("x", (None, 5, 4)), "z": Tensor("z", (None, 7, 4))}
    calls = [normed("x"), normed("z", name="again")]
    calls[1] = Op(**{**vars(calls[1]), "layer": "norm"})
    graph = Graph("net", ("x", "z"), ("again",), tuple(calls), tensors, "3.15.0")
    _, refusals = counted(graph)
    wanted = [("net/again", SEVERAL[0])] if calls[1].is_in_training else []
    assert [(it.layer, it.why) for it in refusals] == wanted


# Variables in a list

BODY = graph_of(
    op("a", "Dense"), op("norm", "BatchNormalization"), op("b", "Dense"), name="inner",
    layers=(("a", True), ("norm", True), ("b", False)),
)  # fmt: skip
STATISTICS = {"inner/a": (False, False), "inner/norm": (False, False, True, True), "inner/b": (False,)}


@pytest.mark.parametrize("dialect", ["2.15.0", "3.15.0"])
def test_what_trains_is_listed_first(dialect: str) -> None:
    """Source: _legacy_weights, of both: the trainable variables, then the others."""
    trained, others = Order(STATISTICS, dialect).split(BODY, "inner/", True)
    assert trained == [("inner/a", 0), ("inner/a", 1), ("inner/norm", 0), ("inner/norm", 1)]
    assert others == [("inner/norm", 2), ("inner/norm", 3), ("inner/b", 0)]
    trained, others = Order(STATISTICS, dialect).split(BODY, "inner/", False)
    assert trained == []
    order = [("inner/a", 0), ("inner/a", 1), ("inner/norm", 0), ("inner/norm", 1)]
    rest = [("inner/norm", 2), ("inner/norm", 3), ("inner/b", 0)]
    assert others == [*order, *rest]


def test_a_list_is_shared_out() -> None:
    weights = [weight(str(at), at + 1) for at in range(7)]
    found = Order(STATISTICS, "3.15.0").give_list(BODY, "inner/", True, weights)
    given = {it.layer: [own.name for own in it.stored.values()] for it in found.ops}
    assert given == {"a": ["0", "1"], "norm": ["2", "3", "4", "5"], "b": ["6"]}
    with pytest.raises(BadFile, match="has 6 variables where 7 are needed"):
        Order(STATISTICS, "3.15.0").give_list(BODY, "inner/", True, weights[:6])


def test_a_group_goes_to_the_next_layer_that_has_variables() -> None:
    layers = (("a", True), ("relu", True), ("b", True))
    ops = (op("a", "Dense"), op("relu", "ReLU"), op("b", "Dense"))
    groups = tuple(Group(f"g{at}", (weight(f"w{at}", 4),), "2.15.0", "tensorflow") for at in range(2))
    statistics = {"a": (False,), "relu": (), "b": (False,)}
    graph = graph_of(*ops, layers=layers, groups=groups)
    found = Order(statistics, "3.15.0").give_groups(graph)
    assert {it.layer: [own.name for own in it.stored.values()] for it in found.ops} == {
        "a": ["w0"], "relu": [], "b": ["w1"]
    }  # fmt: skip
    assert found.groups == ()
    with pytest.raises(BadFile, match="has variables of 1 layers, the architecture has 2 such layers"):
        Order(statistics, "3.15.0").give_groups(graph.replace(groups=groups[:1]))


# Numbers of four bits


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("count", [1, 4, 7])
@pytest.mark.parametrize("is_signed", [True, False])
def test_four_bits(axis: int, count: int, is_signed: bool) -> None:
    """A byte holds two numbers along an axis, the low one first."""
    low = -8 if is_signed else 0
    shape = [3, 5]
    shape[axis] = count
    numbers = np.random.default_rng(0).integers(low, low + 16, shape)
    rows = np.moveaxis(numbers, axis, 0)
    if count % 2:
        rows = np.concatenate([rows, np.zeros_like(rows[:1])])
    packed = (rows[0::2] % 16 + 16 * (rows[1::2] % 16)).astype("uint8").view("int8")
    found = unpack(np.moveaxis(packed, 0, axis), count, axis, is_signed)
    assert np.array_equal(found, numbers)


# Whose weights a list is


def half(**flags: Any) -> Op:
    """A Bidirectional of which the directions train or do not: `forward`, `backward`."""
    config = {
        name: {"class_name": "LSTM", "config": {"units": 2, **({} if flag is None else {"trainable": flag})}}
        for name, flag in zip(("layer", "backward_layer"), flags.values(), strict=True)
    }
    return op("both", "Bidirectional", config)


@pytest.mark.parametrize(
    ("forward", "backward", "refused"),
    [
        (None, None, False), (True, None, False), (True, True, False), (False, False, False),
        (False, None, True), (None, False, True), (True, False, True),
    ],
)  # fmt: skip
def test_half_of_a_wrapper_is_frozen(forward: bool | None, backward: bool | None, refused: bool) -> None:
    """A layer trains if its configuration does not say otherwise."""
    graph = graph_of(half(forward=forward, backward=backward))
    assert bool(list(_half_frozen(graph))) == refused
    outer = graph_of(op("inner", "Model"), bodies={"inner": graph})
    assert bool(list(_half_frozen(outer))) == refused


def test_where_the_weights_of_a_layer_inside_are() -> None:
    """In an archive, under the attribute that holds the layer; tf-keras has some with a dash before."""
    wanted = {"cell/kernel": (4, 8), "cell/bias": (8,), "gain": (4,)}
    stored = dict.fromkeys(["vars/0", "cell/vars/0", "cell/vars/1"], weight("w"))
    assert list(ordered_keys(wanted, stored)) == ["cell/vars/0", "cell/vars/1", "vars/0"]
    stored = dict.fromkeys(["_cell/vars/0", "_cell/vars/1", "vars/0", "_vars/0"], weight("w"))
    assert list(ordered_keys(wanted, stored)) == ["_cell/vars/0", "_cell/vars/1", "vars/0"]
    assert list(ordered_keys(wanted, dict.fromkeys("012", weight("w")))) == ["0", "1", "2"]
    with pytest.raises(BadFile, match="the weight cell/bias is not at 'cell/vars/1'; there are cell/vars/0"):
        list(ordered_keys(wanted, {"cell/vars/0": weight("w")}))


@pytest.mark.parametrize("flags", [[True], [False], [True, False], []])
def test_a_weight_normalization_that_saw_no_batch(flags: list[bool]) -> None:
    """Its g is set by the first one; what else it stores does not matter."""
    stored = {
        str(at): Weight(f"f{at}", (), "bool", lambda it=it: np.array(it)) for at, it in enumerate(flags)
    }
    stored["kernel"] = weight("kernel", 2, 2)
    assert (_unset(stored) is None) == all(flags)


# Scales of whole numbers


@pytest.mark.parametrize(
    ("equation", "kernel", "scale", "along"),
    [
        ("abc,cd->abd", (2, 3), (1, 1, 3), (1, 3)),
        ("abc,cde->abde", (4, 2, 3), (1, 1, 2, 3), (1, 2, 3)),
        ("abcd,cde->abe", (2, 3, 4), (1, 1, 4), (1, 1, 4)),
        ("ab,cb->ac", (3, 2), (1, 3), (3, 1)),
        ("ab,bdc->acd", (4, 3, 2), (1, 2, 3), (1, 3, 2)),
        ("...b,bc->...c", (2, 3), (1, 1, 3), (1, 3)),
        ("ab,bc->ca", (2, 3), (3, 1), (1, 3)),
    ],
)
def test_the_scale_of_an_int8_kernel_lies_along_its_output(
    equation: str, kernel: tuple[int, ...], scale: tuple[int, ...], along: tuple[int, ...]
) -> None:
    """Source: keras/src/layers/core/einsum_dense.py, _adjust_scale_for_quant: a scale an output feature."""
    whole = np.arange(1, 1 + np.prod(kernel), dtype="int8").reshape(kernel)
    scales = np.arange(2.0, 2.0 + np.prod(scale), dtype="float32").reshape(scale)
    weights = {
        name: Weight(name, value.shape, str(value.dtype), lambda value=value: value)  # type: ignore[misc]
        for name, value in {"kernel": whole, "kernel_scale": scales}.items()
    }
    found = Quantised("EinsumDense", "int8", weights, {"equation": equation}, "net/fc")
    letters, _, output = equation.replace("...", "z").partition(",")[2].partition("->")
    if "..." in equation:
        scales = scales.reshape(scales.shape[1:])
    one = np.einsum(f"{output}->{''.join(it for it in letters if it in output)}", scales)
    places = [at for at, letter in enumerate(letters) if letter in output]
    wide = [one.shape[places.index(at)] if at in places else 1 for at in range(len(letters))]
    assert tuple(wide) == along
    assert np.allclose(found.kernel("kernel", kernel), whole / one.reshape(wide))


# Weights of layers around a layer


@pytest.mark.parametrize(
    ("stored", "order"),
    [
        ({"layer/vars/0": (3, 4), "layer/vars/1": (4,), "vars/0": (1, 4)},
            ["layer/vars/0", "vars/0", "layer/vars/1"]),
        ({"layer/vars/0": (3, 4), "layer/vars/1": (4,), "vars/0": (3, 4), "vars/1": (1, 4)},
            ["layer/vars/0", "vars/1", "layer/vars/1"]),
        ({"0": (3, 4), "1": (4,), "2": (1, 4)}, ["0", "2", "1"]),
        ({"0": (3, 4), "1": (1, 4), "2": (4,)}, ["0", "1", "2"]),
        ({"0": (3, 4), "1": (1, 4)}, ["0", "1"]),
        ({"0": (3, 3, 2, 4), "1": (4,), "2": (1, 4)}, ["0", "2", "1"]),
    ],
)  # fmt: skip
def test_a_spectral_norm_has_its_kernel_then_its_vector_then_its_bias(
    stored: dict[str, tuple[int, ...]], order: list[str]
) -> None:
    layer = {"class_name": "Dense", "config": {"units": 4, "activation": "relu"}}
    weights = {key: weight(key, *shape) for key, shape in stored.items()}
    (found,) = show_spectral(graph_of(op("y", "SpectralNormalization", {"layer": layer}, stored=weights))).ops
    assert [it.name for it in found.stored.values()] == order
    assert found.config["activation"] == "relu" and "activation" not in found.config["layer"]["config"]


@pytest.mark.parametrize(("count", "is_own"), [(2, True), (3, True), (4, False)])
def test_a_weight_norm_that_keeps_nothing_of_how_it_was_set(count: int, is_own: bool) -> None:
    """That of tensorflow-addons has a flag and the layer's kernel, g, v and bias."""
    layer = {"class_name": "Dense", "config": {"units": 4}}
    weights = {str(at): weight(str(at), 4) for at in range(count)}
    (found,) = show_spectral(
        graph_of(op("y", "Addons>WeightNormalization", {"layer": layer}, stored=weights))
    ).ops
    assert ("data_init" in found.config) == is_own


# Which weights an op has


def test_weights_by_name_and_those_that_do_not_fit() -> None:
    dense = op("fc", "Dense", {"units": 3}, stored={"0": weight("0", 4, 3), "1": weight("1", 3)})
    graph = graph_of(dense)
    graph = graph.replace(tensors={**graph.tensors, "fc": Tensor("fc", (None, 3))})
    assert dict(expected(dense, graph)) == {"kernel": (4, 3), "bias": (3,)}
    (bound,) = bind_weights(graph).ops
    assert {name: it.name for name, it in bound.weights.items()} == {"kernel": "fc/kernel", "bias": "fc/bias"}
    for stored, said in (
        ({"0": weight("0", 4, 3)}, "has 1 weights where 2 are needed: kernel, bias"),
        ({"0": weight("0", 3, 4), "1": weight("1", 3)}, "kernel has the shape"),
    ):
        with pytest.raises(BadFile, match=said):
            bind_weights(graph.replace(ops=(op("fc", "Dense", {"units": 3}, stored=stored),)))
    relu = op("r", "ReLU")
    graph = graph_of(relu)
    graph = graph.replace(tensors={**graph.tensors, "r": Tensor("r", (None, 4))})
    assert dict(expected(relu, graph)) == {}
    with pytest.raises(BadFile, match="has 1 weights where 0 are needed: none"):
        bind_weights(graph.replace(ops=(op("r", "ReLU", stored={"0": weight("0", 4)}),)))
