"""Sites on builders and CDNs, walked from observe mode by the printed advice alone: pages look
whole before a choice, and their trackers stay closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import proxy.cli.library
from proxy.cli.library_fetch import Fetched
from tests.support.advice import walked, warnings
from tests.support.commands import run
from tests.support.site import Proxied, config_text, in_front_of, proxied, reply

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Builder:
    """A page as a builder makes it: what it may not lose, and what stays closed."""

    page: str
    looks: tuple[str, ...]
    trackers: tuple[str, ...]


WIX = Builder(
    """<link rel=stylesheet href="https://static.parastorage.com/services/site/main.css">
    <script src="https://static.parastorage.com/services/thunderbolt/main.js"></script>
    <script src="https://siteassets.parastorage.com/pages/p.js"></script>
    <style>#bg{background-image:url(https://static.wixstatic.com/media/bg.jpg)}</style>
    <wow-image><img src="https://static.wixstatic.com/media/a.jpg/v1/fill/w_600,h_400/a.jpg"
     alt="Our team"></wow-image>
    <script src="https://frog.wix.com/bt.js"></script>
    <script src="https://www.googletagmanager.com/gtag/js?id=G-1"></script>""",
    ("main.css", "thunderbolt/main.js", "pages/p.js", "media/bg.jpg", "h_400/a.jpg"),
    ("frog.wix.com", "googletagmanager"),
)
SQUARESPACE = Builder(
    """<link rel=stylesheet href="https://static1.squarespace.com/static/5f01/1/css/site.css">
    <script src="https://assets.squarespace.com/universal/scripts-compressed/c.js"></script>
    <link rel=stylesheet href="https://fonts.googleapis.com/css2?family=Inter">
    <img data-src="https://images.squarespace-cdn.com/content/v1/5f01/a.jpg" alt="Our team">
    <img src="https://images.squarespace-cdn.com/content/v1/5f01/b.jpg">
    <img src="https://static1.squarespace.com/static/5f01/c.png">
    <img src="https://px.ads.linkedin.com/collect?v=2">""",
    ("css/site.css", "c.js", "css2", "5f01/a.jpg", "5f01/b.jpg", "5f01/c.png"),
    ("px.ads.linkedin.com",),
)
SHOPIFY = Builder(
    """<link rel=stylesheet href="//cdn.shopify.com/s/files/1/0533/2089/t/1/assets/base.css">
    <link rel=preload as=font href="https://fonts.shopifycdn.com/inter/i.woff2" crossorigin>
    <style>@font-face{src:url(https://fonts.shopifycdn.com/inter/i.woff2)}</style>
    <script src="https://static.example.com/theme.js"></script>
    <img srcset="//cdn.shopify.com/s/files/1/0533/2089/files/a_600x.jpg 600w" alt="">
    <img src="https://img.example.com/logo.png" alt=Acme>
    <script src="https://connect.facebook.net/en_US/fbevents.js"></script>""",
    ("assets/base.css", "i.woff2", "theme.js", "a_600x.jpg", "logo.png"),
    ("connect.facebook.net",),
)
WORDPRESS = Builder(
    """<link rel=stylesheet href="https://s0.wp.com/wp-content/themes/h4/style.css">
    <link rel=stylesheet href="https://cdn.jsdelivr.net/npm/bootstrap@5.3.3/dist/b.css">
    <script src="https://c0.wp.com/c/6.5/wp-includes/js/jquery/jquery.min.js"></script>
    <img src="https://i0.wp.com/www.example.com/a.jpg?resize=300%2C200" alt="Our team">
    <img src="https://acme.files.wordpress.com/2026/01/b.jpg?w=1024" width=1024 height=683>
    <script src="https://stats.wp.com/e-202648.js"></script>""",
    ("h4/style.css", "b.css", "jquery.min.js", "a.jpg", "b.jpg"),
    ("stats.wp.com",),
)
WEBFLOW = Builder(
    """<link rel=stylesheet href="https://cdn.prod.website-files.com/5f02/css/acme.css">
    <script src="https://d3e54v103j8qbb.cloudfront.net/js/jquery-3.5.1.min.js"></script>
    <script src="https://cdn.prod.website-files.com/5f02/js/webflow.js"></script>
    <img src="https://cdn.prod.website-files.com/5f02/a.svg" alt="Our team">
    <img src="https://d111abc.cloudfront.net/b.jpg" alt="Our house">
    <link rel=stylesheet href="https://acme-assets.example.net/more.css">
    <script src="https://tracker.example.org/t.js"></script>
    <script src="https://cdn.segment.com/analytics.js/v1/x/analytics.min.js"></script>""",
    ("acme.css", "jquery-3.5.1", "webflow.js", "5f02/a.svg", "b.jpg", "more.css"),
    ("tracker.example.org", "cdn.segment.com"),
)
SITES = {
    "wix": WIX, "squarespace": SQUARESPACE, "shopify": SHOPIFY, "wordpress": WORDPRESS,
    "webflow": WEBFLOW,
}  # fmt: skip


async def seen_by(site: Proxied) -> tuple[str, str]:
    answer = await site.ask("/")
    assert answer.status == 200
    return answer.body.decode(), " ".join(answer.all("Content-Security-Policy"))


@pytest.mark.parametrize("name", SITES)
async def test_the_printed_advice_alone_makes_a_site_whole(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = SITES[name]
    page = f"<!doctype html><html><head><title>x</title></head><body>{builder.page}</body></html>"

    def fetched(url: str) -> Fetched:
        kind = "text/css" if "css" in url else "text/javascript"
        return Fetched(url, f"/* {url} */".encode(), kind)

    monkeypatch.setattr(proxy.cli.library, "fetch", fetched)
    config = tmp_path / "c.toml"
    async with proxied(tmp_path, {"": reply(page.encode())}, mode="observe") as site:
        body, _ = await seen_by(site)
        assert all(one in body for one in (*builder.looks, *builder.trackers))
        site.running.sightings.write()
        config.write_text(config_text(1, [], mode="observe"))
        report = run("discovered", "--config", config, "--report").stdout
        html = tmp_path / "page.html"
        html.write_text(page)
        report = re.sub(r"(?m)( library add .*)$", rf"\1 --html {html}", report)
        said = warnings(config)
        walked(config, report)
        assert warnings(config) == said, "nothing that was not said before"
        text = config.read_text().replace('mode = "observe"', 'mode = "enforce"')
        port = site.config.sites[0].upstream[0].rpartition(":")[2]
        text = text.replace(
            'upstream = "http://127.0.0.1:1"', f'upstream = "http://127.0.0.1:{port}"'
        )
        async with in_front_of(int(port), tmp_path, change=lambda _: text) as enforced:
            body, policy = await seen_by(enforced)
    for one in builder.looks:
        assert one in body, report
    for one in builder.trackers:
        assert one not in body, report
        assert one not in policy, report
