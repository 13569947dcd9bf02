"""The source's weights into the port: by the rules' transforms, in the order of first calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchport.axes import Turn
from torchport.errors import Unsupported
from torchport.program import Fill, Load, Module
from torchport.read import live
from torchport.source.application import option_text
from torchport.source.fragment import Call, is_layer, loads
from torchport.source.observe import Seen
from torchport.source.port_run import run_port
from torchport.source.reference import (
    Case,
    Link,
    Reference,
    path_of,
)
from torchport.source.rows import seen_of
from torchport.source.sites import Site
from torchport.source.unit import Unit

if TYPE_CHECKING:
    from torchport.source.prove import Prover


def move_weights(prover: Prover, unit: Unit, case: Case, reference: Reference, port: Any) -> None:
    """The source's weights into the port, by the rules' transforms, in the order of first calls."""
    import torch

    order: list[tuple[str, Any]] = []
    classes = {it.cls for it in prover.project.units.values() if it is not None and it.kind != "function"}
    hooks = [
        it.register_forward_pre_hook(lambda module, args, name=name: order.append((name, module)))
        for name, it in kept_modules(port, classes)
    ]
    with torch.no_grad():
        run_port(torch, unit, port, reference.inputs, False, gradients=False)
    for it in hooks:
        it.remove()
    called = list({id(it): (name, it) for name, it in order}.values())
    specs = [(spec, held) for spec, held in modules_of_source(prover, reference) if spec.loads]
    ours = [(name, it) for name, it in called if it.state_dict() and type(it).__name__ not in classes]
    if len(ours) != len(specs):
        raise Differs(f"calls {len(ours)} modules with weights, the source {len(specs)}")
    reference.links = list(own_weights(prover, reference, called))
    for link in reference.links:
        owner, _, short = link.name.rpartition(".")
        getattr(port.get_submodule(owner), short).data.copy_(torch.from_numpy(link.of(reference.start)))
    for (name, module), (spec, variables) in zip(ours, specs, strict=True):
        if type(module).__name__ != spec.cls.rpartition(".")[2]:
            raise Differs(f"calls {name}, a {type(module).__name__}, where the source has {spec.cls}")
        state = module.state_dict()
        if set(state) != set(spec.loads):
            raise Differs(f"{name} has {', '.join(state)}, the source {', '.join(spec.loads)}")
        for key, load in spec.loads.items():
            if isinstance(load, Fill):
                # torch's second bias of a recurrent layer
                state[key].copy_(torch.as_tensor(load.value))
                continue
            link = Link(f"{name}.{key}", load.turn, variables[key])
            array = link.of(reference.start)
            if array.shape != tuple(state[key].shape):
                has, wants = tuple(state[key].shape), array.shape
                raise Differs(f"{link.name} has the shape {has}, the source's weight {wants}")
            state[key].copy_(torch.from_numpy(array))
            reference.links.append(link)
    moved = {id(it.variable) for it in reference.links}
    if left := [path_of(it) for it in live.variables(reference.model) if id(it) not in moved]:
        raise Differs(f"has no weight for {', '.join(left[:3])}")


def own_weights(prover: Prover, reference: Reference, called: Sequence[tuple[str, Any]]) -> Iterator[Link]:
    """The weights that layer classes have themselves, by the order in which these were first called."""
    units = {it.name: it for it in prover.project.units.values() if it is not None and it.weights}
    of_class = {it.cls: it for it in units.values()}
    order = [it for name, it in reference.entered if name.endswith(".call") and name[:-5] in units]
    objects = list({id(it): it for it in order}.values())
    modules = [(name, it) for name, it in called if type(it).__name__ in of_class]
    if len(objects) != len(modules):
        raise Differs(f"calls {len(modules)} modules with weights of their own, the source {len(objects)}")
    for one, (name, module) in zip(objects, modules, strict=True):
        unit = of_class[type(module).__name__]
        for attribute in unit.weights:
            variable = getattr(one, attribute)
            axes = " ".join(f"a{at}" for at in range(len(variable.shape)))
            path = f"{name}.{attribute}" if name else attribute
            yield Link(path, Turn(f"{axes} -> {axes}"), variable)


def modules_of_source(prover: Prover, reference: Reference) -> Iterator[tuple[Module, dict[str, Any]]]:
    """The modules that the source's layers are, in the order in which they were first called.

    With each, the variables of its layer by the names that they have in its state_dict.
    """
    known: dict[tuple[int, ...], Call] = {}
    rows: dict[Site, tuple[Call, ...]] = {}
    chains = set[Site]()
    for unit in prover.project.units.values():
        known |= unit.applied if unit is not None else {}
        rows |= unit.rows if unit is not None else {}
        chains |= unit.chains if unit is not None else set()
    done: set[int] = set()
    # a builder may build other models too, whose layers are none of its own
    theirs = {id(it) for it in live.variables(reference.model)}
    own = {id(it) for _, it in reference.entered}
    calls = [(key, it) for key, it in reference.calls if it is not None and not is_layer(it.function)]
    places = {id(it.result): key for key, it in reversed(calls) if is_layer(it.result)}

    made = {id(it.result): it.result for key, it in calls if key in chains}
    applied = {id(it.function) for _, it in reference.calls if it is not None}

    def along(model: Any) -> Iterator[tuple[Module, dict[str, Any]]]:
        """Those of a Sequential that a function gives back, by where each layer was made."""
        for layer in model.layers:
            if id(layer) in made:
                yield from along(layer)
            elif id(layer) in own:
                yield from modules_inside(prover, reference, layer, known, once)
            else:
                yield from once(seen_of(layer), known[places[id(layer)]])

    def once(seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, Any]]]:
        held = [id(it) in theirs for it in live.variables(seen.function)]
        if id(seen.function) not in done and (any(held) or not held or not reference.is_network):
            done.add(id(seen.function))
            yield from modules_of(prover, seen, call)

    for key, one in reference.calls:
        if one is None:
            continue
        if id(one.function) in made:
            yield from along(one.function)
        elif key in chains:
            if id(one.result) not in applied:
                yield from along(one.result)
        elif key in rows:
            model = one.function if is_layer(one.function) else one.result
            for layer, call in zip(model.layers, rows[key], strict=True):
                if id(layer) in own:
                    yield from modules_inside(prover, reference, layer, known, once)
                else:
                    yield from once(seen_of(layer), call)
        elif key in known and is_layer(one.function):
            yield from once(*call_of(key, one, known, places))


def modules_inside(
    prover: Prover, reference: Reference, layer: Any, known: Any, once: Any
) -> Iterator[tuple[Module, dict[str, Any]]]:
    """The modules that a layer of the user's in a Sequential calls."""
    start, end = reference.spans[id(layer)]
    for key, one in reference.calls[start:end]:
        if one is not None and key in known and is_layer(one.function):
            yield from once(*call_of(key, one, known, {}))


