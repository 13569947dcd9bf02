"""One expression of the user's as a graph of its own, written by the rules that serve saved models.

layers.Conv2D(width * 2, 3, activation="relu")(x)
->  F.relu(self.conv(x)),  nn.Conv2d(x_channels, width * 2, 3)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from torchport import watch
from torchport.axes import Order
from torchport.emit.expression import ATOM, Writer
from torchport.errors import Refused, Unsupported
from torchport.graph import Graph, Op, refs
from torchport.idioms import idiomatic
from torchport.infer import infer
from torchport.layout import choose_orders, write
from torchport.named import Named, NamedFloat, binds_of, is_named
from torchport.normalise import normalise
from torchport.program import Apply, Definition, Expr, Item, Module, State, Unpack, Var, rewrite, walk
from torchport.read.subclass import keras_of
from torchport.source.lines import index_text
from torchport.source.observe import Seen, is_tensor, tensors
from torchport.source.sizes import number_of
from torchport.source.values import Flow, Items, Size, Static

#: The text of an option that a layer makes a number of when it is built: one group for each channel.
EACH = "-1"
#: Options of layers whose values are no numbers of the program's.
UNNAMED = frozenset({"name", "dtype", "seed"})


@dataclass(frozen=True)
class Fragment:
    """An expression as steps over its operands `x0`, `x1`…"""

    definition: Definition
    graph: Graph
    #: How many sizes that it is given were open when it was watched.
    opens: int = 0

    @property
    def outputs(self) -> tuple[Any, ...]:
        return self.definition.outputs

    @property
    def modules(self) -> list[Apply]:
        """The modules that it calls, in the order in which it does, each once."""
        nodes = (node for step in self.definition.steps for node in walk(step.value))
        found = {(it.owner, it.module.role): it for it in nodes if isinstance(it, Apply)}
        return list(found.values())

    @property
    def states(self) -> list[State]:
        nodes = (node for step in self.definition.steps for node in walk(step.value))
        return [it for it in nodes if isinstance(it, State)]


@dataclass(frozen=True)
class Call:
    """An expression as the stage knows it: its operands, and a layer's options that are no literals.

    `function` gives what is called, at the time of the call: TensorFlow's functions are then watched.
    """

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    options: Mapping[str, Any]
    function: Callable[[], Any] | None = None
    #: Whether there are images around: what becomes one may have their order.
    has_images: bool = False


def of(seen: Seen, made: Call, are_open: bool = False) -> Fragment:
    """The graph of one evaluation. `are_open`: the sizes of space are not known.

    Raises Unsupported for what no rule ports.
    """
    from networkx import NetworkXUnbounded as Unbounded

    args, kwargs, options = made.args, made.kwargs, made.options
    flows: list[tuple[Flow, Any]] = []
    rebuilt_args = [rebuild(value, given, flows) for value, given in zip(args, seen.args, strict=True)]
    rebuilt_kwargs = {key: rebuild(value, seen.kwargs[key], flows) for key, value in kwargs.items()}
    if holds_open((rebuilt_args, rebuilt_kwargs)) and getattr(seen.function, "__name__", "") != "reshape":
        raise Unsupported("depends on the number of examples", "use tf.reshape with -1")
    try:
        if is_layer(seen.function) or is_merging(seen.function):
            graph = of_layer(seen, rebuilt_args, rebuilt_kwargs, flows)
            graph = with_options(graph, getattr(seen.function, "name", ""), options)
        else:
            graph = of_function(made, seen, rebuilt_args, rebuilt_kwargs, flows)
        graph = with_sizes(graph, flows, are_open)
        found: list[Any] = []
        graph = infer(normalise(graph), found)
        if found:
            raise Refused(tuple(found))
        given = dict(zip(graph.inputs, (flow.order for flow, _ in flows), strict=True))
        free = steps_of(graph, given, is_layer(seen.function), made.has_images)
        return Fragment(free, graph, opens_in((rebuilt_args, rebuilt_kwargs)))
    except Refused as error:
        first = error.refusals[0]
        raise Unsupported(first.why, first.advice) from error
    except Unbounded as error:
        raise Unsupported("has no order of its axes that all of it can be written in") from error
    except NotImplementedError as error:
        raise Unsupported(
            f"is made of something that cannot be made again: {error}", "write its get_config"
        ) from error


def steps_of(
    graph: Graph, given: Mapping[str, Order], is_layer: bool, has_images: bool = False
) -> Definition:
    """A graph as steps, its inputs in the orders that they have.

    Of as many permutes each, an image stays one; what a function makes of others stays as it is: heads of an
    attention are no channels. Among images, a gate for one has its order: (n, c) -> (n, c, 1, 1).
    """
    from networkx import NetworkXUnbounded as Unbounded

    found = idiomatic(write(graph, choose_orders(graph, given=given)))
    is_image = Order.CHANNELS_FIRST in given.values()
    ranks = {len(graph.tensors[it].shape) for it in (*graph.inputs, *graph.outputs)}
    if is_image and len(ranks) > 1:
        return found
    orders = [] if is_layer and not is_image else [Order.CHANNELS_FIRST if is_image else Order.SOURCE]
    orders += [Order.CHANNELS_FIRST] if has_images and not is_image else []
    for order in orders:
        try:
            chosen = choose_orders(graph, given={**given, **dict.fromkeys(graph.outputs, order)})
        except Unbounded:
            continue
        other = idiomatic(write(graph, chosen))
        found = other if len(other.permutes) <= len(found.permutes) else found
    return found


@dataclass(frozen=True)
class Slot:
    """The place of a tensor among the operands."""

    at: int


def rebuild(value: Any, given: Any, flows: list[tuple[Flow, Any]]) -> Any:
    """What was given, with slots for its tensors and texts for its numbers."""
    if isinstance(value, Flow):
        if not is_tensor(given) and not hasattr(given, "shape"):
            raise Unsupported("is a tensor here, and none when it was watched")
        flows.append((value, given))
        return Slot(len(flows) - 1)
    if isinstance(value, Items):
        return [rebuild(it, one, flows) for it, one in zip(value.items, given, strict=True)]
    if isinstance(value, Size):
        number = number_of(given)
        return OPEN if number is None else Named(number, value.known or value.text)
    if any(True for _ in tensors(given)):
        raise Unsupported("uses a tensor that is not one of the function's", "hand it over as an argument")
    return named(given, value) if isinstance(value, Static) else given


#: Stands for the number of examples, as reshape has it: told apart from a -1 of the user's by its identity.
OPEN: Any = np.int64(-1)


def holds_open(tree: Any) -> bool:
    """Whether an argument is the number of examples."""
    if isinstance(tree, Mapping):
        return any(map(holds_open, tree.values()))
    return tree is OPEN or isinstance(tree, (list, tuple)) and any(map(holds_open, tree))


def opens_in(tree: Any) -> int:
    """How many sizes in nested arguments are open."""
    if isinstance(tree, Mapping):
        return sum(map(opens_in, tree.values()))
    return sum(map(opens_in, tree)) if isinstance(tree, (list, tuple)) else int(tree is OPEN)


def named(given: Any, value: Static) -> Any:
    """A number with its text, unless it is a literal."""
    import ast

    if value.is_literal:
        return given
    if isinstance(given, (list, tuple)) and isinstance(value.node, (ast.Tuple, ast.List)):
        pairs = zip(given, value.node.elts, strict=False)
        return type(given)(named(one, Static(index_text(node), node)) for one, node in pairs)
    if isinstance(given, slice) and isinstance(value.node, ast.Slice):
        ends = (value.node.lower, value.node.upper, value.node.step)
        parts = zip((given.start, given.stop, given.step), ends, strict=True)
        return slice(
            *(
                it if node is None else named(number(it), Static(ast.unparse(node), node))
                for it, node in parts
            )
        )
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        return given
    return Named(given, value.text) if isinstance(given, int) else NamedFloat(given, value.text)


def number(given: Any) -> Any:
    """An entry of an index as a number: TensorFlow's sizes are tensors."""
    if given is None or isinstance(given, int):
        return given
    if (found := number_of(given)) is None:
        raise Unsupported("is an index that depends on the number of examples")
    return found


