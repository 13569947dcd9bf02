"""Right ports pass: every structure, from every source, with every option."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import torchport
from torchport.errors import TorchportError
from torchport.verify import CHECKS, Verification, frameworks
from torchport.verify.compare import LIMIT, Noise, compare, judge
from torchport.verify.patches import DOUBLES, patched
from torchport.verify.reference import Reference
from torchport.verify.statistics import RunningVariance

from .models import BUILDERS, build

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")


def report(result: Verification) -> str:
    """What pytest shows where a port that is right does not pass."""
    return "\n".join([str(result), *(str(row) for row in result.rows if not row.passed)][:6])


CASES = [
    *((name, {}) for name in BUILDERS),
    *((name, {"keep_io": True}) for name in ("image", "scales", "unet")),
    *((name, {"exact": True}) for name in ("image", "chain")),
]


@pytest.mark.parametrize(
    ("name", "options"), CASES, ids=lambda it: it if isinstance(it, str) else "-".join(it)
)
def test_live_model(name: str, options: dict[str, Any]) -> None:
    model = build(name, keras)
    before = [weight.numpy().copy() for weight in model.weights]
    result = torchport.verify(model, torchport.convert(model, **options))
    assert result.passed, report(result)
    assert result.first is None
    assert result.precision == "float64"
    assert {row.check for row in result.rows} >= {
        "reference",
        "state",
        "inference",
        "training",
        "gradient",
        "steps",
    }
    for check in ("inference", "training", "gradient", "steps"):
        assert 0 <= result.worst(check) < 1e-11
    for weight, value in zip(model.weights, before, strict=True):
        assert np.array_equal(weight.numpy(), value), "verify changed the user's model"


@pytest.mark.parametrize("file", ["model.keras", "model.h5"])
@pytest.mark.parametrize("version", ["keras", "tf_keras"])
def test_files(version: str, file: str, tmp_path: Path) -> None:
    framework = pytest.importorskip(version)
    model = build("chain", framework)
    model.save(str(tmp_path / file))
    torchport.convert(tmp_path / file).save(tmp_path / "port")
    result = torchport.verify(tmp_path / file, tmp_path / "port")
    assert result.passed, report(result)
    assert version in result.versions


@pytest.mark.parametrize("name", ["shared", "nested"])
def test_keras_2_structures(name: str) -> None:
    model = build(name, pytest.importorskip("tf_keras"))
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed, report(result)


def test_every_layer_is_compared() -> None:
    """Each layer's output, in both modes; before and after an activation; in each call of a nested model."""
    model = build("nested", keras)
    result = torchport.verify(model, torchport.convert(model))
    for check in ("inference", "training"):
        seen = {row.tensor for row in result.rows if row.check == check}
        assert {
            "middle/core/dense", "middle/core/dense.linear", "middle/core/off", "middle/core/side",
            "middle/core@1/dense", "middle/core@1/off", "middle/plus", "middle/beside",
            "tail/out", "tail/ln", "tail@1/out", "tail@1/ln",
        } <= seen  # fmt: skip


def test_blocks_are_looked_into() -> None:
    """A class that stands in several places is compared in each, with the tensors that it has there."""
    model = build("unet", keras)
    port = torchport.convert(model)
    assert port.code.count("class ") > 1
    result = torchport.verify(model, port)
    rows = {row.tensor: row for row in result.rows if row.check == "inference"}
    layers = [layer.name for layer in model.layers if "Input" not in type(layer).__name__]
    assert set(layers) <= set(rows)
    assert rows["enc1_bn2"].layer == "enc1_bn2"


def test_running_variance_is_accounted_for_exactly() -> None:
    model = build("image", keras)
    result = torchport.verify(model, torchport.convert(model))
    (row,) = [row for row in result.rows if row.check == "steps" and row.name == "bn.running_var"]
    count = 3 * 11 * 14
    assert row.error64 is not None and row.error64 < 1e-12
    assert f"{count / (count - 1):.6f}" in row.note


def test_open_sizes_are_tried_twice() -> None:
    model = build("scales", keras)
    result = torchport.verify(model, torchport.convert(model))
    assert result.inputs[0]["shape"] == [3, 32, 48, 3]
    assert [row.check for row in result.rows].count("sizes") == 1


