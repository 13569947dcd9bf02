"""The masks that Keras carries from layer to layer unseen become tensors, given to those who use them.

before:  x = Embedding(words), mask_zero=True;  y = LSTM(x)
after:   x = Embedding(words);  mask = mask:unlike(words), value=0;  y = LSTM(x, mask=mask)

A Functional model of Keras 3 records the operations that make a mask, though not for every layer that gets
it; those that say what is known anyway are replaced. Source: keras/src/layers/layer.py, `Layer.__call__`.
All others are looked for when the model runs, in that order: MultiHeadAttention takes them off what it reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor, is_keras_2, refs
from torchport.names import numbered
from torchport.rules import Rule, find
from torchport.rules.facts import DROPS, PASSES, Gives, Masks, Reads

#: What a mask is, to compare: ("unlike", tensor, value), ("or", masks), ("steps", mask)…; None: all steps
#: count.
Mask = tuple[Any, ...] | None

#: Operations that Keras 3 records to make masks.
RECORDED = frozenset(
    f"keras.ops.{name}" for name in "NotEqual Any LogicalOr ExpandDims ZerosLike OnesLike Concatenate".split()
)


def facts(kind: str) -> Masks:
    """What a kind of layer does with masks; Activation is here still a layer of its own."""
    entry = find(kind)
    return PASSES if kind == "Activation" else (entry and entry.masks) or DROPS


def write_masks(graph: Graph) -> Graph:
    """The graph with an op for every mask that a layer uses."""
    return _Masks(graph, {}).written()


@dataclass
class _Masks:
    """One graph on its way: the mask of each tensor, the ops so far, and the masks that are written."""

    graph: Graph
    masks: dict[str, Mask]
    ops: list[Op] = field(default_factory=list)
    made: dict[Any, str] = field(default_factory=dict)
    #: Nested models that were called so far, and the masks of the outputs of the last.
    entered: dict[str, Graph] = field(default_factory=dict)
    inside: list[Mask] = field(default_factory=list)
    #: The names of masks that a nested model is given.
    given: frozenset[str] = frozenset()

    def written(self) -> Graph:
        self.defined = {name: op for op in self.graph.ops for name in op.outputs}
        bodies = dict(self.graph.bodies)
        for op in sorted(self.graph.ops, key=lambda it: it.turn) if self.takes_off else self.graph.ops:
            try:
                self.ops.append(self._read(op, bodies))
            except Unsupported as error:
                self.ops.append(replace(op, refused=(error.why, error.advice)))
            for name, mask in zip(op.outputs, self._given(op, self.ops[-1]), strict=False):
                self.masks[name] = mask
            if self.takes_off and facts(op.kind).removes:
                self.masks.update(dict.fromkeys(refs((op.args, op.kwargs))))
        graph = self.graph.replace(ops=tuple(self.ops), bodies=bodies)
        return _without_unread(graph)

    @cached_property
    def takes_off(self) -> bool:
        """Whether a layer takes masks off what it reads.

        Source: keras/src/layers/attention/multi_head_attention.py, call.
        """
        return not is_keras_2(self.graph.dialect) and any(facts(op.kind).removes for op in self.graph.ops)

    # What an op reads

    def _read(self, op: Op, bodies: dict[str, Graph]) -> Op:
        """The op with its masks as keyword arguments."""
        if op.kind == "Model":
            return self._enter(op, bodies)
        keras_2 = is_keras_2(self.graph.dialect)
        kwargs, reads = dict(op.kwargs), facts(op.kind).of(keras_2).reads
        if (entry := find(op.kind)) and entry.is_theirs:
            return self._theirs(op, entry)
        if op.kind in ("time:fold", "time:unfold") and self._of(op.args[0]):
            if op.kind == "time:fold" or keras_2:
                raise Unsupported("a mask at a model at every step", "mask what comes behind it")
        if op.kind == "mask:of":
            if (mask := self._of(op.args[0])) is None:
                raise Unsupported("a mask that is not followed up to here", "hand it over as an argument")
            return replace(op, kind="Identity", args=(self._ref(mask, op),))
        if facts(op.kind).gives is Gives.VALUES:
            return replace(op, kwargs={"mask": self._ref(self._masking(op), op)})
        if reads in (Reads.FIRST, Reads.STEPS, Reads.INNER, Reads.TRAINING):
            # Keras 3 looks for a mask only where one tensor alone is given: none where there are states.
            unseen = not keras_2 and reads is Reads.STEPS and "mask" not in kwargs and _has_states(op)
            seen = not unseen and (reads is not Reads.TRAINING or op.is_in_training)
            if seen and (mask := self._previous(op)) is not None:
                kwargs["mask"] = self._ref(mask, op)
        elif reads is Reads.ANY and any(self._list(op.args[0])):
            kwargs["mask"] = [self._ref(it, op) for it in self._list(op.args[0])]
        elif reads is Reads.LIST:
            masks = self._list(kwargs.get("mask") or op.args[0], given="mask" in kwargs)
            if any(masks):
                kwargs["mask"] = [self._ref(it, op) for it in masks]
        elif reads is Reads.EACH:
            if len(op.args) == 1 and "value" in kwargs:  # as Keras 2 records it
                op = replace(op, args=(*op.args, kwargs.pop("value")))
            named = dict(zip(("query", "value", "key"), op.args, strict=False)) | kwargs
            if self.takes_off and facts(op.kind).removes:
                kwargs.pop("query_mask", None)  # it looks at the tensor's own alone
            for name in ("query", "value", "key"):
                mask = self._of(named.get(name))
                if mask is not None and f"{name}_mask" not in kwargs:
                    kwargs[f"{name}_mask"] = self._ref(mask, op)
        if reads is Reads.INNER and not _takes_mask(op):
            kwargs.pop("mask", None)
        return replace(op, kwargs=kwargs)

    def _theirs(self, op: Op, entry: Rule) -> Op:
        """A layer with a rule of the user's, which has to say what it does with a mask."""
        if not any(self.masks.get(name) for name in op.inputs):
            return op
        if not entry.masks:
            raise Unsupported(
                "it reads a tensor that carries a mask, and its rule does not say what becomes of it",
                'let the rule say masks="passes" (where the class sets supports_masking) or masks="drops": '
                '@rule(..., masks="passes"); an option `mask` of the rule gets the mask itself',
            )
        if "mask" not in entry.options or "mask" in op.kwargs or (mask := self._previous(op)) is None:
            return op
        return replace(op, kwargs={**op.kwargs, "mask": self._ref(mask, op)})

    def _enter(self, op: Op, bodies: dict[str, Graph]) -> Op:
        """A nested model; masks that are used in it are further inputs, those it makes are made again."""
        body = self.graph.bodies[op.layer]
        recorded = op.kwargs.get("mask")
        op = replace(op, kwargs={key: value for key, value in op.kwargs.items() if key != "mask"})
        found = [self.masks.get(name) for name in op.inputs]
        if recorded is not None:
            found = self._list(recorded, given=True)
        taken = {*body.inputs, *(name for it in body.ops for name in it.outputs)}
        outer: dict[str, Mask] = {}
        carried: dict[str, Tensor] = {}
        masks: dict[str, Mask] = {}
        for mask, name in zip(found, body.inputs, strict=False):
            if mask is not None:
                given = next(
                    it for it in ("mask", f"{name}_mask", f"{op.layer}_{name}_mask") if it not in taken
                )
                taken.add(given)
                outer[given], masks[name] = mask, ("given", given)
                carried[given] = Tensor(given, body.tensors[name].shape[:-1], dtype="bool")
        inner = _Masks(body, masks, given=frozenset(outer))
        written = inner.written()
        read = {name for it in written.ops for name in it.inputs}
        used = [name for name in outer if name in read]
        added = {name: carried[name] for name in used}
        written = written.replace(inputs=(*written.inputs, *used), tensors={**written.tensors, **added})
        made = [inner.masks.get(name) for name in body.outputs]
        if body.cls:
            mask, first = (found[0], op.inputs[0]) if found else (None, "")
            self.inside = [_after(how, mask, first) for how in body.masks]
        places = dict(zip(body.inputs, op.inputs, strict=False))
        if not body.cls:
            self.inside = [it and (_outside(it, outer, places) or ("inside", op.layer)) for it in made]
        if op.layer in self.entered and self.entered[op.layer] != written:
            why = f"the nested model {op.layer!r} is called with other masks than before"
            raise Unsupported(why, "give all its calls a mask, or none")
        self.entered[op.layer] = bodies[op.layer] = written
        if used and any(refs(op.kwargs)):
            raise Unsupported("masks for a nested model that is given tensors by name", "give them by place")
        return replace(op, args=(*op.args, *(self._ref(outer[name], op) for name in used)))

    def _previous(self, op: Op) -> Mask:
        """The mask that was given, or that the first argument has."""
        given = op.kwargs.get("mask")
        while isinstance(given, (list, tuple)) and given:
            given = given[0]
        if isinstance(given, Ref):
            return self._known(given.tensor)
        return self._of(op.args[0]) if op.args else None

    def _of(self, argument: Any) -> Mask:
        """The mask of a tensor; of a list, that of its first."""
        while isinstance(argument, (list, tuple)) and argument:
            argument = argument[0]
        return self.masks.get(argument.tensor) if isinstance(argument, Ref) else None

    def _list(self, argument: Any, given: bool = False) -> list[Mask]:
        """The masks of a list of tensors, or those of a list of masks."""
        items = argument if isinstance(argument, (list, tuple)) else [argument]
        if given:
            return [self._known(it.tensor) if isinstance(it, Ref) else None for it in items]
        return [self._of(it) for it in items]

    # What an op gives

    def _given(self, before: Op, op: Op) -> Sequence[Mask]:
        """The masks of the op's outputs. Source: `compute_mask` of each layer."""
        config, gives = op.config, facts(op.kind).of(is_keras_2(self.graph.dialect)).gives
        if op.kind == "Model":
            return self.inside
        if gives is Gives.LOOKUP:
            is_lookup = config.get("mask_zero") and not op.kwargs.get("reverse")
            return [("unlike", next(refs(op.args)), 0)] if is_lookup else [None]
        if gives is Gives.VALUES:
            return [self._masking(op)]
        if gives is Gives.STEPS:
            mask = self._previous(before) if _gives_steps(config) else None
            both = "layer" in config and config.get("merge_mode", "concat") is None
            return [mask, mask] if both else [mask]
        if gives is Gives.MERGED:
            return [self._merged(op)]
        if gives is Gives.LIST:
            return [self._list(before.kwargs.get("mask") or op.args[0], given="mask" in before.kwargs)[0]]
        if gives is Gives.INNER:
            return [self._at_every_step(op, config.get("layer", {}), self._previous(before))]
        return [self._previous(before)] if gives is Gives.FIRST else [None]

    def _at_every_step(self, op: Op, entry: Any, mask: Mask) -> Mask:
        """What TimeDistributed of Keras 2 makes of the masks that its layer gives at every step.

        Source: tf_keras/src/layers/rnn/time_distributed.py, compute_mask.
        """
        kind, config = str(entry.get("class_name")), entry.get("config", {})
        if kind == "TimeDistributed":
            inner = self._at_every_step(op, config.get("layer", {}), mask)
            if inner and inner[0] == "steps":
                return ("unknown", "the mask of a layer at every step of every step")
            return inner
        does = facts(kind).of(True)
        if does.gives is Gives.LOOKUP and config.get("mask_zero"):
            return ("unlike", next(refs(op.args)), 0)
        if does.gives is Gives.VALUES:
            return ("any_unlike", next(refs(op.args)), config.get("mask_value", 0.0))
        is_last = does.gives is Gives.STEPS and not _gives_steps(config)
        ends = is_last or (does.reads is Reads.FIRST and does.gives is Gives.NONE)
        return ("steps", mask) if ends and mask else mask

    @staticmethod
    def _masking(op: Op) -> Mask:
        return ("any_unlike", next(refs(op.args)), op.config.get("mask_value", 0.0))

    def _merged(self, op: Op) -> Mask:
        """Keras 3 keeps a step that any tensor has, Keras 2 one that all have."""
        tensors = list(refs(op.args))
        masks = [self.masks.get(name) for name in tensors]
        keras_2 = is_keras_2(self.graph.dialect)
        there = [mask for mask in masks if mask is not None]
        if not there:
            return None
        axis = op.config.get("axis", -1)
        if op.kind == "Concatenate" and axis == 1:
            pairs = zip(tensors, masks, strict=True)
            return ("cat", axis, tuple(mask or ("all", name) for name, mask in pairs))
        if op.kind == "Concatenate" and axis not in (-1, 2):
            return ("unknown", f"the mask of a concatenation along axis {axis}")
        if keras_2:
            return _joined("and", there)
        return _joined("or", there) if len(there) == len(masks) else None

    # Masks that are recorded

    def _known(self, name: str) -> Mask:
        """What a mask that was given is, as far as it is made as Keras makes masks."""
        op = self.defined.get(name)
        if op is None or op.kind not in RECORDED:
            return ("given", name)
        first = [it.tensor for it in op.args[:2] if isinstance(it, Ref)]
        if op.kind == "keras.ops.NotEqual" and len(op.args) == 2 and len(first) == 1:
            return ("unlike", first[0], op.args[1])
        if op.kind == "keras.ops.LogicalOr" and len(first) == 2:
            return _joined("or", [self._known(it) for it in first])
        if op.kind == "keras.ops.Any" and first and _is_last(op):
            inner = self._known(first[0])
            if inner and inner[0] == "unlike":
                return ("any_unlike", *inner[1:])
            if (joint := self.defined.get(first[0])) and joint.kind == "keras.ops.Concatenate":
                return self._joint(joint) or ("given", name)
        return ("given", name)

    def _joint(self, op: Op) -> Mask:
        """The mask that Keras 3 makes for Concatenate."""
        masks: list[Mask] = []
        for part in op.args[0]:
            made = self.defined.get(part.tensor) if isinstance(part, Ref) else None
            if made is None:
                return None
            if made.kind == "keras.ops.OnesLike":
                masks.append(("all", next(refs(made.args))))
            elif made.kind == "keras.ops.LogicalOr":
                wide = self.defined.get(next(refs(made.args)))
                if wide is None or wide.kind != "keras.ops.ExpandDims":
                    return None
                masks.append(self._known(next(refs(wide.args))))
            else:
                return None
        axis = op.config.get("axis", op.kwargs.get("axis", -1))
        if axis == 1:
            return ("cat", axis, tuple(masks))
        everything = any(mask and mask[0] == "all" for mask in masks)
        return None if everything else _joined("or", masks)

    # Ops for masks

    def _ref(self, mask: Mask, op: Op) -> Ref | None:
        """The tensor of a mask, written now if it is not there yet."""
        if mask is None:
            return None
        kind, *rest = mask
        if kind == "given":
            return Ref(rest[0])
        if kind in ("inside", "unknown"):
            made = f"its mask is made in the nested model {rest[0]!r}"
            why = f"it gets {rest[0]}" if kind == "unknown" else made
            advice = "call the layers of the nested model directly, or pass the mask as an input"
            raise Unsupported(why, advice)
        if mask not in self.made:
            options: dict[str, Any] = {}
            if kind in ("unlike", "any_unlike"):
                args: tuple[Any, ...] = (Ref(rest[0]),)
                options = {"value": rest[1]}
            elif kind == "all":
                args = (Ref(rest[0]),)
            elif kind == "steps":
                args = (self._ref(rest[0], op),)
            elif kind == "cat":
                args, options = ([self._ref(it, op) for it in rest[1]],), {"axis": rest[0]}
            else:
                args = ([self._ref(it, op) for it in rest[0]],)
            taken = {*self.graph.inputs, *self.given, *self.defined, *self.made.values()}
            name = numbered("mask", taken)
            self.made[mask] = name
            self.ops.append(Op(name, f"mask:{kind}", args, (name,), options, layer=name))
        return Ref(self.made[mask])


