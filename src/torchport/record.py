"""port.json: what a port says of itself. It is written when the port is, and is all that verify knows of it.

What stands here is data alone: where each tensor of the source is in the port, and in which order of axes;
which variable each weight comes of, and by which steps. `docs/port-json.md` describes the file.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torchport.axes import Order, Turn, parse
from torchport.axis import Axis
from torchport.errors import BadFile, TorchportError
from torchport.graph import Graph, Op, Ref, Tensor
from torchport.options import Options
from torchport.program import Fill, Load, Spec

if TYPE_CHECKING:
    import numpy as np

#: Of the file; a record of another one is refused. 1 did not say where tensors are.
FORMAT = 2

#: What `save` writes. Anything else in a folder is the user's.
OURS = re.compile(
    r"model\.py|port\.json|model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|__pycache__|"
    r"(\w+_)?(vocabulary|idf_weights)\.json"
)


def text(found: Any, indent: int = 0) -> str:
    """A record as JSON for people to read: what is short stands in one line."""
    line = json.dumps(found)
    if not isinstance(found, (dict, list)) or not found or len(line) + indent <= WIDTH:
        return line
    inner = indent + 1
    if isinstance(found, list):
        items = [text(it, inner) for it in found]
    else:
        items = [f"{json.dumps(key)}: {text(it, inner)}" for key, it in found.items()]
    opened, closed = "[]" if isinstance(found, list) else "{}"
    lines = ",\n".join(f"{' ' * inner}{it}" for it in items)
    return f"{opened}\n{lines}\n{' ' * indent}{closed}"


#: What is no longer than this is one line of port.json.
WIDTH = 150


# Transforms


def steps(turn: Turn) -> list[dict[str, Any]]:
    """A transform as steps, in the order in which they are taken; `turn_of` reads them."""
    found: list[dict[str, Any]] = [
        {"take": list(order), "of": count, "axis": axis} for axis, count, order in turn.blocks
    ]
    found += [{"regroup": [list(it) for it in parts], "axis": axis} for axis, parts in turn.regroup]
    sizes = {"sizes": dict(turn.sizes)} if turn.sizes else {}
    found.append({"rearrange": turn.pattern, **sizes})
    return [*found, {"reshape": list(turn.view)}] if turn.view else found


def turn_of(found: Iterable[Mapping[str, Any]]) -> Turn:
    """The transform of these steps. Raises KeyError or ValueError for one that is not known."""
    blocks, regroup, pattern = [], [], ""
    sizes: tuple[tuple[str, int], ...] = ()
    view: tuple[int, ...] = ()
    for step in found:
        if "take" in step:
            blocks.append((int(step["axis"]), int(step["of"]), tuple(map(int, step["take"]))))
        elif "regroup" in step:
            regroup.append((int(step["axis"]), tuple(tuple(map(int, it)) for it in step["regroup"])))
        elif "rearrange" in step:
            pattern = str(step["rearrange"])
            sizes = tuple((str(name), int(size)) for name, size in step.get("sizes", {}).items())
        elif "reshape" in step:
            view = tuple(map(int, step["reshape"]))
        else:
            raise ValueError(f"the step {dict(step)} of a transform is not known")
    return Turn(pattern, tuple(regroup), sizes, tuple(blocks), view)


@dataclass(frozen=True)
class Stored:
    """A tensor of the state_dict: of the source's variable `source` turned, or else constant.

    `shape` is as PyTorch holds it. `layer` is the source's: of a constant that of its module's others.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    layer: str = ""
    source: str = ""
    turn: Turn | None = None
    value: Any = None

    def record(self) -> dict[str, Any]:
        """Its entry of "weights"."""
        common = {"shape": list(self.shape), "dtype": self.dtype, "layer": self.layer}
        if self.turn is None:
            return {"constant": self.value, **common}
        return {"source": self.source, "pattern": self.turn.text, "steps": steps(self.turn), **common}

    @classmethod
    def of_record(cls, name: str, found: Mapping[str, Any]) -> Stored:
        turn = turn_of(found["steps"]) if "steps" in found else None
        shape, source = tuple(found["shape"]), str(found.get("source", ""))
        return cls(name, shape, found["dtype"], found["layer"], source, turn, found.get("constant"))

    def held(self, array: np.ndarray) -> np.ndarray:
        """The source's variable, or what belongs to it, as the port holds it.

        Normalization(axis=None) stores its statistics as numbers and makes tensors of one value of them.
        Source: keras/src/layers/preprocessing/normalization.py, finalize_state.
        """
        assert self.turn is not None
        if array.size == 1 and len(self.turn.shape(array.shape)) != len(self.shape):
            return array.reshape(self.shape)
        return self.turn.apply(array)

    def expected(self, variables: Mapping[str, np.ndarray]) -> np.ndarray:
        """The tensor as it should be, of the source's variables. Raises TorchportError for a missing one."""
        import numpy as np

        if self.turn is None:
            return np.full(self.shape, self.value, self.dtype)
        if self.source not in variables:
            raise TorchportError(f"the model that Keras loaded has no variable {self.source!r}")
        return np.asarray(self.held(variables[self.source]), order="C")


