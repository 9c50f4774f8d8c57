"""Views to render, the pages of a site that carry them, and the CSP that the proxy sends."""

from __future__ import annotations

from collections.abc import Sequence

from consent_rules.categories import CHOOSABLE, Category
from consent_rules.config.theme import Theme
from proxy.banner.assets import AssetKind, assets
from proxy.banner.banner import banner_html, head_html, link_html
from proxy.banner.placeholder import placeholder_html
from proxy.banner.texts import Texts
from proxy.banner.views import BannerView, CategoryView, PageState, VendorView

PARAGRAPHS = "<p>A line of the page. <a href='#x'>Read more</a></p>" * 40


def banner_categories(on: Sequence[Category] = ()) -> tuple[CategoryView, ...]:
    analytics = (
        VendorView(
            "google-analytics",
            "Google Analytics",
            "Google LLC",
            "Counts visits",
            "https://policies.example/privacy",
            ("_ga", "_ga_*"),
        ),
        VendorView("matomo", "Matomo", exception=True),
    )
    return tuple(
        CategoryView(c, c in on, analytics if c is Category.ANALYTICS else (VendorView(c, c),))
        for c in CHOOSABLE
    )


def host_page(
    texts: Texts,
    *,
    css: str = "",
    gpc: bool = False,
    on: Sequence[Category] = (),
    decided: bool = False,
    placeholders: bool = False,
    choices: bool = False,
    body: str = PARAGRAPHS,
    state: PageState | None = None,
) -> str:
    """A page of a site with our markup in it."""
    off = tuple(c for c in CHOOSABLE if c not in on)
    state = state or PageState(tuple(on), off, decided=decided, gpc=gpc)
    view = BannerView("Acme Billing", "/privacy", banner_categories(on), gpc, "/a?b=1&c=2")
    closed = ""
    if placeholders:
        video = placeholder_html("youtube", "YouTube", "video", "480", "270", texts)
        closed = f"<p>Before {video} after</p>"
    return (
        "<!doctype html><html lang=en><head><meta name=viewport "
        "content='width=device-width,initial-scale=1'><title>Page</title>"
        f"{css and f'<style>{css}</style>'}"
        f"{head_html(Theme(), state, texts, placeholders=placeholders)}</head>"
        "<body><main id=main>"
        f"<h1>Title</h1>{closed}{body}</main>"
        f"{link_html(texts, '/a', placeholders=placeholders, choices=choices)}"
        f"{'' if state.decided else banner_html(view, texts)}</body></html>"
    )


def strict_csp() -> str:
    """What the proxy sends at least: our assets by hash, nothing else inline."""
    kinds = [assets(Theme(), kind) for kind in AssetKind]
    styles = " ".join(f"'sha256-{a.style_sha256}'" for a in kinds if a.style)
    scripts = " ".join(f"'sha256-{a.script_sha256}'" for a in kinds if a.script)
    return (
        f"default-src 'none'; style-src {styles}; script-src {scripts}; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'"
    )
