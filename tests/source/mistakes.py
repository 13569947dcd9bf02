"""Ports in which somebody makes a mistake."""

from __future__ import annotations

from torchport.source import SourcePort
from torchport.source.unit import Unit


def with_mistake(port: SourcePort, name: str, right: str, wrong: str) -> tuple[Unit, str]:
    """A unit, and the port's text with `wrong` where `right` first stands in that unit."""
    unit = next(it for it in port.units if it.name == name)
    start = port.code.index(f"{'def' if unit.kind == 'function' else 'class'} {unit.cls}")
    place = port.code.index(right, start)
    return unit, port.code[:place] + wrong + port.code[place + len(right) :]
