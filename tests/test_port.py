"""The Port: what it says, what it writes, and that it writes all or nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

import torchport
from torchport.errors import BadFile, TorchportError
from torchport.port import Port, swap

UNET = Path(__file__).parents[1] / "examples" / "ihc_unet" / "ihc_unet.keras"
FILES = ["model.py", "model.safetensors", "port.json"]


@pytest.fixture(scope="module")
def port() -> Port:
    return torchport.convert(UNET, class_name="UNet")


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return np.random.default_rng(2).random((2, 40, 24, 3))


def names(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir())


def content(folder: Path) -> dict[str, bytes]:
    return {it.name: it.read_bytes() for it in folder.iterdir()}


def test_inputs_and_outputs(port: Port) -> None:
    (image,), (mask,) = port.inputs, port.outputs
    assert (image.name, image.dtype) == ("image", "float32")
    assert (image.source_axes, image.torch_axes) == ("n h w c", "n c h w")
    assert (image.shape, mask.shape) == ((None, 3, None, None), (None, 1, None, None))
    assert port.permutes == ()
    assert port.class_name == "UNet" and "class UNet(nn.Module):" in port.code


def test_keep_io_keeps_the_axes_and_the_function(port: Port, image: np.ndarray) -> None:
    kept = torchport.convert(UNET, keep_io=True)
    (spec,) = kept.inputs
    assert spec.source_axes == spec.torch_axes == "n h w c"
    assert [(it.source, it.target) for it in kept.permutes] == [
        ("n h w c", "n c h w"),
        ("n c h w", "n h w c"),
    ]
    assert all(it.readers for it in kept.permutes)
    np.testing.assert_allclose(kept.run(image), port.run(image), rtol=1e-5, atol=1e-6)


def test_run_takes_and_gives_the_source_axes(port: Port, image: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    given = torch.from_numpy(image.astype("float32")).movedim(-1, 1)
    with torch.no_grad():
        wanted = port.module()(given).movedim(1, -1).numpy()
    assert wanted.shape == (2, 40, 24, 1)
    np.testing.assert_allclose(port.run(image), wanted, rtol=1e-5, atol=1e-6)
    with pytest.raises(TorchportError, match="takes 1 inputs"):
        port.run(image, image)


def test_module_is_new_and_evaluates(port: Port) -> None:
    first, second = port.module(), port.module()
    assert first is not second and not first.training
    assert all(it.requires_grad for it in first.parameters())


def test_save_and_load(port: Port, tmp_path: Path, image: np.ndarray) -> None:
    folder = port.save(tmp_path / "a" / "b")
    assert names(folder) == FILES and names(tmp_path) == ["a"]
    assert (folder / "model.py").read_text() == port.code
    loaded, made = torchport.load(folder).state_dict(), port.module().state_dict()
    assert list(loaded) == list(made) == [it.name for it in port.program.entries]
    for name, value in made.items():
        assert value.equal(loaded[name]), name


def test_weights_say_where_they_come_from(port: Port, tmp_path: Path) -> None:
    folder = port.save(tmp_path / "port")
    with safe_open(folder / "model.safetensors", framework="numpy") as file:
        metadata = file.metadata()
        assert metadata["format"] == "pt"
        origin = json.loads(metadata["torchport"])
        kernel = {"source": "enc1_conv1/kernel", "pattern": "h w i o -> o i h w"}
        assert list(origin.values()).count(kernel) == 1
        assert list(origin) == [it.name for it in port.program.entries]
        for entry in port.program.entries:
            np.testing.assert_array_equal(file.get_tensor(entry.name), entry.array())
    weights = json.loads((folder / "port.json").read_text())["weights"]
    assert list(weights) == list(origin)
    for name, it in origin.items():
        assert it.items() <= weights[name].items()


def test_an_existing_folder_is_left_alone(port: Port, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert names(port.save(tmp_path / "empty")) == FILES
    with pytest.raises(TorchportError, match="--force"):
        port.save(tmp_path / "empty")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("x")
    for name in ("home", "file"):
        with pytest.raises(TorchportError):
            port.save(tmp_path / name, force=True)
    assert names(tmp_path) == ["empty", "file", "home"]
    assert names(tmp_path / "home") == ["thesis.tex"]


def test_force_replaces_the_port_and_keeps_the_rest(port: Port, tmp_path: Path) -> None:
    folder = port.save(tmp_path / "port")
    wanted = content(folder)
    (folder / "model.py").write_text("edited")
    (folder / "model-00001-of-00002.safetensors").write_text("from before")
    (folder / "notes.txt").write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(folder, target_is_directory=True)
    port.save(link, force=True)
    assert link.is_symlink() and names(tmp_path) == ["link", "port"]
    assert content(folder) == {**wanted, "notes.txt": b"mine"}


@pytest.mark.parametrize("there", [False, True], ids=["new", "force"])
@pytest.mark.parametrize("broken", ["weight", "record", "rename"])
def test_a_failure_leaves_everything_as_it_was(
    there: bool, broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = torchport.convert(UNET)
    target = tmp_path / "new" / "port" if not there else tmp_path / "port"
    before = content(port.save(target)) if there else {}
    written: list[int] = []

    def fail(*_: Any) -> Any:
        raise OSError(28, "No space left on device")

    def fail_later(count: int) -> None:
        written.append(count)
        if len(written) == 20:
            fail()

    if broken == "record":
        monkeypatch.setattr(Port, "record", fail)
    if broken == "rename":
        real = os.rename
        monkeypatch.setattr(os, "rename", lambda a, b: fail() if Path(a).name == "made" else real(a, b))
    with pytest.raises(OSError, match="No space left"):
        port.save(target, force=there, progress=fail_later if broken == "weight" else None)
    if there:
        assert names(tmp_path) == ["port"] and content(target) == before
    else:
        assert not target.exists() and not list(tmp_path.rglob(".torchport-*"))


def test_swap_puts_the_old_folder_back_when_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, target, old = (tmp_path / it for it in ("made", "target", "old"))
    made.mkdir()
    target.mkdir()
    (target / "model.py").write_text("before")
    real = os.rename

    def interrupted(a: Path, b: Path) -> None:
        real(a, b)
        if b == old:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        swap(made, target, old)
    assert (target / "model.py").read_text() == "before" and not old.exists()


LIMIT = 500_000


@pytest.fixture
def sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("torchport.emit.weights.SHARD", LIMIT)
    return torchport.convert(UNET, class_name="UNet").save(tmp_path / "port")


def test_shards_load(sharded: Path, port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = torchport.load(sharded).state_dict()
    monkeypatch.undo()
    made = port.module().state_dict()
    assert all(value.equal(loaded[name]) for name, value in made.items())


def test_shards(sharded: Path, port: Port) -> None:
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    shards = sorted(set(index["weight_map"].values()))
    assert len(shards) > 2 and names(sharded) == sorted(
        [*shards, "model.safetensors.index.json", "model.py", "port.json"]
    )
    assert index["metadata"]["total_size"] == sum(it.nbytes for it in port.program.entries)
    stored = {}
    for shard in shards:
        with safe_open(sharded / shard, framework="numpy") as file:
            keys = list(file.keys())
            assert {index["weight_map"][key] for key in keys} == {shard}
            assert len(keys) == 1 or (sharded / shard).stat().st_size < LIMIT * 1.1
            stored.update({key: file.get_tensor(key) for key in keys})
    for entry in port.program.entries:
        np.testing.assert_array_equal(stored.pop(entry.name), entry.array())
    assert not stored


def test_a_shard_that_is_missing_is_an_error(tmp_path: Path, port: Port) -> None:
    folder = port.save(tmp_path / "port")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadFile, match="cannot be loaded"):
        torchport.load(folder)
    with pytest.raises(BadFile, match="no model.py"):
        torchport.load(tmp_path)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    script = "import sys, torchport; torchport.convert(sys.argv[1]).save(sys.argv[2])"
    for seed in ("1", "2"):
        command = [sys.executable, "-c", script, str(UNET), str(tmp_path / seed)]
        subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": seed})
    assert content(tmp_path / "1") == content(tmp_path / "2")


def test_a_model_without_a_name_has_its_files(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    assert torchport.convert(model).class_name == "Model"
    model.save(tmp_path / "tumour_grader.v2.keras")
    assert torchport.convert(tmp_path / "tumour_grader.v2.keras").class_name == "TumourGrader"


def test_what_is_public_says_what_it_takes() -> None:
    import inspect

    assert issubclass(torchport.Refused, torchport.TorchportError)
    assert issubclass(torchport.BadFile, torchport.TorchportError)
    script = (
        "import inspect, sys, torchport\n"
        "before = inspect.signature(torchport.verify)\n"
        "assert 'inputs' in before.parameters and 'TensorFlow' in torchport.verify.__doc__\n"
        "assert not {'tensorflow', 'keras', 'torch'} & set(sys.modules)\n"
        "import torchport.verify\n"
        "after = inspect.signature(torchport.verify)\n"
        "defaults = [[(it.name, it.default) for it in s.parameters.values()] for s in (before, after)]\n"
        "assert defaults[0] == defaults[1], defaults"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert set(inspect.signature(torchport.convert).parameters) >= {"model", "rules", "config"}


def test_a_module_goes_to_another_process(port: Port, tmp_path: Path, image: np.ndarray) -> None:
    """Pickled, and by torch.save; its text is there for inspect and torch.jit.script."""
    import copy
    import inspect
    import pickle

    torch = pytest.importorskip("torch")
    module, x = port.module(), torch.rand(1, 3, 16, 16)
    assert "class UNet(nn.Module)" in inspect.getsource(type(module))
    assert copy.deepcopy(module)(x).equal(module(x))
    assert torch.jit.script(module)(x).allclose(module(x), atol=1e-5)
    (tmp_path / "module.pickle").write_bytes(pickle.dumps(module))
    torch.save(module, tmp_path / "module.pt")
    torch.save(torchport.load(port.save(tmp_path / "port")), tmp_path / "loaded.pt")
    torch.save((x, module(x)), tmp_path / "wanted.pt")
    shutil.rmtree(tmp_path / "port")
    script = (
        "import pickle, torch, inspect\n"
        "x, wanted = torch.load('wanted.pt')\n"
        "found = [pickle.load(open('module.pickle', 'rb'))]\n"
        "found += [torch.load(it, weights_only=False) for it in ('module.pt', 'loaded.pt')]\n"
        "for it in found:\n"
        "    assert it(x).equal(wanted) and not it.training\n"
        "    assert 'class UNet(nn.Module)' in inspect.getsource(type(it))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


def test_run_takes_what_keras_takes(port: Port, image: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    want = port.run(image.astype("float32"))
    for given in (
        image, image.astype(">f8"), image.astype("float32").tolist(), torch.from_numpy(image),
        {"image": image}, image[:, ::-1][:, ::-1],
    ):  # fmt: skip
        np.testing.assert_allclose(port.run(given), want, rtol=1e-4, atol=1e-5)
    whole = (image * 9).astype("uint8")
    np.testing.assert_array_equal(port.run(whole), port.run(whole.astype("float32")))
    for wrong, said in (
        (image[0], r"array\[None\]"), (image[..., :2], "is given"), (image.astype(str), "no array"),
        ({"picture": image}, "takes image"),
    ):  # fmt: skip
        with pytest.raises(TorchportError, match=said):
            port.run(wrong)


def test_a_port_is_shown_in_ten_lines(port: Port) -> None:
    lines = repr(port).splitlines()
    assert len(lines) <= 10 and max(map(len, lines)) < 120
    for said in ("UNet", "n h w c -> (n, 3, h, w)", "483,441 parameters", "0 permutes", ".save("):
        assert said in repr(port), said
