"""The page: one file that opens offline. `web/` is its source; `page.html`, what is built of it, is shipped."""

from __future__ import annotations

import base64
import gzip
from importlib.resources import files

#: The place of the document in `page.html`.
PLACE = "__NETWORK__"
#: A longer document is compressed.
LONG = 200_000


def page(document: str) -> str:
    """The page of a document of `docs/explain-json.md`.

    Nothing in the document is markup: `<` is written as JSON's \\u003c, so that no name of a layer ends the
    script that it stands in. The page's Content-Security-Policy allows no other script than its own.
    """
    template = (files("torchport.geometry") / "page.html").read_text(encoding="utf-8")
    before, _, after = template.partition(PLACE)
    return f"{before}{data(document)}{after}"


def data(document: str) -> str:
    """A document as the page reads it: JSON, or gzip in base64."""
    if len(document) > LONG:
        return base64.b64encode(gzip.compress(document.encode(), 6, mtime=0)).decode()
    return document.replace("<", "\\u003c")
