"""Options of all tests."""

from __future__ import annotations

import gc
import os

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