def test_given_inputs() -> None:
    model = build("shared", keras)
    port = torchport.convert(model)
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(4, 7)).astype("float32"), "b": rng.normal(size=(4, 7))}
    result = torchport.verify(model, port, inputs=arrays)
    assert result.passed, report(result)
    assert [it["shape"] for it in result.inputs] == [[4, 7], [4, 7]]
    assert {it["from"] for it in result.inputs} == {"the user"}
    with pytest.raises(TorchportError, match="takes 2 inputs, given are 1"):
        torchport.verify(model, port, inputs=[arrays["a"]])
    with pytest.raises(TorchportError, match=r"shape \(4, 6\)"):
        torchport.verify(model, port, inputs=[arrays["a"], arrays["b"][:, :6]])


def test_record(tmp_path: Path) -> None:
    """port.json says what was verified, of which files, the same each time; a failure clears it."""
    model = build("chain", keras)
    torchport.convert(model).save(tmp_path / "port")
    record = tmp_path / "port" / "port.json"
    assert json.loads(record.read_text())["verified"] is None
    result = torchport.verify(model, tmp_path / "port")
    first = record.read_text()
    verified = json.loads(first)["verified"]
    assert verified["passed"] and verified["checks"]["gradient"]["error64"] < 1e-10
    assert set(verified["files"]) == {"model.py", "model.safetensors"}
    assert torchport.verify(model, tmp_path / "port").summary() == result.summary()
    assert record.read_text() == first
    code = tmp_path / "port" / "model.py"
    code.write_text(code.read_text().replace("eps=1e-3", "eps=2e-3"))
    assert not torchport.verify(model, tmp_path / "port").passed
    assert json.loads(record.read_text())["verified"] is None


def test_json() -> None:
    model = build("chain", keras)
    result = torchport.verify(model, torchport.convert(model))
    loaded = json.loads(result.to_json(), parse_constant=pytest.fail)
    assert loaded["passed"] is True and len(loaded["rows"]) == len(result.rows)
    assert set(loaded["checks"]) <= set(CHECKS)


def test_edited_code_that_computes_the_same(tmp_path: Path) -> None:
    """A person may rewrite `forward`: what it gives is still compared, and that it was edited is said."""
    model = build("image", keras)
    folder = torchport.convert(model).save(tmp_path / "port")
    code = (folder / "model.py").read_text()
    line = next(line for line in code.splitlines() if "self.bn(self.conv(image))" in line)
    new = "        x = self.conv(image)\n        x = self.bn(x)\n        leaky = F.leaky_relu(x, 0.3)"
    (folder / "model.py").write_text(code.replace(line, new))
    result = torchport.verify(model, folder)
    assert result.passed, report(result)
    assert any("was edited" in note for note in result.notes)
    assert {"conv", "bn", "up", "down"} <= {
        row.tensor.removesuffix(".linear") for row in result.rows if row.check == "inference"
    }


def test_edited_code_may_differ_inside(tmp_path: Path) -> None:
    """Pooling before the activation gives other tensors on the way, and the same in the end."""
    L = keras.layers
    x = keras.Input((8, 6, 3), name="x")
    y = L.MaxPooling2D(name="pool")(L.Activation("relu", name="relu")(L.Conv2D(5, 3, name="conv")(x)))
    model = keras.Model(x, L.Conv2D(2, 1, name="head")(y), name="small")
    folder = torchport.convert(model).save(tmp_path / "port")
    code = (folder / "model.py").read_text()
    before, after = "F.max_pool2d(F.relu(self.conv(x)), 2)", "F.relu(F.max_pool2d(self.conv(x), 2))"
    assert before in code
    (folder / "model.py").write_text(code.replace(before, after))
    result = torchport.verify(model, folder)
    assert result.passed, report(result)
    assert result.first is None


def test_calls_of_a_shared_layer_in_another_order() -> None:
    """Running statistics depend on the order of calls in a step: found out by trying orders."""
    before, one, two = np.zeros(3), np.array([1.0, 2, 3]), np.array([5.0, 7, 11])
    running = RunningVariance(before, taken=[(0.9, one), (0.9, two)])
    found = dict(running.reordered(before, steps=1))
    np.testing.assert_allclose(found[1, 0], 0.9 * 0.1 * two + 0.1 * one)
    np.testing.assert_allclose(found[0, 1], 0.9 * 0.1 * one + 0.1 * two)


