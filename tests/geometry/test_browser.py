"""The page in a real browser: it opens offline, numbers are true, no card is empty; keyboard, search, axe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.geometry.browsing import NEEDED, Opened
from tests.geometry.graphs import HOSTILE, explanation

if TYPE_CHECKING:
    from playwright.sync_api import Browser

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = NEEDED

#: Every network, and a tensor of it that has much to say.
NETWORKS = {
    "ihc_unet": "up3", "ResNet50": "conv3_block1_2_conv", "NASNetMobile": "separable_conv_1_normal_left2_5",
    "transformer": "emb", "bilstm": "bidirectional", "unet3d": "up1", "net1d": "conv1",
    "nested": "stem/b", "first": "t1", "hostile": HOSTILE[0], "scalars": "mean",
    "frames": "time_distributed.each",
    "long_names": "a_very_long_name_of_a_separable_convolution_that_somebody_generated_by_a_script_0001",
}  # fmt: skip
ROWS = """() => [...document.querySelectorAll('.part')].filter(it =>
    it.innerText.trim() === it.querySelector('h3').innerText.trim() && !it.querySelector('svg, img, input')
).map(it => it.innerText)"""

VIOLATIONS = "axe.run().then(it => it.violations.map(v => [v.id, v.nodes.length, v.nodes[0].html]))"


def opened_page(browser: Browser, folder: Path, network: str, width: int = 1280, **context: Any) -> Opened:
    """The page of one of these networks."""
    return Opened(browser, folder, explanation(network), width, **context)


@pytest.mark.parametrize("network", NETWORKS)
def test_opens_and_has_no_empty_card(browser: Browser, folder: Path, network: str) -> None:
    opened = opened_page(browser, folder, network)
    assert opened.page.locator(".node").count() >= 3
    assert opened.text("h1") == opened.network.cls
    tensors = [it.id for it in opened.network.tensors]
    kinds = {it.kind: it.id for it in opened.network.ops}
    for tensor in tensors if len(tensors) < 26 else [*kinds.values(), tensors[0]][-9:]:
        opened.choose(tensor)
        assert opened.page.evaluate(ROWS) == [], tensor
        assert opened.page.locator(".node.on").count() == 1, tensor
    opened.close()


@pytest.mark.parametrize("network", NETWORKS)
def test_is_usable_in_400_pixels(browser: Browser, folder: Path, network: str) -> None:
    opened = opened_page(browser, folder, network, 400, color_scheme="dark")
    opened.choose(NETWORKS[network])
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 400
    box = opened.page.locator(".node").first.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= 400
    opened.close()


def test_names_are_never_markup(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "hostile")
    assert "hit" not in opened.page.title()
    for name in HOSTILE:
        opened.choose(name)
        assert name in opened.text(".card h2")
    assert opened.page.locator("img[src=x]").count() == 0
    opened.page.get_by_role("button", name="Table").click()
    assert HOSTILE[0] in opened.text(".table")
    opened.close()


def test_addresses_are_numpys(browser: Browser, folder: Path) -> None:
    """The three strips: Keras, PyTorch, and PyTorch with Keras's strides."""
    opened = opened_page(browser, folder, "ihc_unet")
    opened.choose("enc2_conv1")
    at = {"h": 7, "w": 100, "c": 11}
    for axis, value in at.items():
        opened.slide(axis, value)
    sizes = {"h": 128, "w": 128, "c": 32}
    last, first = (
        int(np.ravel_multi_index([at[it] for it in order], [sizes[it] for it in order]))
        for order in ("hwc", "chw")
    )
    found = [int(it) for it in opened.page.locator(".strip [data-place]").all_inner_texts()]
    assert found == [last, first, last]
    cells = opened.page.locator(".strip").nth(1).locator(".cell:not(.none)")
    for cell in cells.all():
        *index, place = map(int, cell.inner_text().split())
        c, h, w = np.unravel_index(place, (32, 128, 128))
        assert index == [h, w, c]
    opened.close()


@pytest.mark.parametrize("network", ["ihc_unet", "unet3d", "net1d", "first", "nested"])
def test_what_an_element_sees_is_what_the_sweep_gives(browser: Browser, folder: Path, network: str) -> None:
    from torchport.geometry.facts import fields, read
    from torchport.geometry.walk import sized, whole
    from torchport.rules import book

    program = explanation(network).port.program
    with book.scope(program.book):
        calls = whole(sized(program.graph)[0])
        seen = fields(calls, {call.outputs[0]: read(call) for call in calls.calls})
    opened, compared = opened_page(browser, folder, network), 0
    for tensor in opened.network.tensors[1::3]:
        opened.choose(tensor.id)
        rows = opened.page.locator(".window figcaption div:has(.mono)").all_inner_texts()
        sliders = opened.page.locator(".sliders input")
        if sliders.count() != len(tensor.keras.axes) - 1:
            continue  # a flat axis, opened into its parts
        at = [0, *(int(it.input_value()) for it in sliders.all())]
        shown = {row.split()[0]: row for row in rows}
        for (source, axis), extent in seen[tensor.id].items():
            letter = str(calls.tensors[source].axes[axis])
            low, high = extent.at(0 if extent.axis is None else at[extent.axis])
            if letter in shown:
                wanted = f"{letter} {low} … {high}" if low <= high else f"{letter} nothing but padding"
                assert shown[letter].startswith(wanted), (tensor.id, shown, low, high)
                compared += 1
    assert compared > 1
    opened.close()


