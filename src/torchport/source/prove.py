"""Both sides of a unit run: the same weights, inputs and draws, in float64; what they give is compared.

A unit of the source is run as its author would: `block(keras.Input(...), 64)`, `Layer(64)(x)`, `loss(y, z)`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from torchport import scripts
from torchport.axes import Order, Turn, to_order
from torchport.errors import Unsupported
from torchport.program import Fill, Load, Module
from torchport.read import live
from torchport.source.evaluate import option_text
from torchport.source.fragment import Call, is_layer, loads
from torchport.source.observe import Endless, Seen, UnitCall, is_tensor
from torchport.source.project import Project
from torchport.source.rows import seen_of
from torchport.source.sites import Site
from torchport.source.theirs import (
    BATCH,
    Case,
    Link,
    Run,
    Source,
    path_of,
    weighed,
)
from torchport.source.unit import Unit

#: How far two float64 results may be apart, as a share of the largest number.
LIMIT = 1e-9


@dataclass
class Proof:
    """What was run of a unit, and what differs. `failed`: cases that the source itself cannot run."""

    cases: list[Case] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    checks: int = 0
    worst: float = 0.0


class Differs(Exception):
    """The two sides are not the same."""


@dataclass
class Prover:
    """The port's module beside the user's."""

    project: Project
    port: types.ModuleType
    #: What layers of these options, called there with these shapes, are.
    known: dict[Any, list[tuple[Module, dict[str, int]]]] = field(default_factory=dict)
    #: What the source's side gave, by unit and case, for several ports of one source. None: it is not kept.
    sources: dict[tuple[str, str], Source] | None = None

    def source(self, unit: Unit, case: Case) -> Source:
        """The source's side of a case. Raises whatever the user's code raises."""
        if self.sources is None:
            return Source.of(self, unit, case)
        key = (unit.name, str(case))
        if key not in self.sources:
            self.sources[key] = Source.of(self, unit, case)
        return self.sources[key]

    def prove(self, unit: Unit, cases: Sequence[Case], enough: int) -> Proof:
        """Tries cases until so many have run, or one differs."""
        found = Proof()
        for case in cases:
            if len(found.cases) == enough or found.differences:
                break
            recorder = self.project.watched.recorder
            if case.is_varied and recorder.is_endless(unit.name):
                continue
            try:
                with self.limit(case):
                    source = self.source(unit, case)
                    for training in source.modes:
                        source.gave(training)
            except Endless:
                recorder.stopped[unit.name].append(str(case))
                continue
            except scripts.RAISED as error:  # arguments of our own: the source may refuse them
                found.failed.append(f"{case}: {type(error).__name__}: {cause(error)[:160]}")
                continue
            try:
                self.compare(unit, case, source, found)
                found.cases.append(case)
            except Differs as error:
                found.differences.append(f"{case}: {error}")
            except Exception as error:  # the port is a program: whatever it raises is a difference
                found.differences.append(f"{case}: the port raises {type(error).__name__}: {error}")
        return found

    def limit(self, case: Case) -> AbstractContextManager[None]:
        """Runs that nobody asked for may not take long."""
        watched = self.project.watched
        return watched.recorder.limited(watched.patience) if case.is_varied else nullcontext()

    def compare(self, unit: Unit, case: Case, source: Source, found: Proof) -> None:
        """Raises Differs."""
        import torch

        port = self.instance(unit, case, source)
        if source.model is not None:
            self.move(unit, case, source, port)
        counts: dict[str, int] = {}
        if source.model is not None:
            for name, it in port.named_modules():
                if type(it).__name__.startswith("BatchNorm"):
                    it.register_forward_hook(partial(count, counts, name))
        for training in source.modes:
            theirs = source.gave(training)
            ours = run_port(torch, unit, port, source.inputs, training)
            mode = "in training" if training else "in inference"
            if len(theirs.outputs) != len(ours.outputs):
                raise Differs(f"gives {len(ours.outputs)} tensors, the source {len(theirs.outputs)}")
            for at, (one, other) in enumerate(zip(theirs.outputs, ours.outputs, strict=True)):
                self.same(one, other, f"output {at} {mode}", found)
            for at, (one, other) in enumerate(zip(theirs.slopes, ours.slopes, strict=True)):
                self.same(one, other, f"the gradient of input {at} {mode}", found)
            if source.model is not None:
                self.weights(source, port, theirs, mode, found, counts)

    def same(self, one: np.ndarray, other: np.ndarray, what: str, found: Proof) -> None:
        if one.shape != other.shape:
            raise Differs(f"{what} has the shape {other.shape}, the source's {one.shape}")
        if not np.isfinite(one).all():
            if not np.array_equal(one, other, equal_nan=True):
                raise Differs(f"{what}: not the same where numbers are not finite")
            return
        away = float(np.max(np.abs(one - other), initial=0.0))
        scale = max(float(np.max(np.abs(one), initial=0.0)), 1e-3)
        found.checks += 1
        found.worst = max(found.worst, away / scale)
        if not away <= LIMIT * scale:
            raise Differs(f"{what} is {away / scale:.1e} off")

    def instance(self, unit: Unit, case: Case, source: Source) -> Any:
        """The port's class with these arguments; its function."""
        made = getattr(self.port, unit.cls)
        kept = {it.name for it in unit.parameters}
        given = {key: value for key, value in case.arguments.items() if key in kept}
        if unit.kind == "function":
            return lambda *tensors: made(*tensors, **given)
        sizes = {
            it.channels: shape[-1]
            for it, shape in zip(unit.inputs, source.shapes, strict=True)
            if it.channels in unit.sizes
        }
        return made(**sizes, **given).double()

    def move(self, unit: Unit, case: Case, source: Source, port: Any) -> None:
        """The source's weights into the port, by the rules' transforms, in the order of first calls."""
        import torch

        order: list[tuple[str, Any]] = []
        classes = {it.cls for it in self.project.units.values() if it is not None and it.kind != "function"}
        hooks = [
            it.register_forward_pre_hook(lambda module, args, name=name: order.append((name, module)))
            for name, it in kept_modules(port, classes)
        ]
        with torch.no_grad():
            run_port(torch, unit, port, source.inputs, False, gradients=False)
        for it in hooks:
            it.remove()
        called = list({id(it): (name, it) for name, it in order}.values())
        specs = [(spec, held) for spec, held in self.applied(source) if spec.loads]
        ours = [(name, it) for name, it in called if it.state_dict() and type(it).__name__ not in classes]
        if len(ours) != len(specs):
            raise Differs(f"calls {len(ours)} modules with weights, the source {len(specs)}")
        source.links = list(self.own_weights(source, called))
        for link in source.links:
            owner, _, short = link.name.rpartition(".")
            getattr(port.get_submodule(owner), short).data.copy_(torch.from_numpy(link.of(source.start)))
        for (name, module), (spec, variables) in zip(ours, specs, strict=True):
            if type(module).__name__ != spec.cls.rpartition(".")[2]:
                raise Differs(f"calls {name}, a {type(module).__name__}, where the source has {spec.cls}")
            state = module.state_dict()
            if set(state) != set(spec.loads):
                raise Differs(f"{name} has {', '.join(state)}, the source {', '.join(spec.loads)}")
            for key, load in spec.loads.items():
                if isinstance(load, Fill):
                    continue
                link = Link(f"{name}.{key}", load.turn, variables[key])
                array = link.of(source.start)
                if array.shape != tuple(state[key].shape):
                    has, wants = tuple(state[key].shape), array.shape
                    raise Differs(f"{link.name} has the shape {has}, the source's weight {wants}")
                state[key].copy_(torch.from_numpy(array))
                source.links.append(link)
        moved = {id(it.variable) for it in source.links}
        if left := [path_of(it) for it in live.variables(source.model) if id(it) not in moved]:
            raise Differs(f"has no weight for {', '.join(left[:3])}")

    def own_weights(self, source: Source, called: Sequence[tuple[str, Any]]) -> Iterator[Link]:
        """The weights that layer classes have themselves, by the order in which these were first called."""
        units = {it.name: it for it in self.project.units.values() if it is not None and it.weights}
        of_class = {it.cls: it for it in units.values()}
        order = [it for name, it in source.entered if name.endswith(".call") and name[:-5] in units]
        objects = list({id(it): it for it in order}.values())
        modules = [(name, it) for name, it in called if type(it).__name__ in of_class]
        if len(objects) != len(modules):
            raise Differs(
                f"calls {len(modules)} modules with weights of their own, the source {len(objects)}"
            )
        for one, (name, module) in zip(objects, modules, strict=True):
            unit = of_class[type(module).__name__]
            for attribute in unit.weights:
                variable = getattr(one, attribute)
                axes = " ".join(f"a{at}" for at in range(len(variable.shape)))
                path = f"{name}.{attribute}" if name else attribute
                yield Link(path, Turn(f"{axes} -> {axes}"), variable)

    def applied(self, source: Source) -> Iterator[tuple[Module, dict[str, Any]]]:
        """The modules that the source's layers are, in the order in which they were first called.

        With each, the variables of its layer by the names that they have in its state_dict.
        """
        known: dict[tuple[int, ...], Call] = {}
        rows: dict[Site, tuple[Call, ...]] = {}
        for unit in self.project.units.values():
            known |= unit.applied if unit is not None else {}
            rows |= unit.rows if unit is not None else {}
        done: set[int] = set()
        # a builder may build other models too, whose layers are none of its own
        theirs = {id(it) for it in live.variables(source.model)}
        own = {id(it) for _, it in source.entered}
        calls = [(key, it) for key, it in source.calls if it is not None and not is_layer(it.function)]
        places = {id(it.result): key for key, it in reversed(calls) if is_layer(it.result)}

        def once(seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, Any]]]:
            held = [id(it) in theirs for it in live.variables(seen.function)]
            if id(seen.function) not in done and (any(held) or not held or not source.is_network):
                done.add(id(seen.function))
                yield from self.modules_of(seen, call)

        for key, one in source.calls:
            if one is None:
                continue
            if key in rows:
                model = one.function if is_layer(one.function) else one.result
                for layer, call in zip(model.layers, rows[key], strict=True):
                    if id(layer) in own:
                        yield from self.inside(source, layer, known, once)
                    else:
                        yield from once(seen_of(layer), call)
            elif key in known and is_layer(one.function):
                yield from once(*call_of(key, one, known, places))

    def inside(
        self, source: Source, layer: Any, known: Any, once: Any
    ) -> Iterator[tuple[Module, dict[str, Any]]]:
        """The modules that a layer of the user's in a Sequential calls."""
        start, end = source.spans[id(layer)]
        for key, one in source.calls[start:end]:
            if one is not None and key in known and is_layer(one.function):
                yield from once(*call_of(key, one, known, {}))

    def modules_of(self, seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, Any]]]:
        """The modules of one layer, each with its variables."""
        pattern = (id(call), option_text(seen))
        if pattern not in self.known:
            self.known[pattern] = list(self.loaded(seen, call))
        variables = list(live.variables(seen.function))
        for spec, places in self.known[pattern]:
            yield spec, {name: variables[at] for name, at in places.items()}

    def loaded(self, seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, int]]]:
        """The modules that a layer is: for each name of a state_dict, the place of its variable."""
        try:
            made = self.project.fragment(seen, call, True)
        except Unsupported:
            made = self.project.fragment(seen, call, False)
        places = {
            id(weight.load): at for op in made.graph.ops for at, weight in enumerate(op.stored.values())
        }
        for spec in loads(made):
            yield (
                spec,
                {
                    name: places[id(it.source.load)]
                    for name, it in spec.loads.items()
                    if isinstance(it, Load) and it.source is not None
                },
            )

    def weights(
        self, source: Source, port: Any, theirs: Run, mode: str, found: Proof,
        counts: Mapping[str, int],
    ) -> None:  # fmt: skip
        """Gradients of weights, and what statistics became."""
        state = dict(port.named_parameters()) | dict(port.named_buffers())
        for link in source.links:
            tensor, slope = state[link.name], theirs.weights.get(id(link.variable))
            if slope is not None:
                ours = tensor.grad if tensor.grad is not None else tensor.detach() * 0
                what = f"the gradient of {link.name} {mode}"
                self.same(np.asarray(link.turn.apply(slope)), ours.numpy(), what, found)
            now, (owner, _, short) = link.of(theirs.after), link.name.rpartition(".")
            if short == "running_var" and training_of(mode) and (size := counts.get(owner, 0)) > 1:
                # torch's running variance is that of a sample: Bessel's correction
                share = port.get_submodule(owner).momentum
                kept = link.of(theirs.before) * (1 - share)
                now = kept + (now - kept) * size / (size - 1)
            self.same(now, tensor.detach().numpy(), f"{link.name} after a run {mode}", found)


