"""A nested model in the making: layers of Keras, their calls, and whose the weights of a package's layer are.

A frozen layer of Keras 3 trains what it makes in its `build` once it is loaded: that has flags of its own.
Source: keras/src/layers/layer.py, trainable_variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Graph, Op, Ref, Tensor, Weight, is_keras_2, refs

WEIGHTS = "save the whole model as .keras or .h5: weights alone do not say whose they are"


@dataclass(frozen=True)
class Part:
    """A layer inside: what it is, and its weights."""

    name: str
    kind: str
    config: Mapping[str, Any]
    weights: tuple[Weight, ...] = ()
    #: Where its layer has it: `Graph.places`.
    places: tuple[str, ...] = ()


@dataclass
class Parts:
    """The layers and calls of one layer of a package, `op`."""

    op: Op
    dialect: str
    given: list[Ref] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)
    outputs: list[Ref] = field(default_factory=list)
    #: Keys of the stored weights that have an owner.
    owned: set[str] = field(default_factory=set)
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: What becomes of the mask of the first input: `Graph.masks`.
    masks: tuple[str, ...] = ("passes",)
    #: What else is in the model.
    kinds: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.flat = all(key.isdigit() for key in self.op.stored)

    # Options and weights

    def option(self, name: str, usual: Any = None) -> Any:
        return self.op.config.get(name, usual)

    def arguments(self, names: str, options: str) -> dict[str, Any]:
        """What the layer is called with, by the names of its `call`; None for what it is not given.

        Raises Unsupported for an option, or an argument, that is not among these.
        """
        called, kwargs = names.split(), dict(self.op.kwargs)
        for name, value in zip(called, self.op.args, strict=False):
            kwargs.setdefault(name, value)
        self.check_options(f"{names} {options}")
        return {name: kwargs.get(name) for name in called}

    def check_options(self, known: str) -> None:
        """Raises Unsupported for an option, or an argument of the call, that is not among these."""
        usual = {"name", "trainable", "dtype", "training", "mask"}
        own = {*self.op.config, *self.op.kwargs} - usual - set(known.split())
        own = {it for it in own if not it.endswith(("initializer", "regularizer", "constraint"))}
        if own:
            values = {**self.op.config, **self.op.kwargs}
            named = ", ".join(f"{name}={values[name]!r}" for name in sorted(own))
            raise Unsupported(f"the option {named} is not ported")

    @property
    def first(self) -> Weight:
        """The first weight that has no owner yet, in the order of a flat list."""
        left = [it for key, it in self.op.stored.items() if key not in self.owned]
        if not left:
            raise Unsupported("it has fewer weights than its options ask for", WEIGHTS)
        return left[0]

    def take(self, paths: Sequence[str], count: int) -> tuple[Weight, ...]:
        """So many weights of one layer: the next of a flat list; of an archive those at one of the paths."""
        stored = self.op.stored
        if self.flat:
            keys = [it for it in stored if it not in self.owned][:count]
        else:
            found = next((it for it in paths if f"{it}vars/0" in stored), None)
            keys = [f"{found}vars/{at}" for at in range(count)] if found is not None else []
        if not stored:
            raise Unsupported("its weights are in another file than its options", WEIGHTS)
        if len(keys) != count or not stored.keys() >= set(keys):
            raise Unsupported("its weights are not where its package puts them", WEIGHTS)
        self.owned.update(keys)
        return tuple(stored[key] for key in keys)

    def own(self, count: int) -> tuple[Weight, ...]:
        """So many weights of the layer itself, the next in the order in which it makes them."""
        at = sum(it.startswith("vars/") for it in self.owned)
        keys = [] if self.flat else [f"vars/{number}" for number in range(at, at + count)]
        if not set(keys) <= self.op.stored.keys():
            raise Unsupported("its weights are not where its package puts them", WEIGHTS)
        self.owned.update(keys)
        return tuple(self.op.stored[key] for key in keys) if keys else self.take((), count)

    # Layers and calls

    def input(
        self,
        value: Any,
        features: int | None,
        rank: int = 3,
        name: str = "x",
        dtype: str = "float32",
        first: int | None = None,
    ) -> Ref:
        """A tensor that the layer is given."""
        if not isinstance(value, Ref):
            raise Unsupported("it is called with something else than tensors")
        self.given.append(value)
        self.tensors[name] = Tensor(name, (first, *(None,) * (rank - 2), features), dtype=dtype)
        return Ref(name)

    def call(self, part: Part, *args: Any, count: int = 1, **kwargs: Any) -> Any:
        """The result of a call of a layer; a list of `count` where it gives several."""
        taken = {it.layer for it in self.ops}
        at, name = 1, part.name
        while any(name in it.outputs for it in self.ops) or name in self.tensors:
            at, name = at + 1, f"{part.name}_{at + 1}"
        outputs = tuple(f"{name}:{it}" if it else name for it in range(count))
        layer = part.name if part.weights or part.name not in taken else name
        stored = {str(number): it for number, it in enumerate(part.weights)}
        frozen = self.op.frozen and is_keras_2(self.dialect)
        made = Op(name, part.kind, args, outputs, dict(part.config), kwargs, layer, stored, frozen=frozen,
                  turn=len(self.ops))  # fmt: skip
        self.ops.append(made)
        if part.places:
            self.places[layer] = part.places
        return Ref(name) if count == 1 else [Ref(it) for it in outputs]

    def apply(self, kind: str, *args: Any, name: str = "", place: str = "", **config: Any) -> Ref:
        """The result of a layer or an operation without weights."""
        short = name or kind.rpartition(".")[2].rpartition(">")[2].lower()
        result: Ref = self.call(Part(short, kind, config, places=(place,) if place else ()), *args)
        return result

    def variable(self, name: str, weight: Weight, attribute: str = "", of: str = "") -> Ref:
        """A weight of the layer itself as a tensor; `of`: the layer in it whose weight it is, and which."""
        config = {
            "attribute": name, "shape": list(weight.shape), "trainable_": True, "dtype_": weight.dtype,
            "of_": of,
        }  # fmt: skip
        places = (attribute,) if attribute else ()
        result: Ref = self.call(Part(name, "tf.Variable", config, (weight,), places))
        return result

    def activate(self, x: Ref, activation: Any, name: str) -> Ref:
        """An activation, if it is one."""
        return (
            x
            if activation in (None, "linear")
            else self.apply("Activation", x, name=name, activation=activation)
        )

    def drop(self, x: Ref, rate: Any, name: str, place: str, kind: str = "Dropout") -> Ref:
        """A dropout, if it drops any."""
        return self.apply(kind, x, name=name, place=place, rate=rate) if rate else x

    def graph(self, cls: str) -> Graph:
        """The nested model. Raises Unsupported for weights that are nobody's."""
        left = [key for key in self.op.stored if key not in self.owned]
        if left:
            raise Unsupported(f"it has {len(left)} weights more than its options ask for", WEIGHTS)
        names = tuple(it.tensor for it in self.outputs)
        structure = self.outputs[0] if len(self.outputs) == 1 else list(self.outputs)
        read = {*names, *(it for op in self.ops for it in refs((op.args, op.kwargs)))}
        ops = tuple(it for it in self.ops if read & set(it.outputs))
        return Graph(
            cls, tuple(self.tensors), names, ops, dict(self.tensors), self.dialect, structure, cls=cls,
            masks=self.masks, places=self.places, notes=tuple(self.notes),
        )  # fmt: skip
