"""Recurrent layers: LSTM, GRU, SimpleRNN, and RNN over their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Apply, Code, Expr, Fill, Item, Load, Module, call, module
from torchport.rules.norm import size_of
from torchport.rules.table import SOURCE, Value, rule, rule_for

#: Options that change nothing here: how Keras runs the loop, and how it starts weights.
LOOP = "unroll implementation unit_forget_bias use_cudnn"

#: Gates of each kind, and their order in PyTorch by their place in Keras.
GATES = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2), "SimpleRNN": (0,)}
STATES = {"LSTM": ("h", "c"), "GRU": ("h",), "SimpleRNN": ("h",)}

#: Activations of a gate, as modules.
MODULES = {
    "tanh": "nn.Tanh", "sigmoid": "nn.Sigmoid", "relu": "nn.ReLU", "linear": "nn.Identity", "elu": "nn.ELU",
    "selu": "nn.SELU", "celu": "nn.CELU", "gelu": "nn.GELU", "silu": "nn.SiLU", "swish": "nn.SiLU",
    "softplus": "nn.Softplus", "softsign": "nn.Softsign",
    "hard_tanh": "nn.Hardtanh", "relu6": "nn.ReLU6", "mish": "nn.Mish", "log_sigmoid": "nn.LogSigmoid",
    "tanh_shrink": "nn.Tanhshrink",
}  # fmt: skip
#: Those that are functions.
FUNCTIONS = {
    "exponential": "torch.exp", "hard_sigmoid": "hard_gate", "keras2>hard_sigmoid": "clipped_gate",
}  # fmt: skip


def itself(made: Module) -> Apply:
    """The submodule, not called."""
    return Apply(made, (), called=False)


def activation_name(spec: Any) -> str:
    """The name of an activation in a config: a text, or a function by its name."""
    if isinstance(spec, Mapping) and spec.get("class_name") == "function":
        spec = spec.get("config")
    if spec is None:
        return "linear"
    if spec in MODULES or spec in FUNCTIONS:
        return str(spec)
    raise Unsupported(f"the activation {spec!r} inside a recurrent layer is not ported")


def gate_activation(name: str) -> Any:
    """An activation as it is handed to a module."""
    return Code(FUNCTIONS[name]) if name in FUNCTIONS else Module(MODULES[name])


@dataclass(frozen=True)
class Cell:
    """What a recurrent layer does at one step. `prefix` is where its weights are: "cell/"."""

    kind: str
    prefix: str
    units: int
    activation: Any = "tanh"
    recurrent_activation: Any = "sigmoid"
    use_bias: bool = True
    reset_after: bool = True
    dropout: float = 0.0
    recurrent_dropout: float = 0.0
    #: The biases of both kernels end to end, as CuDNNLSTM and CuDNNGRU keep them.
    cudnn: bool = False

    @property
    def gates(self) -> int:
        return len(GATES[self.kind])

    @property
    def states(self) -> tuple[str, ...]:
        return STATES[self.kind]

    @property
    def two_biases(self) -> bool:
        return self.use_bias and (self.cudnn or (self.kind == "GRU" and self.reset_after))

    @property
    def is_plain(self) -> bool:
        """Whether PyTorch has it."""
        activation = activation_name(self.activation)
        if self.recurrent_dropout:
            return False
        if self.kind == "SimpleRNN":
            return activation in ("tanh", "relu")
        plain = (activation, activation_name(self.recurrent_activation)) == ("tanh", "sigmoid")
        return plain and (self.kind == "LSTM" or self.reset_after)

    def weights(self, count: int) -> dict[str, Shape]:
        size = self.gates * self.units
        found: dict[str, Shape] = {
            f"{self.prefix}kernel": (count, size),
            f"{self.prefix}recurrent_kernel": (self.units, size),
        }
        if self.cudnn:
            found[f"{self.prefix}bias"] = (2 * size,)
        elif self.use_bias:
            found[f"{self.prefix}bias"] = (2, size) if self.two_biases else (size,)
        return found

    def loads(self, suffix: str) -> dict[str, Load | Fill]:
        """The state_dict: gates in PyTorch's order. Where Keras has one bias, the other stays zero."""
        order, size = GATES[self.kind], self.gates * self.units
        turned = order != tuple(range(self.gates))

        def kernel(name: str) -> Load:
            gates = [(1, self.gates, order)] if turned else []
            return Load.blocks(f"{self.prefix}{name}", "i o -> o i", *gates)

        loads: dict[str, Load | Fill] = {
            f"weight_ih{suffix}": kernel("kernel"), f"weight_hh{suffix}": kernel("recurrent_kernel"),
        }  # fmt: skip
        if not self.use_bias:
            return loads
        name = f"{self.prefix}bias"
        for at, key in enumerate(("bias_ih", "bias_hh")):
            if self.cudnn:
                both = tuple(at * self.gates + gate for gate in order)
                loads[key + suffix] = Load.blocks(name, "o -> o", (0, 2 * self.gates, both))
            elif self.two_biases:
                gates = [(1, self.gates, order)] if turned else []
                loads[key + suffix] = Load.blocks(name, "1 o -> o", (0, 2, (at,)), *gates)
            elif at == 0:
                gates = [(0, self.gates, order)] if turned else []
                loads[key + suffix] = Load.blocks(name, "o -> o", *gates)
            else:
                loads[key + suffix] = Fill(0, (size,))
        return loads

    def module(self, count: int, role: str, both: Cell | None = None) -> Module:
        """The submodule; `both`: the cell of the other direction, if one module has both."""
        bias = None if self.use_bias else False
        if self.is_plain:
            name = {"SimpleRNN": "RNN"}.get(self.kind, self.kind)
            relu = self.kind == "SimpleRNN" and activation_name(self.activation) == "relu"
            loads = self.loads("_l0")
            if both is not None:
                loads |= both.loads("_l0_reverse")
            return module(
                f"nn.{name}", count, self.units,
                nonlinearity="relu" if relu else None, bias=bias, batch_first=True,
                bidirectional=True if both else None, role=role, loads=loads,
            )  # fmt: skip
        loads = self.loads("")
        if self.two_biases:
            loads["bias"] = loads.pop("bias_ih")
        elif self.use_bias:
            loads["bias"] = loads.pop("bias_ih")
            del loads["bias_hh"]
        after = "ResetAfter" if self.kind == "GRU" and self.reset_after else ""
        name = {"SimpleRNN": "RNN"}.get(self.kind, self.kind)
        activation = activation_name(self.activation)
        gate = activation_name(self.recurrent_activation) if self.kind != "SimpleRNN" else "sigmoid"
        per_gate = self.dropout if self.recurrent_dropout and self.kind != "SimpleRNN" else 0
        return module(
            f"Stepwise{after}{name}", count, self.units, bias=bias,
            activation=None if activation == "tanh" else gate_activation(activation),
            recurrent_activation=None if gate == "sigmoid" else gate_activation(gate),
            dropout=per_gate or None, recurrent_dropout=self.recurrent_dropout or None,
            role=role, loads=loads,
        )  # fmt: skip

    def called(self, made: Module, x: Any, state: Sequence[Any], mask: Any) -> Expr:
        """The module applied; those of torch know no masks."""
        if mask is None:
            return made(x, *state)
        if self.is_plain:
            return call("run_masked", itself(made), x, mask, *state)
        return made(x, *state, mask=mask)

    def dropped(self, x: Any, role: str) -> Any:
        """The input with Keras's dropout: one mask for all steps."""
        if not self.dropout or (self.recurrent_dropout and self.kind != "SimpleRNN"):
            return x
        sizes = (call(".size", x, 0), 1, call(".size", x, 2))
        drop = module("nn.Dropout", self.dropout, role=f"{role}_dropout".lstrip("_"), loads={})
        return x * drop(call(".new_ones", x, *sizes))