def is_layer(function: Any) -> bool:
    """Whether a value is a layer; its class is none."""
    return (
        not isinstance(function, type)
        and hasattr(function, "get_config")
        # of its class: a Sequential of Keras 2 has none before it is built, and raises
        and hasattr(type(function), "weights")
        and callable(function)
    )


def is_merging(function: Any) -> bool:
    """Whether a function makes a layer and calls it: `layers.add([x, y])`."""
    return ".layers.merging." in str(getattr(function, "__module__", "")) and not isinstance(function, type)


def fill(tree: Any, held: Sequence[Any]) -> Any:
    """Tensors in their slots."""
    if isinstance(tree, Slot):
        return held[tree.at]
    if isinstance(tree, Mapping):
        return {key: fill(it, held) for key, it in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(fill(it, held) for it in tree) if type(tree) in (list, tuple) else tree
    return tree


def of_layer(seen: Seen, args: list[Any], kwargs: dict[str, Any], flows: Sequence[tuple[Flow, Any]]) -> Graph:
    """The graph of the same layer in a model of its own."""
    keras = keras_of(seen.function)
    shapes = [tuple(it.shape) for _, it in flows]
    held = [
        keras.Input(batch_shape=(None, *shape[1:]), dtype=dtype_of(it))
        for shape, (_, it) in zip(shapes, flows, strict=True)
    ]
    kept = {key: it for key, it in kwargs.items() if key != "training"}
    with without_penalties(seen.function):
        made = seen.function(*fill(args, held), **fill(kept, held))
        return watch.read(keras.Model(held, made))


@contextmanager
def without_penalties(layer: Any) -> Iterator[None]:
    """A layer without its regularisers: one of the user's own may not be written down."""
    held = {key: it for key, it in vars(layer).items() if key.endswith("_regularizer") and it is not None}
    for key in held:
        object.__setattr__(layer, key, None)
    try:
        yield
    finally:
        for key, it in held.items():
            object.__setattr__(layer, key, it)


def dtype_of(value: Any) -> str:
    return str(getattr(value.dtype, "name", value.dtype))


def of_function(
    made: Call, seen: Seen, args: list[Any], kwargs: dict[str, Any], flows: Sequence[tuple[Flow, Any]]
) -> Graph:
    """The graph of a function, as of a Lambda that calls it."""
    import keras

    def call(held: Any) -> Any:
        held = held if isinstance(held, (list, tuple)) else [held]
        function = made.function() if made.function else seen.function
        examples = functools.partial(counted, held)
        return function(*map(examples, fill(args, held)), **{
            key: examples(it) for key, it in fill(kwargs, held).items()
        })  # fmt: skip

    layer = keras.layers.Lambda(call)
    start = [SimpleNamespace(shape=tuple(it.shape), dtype=dtype_of(it)) for _, it in flows]
    target = Target(layer)
    run = watch.Run.of(target, start, str(keras.__version__), False)
    event = next(watch.layer_calls(run.root))
    return with_names(run.body(event), (args, kwargs))


def counted(held: Sequence[Any], value: Any) -> Any:
    """A shape in which the number of examples and another size are open: the former is read off a tensor."""
    import tensorflow as tf

    if not isinstance(value, list) or len(value) < 2 or value[0] is not OPEN:
        return value
    others = [it for it in value[1:] if isinstance(it, (int, np.integer)) and int(it) == -1]
    return [tf.shape(held[0])[0], *value[1:]] if others else value


def with_names(graph: Graph, given: Any) -> Graph:
    """The graph with the texts of the numbers in its function's lists and indices, where it has numbers."""
    lists = [it for it in lists_in(given) if any(map(is_named, it))]
    indices = [it for it in indices_in(given) if any(map(is_named, numbers_in(it)))]
    tables = [it for it in tables_in(given) if any(map(is_named, leaves_of(it)))]

    def one(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: one(it) for key, it in value.items()}
        if isinstance(value, (list, tuple)) and all(isinstance(it, int) for it in value):
            return next((type(value)(it) for it in lists if list(it) == list(value)), value)
        if is_table(value):
            return next((it for it in tables if plain(it) == plain(value)), value)
        if isinstance(value, (list, tuple, slice)):
            return next((it for it in indices if entries_of(it) == entries_of(value)), value)
        return value

    ops = (replace(op, config=one(op.config), args=tuple(map(one, op.args))) for op in graph.ops)
    return graph.replace(ops=tuple(ops)) if lists or indices or tables else graph


def is_table(value: Any) -> bool:
    """Whether a value is lists of numbers in a list."""
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(isinstance(it, (list, tuple)) and all(isinstance(one, int) for one in it) for it in value)
    )


