"""Both sides of a unit run: the same weights, inputs and draws, in float64; what they give is compared.

A unit of the source is run as its author would: `block(keras.Input(...), 64)`, `Layer(64)(x)`, `loss(y, z)`.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
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
from torchport.source.observe import Endless, Recorder, Seen, UnitCall, as_it_is, is_tensor
from torchport.source.project import Project
from torchport.source.rows import seen_of
from torchport.source.sites import Site
from torchport.source.unit import Unit

#: How far two float64 results may be apart, as a share of the largest number.
LIMIT = 1e-9
BATCH = 2


@dataclass(frozen=True)
class Case:
    """Arguments that a unit is run with: numbers by name, and a shape for each tensor that it takes."""

    arguments: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    ranges: tuple[str, ...] = ()
    #: Whether the arguments are none that the author's calls gave: such a run may not take long.
    is_varied: bool = False

    def __str__(self) -> str:
        given = [f"{key}={value!r}" for key, value in self.arguments.items()]
        return ", ".join([*(str(it) for it in self.shapes), *given])


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
                said = (str(error).splitlines() or [""])[0]
                found.failed.append(f"{case}: {type(error).__name__}: {said[:120]}")
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
        ours = [(name, it) for name, it in called if it.state_dict()]
        if len(ours) != len(specs):
            raise Differs(f"calls {len(ours)} modules with weights, the source {len(specs)}")
        source.links = []
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

    def applied(self, source: Source) -> Iterator[tuple[Module, dict[str, Any]]]:
        """The modules that the source's layers are, in the order in which they were first called.

        With each, the variables of its layer by the names that they have in its state_dict.
        """
        known: dict[Site, Call] = {}
        rows: dict[Site, tuple[Call, ...]] = {}
        for unit in self.project.units.values():
            known |= unit.applied if unit is not None else {}
            rows |= unit.rows if unit is not None else {}
        done: set[int] = set()
        # a builder may build other models too, whose layers are none of its own
        theirs = {id(it) for it in live.variables(source.model)}
        for key, one in source.calls:
            if key in rows:
                model = one.function if is_layer(one.function) else one.result
                pairs = [(seen_of(it), call) for it, call in zip(model.layers, rows[key], strict=True)]
            elif key in known and is_layer(one.function):
                kept = {name: it for name, it in one.kwargs.items() if name != "training"}
                pairs = [(Seen(one.function, one.args, kept, one.result), known[key])]
            else:
                continue
            for seen, call in pairs:
                own = [id(it) in theirs for it in live.variables(seen.function)]
                if id(seen.function) not in done and (any(own) or not own or not source.is_network):
                    done.add(id(seen.function))
                    yield from self.modules_of(seen, call)

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


@dataclass
class Run:
    """What one run of a side gave, in the source's axes."""

    outputs: list[np.ndarray]
    slopes: list[np.ndarray]
    #: Gradients of the source's variables, by their identity.
    weights: dict[int, np.ndarray] = field(default_factory=dict)
    #: The values of the source's variables before and after the run, by their identity.
    before: Mapping[int, np.ndarray] = field(default_factory=dict)
    after: Mapping[int, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A tensor of the port's state_dict, the source's variable that it is, and how that is turned."""

    name: str
    turn: Turn
    variable: Any

    def of(self, values: Mapping[int, np.ndarray]) -> np.ndarray:
        """The variable's values as the port should have them."""
        held = values.get(id(self.variable))
        return np.ascontiguousarray(self.turn.apply(self.variable.numpy() if held is None else held))


@dataclass
class Source:
    """The user's unit with its arguments, made and fed under TensorFlow in float64."""

    keras: Any
    model: Any
    function: Any
    inputs: list[np.ndarray]
    shapes: list[tuple[int, ...]]
    calls: list[Any]
    links: list[Link] = field(default_factory=list)
    #: The values of its variables when it was made; what it gave in inference, and then in training.
    start: Mapping[int, np.ndarray] = field(default_factory=dict)
    #: Whether the model is the user's own.
    is_network: bool = False
    runs: dict[bool, Run] = field(default_factory=dict)

    @classmethod
    def of(cls, prover: Prover, unit: Unit, case: Case) -> Source:
        """Raises whatever the user's code raises."""
        from torchport.verify.frameworks import floats

        watched = prover.project.watched
        recorder: Recorder = watched.recorder
        keras = keras_in(watched.module)
        target = getattr(watched.module, unit.name)
        recorder.calls.clear()
        numbers = np.random.default_rng(7)
        with as_it_is(), floats(keras, "float64"):
            if unit.kind == "function":
                inputs = list(map(feed, [numbers] * len(case.shapes), case.shapes))
                given = dict(case.arguments)
                names = [it.name for it in unit.inputs]

                def function(*tensors: Any) -> Any:
                    return target(**dict(zip(names, tensors, strict=True)), **given)

                return cls(keras, None, function, inputs, list(case.shapes), [])
            if unit.kind == "builder":
                model = target(**case.arguments)
            else:
                ends = [keras.Input(shape[1:]) for shape in case.shapes]
                if unit.kind == "layer":
                    layer = target(**case.arguments)
                    out = layer(*ends, **mode_of(keras, layer))
                else:
                    names = [it.name for it in unit.inputs]
                    out = target(**dict(zip(names, ends, strict=True)), **case.arguments)
                model = keras.Model(ends, out)
            shapes = [(BATCH, *(size or 16 for size in it.shape[1:])) for it in model.inputs]
            for variable in model.variables:
                if "seed" not in path_of(variable):
                    variable.assign(value_for(variable, numbers))
        inputs = [feed(numbers, shape) for shape in shapes]
        calls = list(recorder.calls)
        start, is_network = values(live.variables(model)), unit.kind == "builder"
        return cls(keras, model, None, inputs, shapes, calls, start=start, is_network=is_network)

    @property
    def modes(self) -> tuple[bool, ...]:
        """Whether it is run in training: inference first."""
        return (False, True) if self.model is not None else (False,)

    def gave(self, training: bool) -> Run:
        """What it gives in a mode. Each mode is run once: a run in training changes statistics."""
        if training not in self.runs:
            self.runs[training] = self.run(training)
        return self.runs[training]

    def run(self, training: bool) -> Run:
        import tensorflow as tf

        from torchport.verify import patches
        from torchport.verify.frameworks import floats

        with ExitStack() as stack:
            stack.enter_context(as_it_is())
            stack.enter_context(floats(self.keras, "float64"))
            stack.enter_context(patches.patched(tf, (*patches.DOUBLES, *patches.KERNELS, *patches.DRAWS)))
            given = [tf.constant(it) for it in self.inputs]
            variables = list(live.variables(self.model)) if self.model is not None else []
            before = values(variables)
            with tf.GradientTape() as tape:
                for it in given:
                    tape.watch(it)
                if self.model is None:
                    found = self.function(*given)
                else:
                    found = self.model(given if len(given) > 1 else given[0], training=training)
                outputs = list(found) if isinstance(found, (list, tuple)) else [found]
                total = tf.add_n([tf.reduce_sum(it * weighed(it.shape)) for it in outputs])
            trained = list(self.model.trainable_variables) if self.model is not None else []
            slopes = tape.gradient(total, [*given, *map(tensor_of, trained)])
        found = [zeros(slope, it) for slope, it in zip(slopes, [*given, *trained], strict=True)]
        weights = {id(it): slope for it, slope in zip(trained, found[len(given) :], strict=True)}
        slopes = found[: len(given)]
        return Run([it.numpy() for it in outputs], slopes, weights, before, values(variables))


def mode_of(keras: Any, layer: Any) -> dict[str, bool]:
    """The mode that a call of a layer has to be given: Keras 3 gives none to a `training` without default.

    A model that the layer is in hands its own mode over all the same. Source: keras/src/models/functional.py,
    operation_fn.
    """
    found = inspect.signature(layer.call).parameters.get("training")
    is_asked = found is not None and found.default is found.empty
    return {"training": False} if is_asked and keras.__name__ != "tf_keras" else {}


def values(variables: Iterable[Any]) -> dict[int, np.ndarray]:
    """The values that variables have now, by their identity."""
    return {id(it): np.array(it.numpy()) for it in variables}


def run_port(
    torch: Any, unit: Unit, port: Any, inputs: Sequence[np.ndarray], training: bool, gradients: bool = True
) -> Run:
    """One run of the port; arrays in the source's axes in and out."""
    from torchport.verify.patches import draws

    orders = [it.order for it in unit.inputs]
    given = [
        torch.tensor(np.ascontiguousarray(in_order(it, order)), requires_grad=gradients)
        for it, order in zip(inputs, orders, strict=True)
    ]
    if hasattr(port, "train"):
        port.train(training)
        port.zero_grad()
    with draws.same_in_torch(torch):
        found = port(*given)
    outputs = list(found) if isinstance(found, (list, tuple)) else [found]
    results = [back(it.detach().numpy(), flow.order) for it, flow in zip(outputs, unit.results, strict=True)]
    slopes: list[np.ndarray] = []
    if gradients:
        seeds = [torch.from_numpy(np.ascontiguousarray(in_order(weighed(it.shape), flow.order)))
                 for it, flow in zip(results, unit.results, strict=True)]  # fmt: skip
        total = sum((it * seed).sum() for it, seed in zip(outputs, seeds, strict=True))
        if total.requires_grad:
            total.backward()
        slopes = [
            back(it.grad.numpy() if it.grad is not None else it.detach().numpy() * 0, order)
            for it, order in zip(given, orders, strict=True)
        ]
    return Run(results, slopes)


def count(counts: dict[str, int], name: str, module: Any, args: Any, out: Any) -> None:
    """Notes of how many values each channel has."""
    counts[name] = args[0].numel() // args[0].shape[1]


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


def weighed(shape: Any) -> np.ndarray:
    """Numbers that the sum of an output's values is weighed by: of its size alone."""
    sizes = tuple(int(it) for it in shape)
    return np.random.default_rng(11).uniform(0.5, 1.5, sizes)


def feed(numbers: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    return numbers.uniform(0.05, 0.95, tuple(shape))


def value_for(variable: Any, numbers: np.random.Generator) -> np.ndarray:
    """Numbers for a weight that tell mistakes apart, and keep what flows through in range."""
    shape = tuple(variable.shape)
    if "variance" in path_of(variable):
        return numbers.uniform(0.5, 1.5, shape)
    if len(shape) < 2:
        return numbers.uniform(0.1, 0.6, shape)
    fan = max(1, int(np.prod(shape[:-1])))
    return numbers.normal(0, 1 / fan**0.5, shape)


def tensor_of(variable: Any) -> Any:
    """What TensorFlow takes gradients of: Keras 3 wraps its variables."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value


def zeros(slope: Any, like: Any) -> np.ndarray:
    return np.zeros(tuple(like.shape)) if slope is None else np.asarray(slope)


def path_of(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name))


def keras_in(module: types.ModuleType) -> Any:
    """The Keras that the user's module imports."""
    for value in vars(module).values():
        name = getattr(value, "__name__", "") if inspect.ismodule(value) else getattr(value, "__module__", "")
        if str(name).split(".")[0] == "tf_keras":
            return sys.modules["tf_keras"]
    import keras

    return keras


def kept_modules(module: Any, classes: set[str], path: str = "") -> Iterator[tuple[str, Any]]:
    """The modules that stand for layers: those in the port's own classes, lists opened."""
    for name, it in module.named_children():
        inside = f"{path}{name}"
        if type(it).__name__ in classes or type(it).__name__ == "ModuleList":
            yield from kept_modules(it, classes, f"{inside}.")
        else:
            yield inside, it


def case_of(unit: Unit, call: UnitCall) -> Case:
    """The case that a watched call was."""
    arguments = {it.name: call.arguments[it.name] for it in unit.known if it.name in call.arguments}
    found = []
    for it in unit.inputs:
        if it.name in call.arguments and is_tensor(call.arguments[it.name]):
            shape = tuple(call.arguments[it.name].shape)
            found.append((BATCH, *(size or 16 for size in shape[1:])) if shape else ())
    return Case(arguments, tuple(found))
