"""Every function of `keras.ops` that can stand in a graph is ported, with a case, or refused."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import keras
import pytest
from keras.src.ops.operation import Operation
from tests.layers.cases import CASES
from tests.layers.test_refusals import refused

from torchport.rules import TABLE
from torchport.rules.refused_operations import REFUSED_OPERATIONS

PREFIX = "keras.ops."
HAVE_CASES = {case.kind for case in CASES}


def functions(module: Any, path: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """All that a module of keras.ops exports, and what its modules do."""
    for name in dir(module):
        found = getattr(module, name)
        if inspect.ismodule(found) and found.__name__.startswith("keras.ops"):
            yield from functions(found, f"{path}{name}.")
        elif not name.startswith("_") and callable(found):
            yield f"{path}{name}", found


def operations(function: Callable[..., Any]) -> list[str]:
    """The classes that a function puts into a graph when it is given tensors of one.

    Those that its source names, and those of functions of its module that it calls: `abs` is `absolute`.
    """
    module = sys.modules[function.__module__]
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    named = [getattr(module, node.id, None) for node in ast.walk(tree) if isinstance(node, ast.Name)]
    classes = [it.__name__ for it in named if isinstance(it, type) and issubclass(it, Operation)]
    if not classes:
        returned = [it.value for it in ast.walk(tree) if isinstance(it, ast.Return)]
        called = [it.func.id for it in returned if isinstance(it, ast.Call) and isinstance(it.func, ast.Name)]
        others = [getattr(module, name, None) for name in called]
        classes = [it for other in others if inspect.isfunction(other) for it in operations(other)]
    return list(dict.fromkeys(classes))


ALL = dict(functions(keras.ops))
#: Functions that make no operation of a graph's tensors: they make constants, ask, or are for eager mode.
NO_OPERATION = set(
    "bartlett blackman convert_to_numpy custom_gradient dtype empty eye hamming hanning identity is_tensor "
    "kaiser ones shape tri vectorize zeros".split()
)  # fmt: skip


def test_there_are_many() -> None:
    names = {name.rpartition(".")[2] for name in ALL}
    assert len(names) > 330
    assert NO_OPERATION < names


@pytest.mark.parametrize("name", ALL)
def test_is_ported_or_refused(name: str) -> None:
    classes = operations(ALL[name])
    assert bool(classes) != (name.rpartition(".")[2] in NO_OPERATION)
    for kind in classes:
        ported, is_refused = f"{PREFIX}{kind}" in TABLE, kind in REFUSED_OPERATIONS
        assert ported != is_refused, f"{kind} is both" if ported else f"{kind} is neither ported nor refused"
        assert not ported or f"{PREFIX}{kind}" in HAVE_CASES


def test_the_tables_name_nothing_else() -> None:
    known = {kind for function in ALL.values() for kind in operations(function)}
    assert REFUSED_OPERATIONS.keys() <= known
    assert all(why and advice for why, advice in REFUSED_OPERATIONS.values())
    ours = {kind.removeprefix(PREFIX) for kind in TABLE if kind.startswith(PREFIX)}
    assert ours - known == {"Abs", "SquaredDifference"}, "a class that abs had, an operation of tf alone"


def test_a_refused_operation_says_why() -> None:
    inputs = keras.Input((4, 5))
    text = refused(
        keras.Model(inputs, keras.ops.eigh(keras.ops.matmul(inputs, keras.ops.swapaxes(inputs, 1, 2))))
    )
    assert "eigenvectors are free" in text and "compute_uv=False" in text
