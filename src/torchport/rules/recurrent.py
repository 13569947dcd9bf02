"""Recurrent layers: LSTM, GRU, SimpleRNN, and RNN over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Item, call, module
from torchport.rules.bound import kernels
from torchport.rules.cells import STATES, Cell, activation_name, cell_of, cells_of
from torchport.rules.dtypes import as_bool
from torchport.rules.facts import RECURRENT
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Past, Reading

#: Options that change nothing here: how Keras runs the loop, and how it starts weights.
LOOP = "unroll implementation unit_forget_bias use_cudnn"


@dataclass(frozen=True)
class Run:
    """What a cell gives over all steps: every output, the last one, and the last states, as expressions."""

    outputs: Any
    last: Any
    states: tuple[Any, ...]


def run(
    cells: Sequence[Cell], x: Value, *, states: Sequence[Any] = (), mask: Any = None,
    backwards: bool = False, role: str = "", stateful: bool = False, ends_read: bool = True,
) -> Run:  # fmt: skip
    """Cells on top of one another, from the first step to the last, or from the last to the first.

    Under a mask torch's modules give their outputs alone, where these are all that is read: `ends_read`.
    """
    count = features(x)
    outputs: Any = call(".flip", x, 1) if backwards else x
    if mask is not None:
        mask = call(".flip", mask, 1) if backwards else mask
    left = list(states)
    ends: list[Any] = []
    last: Any = None
    for at, cell in enumerate(cells):
        name = f"{role}_{at}".lstrip("_") if len(cells) > 1 else role
        start = [left.pop(0) for _ in cell.states] if left else []
        rows = [call(".unsqueeze", it, 0) for it in start]
        state = [] if not rows else [rows[0] if len(rows) == 1 else tuple(rows)]
        made = cell.module(count, name)
        if stateful:
            loads = {f"rnn.{key}": load for key, load in made.loads.items()}
            made = module("StatefulRNN", replace(made, loads={}, role=""), role=name, loads=loads)
        inside = cell.dropped(outputs, name)
        count = cell.units
        if mask is not None and cell.is_plain and (not ends_read or (len(cell.states) == 1 and not state)):
            kept = made(call("kept_steps", inside, mask), *state)
            outputs = call("spread_kept", Item(kept, ("x", "h"), "x"), mask)
            last = outputs[:, -1]
            ends += [last] * len(cell.states)
            continue
        outputs, end = cell.called(made, inside, state, start, mask)
        last = outputs[:, -1] if mask is not None else end[0]
        ends += end
    return Run(outputs, last, tuple(ends))


def as_mask(mask: Any) -> Any:
    """A mask of true and false."""
    while isinstance(mask, (list, tuple)):
        mask = mask[0]
    return as_bool(mask) if isinstance(mask, Value) else mask


def check(stateful: bool, where: str) -> None:
    """Raises Unsupported for a layer that keeps its state from batch to batch, where that is not ported."""
    if stateful:
        raise Unsupported(
            f"stateful=True {where}",
            "give the layer initial_state and return_state=True, and pass the state on yourself",
        )


def initial(states: Sequence[Any], initial_state: Any) -> list[Any]:
    """The states that a layer is given, in a row."""
    given = [*states, *([] if initial_state is None else [initial_state])]
    flat: list[Any] = []
    for it in given:
        if isinstance(it, (list, tuple)):
            flat += initial(it, None)
        elif it is not None:
            flat.append(it)
    return flat


def last_shape(x: Tensor, units: int, return_sequences: bool) -> Shape:
    return (*x.shape[:2], units) if return_sequences else (x.shape[0], units)


def layer_shape(x: Tensor, cells: Sequence[Cell], return_sequences: bool, return_state: bool) -> Any:
    output = last_shape(x, cells[-1].units, return_sequences)
    if not return_state:
        return output
    return [output, *((x.shape[0], cell.units) for cell in cells for _ in cell.states)]


def layer_reads(x: Tensor, *states: Any, return_sequences: bool, go_backwards: bool) -> Mapping[int, Reading]:
    """A step knows of those before it through its states."""
    return {1: Past(go_backwards)} if return_sequences else {}


def layer_products(x: Tensor, *states: Any, weight_shapes: Mapping[str, Shape]) -> int:
    """Those of all kernels at each step of the input, whatever of it is given on."""
    return kernels(weight_shapes) * (x.shape[1] or 1)


def layer_weights(x: Tensor, cells: Sequence[Cell]) -> Mapping[str, Shape]:
    found: dict[str, Shape] = {}
    count = features(x)
    for cell in cells:
        found |= cell.weights(count)
        count = cell.units
    return found


def layer_call(
    x: Value, cells: Sequence[Cell], states: Sequence[Any], *, return_sequences: bool, return_state: bool,
    go_backwards: bool, mask: Any, zero_output_for_mask: bool = False, stateful: bool = False,
) -> Any:  # fmt: skip
    check(stateful and len(cells) > 1, "of stacked cells")
    check(stateful and mask is not None, "under a mask")
    check(stateful and len(states) > 0, "with an initial_state")
    if states and len(states) != sum(len(cell.states) for cell in cells):
        raise Unsupported(f"{len(states)} initial states of {len(cells)} cells")
    mask = None if mask is None else as_mask(mask)
    made = run(
        cells, x, states=states, mask=mask, backwards=go_backwards, stateful=stateful, ends_read=return_state
    )
    output = made.outputs if return_sequences else made.last
    if zero_output_for_mask and mask is not None:
        output = zeroed(output, mask, return_sequences, go_backwards)
    return (output, *made.states) if return_state else output


def zeroed(output: Any, mask: Any, return_sequences: bool, go_backwards: bool) -> Any:
    """The output, zero at steps that are masked."""
    if not return_sequences:
        return output * call(".unsqueeze", mask[:, 0 if go_backwards else -1], 1)
    return output * call(".unsqueeze", call(".flip", mask, 1) if go_backwards else mask, 2)


def enter(kind: str, doc: str, noun: str) -> None:
    """A rule for a recurrent layer whose options are its cell's and its own."""

    def cells(**options: Any) -> tuple[Cell, ...]:
        return cells_of(kind, options)

    def shape(x: Tensor, *states: Any, units: int, return_sequences: bool, return_state: bool) -> Any:
        return layer_shape(x, cells(units=units), return_sequences, return_state)

    def weights(
        x: Tensor, *states: Any, units: int, use_bias: bool, reset_after: bool
    ) -> Mapping[str, Shape]:
        return layer_weights(x, cells(units=units, use_bias=use_bias, reset_after=reset_after))

    def write(
        x: Value, *states: Any, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        use_bias: bool = True, reset_after: bool = True, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, return_sequences: bool = False, return_state: bool = False,
        go_backwards: bool = False, stateful: bool = False, zero_output_for_mask: bool = False,
        initial_state: Any = None, mask: Any = None,
    ) -> Any:  # fmt: skip
        made = cells(
            units=units, activation=activation, recurrent_activation=recurrent_activation,
            use_bias=use_bias, reset_after=reset_after, dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )  # fmt: skip
        return layer_call(
            x, made, initial(states, initial_state), return_sequences=return_sequences,
            return_state=return_state, go_backwards=go_backwards, mask=mask,
            zero_output_for_mask=zero_output_for_mask, stateful=stateful,
        )  # fmt: skip

    write.__doc__ = doc
    rule(
        kind, wants=SOURCE, shape=shape, weights=weights, ignores=LOOP, masks=RECURRENT, noun=noun,
        reads=layer_reads, products=layer_products,
    )(write)  # fmt: skip


