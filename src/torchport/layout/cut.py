"""The choice of orders as a minimum s-t cut.

Every tensor, and every op that goes with its neighbours, is a node: on the source's side it keeps the
source's order, on the other it is channels first. A tensor whose readers want it otherwise is permuted
once, however many they are: it has two helper nodes,

    tensor -> ahead: one permute     ahead -> each reader: infinite
    each reader -> behind: infinite  behind -> tensor: one permute

so that a reader on the far side costs the one edge between the tensor and its helper. Ops that want an
order are tied to its side for good. The cut is over the whole model, nested models included.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torchport.axes import Order
from torchport.graph import Graph, Op, Tensor, map_refs
from torchport.infer.shapes import bind
from torchport.layout.loops import LOOP
from torchport.rules import Want, Wants, rule_for

#: A tensor, an op or a helper: (kind, path of its graph, name).
Node = tuple[str, str, str]
SOURCE: Node = ("side", "", "source")
FIRST: Node = ("side", "", "channels first")

#: One permute, in the cut's units; below it, the size of what is permuted breaks ties.
PERMUTE = 10_000
#: What else breaks ties: a function of each number stays with what gives it, and the permute goes behind it.
APART = 0.25


@dataclass(frozen=True)
class Orders:
    """What was chosen: nodes on the channels-first side, and what each op wants."""

    first: frozenset[Node]
    wants: Mapping[tuple[str, str], Wants]
    network: Network
    keep_io: bool = False

    def of(self, path: str, tensor: str) -> Order:
        """The order in which a tensor is written."""
        return self.at(self.network.tensor(path, tensor))

    def at(self, node: Node) -> Order:
        return Order.CHANNELS_FIRST if node in self.first else Order.SOURCE

    def wanted(self, path: str, op: Op, tensor: str, at: int) -> Order:
        """The order in which an op reads a tensor, its `at`-th input."""
        node = self.network.reader(path, op, at, self.wants)
        return self.of(path, tensor) if node is None else self.at(node)


class Network:
    """The nodes of a model and the capacities between them."""

    def __init__(self, graph: Graph) -> None:
        self.root = graph
        self.edges: dict[Node, dict[Node, float]] = defaultdict(lambda: defaultdict(float))
        #: Outputs of nested models are the same node as the tensor inside.
        self.same: dict[Node, Node] = {}
        #: Bodies of nested models by path.
        self.bodies: dict[str, Graph] = {"": graph}

    def tensor(self, path: str, name: str) -> Node:
        node = ("tensor", path, name)
        while node in self.same:
            node = self.same[node]
        return node

    def op(self, path: str, op: Op) -> Node:
        """The op's node; calls of one layer that holds values share it, as they share these."""
        shared = op.weights or rule_for(op.kind).constants
        return ("op", path, op.layer if shared else op.name)

    def reader(self, path: str, op: Op, at: int, wants: Mapping[tuple[str, str], Wants]) -> Node | None:
        """The node that decides in which order an op reads its `at`-th input; None: any."""
        if op.kind == "Model":
            inner = f"{path}{op.layer}/"
            return self.tensor(inner, self.bodies[inner].inputs[at])
        return self._wanted(wants[path, op.name].inputs, self.op(path, op))

    @staticmethod
    def _wanted(want: Want, op: Node) -> Node | None:
        return {Want.SOURCE: SOURCE, Want.CHANNELS_FIRST: FIRST, Want.SAME: op, Want.ANY: None}[want]

    def add(self, start: Node, end: Node, capacity: float) -> None:
        if start != end:
            self.edges[start][end] += capacity

    def tie(self, one: Node, other: Node) -> None:
        """Both on the same side."""
        self.add(one, other, math.inf)
        self.add(other, one, math.inf)


def is_permutable(tensor: Tensor) -> bool:
    """Whether the two orders of a tensor differ at all."""
    if len(tensor.shape) > 2:
        return True
    return any(part[-1] > 1 and math.prod(part[:-1]) > 1 for part in tensor.parts)


def is_of_each_number(kind: str) -> bool:
    """Whether an op is what people write on the line of the layer before it: an activation, a dropout."""
    return kind.startswith("activation:") or kind in ("ReLU", "LeakyReLU", "ELU", "Dropout")


def permute_cost(tensor: Tensor) -> float:
    """One permute; a larger tensor costs a little more. Several pieces laid end to end are not permuted."""
    if len(tensor.parts) > 1:
        return math.inf
    return PERMUTE + math.log2(1 + math.prod(size or 64 for size in tensor.shape[1:]))


def wants_of(op: Op, graph: Graph) -> Wants:
    """What the op's rule wants of its tensors.

    An op that follows may read flattened features in any order only if all that it reads and writes has the
    same ones, or if its rule says what becomes of them (`parts`).
    """
    entry, args = bind(op, graph.tensors), map_refs(op.args, graph.tensors.__getitem__)
    wants = entry.wants(*args, y=graph.tensors[op.outputs[0]])
    tensors = [graph.tensors[name] for name in (*op.inputs, *op.outputs)]
    parts = {it.parts if is_permutable(it) else () for it in tensors}
    if wants.inputs is Want.SAME and not entry.has_parts and len(parts) > 1:
        return Wants(Want.SOURCE, Want.SOURCE, "it mixes flattened features with others")
    return wants


