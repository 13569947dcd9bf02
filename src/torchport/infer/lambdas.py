"""Lambda layers become the operations that their functions are made of.

before:  y = Lambda(x), function=<the bytes of lambda x: x / 255.0>
after:   y = keras.ops.TrueDivide(x, 255.0)

What the function asks of shapes is known here. See `torchport.lambdas`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor, map_refs, refs
from torchport.lambdas.layers import LAYERS
from torchport.lambdas.reading import Reading, agreed, readings
from torchport.lambdas.symbols import Symbol, Symbols, shown
from torchport.lambdas.values import CODE
from torchport.normalise import draws
from torchport.normalise.activations import split_activations
from torchport.normalise.draws import drawing
from torchport.normalise.functions import name_functions
from torchport.normalise.operations import name_operations
from torchport.rules.table import IGNORED

if TYPE_CHECKING:
    from torchport.infer.shapes import Walk


#: Kinds that stand for the operations of a function.
EXPANDED = frozenset({"Lambda", *LAYERS})


def expand(op: Op, walk: Walk) -> Iterator[Op]:
    """Adds what a Lambda computes to the way through its graph. Raises Unsupported."""
    yield from ()
    if op.kind in LAYERS:
        walk.adopt(computed(op, walk.trial()))
        return
    if op.config.get("mask") is not None:
        raise Unsupported("it makes a mask of its own", CODE)
    try:
        made = readings(op.config)
        if not all(name in walk.tensors for name in op.inputs):
            agreed(made, lambda reading: (reading.check(), None))
            return  # what it reads is refused already
        text, trial = agreed(made, lambda reading: evaluated(op, walk.trial(), reading))
    except (LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise Unsupported(f"its function cannot be read: {error!r}", CODE) from error
    walk.adopt(trial)
    walk.notes.append(note(op, made, text))


def computed(op: Op, walk: Walk) -> Walk:
    """A way, and at its end the ops of a layer of a package."""
    if not all(name in walk.tensors for name in op.inputs):
        return walk
    start = len(walk.ops)
    world = Symbols(Emitter(walk, op.layer), op.name, walk.graph.dialect, Ref(op.inputs[0]))
    options = {key: value for key, value in op.config.items() if key not in IGNORED}
    given = map_refs(op.args[0], lambda name: Symbol(name, name))
    try:
        found = LAYERS[op.kind](world, given, **options)
    except TypeError as error:
        raise Unsupported(f"its options do not fit: {error}", CODE) from error
    rename(walk, op, start, [found.name], op.outputs)
    return walk


def evaluated(op: Op, walk: Walk, reading: Reading) -> tuple[Any, tuple[str, Walk]]:
    """The ops of a Lambda at the end of a way; its text, and the way."""
    start = len(walk.ops)
    world = Symbols(Emitter(walk, op.layer), op.name, walk.graph.dialect, Ref(op.inputs[0]))
    inputs = map_refs(op.args[0], lambda name: Symbol(name, name))
    if isinstance(op.args[0], Ref):
        inputs = replace(inputs, text=reading.function.code.variables[0])
    elif isinstance(inputs, list):
        first = reading.function.code.variables[0]
        inputs = [replace(it, text=f"{first}[{at}]") if isinstance(it, Symbol) else it
                  for at, it in enumerate(inputs)]  # fmt: skip
    found, machine = reading.evaluate(world, inputs)
    results = list(found) if isinstance(found, (list, tuple)) else [found]
    symbols = [it for it in results if isinstance(it, Symbol) and it.name in walk.tensors]
    if len(symbols) != len(results) or not results:
        raise Unsupported("it gives something else than tensors", CODE)
    if len(symbols) < len(op.outputs):
        raise Unsupported(f"it gives {len(symbols)} tensors, of which {len(op.outputs)} are read", CODE)
    names = [*op.outputs, *(f"{op.outputs[0]}:{at}" for at in range(len(op.outputs), len(symbols)))]
    rename(walk, op, start, [it.name for it in symbols], names)
    text = f"lambda {reading.function.code.variables[0]}: {shown(found)}"
    assumed = {**machine.assumed, **world.assumed}
    taken = [f"{name} for {it}" for name, it in assumed.items() if name != it]
    return tuple(walk.ops[start:]), (text + (f"; taken {', '.join(taken)}" if taken else ""), walk)


def note(op: Op, made: Sequence[Reading], text: str) -> str:
    """What was read, and what its names were taken for."""
    python = " or ".join(".".join(map(str, it.version)) for it in reversed(made))
    return (
        f"{op.layer} was read from its bytes, which Python {python} wrote, and none of them was run: {text}."
    )


def rename(walk: Walk, op: Op, start: int, results: Sequence[str], names: Sequence[str]) -> None:
    """The results of a Lambda's ops get the names of its outputs, and the last op is the layer's."""
    made = {name for it in walk.ops[start:] for name in it.outputs}
    to: dict[str, str] = {}
    for result, name in zip(results, names, strict=True):
        if result in made and result not in to:
            to[result] = name
        else:  # an input, or a result that is given twice
            source = to.get(result, result)
            walk.ops.append(Op(name, "Identity", (Ref(source),), (name,), layer=op.layer))
            walk.tensors[name] = replace(walk.tensors[result], name=name)
    for at in range(start, len(walk.ops)):
        it = walk.ops[at]
        args, kwargs = map_refs((it.args, it.kwargs), lambda name: Ref(to.get(name, name)))
        outputs = tuple(to.get(name, name) for name in it.outputs)
        own = op.layer if outputs[0] == names[0] else it.layer
        title = op.name if outputs[0] == names[0] else it.name
        walk.ops[at] = replace(
            it, name=title, args=args, kwargs=kwargs, outputs=outputs, layer=own, turn=op.turn
        )
    for result, name in to.items():
        walk.tensors[name] = replace(walk.tensors.pop(result), name=name)
    rows = walk.sizes.batch
    rows |= {name: rows[it] for it, name in zip(results, names, strict=True) if it in rows}


@dataclass
class Emitter:
    """Adds operations to a way, as they come."""

    walk: Walk
    #: The layer that they are of.
    layer: str

    def add(self, op: Op) -> Sequence[str]:
        """The names of what an op gives. Raises Unsupported where it is not ported."""
        graph = Graph("", tuple(refs((op.args, op.kwargs))), (), (op,), {}, self.walk.graph.dialect)
        for rewrite in (name_operations, name_functions, split_activations):
            graph = rewrite(graph)
        outputs: Sequence[str] = op.outputs
        if any(drawing(graph)):
            self.walk.notes.append(draws.note([self.layer]))
        try:
            for it in graph.ops:
                for part in self.walk.parts(it):
                    taken = self.walk.take(part)
                    if taken.outputs[:1] == op.outputs[:1]:
                        outputs = taken.outputs
        except Unsupported as error:
            raise Unsupported(f"{shown_kind(op)}: {error.why}", error.advice) from error
        except (TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            raise Unsupported(f"{shown_kind(op)}: its arguments do not fit: {error}", "") from error
        return outputs

    def tensor(self, name: str) -> Tensor | None:
        return self.walk.tensors.get(name)


def shown_kind(op: Op) -> str:
    """What an op is called in its function."""
    return f"tf.{op.config['function']}" if "function" in op.config else op.kind
