"""What a layer does in training and in inference, as one graph.

before:  training: y = Add(x, noise);  inference: -> x
after:   y = Add(x, noise);  out = mode:select(y, x)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from typing import Any

from torchport.graph import Graph, Op, Ref, map_refs, refs
from torchport.names import numbered
from torchport.watch.nodes import refused

#: Layers that change something of themselves when they are called in training mode.
STATEFUL = frozenset({"BatchNormalization", "SpectralNormalization"})
#: Ops without inputs, which stand before all others.
LEAVES = ("tf.Variable", "tf.constant")


def joined(layer: Any, training: Graph, inference: Graph) -> Graph:
    """The graph that does in each mode what was seen in it. Raises Refused where that is not one graph."""
    if training.inputs != inference.inputs or len(training.outputs) != len(inference.outputs):
        raise differs(layer, training.ops, "takes or gives something else in training than in inference")
    return _Join(layer, training, inference).run()


def differs(layer: Any, ops: Iterable[Op], what: str) -> Exception:
    where = next((op.where for op in ops if op.where), "")
    return refused(
        layer, f"its `call` {what}", "do the same in both modes, or give a rule with --rules", where
    )


@dataclass
class _Join:
    """Both graphs on their way into one: the ops so far, and what each tensor is in it, by mode."""

    layer: Any
    training: Graph
    inference: Graph
    ops: list[Op] = field(default_factory=list)
    first: dict[str, str] = field(default_factory=dict)
    second: dict[str, str] = field(default_factory=dict)
    selected: dict[tuple[str, str], str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    bodies: dict[str, Graph] = field(default_factory=dict)

    def run(self) -> Graph:
        for name in self.training.inputs:
            self.first[name] = self.second[name] = name
        self.taken = {*self.training.inputs, *(name for op in self.training.ops for name in op.outputs)}
        self.leaves()
        ours, theirs = (
            [op for op in graph.ops if op.kind not in LEAVES] for graph in (self.training, self.inference)
        )
        matcher = SequenceMatcher(None, list(map(key, ours)), list(map(key, theirs)), autojunk=False)
        for tag, start, end, begin, stop in matcher.get_opcodes():
            if tag == "equal":
                for one, other in zip(ours[start:end], theirs[begin:stop], strict=True):
                    self.both(one, other)
                continue
            for op in ours[start:end]:
                self.alone(op, self.first, self.training)
            for op in theirs[begin:stop]:
                if op.kind in STATEFUL or op.kind == "Model":
                    raise differs(self.layer, [op], f"calls {op.layer} in inference alone")
                self.alone(op, self.second, self.inference)
        pairs = zip(self.training.outputs, self.inference.outputs, strict=True)
        outputs = tuple(self.one(self.first[a], self.second[b]) for a, b in pairs)
        renamed = dict(zip(self.training.outputs, outputs, strict=True))
        ops = tuple(replace(op, turn=at) for at, op in enumerate(self.ops))
        structure = map_refs(self.training.structure, lambda name: Ref(renamed[name]))
        return self.training.replace(ops=ops, outputs=outputs, structure=structure, bodies=self.bodies)

    def leaves(self) -> None:
        """Weights and constants: those that both modes have are one."""
        known: dict[Any, str] = {}
        for graph, names in ((self.training, self.first), (self.inference, self.second)):
            for op in graph.ops:
                if op.kind not in LEAVES:
                    continue
                own = (op.kind, text(op.config), text(op.args), op.layer if op.kind == LEAVES[0] else "")
                if own not in known:
                    name = op.name if names is self.first else self.free(op.name)
                    known[own] = name
                    config = {**op.config, "attribute": name} if op.kind == LEAVES[0] else op.config
                    self.ops.append(replace(op, name=name, outputs=(name,), layer=name, config=config))
                names[op.name] = known[own]

    def both(self, one: Op, other: Op) -> None:
        """An op of both modes; what they read differently is chosen by the mode."""
        pairs = zip(refs((one.args, one.kwargs)), refs((other.args, other.kwargs)), strict=True)
        reads = iter([self.one(self.first[a], self.second[b]) for a, b in pairs])
        args = map_refs(one.args, lambda name: Ref(next(reads)))
        kwargs = {key: map_refs(one.kwargs[key], lambda name: Ref(next(reads))) for key in sorted(one.kwargs)}
        follows = (one.training, other.training) in ((True, False), (None, None))
        if not follows and one.training != other.training:
            raise differs(self.layer, [one], f"calls {one.layer} with training turned around")
        if one.layer in self.training.bodies:
            body = joined(self.layer, self.training.bodies[one.layer], self.inference.bodies[other.layer])
            self.bodies[one.layer] = body
        mode = None if follows else one.training
        self.ops.append(replace(one, args=args, kwargs=kwargs, training=mode))
        for name, theirs in zip(one.outputs, other.outputs, strict=True):
            self.first[name] = self.second[theirs] = name

    def alone(self, op: Op, names: dict[str, str], graph: Graph) -> None:
        """An op of one mode, which only its own mode reads."""
        outputs = op.outputs if names is self.first else tuple(map(self.free, op.outputs))
        args, kwargs = map_refs((op.args, dict(op.kwargs)), lambda name: Ref(names[name]))
        names.update(zip(op.outputs, outputs, strict=True))
        if op.layer in graph.bodies:
            self.bodies[op.layer] = graph.bodies[op.layer]
        if op.kind == "state:assign":
            op = replace(op, config={"training": names is self.first})
        if op.training is (names is self.first):  # told its own mode, in which alone it is read
            op = replace(op, training=None)
        layer = op.layer if op.layer != op.name else outputs[0]
        made = replace(op, name=outputs[0], args=args, kwargs=kwargs, outputs=outputs, layer=layer)
        self.ops.append(made)

    def one(self, ours: str, theirs: str) -> str:
        """The tensor that one mode has as `ours`, the other as `theirs`."""
        if ours == theirs:
            return ours
        if (ours, theirs) not in self.selected:
            name = self.free(f"{ours.partition(':')[0]}_or_not")
            args = (Ref(ours), Ref(theirs))
            self.ops.append(Op(name, "mode:select", args, (name,), layer=name))
            self.selected[ours, theirs] = name
        return self.selected[ours, theirs]

    def free(self, wanted: str) -> str:
        name = numbered(wanted, self.taken)
        self.taken.add(name)
        return name


def key(op: Op) -> tuple[Any, ...]:
    """What an op has in common with the same one in the other mode: all but the tensors that it reads."""

    def plain(value: Any) -> str:
        return text(map_refs(value, lambda name: "a tensor"))

    is_layer = (
        bool(op.stored) or op.kind == "Model" or not op.kind.startswith(("TF", "Tensor", "keras.ops", "tf."))
    )
    return (op.kind, text(op.config), plain(op.args), plain(dict(op.kwargs)), op.where,
            op.layer if is_layer else "", len(op.outputs))  # fmt: skip


def text(value: Any) -> str:
    """A value as text, the same for equal ones: TensorFlow's attributes come in no order of their own."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(sorted(f"{key!r}: {text(item)}" for key, item in value.items())) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(text, value)) + "]"
    return repr(value)