def tables_in(tree: Any) -> Iterator[Any]:
    """The lists of lists of numbers in nested arguments."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if is_table(tree):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for it in tree:
            yield from tables_in(it)


def leaves_of(table: Any) -> Iterator[Any]:
    for it in table:
        yield from it


def plain(table: Any) -> list[list[int]]:
    return [list(map(int, it)) for it in table]


def entries_of(index: Any) -> list[Any]:
    return list(index) if isinstance(index, (list, tuple)) else [index]


def indices_in(tree: Any) -> Iterator[Any]:
    """The indices with slices in nested arguments, whole ones first."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, slice) or isinstance(tree, tuple) and any(isinstance(it, slice) for it in tree):
        yield tree
    if isinstance(tree, (list, tuple)):
        for it in tree:
            yield from indices_in(it)


def numbers_in(index: Any) -> Iterator[Any]:
    """The numbers of an index."""
    for it in index if isinstance(index, tuple) else [index]:
        yield from (it.start, it.stop, it.step) if isinstance(it, slice) else [it]


def lists_in(tree: Any) -> Iterator[Any]:
    """The lists of whole numbers in nested arguments; the number of examples is -1."""
    if isinstance(tree, Mapping):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        if tree and all(isinstance(it, (int, np.integer)) for it in tree):
            yield [it if is_named(it) else int(it) for it in tree]
        for it in tree:
            yield from lists_in(it)


