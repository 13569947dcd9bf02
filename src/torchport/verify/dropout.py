"""Layers that draw random numbers in training: each is there, by its amount, and does it in fact.

The two frameworks draw other numbers, so that values are compared with these layers off. Here each is looked
at alone: how often it runs, what it is set to, and what it does to a tensor of ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from torchport.graph import Graph, Op
from torchport.rules import find
from torchport.verify.frameworks import torch
from torchport.verify.places import Places
from torchport.verify.port_runs import amount_name
from torchport.verify.result import Row
from torchport.verify.variables import layer_of

#: How many values a layer is tried on, and how many standard deviations it may be off.
TRIES, SIGMAS = 40_000, 5.0


def random_layers(graph: Graph, path: str = "") -> Iterator[tuple[str, Op]]:
    """Every layer that is random in training, once, with the path of its graph."""
    seen: set[str] = set()
    for op in graph.ops:
        acts = entry.training if (entry := find(op.kind)) else None
        if acts and acts.lasts and acts.amount and op.layer not in seen:
            seen.add(op.layer)
            yield path, op
    for layer, body in graph.bodies.items():
        yield from random_layers(body, f"{path}{layer}/")


def times_called(layer: str, calls: Mapping[str, int]) -> int:
    """How often a layer of the source ran. Inside of a model at every step nothing is seen of it."""
    while layer not in calls and "/" in layer:
        parent = layer.rpartition("/")[0]
        if any(it.startswith(f"{parent}/") for it in calls):
            return 0
        layer = parent
    return calls.get(layer, 0)


def amounts(graph: Graph, model: Any) -> dict[str, tuple[float, str]]:
    """How random each layer is, by its path and name. `model`: the source as it is, not as it was rebuilt."""
    found = {}
    for path, op in random_layers(graph):
        source = model
        for part in path.split("/")[:-1]:
            source = layer_of(source, part)
        found[f"{path}{op.layer}"] = amount_of(layer_of(source, op.layer), op.kind)
    return found


def dropout_rows(
    module: Any, places: Places, wanted_of: Mapping[str, tuple[float, str]], ran: Mapping[str, int],
    calls: Mapping[str, int],
) -> Iterator[Row]:  # fmt: skip
    """A row for each. `wanted_of`: the source's amounts, by layer.

    `ran`: how often each module ran in training mode. `calls`: how often each layer of the source did.
    """
    modules = dict(module.named_modules())
    known = {
        name
        for path, op in random_layers(places.program.graph)
        for name in places.module_of(f"{path}{op.layer}")
    }
    spare = [name for name, it in modules.items() if name not in known and amount_name(it)]
    for path, op in random_layers(places.program.graph):
        layer = f"{path}{op.layer}"
        wanted, what = wanted_of[layer]
        names = [name for name in places.module_of(layer) if amount_name(modules.get(name))]
        if not names:  # one that was given another name is known by what it does
            names = [
                it
                for it in spare
                if is_set_to(modules[it], wanted) and ran.get(it, 0) == times_called(layer, calls)
            ][:1]
            spare = [it for it in spare if it not in names]
        if len(names) != 1:
            note = "the port has no module for this layer" if not names else f"is {names} in the port"
            yield Row("dropout", "", layer, op.outputs[0], False, note=note)
            continue
        it, times = modules[names[0]], (ran.get(names[0], 0), times_called(layer, calls))
        has, found = float(getattr(it, amount_name(it))), measured(it, op.kind)
        said = f"{what} {wanted:g}; {found:.3f} on {TRIES} values"
        if not math.isclose(has, wanted, rel_tol=1e-12):
            note = f"{what} {has:g} in the port, {wanted:g} in the source"
        elif times[0] != times[1]:
            note = f"runs {times[0]} times in training mode, the source {times[1]}"
        elif abs(found - wanted) > tolerance(it, op.kind, wanted):
            note = f"{what} {wanted:g} was asked for, {found:.3f} was measured in training mode"
        else:
            note = ""
        yield Row("dropout", names[0], layer, op.outputs[0], not note, note=note or said)


def is_set_to(module: Any, amount: float) -> bool:
    return math.isclose(float(getattr(module, amount_name(module))), amount, rel_tol=1e-12)


def recurrent_rates(graph: Graph, model: Any, path: str = "") -> dict[str, list[float]]:
    """The recurrent dropout of the cells of each layer that may have some, by its path and name."""
    found: dict[str, list[float]] = {}
    for op in graph.ops:
        if op.kind == "Model":
            body, inner = graph.bodies[op.layer], layer_of(model, op.layer)
            found |= recurrent_rates(body, inner, f"{path}{op.layer}/")
        elif "recurrent_dropout" in str(op.config):
            cells = layer_of(model, op.layer)._flatten_layers()
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
