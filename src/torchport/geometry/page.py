"""The page: one file that opens offline. It is built of `web/`; `page.html` is what is shipped."""

from __future__ import annotations

import base64
import gzip
import json
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchport.geometry.activations import Activations
    from torchport.geometry.network import Network

#: The place of the document in `page.html`.
PLACE = "__NETWORK__"
#: A longer document is compressed.
LONG = 200_000


def page(network: Network, found: Activations | None = None, note: str = "") -> str:
    """The page of a network, and of what it makes of an input. `note`: what was done to that."""
    if found is None:
        return written(network.text())
    from torchport.geometry.given import shown
    from torchport.geometry.pictures import features

    sides = {it.id: it.keras for it in network.tensors}
    first = network.inputs[0]
    picture = shown(found.torch[first], sides[first]) if first in found.torch else ""
    document = {**network.record(), "features": features(network, found, picture, note)}
    return written(json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False))


def written(document: str) -> str:
    """The page of a document of `docs/explain-json.md`, and its "features" if it has any.

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