def _outside(mask: Mask, outer: Mapping[str, Mask], places: Mapping[str, str]) -> Mask:
    """A mask of a nested model outside of it; None where it is made of more than the model's inputs.

    `outer`: masks that the model is given; `places`: what its inputs are outside.
    """
    if mask is None or mask[0] == "unknown":
        return mask
    kind, first, *rest = mask
    if kind == "given":
        return outer.get(first)
    if kind in ("unlike", "any_unlike", "all"):
        return (kind, places[first], *rest) if first in places else None
    if kind == "steps":
        inner = _outside(first, outer, places)
        return inner and (kind, inner)
    parts = tuple(_outside(it, outer, places) for it in (rest[0] if kind == "cat" else first))
    if None in parts:
        return None
    return (kind, first, parts) if kind == "cat" else (kind, parts)


def _after(how: str, mask: Mask, first: str) -> Mask:
    """The mask behind a layer of the user's own, of which `first` is the first input."""
    if how.startswith("unlike "):
        return ("unlike", first, int(how.removeprefix("unlike ")))
    if how == "makes":
        return ("unknown", "the mask that the `compute_mask` of a layer before it makes")
    return mask if how == "passes" else None


def _joined(symbol: str, masks: Iterable[Mask]) -> Mask:
    """Several masks as one, each once."""
    found: list[Mask] = []
    for mask in masks:
        for it in mask[1] if mask and mask[0] == symbol else (mask,):
            if it not in found:
                found.append(it)
    return found[0] if len(found) == 1 else (symbol, tuple(found))


