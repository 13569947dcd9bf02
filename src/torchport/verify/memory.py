"""The memory of this process that nothing uses: given back to the system."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def release() -> None:
    """Give back what was let go of. glibc keeps it for later, up to as much as was ever held at once."""
    gc.collect()
    with suppress(OSError, AttributeError):  # not every C library has it
        ctypes.CDLL(None).malloc_trim(0)
