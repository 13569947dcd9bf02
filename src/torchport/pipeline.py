"""The stages of a conversion, in order: the file to read first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from torchport import training
from torchport.blocks import factor, in_reading_order
from torchport.emit import helpers
from torchport.emit.source import Class, formatted, name_classes, source, state
from torchport.emit.weights import Entry, shards
from torchport.errors import Refusal, Refused, TorchportError
from torchport.graph import Graph
from torchport.idioms import idiomatic
from torchport.infer import prepare
from torchport.layout import choose_orders, refused, write
from torchport.names import class_name, is_automatic, telling
from torchport.options import DEFAULT, Options
from torchport.program import Definition, Fill, Load, Permute
from torchport.read import WithConfig
from torchport.read.cut import cut, ends_before
from torchport.rules import book, user
from torchport.rules.book import Book
from torchport.watch.code import WithCode
from torchport.watch.recipe import Recipe
from torchport.watch.sources import graph_of


@dataclass(frozen=True)
class Program:
    """What a model was turned into: its text, its state_dict still to be read, and all that led there."""

    graph: Graph
    definition: Definition
    classes: Class
    code: str
    entries: tuple[Entry, ...]
    #: Rules and helpers of the user's own that went into it.
    book: Book
    #: What a person should know of how it was written.
    notes: tuple[str, ...] = ()
    #: What it was trained with, which is not carried over: "training" of port.json.
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def length(self) -> int:
        """Lines of its text."""
        return self.code.count("\n")

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
    """What a model is called: by its own name; where Keras made that up, by its architecture, or its file."""
    if not is_automatic(name, "Model"):
        return name
    if isinstance(model, WithCode):
        model = model.path
    if isinstance(model, WithConfig):
        function = model.function
        names = [function[1], function[0].stem] if function else [Path(model.config).stem]
        names.append(Path(model.weights).name.partition(".")[0])
    elif isinstance(model, Recipe):
        names = [model.name, Path(model.code).stem]
    else:
        names = [Path(model).name.partition(".")[0]] if isinstance(model, (str, Path)) else []
    return next((told for it in names if (told := telling(it))), "model")


def port(model: Any, options: Options = DEFAULT) -> Program:
    """A model, or the path of one, as a PyTorch program."""
    graph = graph_of(model)
    user.plugins(graph)
    with user.helpers_beside(helpers.own_names()):
        name = options.class_name or class_name(own_name(graph.name, model))
        if options.class_name in helpers.names():
            advice = f"for instance --class-name {name}Model"
            raise TorchportError(f"model.py may have a function {name}", advice=advice)
        return replace(written(graph, name, options), training=training.record(cut(graph, options.outputs)))


def written(graph: Graph, name: str, options: Options = DEFAULT) -> Program:
    """A graph, as it was read, as the PyTorch program of a class of that name."""
    refusals: list[Refusal] = []
    whole, graph = graph, prepare(graph, options, refusals)
    if refusals:
        raise Refused((*refusals, *refused(graph)), "" if options.outputs else head(whole, refusals))
    orders = choose_orders(graph, options.keep_io)
    definition = idiomatic(write(graph, orders, options.exact))
    definition = in_reading_order(definition)
    program = partial(_program, graph, name=name)
    return program(definition) if options.flat else _shortest(program, definition, name)


def head(graph: Graph, refusals: Sequence[Refusal]) -> str:
    """What to do where all that is refused is at the end of a model, such as a loss."""
    ends = ends_before(graph, {it.layer.removeprefix(f"{graph.name}/") for it in refusals})
    if not ends:
        return ""
    return f"or port the model up to what is refused: --outputs {','.join(ends)} (outputs={ends!r} in Python)"


def _program(graph: Graph, definition: Definition, name: str) -> Program:
    """A definition as text, its classes and attributes named."""
    classes = name_classes(definition, name)
    entries = tuple(Entry(name, load) for name, load in state(classes))
    sharded = len(shards(entries)) > 1
    weights = "model.safetensors.index.json" if sharded else "model.safetensors"
    code = formatted(source(classes, weights, sharded))
    return Program(graph, definition, classes, code, entries, book.active(), graph.notes)


def weights_of(entries: Iterable[tuple[str, Load | Fill]]) -> set[str]:
    """The source's weights that a state_dict is made of."""
    loads = (load for _, load in entries if isinstance(load, Load))
    return {load.source.name for load in loads if load.source is not None}


def _shortest(program: Callable[[Definition], Program], flat: Definition, name: str) -> Program:
    """The program with repeated structure as classes; the flat one where those fail, or save no lines."""

    def length(definition: Definition) -> int:
        return program(in_reading_order(definition)).length

    try:
        definition = in_reading_order(factor(flat, name, length))
        factored = program(definition)
        plain_classes = factored.classes if definition == flat else name_classes(flat, name)
        if lost := weights_of(state(plain_classes)) - weights_of(state(factored.classes)):
            raise LookupError(f"{min(lost)} has no place in them")
    except Exception as error:  # classes for the eye's sake must not cost anyone the port
        why = f"making them failed ({type(error).__name__}: {error})"
    else:
        if definition == flat:
            return factored
        # formatting only breaks lines, and most programs are far from that
        if source(plain_classes).count("\n") >= factored.length:
            return factored
        if program(flat).length >= factored.length:
            return factored
        why = "they would make the program longer"
    note = f"no classes were made of repeated structure: {why}; the program is that of --flat."
    plain = program(flat)
    return replace(plain, notes=(*plain.notes, note))
