"""What is being done, told as it is done: each layer by name, so that hours of work are not silent."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

#: Seconds between two texts: more are not read, and each takes time.
PAUSE = 0.2


def teller(tell: Callable[[str], None], before: str) -> Callable[[str], None]:
    """Tells names of layers behind what is being done with them, a few times a second."""
    last = 0.0

    def say(name: str) -> None:
        nonlocal last
        if (now := monotonic()) - last > PAUSE:
            last = now
            tell(f"{before}: {name}")

    return say