def test_elements_of_a_kernel_are_those_of_both_files(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "ihc_unet")
    entries = {it.name: it for it in explanation("ihc_unet").port.program.entries}
    for layer in ("up3", "enc2_conv2", "head.linear"):
        opened.choose(layer)
        weights = next(
            it for it in opened.network.layers if it.id.startswith(layer.partition(".")[0]) and it.weights
        )
        entry = entries[next(it.torch for it in weights.weights if it.sample)]
        source, held = entry.load.source.load(), entry.array()  # type: ignore[union-attr]
        tiles = opened.page.locator(".tiles").first
        for number in (0, 3, tiles.locator(".weight").count() - 1):
            tiles.locator(".weight").nth(number).hover()
            text = opened.text(".found")
            kernel, weight = (
                [int(it) for it in part.split(",")] for part in re.findall(r"\[([\d, ]+)\]", text)
            )
            value = float(text.rpartition("=")[2].replace("−", "-"))
            assert source[tuple(kernel)] == held[tuple(weight)]
            assert abs(value - source[tuple(kernel)]) < 6e-5
    opened.close()


def test_a_kernel_turns(browser: Browser, folder: Path) -> None:
    """With the button its cells stand as PyTorch's do, and each is still the same number."""
    opened = opened_page(browser, folder, "ihc_unet")
    opened.choose("enc2_conv2")
    places = """it => [...it.querySelectorAll('.weight')].map(at => [
        at.getAttribute('x'), at.getAttribute('y'), at.style.getPropertyValue('--share'), at.className.baseVal
    ])"""
    keras, torch = (opened.page.locator(".tiles").nth(at) for at in (0, 1))
    assert sorted(keras.evaluate(places)) != sorted(torch.evaluate(places))
    opened.page.get_by_role("button", name="Turn it").click()
    assert sorted(keras.evaluate(places)) == sorted(torch.evaluate(places))
    opened.close()


def test_a_matrix_is_sorted(browser: Browser, folder: Path) -> None:
    """The slider ends in P A P^T: rows and columns of the same entries in the order of channels first."""
    opened = opened_page(browser, folder, "ihc_unet")
    opened.choose("enc2_conv2")
    entries = """() => [...document.querySelectorAll('.matrix')[0].querySelectorAll('.weight')].map(it =>
        ['y', 'x'].map(at => Math.round(it.getAttribute(at) / it.getAttribute('width'))))"""
    before = np.array(opened.page.evaluate(entries))
    slider = opened.page.get_by_label("From channels last to channels first")
    slider.evaluate("it => { it.value = 100; it.dispatchEvent(new Event('input')) }")
    after = np.array(opened.page.evaluate(entries))
    order = np.arange(4 * 4 * 2).reshape(4, 4, 2).transpose(2, 0, 1).ravel()
    assert (order[after] == before).all()
    opened.close()


def test_search_and_back(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "ResNet50")
    first = opened.chosen
    opened.page.keyboard.press("/")
    opened.page.keyboard.type("conv4_block2_1_c")
    opened.page.keyboard.press("Enter")
    assert opened.chosen == "conv4_block2_1_conv"
    field = opened.page.get_by_role("combobox")
    field.fill("7x7×2048")
    opened.page.get_by_role("option").first.click()
    shape = next(it for it in opened.network.tensors if it.id == opened.chosen).keras.sizes
    assert tuple(shape[1:]) == (7, 7, 2048)
    field.fill("nothing is called so")
    assert opened.page.get_by_role("option").count() == 0
    field.press("Escape")
    opened.page.go_back()
    assert opened.chosen == "conv4_block2_1_conv"
    opened.page.go_back()
    assert opened.chosen == first
    opened.page.reload()
    opened.page.wait_for_selector("html[data-ready]")
    assert opened.chosen == first
    opened.close()


def test_keyboard(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "ihc_unet")
    focused = "document.activeElement.dataset.node"
    opened.page.locator('[data-node="tensor:image"]').focus()
    opened.page.keyboard.press("ArrowRight")
    assert opened.page.evaluate(focused) == "block:enc1"
    opened.page.keyboard.press("Enter")
    assert opened.chosen == "enc1_conv2"
    before = opened.page.locator(".node").count()
    opened.page.keyboard.press("Enter")
    assert opened.page.locator(".node").count() > before
    opened.page.locator('[data-node="tensor:enc1_conv1"]').focus()
    opened.page.keyboard.press("Escape")
    assert opened.page.locator(".node").count() == before
    opened.page.locator('[data-node="tensor:pool1"]').focus()
    opened.page.keyboard.press("ArrowLeft")
    assert opened.page.evaluate(focused) == "block:enc1"
    opened.close()


