"""What the placeholder of a frame says of the content, and where else that can be seen."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest

from tests.support.site import proxied, reply

YOUTUBE = "https://www.youtube-nocookie.com/embed/aqz-KE?rel=0"
WATCH = 'href="https://www.youtube.com/watch?v=aqz-KE"'


def page(attributes: str) -> bytes:
    return f"<!doctype html><title>P</title><body><iframe {attributes}></iframe>".encode()


async def shown(folder: Path, attributes: str, path: str = "p", *, tags: bool = True) -> str:
    """The placeholder's own page."""
    change = str if tags else lambda text: text.partition("[[tag]]")[0]
    async with proxied(folder, {path: reply(page(attributes))}, change=change) as site:
        answer = await site.ask(f"/{path}")
    found = re.search(r' srcdoc="([^"]*)"', answer.body.decode())
    assert found, answer.body
    return html.unescape(found[1]).partition("</style>")[2]


@pytest.mark.parametrize(
    ("title", "heading"),
    [
        ("How a claim is paid", "How a claim is paid"),
        ("  A &amp; B\n &lt;b&gt; ", "A &amp; B &lt;b&gt;"),
        ("x" * 200, "x" * 119 + "&#8230;"),
        # What the vendors' own snippets say.
        ("YouTube video player", "YouTube"),
        ("vimeo-player", "YouTube"),
        ("Google Maps", "YouTube"),
        ("iframe 2", "YouTube"),
        ("", "YouTube"),
    ],
)
async def test_the_title(tmp_path: Path, title: str, heading: str) -> None:
    found = await shown(tmp_path, f'src="{YOUTUBE}" title="{title}"')
    expected = html.unescape(heading)
    assert re.findall(r"<b>(.*?)</b>", found) == [html.escape(expected, quote=False)]


@pytest.mark.parametrize("tags", [True, False])
@pytest.mark.parametrize("path", ["p", "patients/p"])
async def test_the_vendors_own_page(tmp_path: Path, path: str, tags: bool) -> None:
    """No dead end where nothing opens it: without a tag, and on a patient page."""
    found = await shown(tmp_path, f'src="{YOUTUBE}"', path, tags=tags)
    assert WATCH in found
    assert 'target="_blank" rel="noreferrer"' in found
    assert "Open on YouTube" in found
    assert ("Load once" in found) is (tags and path == "p")


@pytest.mark.parametrize(
    ("address", "link"),
    [
        ("https://calendly.com/acme/call?x=1&y=2", 'href="https://calendly.com/acme/call?x=1&amp;y=2"'),
        ("//nobody-knows.example/form", 'href="http://nobody-knows.example/form"'),
        ("https://nobody-knows.example/&quot;&gt;&lt;script&gt;", "&#34;&gt;&lt;script&gt;"),
        ("javascript:alert(1)", ""),
    ],
)  # fmt: skip
async def test_of_others_the_frames_own_address(tmp_path: Path, address: str, link: str) -> None:
    if not link:
        async with proxied(tmp_path, {"p": reply(page(f'src="{address}"'))}) as site:
            assert b"<a class" not in (await site.ask("/p")).body
        return
    assert link in await shown(tmp_path, f'src="{address}"')
    # A patient page may have put anything into it.
    assert "<a " not in await shown(tmp_path, f'src="{address}"', "patients/p")