def run_port(
    torch: Any, unit: Unit, port: Any, inputs: Sequence[np.ndarray], training: bool, gradients: bool = True
) -> Run:
    """One run of the port; arrays in the source's axes in and out."""
    from torchport.verify.patches import draws

    orders = [it.order for it in unit.inputs]
    given = [
        torch.tensor(np.ascontiguousarray(in_order(it, order)), requires_grad=gradients and is_float(it))
        for it, order in zip(inputs, orders, strict=True)
    ]
    if hasattr(port, "train"):
        port.train(training)
        port.zero_grad()
    with draws.same_in_torch(torch):
        found = port(*unit.grouped(given).values()) if unit.kind != "builder" else port(*given)
    outputs = list(found) if isinstance(found, (list, tuple)) else [found]
    results = [back(it.detach().numpy(), flow.order) for it, flow in zip(outputs, unit.results, strict=True)]
    slopes: list[np.ndarray] = []
    if gradients:
        seeds = [torch.from_numpy(np.ascontiguousarray(in_order(weighed(it.shape), flow.order)))
                 for it, flow in zip(results, unit.results, strict=True)]  # fmt: skip
        pairs = zip(outputs, seeds, strict=True)
        total = sum((it * seed).sum() for it, seed in pairs if it.is_floating_point())
        if getattr(total, "requires_grad", False):
            total.backward()
        slopes = [
            back(it.grad.numpy() if it.grad is not None else it.detach().numpy() * 0.0, order)
            for it, order in zip(given, orders, strict=True)
        ]
    return Run(results, slopes)


