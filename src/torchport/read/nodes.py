"""Calls of layers: the arguments of each inbound node, as Keras 2 and Keras 3 save them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torchport.errors import BadFile
from torchport.graph import Ref, is_keras_2, map_refs, refs
from torchport.read import dialect
from torchport.read.document import integer, mapping, sequence, text
from torchport.rules import find

#: Levels of lists and dictionaries in the arguments of a call.
DEPTH = 20
#: Outputs of one call; Keras's largest have a handful.
OUTPUTS = 10_000

MODELS = frozenset({"Functional", "Sequential", "Model"})
#: These keep a list of one tensor a list; others get the tensor itself.
KEEP_LISTS = frozenset({"TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod"})


@dataclass(frozen=True)
class Source:
    """Where an argument comes from: output `index` of call number `node` of a layer."""

    layer: str
    node: int
    index: int

    @property
    def key(self) -> str:
        """Stands for the source inside a Ref, until all ops have names."""
        return f"{self.index} {self.node} {self.layer}"


def source(key: str) -> Source:
    """The inverse of `Source.key`."""
    index, node, layer = key.split(" ", 2)
    return Source(layer, int(node), int(index))


@dataclass(frozen=True)
class Call:
    """One call of a layer; its Refs hold `Source.key`s."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def sources(self) -> list[Source]:
        return [source(key) for key in refs((self.args, self.kwargs))]

    def renamed(self, names: Mapping[Source, str]) -> Call:
        """The same call, reading the tensors that its sources have become."""
        args, kwargs = map_refs((self.args, dict(self.kwargs)), lambda key: Ref(names[source(key)]))
        return Call(args, kwargs)


def reference(value: Any, what: str, where: str) -> Source:
    """A saved `[layer, node, tensor]`."""
    items = sequence(value, what, where)
    if len(items) not in (3, 4):
        raise BadFile(f"{what} should be [layer, node, tensor], not {value!r}"[:200], where=where)
    return Source(
        text(items[0], f"the layer of {what}", where),
        integer(items[1], f"the node of {what}", where, high=1_000_000),
        integer(items[2], f"the tensor of {what}", where, high=OUTPUTS),
    )


def calls(entry: Mapping[str, Any], kind: str, version: str, where: str) -> list[Call]:
    """The calls of a layer, in the order in which they are numbered."""
    nodes = sequence(entry.get("inbound_nodes", []), "inbound_nodes", where)
    read = []
    for node in nodes:
        if isinstance(node, dict) and {"args", "kwargs"} <= node.keys():
            call = keras_3_call(node, where)
        elif node:
            call = keras_2_call(node, kind, where)
        else:  # an InputLayer in some versions
            continue
        read.append(settle(call, kind, version))
    return read


def keras_3_call(node: Mapping[str, Any], where: str) -> Call:
    args = tuple(value(item, where) for item in sequence(node["args"], "args", where))
    kwargs = mapping(node["kwargs"], "kwargs", where)
    return Call(args, {key: value(item, where) for key, item in kwargs.items()})


def value(saved: Any, where: str, depth: int = 0) -> Any:
    """One argument of Keras 3: tensors as Refs, slices and ... as themselves, others as saved."""
    if depth > DEPTH:
        raise BadFile("the arguments of a call are nested too deeply", where=where)
    if isinstance(saved, (list, tuple)):
        return [value(item, where, depth + 1) for item in saved]
    if not isinstance(saved, dict):
        return saved
    name = saved.get("class_name")
    if name == "__keras_tensor__":
        config = mapping(saved.get("config"), "a tensor's config", where)
        return Ref(reference(config.get("keras_history"), "keras_history", where).key)
    if name == "__slice__":
        config = mapping(saved.get("config"), "a slice's config", where)
        return slice(*(value(config.get(end), where, depth + 1) for end in ("start", "stop", "step")))
    if name == "__ellipsis__":
        return ...
    return {key: value(item, where, depth + 1) for key, item in saved.items()}


