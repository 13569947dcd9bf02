"""The objects of a TensorFlow checkpoint: which variable is an attribute of which layer.

A checkpoint says what each object is called by the one that has it. A Keras model calls its layers `layer-0`,
`layer-1`… in the order of `model.layers`, without the input of a Sequential model
(`_layer_checkpoint_dependencies` in tf_keras/src/engine/functional.py); a layer calls its variables and the
layers in it by the names of its attributes. Source: tensorflow/core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Weight
from torchport.read.bundle import Bundle
from torchport.read.layers import Claims, Layer
from torchport.read.members import DAMAGED, HOSTILE
from torchport.read.wire import Message

#: The tensor that holds the graph of objects.
KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
#: Objects of one model.
OBJECTS = 5_000_000
#: Attributes of a layer or model that are functions, what training left behind, or lists of what it has.
ASIDE = frozenset(
    "variables trainable_variables non_trainable_variables regularization_losses keras_api __call__ "
    "call_and_return_all_conditional_losses call_and_return_conditional_losses _default_save_signature "
    "signatures optimizer save_counter _random_generator seed_generator _seed_generator "
    "_adapt_function root".split()
)
#: The variables of a metric that counts.
METRIC = frozenset({"total", "count"})


@dataclass(frozen=True)
class Node:
    """An object: its attributes by name, and the keys of its own values."""

    children: Mapping[str, int]
    #: The key of a variable's value, and the name that it was made with; empty for other objects.
    key: str
    name: str
    #: The key of a lookup table.
    table: str


def nodes(bundle: Bundle) -> tuple[Node, ...]:
    """All objects, the model first. Raises BadFile for a graph that is damaged."""
    where = f"{bundle.prefix}.index"
    if KEY not in bundle.entries:
        raise BadFile(
            "is a checkpoint of TensorFlow 1: it has names of variables, and no layers",
            where=where,
            advice="load it into the Keras model with TensorFlow 1, and save that as .h5",
        )
    (text, *more) = bundle.texts(KEY)
    if more:
        raise BadFile("has several graphs of objects", where=where, advice=DAMAGED)
    found = tuple(node(it) for it in Message.of(memoryview(text), where).messages(1))
    if not found or len(found) > OBJECTS:
        raise BadFile(f"has {len(found)} objects", where=where, advice=HOSTILE)
    for it in found:
        if any(not 0 <= child < len(found) for child in it.children.values()):
            raise BadFile("an object has an attribute that is not there", where=where, advice=DAMAGED)
    return found


def node(message: Message) -> Node:
    children = {child.text(2): child.integer(1) for child in message.messages(1)}
    values = {it.text(1): (it.text(2), it.text(3)) for it in message.messages(2)}
    name, key = values.get("VARIABLE_VALUE", ("", ""))
    return Node(children, key, name, values.get("table", ("", ""))[1])


@dataclass(frozen=True)
class Objects(Claims):
    """The layers of one model in a checkpoint.

    `at` is the model's object, `layers` the names of its layers in Keras's order. `names`: what layers call
    themselves, by object, where that is known. `is_metric`: objects that count what training does.
    """

    bundle: Bundle
    nodes: Sequence[Node]
    at: int = 0
    path: str = ""
    layers: tuple[str, ...] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    metrics: frozenset[int] = frozenset()
    #: The variables that have a layer, by object: one that several layers have is the same.
    claimed: dict[int, Weight] = field(default_factory=dict)

    def among(self, layers: Sequence[str]) -> Objects:
        return replace(self, layers=tuple(layers))

    def object(self, layer: Layer) -> int:
        """The object of a layer. Raises BadFile if the checkpoint has none."""
        children = self.nodes[self.at].children
        for name, child in children.items():
            if name.startswith("layer-") and self.names.get(child) == layer.name:
                return child
        child = (
            children.get(f"layer-{self.layers.index(layer.name)}", -1) if layer.name in self.layers else -1
        )
        if child < 0 or self.names.get(child, layer.name) != layer.name:
            raise BadFile(
                f"has no variables of the layer {self.path}{layer.name}",
                where=f"{self.bundle.prefix}.index",
                advice="give the architecture that was saved, or save the model again as .keras",
            )
        return child

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        if layer.is_operation or layer.has_body or layer.name not in self.layers:
            return {}
        found = list(self.variables(self.object(layer), layer))
        return {str(number): weight for number, weight in enumerate(found)}

    def variables(self, start: int, layer: Layer) -> Iterator[Weight]:
        """The variables of a layer and of those in it, in the order in which it got them."""
        for at in self.reached([start]):
            own = self.nodes[at]
            if not own.key:
                continue
            if at not in self.claimed:
                self.claimed[at] = self.bundle.weight(own.key, own.key)
            short = own.name.rpartition("/")[2] or "variable"
            yield replace(self.claimed[at], name=f"{self.path}{layer.name}/{short}")

    def reached(self, starts: Sequence[int]) -> Iterator[int]:
        """Objects and all that are attributes of them, each once, depth first."""
        done: set[int] = set()
        stack = list(reversed(starts))
        while stack:
            at = stack.pop()
            if at in done:
                continue
            done.add(at)
            yield at
            inside = (child for name, child in self.nodes[at].children.items() if name not in ASIDE)
            stack += reversed([child for child in inside if child not in self.metrics])

    def adapted(self, layer: Layer) -> Mapping[str, Any]:
        """The words of a lookup, where the checkpoint has its table. Raises Refused where it has not."""
        for at in self.reached([self.object(layer)]):
            key = self.nodes[at].table
            if key and (words := self.words(key)):
                return {"vocabulary": words}
        why = "its vocabulary is a constant of TensorFlow's graph, no part of the configuration or a variable"
        advice = "load the model with Keras and save it as .keras"
        raise Refused((Refusal(f"{self.path}{layer.name}", layer.kind, why, advice),))

    def words(self, key: str) -> list[Any]:
        """The keys of a table by their numbers, if those are numbers in a row."""
        names = (f"{key}-keys", f"{key}-values")
        if any(name not in self.bundle.entries for name in names):
            return []
        numbers = [int(it) for it in self.bundle.weight(names[1], key).load().reshape(-1)]
        if self.bundle.entries[names[0]].dtype == 7:
            keys: list[Any] = [it.decode("utf-8", "replace") for it in self.bundle.texts(names[0])]
        else:
            keys = self.bundle.weight(names[0], key).load().reshape(-1).tolist()
        order = sorted(zip(numbers, keys, strict=False))
        in_a_row = all(number == order[0][0] + place for place, (number, _) in enumerate(order))
        return [word for _, word in order] if in_a_row and len(numbers) == len(keys) else []

    def inside(self, layer: Layer) -> Objects:
        at = self.object(layer)
        if layer.stepwise:
            at = self.nodes[at].children.get("layer", at)
        return replace(self, at=at, path=f"{self.path}{layer.name}/", layers=())

    def check_all_claimed(self) -> None:
        """Raises BadFile if the model has variables that belong to none of its layers."""
        for at in self.reached([self.at]):
            own = self.nodes[at]
            children = own.children.keys() - ASIDE
            if children and children <= METRIC and at not in self.claimed:
                continue
            for name in children:
                child = own.children[name]
                if self.nodes[child].key and child not in self.claimed:
                    raise BadFile(
                        f"the variable {self.nodes[child].key.partition('/.ATTRIBUTES')[0]} belongs to no "
                        "layer of the model",
                        where=f"{self.bundle.prefix}.index",
                        advice="configuration and weights are of different models, or the model has weights "
                        "of its own beside its layers",
                    )
