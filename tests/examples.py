"""How many random examples a test draws, and from which seed.

`make test` draws few, the same in every run. TORCHPORT_EXAMPLES=200 draws more of each test;
TORCHPORT_SEED=7 others, TORCHPORT_SEED=random others each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, seed, settings

SEED = os.environ.get("TORCHPORT_SEED", "")


def count(usual: int) -> int:
    """The examples of a test that usually draws so many."""
    return int(os.environ.get("TORCHPORT_EXAMPLES", usual))


def examples(usual: int) -> Callable[[Any], Any]:
    """A decorator: so many examples, no deadline, nothing kept from one run to the next."""

    def decorate(test: Any) -> Any:
        bounded = settings(
            max_examples=count(usual), derandomize=not SEED, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )(test)  # fmt: skip
        return bounded if SEED in ("", "random") else seed(int(SEED))(bounded)

    return decorate
