"""The facts of a network: of a port, its record, and what the rules say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torchport import __version__
from torchport.axes import Order, to_order
from torchport.emit.weights import Entry
from torchport.geometry import network as made
from torchport.geometry.cards import Subject, card
from torchport.geometry.costs import all_multiplies
from torchport.geometry.fields import Fields, of_input, through
from torchport.geometry.links import Link, links
from torchport.geometry.places import Places, Spot
from torchport.geometry.walk import Call, Whole, sized, whole
from torchport.geometry.weights import affine, count, owned, weight
from torchport.graph import Tensor
from torchport.port import Port
from torchport.program import Load
from torchport.record import is_plain
from torchport.report.conversion import notes
from torchport.rules import book

#: Options that every layer has.
EVERYWHERE = ("name", "trainable", "dtype")
#: Of larger weights no mistake is computed.
LARGEST = 30_000_000
#: Bytes of an element; anything else is held as four.
BYTES = {"float64": 8, "int64": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "bool": 1}


def facts(port: Port, size: Sequence[int] = (), values: bool = True) -> made.Network:
    """The geometry of a port. `size`: numbers for the sizes that the model leaves open.

    `values`: whether elements of weights are read from the model's file. Raises TorchportError for sizes that
    do not fit.
    """
    program, record = port.program, port.record()
    with book.scope(program.book):
        graph, numbers = sized(program.graph, size)
        places, calls = Places.of(record, port.code), whole(graph)
        reads = {call.outputs[0]: read(call) for call in calls.calls if call.outputs}
        seen = fields(calls, reads)
        counts = all_multiplies(calls)
        kinds = {layer_id(call): call for call in reversed(calls.calls)}
        entries = owned(port)
        layers = tuple(
            layer(name, call, entries.get(name, ()), places, values) for name, call in reversed(kinds.items())
        )
        givers = {name: call.outputs[0] for call in calls.calls for name in call.outputs}
        tensors = {
            name: tensor(name, it, givers.get(name), calls, places, seen.get(name, {}))
            for name, it in calls.tensors.items()
        }
        known = {it.id: it for it in layers}
        subjects = [
            subject(call, reads[call.outputs[0]], tensors, known[layer_id(call)],
                    entries.get(layer_id(call), ()), port, counts[call.outputs[0]], values)
            for call in calls.calls if call.outputs
        ]  # fmt: skip
        ops = tuple(map(op, subjects))
    counted = [it.multiplies for it in ops]
    totals = made.Totals(
        sum(it.parameters for it in layers), sum(it.statistics for it in layers),
        sum(it.nbytes for it in program.entries), sum(it or 0 for it in counted), counted.count(None),
        len(layers),
    )  # fmt: skip
    return made.Network(
        program.graph.name, port.class_name, str(port.source) if is_path(port.source) else "",
        program.graph.dialect, __version__, numbers, totals, tuple(calls.inputs), tuple(calls.outputs),
        tuple(tensors.values()), ops, layers, tuple(blocks(places)), tuple(vars(it) for it in port.permutes),
        tuple(notes(port)), port.code,
    )  # fmt: skip


def is_path(source: Any) -> bool:
    """Whether a model was given as a file."""
    return isinstance(source, str) or hasattr(source, "__fspath__")


def read(call: Call) -> list[tuple[str, list[Link]]]:
    """What an op reads, by the ids of tensors."""
    outputs = [call.tensors[name] for name in call.op.outputs]
    found = links(call.op, call.tensors, outputs)
    if call.op.kind == "time:unfold":  # of the other it asks for the number of steps alone
        found = found[:1]
    return [(own, axes) for own, (_, axes) in zip(call.inputs, found, strict=False)]


def fields(calls: Whole, reads: Mapping[str, list[tuple[str, list[Link]]]]) -> dict[str, Fields]:
    """What each tensor sees of the inputs."""
    found: dict[str, Fields] = {name: of_input(name, calls.tensors[name].shape) for name in calls.inputs}
    for call in calls.calls:
        for name in call.outputs:
            seen = through(reads[call.outputs[0]], found)
            is_like = calls.tensors[name].shape == calls.tensors[call.outputs[0]].shape
            # what is read is said of the steps of the first; of scores, of states what all of them see
            found[name] = seen if is_like else {key: it.whole for key, it in seen.items()}
        if call.op.kind == "time:unfold":
            # what was folded is as it was: a step sees its own
            folded = {key: it for key, it in found[call.inputs[1]].items() if it.axis == 1}
            found[call.outputs[0]] = {**found[call.outputs[0]], **folded}
    return found


def subject(
    call: Call, reads: Sequence[tuple[str, list[Link]]], tensors: Mapping[str, made.Tensor],
    layer: made.Layer, entries: Sequence[Entry], port: Port, count: int | None, values: bool,
) -> Subject:  # fmt: skip
    """A call with all that its card is made of."""
    loads = {
        it.load.source.name.rpartition("/")[2]: it.load
        for it in entries if isinstance(it.load, Load) and it.load.source
    }  # fmt: skip
    small = {name: it for name, it in loads.items() if it.source and math.prod(it.source.shape) <= LARGEST}
    arrays = {name: it.source.load() for name, it in small.items() if it.source} if values else {}
    outputs = [tensors[name] for name in call.outputs]
    return Subject(
        call.op, kind_of(call.op.kind), [(tensors[name], links) for name, links in reads], outputs, layer,
        loads, arrays, port.permutes, count,
    )  # fmt: skip


def op(it: Subject) -> made.Op:
    """A call as data, and its card."""
    axes = tuple(made.Reads(x.id, tuple(link.record() for link in links)) for x, links in it.reads)
    names = tuple(x.id for x, _ in it.reads)
    outputs = tuple(y.id for y in it.outputs)
    return made.Op(outputs[0], it.layer.id, it.kind, names, outputs, axes, it.multiplies, card(it))


def kind_of(kind: str) -> str:
    """A kind as people know it: `relu` of `activation:relu`, `Transpose` of `keras.ops.Transpose`."""
    return kind.rpartition(":")[2].rpartition(">")[2].removeprefix("keras.ops.")


def layer_id(call: Call) -> str:
    """The layer that a call is of, with the path of its graph; its activation is a layer of its own."""
    return f"{call.path}{call.op.layer or call.op.name}"


# Tensors


def tensor(
    name: str, it: Tensor, giver: str | None, calls: Whole, places: Places, seen: Fields
) -> made.Tensor:
    path, own = calls.places[name]
    order = places.order(path, own)
    spot = places.spots.get((path, own), Spot("", None))
    axes = tuple(map(str, it.axes)) or tuple("?" * len(it.shape))
    turned = tuple(
        channels_first(axis) if order is Order.CHANNELS_FIRST and it.parts else axis for axis in axes
    )
    sizes = [size or 1 for size in it.shape[1:]]
    sees = tuple(
        made.Sees(source, at, str(calls.tensors[source].axes[at]), *extent.reach, extent.axis)
        for (source, at), extent in seen.items()
    )
    return made.Tensor(
        name, giver, made.Side(axes, it.shape), made.Side(to_order(turned, order), to_order(it.shape, order)),
        it.dtype, math.prod(sizes) * BYTES.get(it.dtype, 4), it.parts, spot.module, spot.text,
        spot.span, sees,
    )  # fmt: skip


def channels_first(axis: str) -> str:
    """A flat axis whose pieces are held channels first: `(c h w)` of `(h w c)`."""
    if not axis.startswith("("):
        return axis
    *others, last = axis.strip("()").split()
    return f"({' '.join((last, *others))})"


# Layers


def layer(name: str, call: Call, entries: Sequence[Entry], places: Places, values: bool) -> made.Layer:
    modules = places.layers.get(name, ())
    code = next((places.made[it] for it in modules if it in places.made), None)
    weights = tuple(weight(it, call.op.kind, values) for it in entries)
    trained = [it for it in weights if it.keras and not it.is_statistic]
    rest = [it for it in weights if it.keras and it.is_statistic]
    options = {
        key: value for key, value in call.op.config.items() if is_plain(value) and key not in EVERYWHERE
    }
    return made.Layer(
        name, kind_of(call.op.kind), options, modules, code[1] if code else "",
        code[0] if code else None, count(trained), count(rest), weights,
        affine(call, entries) if values else None,
    )  # fmt: skip


def blocks(places: Places) -> Iterator[made.Block]:
    """The classes of model.py where they stand."""
    times = Counter(it.cls for it in places.blocks)
    paths = {it.path for it in places.blocks}
    for it in places.blocks:
        parent = it.path.rpartition(".")[0]
        while parent and parent not in paths:
            parent = parent.rpartition(".")[0]
        yield made.Block(
            it.path, it.cls, times[it.cls], it.line, it.end_line, parent if it.path else None
        )  # fmt: skip
