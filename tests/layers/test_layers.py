"""Every layer with every option computes what TensorFlow computes, however it is laid out."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import torch
from tests.layers.cases import CASES, UNREACHABLE
from tests.layers.harness import Case, Reference, error, pins, ports, problems
from tests.replay.codec import decode
from tests.replay.replay import CORPUS, EXPECTED, VARIANTS, load

from torchport.emit.source import formatted
from torchport.infer import infer
from torchport.normalise import normalise
from torchport.rules import TABLE
from torchport.rules.refused import ELSEWHERE


@pytest.fixture(autouse=True)
def _pins() -> Iterator[None]:
    with pins():
        yield


@pytest.mark.parametrize("case", CASES, ids=str)
def test_as_tensorflow(case: Case) -> None:
    reference = Reference(case)
    for port in ports(reference.model):
        found = problems(case, reference, port)
        assert not found, "\n".join([port.layout, *found, port.code])


def test_every_rule_has_a_case() -> None:
    """Here, or among the calls of tests/functions, whose graphs the replay has."""
    kinds = {kind for case in CASES for kind in case.kinds}
    rules = {kind for kind in TABLE if not kind.startswith("pin:")}
    graphs = [infer(normalise(decode(it)), []) for it in load(CORPUS, "functions").values()]
    assert rules - kinds - {op.kind for graph in graphs for op in graph.ops} == UNREACHABLE
    assert kinds - rules <= ELSEWHERE.keys(), "cases of layers without a rule"


def test_every_case_is_another() -> None:
    names = [str(case) for case in CASES]
    assert sorted(set(names)) == sorted(names)


def test_looser_cases_say_why() -> None:
    assert not [str(case) for case in CASES if bool(case.why) != (case.within > 1e-10)]


@pytest.mark.parametrize("shape", ["4 7", "3 5 7", "2 3 5 7"])
def test_exact_batch_norm_keeps_keras_statistics(shape: str) -> None:
    """After a step in training mode, to the last bits; torch's own variance is unbiased."""
    reference = Reference(Case("BatchNormalization", {"momentum": 0.7}, shape))
    for port in ports(reference.model, exact=True):
        before = reference.model.get_weights()
        module = port.module().train()
        module(*port.turned(reference.x))
        reference.call(*map(tf.constant, reference.x), training=True)
        buffers = dict(module.named_buffers())
        variables = reference.weights(port.graph)
        for entry in port.entries:
            if "running" in entry.name:
                ours, theirs = buffers[entry.name].numpy(), variables[entry.source].numpy()
                assert error(entry.load.turn.undo(ours), theirs) < 1e-12, (port.layout, entry.name)
        reference.model.set_weights(before)


@pytest.mark.parametrize(
    "case",
    [
        Case("Dropout", {"rate": 0.25}, "40 9 10"),
        Case("Dropout", {"rate": 0.25, "noise_shape": (None, 1, None)}, "40 9 10"),
        Case("SpatialDropout1D", {"rate": 0.25}, "40 9 10"),
        Case("GaussianDropout", {"rate": 0.25}, "40 9 10"),
        Case("GaussianNoise", {"stddev": 0.25}, "40 9 10"),
        Case("AlphaDropout", {"rate": 0.25}, "40 9 10"),
    ],
    ids=str,
)
def test_random_layers_have_tensorflows_distribution(case: Case) -> None:
    """Of ones in training mode: the same values, mean and spread; the same axes vary together."""
    reference = Reference(case)
    reference.x = [np.ones(case.shapes[0])]
    x = tf.constant(reference.x[0])
    theirs = np.stack([reference.call(x, training=True) for _ in range(9)])
    for port in ports(reference.model):
        torch.manual_seed(0)
        module = port.module().train()
        ours = np.stack([port.back(module(*port.turned(reference.x))) for _ in range(9)])
        assert abs(ours.mean() - theirs.mean()) < 0.05
        assert abs(ours.std() - theirs.std()) < 0.05
        for axis in range(1, ours.ndim):
            assert abs(ours.std(axis).mean() - theirs.std(axis).mean()) < 0.05, axis
        if "Gaussian" not in case.kind:
            assert set(np.round(ours, 9).flat) == set(np.round(theirs, 9).flat)


def kept_texts() -> dict[str, set[str]]:
    """The programs of cases that the replay holds every conversion to, by case."""
    outcomes = [it for part in ("layers", "operations", "keras_2") for it in load(EXPECTED, part).items()]
    return {
        name: {it["code"] for it in (outcome, *map(outcome.get, VARIANTS)) if it and "code" in it}
        for name, outcome in outcomes
    }


def test_text_is_clean_and_stays_as_formatted(tmp_path: Path) -> None:
    """ruff format leaves it, ruff check finds nothing, Python parses it; for all cases at once."""
    texts = kept_texts()
    for case in CASES:
        if not texts.get(str(case)):
            made = ports(Reference(case).model, ("free", "keep_io"))
            texts[str(case)] = {port.code for port in made}
    every = set().union(*texts.values())
    for at, text in enumerate(sorted(every)):
        (tmp_path / f"case_{at}.py").write_text(text)
    ruff = [sys.executable, "-m", "ruff"]
    isolated = ["--isolated", "--line-length=100", "--no-cache"]
    subprocess.run([*ruff, "format", "-q", *isolated, "."], cwd=tmp_path, check=True)
    again = subprocess.run([*ruff, "format", "--diff", "-q", *isolated, "."], cwd=tmp_path)
    assert again.returncode == 0
    rules = ["--select=E,F,W,B,I,UP", "--target-version=py311", "--output-format=concise"]
    checked = subprocess.run(
        [*ruff, "check", *isolated, *rules, "."], cwd=tmp_path, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    sample = (tmp_path / "case_0.py").read_text()
    assert formatted(sample) == sample
