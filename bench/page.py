"""The page of torchport explain: its size, how long it takes beyond converting, and until it can be used.

Of writing the best of some, by the clock and of the processor alone: a loaded machine makes the clock run.
python bench/page.py MODEL.keras...; the last line is JSON. Without a browser the last is left out.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import torchport
from torchport.geometry import explain

TIMES = 5
WRITES = 3


def measured(source: Path, folder: Path) -> dict[str, object]:
    """One model's page."""
    torchport.convert(source).code  # noqa: B018  what was never run is compiled
    page = folder / f"{source.stem}.html"
    converts, writes, processor = [], [], []
    for _ in range(WRITES):
        start = perf_counter()
        port = torchport.convert(source)
        _ = port.code
        converted, used = perf_counter(), process_time()
        explain(port).save(page)
        writes.append(perf_counter() - converted)
        processor.append(process_time() - used)
        converts.append(converted - start)
    found = {
        "name": source.stem, "convert": min(converts), "write": min(writes), "write_cpu": min(processor),
        "megabytes": page.stat().st_size / 1e6,
    }  # fmt: skip
    return {**found, "ready": ready(page)}


def ready(page: Path) -> float | None:
    """Seconds until the page can be used: the median of some openings, each in a window of its own."""
    browser = shutil.which("chromium")
    if not browser:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as run:
        made = run.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        found = []
        for _ in range(TIMES):
            window = made.new_page(viewport={"width": 1280, "height": 900})
            window.goto(page.as_uri())
            window.wait_for_selector("html[data-ready]")
            found.append(int(window.evaluate("document.documentElement.dataset.ready")) / 1000)
            window.close()
        made.close()
    return statistics.median(found)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        print(json.dumps([measured(Path(it), Path(scratch)) for it in sys.argv[1:]]))