@pytest.mark.parametrize(
    ("got", "want", "fails"),
    [
        ([1.0, 2.0], [1.0, 2.0], False),
        ([1.0, 2.0 + 1e-9], [1.0, 2.0], True),
        ([np.nan, 2.0], [np.nan, 2.0], True),
        ([np.nan, 2.0], [1.0, 2.0], True),
        ([1.0, np.inf], [1.0, np.inf], False),
        ([1.0, np.inf], [1.0, -np.inf], True),
        ([1.0, np.inf], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0, np.inf], True),
        ([1.0, np.inf], [2.0, np.inf], True),
        ([[1.0, 2.0]], [1.0, 2.0], True),
        ([1, 2], [1.0, 2.0], True),
        ([0.0, 1e-11], [0.0, 0.0], False),
        ([0.0, 1e-9], [0.0, 0.0], True),
        ([3, 4], [3, 5], True),
        ([], [], False),
    ],
)
def test_compare(got: list[Any], want: list[Any], fails: bool) -> None:
    found = compare(np.array(got), np.array(want))
    assert (found.error is None or found.error > LIMIT) is fails


def test_cancelled_sums_are_measured_by_what_cancelled() -> None:
    """A gradient that is zero but for rounding: 1e-17 in float64, 1e-8 in float32."""
    want, got = np.array([1e-17]), np.array([-3e-17])
    found = compare(got, want)
    assert judge(found, None, Noise()).passed is False
    judged = judge(found, None, Noise(low=1e-8))
    assert judged.passed and found.distance / judged.scale < 1e-15
    assert judge(compare(np.array([1e-10]), want), None, Noise(low=1e-8)).passed is False
    for dtype in ("float64", "float32"):  # of one precision alone: by what a last bit does to the source
        noise = Noise(nudged=1e-17, reads=1.0)
        assert judge(found, None, noise, dtype).passed
        assert judge(compare(np.array([1e-9]), want), None, noise, dtype).passed is False


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("exact", [True, False])
def test_no_limit_grows_with_a_draw(dtype: str, exact: bool) -> None:
    """Two draws differ by as much in each run of the source: nothing passes by that, nothing is decided."""
    rng = np.random.default_rng(0)
    want, got = rng.standard_normal((2, 100))
    found = compare(got, want)
    assert judge(found, None, Noise(low=1.0, reads=3.0), dtype, exact).passed is False
    assert judge(found, None, Noise(low=1.0, nudged=1.0, reads=3.0), dtype, exact).passed is None
    assert judge(compare(want + 50, want), None, Noise(low=1.0, nudged=1.0), dtype, exact).passed is False


def test_a_limit_follows_digits_that_tensorflow_loses() -> None:
    """Statistics over many values: 2.8e-10 off in float64 where TensorFlow's float32 is 3.4e-2 off."""
    want = np.ones(3)
    assert judge(compare(want + 2.8e-10, want), None, Noise(low=3.4e-2)).passed
    assert judge(compare(want + 1e-7, want), None, Noise(low=3.4e-2)).passed is False
    assert judge(compare(want + 2.8e-10, want), None, Noise(low=1e-5)).passed is False


def test_a_limit_of_float32_does_not_end_where_tensorflow_loses_more_digits() -> None:
    """Behind a kernel that has float32 alone: 6e-8 off, where TensorFlow's float32 is 1.1e-4 off."""
    want = np.ones(3)
    for low in (0.9e-4, 1.1e-4, 3e-3):
        assert judge(compare(want + 6e-8, want), None, Noise(low=low), exact=False).passed
        assert judge(compare(want + 5e-3, want), None, Noise(low=low), exact=False).passed is False


def test_sums_that_cancel_in_one_precision_alone() -> None:
    """The bias before a softmax over it: 3e-18 apart, where its layer's largest gradient is 0.1."""
    found = compare(np.array([-3e-18]), np.array([1e-18]))
    assert judge(found, None, Noise(nudged=1e-19, reads=0.1)).passed
    assert judge(found, None, Noise(nudged=1e-19, reads=1e-6)).passed is False
    assert judge(compare(np.array([1e-13]), np.array([1e-18])), None, Noise(reads=0.1)).passed is False


def test_sums_that_cancel_behind_a_kernel_of_float32() -> None:
    """A gradient that is zero by nature: TensorFlow has 1e-9 of it, where its layer's largest is 1."""
    found = compare(np.array([1e-17]), np.array([1e-9]))
    assert judge(found, None, Noise(reads=1.0), exact=False).passed
    assert judge(found, None, Noise(reads=1e-6), exact=False).passed is False
    assert (
        judge(compare(np.array([1e-3]), np.array([1e-9])), None, Noise(reads=1.0), exact=False).passed
        is False
    )


def test_whole_numbers_are_compared_exactly() -> None:
    want = np.arange(1000)
    got = want.copy()
    got[7] += 1
    assert judge(compare(got, want), None, Noise()).passed is False
    assert judge(compare(got, want), None, Noise(nudged=1e-3)).passed is None  # a last bit decides there
    assert judge(compare(want, want), compare(got, want), Noise(low=0.0)).passed
    assert judge(compare(want, want), compare(got[::-1], want), Noise(low=0.0)).passed is False