def keras_2_call(node: Any, kind: str, where: str) -> Call:
    """A call of Keras 2: its first argument, with the others beside each tensor of it."""
    found: dict[str, Any] = {}

    def first(saved: Any, depth: int = 0) -> Any:
        if depth > DEPTH:
            raise BadFile("the arguments of a call are nested too deeply", where=where)
        if is_reference(saved):
            if len(saved) == 4:
                # Keras writes the same keywords beside every tensor, and reads the last ones.
                found.update(mapping(saved[3], "the keywords of a call", where))
            if saved[0] == "_CONSTANT_VALUE":
                return saved[2]
            return Ref(reference(saved[:3], "an inbound node", where).key)
        if isinstance(saved, dict):
            return {key: first(item, depth + 1) for key, item in saved.items()}
        return [first(item, depth + 1) for item in sequence(saved, "an inbound node", where)]

    def keyword(saved: Any, depth: int = 0) -> Any:
        if depth > DEPTH:
            raise BadFile("the arguments of a call are nested too deeply", where=where)
        if is_reference(saved) and len(saved) == 3 and is_count(saved[1]) and is_count(saved[2]):
            return Ref(reference(saved, "a keyword argument", where).key)
        if isinstance(saved, list):
            return [keyword(item, depth + 1) for item in saved]
        if isinstance(saved, dict):
            return {key: keyword(item, depth + 1) for key, item in saved.items()}
        return saved

    argument = first(node)
    if isinstance(argument, list) and len(argument) == 1 and kind not in KEEP_LISTS:
        argument = argument[0]
    return Call((argument,), {key: keyword(item) for key, item in found.items()})


def is_reference(saved: Any) -> bool:
    return isinstance(saved, (list, tuple)) and len(saved) in (3, 4) and isinstance(saved[0], str)


def is_count(saved: Any) -> bool:
    return isinstance(saved, int) and not isinstance(saved, bool) and saved >= 0


def settle(call: Call, kind: str, version: str) -> Call:
    """The call without arguments that say nothing, and with Keras 2's initial states named."""
    kwargs = {
        key: item
        for key, item in call.kwargs.items()
        if not (key == "mask" and says_nothing(item)) and not (key == "training" and item is None)
    }
    if "training" in kwargs and not training_matters(kwargs["training"], kind, version):
        del kwargs["training"]
    args = call.args
    if is_keras_2(version):
        is_recurrent = (entry := find(kind)) is not None and entry.is_recurrent
        if is_recurrent and isinstance(args[0], list) and len(args[0]) > 1:
            # RNN.__call__ of Keras 2 appends the states to the input, and they are saved so.
            args, kwargs = (args[0][0],), {**kwargs, "initial_state": args[0][1:]}
        if kind in KEEP_LISTS and kwargs.get("name", ...) is None:
            del kwargs["name"]
    return replace(call, args=args, kwargs=kwargs)


def says_nothing(mask: Any) -> bool:
    """Whether a mask argument is None, or None for each input."""
    if isinstance(mask, Mapping):
        return all(map(says_nothing, mask.values()))
    if isinstance(mask, list):
        return all(map(says_nothing, mask))
    return mask is None


def training_matters(training: Any, kind: str, version: str) -> bool:
    """Whether a recorded `training=` changes what the loaded model computes.

    Keras 2 calls each layer with the arguments of its node (`Functional._run_internal_graph`), and
    an explicit argument wins over the model's (`Layer._functional_construction_call`):
    both True and False are fixed.

    Keras 3 replaces it by the model's own `training` unless that is None (`operation_fn` in
    keras/src/models/functional.py), and `fit`, `evaluate` and `predict` all give one. So False,
    which every Dropout and RNN records by default, says nothing. True shows when the model is
    called without `training`: a rule has to decide, except where it is only the layer's default.
    """
    if training is None:
        return False
    if is_keras_2(version):
        return True
    # That of a model in the model is said to what is in it, which may say True.
    return (bool(training) or kind in MODELS) and kind not in dialect.TRAINING_BY_DEFAULT
