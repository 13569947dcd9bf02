"""What tests of many small sources ask of each port."""

from __future__ import annotations

from collections.abc import Iterable

from torchport.source import SourcePort


def check_whole(port: SourcePort, shown: Iterable[str]) -> None:
    """The text has these lines, and all of it is proven with several sets of arguments."""
    for it in shown:
        assert it in port.code, port.code
    for proof in port.proofs.values():
        assert len(proof.cases) > 1 and not proof.differences


def check_unit(port: SourcePort, name: str, parts: Iterable[str], least: int = 1) -> None:
    """One unit has these parts, however they are broken into lines, and is proven so many times at least."""
    unit = next(it for it in port.units if it.name == name)
    text = " ".join(unit.text.split())
    for part in parts:
        assert " ".join(part.split()) in text, unit.text
    assert len(port.proofs[name].cases) >= least and not port.proofs[name].differences
