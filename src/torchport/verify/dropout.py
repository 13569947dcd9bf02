"""Layers that draw random numbers in training: each is there, by its amount, and does it in fact.

The two frameworks draw other numbers, so that values are compared with these layers off. Here each is looked
at alone: how often it runs, what it is set to, and what it does to a tensor of ones.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from torchport.graph import Graph, Op
from torchport.verify.frameworks import torch
from torchport.verify.places import Places
from torchport.verify.port_runs import amount_name
from torchport.verify.result import Row
from torchport.verify.variables import is_random, layer_of, outer_layers
from torchport.watch.parts import innermost

#: How many values a layer is tried on, and how many standard deviations it may be off.
TRIES, SIGMAS = 40_000, 5.0


def random_layers(graph: Graph, path: str = "") -> Iterator[tuple[str, Op]]:
    """Every layer that is random in training, once, with the path of its graph."""
    seen: set[str] = set()
    for op in graph.ops:
        if is_random(op) and op.layer not in seen:
            seen.add(op.layer)
            yield path, op
    for layer, body in graph.bodies.items():
        yield from random_layers(body, f"{path}{layer}/")


@dataclass(frozen=True)
class Amount:
    """How random a layer of the source is, and what that number is. `repeated`: it is applied at every step,
    in TimeDistributed or in a cell. `counted`: not of one that `call` makes anew each time.

    How often that calls it is Keras's affair: whether it does is compared.
    """

    value: float
    what: str
    repeated: bool = False
    counted: bool = True

    def times(self, count: int) -> int:
        return min(count, 1) if self.repeated else count


def random_parts(
    graph: Graph, model: Any, path: str = "", repeated: bool = False
) -> Iterator[tuple[str, Op, Any, bool]]:
    """Every layer that is random in training: its path and name, op, Keras layer, and whether repeated."""
    seen: set[str] = set()
    looped = {name for op in graph.ops if op.kind == "loop:over" for name in op.inputs}
    for op in graph.ops:
        if op.layer in seen or not (op.kind == "Model" or is_random(op)):
            continue
        seen.add(op.layer)
        outer = outer_layers(model, graph).get(op.layer)
        inner = innermost(outer)
        often = repeated or inner is not outer or bool(looped.intersection(op.outputs))
        if op.kind == "Model":
            yield from random_parts(graph.bodies[op.layer], inner, f"{path}{op.layer}/", often)
        else:
            yield f"{path}{op.layer}", op, inner, often


def amounts(graph: Graph, model: Any) -> dict[str, Amount]:
    """How random each layer is, by its path and name. `model`: the source as it is, not as it was rebuilt."""
    return {
        name: Amount(*amount_of(layer or SimpleNamespace(**op.config), op.kind), repeated, layer is not None)
        for name, op, layer, repeated in random_parts(graph, model)
    }


def count_draws(graph: Graph, model: Any) -> Counter[str]:
    """Tells from now on how often each layer that is random was called in training mode."""
    found: Counter[str] = Counter()

    def counted(name: str, call: Any) -> Any:
        def with_count(*args: Any, **kwargs: Any) -> Any:
            is_training = kwargs.get("training", args[1] if len(args) > 1 else False)
            found[name] += bool(is_training)
            return call(*args, **kwargs)

        return with_count

    for name, _, layer, _ in random_parts(graph, model):
        if layer is None:
            continue
        layer.call = counted(name, layer.call)
    return found


#: How often each layer, or module, was called in training mode, in a run in each mode of the model.
Calls = Mapping[str, Mapping[str, int]]


def dropout_rows(
    module: Any, places: Places, amounts: Mapping[str, Amount], ran: Calls, calls: Calls
) -> Iterator[Row]:
    """A row for each of `amounts`, the source's. `ran`: of the port's modules; `calls`: of its layers."""
    modules = dict(module.named_modules())
    ops = {f"{path}{op.layer}": op for path, op in random_layers(places.record.graph)}
    known = {name for layer in ops for name in places.module_of(layer)}
    spare = [name for name, it in modules.items() if name not in known and amount_name(it)]
    for layer, op in ops.items():
        amount = amounts[layer]
        wanted, what = amount.value, amount.what
        should = {mode: amount.times(found.get(layer, 0)) for mode, found in calls.items()}
        does = {
            name: {mode: amount.times(found.get(name, 0)) for mode, found in ran.items()} for name in modules
        }
        names = [
            name for name, it in modules.items() if amount_name(it) and is_in(name, places.module_of(layer))
        ]
        if not names:  # one that was given another name is known by what it does
            names = [it for it in spare if is_set_to(modules[it], wanted) and does[it] == should][:1]
            spare = [it for it in spare if it not in names]
        if len(names) != 1:
            note = "the port has no module for this layer" if not names else f"is {names} in the port"
            yield Row("dropout", "", layer, op.outputs[0], False, note=note)
            continue
        it, times = modules[names[0]], does[names[0]]
        has, found = float(getattr(it, amount_name(it))), measured(it, op.kind)
        said = f"{what} {wanted:g}; {found:.3f} on {TRIES} values"
        if not math.isclose(has, wanted, rel_tol=1e-12):
            note = f"{what} {has:g} in the port, {wanted:g} in the source"
        elif amount.counted and (other := [it for it in should if times.get(it, 0) != should[it]]):
            mode = other[0]
            note = f"draws {times.get(mode, 0)} times in {mode} mode, the source {should[mode]}"
        elif abs(found - wanted) > tolerance(it, op.kind, wanted):
            note = f"{what} {wanted:g} was asked for, {found:.3f} was measured in training mode"
        else:
            note = ""
        yield Row("dropout", names[0], layer, op.outputs[0], not note, note=note or said)


def is_in(name: str, paths: Sequence[str]) -> bool:
    """Whether a module is one of those of a layer, or lies in one, as in `InTraining(nn.Dropout(0.5))`."""
    return any(name == path or name.startswith(f"{path}.") for path in paths)


def is_set_to(module: Any, amount: float) -> bool:
    return math.isclose(float(getattr(module, amount_name(module))), amount, rel_tol=1e-12)


def recurrent_rates(graph: Graph, model: Any, path: str = "") -> dict[str, list[float]]:
    """The recurrent dropout of the cells of each layer that may have some, by its path and name."""
    found: dict[str, list[float]] = {}
    for op in graph.ops:
        if op.kind == "Model":
            body, inner = graph.bodies[op.layer], layer_of(model, graph, op.layer)
            found |= recurrent_rates(body, inner, f"{path}{op.layer}/")
        elif "recurrent_dropout" in str(op.config):
            cells = layer_of(model, graph, op.layer)._flatten_layers()
            rates = (vars(it).get("recurrent_dropout") for it in cells)
            found[f"{path}{op.layer}"] = sorted(it for it in rates if it)
    return found


def recurrent_rows(module: Any, places: Places, rates: Mapping[str, list[float]]) -> Iterator[Row]:
    """A row for each layer with recurrent dropout: its rates are those of the source's cells."""
    modules = dict(module.named_modules())
    for layer, wanted in rates.items():
        names = places.module_of(layer)
        # The convolutions of a ConvLSTM stand for it, and the module that has them has the rate.
        owners = dict.fromkeys(it for name in names for it in (name, name.rpartition(".")[0]))
        found = (getattr(modules.get(name), "recurrent_dropout", None) for name in owners)
        has = sorted(it for it in found if it)
        if wanted or has:
            note = f"recurrent dropout {wanted}"
            note += "" if wanted == has else f" in the source, {has} in the port"
            yield Row("dropout", names[0] if names else "", layer, layer, wanted == has, note=note)