def choose_orders(graph: Graph, keep_io: bool = False, given: Mapping[str, Order] | None = None) -> Orders:
    """The orders with the fewest permutes. `keep_io`: inputs and outputs stay as the source has them.

    `given`: the orders that inputs are in, where they are not free.
    """
    network, wants = Network(graph), {}
    for path, body in walk(graph):
        network.bodies[path] = body
        for op in body.ops:
            if op.kind == "Model":
                inner = body.bodies[op.layer]
                for name, output in zip(op.outputs, inner.outputs, strict=True):
                    network.same["tensor", path, name] = ("tensor", f"{path}{op.layer}/", output)
    for path, body in walk(graph):
        wants.update(_add_graph(network, path, body, keep_io and not path))
    for name, order in (given or {}).items():
        network.tie(network.tensor("", name), FIRST if order is Order.CHANNELS_FIRST else SOURCE)
    return Orders(cut(network.edges), wants, network, keep_io)


def walk(graph: Graph, path: str = "") -> Iterator[tuple[str, Graph]]:
    """The graph and all nested ones, each with its path."""
    yield path, graph
    for layer, body in graph.bodies.items():
        yield from walk(body, f"{path}{layer}/")


def _add_graph(network: Network, path: str, graph: Graph, keep_io: bool) -> dict[tuple[str, str], Wants]:
    wants: dict[tuple[str, str], Wants] = {}
    readers: dict[str, list[Node]] = defaultdict(list)
    read_alike: set[str] = set()
    calls: dict[str, int] = defaultdict(int)
    ranks: dict[str, set[int]] = defaultdict(set)
    looped = {name for op in graph.ops if op.kind == LOOP for name in op.inputs}
    for op in graph.ops:
        calls[op.layer] += 1
        ranks[op.layer].update(len(graph.tensors[name].shape) for name in op.inputs[:1])
    for op in graph.ops:
        if op.kind != "Model":
            mine = wants_of(op, graph)
            one_module = calls[op.layer] > 1 and op.weights
            unlike = len(ranks[op.layer]) > 1 and mine.inputs is Want.SAME  # channels first: other modules
            if one_module and (unlike or Want.ANY in (mine.inputs, mine.outputs)):
                mine = Wants(Want.SOURCE, Want.SOURCE, "its layer is called more than once")
            wants[path, op.name] = mine
            node = network.op(path, op)
            network.add(SOURCE, node, max(mine.cost, 0) * PERMUTE)
            network.add(node, FIRST, max(-mine.cost, 0) * PERMUTE)
            for name in op.outputs:
                written = network._wanted(mine.outputs, node)
                if written is not None and is_permutable(graph.tensors[name]):
                    network.tie(network.tensor(path, name), written)
        else:
            body = graph.bodies[op.layer]
            ends = zip((*op.inputs, *op.outputs), (*body.inputs, *body.outputs), strict=True)
            is_cell = bool(looped.intersection(op.outputs))
            for outer, inner in ends:
                if is_cell:  # what one step gives is what the next one takes
                    network.tie(network.tensor(f"{path}{op.layer}/", inner), SOURCE)
                # A flat axis whose parts only one side knows has one order for both: the source's.
                if graph.tensors[outer].parts != body.tensors[inner].parts:
                    network.tie(network.tensor(f"{path}{op.layer}/", inner), SOURCE)
        if is_of_each_number(op.kind):
            read_alike.update(op.inputs)
        for at, name in enumerate(op.inputs):
            reader = network.reader(path, op, at, wants)
            if reader is not None and is_permutable(graph.tensors[name]):
                readers[name].append(reader)
    for name in graph.inputs:
        flat = not path and len(graph.tensors[name].shape) < 3
        if (keep_io or flat) and is_permutable(graph.tensors[name]):
            network.tie(network.tensor(path, name), SOURCE)
    for name in graph.outputs:
        if is_permutable(graph.tensors[name]) and (
            keep_io or (not path and len(graph.tensors[name].shape) < 3)
        ):
            readers[name].append(SOURCE)
    for name, nodes in readers.items():
        node, cost = network.tensor(path, name), permute_cost(graph.tensors[name])
        cost += APART if name in read_alike else 0
        ahead, behind = ("ahead", path, name), ("behind", path, name)
        network.add(node, ahead, cost)
        network.add(behind, node, cost)
        for reader in nodes:
            network.add(ahead, reader, math.inf)
            network.add(reader, behind, math.inf)
    return wants


def cut(edges: Mapping[Node, Mapping[Node, float]]) -> frozenset[Node]:
    """The nodes on the channels-first side of a minimum cut; of several, the one with the fewest there."""
    reach = _reaching(edges, FIRST)
    if SOURCE not in reach:
        # Nothing holds the two sides together: the cut costs nothing, and needs no flow.
        return frozenset(reach)
    import networkx

    network: networkx.DiGraph[Node] = networkx.DiGraph()
    network.add_nodes_from((SOURCE, FIRST))
    for start, ends in edges.items():
        for end, capacity in ends.items():
            if end != SOURCE and start != FIRST:
                limit = {} if math.isinf(capacity) else {"capacity": capacity}
                network.add_edge(start, end, **limit)
    _, (_, first) = networkx.minimum_cut(network, SOURCE, FIRST)
    return frozenset(first)


def _reaching(edges: Mapping[Node, Mapping[Node, float]], goal: Node) -> set[Node]:
    """All nodes from which `goal` can be reached."""
    back: dict[Node, list[Node]] = defaultdict(list)
    for start, ends in edges.items():
        for end, capacity in ends.items():
            if capacity > 0:
                back[end].append(start)
    seen, stack = {goal}, [goal]
    while stack:
        for node in back[stack.pop()]:
            if node not in seen:
                seen.add(node)
                stack.append(node)
    return seen