def stored(loads: Iterable[tuple[str, Load | Fill, tuple[int, ...], str]]) -> list[Stored]:
    """The tensors of a state_dict: of each its name, where it comes from, its shape and its dtype."""
    given = list(loads)
    layers = {name: layer_of(load) for name, load, _, _ in given}
    modules = {name.rpartition(".")[0]: layer for name, layer in layers.items() if layer}
    found = []
    for name, load, shape, dtype in given:
        layer = layers[name] or modules.get(name.rpartition(".")[0], "")
        if isinstance(load, Fill):
            found.append(Stored(name, shape, dtype, layer, value=load.value))
        else:
            found.append(
                Stored(name, shape, dtype, layer, load.source.name if load.source else "", load.turn)
            )
    return found


def layer_of(load: Load | Fill) -> str:
    """The layer of the variable that a tensor comes of."""
    if isinstance(load, Load) and load.source:
        return load.source.name.removesuffix(f"/{load.weight}")
    return ""


# The source's graph


def graph_record(graph: Graph, order: Any, path: str = "") -> dict[str, Any]:
    """A graph: its tensors with their axes on both sides, and what gives each of them.

    `order`: the order in which the port holds a tensor, by its path and name.
    """
    return {
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "tensors": {
            name: tensor_record(it, order(path, it)) for name, it in graph.tensors.items()
        },
        "ops": [op_record(op) for op in graph.ops],
        "models": {
            layer: graph_record(body, order, f"{path}{layer}/") for layer, body in graph.bodies.items()
        },
    }  # fmt: skip


def tensor_record(it: Tensor, order: Order) -> dict[str, Any]:
    found: dict[str, Any] = {"shape": list(it.shape), "axes": " ".join(map(str, it.axes)), "dtype": it.dtype}
    if order is not Order.SOURCE:
        found["order"] = order.value
    if it.parts:
        found["parts"] = [list(part) for part in it.parts]
    return found


def op_record(op: Op) -> dict[str, Any]:
    options = {key: value for key, value in op.config.items() if is_plain(value)}
    return {
        "layer": op.layer, "kind": op.kind, "inputs": list(op.inputs), "outputs": list(op.outputs),
        "options": options,
    }  # fmt: skip


def is_plain(value: Any) -> bool:
    """Whether JSON holds a value as it is, and in a few words."""
    if isinstance(value, (list, tuple)):
        return len(value) <= 8 and all(map(is_plain, value))
    return isinstance(value, (str, bool, int, float)) and not (isinstance(value, float) and math.isnan(value))


def graphs(graph: Graph, path: str = "") -> Iterator[tuple[str, Graph]]:
    """A graph and all nested models, each by its path."""
    yield path, graph
    for layer, body in graph.bodies.items():
        yield from graphs(body, f"{path}{layer}/")


def graph_of(found: Mapping[str, Any], name: str = "") -> Graph:
    """The graph of a record; its ops have their inputs as arguments, and the options that are plain."""
    tensors = {
        key: Tensor(
            key, tuple(it["shape"]), tuple(map(Axis, parse(it["axes"]))), it["dtype"],
            tuple(tuple(part) for part in it.get("parts", ())),
        )
        for key, it in found["tensors"].items()
    }  # fmt: skip
    ops = tuple(
        Op(it["outputs"][0] if it["outputs"] else it["layer"], it["kind"], tuple(map(Ref, it["inputs"])),
           tuple(it["outputs"]), it["options"], layer=it["layer"])
        for it in found["ops"]
    )  # fmt: skip
    bodies = {layer: graph_of(it, layer) for layer, it in found["models"].items()}
    return Graph(name, tuple(found["inputs"]), tuple(found["outputs"]), ops, tensors, bodies=bodies)


