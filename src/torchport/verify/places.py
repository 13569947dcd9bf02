"""Where the tensors of the source's graph are in the port, and in which order it holds them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from torchport.axes import Order, Turn, dims
from torchport.graph import Graph, Op, Tensor
from torchport.record import PortRecord, graphs


@dataclass(frozen=True)
class Place:
    """A tensor of the graph as the port holds it. `path` leads to its graph, `tensor` is its name there."""

    path: str
    tensor: Tensor
    order: Order
    op: Op | None = None

    @property
    def layer(self) -> str:
        """The layer that the user knows it by."""
        layer = self.op.layer if self.op else self.tensor.name
        return f"{self.path}{layer.removesuffix('.activation')}"

    def held(self, array: np.ndarray) -> np.ndarray:
        """An array in the source's axes as PyTorch holds it.

        Vectors of a lookup are whole numbers in TensorFlow, although Keras declares them as fractions.
        Source: keras/src/layers/preprocessing/index_lookup.py, call and compute_output_spec.
        """
        is_lookup = self.op is None or self.op.kind == "IntegerLookup"
        if is_lookup and array.dtype.kind == "i" and self.tensor.dtype.startswith("float"):
            array = array.astype(np.float64)
        return held(array, self.order, self.tensor)


def held(array: np.ndarray, order: Order, tensor: Tensor) -> np.ndarray:
    """An array in the source's axes in an order: permuted or, where it is flat, its pieces turned."""
    if order is Order.CHANNELS_FIRST and array.ndim == 2 and tensor.parts:
        return Turn("n c -> n c", ((1, tensor.parts),)).apply(array)
    return np.transpose(array, dims(Order.SOURCE, order, array.ndim))


@dataclass(frozen=True)
class Places:
    """Resolves what is seen, (path of a module, number of an expression), to tensors of the graph."""

    record: PortRecord

    def labels(self, module: str) -> tuple[str, ...]:
        """Calls of nested models around a module that the port does not make."""
        return self.record.modules[module].around if module in self.record.modules else ()

    def linked(self, module: str) -> Place | None:
        """The tensor that a module in nn.Sequential gives; None for any other module."""
        it = self.record.modules.get(module)
        return self.place(it.graph, it.gives) if it and it.gives else None

    def at(self, module: str, number: int) -> tuple[Place, ...]:
        """The tensors that an expression gives."""
        it = self.record.modules.get(module)
        return tuple(self.place(it.graph, name) for name in it.tensors.get(number, ())) if it else ()

    def place(self, path: str, name: str) -> Place:
        """A tensor; a permuted twin, `x.channels_first`, is `x` in that order."""
        graph, order = self.graph(path), None
        if name not in graph.tensors:
            base, _, suffix = name.rpartition(".")
            order = next((it for it in Order if it.name.lower() == suffix), None)
            if base not in graph.tensors or order is None:
                raise KeyError(name)
            name = base
        order = order or self.record.orders.get((path, name), Order.SOURCE)
        return Place(path, graph.tensors[name], order, self._givers.get((path, name)))

    def all(self) -> Iterator[Place]:
        """Every watched tensor."""
        for module, it in self.record.modules.items():
            for number in it.tensors:
                yield from self.at(module, number)
            if it.gives:
                yield self.place(it.graph, it.gives)

    def graph(self, path: str) -> Graph:
        """The graph of a path: that of the model, or of a nested one."""
        return self._graphs[path]

    @cached_property
    def _graphs(self) -> dict[str, Graph]:
        return dict(graphs(self.record.graph))

    @cached_property
    def _givers(self) -> dict[tuple[str, str], Op]:
        return {(path, name): op for path, it in self._graphs.items() for op in it.ops for name in op.outputs}

    def module_of(self, layer: str) -> list[str]:
        """Paths of the modules that a layer became; the layer with the path of its graph.

        Modules in a row are said to be of the layer that ends them, too: it is the last one in them alone.
        """
        paths = self.record.layers.get(layer.removesuffix(".activation"), ())
        return [it for it in paths if not any(other.startswith(f"{it}.") for other in paths)]
