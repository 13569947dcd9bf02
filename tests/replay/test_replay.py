"""The replay: a change leaves every program as it was, or its commit says which it changes, and why.

No TensorFlow, no torch: graphs as `read` gives them are kept in corpus/, what became of them in expected/.
`pytest tests/replay --accept` rewrites the latter, once the difference that a failure shows is what was
meant; a conflict of those files in git is resolved by taking either and accepting again. The corpus itself
is made by `python -m tests.replay.corpus`, for new cases, and where a reader or the graph has changed.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.replay.codec import decode, encode
from tests.replay.replay import CORPUS, EXPECTED, VARIANTS, load, parts, replay, save

#: Of how many programs a failure shows the difference.
SHOWN = 5


@pytest.mark.parametrize("part", parts())
def test_programs_are_as_before(part: str, accept: bool) -> None:
    results, expected = replay(part), load(EXPECTED, part)
    changed = sorted(
        name for name in results.keys() | expected.keys() if results.get(name) != expected.get(name)
    )
    if accept and changed:
        save(EXPECTED, part, results)
    elif changed:
        shown = [line for name in changed[:SHOWN] for line in difference(name, expected, results)]
        count = f"{len(changed)} of {len(results)} have changed: {', '.join(changed)}"
        pytest.fail("\n".join([count, *shown]), pytrace=False)


def difference(name: str, expected: dict[str, Any], results: dict[str, Any]) -> Iterator[str]:
    """What has changed of one result, as lines."""
    before, now = (list(lines(side.get(name, {}))) for side in (expected, results))
    return difflib.unified_diff(before, now, f"before: {name}", f"now: {name}", n=2, lineterm="")


def lines(result: dict[str, Any]) -> Iterator[str]:
    """A result as text."""
    yield from result.get("code", "").splitlines()
    for key, value in sorted(result.items()):
        if key in VARIANTS:
            yield f"--- {key}:"
            yield from lines(value)
        elif key != "code":
            yield from json.dumps({key: value}, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def test_the_corpus_is_large_and_has_refusals() -> None:
    expected = [result for part in parts() for result in load(EXPECTED, part).values()]
    assert sum("code" in result for result in expected) > 1500
    assert any("refused" in result for result in expected)
    assert sum("weights" in result for result in expected) > 300
    assert sum("permutes" in result for result in expected) > 20
    for variant in VARIANTS:
        assert any(variant in result for result in expected), variant


@pytest.mark.parametrize("part", parts())
def test_no_name_is_given_two_values_at_once(part: str) -> None:
    """`a, b, a = x.unbind(1)` loses the first."""
    for name, result in load(EXPECTED, part).items():
        for node in ast.walk(ast.parse(result.get("code", ""))):
            if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store):
                targets = [ast.unparse(it) for it in node.elts]
                assert len({*targets}) == len(targets) - max(0, targets.count("_") - 1), (name, targets)


@pytest.mark.parametrize("part", parts())
def test_graphs_come_back_from_json(part: str) -> None:
    for name, graph in list(load(CORPUS, part).items())[::25]:
        assert encode(decode(graph)) == graph, name
