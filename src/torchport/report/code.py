"""What became of a file of code, as a person reads it and as data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torchport.source import SourcePort
from torchport.source.prove import Proof
from torchport.source.unit import Unit


def facts(port: SourcePort, written: Path) -> dict[str, Any]:
    """What --json prints."""
    return {
        "source": str(port.source.path),
        "port": str(written),
        "passed": port.passed,
        "units": [
            {
                "name": it.name, "becomes": it.cls, "kind": it.kind, "line": it.line,
                "without": list(it.dropped), "fixed": list(it.fixed),
                "proven_with": list(map(str, port.proofs[it.name].cases)),
                "checks": port.proofs[it.name].checks, "worst": port.proofs[it.name].worst,
            }
            for it in port.units
        ],
        "refusals": [vars(it) for it in port.refusals],
        "notes": list(port.notes),
        "weights": None if port.state is None else {
            "file": str(port.state_path(written)), "for": port.state.made,
            "checks": port.state.proof.checks, "worst": port.state.proof.worst,
        },
    }  # fmt: skip


def text(port: SourcePort, written: Path) -> str:
    """What a person reads."""
    lines = [f"{port.source.path} -> {written}", ""]
    for it in port.units:
        lines.append(f"  {it.name:24} {becomes(it):28} {proven(port.proofs[it.name])}")
        lines += [f"  {'':24} {said}" for said in (*always(it), *without(it))]
    lines += [f"  {it}" for it in port.notes]
    if (state := port.state) is not None:
        lines += ["", f"  {port.state_path(written)}: weights of {state.made}, {proven(state.proof)}"]
    if port.refusals:
        lines += ["", "Not ported:", *(f"  {it}" for it in port.refusals)]
    return "\n".join(lines)


def becomes(unit: Unit) -> str:
    """What a unit is in the port."""
    return f"{'def' if unit.kind == 'function' else 'class'} {unit.cls}"


def proven(proof: Proof) -> str:
    return (
        f"proven with {len(proof.cases)} sets of arguments, {proof.checks} comparisons, "
        f"{proof.worst:.0e} off at most"
    )


def always(unit: Unit) -> Iterator[str]:
    """Which arguments the port takes no others for."""
    if unit.fixed:
        yield f"always with the {', '.join(unit.fixed)} that was watched"


def without(unit: Unit) -> Iterator[str]:
    """Which arguments the port has not."""
    if unit.dropped:
        yield f"without {', '.join(unit.dropped)}: nothing in the port depends on it"
