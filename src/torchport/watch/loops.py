"""Keras's loop over time around a cell of the user's own: the cell is called once, for all steps.

before:  RNN(cell)(x)
after:   step = loop:step(x);  y, h_next = Model cell(step, h);  outputs, end = loop:over(y, [h_next], x, [h])

While a `call` is watched, `rnn` of Keras's backend calls what it is given on one step and notes the call; all
that RNN, StackedRNNCells and Bidirectional do around it is watched like a `call` of the user's.
Sources: keras/src/layers/rnn/rnn.py and keras/src/backend/tensorflow/rnn.py, rnn; of Keras 2
tf_keras/src/layers/rnn/base_rnn.py and tf_keras/src/backend.py, rnn.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torchport.graph import Graph, Op, Ref
from torchport.nest import leaves
from torchport.watch.modes import STATEFUL
from torchport.watch.nodes import is_tensor, layers_in, refused
from torchport.watch.spy import LOOP, Event, Spy

ADVICE = "call the cell step by step, on x[:, t], in the `call` of a layer that has it as an attribute"


@contextmanager
def watching(spy: Spy) -> Iterator[None]:
    """`rnn` of Keras's backend, which recurrent layers call, calls a cell once."""
    backend: Any = importlib.import_module(f"{spy.keras.__name__}.src.backend")
    original = backend.rnn
    backend.rnn = watched(spy, original)
    try:
        yield
    finally:
        backend.rnn = original


def watched(spy: Spy, original: Callable[..., Any]) -> Callable[..., Any]:
    """What stands for `rnn` while a `call` is watched."""

    def rnn(
        step_function: Any, inputs: Any, initial_states: Any, go_backwards: bool = False, mask: Any = None,
        constants: Any = None, *rest: Any, zero_output_for_mask: bool = False, time_major: bool = False,
        **options: Any,
    ) -> Any:  # fmt: skip
        import tensorflow as tf

        if not spy.opened[-1]:
            return original(
                step_function, inputs, initial_states, go_backwards, mask, constants, *rest,
                zero_output_for_mask=zero_output_for_mask, time_major=time_major, **options,
            )  # fmt: skip

        def symbol(like: Any, *shape: Any) -> Any:
            return spy.keep(tf.compat.v1.placeholder(like.dtype, shape))

        if not is_tensor(inputs) or time_major:
            raise TypeError("a loop over several inputs, or with time as the first axis")
        states = [spy.fresh(it) for it in leaves(initial_states)]
        step = symbol(inputs, inputs.shape[0], *inputs.shape[2:])
        told = {"go_backwards": bool(go_backwards), "zero_output_for_mask": bool(zero_output_for_mask)}
        event = Event(step_function, LOOP, (step, inputs, states, mask), told, False)
        with spy.entered(event, True):
            nested = tf.nest.pack_sequence_as(initial_states, states)
            output, ends = step_function(step, (*nested, *(constants or ())))
            event.called = ((output, ends), {})
            outputs = symbol(output, *inputs.shape[:2], *output.shape[1:])
            last = symbol(output, *output.shape)
            after = tf.nest.map_structure(lambda it: symbol(it, *it.shape), ends)
            event.result = (outputs, leaves(after), last)
        return last, outputs, after

    return rnn


def is_around_own(layer: Any, is_own: Callable[[Any], bool]) -> bool:
    """Whether a recurrent layer of Keras's, or what it is made of, runs a cell of the user's own."""
    name = type(layer).__name__
    if name == "RNN":
        cell = layer.cell
        return is_layer_like(cell) and (is_own(cell) or is_around_own(cell, is_own))
    if name == "StackedRNNCells":
        return any(is_own(it) or is_around_own(it, is_own) for it in layer.cells)
    if name == "Bidirectional":
        return is_around_own(layer.forward_layer, is_own) or is_around_own(layer.backward_layer, is_own)
    return False


def is_layer_like(cell: Any) -> bool:
    """Whether a cell is a layer: another object that has a `call` is not watched."""
    return hasattr(cell, "get_config") and hasattr(cell, "weights")


def enter(walk: Any, event: Event) -> None:
    """Enters a loop into the graph of a `call`: a step of the input, the cell, what it gives of all steps."""
    step, inputs, states, mask = event.args
    cell = next(layers_in(event), None)
    takes = [it for it in leaves((cell.args, cell.kwargs)) if is_tensor(it)] if cell else []
    gives = [it for it in leaves(cell.result) if is_tensor(it)] if cell else []
    wanted = [it for it in leaves(event.called) if is_tensor(it)]
    if cell is None or not same(takes, [step, *states]) or not same(gives, wanted):
        why = "a loop over time whose step is not one call of a layer"
        raise refused(walk.layer, why, ADVICE, event.where)
    name, at = walk.free("step"), event.last - 1
    walk.ops.append((event.first, Op(name, "loop:step", (walk.operand(inputs),), (name,), layer=name)))
    walk.names[id(step)] = name
    starts = [walk.operand(it) for it in states]
    walk.called(cell)
    if any(map(keeps, every_op(walk.ops[-1][1], walk.bodies))):
        why = "its cell keeps statistics or state from call to call, and Keras calls it once more than steps"
        raise refused(walk.layer, why, "use LayerNormalization, and hand states over", event.where)
    y, *nexts = [Ref(walk.names[id(it)]) for it in gives]
    options = {} if mask is None else {"kept": walk.operand(mask)}
    outputs, after, last = event.result
    read = (y, nexts, walk.operand(inputs), starts)
    made = Op("", "loop:over", read, (), dict(event.kwargs), options, where=event.where)
    walk.give(made, at, [outputs, *after], "outputs")
    name, key = walk.free("last"), [slice(None), -1]
    every = Ref(walk.names[id(outputs)])
    walk.ops.append((at, Op(name, "keras.ops.GetItem", (every, key), (name,), layer=name)))
    walk.names[id(last)] = name


def every_op(op: Op, bodies: Mapping[str, Graph]) -> Iterator[Op]:
    """An op, and those of the graph that it is a call of."""
    yield op
    body = bodies.get(op.layer) if op.kind == "Model" else None
    for inner in body.ops if body else ():
        yield from every_op(inner, body.bodies if body else {})


def keeps(op: Op) -> bool:
    """Whether an op changes something of itself in training."""
    return op.kind == "state:assign" or op.kind in STATEFUL and bool(op.training)


def same(found: list[Any], wanted: list[Any]) -> bool:
    """Whether these are the very same tensors, in that order."""
    return len(found) == len(wanted) and all(a is b for a, b in zip(found, wanted, strict=True))
