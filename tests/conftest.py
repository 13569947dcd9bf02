"""Options of all tests."""

from __future__ import annotations

import gc
import os
from collections import Counter

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ.setdefault(variable, "1")  # tensors are small, and there are as many processes as cores


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--accept", action="store_true", help="rewrite the golden files with what is generated now"
    )


@pytest.fixture
def accept(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are rewritten. CI never accepts."""
    wanted = bool(request.config.getoption("--accept"))
    assert not (wanted and os.environ.get("CI")), "CI compares, it does not accept"
    return wanted


def pytest_collection_finish() -> None:
    """What is imported, and the tests, stay: garbage is not searched for among them again and again."""
    gc.collect()
    gc.freeze()


#: Seconds that the tests of each file took so far, in all processes together.
SECONDS = Counter[str]()
#: So many files are shown at the end, where there is more than one.
SHOWN = 40


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    SECONDS[report.nodeid.partition("::")[0]] += report.duration


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where the time goes."""
    if len(SECONDS) > SHOWN:
        terminalreporter.section(f"seconds of {SHOWN} files, of {sum(SECONDS.values()):.0f} s")
        for file, seconds in SECONDS.most_common(SHOWN):
            terminalreporter.line(f"{seconds:7.1f} {file}")