def test_lines_and_layers_light_each_other(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "ihc_unet")
    opened.choose("up2")
    lit = {
        kind: "".join(opened.page.locator(f".code mark.{kind}").all_inner_texts()) for kind in ("now", "made")
    }
    assert lit["now"] == "self.up2(x)"
    assert lit["made"].startswith("nn.ConvTranspose2d(")
    line = next(at for at, text in enumerate(opened.network.code.split("\n"), 1) if "self.up1(x)" in text)
    opened.page.locator(f'[data-line="{line}"]').click()
    assert opened.chosen in ("up1", "skip1")
    opened.page.locator('[data-node="block:dec2"]').click()
    assert opened.chosen == "dec2_conv2"
    opened.close()


def test_the_lit_expression_is_in_sight(browser: Browser, folder: Path) -> None:
    """At the end of a long line, too: the pane of model.py goes there."""
    opened = opened_page(browser, folder, "scalars")
    opened.choose("mean")
    mark, pane = (opened.page.locator(it).first.bounding_box() for it in (".code mark.now", ".code"))
    assert mark and pane and pane["x"] <= mark["x"]
    assert mark["x"] + mark["width"] <= pane["x"] + pane["width"]
    opened.close()


def test_a_layer_over_steps_sees_its_own(browser: Browser, folder: Path) -> None:
    """Between TimeDistributed's two ends each step is a sample: the page goes back as the table does."""
    opened = opened_page(browser, folder, "frames")
    opened.choose("time_distributed_1")
    tensor = next(it for it in opened.network.tensors if it.id == "time_distributed_1")
    assert {it.name: it.most for it in tensor.sees} == {"d": 1, "h": 3, "w": 3, "c": 3}
    step = int(opened.page.locator('.sliders input[aria-label="index d"]').input_value())
    rows = opened.page.locator(".window figcaption div:has(.mono)").all_inner_texts()
    assert any(it.startswith(f"d {step} … {step}") for it in rows), rows
    opened.close()


def test_works_in_a_notebooks_frame(browser: Browser, tmp_path: Path) -> None:
    """A sandboxed frame has no address of its own, and reaches nothing around it."""
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><title>notebook</title>{explanation('nested')._repr_html_()}")
    window = browser.new_page(viewport={"width": 1000, "height": 900})
    said: list[str] = []
    window.on("pageerror", lambda it: said.append(str(it)))
    window.goto(file.as_uri())
    frame = window.frame_locator("iframe")
    frame.locator('[data-node="tensor:fc"]').click()
    frame.get_by_role("article", name="Card of fc").wait_for()
    assert not said and window.title() == "notebook"
    window.close()


def test_blocks_open_in_place_and_close(browser: Browser, folder: Path) -> None:
    opened = opened_page(browser, folder, "ResNet50")
    opened.choose("conv4_block3_2_conv")
    nodes = opened.page.locator(".node")
    before, path = nodes.count(), opened.page.locator(".path button")
    assert [it.split()[0] for it in path.all_inner_texts()] == ["conv4", "2"]
    path.nth(0).click()
    assert nodes.count() == before + 5  # six in the place of one
    path.nth(1).click()
    assert opened.page.locator('[data-node="tensor:conv4_block3_2_conv"]').count() == 1
    path.nth(0).click()
    assert nodes.count() == before
    opened.close()


def test_picture_is_a_u_and_a_staircase(browser: Browser, folder: Path) -> None:
    for network, said in (("ihc_unet", "a U of 4 levels"), ("ResNet50", "a staircase of 6 levels")):
        opened = opened_page(browser, folder, network)
        assert said in opened.text(".facts-line")
        opened.close()


@pytest.mark.parametrize("width", [1280, 400])
def test_labels_are_whole_where_nothing_stands_beside_them(
    browser: Browser, folder: Path, width: int
) -> None:  # fmt: skip
    """A staircase has room for its names, also turned; and they end in the picture."""
    opened = opened_page(browser, folder, "ResNet50", width)
    labels = opened.page.locator(".node .label")
    assert {"conv1_pad", "conv2 (3)", "conv4 (6)", "conv5 (3)"} <= {*labels.all_text_contents()}
    for label in labels.all():
        box = label.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    opened.close()


@pytest.mark.skipif(not AXE.exists(), reason="no axe-core: npm ci in web/")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("network", ["ihc_unet", "transformer", "first", "hostile", "NASNetMobile"])
def test_has_no_violation_that_axe_knows(browser: Browser, folder: Path, network: str, scheme: str) -> None:
    opened = opened_page(browser, folder, network, color_scheme=scheme, bypass_csp=True)
    opened.choose(NETWORKS[network])
    opened.page.add_script_tag(path=AXE)
    if network == "transformer":
        opened.page.get_by_role("button", name="Table").click()
    assert opened.page.evaluate(VIOLATIONS) == []
    opened.page.set_viewport_size({"width": 400, "height": 900})
    assert opened.page.evaluate(VIOLATIONS) == []
    opened.close()
