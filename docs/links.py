"""Whether every link of the built site leads somewhere: a file of it, and where one is named a place in it.

`python docs/links.py FOLDER` prints those that do not, and what a page fetches from elsewhere, and is 1 then.
Links to other sites are left alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to and fetches, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.places: set[str] = set()
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.places |= {it for it in (found.get("id"), found.get("name")) if it}
        self.links += [it for it in (found.get("href"), found.get("src")) if it]
        if found.get("src") or tag == "link" and "stylesheet" in (found.get("rel") or ""):
            self.fetched.append(found.get("src") or found.get("href") or "")


def broken(folder: Path) -> Iterator[str]:
    """The links that lead nowhere: the page, and the link as it stands there."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":  # its links begin at the site's root
            continue
        yield from (f"{path.relative_to(folder)} fetches {it}" for it in page.fetched if urlsplit(it).netloc)
        for link in page.links:
            to = urlsplit(link)
            if to.scheme or to.netloc:
                continue
            target = (path.parent / unquote(to.path)).resolve() if to.path else path
            target = target / "index.html" if target.is_dir() else target
            known = pages.get(target)
            if not target.exists() or to.fragment and known and unquote(to.fragment) not in known.places:
                yield f"{path.relative_to(folder)}: {link}"


if __name__ == "__main__":
    found = list(broken(Path(sys.argv[1]).resolve()))
    print("\n".join(found) or "every link leads somewhere")
    sys.exit(bool(found))
