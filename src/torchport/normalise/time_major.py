"""A recurrent layer of Keras 2 whose steps come before its batch reads them behind it.

before:  y = LSTM(x), time_major=True;  x: (t, n, c)
after:   y.turned = Transpose(x);  y.steps = LSTM(y.turned);  y = Transpose(y.steps)

Source: tf_keras/src/layers/rnn/base_rnn.py, `time_major`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from torchport.graph import Graph, Op, Ref
from torchport.normalise.operations import PREFIX

KINDS = frozenset({"LSTM", "GRU", "SimpleRNN", "RNN", "CuDNNLSTM", "CuDNNGRU"})
MASKED = ("time_major=True under a mask", "transpose its input, and build it with time_major=False")


def turn_steps(graph: Graph) -> Graph:
    """The graph whose recurrent layers all have their batch first."""
    bodies = {layer: turn_steps(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(it for op in graph.ops for it in _turned(op)), bodies=bodies)


def _turned(op: Op) -> Iterator[Op]:
    if op.kind not in KINDS or "time_major" not in op.config:
        yield op
        return
    config = {key: it for key, it in op.config.items() if key != "time_major"}
    if not op.config["time_major"]:
        yield replace(op, config=config)
        return
    first, output, returns = op.args[0], op.outputs[0], bool(config.get("return_sequences"))
    refused = op.refused or (MASKED if op.kwargs.get("mask") is not None else None)
    x, y = f"{op.name}.turned", f"{output}.steps" if returns else output
    yield _transpose(x, first, x)
    yield replace(
        op, config=config, args=(Ref(x), *op.args[1:]), outputs=(y, *op.outputs[1:]), refused=refused
    )
    if returns:
        yield _transpose(f"{op.name}.back", Ref(y), output)


def _transpose(name: str, x: Ref, output: str) -> Op:
    return Op(name, f"{PREFIX}Transpose", (x,), (output,), {"axes": [1, 0, 2]}, layer=name)
