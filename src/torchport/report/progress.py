"""What shows while a command works, and what does not."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: Weights below this are written before a bar could be read.
LONG = 50_000_000


@contextmanager
def bar(total: int) -> Iterator[Callable[[int], None] | None]:
    """A bar of bytes written, on standard error, if that is a terminal and it takes long."""
    if total < LONG or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from torchport.report.terminal import console

    columns = (
        TextColumn("  writing weights"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(error=True), transient=True) as shown:
        task = shown.add_task("", total=total)
        yield lambda count: shown.advance(task, count)


@contextmanager
def working(on: str) -> Iterator[Callable[[str], None]]:
    """A spinner on standard error, if that is a terminal; gives what changes its text."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    from torchport.report.terminal import styled

    with os.fdopen(os.dup(2), "w") as file:  # its own, so that `hushed` does not silence it
        with Console(file=file).status(styled(on, "dim")) as status:
            yield lambda text: status.update(styled(text, "dim"))


@contextmanager
def uncollected() -> Iterator[None]:
    """No search for reference cycles: imports and a conversion make many objects, and keep most of them.

    The search takes a fifth of their time otherwise.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def unsearched() -> None:
    """At the end of a process Python searches through all that is left; frameworks need that, and HDF5.

    What HDF5 has open it closes after Python has ended: through a Python file that is no more.
    """
    h5py = sys.modules.get("h5py")
    is_open = h5py is not None and h5py.h5f.get_obj_count(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE)
    if not {"tensorflow", "torch"} & sys.modules.keys() and not is_open:
        gc.freeze()


@contextmanager
def hushed() -> Iterator[None]:
    """Standard error is closed: TensorFlow announces itself there whatever its log level is."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
