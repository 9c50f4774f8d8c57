"""The built site: no link leads nowhere, every page is in the menu, and nobody else is asked."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from docs_site.__main__ import build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
NAV = tomllib.loads((ROOT / "docs_site/zensical.toml").read_text("utf-8"))["project"]["nav"]

FETCHED_BY_OTHERS = {
    "https://api.github.com/repos/": "where the site names a repository (repo_url)",
    "https://api.github.com/users/": "where the site names a repository (repo_url)",
    "https://cdn.jsdelivr.net/pyodide/v314.0.2/full/": "for code that runs on the page",
    "https://unpkg.com/ace-builds@1.44.0/src-noconflict/ace.js": "for code that runs on the page",
    "https://unpkg.com/pyodide@314.0.2/pyodide.js": "for code that runs on the page",
    "https://unpkg.com/glightbox@3/dist/css/glightbox.min.css": "for pictures in a lightbox",
    "https://unpkg.com/glightbox@3/dist/js/glightbox.min.js": "for pictures in a lightbox",
    "https://unpkg.com/mermaid@12/dist/mermaid.min.js": "for diagrams of Mermaid",
    "https://unpkg.com/resize-observer-polyfill": "in browsers of before 2020",
}
"""What the theme's script fetches, and when: `WAKES_THEM` is what none of our pages has, and the
pages' own policy would refuse each."""

WAKES_THEM = re.compile(
    r'class="[^"]*\b(?:mermaid|glightbox|pyodide)\b|data-md-component="source"|class="md-source\b'
)
_NO_REQUEST = {"http://www.w3.org/1998/Math/MathML", "http://www.w3.org/1999/xhtml",
               "http://www.w3.org/2000/svg"}  # fmt: skip

FETCHING = {"src", "srcset", "poster", "data", "action", "formaction", "background", "ping"}


@dataclass
class Page(HTMLParser):
    """What of a page matters here."""

    path: str
    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    policy: str = ""
    images_without_words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def __hash__(self) -> int:
        return hash(self.path)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif "href" in values:
            self.fetched.append(values["href"])
        self.fetched += [values[name] for name in FETCHING & set(values)]
        if values.get("http-equiv") == "Content-Security-Policy":
            self.policy = values["content"]
        if tag == "img" and not values.get("alt"):
            self.images_without_words.append(values.get("src", ""))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    zensical = Path(".venv-docs/bin/zensical")  # relative, as make gives it
    assert zensical.exists(), "run make .venv-docs/.ready"
    # As the Makefile names it: relative to the folder that make runs in.
    return build(os.path.relpath(zensical), tmp_path_factory.mktemp("docs_site"))


@pytest.fixture(scope="module")
def pages(folder: Path) -> dict[str, Page]:
    """Address below the root -> page."""
    found = {}
    for file in sorted(folder.rglob("*.html")):
        page = Page(file.relative_to(folder).as_posix())
        page.feed(file.read_text("utf-8"))
        found[page.path] = page
    return found


def _pages_of(nav: list[Any]) -> Iterator[str]:
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for value in entry.values():
                yield from [value] if isinstance(value, str) else _pages_of(value)


def _html_of(markdown: str) -> str:
    path = markdown.removesuffix(".md")
    return "index.html" if path == "index" else f"{path.removesuffix('/index')}/index.html"


def test_every_page_is_in_the_menu_once(pages: dict[str, Page]) -> None:
    listed = [_html_of(page) for page in _pages_of(NAV)]
    assert sorted(listed) == sorted(set(pages) - {"404.html"})


def test_each_link_leads_to_a_place(folder: Path, pages: dict[str, Page]) -> None:
    broken = []
    for page in pages.values():
        for link in {*page.links, *page.fetched}:
            address = urlsplit(urljoin(f"https://site.test/{page.path}", link))
            if address.netloc != "site.test" or address.scheme != "https":
                continue
            path = unquote(address.path).lstrip("/")
            path = f"{path}index.html" if path == "" or path.endswith("/") else path
            if not (folder / path).is_file() or (
                path in pages and unquote(address.fragment) not in {"", *pages[path].ids}
            ):
                broken.append((page.path, link))
    assert broken == []


def test_nothing_is_fetched_from_elsewhere(folder: Path, pages: dict[str, Page]) -> None:
    elsewhere = re.compile(r"^\s*(?:[a-z][a-z0-9+.-]*:)?//", re.I)
    assert [
        (page.path, address)
        for page in pages.values()
        for address in page.fetched
        if elsewhere.match(address)
    ] == []
    for file in folder.rglob("*.css"):
        text = file.read_text("utf-8")
        assert not re.search(r"""(?:url\(\s*|@import\s+)["']?(?:https?:)?//""", text), file
    for file in folder.rglob("*.html"):
        assert not WAKES_THEM.search(file.read_text("utf-8")), file


def test_what_the_theme_could_fetch_is_known(folder: Path) -> None:
    """A new release may ask others for more; the list above says why each does not happen."""
    named = set()
    for file in folder.rglob("*.js"):
        named |= set(re.findall(r"https?://[\w./@~%-]+", file.read_text("utf-8")))
    assert named - _NO_REQUEST == set(FETCHED_BY_OTHERS)


def test_each_page_forbids_its_browser_to_ask_others(pages: dict[str, Page]) -> None:
    assert {page.policy for page in pages.values()} == {pages["index.html"].policy}
    policy = dict(one.split(" ", 1) for one in pages["index.html"].policy.split("; "))
    assert policy["default-src"] == "'self' 'unsafe-inline'"
    sources = {source for value in policy.values() for source in value.split()}
    assert sources == {"'self'", "'unsafe-inline'", "'none'", "data:", "blob:"}


def test_each_picture_has_words(pages: dict[str, Page]) -> None:
    assert [
        (p.path, p.images_without_words) for p in pages.values() if p.images_without_words
    ] == []
