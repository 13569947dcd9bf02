"""Programs of layers of one's own as text, from graphs as `watch` gives them: no TensorFlow."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.pipeline import written


def weight(name: str, *shape: int) -> Weight:
    array = np.ones(shape, "float32")
    return Weight(name, shape, "float32", lambda: array, True)


def variable(name: str, stored: Weight, trainable: bool = True, of: str = "") -> Op:
    kind = {"trainable_": trainable, "dtype_": "float32", "of_": of}
    config = {"attribute": name, "shape": list(stored.shape), **kind}
    return Op(
        name, "tf.Variable", (), (name,), config, layer=name, stored={"0": stored}, frozen=not trainable
    )


def function(name: str, kind: str, first: Any, **given: Any) -> Op:
    return Op(name, "TFOpLambda", (first,), (name,), {"function": kind}, given, layer=name)


def dense(name: str, reads: str, rows: int, columns: int) -> Op:
    config = {"name": name, "units": columns, "activation": "linear"}
    stored = {"0": weight(f"{name}/kernel", rows, columns), "1": weight(f"{name}/bias", columns)}
    return Op(name, "Dense", (Ref(reads),), (name,), config, layer=name, stored=stored)


def layer(cls: str, ops: list[Op], shape: tuple[int, ...], dtype: str = "float32") -> Graph:
    turned = tuple(replace(op, turn=at) for at, op in enumerate(ops))
    tensors = {"x": Tensor("x", (None, *shape), dtype=dtype)}
    out = ops[-1].name
    return Graph(cls, ("x",), (out,), turned, tensors, "2.21", Ref(out), cls=cls, masks=("drops",))


def program(*layers: Graph) -> str:
    """The text of a model of these layers, one after the other."""
    names = [chr(ord("a") + at) for at in range(len(layers))]
    ops = tuple(
        Op(name, "Model", (Ref(before),), (name,), {"name": name}, layer=name, turn=at)
        for at, (before, name) in enumerate(zip(["image", *names], names, strict=False))
    )
    tensors = {"image": replace(layers[0].tensors["x"], name="image")}
    bodies = dict(zip(names, layers, strict=True))
    graph = Graph("net", ("image",), (names[-1],), ops, tensors, "2.21", Ref(names[-1]), bodies)
    return written(graph, "Net").code


def test_state_is_assigned_in_a_branch_with_what_it_needs_alone() -> None:
    ops = [
        variable("mean", weight("mean", 6), trainable=False),
        function("batch", "math.reduce_mean", Ref("x"), axis=[0, 1]),
        function("old", "math.multiply", Ref("mean"), y=0.9),
        function("new", "math.multiply", Ref("batch"), y=0.1),
        function("next", "math.add", Ref("old"), y=Ref("new")),
        Op(
            "after", "state:assign", (Ref("mean"), Ref("next")), ("after",), {"training": True}, layer="after"
        ),
        function("out", "math.subtract", Ref("x"), y=Ref("mean")),
    ]
    assert """
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            out = self.mean * 0.9 + x.mean(dim=(0, 1)) * 0.1
            self.mean = out.detach()
        return x - self.mean
""" in program(layer("MovingMean", ops, (5, 6)))


def test_what_reads_the_old_value_stands_before() -> None:
    """Whatever the order in which results are read."""
    ops = [
        variable("mean", weight("mean", 6), trainable=False),
        function("out", "math.subtract", Ref("x"), y=Ref("mean")),
        function("next", "math.reduce_mean", Ref("x"), axis=[0, 1]),
        Op("after", "state:assign", (Ref("mean"), Ref("next")), ("after",), {}, layer="after"),
        function("new", "math.multiply", Ref("mean"), y=2.0),
        function("both", "math.add", Ref("out"), y=Ref("new")),
    ]
    code = program(layer("MovingMean", ops, (5, 6)))
    assert code.index("x - self.mean") < code.index("self.mean = x.mean(") < code.index("self.mean * 2")


def test_a_mode_is_a_statement() -> None:
    ops = [
        function("exp", "exp", Ref("x")),
        function("more", "math.multiply", Ref("exp"), y=Ref("exp")),
        Op("more_or_not", "mode:select", (Ref("more"), Ref("x")), ("more_or_not",), layer="more_or_not"),
        function("out", "math.multiply", Ref("more_or_not"), y=2.0),
    ]
    assert """
        if self.training:
            out = torch.exp(x)
            x = out * out
        return x * 2
""" in program(layer("Louder", ops, (5, 6)))


def test_a_weight_of_a_layer_is_the_layers() -> None:
    stored = weight("tokens/embeddings", 11, 6)
    config = {"name": "tokens", "input_dim": 11, "output_dim": 6}
    ops = [
        variable("tokens_embeddings", stored, of="tokens/embeddings"),
        Op("tokens", "Embedding", (Ref("x"),), ("tokens",), config, layer="tokens", stored={"0": stored}),
        function("out", "linalg.matmul", Ref("tokens"), b=Ref("tokens_embeddings"), transpose_b=True),
    ]
    code = program(layer("Tied", ops, (5,), "int32"))
    assert "return self.tokens(x) @ self.tokens.weight.T" in code
    assert "nn.Parameter" not in code


def gate(rows: int, columns: int) -> Graph:
    ops = [
        dense("linear", "x", rows, columns),
        dense("gate", "x", rows, columns),
        function("share", "math.sigmoid", Ref("gate")),
        function("out", "math.multiply", Ref("linear"), y=Ref("share")),
    ]
    return layer("Gate", ops, (rows,))


def test_classes_that_differ_in_numbers_are_one() -> None:
    code = program(gate(7, 5), gate(5, 5), gate(5, 3))
    assert code.count("class Gate") == 1
    assert "def __init__(self, in_features: int, out_features: int) -> None:" in code
    assert "Gate(7, 5), Gate(5, 5), Gate(5, 3)" in code


def test_classes_that_differ_in_more_stay_two() -> None:
    other = gate(5, 3)
    ops = [*other.ops[:-1], replace(other.ops[-1], config={"function": "math.add"})]
    code = program(gate(7, 5), other.replace(ops=tuple(ops)))
    assert code.count("class Gate") == 2


def test_whole_numbers_are_kept_as_such() -> None:
    places = np.arange(3)[::-1].astype("int64")
    kept = Weight("places", (3,), "int64", lambda: places, False)
    ops = [
        replace(variable("places", kept, trainable=False), config={
            "attribute": "places", "shape": [3], "trainable_": False, "dtype_": "int64", "of_": "",
        }),
        function("out", "gather", Ref("x"), indices=Ref("places"), axis=1),
    ]  # fmt: skip
    assert "self.places = nn.Buffer(torch.zeros(3, dtype=torch.int64))" in program(
        layer("Turned", ops, (3, 4))
    )