def count(counts: dict[str, int], name: str, module: Any, args: Any, out: Any) -> None:
    """Notes of how many values each channel has."""
    counts[name] = args[0].numel() // args[0].shape[1]


def cause(error: BaseException) -> str:
    """What an error says first, but for where Keras was when it came."""
    lines = [it.strip() for it in str(error).splitlines() if it.strip(" \x1b[01m")]
    told = [it for it in lines if not it.startswith(("Exception encountered", "\x1b[1mCould not auto"))]
    return (told or lines or [""])[0]


def call_of(key: Any, one: Seen, known: Mapping[Any, Call], places: Mapping[int, Any]) -> tuple[Seen, Call]:
    """A call of a layer as the stage knows it. `places`: where layers were made."""
    call = known.get(key + places.get(id(one.function), ()), known[key])
    kept = {name: it for name, it in one.kwargs.items() if name != "training"}
    return Seen(one.function, one.args[: len(call.args)], kept, one.result), call


def is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def training_of(mode: str) -> bool:
    return mode == "in training"


def in_order(array: np.ndarray, order: Order) -> np.ndarray:
    if order is Order.SOURCE or array.ndim < 3:
        return array
    return np.transpose(array, to_order(tuple(range(array.ndim)), order))


def back(array: np.ndarray, order: Order) -> np.ndarray:
    """An array of the port in the source's axes."""
    if order is Order.SOURCE or array.ndim < 3:
        return array
    return np.moveaxis(array, 1, -1)


