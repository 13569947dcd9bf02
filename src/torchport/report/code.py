"""What became of a file of code, as a person reads it and as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torchport.source import SourcePort


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
    }  # fmt: skip


def text(port: SourcePort, written: Path) -> str:
    """What a person reads."""
    lines = [f"{port.source.path} -> {written}", ""]
    for it in port.units:
        proof = port.proofs[it.name]
        what = f"class {it.cls}" if it.kind != "function" else f"def {it.cls}"
        lines.append(
            f"  {it.name:24} {what:28} proven with {len(proof.cases)} sets of arguments, "
            f"{proof.checks} comparisons, {proof.worst:.0e} off at most"
        )
        if it.fixed:
            lines.append(f"  {'':24} always with the {', '.join(it.fixed)} that was watched")
        if it.dropped:
            lines.append(f"  {'':24} without {', '.join(it.dropped)}: nothing in the port depends on it")
    lines += [f"  {it}" for it in port.notes]
    if port.refusals:
        lines += ["", "Not ported:", *(f"  {it}" for it in port.refusals)]
    return "\n".join(lines)
