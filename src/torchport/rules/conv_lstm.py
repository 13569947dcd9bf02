"""ConvLSTM: an LSTM whose products are convolutions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Item, Load, call, module
from torchport.rules.bound import kernels, positions
from torchport.rules.cells import activation_name, gate_activation
from torchport.rules.entry import SPACE
from torchport.rules.facts import RECURRENT
from torchport.rules.image import each, one
from torchport.rules.recurrent import check, initial
from torchport.rules.sizes import size_of
from torchport.rules.table import CHANNELS_FIRST, SOURCE, Value, Wants, rule
from torchport.rules.window import Past, Reading, Whole, Window


def wanted(x: Tensor, *states: Any, data_format: str | None) -> Wants:
    return SOURCE if data_format == "channels_first" else CHANNELS_FIRST


def conv_lstm_windows(
    x: Tensor, *states: Any, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    data_format: str | None,
) -> Mapping[int, Reading]:  # fmt: skip
    """Over space, in every step."""
    rank = len(x.shape) - 3
    options = (each(it, rank) for it in (kernel_size, strides, dilation_rate))
    axes = range(3, rank + 3) if data_format == "channels_first" else range(2, rank + 2)
    return {at: Window(k, s, d, padding) for at, k, s, d in zip(axes, *options, strict=True)}


def conv_lstm_reads(
    x: Tensor, *states: Any, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    data_format: str | None, return_sequences: bool, go_backwards: bool,
) -> Mapping[int, Reading]:  # fmt: skip
    """Of the steps before it each knows through its states, whose own windows reach further at each step."""
    over = conv_lstm_windows(
        x, kernel_size=kernel_size, strides=strides, padding=padding, dilation_rate=dilation_rate,
        data_format=data_format,
    )  # fmt: skip
    space = over if x.shape[1] == 1 else {at: Whole(keeps=True) for at in over}
    return {1: Past(go_backwards), **space} if return_sequences else space


def conv_lstm_products(
    x: Tensor, *states: Any, out: Tensor, data_format: str | None, return_sequences: bool,
    weight_shapes: Mapping[str, Shape],
) -> int:  # fmt: skip
    """Those of both kernels at each pixel of the states, in every step."""
    step = (x.shape[0], *out.shape[2:]) if return_sequences else out.shape
    return kernels(weight_shapes) * positions(step, data_format == "channels_first") * (x.shape[1] or 1)


def conv_lstm_shape(
    x: Tensor, *states: Any, filters: int, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any,
    data_format: str | None, return_sequences: bool, return_state: bool,
) -> Any:  # fmt: skip
    first = data_format == "channels_first"
    over = conv_lstm_windows(
        x, kernel_size=kernel_size, strides=strides, padding=padding, dilation_rate=dilation_rate,
        data_format=data_format,
    )  # fmt: skip
    sizes = [it.length(x.shape[axis]) for axis, it in over.items()]
    step: Shape = (filters, *sizes) if first else (*sizes, filters)
    output = (*x.shape[:2], *step) if return_sequences else (x.shape[0], *step)
    state = (x.shape[0], *step)
    return [output, state, state] if return_state else output


def conv_lstm_weights(
    x: Tensor, *states: Any, filters: int, kernel_size: Any, use_bias: bool, data_format: str | None
) -> Mapping[str, Shape]:
    count = size_of(x, 2 if data_format == "channels_first" else -1)
    kernel = tuple(each(kernel_size, len(x.shape) - 3))
    found: dict[str, Shape] = {
        "cell/kernel": (*kernel, count, 4 * filters),
        "cell/recurrent_kernel": (*kernel, filters, 4 * filters),
    }
    return {**found, "cell/bias": (4 * filters,)} if use_bias else found


def rates(dropout: float | None, recurrent_dropout: float | None) -> dict[str, Any]:
    """The options of the module: with either of them it is the one that drops, which the second shows."""
    given = (float(dropout or 0), float(recurrent_dropout or 0))
    if not all(0 <= rate < 1 for rate in given):
        raise Unsupported(f"a dropout of {max(given)}")
    return {"dropout": given[0] or None, "recurrent_dropout": given[1]} if any(given) else {}


@rule(
    "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", wants=wanted, shape=conv_lstm_shape,
    weights=conv_lstm_weights, ignores="unit_forget_bias unroll zero_output_for_mask implementation",
    masks=RECURRENT, noun="lstm", reads=conv_lstm_reads, products=conv_lstm_products,
)  # fmt: skip
def conv_lstm(
    x: Value, *states: Any, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid",
    dilation_rate: Any = 1, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    use_bias: bool = True, dropout: float = 0, recurrent_dropout: float = 0, data_format: str | None = None,
    return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
    stateful: bool = False, initial_state: Any = None,
) -> Any:  # fmt: skip
    """A module of a few lines, with a convolution each for inputs and states; with dropout, for each gate."""
    check(stateful, "of ConvLSTM")
    rank = x.rank - 3
    first = data_format == "channels_first"
    kernel, stride = tuple(each(kernel_size, rank)), each(strides, rank)
    if padding == "same" and set(stride) != {1}:
        raise Unsupported("padding='same' with strides", "pad with a layer before it")
    space = SPACE[rank]
    turned = f"{space} i o -> o i {space}"
    loads = {
        "conv_x.weight": Load.of("cell/kernel", turned),
        "conv_h.weight": Load.of("cell/recurrent_kernel", turned),
    }
    if use_bias:
        loads["conv_x.bias"] = Load.of("cell/bias", "o -> o")
    names = activation_name(activation), activation_name(recurrent_activation)
    made = module(
        "ConvLSTM", size_of(x, 2 if first else -1), filters, kernel, stride=one(stride, 1),
        padding="same" if padding == "same" else None, dilation=one(each(dilation_rate, rank), 1),
        bias=None if use_bias else False,
        activation=None if names[0] == "tanh" else gate_activation(names[0]),
        recurrent_activation=None if names[1] == "sigmoid" else gate_activation(names[1]),
        **rates(dropout, recurrent_dropout), loads=loads,
    )  # fmt: skip
    steps: Any = call(".transpose", x, 1, 2) if first else x
    steps = call(".flip", steps, 2) if go_backwards else steps
    start = initial(states, initial_state)
    result = made(steps, *([tuple(start)] if start else []))
    pattern = ("x", ("h", "c"))
    output: Any = Item(result, pattern, "x" if return_sequences else "h")
    if return_sequences and first:
        output = call(".transpose", output, 1, 2)
    return (output, *(Item(result, pattern, it) for it in "hc")) if return_state else output
