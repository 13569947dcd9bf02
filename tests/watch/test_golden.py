"""Programs of people's own layers: with their names, their constructors' numbers, `if self.training:`."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from pathlib import Path

import numpy as np
import pytest
import tf_keras
from tests.watch.networks import NETWORKS

import torchport

pytestmark = pytest.mark.filterwarnings("ignore")
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", NETWORKS)
def test_program(name: str, accept: bool) -> None:
    tf_keras.utils.set_random_seed(3)
    model = NETWORKS[name]()
    for variable in model.trainable_variables:
        variable.assign(variable + np.random.default_rng(4).normal(size=variable.shape) * 0.2)
    port = torchport.convert(model)
    file = GOLDEN / f"{name}.py"
    if accept:
        file.parent.mkdir(exist_ok=True)
        file.write_text(port.code, encoding="utf-8")
    assert port.code == file.read_text(encoding="utf-8")
    result = torchport.verify(model, port, precision="float64", steps=2)
    assert result.passed, str(result)