def modules_of(prover: Prover, seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, Any]]]:
    """The modules of one layer, each with its variables."""
    pattern = (id(call), option_text(seen))
    if pattern not in prover.known:
        prover.known[pattern] = list(modules_that_load(prover, seen, call))
    variables = list(live.variables(seen.function))
    for spec, places in prover.known[pattern]:
        yield spec, {name: variables[at] for name, at in places.items()}


def modules_that_load(prover: Prover, seen: Seen, call: Call) -> Iterator[tuple[Module, dict[str, int]]]:
    """The modules that a layer is: for each name of a state_dict, the place of its variable."""
    try:
        made = prover.project.fragment(seen, call, True)
    except Unsupported:
        made = prover.project.fragment(seen, call, False)
    places = {id(weight.load): at for op in made.graph.ops for at, weight in enumerate(op.stored.values())}
    for spec in loads(made):
        yield (
            spec,
            {
                name: places[id(it.source.load)]
                for name, it in spec.loads.items()
                if isinstance(it, Load) and it.source is not None
            },
        )


def call_of(key: Any, one: Seen, known: Mapping[Any, Call], places: Mapping[int, Any]) -> tuple[Seen, Call]:
    """A call of a layer as the stage knows it. `places`: where layers were made."""
    call = known.get(key + places.get(id(one.function), ()), known[key])
    kept = {name: it for name, it in one.kwargs.items() if name != "training"}
    return Seen(one.function, one.args[: len(call.args)], kept, one.result), call


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


class Differs(Exception):
    """The two sides are not the same."""