def kept_modules(module: Any, classes: set[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """The modules that stand for layers: those in the port's own classes, lists opened."""
    if not path and type(module).__name__ in classes:
        yield "", module
    for name, it in module.named_children():
        inside = f"{path}{name}"
        if type(it).__name__ in classes or type(it).__name__ == "ModuleList":
            if type(it).__name__ in classes:
                yield inside, it
            yield from kept_modules(it, classes, f"{inside}.")
        else:
            yield inside, it


def case_of(unit: Unit, call: UnitCall, inner: UnitCall | None = None) -> Case:
    """The case that a watched call was. `inner`: the call of the function that it gave."""
    arguments = {it.name: call.arguments[it.name] for it in unit.known if it.name in call.arguments}
    found, kinds = [], list[str]()
    tensors_of = (inner or call).arguments
    held: dict[str, Any] = {it.of or it.name: tensors_of.get(it.of or it.name) for it in unit.inputs}
    given = [one for it in held.values() for one in (it if isinstance(it, (list, tuple)) else [it])]
    for it in given:
        if is_tensor(it):
            shape = tuple(it.shape)
            found.append((BATCH, *(size or 16 for size in shape[1:])) if shape else ())
            kind = str(getattr(it.dtype, "name", it.dtype))
            kinds.append(kind if "int" in kind or kind == "bool" else "")
    return Case(arguments, tuple(found), tuple(kinds) if any(kinds) else ())
