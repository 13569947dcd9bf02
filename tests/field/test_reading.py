"""What people's files hold that was called damaged, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tf_keras
from keras import ops
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

L = keras.layers


def program(source: Any, **options: Any) -> tuple[str, list[bytes]]:
    port = torchport.convert(source, class_name="Net", **options)
    return port.code, sorted(it.array().tobytes() for it in port.program.entries)


def test_operations_in_legacy_files(tmp_path: Path) -> None:
    """They have a `dtype`, and no variables: Cast, ZerosLike, ConvertToTensor."""
    x = keras.Input((4,))
    y = ops.zeros_like(x) + ops.cast(ops.cast(x, "int32"), "float32")
    built = keras.Model(x, [L.Dense(3)(ops.convert_to_tensor(x) * 2), y, ops.full_like(x, 2)])
    built.save(tmp_path / "m.h5")
    built.save(tmp_path / "m.keras")
    assert program(tmp_path / "m.h5") == program(tmp_path / "m.keras") == program(built)


def test_sixty_models_in_each_other(tmp_path: Path) -> None:
    built = keras.Sequential([keras.Input((4,)), L.Dense(4)])
    for at in range(60):
        built = keras.Sequential([keras.Input((4,)), built], name=f"level{at}")
    built.save(tmp_path / "m.keras")
    built.save(tmp_path / "m.h5")
    x = np.ones((2, 4), "float32")
    port = torchport.convert(tmp_path / "m.keras")
    assert np.allclose(port.run(x), built(x), atol=1e-6)
    assert program(tmp_path / "m.h5") == program(tmp_path / "m.keras")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("package", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_mixed_precision(package: Any, policy: str, tmp_path: Path) -> None:
    """The weights are float32, and so is the port: that of the same model without the policy."""
    layers = package.layers

    def network(dtype: str, last: str) -> Any:
        package.utils.set_random_seed(0)
        return package.Sequential(
            [
                package.Input((8, 8, 3)),
                layers.Conv2D(4, 3, dtype=dtype, name="conv"),
                layers.BatchNormalization(dtype=dtype, name="norm"),
                layers.TimeDistributed(layers.Dense(2, dtype=dtype), dtype=dtype, name="steps"),
                layers.GlobalAveragePooling2D(dtype=dtype, name="pool"),
                layers.Dense(2, dtype=last, name="head"),
            ],
            name="net",
        )

    built = network(policy, "float32")
    built.save(tmp_path / "m.keras")
    built.save(tmp_path / "m.h5")
    for source in (built, tmp_path / "m.keras", tmp_path / "m.h5"):
        assert program(source) == program(network("float32", "float32"))
    port = torchport.convert(built)
    assert any(policy in it and "torch.autocast" in it for it in port.program.notes)
    assert torchport.verify(built, port, **QUICK).passed


def test_maps_of_policies(tmp_path: Path) -> None:
    """What is inside of the layer is looked at."""
    policies = keras.dtype_policies.DTypePolicyMap(default_policy="mixed_float16")
    x = keras.Input((6, 8))
    built = keras.Model(x, L.MultiHeadAttention(2, 4, dtype=policies)(x, x))
    built.save(tmp_path / "m.keras")
    port = torchport.convert(tmp_path / "m.keras")
    assert any("mixed_float16" in it for it in port.program.notes)


def test_half_precision_is_refused_with_what_works(tmp_path: Path) -> None:
    def network(dtype: str) -> Any:
        return keras.Sequential([keras.Input((4,)), L.Dense(3, dtype=dtype)])

    old = network("float16")
    with pytest.raises(Refused, match="float16' is not ported") as caught:
        torchport.convert(old)
    assert "set_weights(old.get_weights())" in str(caught.value)
    new = network("float32")
    new.set_weights(old.get_weights())
    torchport.convert(new)
