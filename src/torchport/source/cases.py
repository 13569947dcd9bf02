"""What a unit is proven with: the calls that were watched, and other arguments and sizes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from torchport.source.chains import CHAIN
from torchport.source.observe import UnitCall, Watched, is_scalar, is_tensor, told
from torchport.source.prove import Proof, Prover
from torchport.source.reference import (
    BATCH,
    Case,
)
from torchport.source.unit import SIZES_OF_SPACE, Unit
from torchport.source.vary import TRIED, choices_of, coupled, image_sizes, variations

#: With how many watched calls, and with how many others, a unit is proven.
WATCHED, VARIED = 1, 4


def cases_of(watched: Watched, unit: Unit) -> Iterator[Case]:
    """What a unit was watched with, then other arguments and sizes."""
    is_class = unit.kind in ("layer", "loss")
    calls = watched.recorder.units.get(f"{unit.name}.call" if is_class else unit.name, [])
    made = watched.recorder.units.get(f"{unit.name}.__init__", [])
    seen: dict[str, Case] = {}
    inner = watched.recorder.units.get(f"{unit.name}.{unit.inner}", [])[:1] if unit.inner else []
    for at, call in enumerate(calls):
        if unit.inner == CHAIN:
            if not (rows := getattr(call.result, "inputs", None)):
                continue
            inner = [UnitCall(CHAIN, {unit.inputs[0].name: rows[0]}, None)]
        case = case_of(unit, call, *inner)
        if is_class and made:
            own = next((it for it in made if it.arguments.get("self") is call.arguments.get("self")), None)
            if own is None:
                continue
            arguments = {it.name: own.arguments[it.name] for it in unit.known if it.name in own.arguments}
            case = replace(case, arguments=arguments)
        seen.setdefault(str(case), case)
        if at > 400:
            break
    yield from seen.values()


def proven(prover: Prover, unit: Unit, watched: Sequence[Case]) -> Proof:
    """A unit run with what was watched, and with other arguments."""
    first = {tuple(map(len, it.shapes)): it for it in reversed(watched)} if unit.by_ranks else {}
    cases = list(watched[:WATCHED])
    cases += [it for it in first.values() if it not in cases]
    enough = VARIED + len(cases)
    for case in watched[:1]:
        still = {*unit.fixed, *(unit.dropped if SIZES_OF_SPACE in unit.fixed else ())}
        choices = choices_of(prover.project.node_of(unit.name))
        arguments = [
            replace(case, arguments=it, is_varied=True)
            for it in (*with_defaults(prover, unit, case.arguments), *variations(case.arguments, choices))
            if all(it[name] == case.arguments[name] for name in still if name in it)
        ]
        sizes = [] if SIZES_OF_SPACE in unit.fixed else image_sizes(case.shapes)
        shapes = [replace(case, shapes=it, is_varied=True) for it in sizes]
        both = [] if still else coupled(case.arguments, case.shapes)
        shapes += [replace(case, arguments=it, shapes=one, is_varied=True) for it, one in both]
        # sizes are among the first: a number and a size that are equal now are told apart
        mixed = [it for pair in zip_longest(arguments, shapes) for it in pair if it is not None]
        seen = (
            it for it in watched[WATCHED:]
            if all(it.arguments[name] == case.arguments[name] for name in still if name in it.arguments)
        )  # fmt: skip
        cases += [*mixed, *seen][:TRIED]
        # where little can be another: other numbers, of more examples
        cases += [replace(case, draw=draw, is_varied=True) for draw in range(1, VARIED + 1)]
    endless = prover.project.watched.recorder.stopped[unit.name]
    unique = {str(it): it for it in cases if not (it.is_varied and told(it.arguments) in endless)}
    return prover.prove(unit, list(unique.values()), enough)


def with_defaults(prover: Prover, unit: Unit, given: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments, with what the author says where nothing is given: none of a class that has no such."""
    target = getattr(prover.project.watched.module, unit.name)
    defaults = {
        name: it.default
        for name, it in inspect.signature(target).parameters.items()
        if it.default is not it.empty and name in given and given[name] is not it.default
    }
    if defaults:
        yield {**given, **defaults}


def case_of(unit: Unit, call: UnitCall, inner: UnitCall | None = None) -> Case:
    """The case that a watched call was. `inner`: the call of the function that it gave."""
    arguments = {it.name: call.arguments[it.name] for it in unit.known if it.name in call.arguments}
    # sizes that were symbols when they were watched
    arguments = {name: BATCH + at if is_scalar(it) else it for at, (name, it) in enumerate(arguments.items())}
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