STEPWISE = "with other activations or recurrent dropout a module that goes step by step."
CUDNN = "its kernels are read in cuDNN's order of memory, both its biases come from the file."
enter("LSTM", f"nn.LSTM; {STEPWISE}", "lstm")
enter("GRU", "nn.GRU; with `reset_after=False` or other activations a module that goes step by step.", "gru")
enter(
    "SimpleRNN", "nn.RNN; with other activations than tanh and relu a module that goes step by step.", "rnn"
)
enter("CuDNNLSTM", f"nn.LSTM: {CUDNN}", "lstm")
enter("CuDNNGRU", f"nn.GRU: {CUDNN}", "gru")


def rnn_shape(x: Tensor, *states: Any, cell: Any, return_sequences: bool, return_state: bool) -> Any:
    return layer_shape(x, cells_of("RNN", {"cell": cell}), return_sequences, return_state)


def rnn_weights(x: Tensor, *states: Any, cell: Any) -> Mapping[str, Shape]:
    return layer_weights(x, cells_of("RNN", {"cell": cell}))


@rule(
    "RNN", wants=SOURCE, shape=rnn_shape, weights=rnn_weights, ignores="unroll", masks=RECURRENT,
    reads=layer_reads, products=layer_products,
)  # fmt: skip
def rnn(
    x: Value, *states: Any, cell: Any, return_sequences: bool = False, return_state: bool = False,
    go_backwards: bool = False, stateful: bool = False, zero_output_for_mask: bool = False,
    initial_state: Any = None, mask: Any = None,
) -> Any:  # fmt: skip
    """The modules of its cells, one on top of another."""
    made = cells_of("RNN", {"cell": cell})
    return layer_call(
        x, made, initial(states, initial_state), return_sequences=return_sequences,
        return_state=return_state, go_backwards=go_backwards, mask=mask,
        zero_output_for_mask=zero_output_for_mask, stateful=stateful,
    )  # fmt: skip


