"""The stages of a conversion, in order: the file to read first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchport.blocks import factor, in_reading_order
from torchport.emit import helpers
from torchport.emit.source import Class, formatted, name_classes, source, state
from torchport.emit.weights import Entry, shards
from torchport.errors import Refusal, Refused, TorchportError
from torchport.graph import Graph
from torchport.infer import infer
from torchport.layout import choose_orders, refused, write
from torchport.names import class_name, is_automatic
from torchport.normalise import normalise
from torchport.options import DEFAULT, Options
from torchport.program import Definition, Permute
from torchport.read import WithConfig, read
from torchport.rules import user


@dataclass(frozen=True)
class Program:
    """What a model was turned into: its text, its state_dict still to be read, and all that led there."""

    graph: Graph
    definition: Definition
    classes: Class
    code: str
    entries: tuple[Entry, ...]

    @property
    def permutes(self) -> tuple[Permute, ...]:
        """Every permute that is left, nested models included."""
        return tuple(permutes(self.definition))


def permutes(definition: Definition) -> Iterator[Permute]:
    """The permutes of a definition and of all in it."""
    yield from definition.permutes
    for part in definition.parts.values():
        yield from permutes(part)


def own_name(name: str, model: Any) -> str:
    """What a model is called: by its own name, or by its file's where Keras made that up."""
    if not is_automatic(name, "Model"):
        return name
    file = model.weights if isinstance(model, WithConfig) else model
    if not isinstance(file, (str, Path)) or Path(file).is_dir():
        return "model"
    return Path(file).name.partition(".")[0]


def port(model: Any, options: Options = DEFAULT) -> Program:
    """A model, or the path of one, as a PyTorch program."""
    graph = read(model).check()
    name = options.class_name or class_name(own_name(graph.name, model))
    if options.class_name in helpers.names():
        advice = f"for instance --class-name {name}Model"
        raise TorchportError(f"{name!r} is the name of a function of ours", advice=advice)
    user.plugins(graph)
    graph = normalise(graph)
    refusals: list[Refusal] = []
    graph = infer(graph, refusals)
    if refusals:
        raise Refused((*refusals, *refused(graph)))
    orders = choose_orders(graph, options.keep_io)
    definition = write(graph, orders, options.exact)
    definition = in_reading_order(definition)
    if not options.flat:
        definition = factor(definition, name)
    classes = name_classes(definition, name)
    entries = tuple(Entry(name, load) for name, load in state(classes))
    sharded = len(shards(entries)) > 1
    weights = "model.safetensors.index.json" if sharded else "model.safetensors"
    code = formatted(source(classes, weights, sharded))
    return Program(graph, definition, classes, code, entries)