def amount_of(layer: Any, kind: str) -> tuple[float, str]:
    """What a Keras layer is set to, as torch says it, and what that is; of TimeDistributed what is in it."""
    layer = getattr(layer, "layer", layer)
    if kind == "GaussianNoise":
        return float(layer.stddev), "standard deviation"
    rate = float(layer.rate)
    if kind == "GaussianDropout":
        return math.sqrt(rate / (1 - rate)), "standard deviation"
    return rate, "rate"


def is_gaussian(kind: str) -> bool:
    return kind.startswith("Gaussian")


def draws(module: Any) -> int:
    """How many independent draws are made of `TRIES` values: values, or whole channels."""
    return TRIES // 100 if type(module).__name__ in ("Dropout1d", "Dropout2d", "Dropout3d") else TRIES


def tolerance(module: Any, kind: str, wanted: float) -> float:
    """How far the amount that is measured may be off by chance."""
    if is_gaussian(kind):
        return SIGMAS * wanted / math.sqrt(2 * draws(module)) + 1e-9
    return SIGMAS * math.sqrt(wanted * (1 - wanted) / draws(module)) + 1e-9


def measured(module: Any, kind: str) -> float:
    """The share of ones that a module drops in training mode, or how far it spreads them; seeded."""
    pt = torch()
    inside = {"Dropout1d": 1, "Dropout2d": 2, "Dropout3d": 3}.get(type(module).__name__, 0)
    count, was = draws(module), module.training
    with pt.random.fork_rng(devices=[]):
        pt.manual_seed(0)
        out = module.train()(pt.ones((count // 20, 20, *(2,) * inside), dtype=pt.float32))
        module.train(was)
    if is_gaussian(kind):
        return float(out.std())
    low, high = float(out.min()), float(out.max())
    # What is dropped is the lower of two values: 0, or what SELU is at minus infinity.
    return 0.0 if low == high == 1 else float((out == low).float().mean())