@dataclass
class Target:
    """A layer as a model that is watched."""

    layer: Any
    trainable_variables: tuple[Any, ...] = ()

    def _flatten_layers(self) -> list[Any]:
        return [self.layer]

    def __call__(self, given: Any, training: bool) -> Any:
        return self.layer(given)


def with_options(graph: Graph, layer: str, options: Mapping[str, Any]) -> Graph:
    """The graph with the texts of a layer's options."""

    def one(op: Op) -> Op:
        if op.layer != layer:
            return op
        return replace(op, config=with_texts(op.config, options))

    return graph.replace(ops=tuple(map(one, graph.ops)))


def with_texts(config: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's options with their texts, those of a layer inside of it too."""
    changed = dict(config)
    for key, value in options.items():
        if key not in config or key in UNNAMED:
            continue
        inner = config[key]
        if not isinstance(value, Mapping):
            changed[key] = spread(inner, value)
        elif isinstance(inner, Mapping) and isinstance(inner.get("config"), Mapping):
            changed[key] = {**inner, "config": with_texts(inner["config"], value)}
            other = config.get("backward_layer")
            if isinstance(other, Mapping) and isinstance(other.get("config"), Mapping):
                changed["backward_layer"] = {**other, "config": with_texts(other["config"], value)}
    return changed


def spread(given: Any, value: Static) -> Any:
    """An option with its text; one number in the source may be one for each axis in the layer."""
    import ast

    if value.text == EACH:
        return int(EACH)
    if isinstance(given, (list, tuple)) and not isinstance(value.node, (ast.Tuple, ast.List)):
        return type(given)(named(it, value) for it in given) if len(set(map(repr, given))) == 1 else given
    return named(given, value)


def with_sizes(graph: Graph, flows: Sequence[tuple[Flow, Any]], are_open: bool) -> Graph:
    """The graph with the texts of its operands' channels."""
    found = dict(graph.tensors)
    for name, (flow, given) in zip(graph.inputs, flows, strict=True):
        shape = list(given.shape if flow.is_weight else found[name].shape)
        if len(shape) < 2 and not (shape and flow.is_weight):
            continue
        if not flow.is_weight and are_open and len(shape) > 2:
            shape[1:-1] = [None] * (len(shape) - 2)
        if flow.sizes:
            shape = [
                size if text.isdigit() else Named(size, text)
                for size, text in zip(shape, flow.sizes, strict=True)
            ]
        elif flow.channels is not None and shape[-1] is not None and not flow.channels.isdigit():
            shape[-1] = Named(shape[-1], flow.channels)
        found[name] = replace(found[name], shape=tuple(shape))
    return graph.replace(tensors=found)


class Texts(Writer):
    """Expressions as text. `number`: what stands for a number that has a text, here."""

    def __init__(
        self, operands: Mapping[str, str], attribute: Callable[[str, str], str], number: Callable[[str], str]
    ) -> None:
        super().__init__(lambda name: operands.get(name, name), attribute)
        self.number, self.operands = number, operands

    def _bound(self, value: Any) -> tuple[str, int]:
        if isinstance(value, (Named, NamedFloat)):
            return self.number(value.text), value.binds
        if isinstance(value, Item):
            path = "".join(f"[{it}]" for it in path_to(value.pattern, value.name))
            return f"{self._operand(value.value, ATOM)}{path}", ATOM
        if isinstance(value, Var):
            text = self.variable(value.tensor)
            return text, binds_of(text) if value.tensor in self.operands else ATOM
        return super()._bound(value)


def path_to(pattern: Any, name: str) -> tuple[int, ...]:
    """The place of a name in a nested tuple."""
    for at, it in enumerate(pattern):
        if it == name:
            return (at,)
        if isinstance(it, tuple) and (inner := path_to(it, name)):
            return (at, *inner)
    return ()


def unpacking(pattern: Any, name: str, own: str) -> str:
    """A nested tuple as the target of an assignment, of which one name alone is asked for."""
    parts = [
        unpacking(it, name, own) if isinstance(it, tuple) else own if it == name else "_" for it in pattern
    ]
    return f"({', '.join(parts)})" if set(parts) != {"_"} else "_"


def inlined(definition: Definition) -> tuple[list[tuple[str, Expr]], Any]:
    """The steps that stand alone, since they are read more than once, and the result."""
    uses: dict[str, int] = {}
    for step in definition.steps:
        for name in step.inputs:
            uses[name] = uses.get(name, 0) + 1
    result = definition.result
    held: dict[str, Expr] = {}
    alone: list[tuple[str, Expr]] = []

    def place(node: Any) -> Any:
        return held.get(node.tensor, node) if isinstance(node, Var) else node

    final: dict[str, Expr] = {}
    for step in definition.steps:
        value = rewrite(step.value, place)
        if len(step.outputs) > 1:
            if any(uses.get(name) for name in step.outputs):
                raise Unsupported("gives several tensors that it reads again")
            names = tuple(Var(name) for name in step.outputs)
            final[repr(names)] = value.value if isinstance(value, Unpack) else value
        elif uses.get(step.outputs[0], 0) > 1:
            alone.append((step.outputs[0], value))
        else:
            held[step.outputs[0]] = value
    if isinstance(result, (tuple, list)) and repr(tuple(result)) in final:
        return alone, final[repr(tuple(result))]
    return alone, rewrite(result, place)


def sizes(fragment: Fragment) -> list[str | None]:
    """The text of each output's last axis."""
    found = list[str | None]()
    for it in fragment.outputs:
        shape = it.tensor.shape
        size = shape[-1] if len(shape) > 1 else None
        text = None if size is None else size.text if isinstance(size, Named) else str(size)
        # both directions of a recurrent layer
        found.append(text and re.sub(r"^(\w+) \+ \1$", r"2 * \1", text))
    return found


def loads(fragment: Fragment) -> list[Module]:
    """The modules with what they load, in the order in which they are called."""
    return [it.module for it in fragment.modules]


def reads_nothing(graph: Graph) -> bool:
    return not any(refs(op.args) for op in graph.ops)


__all__ = ["Fragment", "Order", "Texts", "inlined", "is_layer", "loads", "of", "sizes"]
