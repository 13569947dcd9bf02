"""An error, as a person reads it and as data."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from torchport.errors import BadFile, Refused, TorchportError
from torchport.report.terminal import counted, plain

#: Layers that are named where many are refused for the same reason.
NAMED = 8


def facts(error: Exception, where: str = "") -> dict[str, Any]:
    """What happened, where, what to do; of a refusal every layer."""
    if isinstance(error, Refused):
        return {
            "kind": "refused",
            "what": "this model cannot be ported exactly",
            "where": error.where or where,
            "advice": "",
            "refusals": [vars(it) for it in error.refusals],
        }
    if isinstance(error, TorchportError):
        kind = "bad file" if isinstance(error, BadFile) else "error"
        return {
            "kind": kind, "what": error.what, "where": error.where or where, "advice": error.advice,
        }  # fmt: skip
    if isinstance(error, OSError):
        return {
            "kind": "system",
            "what": error.strerror or str(error),
            "where": str(error.filename or where),
            "advice": "",
        }
    return {
        "kind": "bug",
        "what": f"{type(error).__name__}: {error}",
        "where": where,
        "advice": "this is a bug in torchport: please report it with the model's architecture",
    }


def text(found: dict[str, Any]) -> str:
    """The same for a person; refusals that say the same stand together."""
    lines = [f"{found['where']}: {found['what']}" if found["where"] else found["what"]]
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for it in found.get("refusals", ()):
        alike[it["kind"], it["why"], it["advice"]].append(it["layer"])
    for (kind, why, advice), layers in alike.items():
        lines += ["", f"  {kind}: {why}", f"    in {', '.join(layers[:NAMED])}{_more(layers)}"]
        lines += [f"    -> {advice}"] if advice else []
    if alike:
        lines += ["", "Nothing was written."]
    if found["advice"]:
        lines.append(f"  -> {found['advice']}")
    return plain("\n".join(lines))


def _more(layers: list[str]) -> str:
    """How many layers are not named; --json names all."""
    left = len(layers) - NAMED
    return f" and {counted(left, 'more layer')} (--json lists them)" if left > 0 else ""
