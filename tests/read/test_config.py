"""Configurations as each dialect writes them, without any file: calls, names, order, terms."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.errors import BadFile, Refused, TorchportError
from torchport.graph import Graph, Ref
from torchport.read import config, dialect
from torchport.read.hdf5 import Within


def build(layers: list[Any], outputs: Any, inputs: Any = None, version: str = "3.15.1") -> Graph:
    inner = {
        "name": "m",
        "layers": layers,
        "input_layers": [["x", 0, 0]] if inputs is None else inputs,
        "output_layers": outputs,
    }
    entry = {"class_name": "Functional", "config": inner}
    return config.graph(entry, version, Within(), "here").check()


def start(name: str = "x", key: str = "batch_shape") -> dict[str, Any]:
    shape = [None, 7, 5]
    return {"class_name": "InputLayer", "name": name, "config": {"name": name, key: shape}}


def layer(kind: str, name: str, *nodes: Any, **settings: Any) -> dict[str, Any]:
    settings = {"trainable": True, "dtype": "float32", **settings}
    entry = {"module": "keras.layers", "class_name": kind, "name": name}
    return {**entry, "config": {"name": name, **settings}, "inbound_nodes": list(nodes)}


def tensor(name: str, node: int = 0, index: int = 0) -> dict[str, Any]:
    history = {"shape": [None, 7, 5], "dtype": "float32", "keras_history": [name, node, index]}
    return {"class_name": "__keras_tensor__", "config": history}


def call(*args: Any, **kwargs: Any) -> dict[str, Any]:
    return {"args": list(args), "kwargs": kwargs}


def test_calls_of_keras_3() -> None:
    graph = build(
        [
            start(),
            layer("LSTM", "r", call(tensor("x"), training=False, mask=None), return_state=True),
            layer("Add", "s", call([tensor("r"), tensor("r", 0, 2)]), call([tensor("s")])),
            layer("Mix", "t", call(tensor("s"), by={"w": [tensor("s", 1), 3]}, training=True)),
        ],
        {"b": ["t", 0, 0], "a": ["s", 1, 0]},
    )
    assert [(op.name, op.args, op.kwargs, op.outputs) for op in graph.ops] == [
        ("r", (Ref("x"),), {}, ("r", "r:1", "r:2")),
        ("s", ([Ref("r"), Ref("r:2")],), {}, ("s",)),
        ("s@1", ([Ref("s")],), {}, ("s@1",)),
        ("t", (Ref("s"),), {"by": {"w": [Ref("s@1"), 3]}, "training": True}, ("t",)),
    ]
    assert graph.structure == {"b": Ref("t"), "a": Ref("s@1")}
    assert graph.outputs == ("s@1", "t")  # a dictionary is flattened by its sorted keys
    assert graph.tensors["x"].shape == (None, 7, 5)


def test_calls_of_keras_2() -> None:
    graph = build(
        [
            start(key="batch_input_shape"),
            layer("LSTM", "r", [["x", 0, 0, {}]]),
            layer("LSTM", "d", [["r", 0, 0, {}], ["r", 0, 1, {}], ["r", 0, 2, {}]]),
            layer("Add", "s", [["d", 0, 0, {}], ["x", 0, 0, {}]]),
            layer("MultiHeadAttention", "a", [["s", 0, 0, {"value": ["d", 0, 0], "mask": None}]]),
            layer("TFOpLambda", "o", ["a", 0, 0, {"y": 2.0, "name": None}], function="math.add"),
            layer("BatchNormalization", "b", [["o", 0, 0, {"training": False}]], axis=[2]),
            layer("Multiply", "m", [["_CONSTANT_VALUE", -1, 3.0, {}], ["b", 0, 0, {}]]),
        ],
        [["m", 0, 0]],
        version="2.4.0",
    )
    assert [(op.name, op.args, op.kwargs) for op in graph.ops] == [
        ("r", (Ref("x"),), {}),
        ("d", (Ref("r"),), {"initial_state": [Ref("r:1"), Ref("r:2")]}),
        ("s", ([Ref("d"), Ref("x")],), {}),
        ("a", (Ref("s"),), {"value": Ref("d")}),
        ("o", (Ref("a"),), {"y": 2.0}),
        ("b", (Ref("o"),), {"training": False}),  # fixed in Keras 2, whatever the model is told
        ("m", ([3.0, Ref("b")],), {}),
    ]
    assert graph.structure == Ref("m")
    assert graph.ops[5].config["axis"] == 2


def test_slices_and_operations() -> None:
    parts = [
        {"class_name": "__slice__", "config": {"start": 1, "stop": None, "step": 2}},
        {"class_name": "__ellipsis__", "config": {}},
    ]
    item = {"module": "keras.src.ops.numpy", "class_name": "GetItem", "name": "g"}
    item |= {"config": {"name": "g"}, "inbound_nodes": [call(tensor("x"), parts)]}
    bare = {"class_name": "Add", "name": "p", "config": {"name": "p"}}
    graph = build([start(), item, {**bare, "inbound_nodes": [call(tensor("g"), 2)]}], ["p", 0, 0])
    assert [op.kind for op in graph.ops] == ["keras.src.ops.numpy.GetItem", "keras.ops.Add"]
    assert graph.ops[0].args == (Ref("x"), [slice(1, None, 2), ...])


def test_order_follows_the_config_where_it_can() -> None:
    late, early = (
        layer("Dense", "late", call(tensor("early"))),
        layer("Dense", "early", call(tensor("x"))),
    )
    other = layer("Dense", "other", call(tensor("x")))
    graph = build([start(), late, other, early], [["late", 0, 0], ["other", 0, 0]])
    assert [op.name for op in graph.ops] == ["other", "early", "late"]


def nest(name: str, dialect: str) -> dict[str, Any]:
    node = call(tensor("x")) if dialect == "3" else [["x", 0, 0, {}]]
    inner = {"name": name, "layers": [start(), layer("Dense", "d", node)], "trainable": False}
    inner |= {"input_layers": [["x", 0, 0]], "output_layers": [["d", 0, 0]]}
    return {"class_name": "Functional", "name": name, "config": inner}


def test_nested_calls_are_numbered_from_one_where_keras_does() -> None:
    three = nest("core", "3") | {"inbound_nodes": [call(tensor("x")), call(tensor("core", 0))]}
    two = nest("core", "2") | {"inbound_nodes": [[["x", 0, 0, {}]], [["core", 1, 0, {}]]]}
    for entry, version in ((three, "3.15.1"), (two, "2.15.0")):
        graph = build([start(), entry], [["core", 2, 0]], version=version)
        assert [(op.name, op.inputs, op.kind) for op in graph.ops] == [
            ("core", ("x",), "Model"),
            ("core@1", ("core",), "Model"),
        ]
        assert graph.outputs == ("core@1",)
        assert not graph.bodies["core"].ops[0].frozen  # what counts is what the layer says of itself


OLD = [
    ("LeakyReLU", {"alpha": 0.3}, {"negative_slope": 0.3}),
    ("BatchNormalization", {"axis": [3], "renorm": False}, {"axis": 3}),
    ("GRU", {"units": 3, "implementation": 1}, {"units": 3, "reset_after": False}),
    ("Embedding", {"input_length": None, "batch_input_shape": [None, 7]}, {}),
    ("Conv2DTranspose", {"groups": 1}, {}),
    ("Conv2D", {"groups": 1}, {"groups": 1}),
    ("LSTM", {"time_major": False, "recurrent_activation": "hard_sigmoid"},
     {"recurrent_activation": "keras2>hard_sigmoid"}),
    ("LSTM", {"time_major": True}, {"time_major": True}),
    ("Dense", {"dtype": {"class_name": "Policy", "config": {"name": "mixed_float16"}}}, {"dtype": "float32"}),
    ("Dense", {"dtype": {"class_name": "QuantizedDTypePolicy", "config": {"mode": "int8"}}},
     {"dtype": "int8_from_float32"}),
    ("TimeDistributed",
     {"layer": {"class_name": "LeakyReLU",
                "config": {"name": "a", "trainable": True, "alpha": 0.1}}},
     {"layer": {"class_name": "LeakyReLU",
                "config": {"name": "a", "trainable": True, "negative_slope": 0.1}}}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "old", "new"), OLD)
def test_old_terms(kind: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    assert dialect.modernise({"name": "it", **old}, kind, "2.4.0", "here") == new


def test_hard_sigmoid_of_keras_3_is_another_function() -> None:
    assert dialect.modernise({"activation": "hard_sigmoid"}, "Dense", "3.0.0", "here") == {
        "activation": "hard_sigmoid"
    }


KINDS = [
    ({"class_name": "Dense"}, "Dense"),
    ({"class_name": "Dense", "module": "keras.src.layers.core.dense"}, "Dense"),
    ({"class_name": "Dense", "module": "tf_keras.src.layers.core.dense"}, "Dense"),
    ({"class_name": "BatchNormalizationV1"}, "BatchNormalization"),
    ({"class_name": "Mine", "module": "lab.nets", "registered_name": "lab>Mine"}, "lab>Mine"),
    ({"class_name": "Dense", "module": "lab.nets", "registered_name": "Dense"}, "lab.nets.Dense"),
    ({"class_name": "Dense", "module": "kerasish.layers"}, "kerasish.layers.Dense"),
    ({"class_name": "Add", "module": "keras.src.ops.numpy"}, "keras.src.ops.numpy.Add"),
]


@pytest.mark.parametrize(("entry", "kind"), KINDS)
def test_kinds(entry: dict[str, Any], kind: str) -> None:
    assert dialect.kind(entry, "here") == kind


def test_training_true_of_augmentation_is_only_its_default() -> None:
    flip = layer("RandomFlip", "f", call(tensor("x"), training=True))
    drop = layer("Dropout", "d", call(tensor("f"), training=True))
    graph = build([start(), flip, drop], [["d", 0, 0]])
    assert [op.kwargs for op in graph.ops] == [{}, {"training": True}]


class TestSequential:
    def build(self, inner: Any, version: str = "2.2.4-tf") -> Graph:
        entry = {"class_name": "Sequential", "config": inner}
        return config.graph(entry, version, Within(), "here").check()

    @pytest.mark.parametrize("as_list", [True, False])
    def test_first_layer_declares_the_input(self, as_list: bool) -> None:
        layers = [
            layer("Dense", "a", batch_input_shape=[None, None, 3]),
            layer("Dense", "b"),
        ]
        graph = self.build(layers if as_list else {"name": "s", "layers": layers})
        assert str(graph).splitlines()[1:] == ["  a = Dense(a_input)", "  b = Dense(a)", "  -> b"]
        assert graph.tensors["a_input"].shape == (None, None, 3)
        assert "batch_input_shape" not in graph.ops[0].config

    def test_build_input_shape(self) -> None:
        graph = self.build({"layers": [layer("Dense", "a")], "build_input_shape": [5, 3]}, "3.1.0")
        assert graph.tensors["a_input"].shape == (None, 3)

    def test_without_any_shape(self) -> None:
        with pytest.raises(TorchportError, match="before it was built"):
            self.build({"layers": [layer("Dense", "a")]})


DENSE = layer("Dense", "d", call(tensor("x")))
BROKEN: dict[str, tuple[list[Any], Any, str]] = {
    "cycle": (
        [layer("Add", "a", call([tensor("x"), tensor("b")])),
         layer("Dense", "b", call(tensor("a")))],
        ["b", 0, 0],
        "'a', 'b' wait for each other",
    ),
    "itself": ([layer("Dense", "a", call(tensor("a")))], ["a", 0, 0], "'a' wait"),
    "missing layer": ([layer("Dense", "a", call(tensor("gone")))], ["a", 0, 0],
                      "'gone', which is not"),
    "missing call": ([layer("Dense", "a", call(tensor("x"))),
                      layer("Dense", "b", call(tensor("a", 7)))],
                     ["b", 0, 0], "call number 7 of 'a', which is called 1 times"),
    "missing output": ([DENSE], ["d", 3, 0], "call number 3 of 'd'"),
    "output of nothing": ([DENSE], ["gone", 0, 0], "'gone'"),
    "two of a name": ([DENSE, DENSE], ["d", 0, 0], "two layers are called 'd'"),
    "clash of tensors": ([DENSE, layer("Dense", "d:1", call(tensor("d", 0, 1)))], ["d:1", 0, 0],
                         "two tensors would be called 'd:1'"),
    "second output of an input": ([layer("Dense", "a", call(tensor("x", 0, 1)))], ["a", 0, 0],
                                  "output 1"),
    "no outputs": ([DENSE], None, "output_layers should be a list"),
    "negative node": ([DENSE], ["d", -1, 0], "should be a whole number"),
    "huge index": ([DENSE], ["d", 0, 10**12], "should be a whole number"),
    "name of a number": ([layer("Dense", 5, call(tensor("x")))], ["d", 0, 0], "should be a text"),  # type: ignore[arg-type]
    "unnamed": ([{"class_name": "Dense", "config": {}}], ["d", 0, 0], "should be a text, not None"),
    "config is a list": ([{**DENSE, "config": []}], ["d", 0, 0], "should be a dictionary"),
    "layer is a text": (["Dense"], ["d", 0, 0], "should be a dictionary"),
    "nodes is a text": ([{**DENSE, "inbound_nodes": "x"}], ["d", 0, 0], "should be a list"),
    "node is a number": ([{**DENSE, "inbound_nodes": [5]}], ["d", 0, 0], "should be a list"),
    "history is cut": ([layer("Dense", "a", call({"class_name": "__keras_tensor__"}))], ["a", 0, 0],
                       "a tensor's config should be"),
    "half a letter": ([layer("Dense", "\ud800", call(tensor("x")))], ["d", 0, 0], "Unicode"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN)
def test_broken(case: str) -> None:
    layers, outputs, words = BROKEN[case]
    with pytest.raises(BadFile) as caught:
        build([start(), *layers], outputs)
    assert words in str(caught.value)
    assert caught.value.where.startswith("here")


def test_input_that_is_not_an_input() -> None:
    with pytest.raises(BadFile, match="'d' is not an InputLayer"):
        build([start(), DENSE], [["d", 0, 0]], inputs=[["d", 0, 0]])


@pytest.mark.parametrize("shape", [[None, -3], [None, 2.5], [None, 10**30], "x", 7, [], None, [True, 3]])
def test_absurd_shape(shape: Any) -> None:
    first = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": shape}}
    with pytest.raises(BadFile):
        build([first, DENSE], [["d", 0, 0]])


@pytest.mark.parametrize("flag", ["sparse", "ragged", "optional"])
def test_inputs_without_a_twin_are_refused(flag: str) -> None:
    first = start()
    first["config"][flag] = True
    with pytest.raises(Refused, match=flag):
        build([first, DENSE], [["d", 0, 0]])


def test_model_of_its_own_class_is_refused() -> None:
    entry = {"class_name": "Net", "module": "lab.nets", "config": {"name": "n"}}
    with pytest.raises(Refused, match="Python code"):
        config.graph(entry, "3.15.1", Within(), "here")


def test_nesting_is_bounded() -> None:
    entry: Any = layer("Dense", "d", batch_input_shape=[None, 3])
    for _ in range(105):
        entry = {"class_name": "Sequential", "config": {"name": "s", "layers": [entry]}}
    with pytest.raises(BadFile, match="more than 101 deep"):
        config.graph(entry, "2.4.0", Within(), "here")


def test_a_hostile_name_is_only_a_name() -> None:
    name = 'x"); import os #\n'
    graph = build([start(), layer("Dense", name, call(tensor("x")))], [[name, 0, 0]])
    assert graph.ops[0].name == name
