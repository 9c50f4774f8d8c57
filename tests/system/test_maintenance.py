"""The maintenance page: on request, and when all upstreams are down."""

from __future__ import annotations

import datetime
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from consent_rules.config.load import ConfigError
from proxy.banner.maintenance import MaintenancePageError, read_maintenance_page
from proxy.banner.texts import languages
from proxy.config.file import read_config
from tests.support.site import PAGE, proxied, reply

pytestmark = pytest.mark.slow

HTML = "Accept: text/html"
OWN = """<!doctype html><title>Down</title><img src="https://cdn.example/x.png" alt="">
<script src="https://www.google-analytics.com/analytics.js"></script>
<p>Back at nine. Number {{reference}}. <a href="">Again</a>"""


def with_keys(keys: str) -> Callable[[str], str]:
    return lambda text: text.replace("audience =", f"{keys}\naudience =", 1)


@pytest.mark.parametrize("lang", ["en", "es", "ar"])
@pytest.mark.parametrize("path", ["/", "/patients/x"])
async def test_every_page_is_the_maintenance_page(tmp_path: Path, lang: str, path: str) -> None:
    texts = languages()[lang]
    async with proxied(tmp_path, change=with_keys("maintenance = true")) as site:
        answer = await site.ask(path, HTML, f"Accept-Language: {lang}")
        assert (answer.status, answer.one("Retry-After")) == (503, "60")
        assert answer.one("Cache-Control") == "no-store"
        page = answer.text.decode()
        assert texts["error.unavailable"] in page
        assert f'<a href="">{texts["error.retry"]}</a>' in page
        assert re.search(r"<small>[^<]*: [0-9a-f]{16}</small>", page)
        assert "http" not in page
        assert answer.all("Content-Security-Policy")[0].startswith("default-src 'none'")
        plain = await site.ask("/api", "Accept: application/json", method="POST", body=b"{}")
        assert plain.status == 503
        assert plain.one("Content-Type").startswith("text/plain")
        assert not site.asked
        preferences = await site.ask("/.consent/preferences", HTML)
        assert preferences.status == 200


async def test_a_page_of_the_sites_own(tmp_path: Path) -> None:
    (tmp_path / "down.html").write_text(OWN)
    (tmp_path / "down.es.html").write_text("<!doctype html><p>Volvemos a las nueve")
    keys = 'maintenance = true\nmaintenance_page = "down.html"'
    async with proxied(tmp_path, change=with_keys(keys)) as site:
        cookie = site.cookie("analytics", "advertising")
        answer = await site.ask("/", HTML, "Accept-Language: fr", cookie=cookie)
        spanish = await site.ask("/", HTML, "Accept-Language: es-MX, en")
    assert answer.status == spanish.status == 503
    assert re.search(rb"Number [0-9a-f]{16}\.", answer.body)
    assert answer.one("Content-Language") == ""
    assert spanish.one("Content-Language") == "es"
    assert b"Volvemos a las nueve" in spanish.body
    # Whatever stands in the file, and whatever the visitor allowed: nothing is loaded or run.
    policy = answer.all("Content-Security-Policy")[0]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "https:" not in policy


@pytest.mark.parametrize(
    "markup",
    ['<link rel="preconnect" href="https://a.example">', "<LINK rel=dns-prefetch href=//a.example>",
     '<meta http-equiv="refresh" content="0;url=https://a.example">', "<meta HTTP-EQUIV=Refresh>"],
)  # fmt: skip
def test_a_page_that_connects_or_leads_elsewhere_is_refused(tmp_path: Path, markup: str) -> None:
    """No policy governs connections in advance, nor a redirect."""
    page = tmp_path / "down.html"
    page.write_text(f"<!doctype html>\n<title>Down</title>\n{markup}<p>Later")
    with pytest.raises(MaintenancePageError, match=r"down\.html:3: "):
        read_maintenance_page(page)


@pytest.mark.parametrize("own", [True, False])
async def test_an_upstream_that_is_down(tmp_path: Path, own: bool) -> None:
    (tmp_path / "down.html").write_text(OWN)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    def edit(text: str) -> str:
        text = re.sub(r'upstream = ".*"', f'upstream = "http://127.0.0.1:{port}"', text)
        return with_keys('maintenance_page = "down.html"')(text) if own else text

    async with proxied(tmp_path, change=edit) as site:
        for path in ("/", "/patients/x"):
            answer = await site.ask(path, HTML, cookie=site.cookie("analytics"))
            assert answer.status == 502
            assert (b"Back at nine" in answer.body) is own
            assert answer.all("Content-Security-Policy")[0].startswith("default-src 'none'")


async def test_the_cache_answers_while_the_upstream_is_down(tmp_path: Path) -> None:
    page = reply(PAGE, "Cache-Control: max-age=600")
    async with proxied(tmp_path, {"x": page}) as site:
        first = await site.ask("/x")
        site.pages["/x"] = b""
        again = await site.ask("/x")
    assert first.status == again.status == 200
    assert again.shows() == set()


CONFIG = """[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9000"
audience = "marketing"
maintenance = true
maintenance_page = "down.html"
"""


def test_what_check_says(tmp_path: Path) -> None:
    file, today = tmp_path / "c.toml", datetime.date(2026, 12, 1)
    file.write_text(CONFIG)
    for content, message in (
        (None, "down.html: cannot be read: No such file"),
        (b"\xff", "down.html: byte 1 is not UTF-8"),
        (b"x" * 1_000_001, "down.html: 1000001 bytes; the most is 1000000"),
    ):
        if content is not None:
            (tmp_path / "down.html").write_bytes(content)
        with pytest.raises(ConfigError) as raised:
            read_config(file, today=today)
        (problem,) = raised.value.problems
        assert problem.line == 11
        assert message in problem.message
    (tmp_path / "down.html").write_text("<p>x")
    loaded, _ = read_config(file, today=today)
    (warning,) = loaded.problems
    assert (warning.severity, warning.line) == ("warning", 10)
    assert "every page of" in warning.message
