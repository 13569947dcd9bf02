"""Which test catches a fault: tests that need no TensorFlow, those alone that run the faulty line, in a fork.

`Catcher` has imported once what tests import (but for the package itself), and read the graphs of the
replay, each of which is a test here. One run without a fault says which test runs which lines, with what is
remembered (`functools.cache`) forgotten before each, and how long each takes. A fault is planted in a fork as
the package is imported; there the tests that run its line are run, the short ones first, until one fails.
What is run at import is run by all.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from itertools import count
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
#: Tests that need no TensorFlow; the replay is added, graph by graph.
TESTS = (
    "tests/test_axes.py", "tests/test_weights.py", "tests/normalise", "tests/infer", "tests/layout",
    "tests/rules", "tests/variants", "tests/blocks/test_structures.py", "tests/blocks/test_derive.py",
    "tests/blocks/test_lists.py", "tests/blocks/test_lines.py", "tests/blocks/test_shapes.py",
    "tests/blocks/test_steps.py", "tests/blocks/test_parameters.py", "tests/blocks/test_block.py",
    "--ignore=tests/rules/test_window.py",
)  # fmt: skip
#: What they import.
IMPORTED = (
    "hypothesis.strategies", "networkx.algorithms.flow", "safetensors.numpy", "torch", "coverage",
)  # fmt: skip
#: A fault may take as many times the CPU seconds of its tests, and some more.
PATIENCE, START = 4, 60
#: How many seconds later a test comes for each one like it.
ALIKE = 0.05


@dataclass(frozen=True)
class Planted:
    """A file of the package with a fault: its text, the lines of its statement, whether import runs them."""

    path: Path
    text: str
    lines: range
    at_import: bool

    def find_spec(self, name: str, *others: object) -> ModuleSpec | None:
        """The faulty file as a module: this is a finder of `sys.meta_path`."""
        file = SOURCE / self.path
        if name != ".".join(self.path.with_suffix("").parts).removesuffix(".__init__"):
            return None
        return importlib.util.spec_from_file_location(name, file, loader=Faulty(name, str(file), self.text))


class Faulty(SourceFileLoader):
    """A module whose text is not that of its file."""

    def __init__(self, name: str, file: str, text: str) -> None:
        super().__init__(name, file)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.path, "exec")


class Replayed(pytest.Item):
    """A graph of the replay as a test."""

    def __init__(self, *, graph: Any, expected: Any, is_formatted: bool, **others: Any) -> None:
        super().__init__(**others)
        self.graph, self.expected, self.is_formatted = graph, expected, is_formatted

    def runtest(self) -> None:
        from tests.replay.codec import decode
        from tests.replay.replay import outcome, outcomes, without_formatting

        if self.is_formatted:
            assert outcome(decode(self.graph)) == self.expected
        else:
            with without_formatting():
                assert outcomes(decode(self.graph)) == self.expected

    def repr_failure(self, excinfo: Any, style: Any = None) -> str:
        return str(excinfo.type)


@dataclass(eq=False)
class Chosen:
    """A plugin: the graphs are tests too; of all tests those that are wanted, in that order."""

    corpus: Mapping[str, tuple[Any, Any, bool]]
    #: Names of tests; None: all, as they come.
    wanted: Sequence[str] | None
    failed: str = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        for name, (graph, expected, is_formatted) in self.corpus.items():
            content = {"graph": graph, "expected": expected, "is_formatted": is_formatted}
            items.append(Replayed.from_parent(session, name=name, nodeid=name, **content))
        if self.wanted is not None:
            found = {item.nodeid: item for item in items}
            items[:] = [found[name] for name in self.wanted if name in found]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} (is not collected)"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


class Reach:
    """A plugin: which test runs which lines of some files, and its CPU seconds."""

    def __init__(self, files: Sequence[Path]) -> None:
        import coverage

        self.recorder = coverage.Coverage(data_file=None, include=list(map(str, files)), config_file=False)
        self.seconds: dict[str, float] = {}

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        for cached in remembers():
            cached.cache_clear()
        self.recorder.switch_context(item.nodeid)
        start = time.process_time()
        yield
        self.seconds[item.nodeid] = time.process_time() - start
        self.recorder.switch_context("")

    def lines(self) -> dict[str, dict[int, list[int]]]:
        """The tests, by their number in `seconds`, by file, from `SOURCE`, and line."""
        data, numbers = self.recorder.get_data(), {test: at for at, test in enumerate(self.seconds)}
        found = dict[str, dict[int, list[int]]]()
        for file in data.measured_files():
            of = data.contexts_by_lineno(file).items()
            lines = {line: [numbers[it] for it in tests if it] for line, tests in of}
            found[str(Path(file).relative_to(SOURCE))] = lines
        return found


def remembers() -> Iterator[Any]:
    """Functions of the package that remember what they returned."""
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] == "torchport":
            yield from (it for it in vars(module).values() if hasattr(it, "cache_clear"))


class Catcher:
    """The tests, and which lines each runs of some files. Made once; ValueError where a test fails."""

    def __init__(self, folder: Path, files: Sequence[Path], most: float) -> None:
        """`most`: so many CPU seconds of tests are tried on a fault, if that is more than one test."""
        self.folder, self.files, self.most, self.numbers = folder, files, most, count()
        os.chdir(ROOT)
        sys.path[:0] = [str(SOURCE), str(ROOT)]
        os.environ["TORCHPORT_NETWORKS"] = "20"
        for name in IMPORTED:
            importlib.import_module(name)
        self.corpus = self.apart(graphs)
        if isinstance(self.corpus, str):
            raise ValueError(f"the replay is not read: {self.corpus}")
        gc.collect()
        gc.freeze()
        self.lines, self.seconds = self.reach()

    def reach(self) -> tuple[dict[str, dict[str, list[int]]], dict[str, float]]:
        """The tests, by number, by file and line; and the CPU seconds of each, in that order."""
        found = self.apart(lambda: reach(self.corpus, self.files))
        if isinstance(found, str):
            raise ValueError(f"{found} fails without a mutant")
        lines, seconds = found
        return lines, seconds

    def apart(self, work: Callable[[], Any], limit: float | None = None) -> Any:
        """What `work` returns in a process of its own, or how that ended."""
        result = self.folder / f"{next(self.numbers)}.json"

        def run() -> None:
            if limit:
                resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
            resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))
            output = os.open(result.with_suffix(".txt"), os.O_WRONLY | os.O_CREAT)
            os.dup2(output, 1), os.dup2(output, 2)
            found = work()
            result.write_text(json.dumps(found))
            os._exit(0)

        process = multiprocessing.get_context("fork").Process(target=run)
        process.start()
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            return "time"
        return json.loads(result.read_text()) if result.exists() else "a crash"

    def wanted(self, planted: Planted) -> dict[str, float]:
        """The tests that can tell a fault, in the order in which they are run, and the CPU seconds of each.

        Those that run its line themselves come first, the short ones before the long, and each the later the
        more were there before it that run the same lines of its file.
        """
        of, tests = self.lines.get(str(planted.path), {}), list(self.seconds)
        own = {tests[at] for line in planted.lines for at in of.get(str(line), ())}
        lines = defaultdict[str, list[str]](list)
        for line, numbers in of.items():
            for at in numbers:
                lines[tests[at]].append(line)
        alike, order = Counter[tuple[str, ...]](), dict[str, tuple[bool, float]]()
        for test in sorted(self.seconds if planted.at_import else own, key=lambda it: self.seconds[it]):
            order[test] = test not in own, self.seconds[test] + ALIKE * alike[tuple(lines[test])]
            alike[tuple(lines[test])] += 1
        wanted, spent = dict[str, float](), 0.0
        for test in sorted(order, key=lambda it: order[it]):
            spent += self.seconds[test]
            if wanted and spent > self.most:
                break
            wanted[test] = self.seconds[test]
        return wanted

    def catch(self, planted: Planted) -> str:
        """The first test that fails; empty where none does."""
        wanted = self.wanted(planted)
        if not wanted:
            return ""
        limit = START + PATIENCE * sum(self.seconds[test] for test in wanted)
        return str(self.apart(lambda: first_failure(planted, self.corpus, list(wanted)), limit))


def graphs() -> dict[str, tuple[Any, Any, bool]]:
    """The graphs of the replay, each with what is expected of it and whether it is formatted, by name."""
    from tests.replay.replay import CORPUS, EXPECTED, FORMATTED, load, parts

    found = dict[str, tuple[Any, Any, bool]]()
    for part in parts():
        expected = load(EXPECTED, part)
        for name, graph in load(CORPUS, part).items():
            found[f"tests/replay/{part}::{name}"] = graph, expected[name], part in FORMATTED
    return found


def first_failure(
    planted: Planted, corpus: Mapping[str, tuple[Any, Any, bool]], wanted: Sequence[str]
) -> str:
    """The first test that fails with a fault; empty where none does."""
    sys.meta_path.insert(0, planted)
    chosen = Chosen({name: corpus[name] for name in wanted if name in corpus}, wanted)
    files = {name.partition("::")[0] for name in wanted if name not in corpus} or {TESTS[0]}
    status = tested(sorted(files), [chosen])
    return chosen.failed or ("" if status in (0, 5) else f"pytest ends with {status}")


def reach(corpus: Mapping[str, tuple[Any, Any, bool]], files: Sequence[Path]) -> Any:
    """What `Catcher.reach` gives; the first test that fails where one does."""
    chosen, record = Chosen(corpus, None), Reach(files)
    record.recorder.start()
    status = tested(TESTS, [chosen, record])
    record.recorder.stop()
    return chosen.failed or f"pytest, with {status}," if status else (record.lines(), record.seconds)


def tested(tests: Sequence[str], plugins: Sequence[object]) -> int:
    """The status of pytest."""
    return int(pytest.main(["-q", "-x", "-n", "0", "-p", "no:cacheprovider", *tests], list(plugins)))
