"""The page of real files in a browser: elements of weights are those of both files, names are not cut off."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from safetensors.numpy import load_file
from tests.geometry.browsing import NEEDED, Opened
from tests.geometry.graphs import explanation
from tests.geometry.test_pairs import MODELS, variables

import torchport

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = NEEDED


@pytest.mark.parametrize("model", MODELS, ids=lambda it: it.stem)
def test_every_element_of_a_weight_is_in_both_files(
    browser: Browser, folder: Path, tmp_path: Path, model: Path
) -> None:
    """Cells of both tilings, or lines; of each weight, also where gates change places and rows are turned."""
    found = torchport.explain(model)
    source = list(variables(model).values())
    held = load_file(found.port.save(tmp_path / "port") / "model.safetensors")
    opened, count = Opened(browser, folder, found), 0
    layers = {it.layer: it.outputs[0] for it in reversed(found.network.ops)}
    for layer in found.network.layers:
        weights = [it for it in layer.weights if it.keras and it.sample]
        if not weights:
            continue
        opened.choose(layers[layer.id])
        for weight in weights:
            own_name = opened.page.get_by_text(weight.torch, exact=True)
            button = opened.page.locator(".weights tr").filter(has=own_name).get_by_role("button")
            if button.count():
                button.click()
            assert opened.text(".part h4 .mono") == weight.keras
            for text in told(opened):
                at, to = (tuple(map(int, it.split(","))) for it in re.findall(r"\[([\d, ]+)\]", text))
                value = float(text.rpartition("=")[2].replace("−", "-"))
                number = held[weight.torch][to]
                assert abs(number - value) < 6e-5, (weight.torch, text)
                assert weight.keras_side
                own = [it for it in source if it.shape == weight.keras_side.sizes and it[at] == number]
                assert len(own) == 1, (weight.keras, text)
                count += 1
    assert count >= 10
    opened.close()


def told(opened: Opened) -> list[str]:
    """What the card says of some elements of the weight that is chosen."""
    cells = opened.page.locator(".tiles").first.locator(".weight")
    if not cells.count():
        return opened.page.locator(".pairs li").all_inner_texts()
    found = []
    for number in sorted({0, 1, cells.count() // 2, cells.count() - 1}):
        cells.nth(number).click()
        found.append(opened.text(".found"))
    return found


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("network", ["bilstm", "long_names", "NASNetMobile"])
def test_names_of_weights_are_not_cut_off(browser: Browser, folder: Path, network: str, width: int) -> None:
    opened = Opened(browser, folder, explanation(network), width)
    layer = max(opened.network.layers, key=lambda it: max((len(w.torch) for w in it.weights), default=0))
    opened.choose(next(it.outputs[0] for it in opened.network.ops if it.layer == layer.id))
    table = opened.page.locator(".weights").first
    wide = table.evaluate("it => [it.scrollWidth, it.parentElement.clientWidth]")
    assert wide[0] <= wide[1]
    box, last = table.locator("..").bounding_box(), table.locator("td:last-child").first.bounding_box()
    assert box and last and last["x"] + last["width"] <= box["x"] + box["width"] + 1
    opened.close()


def test_a_screen_reader_finds_its_way(browser: Browser, folder: Path) -> None:
    """Every box is a button whose name begins with what is seen; landmarks, headings, and what was chosen."""
    opened = Opened(browser, folder, explanation("ihc_unet"))
    page = opened.page
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.get_by_role("main").count() == page.get_by_role("heading", level=1).count() == 1
    network = page.get_by_role("group", name=re.compile("^The network: "))
    boxes = network.get_by_role("button")
    assert boxes.count() == page.locator(".node").count() > 10
    for box in boxes.all():
        name, seen = box.get_attribute("aria-label") or "", " ".join(box.locator("text").all_text_contents())
        assert name.startswith(seen.strip()) and seen.strip(), (name, seen)
    assert network.get_by_role("button", pressed=True).count() == 1
    page.get_by_role("button", name=re.compile("^pool2 ")).press("Enter")
    assert "Card of pool2" in page.get_by_role("status").all_inner_texts()
    assert page.get_by_role("article", name="Card of pool2").get_by_role("heading", level=2).count() == 1
    assert all(it.get_attribute("aria-label") for it in page.get_by_role("slider").all())
    opened.close()


def test_search_by_keyboard_by_path_kind_and_shape(browser: Browser, folder: Path) -> None:
    opened = Opened(browser, folder, explanation("ResNet50"))
    field = opened.page.get_by_role("combobox")
    opened.page.keyboard.press("/")
    for text, wanted in (("conv4.2.conv2", "conv4_block3_2_conv"), ("avg_pool", "avg_pool")):
        field.fill(text)
        field.press("Enter")
        assert opened.chosen == wanted
        opened.page.keyboard.press("/")
    field.fill("MaxPooling")
    field.press("Enter")
    assert opened.chosen == "pool1_pool"
    opened.page.keyboard.press("/")
    field.fill("conv2_block1")
    first, second = opened.page.get_by_role("option").all_inner_texts()[:2]
    field.press("ArrowDown")
    assert field.get_attribute("aria-activedescendant") == "found-1"
    field.press("Enter")
    assert opened.chosen == second.split("\n")[0] != first.split("\n")[0]
    opened.close()


@pytest.mark.parametrize("network", ["ihc_unet", "bilstm"])
def test_prints_all_of_it(browser: Browser, folder: Path, network: str) -> None:
    """Buttons are left out, model.py is there to its last line, and nothing is wider than the paper."""
    opened = Opened(browser, folder, explanation(network), width=720)
    opened.page.emulate_media(media="print")
    assert not opened.page.locator(".tools").is_visible()
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 720
    hidden = opened.page.locator(".code").evaluate("it => it.scrollHeight - it.clientHeight")
    assert hidden <= 1
    assert opened.page.pdf(format="A4")[:4] == b"%PDF"
    opened.close()
