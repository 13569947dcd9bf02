"""The page as text: nothing of a model is markup, no script but its own is allowed; pictures of an input."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.geometry.graphs import HOSTILE, UNET, explanation

from torchport.errors import BadFile, TorchportError
from torchport.geometry import explain
from torchport.geometry.activations import Activations, activations
from torchport.geometry.network import Network
from torchport.geometry.page import data, page
from torchport.geometry.pictures import Basis, encode, features, image

MODELS = Path(__file__).parent / "models"


def document(text: str) -> dict[str, object]:
    """What the page reads."""
    found = re.search(r'<script id="network" type="application/json">(.*?)</script>', text, re.S)
    assert found
    inside = found[1] if found[1].startswith("{") else gzip.decompress(base64.b64decode(found[1])).decode()
    return json.loads(inside)


@pytest.mark.parametrize("network", ["hostile", "ResNet50", "bilstm"])
def test_the_page_holds_the_document(network: str) -> None:
    found = explanation(network)
    assert document(found.page) == json.loads(found.network.text())


def test_the_command_writes_it(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from torchport.cli import app

    file = tmp_path / "new" / "unet.html"
    result = CliRunner().invoke(app, ["explain", str(UNET), "--size", "64", "96", "--html", str(file)])
    assert result.exit_code == 0 and not result.stdout, result.output
    assert document(file.read_text(encoding="utf-8"))["size"] == {"h": 64, "w": 96}
    alone = CliRunner().invoke(app, ["explain", str(UNET), "--input", "tissue.png"])
    assert alone.exit_code == 2 and "add --html FILE" in alone.output


def test_no_name_ends_the_script_that_it_stands_in() -> None:
    text = explanation("hostile").page
    assert text.count("<script") == text.count("</script>") == 2
    assert not any(it in text for it in HOSTILE)
    assert "<" not in data(json.dumps({"name": "</script><!--"}))


def test_the_policy_allows_the_pages_own_script_and_no_request() -> None:
    text = explanation("bilstm").page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    code = re.search(r'<script type="module">(.*?)</script>', text, re.S)
    assert policy and code
    digest = base64.b64encode(hashlib.sha256(code[1].encode()).digest()).decode()
    assert policy[1].startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}';" in policy[1]
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_a_notebook_shows_it_in_a_frame_of_its_own() -> None:
    found = explanation("bilstm")
    text = found._repr_html_()
    assert text.startswith("<iframe ") and 'sandbox="allow-scripts"' in text
    srcdoc = re.search(r'srcdoc="([^"]*)"', text)
    assert srcdoc and html.unescape(srcdoc[1]) == found.page


def test_components_are_those_of_numpys_covariance() -> None:
    values = np.random.default_rng(0).normal(size=(9, 11, 6)) * [5, 4, 3, 2, 1, 0.5]
    basis = Basis.of(values)
    variances = np.sort(np.linalg.eigvalsh(np.cov(values.reshape(-1, 6).T, bias=True)))[::-1]
    assert np.allclose(basis.shares, variances[:3] / variances.sum())
    assert np.allclose(basis.directions.T @ basis.directions, np.eye(3))
    assert (basis.directions[np.abs(basis.directions).argmax(0), range(3)] > 0).all()


@pytest.mark.parametrize(
    ("axes", "shape", "wanted"),
    [
        ("nhwc", (1, 5, 7, 3), (5, 7, 3)), ("nchw", (1, 3, 5, 7), (5, 7, 3)), ("nt", (1, 5), None),
        ("ndhwc", (1, 4, 5, 7, 3), (5, 7, 3)), ("ntc", (1, 5, 7), (5, 7, 1)), ("nc", (1, 5), None),
        ("nhwc", (1, 1, 1, 8), None),
    ],
)  # fmt: skip
def test_what_is_a_picture(axes: str, shape: tuple[int, ...], wanted: tuple[int, ...] | None) -> None:
    found = image(np.ones(shape), list(axes))
    assert (found.shape if found is not None else None) == wanted


@pytest.fixture(scope="module")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    path = tmp_path_factory.mktemp("input") / "tissue.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)).save(path)
    return path


def test_the_port_runs_on_the_users_picture(tissue: Path) -> None:
    """Every tensor of the network, in Keras's axes; the page's pictures are made of them."""
    found = explain(UNET, input=tissue)
    assert found.network.size == {"h": 48, "w": 64}
    assert found.note == "Its pixels were divided by 255."
    made = activations(found.port, list(found.inputs), with_keras=False)
    sizes = {it.id: (1, *it.keras.sizes[1:]) for it in found.network.tensors}
    assert {name: it.shape for name, it in made.torch.items()} == sizes
    assert np.allclose(made.torch["head"], found.port.run(*found.inputs))
    shown = features(found.network, made, "", found.note)
    assert shown["ran"] == ["torch"] and "Keras was not run" in shown["note"]
    assert set(shown["tensors"]) == set(sizes)
    text = page(found.network, made, found.note)
    assert document(text)["features"]["input"].startswith("data:image/webp")  # type: ignore[index]


def test_both_sides_have_one_basis_and_their_difference() -> None:
    network: Network = explanation("ihc_unet").network
    rng = np.random.default_rng(0)
    keras = {"up3": rng.normal(size=(1, 64, 64, 64)).astype(np.float32)}
    torch = {"up3": keras["up3"] + np.float32(2e-5)}
    found = features(network, Activations(torch, keras), "", "")["tensors"]["up3"]
    assert 1.9e-5 < found["largest"] < 2.2e-5 and found["power"] == 5
    basis = Basis.of(keras["up3"][0])
    assert found["picture"] == encode(basis.colours(keras["up3"][0]), 128)
    assert found["torch"] == encode(basis.colours(torch["up3"][0]), 128)
    variance = keras["up3"].reshape(-1, 64).var(0)
    assert [it["channel"] for it in found["top"]] == list(np.argsort(variance, kind="stable")[::-1][:9])
    same = features(network, Activations(keras, keras), "", "")["tensors"]["up3"]
    assert same["largest"] == 0 and same["difference"] is None
    broken = {"up3": np.full_like(keras["up3"], np.inf)}
    other = features(network, Activations(broken, keras), "", "")["tensors"]["up3"]
    assert other["largest"] is None and other["difference"] is None
    assert "NaN" not in json.dumps(other, allow_nan=False)


def test_inputs_that_do_not_fit_are_refused(tmp_path: Path, tissue: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((5, 5), np.float32))
    with pytest.raises(TorchportError, match="the model takes"):
        explain(UNET, input=np.zeros((5, 5, 4), np.float32))
    with pytest.raises(TorchportError, match="takes no picture: its axes are n t"):
        explain(explanation("bilstm").port, input=tissue)
    with pytest.raises(TorchportError, match="32 64 is not the input's size, 48 64"):
        explain(UNET, size=(32, 64), input=tissue)
    with pytest.raises(TorchportError, match="takes 1 inputs"):
        explain(UNET, input=[tissue, tissue])
    np.save(tmp_path / "nan.npy", np.full((48, 64, 3), np.nan, np.float32))
    with pytest.raises(TorchportError, match="not finite"):
        explain(UNET, input=tmp_path / "nan.npy")
    with pytest.raises(TorchportError, match="holds <U1, no numbers"):
        explain(UNET, input=np.array([["a"]]))
    with pytest.raises(BadFile, match="there is no such file"):
        explain(UNET, input=tmp_path / "gone.png")
    with pytest.raises(BadFile, match="is a directory"):
        explain(UNET, input=tmp_path)
    (tmp_path / "no.png").write_bytes(b"no picture")
    with pytest.raises(BadFile, match="is no picture"):
        explain(UNET, input=tmp_path / "no.png")
    (tmp_path / "no.npy").write_bytes(b"no array")
    with pytest.raises(BadFile, match="is no array of numpy"):
        explain(UNET, input=tmp_path / "no.npy")
    np.savez(tmp_path / "two.npz", one=np.zeros(3), two=np.zeros(3))
    with pytest.raises(BadFile, match=r"has no array 'image', but one, two(.|\n)*savez\(file, image=array\)"):
        explain(UNET, input=tmp_path / "two.npz")
    with pytest.raises(TorchportError, match="the port cannot be run on it: index out of range"):
        _ = explain(MODELS / "transformer.keras", input=np.full((6,), 99)).page


def test_an_npz_file_has_the_inputs_by_name(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((16, 16, 3), np.float32)
    np.savez(tmp_path / "input.npz", image=array, other=array[:2])
    found = explain(MODELS / "residual.keras", input=tmp_path / "input.npz")
    assert (found.inputs[0] == array[None]).all()
    np.savez(tmp_path / "alone.npz", array)
    assert (explain(MODELS / "residual.keras", input=tmp_path / "alone.npz").inputs[0] == array[None]).all()


def test_a_page_is_a_file(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from torchport.cli import app

    result = CliRunner().invoke(app, ["explain", str(UNET), "--html", str(tmp_path)])
    assert result.exit_code == 2 and "is a directory" in result.output and "ihc_unet.html" in result.output
