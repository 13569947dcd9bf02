"""How a test verifies a port where the port is in question, not verify: what one precision and one step show.

Float32, more steps, and what is said where numbers cannot decide are the subject of tests/verify,
tests/mutants and tests/field/test_false_accusations.py, test_judgement.py, test_causes.py.
"""

from __future__ import annotations

from typing import Any

QUICK: dict[str, Any] = {"precision": "float64", "steps": 1}