def orders_of(found: Mapping[str, Any], path: str = "") -> Iterator[tuple[tuple[str, str], Order]]:
    """The order of each tensor that has one written, by its path and name."""
    for name, it in found["tensors"].items():
        if "order" in it:
            yield (path, name), Order(it["order"])
    for layer, body in found["models"].items():
        yield from orders_of(body, f"{path}{layer}/")


# The port


@dataclass(frozen=True)
class Standing:
    """A module of the port whose expressions are watched, or that gives one tensor in a row of modules.

    `cls` is its class in model.py, `graph` the path of the source's graph that it is a part of. `tensors`:
    number of an expression in its class's `forward` -> tensors of that graph. `calls`: number of an
    expression -> name of the nested model's call. `around`: calls of nested models that the port does not
    make. `gives`: for a module in a row its tensor.
    """

    graph: str
    cls: str = ""
    tensors: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    calls: Mapping[int, str] = field(default_factory=dict)
    around: tuple[str, ...] = ()
    gives: str = ""

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = {"graph": self.graph}
        if self.gives:
            found["gives"] = self.gives
        else:
            found |= {"class": self.cls, "tensors": {str(at): list(it) for at, it in self.tensors.items()}}
        if self.calls:
            found["calls"] = {str(at): it for at, it in self.calls.items()}
        return {**found, "around": list(self.around)} if self.around else found

    @classmethod
    def of_record(cls, found: Mapping[str, Any]) -> Standing:
        tensors = {int(at): tuple(it) for at, it in found.get("tensors", {}).items()}
        calls = {int(at): str(it) for at, it in found.get("calls", {}).items()}
        around, gives = tuple(found.get("around", ())), str(found.get("gives", ""))
        return cls(found["graph"], str(found.get("class", "")), tensors, calls, around, gives)


@dataclass(frozen=True)
class PortRecord:
    """A port.json that was read.

    `graph` is the source's, `orders` how the port holds those tensors that it does not hold as the source.
    `modules` are the modules of the port by path, `layers` the modules that each layer became, `forwards`
    the text of each class's `forward` as it was written. `texts`: the function of model.py that makes numbers
    of an input of text, and the tensor that these are.
    """

    class_name: str
    options: Options
    dialect: str
    graph: Graph
    orders: Mapping[tuple[str, str], Order]
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    returns: Any
    weights: tuple[Stored, ...]
    modules: Mapping[str, Standing]
    layers: Mapping[str, tuple[str, ...]]
    forwards: Mapping[str, str]
    texts: Mapping[str, Mapping[str, str]]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> PortRecord:
        """Raises BadFile for a record of another format, or that is damaged."""
        if found.get("format") != FORMAT:
            what = "was written by another torchport, and does not say where its tensors are"
            raise BadFile(
                what, advice="convert the model again, with --force: weights and text will be the same"
            )
        try:
            options = Options.of_record(found["options"])
            graph, trace = graph_of(found["graph"]), found["trace"]
            return cls(
                str(found["class"]), options, str(found["source"]["keras"]), graph,
                dict(orders_of(found["graph"])),
                tuple(spec_of(it, graph) for it in found["inputs"]),
                tuple(spec_of(it, graph) for it in found["outputs"]),
                found["returns"],
                tuple(Stored.of_record(name, it) for name, it in found["weights"].items()),
                {path: Standing.of_record(it) for path, it in trace["modules"].items()},
                {layer: tuple(it) for layer, it in trace["layers"].items()},
                trace["forwards"], found["texts"],
            )  # fmt: skip
        except TorchportError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            what = f"port.json is damaged ({type(error).__name__}: {error})"
            raise BadFile(what, advice="convert the model again") from error


def spec_record(it: Spec, name: str) -> dict[str, Any]:
    """An input or an output, by its name in `forward`."""
    return {
        "name": name, "source_name": it.tensor.name, "dtype": it.dtype, "source_axes": it.source_axes,
        "torch_axes": it.torch_axes, "shape": list(it.shape), "order": it.order.value,
    }  # fmt: skip


def spec_of(found: Mapping[str, Any], graph: Graph) -> Spec:
    return Spec(found["source_name"], graph.tensors[found["source_name"]], Order(found["order"]))
