"""How a test verifies a port where the port is in question, not verify: what one precision and one step show.

Float32, more steps, and what is said where numbers cannot decide are the subject of tests/verify,
tests/mutants and tests/field/test_false_accusations.py, test_judgement.py, test_causes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torchport
from torchport.verify import record

QUICK: dict[str, Any] = {"precision": "float64", "steps": 1}


class Recordings(dict[str, tuple[Path, Path]]):
    """By a network's name: what TensorFlow computes of it, kept once for all wrong ports, and the right port.

    Made when it is first asked for: tests of one file may be shared out among processes.
    """

    def __init__(self, build: Callable[[str], Any], folder: Path) -> None:
        super().__init__()
        self.build, self.folder = build, folder

    def __missing__(self, name: str) -> tuple[Path, Path]:
        model, folder = self.build(name), self.folder / name
        torchport.convert(model).save(folder / "port")
        self[name] = record(model, folder / "truth"), folder / "port"
        return self[name]