def _gives_steps(config: Mapping[str, Any]) -> bool:
    """Whether a recurrent layer, or the one inside of it, gives all steps."""
    inner = config["layer"].get("config", {}) if "layer" in config else config
    return bool(inner.get("return_sequences"))


def _has_states(op: Op) -> bool:
    """Whether a recurrent layer is given its first state."""
    return any(refs((op.args[1:], op.kwargs.get("initial_state"))))


def _is_last(op: Op) -> bool:
    options = {**op.config, **op.kwargs}
    return options.get("axis", -1) == -1 and not options.get("keepdims")


def _takes_mask(op: Op) -> bool:
    """Whether the layer inside TimeDistributed takes a mask."""
    inner = op.config.get("layer", {})
    reads = facts(str(inner.get("class_name"))).reads if isinstance(inner, Mapping) else Reads.NONE
    return reads in (Reads.FIRST, Reads.STEPS, Reads.INNER, Reads.TRAINING)


def _without_unread(graph: Graph) -> Graph:
    """The graph without recorded mask operations that nobody reads any more."""
    ops = list(graph.ops)
    while True:
        read = {*graph.outputs, *refs(graph.structure), *(name for op in ops for name in op.inputs)}
        kept = [op for op in ops if op.kind not in RECORDED or any(it in read for it in op.outputs)]
        if len(kept) == len(ops):
            return graph.replace(ops=tuple(kept))
        ops = kept
