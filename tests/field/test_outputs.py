"""Models that take and give dictionaries and lists: nothing is swapped, and names are the source's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.quick import QUICK

import torchport

keras = pytest.importorskip("keras")
tf_keras = pytest.importorskip("tf_keras")


def two_heads(K: Any) -> Any:
    x = K.Input((4,), name="x")
    zeta = K.layers.Dense(2, name="first")(x)
    return K.Model(x, {"zeta": zeta, "alpha": K.layers.Dense(2, name="last")(x)})


def two_of_each(K: Any) -> Any:
    b, a = K.Input((4,), name="first"), K.Input((4,), name="second")
    return K.Model({"zz": b, "aa": a}, {"y": K.layers.Dense(2)(b), "b": K.layers.Dense(2)(a)})


def lists_in_a_dict(K: Any) -> Any:
    x = K.Input((4,), name="x")
    dense = K.layers.Dense
    return K.Model(x, {"zeta": [dense(2)(x), dense(3)(x)], "alpha": dense(4)(x), "one": [dense(5)(x)]})


def lists_in_a_list(K: Any) -> Any:
    x = K.Input((4,), name="x")
    return K.Model(x, [[K.layers.Dense(2)(x), K.layers.Dense(3)(x)], K.layers.Dense(4)(x)])


def one_key(K: Any) -> Any:
    x = K.Input((4,), name="x")
    return K.Model(x, {"only": K.layers.Dense(2)(x)})


def one_tensor_twice(K: Any) -> Any:
    x = K.Input((4,), name="x")
    made = K.layers.Dense(2)(x)
    return K.Model(x, {"b": made, "a": made, "c": K.layers.ReLU()(made)})


def a_dict_of_an_inner_model(K: Any) -> Any:
    x, y = K.Input((4,), name="x"), K.Input((4,), name="y")
    inner = K.Model(x, {"zeta": K.layers.Dense(3)(x), "alpha": K.layers.Dense(3)(x)}, name="inner")(y)
    return K.Model(y, {"q": inner["zeta"], "c": K.layers.Activation("tanh")(inner["alpha"])})


def any_keys(K: Any) -> Any:
    x = K.Input((4,), name="x")
    keys = ("class/score", "a b'\"", '"""', "\\", "é", "{x}")
    return K.Model(x, {key: K.layers.Dense(2)(x) for key in keys})


def images(K: Any) -> Any:
    x = K.Input((8, 6, 3), name="x")
    y = K.layers.Conv2D(2, 3, name="mask")(x)
    return K.Model(x, {"mask": y, "edges": K.layers.Conv2D(2, 3)(x), "n": K.layers.GlobalMaxPooling2D()(y)})


MODELS = [
    two_heads, two_of_each, lists_in_a_dict, lists_in_a_list, one_key, one_tensor_twice,
    a_dict_of_an_inner_model, any_keys, images,
]  # fmt: skip


def alike(got: Any, want: Any) -> None:
    if isinstance(want, Mapping):
        assert isinstance(got, dict) and list(got) == list(want)
        for key in want:
            alike(got[key], want[key])
    elif isinstance(want, (list, tuple)):
        assert isinstance(got, (list, tuple)) and len(got) == len(want)
        for pair in zip(got, want, strict=True):
            alike(*pair)
    else:
        np.testing.assert_allclose(got, np.asarray(want), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("ending", ["", ".keras", ".h5"], ids=["live", "keras", "h5"])
@pytest.mark.parametrize("K", [keras, tf_keras], ids=["3", "2"])
@pytest.mark.parametrize("build", MODELS, ids=lambda it: it.__name__)
def test_what_a_model_returns_is_nested_as_in_the_source(
    build: Any, K: Any, ending: str, tmp_path: Path
) -> None:
    K.backend.clear_session()
    model = build(K)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    source = model
    if ending:
        source = tmp_path / f"model{ending}"
        model.save(source)
    port = torchport.convert(source)
    arrays = {it.name.split(":")[0]: rng.normal(size=(2, *it.shape[1:])) for it in model.inputs}
    given: Any = arrays
    if isinstance(model.input, dict):
        given = {key: arrays[it.name.split(":")[0]] for key, it in model.input.items()}
        assert "def forward(self, aa: Tensor, zz: Tensor) ->" in port.code
        alike(port.run(given), model(given))
    (array, *_), names = arrays.values(), [it.name for it in port.inputs]
    want = model(given if len(arrays) > 1 else array.astype("float32"))
    alike(port.run(*(arrays[name] for name in names)), want)
    alike(port.run(arrays), want)


def test_several_outputs_are_named_in_the_docstring() -> None:
    x = keras.Input((4,), name="x")
    steer, coll = keras.layers.Dense(1, name="steer")(x), keras.layers.Dense(1, name="Coll")(x)
    code = torchport.convert(keras.Model(x, [steer, coll])).code
    assert '"""(n, 4) -> steer (n, 1), coll (n, 1)."""' in code
    code = torchport.convert(two_heads(keras)).code
    assert '"""(n, 4) -> {\'zeta\': first (n, 2), \'alpha\': last (n, 2)}."""' in code or (
        '"""(n, 4) -> {\'zeta\': (n, 2), \'alpha\': (n, 2)}."""' in code
    )


@pytest.mark.parametrize("build", [two_of_each, lists_in_a_dict, images], ids=lambda it: it.__name__)
def test_verify_compares_by_key(build: Any, tmp_path: Path) -> None:
    keras.backend.clear_session()
    model = build(keras)
    model.save(tmp_path / "model.keras")
    folder = torchport.convert(tmp_path / "model.keras").save(tmp_path / "port")
    result = torchport.verify(tmp_path / "model.keras", folder, **QUICK)
    assert result.passed, result
    text = (folder / "model.py").read_text()
    if build is two_of_each:  # the two heads swapped
        found = re.search(r'return \{"y": (.*), "b": (.*)\}', text)
        assert found
        edited = text.replace(found[0], f'return {{"b": {found[1]}, "y": {found[2]}}}')
        same = text.replace(found[0], f'return {{"b": {found[2]}, "y": {found[1]}}}')
        (folder / "model.py").write_text(same)
        assert torchport.verify(tmp_path / "model.keras", folder, **QUICK).passed
        (folder / "model.py").write_text(edited)
        assert not torchport.verify(tmp_path / "model.keras", folder, **QUICK).passed
        (folder / "model.py").write_text(text.replace('{"y":', '{"z":'))
        wrong = torchport.verify(tmp_path / "model.keras", folder, **QUICK)
        assert not wrong.passed and "'y'" in str(wrong)


@pytest.mark.parametrize("build", [two_heads, lists_in_a_dict], ids=lambda it: it.__name__)
def test_dictionaries_are_exported(build: Any) -> None:
    torch = pytest.importorskip("torch")
    model, x = torchport.convert(build(keras)).module(), torch.rand(2, 4)
    want = model(x)
    got = torch.export.export(model, (x,)).module()(x)
    assert list(got) == list(want)
    if build is two_heads:
        assert list(torch.jit.script(model)(x)) == list(want)