@dataclass(frozen=True)
class Run:
    """What a cell gives over all steps: every output, the last one, and the last states, as expressions."""

    outputs: Any
    last: Any
    states: tuple[Any, ...]


def run(
    cells: Sequence[Cell], x: Value, *, states: Sequence[Any] = (), mask: Any = None,
    backwards: bool = False, role: str = "", stateful: bool = False,
) -> Run:  # fmt: skip
    """Cells on top of one another, from the first step to the last, or from the last to the first."""
    count = size_of(x, x.rank - 1)
    outputs: Any = call(".flip", x, 1) if backwards else x
    if mask is not None:
        mask = call(".flip", mask, 1) if backwards else mask
    left = list(states)
    ends: list[Any] = []
    last: Any = None
    for at, cell in enumerate(cells):
        name = f"{role}_{at}".lstrip("_") if len(cells) > 1 else role
        start = [call(".unsqueeze", left.pop(0), 0) for _ in cell.states] if left else []
        state = [] if not start else [start[0] if len(start) == 1 else tuple(start)]
        made = cell.module(count, name)
        if stateful:
            loads = {f"rnn.{key}": load for key, load in made.loads.items()}
            made = module("StatefulRNN", replace(made, loads={}, role=""), role=name, loads=loads)
        result = cell.called(made, cell.dropped(outputs, name), state, mask)
        pattern = ("x", cell.states if len(cell.states) > 1 else cell.states[0])
        end = [Item(result, pattern, it)[-1] for it in cell.states]
        outputs, count = Item(result, pattern, "x"), cell.units
        last = outputs[:, -1] if mask is not None else end[0]
        ends += end
    return Run(outputs, last, tuple(ends))


def as_mask(mask: Any) -> Any:
    """A mask of true and false."""
    while isinstance(mask, (list, tuple)):
        mask = mask[0]
    return call(".bool", mask) if isinstance(mask, Value) and mask.tensor.dtype != "bool" else mask


def check(stateful: bool, where: str) -> None:
    """Raises Unsupported for a layer that keeps its state from batch to batch, where that is not ported."""
    if stateful:
        raise Unsupported(
            f"stateful=True {where}",
            "give the layer initial_state and return_state=True, and pass the state on yourself",
        )


