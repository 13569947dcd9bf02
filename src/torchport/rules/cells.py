"""Cells of recurrent layers: what one does at a step, its weights, and the module that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape
from torchport.named import is_named
from torchport.names import snake
from torchport.program import Code, Fill, Item, Load, Module, call, module
from torchport.rules.table import rule_for

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


def activation_name(spec: Any) -> str:
    """The name of an activation in a config: a text, or a function by its name."""
    if isinstance(spec, Mapping) and spec.get("class_name") == "function" and not spec.get("owner"):
        spec = spec.get("config")
    if spec is None:
        return "linear"
    if isinstance(spec, str) and (spec in MODULES or spec in FUNCTIONS):
        return spec
    if isinstance(spec, Mapping) and spec.get("owner"):
        spec = f"{spec['owner']}.{spec.get('config')}"
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
    #: Whether weights are as CuDNNLSTM and CuDNNGRU keep them: kernels in cuDNN's order of memory, gate by
    #: gate, and the biases of both end to end. Source: tf_keras/src/saving/legacy/hdf5_format.py,
    #: _convert_rnn_weights.
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

    def loads(self, suffix: str, count: int) -> dict[str, Load | Fill]:
        """The state_dict: gates in PyTorch's order. Where Keras has one bias, the other stays zero.

        `count`: how many features the cell reads.
        """
        order, size = GATES[self.kind], self.gates * self.units
        turned = order != tuple(range(self.gates))

        def kernel(name: str) -> Load:
            gates = [(1, self.gates, order)] if turned else []
            if not self.cudnn:
                return Load.blocks(f"{self.prefix}{name}", "i o -> o i", *gates)
            # Each gate's block of the array holds a matrix (units, features) row by row.
            view = (size, count) if name == "kernel" else ()
            pattern = "i (g o) -> (g i o)" if view else "i (g o) -> (g i) o"
            sizes = {"g": self.gates, "o": self.units}
            return Load.blocks(f"{self.prefix}{name}", pattern, *gates, view=view, **sizes)

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
            loads = self.loads("_l0", count)
            if both is not None:
                loads |= both.loads("_l0_reverse", count)
            return module(
                f"nn.{name}", count, self.units,
                nonlinearity="relu" if relu else None, bias=bias, batch_first=True,
                bidirectional=True if both else None, role=role, loads=loads,
            )  # fmt: skip
        loads = self.loads("", count)
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

    def called(
        self, made: Module, x: Any, state: Sequence[Any], start: Sequence[Any], mask: Any, directions: int = 1
    ) -> tuple[Any, list[Any]]:
        """The module applied: what it gives of every step, and the last states of each direction.

        `state`: as the module takes it; `start`: the same in a row. Modules of torch know no masks.
        """
        packs = self.is_plain and mask is not None
        if packs:
            result = made(call("pack_kept", x, mask), *state)
        elif self.is_plain:
            result = made(x, *state)
        else:
            given = {"state": state[0] if state else None, "mask": mask}
            result = made(x, **{key: value for key, value in given.items() if value is not None})
        pattern = ("x", self.states if len(self.states) > 1 else self.states[0])
        outputs = Item(result, pattern, "x")
        places = range(directions) if directions > 1 else (-1,)
        ends: list[Any] = [Item(result, pattern, it)[at] for at in places for it in self.states]
        if not packs:
            return outputs, ends
        before = [[it] for it in start] or [[]] * len(ends)
        ends = [call("end_kept", end, mask, *it) for end, it in zip(ends, before, strict=True)]
        return call("unpack_kept", outputs, mask), ends

    def dropped(self, x: Any, role: str) -> Any:
        """The input with Keras's dropout: one mask for all steps."""
        if not self.dropout or (self.recurrent_dropout and self.kind != "SimpleRNN"):
            return x
        return module("VariationalDropout", self.dropout, role=f"{role}_dropout".lstrip("_"), loads={})(x)


def cell_of(kind: str, options: Mapping[str, Any], prefix: str) -> Cell:
    """The cell of a layer, or of a serialized cell."""
    names = ("activation", "recurrent_activation", "use_bias", "reset_after", "dropout", "recurrent_dropout")
    base = kind.removesuffix("Cell").removeprefix("CuDNN")
    given = {name: options[name] for name in names if options.get(name) is not None}
    if "activation" in options and options["activation"] is None:
        given["activation"] = "linear"
    if "recurrent_activation" in options and options["recurrent_activation"] is None:
        given["recurrent_activation"] = "linear"
    units = options["units"] if is_named(options["units"]) else int(options["units"])
    cell = Cell(base, prefix, units, cudnn=kind.startswith("CuDNN"), **given)
    if not 0 <= cell.dropout < 1 or not 0 <= cell.recurrent_dropout < 1:
        raise Unsupported(f"a dropout of {max(cell.dropout, cell.recurrent_dropout)}")
    return cell


def cells_of(kind: str, options: Mapping[str, Any], prefix: str = "") -> tuple[Cell, ...]:
    """The cells of a recurrent layer, the first of which reads its input. Raises Unsupported."""
    if kind.startswith("CuDNN"):
        return (cell_of(kind, options, prefix),)
    if kind != "RNN":
        return (cell_of(kind, options, f"{prefix}cell/"),)
    name, config = serialized(options["cell"], prefix="cell")
    if name != "StackedRNNCells":
        return (cell_of(name, known(name, config), f"{prefix}cell/"),)
    return tuple(stacked(config, f"{prefix}cell/"))


def stacked(config: Mapping[str, Any], prefix: str) -> Iterator[Cell]:
    """The cells of StackedRNNCells, those of another in it in its place."""
    seen: dict[str, int] = {}
    for item in config.get("cells", ()):
        inner, settings = serialized(item, prefix="cell")
        group = snake(inner)
        number = seen.get(group, 0)
        seen[group] = number + 1
        place = f"{prefix}cells/{group}_{number}/" if number else f"{prefix}cells/{group}/"
        if inner == "StackedRNNCells":
            yield from stacked(settings, place)
        else:
            yield cell_of(inner, known(inner, settings), place)


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
        advice = (
            f"{', '.join(CELLS)} are; of a cell of your own, call it step by step, on x[:, t], in the `call` "
            "of a layer that has it as an attribute"
        )
        raise Unsupported(f"the cell {name} is not ported", advice)
    return rule_for(name.removesuffix("Cell")).accept(config)
