"""Variables that a file lists without saying whose they are, given to the layers in Keras's order.

A legacy HDF5 file has a group for each layer of the model. Of weights that were saved apart from it the
groups go to the layers in turn, whatever those are called (`load_weights_from_hdf5_group`). The variables of
a model inside the model are one list: all that are trained, then all others (`_legacy_weights`). Both in
keras/src/legacy/saving/legacy_h5_format.py and tf_keras/src/saving/legacy/hdf5_format.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Graph, Group, Op, Weight, is_keras_2
from torchport.infer.shapes import infer_shapes
from torchport.infer.weights import expected
from torchport.normalise import normalise
from torchport.read import keras1
from torchport.rules.table import is_statistic

#: A variable: the path of its layer, and its place there.
Slot = tuple[str, int]


def share_out(graph: Graph) -> Graph:
    """The graph with such variables given to its layers. Raises BadFile if they do not fit."""
    if not graph.groups and not any(_lists(graph)):
        return graph
    refusals: list[Refusal] = []
    shaped = infer_shapes(normalise(graph), refusals)
    if refusals:  # what is not ported is said later, with all else
        return graph
    statistics = dict(_statistics(shaped, ""))
    mixed = tuple(_half_frozen(graph))
    if mixed:
        raise Refused(mixed)
    if any(keras1.is_keras_1(group.version) for group in graph.groups):
        statistics |= dict(_keras_1_statistics(graph, ""))
    order = Order(statistics, graph.dialect)
    if not graph.groups:
        return order.give_lists(graph, "")
    return order.give_groups(graph)


#: Of a wrapper of which one half trains.
FROZEN = "one direction is frozen, the other is not: the file does not say whose variables are first"


def _half_frozen(graph: Graph) -> Iterator[Refusal]:
    """Wrappers of two layers of which one is trained, and listed first, whichever that is."""
    for op in graph.ops:
        flags = set()
        for entry in (op.config.get("layer"), op.config.get("backward_layer")):
            inner = entry.get("config") if isinstance(entry, Mapping) else None
            if isinstance(inner, Mapping):
                flags.add(inner.get("trainable") is not False)
        if len(flags) > 1:
            why = op.at_line(FROZEN)
            yield Refusal(f"{graph.name}/{op.layer}", op.kind, why, "save the whole model as .keras")
    for body in graph.bodies.values():
        yield from _half_frozen(body)


def _lists(graph: Graph) -> Iterator[bool]:
    """Whether a nested model has a list of variables, one for each."""
    for op in graph.ops:
        yield op.kind == "Model" and bool(op.stored)
    for body in graph.bodies.values():
        yield from _lists(body)


def _statistics(graph: Graph, path: str) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """The path of each layer, and of each of its variables whether it is never trained; those last."""
    for op in graph.ops:
        if op.kind != "Model" and op.layer and (names := expected(op, graph)):
            yield f"{path}{op.layer}", tuple(sorted(is_statistic(name, op.kind) for name in names))
    for layer, body in graph.bodies.items():
        yield from _statistics(body, f"{path}{layer}/")


def _keras_1_statistics(graph: Graph, path: str) -> Iterator[tuple[str, tuple[bool, ...]]]:
    """The same of Keras 1, which had an array for each gate of a recurrent layer."""
    for op in graph.ops:
        if op.kind != "Model":
            learnt, fixed = keras1.counted(op.kind, op.config)
            yield f"{path}{op.layer}", (False,) * learnt + (True,) * fixed
    for layer, body in graph.bodies.items():
        yield from _keras_1_statistics(body, f"{path}{layer}/")


@dataclass(frozen=True)
class Order:
    """Keras's order of a model's variables; `statistics`: of each layer's, whether it is never trained."""

    statistics: Mapping[str, tuple[bool, ...]]
    dialect: str

    def give_groups(self, graph: Graph) -> Graph:
        """The graph with a group for each of its layers that has variables."""
        heavy = [(name, trains) for name, trains in graph.layers if self.has_variables(graph, name)]
        if len(heavy) != len(graph.groups):
            raise BadFile(
                f"has variables of {len(graph.groups)} layers, the architecture has {len(heavy)} such layers",
                where=graph.name,
                advice="give the architecture that the weights were trained with; where it is meant to have "
                "a part of them, build it in Keras, load_weights(..., by_name=True), and save it as .keras",
            )
        given = dict(zip((name for name, _ in heavy), graph.groups, strict=True))
        trains = dict(heavy)
        bodies = dict(graph.bodies)
        for name in given.keys() & bodies.keys():
            of = given[name]
            bodies[name] = self.give_list(bodies[name], f"{name}/", trains[name], of.weights, of)
        ops = tuple(
            replace(op, stored=_stored(op, group.weights, group))
            if op.kind != "Model" and (group := given.get(op.layer))
            else op
            for op in graph.ops
        )
        return graph.replace(ops=ops, bodies=bodies, groups=())

    def give_lists(self, graph: Graph, path: str) -> Graph:
        """The graph with the list of every nested model given to the layers in it."""
        trains = dict(graph.layers)
        bodies = {layer: self.give_lists(body, f"{path}{layer}/") for layer, body in graph.bodies.items()}
        for op in graph.ops:
            if op.kind == "Model" and op.stored:
                weights = tuple(op.stored.values())
                at = f"{path}{op.layer}/"
                bodies[op.layer] = self.give_list(bodies[op.layer], at, trains[op.layer], weights)
        ops = tuple(replace(op, stored={}) if op.kind == "Model" else op for op in graph.ops)
        return graph.replace(ops=ops, bodies=bodies)

    def give_list(
        self, body: Graph, path: str, trains: bool, weights: Sequence[Weight], group: Group | None = None
    ) -> Graph:
        """A nested model whose layers have the variables of one list."""
        trained, others = self.split(body, path, trains)
        order = [*trained, *others]
        if len(order) != len(weights):
            what = f"has {len(weights)} variables where {len(order)} are needed"
            raise BadFile(what, where=path.rstrip("/"), advice="the weights are of another model")
        given: dict[str, dict[int, Weight]] = {}
        for (at, number), weight in zip(order, weights, strict=True):
            given.setdefault(at, {})[number] = weight
        own = {at: [found[number] for number in sorted(found)] for at, found in given.items()}
        return _give(body, own, path, group)

    def has_variables(self, graph: Graph, name: str, path: str = "") -> bool:
        body = graph.bodies.get(name)
        if body is None:
            return bool(self.statistics.get(f"{path}{name}"))
        return any(self.has_variables(body, it, f"{path}{name}/") for it, _ in body.layers)

    def split(self, body: Graph, path: str, trains: bool) -> tuple[list[Slot], list[Slot]]:
        """The variables of a model that are trained, and the others, each in Keras's order.

        Keras 3 asks every variable, and the model itself; Keras 2 every layer, whose answer for all in it
        is no if it is no for itself.
        """
        if not is_keras_2(self.dialect):
            slots = list(self.slots(body, path))
            trained = [slot for slot, learns in slots if learns and trains]
            return trained, [slot for slot, learns in slots if not (learns and trains)]
        trained, others = list[Slot](), list[Slot]()
        for name, flag in body.layers:
            at = f"{path}{name}"
            if name in body.bodies:
                own, rest = self.split(body.bodies[name], f"{at}/", flag)
            else:
                own, rest = self.leaf(at, flag)
            trained += own
            others += rest
        return (trained, others) if trains else ([], [*trained, *others])

    def leaf(self, at: str, trains: bool) -> tuple[list[Slot], list[Slot]]:
        slots = [((at, number), trains and not it) for number, it in enumerate(self.statistics.get(at, ()))]
        return [slot for slot, learns in slots if learns], [slot for slot, learns in slots if not learns]

    def slots(self, body: Graph, path: str) -> Iterator[tuple[Slot, bool]]:
        """Every variable of a model in Keras's order, and whether it is trained."""
        for name, flag in body.layers:
            at = f"{path}{name}"
            if name in body.bodies:
                yield from self.slots(body.bodies[name], f"{at}/")
            for number, statistic in enumerate(self.statistics.get(at, ())):
                yield (at, number), flag and not statistic


def _give(body: Graph, given: Mapping[str, Sequence[Weight]], path: str, group: Group | None) -> Graph:
    """A nested model and all in it with the variables of their layers, by path."""
    ops = tuple(
        op
        if op.kind == "Model"
        else replace(op, stored=_stored(op, given.get(f"{path}{op.layer}", ()), group))
        for op in body.ops
    )
    bodies = {layer: _give(inner, given, f"{path}{layer}/", group) for layer, inner in body.bodies.items()}
    return body.replace(ops=ops, bodies=bodies)


def _stored(op: Op, weights: Sequence[Weight], group: Group | None) -> Mapping[str, Weight]:
    """A layer's variables as the reader of whole files gives them."""
    if group is not None:
        is_old = keras1.is_keras_1(group.version)
        weights = keras1.weights(op.kind, op.config, weights, is_old, group.backend)
    return {str(number): weight for number, weight in enumerate(weights)}