def enter_cell(kind: str, doc: str) -> None:
    """A rule for a cell that is called by itself, on one step."""

    def cell(**options: Any) -> Cell:
        return cell_of(f"{kind}Cell", options, "")

    def shape(x: Tensor, *states: Any, units: int) -> Any:
        return [(x.shape[0], units)] * (1 + len(STATES[kind]))

    def weights(
        x: Tensor, *states: Any, units: int, use_bias: bool, reset_after: bool
    ) -> Mapping[str, Shape]:
        return cell(units=units, use_bias=use_bias, reset_after=reset_after).weights(features(x))

    def write(
        x: Value, *given: Any, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
        use_bias: bool = True, reset_after: bool = True, dropout: float = 0.0,
        recurrent_dropout: float = 0.0, states: Any = None,
    ) -> Any:  # fmt: skip
        made = cell(
            units=units, activation=activation, recurrent_activation=recurrent_activation,
            use_bias=use_bias, reset_after=reset_after, dropout=dropout,
            recurrent_dropout=recurrent_dropout,
        )  # fmt: skip
        if not made.is_plain or made.dropout:
            raise Unsupported("a cell called by itself that torch does not have", f"use the layer {kind}")
        name, count = {"SimpleRNN": "RNN"}.get(kind, kind), features(x)
        relu = kind == "SimpleRNN" and activation_name(activation) == "relu"
        one = module(
            f"nn.{name}Cell", count, units, bias=None if use_bias else False,
            nonlinearity="relu" if relu else None, loads=made.loads("", count),
        )  # fmt: skip
        start = initial(given, states)
        result = one(x, start[0] if len(start) == 1 else tuple(start))
        if kind != "LSTM":
            return (result, result)
        h, c = (Item(result, ("h", "c"), it) for it in "hc")
        return (h, h, c)

    write.__doc__ = doc
    rule(f"{kind}Cell", wants=SOURCE, shape=shape, weights=weights, ignores=LOOP)(write)


enter_cell("LSTM", "nn.LSTMCell, where it is called by itself; else a cell of RNN.")
enter_cell("GRU", "nn.GRUCell, where it is called by itself; else a cell of RNN.")
enter_cell("SimpleRNN", "nn.RNNCell, where it is called by itself; else a cell of RNN.")
