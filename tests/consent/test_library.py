"""`/.consent/lib/…`: the bytes that the config names, under the site's own address."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from consent_rules.config.load import load_config
from consent_rules.matching.script_hashes import file_hash
from proxy.libraries import LibraryFileError, file_name, read_libraries
from tests.support.libraries import with_libraries
from tests.support.site import config_text, proxied, reply

_DAY = datetime.date(2026, 1, 1)
SCRIPT = b"window.$ = 1 // " + b"jquery " * 300
SHEET = (
    b"@font-face{src:url(https://fonts.test/s/a.woff2)}@import '//cdn.test/more.css';"
    b"a{background:url(../img/dot.svg)}b{background:url(https://elsewhere.test/x.png)}"
)
FONT = b"wOF2 font"
FILES = {
    "https://cdn.test/npm/jquery@3/x.js": SCRIPT,
    "https://fonts.test/css2?family=A:wght@400;700&family=B": SHEET,
    "https://fonts.test/s/a.woff2": FONT,
    "https://cdn.test/more.css": b"p{}",
    "https://cdn.test/font.eot?": b"eot",
}


async def test_what_is_served(tmp_path: Path) -> None:
    async with proxied(tmp_path, change=with_libraries(tmp_path, FILES)) as site:
        listed = site.running.libraries.listed
        at = f"/.consent/lib/{listed.digest}"

        answer = await site.ask(f"{at}/cdn.test/npm/jquery@3/x.js", "Accept-Encoding: gzip")
        assert (answer.status, answer.text) == (200, SCRIPT)
        assert answer.one("Content-Encoding") == "gzip" and len(answer.body) < len(SCRIPT) / 4
        assert answer.one("Content-Type") == "text/javascript; charset=utf-8"
        assert answer.one("Cache-Control") == "public, max-age=31536000, immutable"
        assert answer.one("X-Content-Type-Options") == "nosniff"
        assert answer.one("Vary") == "Accept-Encoding"
        assert not answer.all("Set-Cookie")
        head = await site.ask(f"{at}/cdn.test/npm/jquery@3/x.js", method="HEAD")
        assert (head.status, head.body) == (200, b"")
        etag = answer.one("ETag")
        again = await site.ask(f"{at}/cdn.test/npm/jquery@3/x.js", f"If-None-Match: {etag}")
        assert (again.status, again.body) == (304, b"")

        font = await site.ask(f"{at}/fonts.test/s/a.woff2", "Accept-Encoding: gzip")
        assert (font.status, font.body, font.one("Content-Type")) == (200, FONT, "font/woff2")
        assert (await site.ask(f"{at}/cdn.test/font.eot?")).body == b"eot"

        sheet = await site.ask(f"{at}/fonts.test/css2?family=A:wght@400;700&family=B")
        assert sheet.one("Content-Type") == "text/css"
        # Libraries by absolute address are the site's own; a relative one is so by itself.
        assert (
            sheet.text
            == (
                f"@font-face{{src:url({at}/fonts.test/s/a.woff2)}}@import '{at}/cdn.test/more.css';"
                "a{background:url(../img/dot.svg)}b{background:url(https://elsewhere.test/x.png)}"
            ).encode()
        )
        assert listed.changed == {
            "fonts.test/css2?family=A:wght@400;700&family=B": file_hash(sheet.text)
        }

        # A page from before a change of the list: what there is now, and not for long.
        old = await site.ask("/.consent/lib/000000000000/fonts.test/s/a.woff2")
        assert (old.status, old.one("Cache-Control")) == (200, "public, max-age=60")
        for path in ("", "/", "/fonts.test/s/b.woff2", "/cdn.test/../fonts.test/s/a.woff2"):
            assert (await site.ask(at + path)).status == 404, path
        posted = await site.ask(f"{at}/fonts.test/s/a.woff2", method="POST")
        assert (posted.status, posted.one("Allow")) == (405, "GET, HEAD")
        assert not site.asked, "the site's own server is asked for none of it"


async def test_marketing_and_patient_pages_have_them(tmp_path: Path) -> None:
    page = reply(b"<!doctype html><script src=https://cdn.test/npm/jquery@3/x.js></script>")
    pages = {"": page, "patients/pay": page}
    async with proxied(tmp_path, pages, change=with_libraries(tmp_path, FILES)) as site:
        own = f'src="/.consent/lib/{site.running.libraries.listed.digest}/cdn.test/npm'.encode()
        for path in ("/", "/patients/pay"):
            answer = await site.ask(path)
            assert own in answer.text, path
            assert "cdn.test" not in answer.policy, path


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("script-src https://cdn.test", "script-src https://cdn.test {own}"),
        ("script-src *.test 'nonce-a'", "script-src *.test 'nonce-a' {hash} {own}"),
        ("style-src 'self' cdn.test", "style-src 'self' cdn.test {hash}"),
        ("font-src https://fonts.test/s/", "font-src https://fonts.test/s/ {own}"),
        ("font-src https://other.test", "font-src https://other.test"),
    ],
)
async def test_the_origins_policy_allows_what_it_allowed(
    tmp_path: Path, given: str, sent: str
) -> None:
    pages = {"": reply(b"<!doctype html><p>x", f"Content-Security-Policy: {given}")}
    async with proxied(tmp_path, pages, change=with_libraries(tmp_path, FILES)) as site:
        answer = await site.ask()
        first = answer.all("Content-Security-Policy")[0].partition(";")[0]
        own = "www.example.com/.consent/lib/"
        words = [word for word in first.split() if not word.startswith("'sha256-")]
        assert words == sent.replace("{hash} ", "").replace(" {hash}", "").format(own=own).split()


def test_a_file_with_another_content_is_never_served(tmp_path: Path) -> None:
    change = with_libraries(tmp_path, FILES)
    (tmp_path / "libraries" / file_name(file_hash(FONT))).write_bytes(FONT + b" ")
    config = load_config(change(config_text(9)), "c.toml", today=_DAY).config
    with pytest.raises(LibraryFileError, match="its content is not that of its name"):
        read_libraries(config.libraries, tmp_path / "libraries", "/.consent")


def test_any_change_of_the_list_is_another_address(tmp_path: Path) -> None:
    digests = set()
    for files in (
        FILES,
        {**FILES, "https://cdn.test/more.css": b"q{}"},
        {**FILES, "https://x.test/x.js": b""},
    ):
        text = with_libraries(tmp_path, files)(config_text(9))
        config = load_config(text, "c.toml", today=_DAY).config
        libraries = read_libraries(config.libraries, tmp_path / "libraries", "/.consent").listed
        digests.add(libraries.digest)
    assert len(digests) == 3
