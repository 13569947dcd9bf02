"""Some of keras.applications, small, converted and verified as `make zoo` does with all of it."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from bench import zoo
from tests.quick import QUICK

import torchport

#: One of them in both precisions and with all steps.
NETWORKS = {"MobileNetV2": {}, "EfficientNetB0:features": QUICK, "DenseNet121": QUICK}


@pytest.mark.parametrize(("name", "how"), NETWORKS.items(), ids=NETWORKS)
def test_network(name: str, how: dict[str, Any]) -> None:
    keras.utils.clear_session()
    model = zoo.build(name)
    port = torchport.convert(model)
    result = torchport.verify(model, port, inputs=[zoo.image(name, model.input_shape[1:])], **how)
    assert result.passed, result
    for check in ("inference", "training", "gradient"):
        error = result.worst(check)
        assert error is not None and error <= zoo.LIMIT, check
    assert not port.permutes


def test_every_network_of_keras_is_in_the_zoo() -> None:
    found = {name for name in vars(keras.applications) if name[0].isupper()}
    assert found == set(zoo.SIZES)