def test_no_reference(tmp_path: Path) -> None:
    """A file that neither Keras nor torchport reads, and a folder without a record."""
    model = build("chain", keras)
    port = torchport.convert(model)
    model.save(tmp_path / "model.keras")
    folder = port.save(tmp_path / "port")
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(TorchportError):
        torchport.verify(tmp_path / "model.keras", folder)
    with pytest.raises(TorchportError, match=r"no port\.json"):
        (folder / "port.json").unlink()
        torchport.verify(model, folder)


def test_no_reference_without_the_class(tmp_path: Path) -> None:
    """A class of the user's own that Keras does not know is asked for, by name."""
    graph = torchport.convert(build("chain", keras)).program.graph
    broken = {**graph.entry, "config": {"layers": [{"class_name": "Mystery", "config": {"name": "m"}}]}}
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(TorchportError, match="no reference: keras"):
        Reference.load(tmp_path / "model.keras", graph.replace(entry=broken), {})


def solid() -> Any:
    L = keras.layers
    x = keras.Input((6, 7, 8, 2), name="x")
    y = L.MaxPooling3D(2, name="pool")(L.Conv3D(3, 2, name="conv")(x))
    return keras.Model(x, L.AveragePooling3D((1, 2, 2), padding="same", name="mean")(y), name="solid")


def test_pooling_of_volumes_in_float64() -> None:
    model = solid()
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed, report(result)
    assert result.precision == "float64"
    assert result.worst("gradient") < 1e-13


@pytest.mark.parametrize("kind", ["max_pool", "avg_pool"])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_pooling_of_volumes_is_tensorflows(kind: str, padding: str) -> None:
    """The one that verify uses in float64 against TensorFlow's own in float32; no two values are equal."""
    x = np.random.default_rng(0).permutation(1260).reshape(2, 5, 6, 7, 3).astype(np.float32)
    found = []
    for dtype in ("float32", "float64"):
        with patched(tf, DOUBLES), tf.GradientTape() as tape:
            given = tf.constant(x.astype(dtype))
            tape.watch(given)
            y = getattr(tf.nn, kind)(given, (2, 3, 2), (2, 2, 3), padding, "NDHWC")
            loss = tf.reduce_sum(y * tf.reshape(tf.range(tf.size(y), dtype=dtype), tf.shape(y)))
        found.append((y.numpy(), tape.gradient(loss, given).numpy()))
    (own, own_gradient), (ours, gradient) = found
    assert ours.dtype == np.float64 and own.dtype == np.float32
    np.testing.assert_allclose(ours, own, rtol=1e-6)
    np.testing.assert_allclose(gradient, own_gradient, rtol=1e-5)


def test_without_a_float64_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where TensorFlow has a kernel in float32 only, that is said, and compared so."""
    monkeypatch.setattr(frameworks, "DOUBLES", ())
    model = solid()
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed, report(result)
    assert result.precision == "float32"
    assert any("MaxPooling3D" in note for note in result.notes)
    assert result.worst("inference") is None
    assert result.worst("inference", "error32") < 1e-5


def test_a_kernel_that_computes_in_float32() -> None:
    """What follows it is held to float32's limit; what stands before it, to float64's."""
    L = keras.layers
    x = keras.Input((8, 6, 3), name="x")
    y = L.UpSampling2D(2, interpolation="bilinear", name="up")(L.Conv2D(5, 3, name="before")(x))
    model = keras.Model(x, L.Conv2D(2, 3, name="after")(y), name="resized")
    result = torchport.verify(model, torchport.convert(model))
    assert result.passed, report(result)
    rows = {row.name: row for row in result.rows if row.check == "inference"}
    assert rows["before"].limit == LIMIT
    assert 1e-9 < rows["after"].limit < 1e-4
    assert any("computes up in float32" in note for note in result.notes)


def test_fused_batch_norm_of_keras_2_keeps_the_unbiased_variance() -> None:
    """torch's own BatchNorm is exact there; rebuilt in float64 the source itself would not be."""
    model = build("chain", pytest.importorskip("tf_keras"))
    result = torchport.verify(model, torchport.convert(model))
    rows = {row.name: row for row in result.rows if row.check == "steps"}
    assert rows["fused.running_var"].passed
    assert "unbiased" in rows["fused.running_var"].note
    assert "n / (n - 1)" in rows["flat_bn.running_var"].note