def cell_of(kind: str, options: Mapping[str, Any], prefix: str) -> Cell:
    """The cell of a layer, or of a serialized cell."""
    names = ("activation", "recurrent_activation", "use_bias", "reset_after", "dropout", "recurrent_dropout")
    base = kind.removesuffix("Cell").removeprefix("CuDNN")
    given = {name: options[name] for name in names if options.get(name) is not None}
    if "activation" in options and options["activation"] is None:
        given["activation"] = "linear"
    if "recurrent_activation" in options and options["recurrent_activation"] is None:
        given["recurrent_activation"] = "linear"
    cell = Cell(base, prefix, int(options["units"]), cudnn=kind.startswith("CuDNN"), **given)
    if not 0 <= cell.dropout < 1 or not 0 <= cell.recurrent_dropout < 1:
        raise Unsupported(f"a dropout of {max(cell.dropout, cell.recurrent_dropout)}")
    return cell


def snake(name: str) -> str:
    return {"LSTMCell": "lstm_cell", "GRUCell": "gru_cell", "SimpleRNNCell": "simple_rnn_cell"}[name]


def cells_of(kind: str, options: Mapping[str, Any], prefix: str = "") -> tuple[Cell, ...]:
    """The cells of a recurrent layer, the first of which reads its input. Raises Unsupported."""
    if kind.startswith("CuDNN"):
        return (cell_of(kind, options, prefix),)
    if kind != "RNN":
        return (cell_of(kind, options, f"{prefix}cell/"),)
    found = serialized(options["cell"], prefix="cell")
    if isinstance(found, list):
        raise Unsupported("a list of cells", "wrap them in StackedRNNCells")
    name, config = found
    if name != "StackedRNNCells":
        return (cell_of(name, known(name, config), f"{prefix}cell/"),)
    cells: list[Cell] = []
    seen: dict[str, int] = {}
    for item in config.get("cells", ()):
        inner, settings = serialized(item, prefix="cell")
        known_options = known(inner, settings)
        group = snake(inner)
        number = seen.get(group, 0)
        seen[group] = number + 1
        place = f"{group}_{number}" if number else group
        cells.append(cell_of(inner, known_options, f"{prefix}cell/cells/{place}/"))
    return tuple(cells)


def serialized(entry: Any, prefix: str) -> tuple[str, Mapping[str, Any]]:
    """Class name and config of a layer inside a config."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("config"), Mapping):
        raise Unsupported(f"{prefix}={entry!r} is not a layer")
    registered = entry.get("registered_name")
    name = str(entry.get("class_name"))
    if isinstance(registered, str) and registered != name and ">" in registered:
        name = registered
    return name, entry["config"]


CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell")


def known(name: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options of a serialized cell, checked as those of the layer of that kind."""
    if name not in CELLS:
        raise Unsupported(f"the cell {name} is not ported", f"{', '.join(CELLS)} are")
    return rule_for(name.removesuffix("Cell")).accept(config)


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


def layer_weights(x: Tensor, cells: Sequence[Cell]) -> Mapping[str, Shape]:
    found: dict[str, Shape] = {}
    count = size_of(x, len(x.shape) - 1)
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
    if return_state and len(cells) > 1:
        raise Unsupported("return_state=True of stacked cells", "use a layer for each cell")
    if states and len(states) != sum(len(cell.states) for cell in cells):
        raise Unsupported(f"{len(states)} initial states of {len(cells)} cells")
    mask = None if mask is None else as_mask(mask)
    made = run(cells, x, states=states, mask=mask, backwards=go_backwards, stateful=stateful)
    output = made.outputs if return_sequences else made.last
    if zero_output_for_mask and mask is not None:
        output = zeroed(output, mask, return_sequences, go_backwards)
    return (output, *made.states) if return_state else output


def zeroed(output: Any, mask: Any, return_sequences: bool, go_backwards: bool) -> Any:
    """The output, zero at steps that are masked."""
    if not return_sequences:
        return output * call(".unsqueeze", mask[:, 0 if go_backwards else -1], 1)
    return output * call(".unsqueeze", call(".flip", mask, 1) if go_backwards else mask, 2)


def enter(kind: str, doc: str, **found: Any) -> None:
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
    rule(kind, wants=SOURCE, shape=shape, weights=weights, ignores=LOOP)(write)


enter("LSTM", "nn.LSTM; with other activations or recurrent dropout a module that goes step by step.")
enter("GRU", "nn.GRU; with `reset_after=False` or other activations a module that goes step by step.")
enter("SimpleRNN", "nn.RNN; with other activations than tanh and relu a module that goes step by step.")
enter("CuDNNLSTM", "nn.LSTM: both its biases come from the file.")
enter("CuDNNGRU", "nn.GRU: both its biases come from the file.")


def rnn_shape(x: Tensor, *states: Any, cell: Any, return_sequences: bool, return_state: bool) -> Any:
    return layer_shape(x, cells_of("RNN", {"cell": cell}), return_sequences, return_state)


def rnn_weights(x: Tensor, *states: Any, cell: Any) -> Mapping[str, Shape]:
    return layer_weights(x, cells_of("RNN", {"cell": cell}))


@rule("RNN", wants=SOURCE, shape=rnn_shape, weights=rnn_weights, ignores="unroll")
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
