"""Models of one's own classes that no functional model stands for: what `call` does is ported, and proved.

`tests/read/test_subclass.py` has the same models where `read` refuses them; here `convert` does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from tests.read.test_subclass import (
    IMAGE,
    ROW,
    array,
    images,
    in_inference_only,
    in_training_only,
    network,
    rows,
)

import torchport
from torchport.errors import Refused


def norm_at_rest(self: Any, x: Any, training: Any = None) -> Any:
    """A norm that is called in one mode, whatever the model's is."""
    return self.head(self.pool(self.norm(self.conv(x), training=False)))


def noisy_in_training(self: Any, x: Any, training: Any = None) -> Any:
    y = self.dense(x)
    return y * (1.5 if training else 1.0)


def scaled(net: Any, layers: Any) -> None:
    rows(net, layers)
    net.scale = net.add_weight(shape=(3,), name="scale")


def by_scale(self: Any, x: Any) -> Any:
    return self.dense(x) * self.scale


CASES: dict[str, tuple[Any, Callable[[Any, Any], None], Any, tuple[int, ...]]] = {
    f"{call.__name__}-{package.__name__}": (package, make, call, shape)
    for package in (keras, tf_keras)
    for make, call, shape in (
        (images, in_training_only, IMAGE),
        (images, in_inference_only, IMAGE),
        (images, norm_at_rest, IMAGE),
        (rows, noisy_in_training, ROW),
        (scaled, by_scale, ROW),
    )
}


@pytest.mark.parametrize("name", CASES)
def test_what_call_does_in_each_mode(name: str) -> None:
    package, make, call, shape = CASES[name]
    if make is scaled and package is tf_keras:

        def make(net: Any, layers: Any) -> None:
            rows(net, layers)
            net.scale = net.add_weight("scale", (3,))

    model = network(package, make, call, array(shape))
    port = torchport.convert(model)
    np.testing.assert_allclose(
        port.run(array(shape)), np.asarray(model(array(shape), training=False)), rtol=1e-5, atol=1e-5
    )
    result = torchport.verify(model, port, precision="float64", steps=2)
    assert result.passed, str(result)
    assert {"inference", "training", "gradient", "steps"} <= {it.check for it in result.rows}


@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_a_condition_on_values_is_refused(package: Any) -> None:
    model = network(
        package, images, lambda self, x: self.conv(x) if float(np.sum(x)) > 0 else x, array(IMAGE)
    )
    with pytest.raises(Refused) as caught:
        torchport.convert(model)
    assert "test_subclassed.py:" in str(caught.value)


def test_noise_of_a_constant_shape() -> None:
    """Keras draws it once for the whole batch."""
    model = network(keras, rows, lambda self, x: self.dense(x) + 0.1 * keras.random.normal((3,)), array(ROW))
    port = torchport.convert(model)
    assert "new_empty((3,)).normal_()" in port.code
    result = torchport.verify(model, port, precision="float64", steps=2)
    assert result.passed, str(result)
