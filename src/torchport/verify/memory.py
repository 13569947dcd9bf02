"""The memory of this process that nothing uses: given back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
from pathlib import Path

#: A process that grew by fewer bytes is not searched: with two frameworks that takes a third of a second.
ROOM = 1 << 25
#: What the process held after the last search.
_held = 0


def release() -> None:
    """Give back what was let go of. glibc keeps it for later, up to as much as was ever held at once."""
    global _held
    now = resident()
    if now is not None and now - _held < ROOM:
        _held = min(_held, now)
        return
    gc.collect()
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
    _held = resident() or 0


def resident() -> int | None:
    """The bytes of memory that this process has; None where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
