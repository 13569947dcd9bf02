"""One conversion from file to folder, and many at once: as many processes as there are cores."""

from __future__ import annotations

import os
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torchport
from torchport.errors import TorchportError
from torchport.report import conversion, problem
from torchport.report.progress import bar, uncollected, working

if TYPE_CHECKING:
    from torchport.port import Port


@dataclass(frozen=True)
class Outcome:
    """What became of one of many files: the facts of its port, or of the error, each as --json prints it."""

    source: Path
    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    #: Where a bug of torchport's was.
    traceback: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Its entry in the list that --json prints."""
        if self.error:
            return {"source": {"path": str(self.source)}, "error": self.error}
        return self.facts


def convert(source: Path, folder: Path, force: bool = False, **options: Any) -> dict[str, Any]:
    """Write one port; gives its facts. `options` are those of `torchport.convert`."""
    with uncollected():
        with working(f"reading {source.name}"):
            port = torchport.convert(source, **options)
        save(port, folder, force)
        return conversion.facts(port, folder)


def save(port: Port, folder: Path, force: bool) -> None:
    """Write the port. Raises TorchportError where the disk does not take it."""
    total = sum(entry.nbytes for entry in port.program.entries)
    try:
        with bar(total) as advance:
            port.save(folder, force=force, progress=advance)
    except OSError as error:
        what = f"cannot be written ({error.strerror or error})"
        advice = "check the path, its permissions and the free space"
        raise TorchportError(what, where=str(folder), advice=advice) from error


def folders(sources: Sequence[Path], parent: Path) -> list[Path]:
    """A folder in `parent` for each file: of its name, with that of its own folder where two are alike."""
    names = [name_of(source) for source in sources]
    found, seen = list[Path](), Counter[str]()
    for source, name in zip(sources, names, strict=True):
        if names.count(name) > 1:
            name = f"{source.resolve().parent.name}_{name}"
        seen[name] += 1
        found.append(parent / (name if seen[name] == 1 else f"{name}_{seen[name]}"))
    return found


def name_of(source: Path) -> str:
    """A file's name without its ending; of a model.json or saved_model.pb that of its folder."""
    path = source.resolve().parent if source.name in ("model.json", "saved_model.pb") else source
    return path.name.removesuffix(".h5").removesuffix(".weights").removesuffix(".keras") or "model"


def convert_many(
    sources: Sequence[Path], parent: Path, tell: Callable[[Outcome], None], **options: Any
) -> list[Outcome]:
    """Write a port of each file into a folder of its own; what fails does not stop the rest.

    `tell` is called with each outcome as it comes; they are given in the order of the files. A file that ends
    its process, for want of memory say, is an outcome too: what it took with it is done again.
    """
    jobs = dict(enumerate(zip(sources, folders(sources, parent), strict=True)))
    outcomes: dict[int, Outcome] = {}
    for at, outcome in _together(jobs, cores(), options):
        outcomes[at] = outcome
        tell(outcome)
    for at, job in jobs.items():
        if at not in outcomes:
            alone = dict(_together({at: job}, 1, options))
            outcomes[at] = alone.get(at) or Outcome(*job, error=ended(job[0]))
            tell(outcomes[at])
    return [outcomes[at] for at in jobs]


def _together(
    jobs: dict[int, tuple[Path, Path]], count: int, options: dict[str, Any]
) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of jobs as they come, until a process ends that should not."""
    import multiprocessing
    from concurrent.futures import Future, ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    forks = "fork" in multiprocessing.get_all_start_methods()  # what is imported once is not imported again
    context = multiprocessing.get_context("fork" if forks else None)
    pool = ProcessPoolExecutor(min(count, len(jobs)), context, _ignore_interrupts)
    try:
        futures: dict[Future[Outcome], int] = {
            pool.submit(attempt, *job, options): at for at, job in jobs.items()
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        return
    finally:
        pool.shutdown(cancel_futures=True)


def attempt(source: Path, folder: Path, options: dict[str, Any]) -> Outcome:
    """One conversion, whatever comes of it."""
    try:
        return Outcome(source, folder, convert(source, folder, **options))
    except Exception as error:
        found = problem.facts(error, str(source))
        trace = traceback.format_exc() if found["kind"] == "bug" else ""
        return Outcome(source, folder, error=found, traceback=trace)


def ended(source: Path) -> dict[str, Any]:
    """What is said of a file whose process ended."""
    return {
        "kind": "system", "what": "the process that converted it was ended", "where": str(source),
        "advice": "convert it alone, with more memory free",
    }  # fmt: skip


def cores() -> int:
    """How many processes run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ignore_interrupts() -> None:
    """An interrupt is the parent's: it starts no other file, and those begun are written to their end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
