"""`python -m e2e.screenshots FOLDER`: what visitors see, on a phone and on a desk, light and dark,
in both directions of writing, and the dashboard. The pictures of `docs/banner.md` and
`docs/dashboard.md` are made by it, as WebP."""

from __future__ import annotations

import datetime
import io
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from consent_rules.config.load import load_config
from e2e.chromium import launch
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, RunningDemo, in_thread, running_demo
from e2e.visitor import Visitor
from examples.demo.running import config_text
from proxy.review.preview import preview_request, rewrite_page
from tests.support.dashboard import many_receipts, serving

PHONE, DESK = (360, 740), (1280, 720)
CALIFORNIA = {"CF-IPCountry": "US", "CF-Region-Code": "CA"}
ARABIC = {"locale": "ar"}
DARK = {"color_scheme": "dark"}


@dataclass(frozen=True)
class Shot:
    """One picture. `path` is opened; `choose` opens the banner's switches first, `pressed` is what
    was pressed before ("accept" or "reject"), `whole` takes the page to its end."""

    name: str
    path: str = "/contact"
    size: tuple[int, int] = PHONE
    options: Mapping[str, Any] = field(default_factory=dict)
    choose: bool = False
    whole: bool = False
    pressed: str = ""


def _us(**more: str) -> dict[str, Any]:
    return {"extra_http_headers": {**CALIFORNIA, **more}}


SHOTS = (
    Shot("banner-phone-light"),
    Shot("banner-phone-dark", options=DARK),
    Shot("banner-phone-light-rtl", options=ARABIC),
    Shot("banner-phone-dark-rtl", options=ARABIC | DARK),
    Shot("banner-desk-light", size=DESK),
    Shot("banner-desk-dark", size=DESK, options=DARK),
    Shot("banner-desk-light-rtl", size=DESK, options=ARABIC),
    Shot("banner-desk-dark-rtl", size=DESK, options=ARABIC | DARK),
    Shot("switches-phone-light", choose=True),
    Shot("switches-desk-dark", size=DESK, options=DARK, choose=True),
    Shot("zoom-400", size=(320, 256)),
    Shot("forced-colours", options={"forced_colors": "active", **DARK}),
    Shot("signal-desk", size=DESK, options=_us(**{"Sec-GPC": "1"})),
    Shot("preferences-phone-light", path="/.consent/preferences", whole=True),
    Shot("preferences-desk-dark", path="/.consent/preferences", size=DESK, options=DARK),
    Shot("preferences-phone-dark-rtl", path="/.consent/preferences", options=ARABIC | DARK),
    Shot("choices-desk", path="/.consent/preferences", size=DESK, options=_us()),
    Shot("placeholder-phone", path=EVERY_VENDOR, whole=True, pressed="reject"),
    Shot("patient-phone", path=PATIENT_PAGE, whole=True),
    Shot("decided-desk", size=DESK, pressed="accept", options=_us(), whole=True),
)


@contextmanager
def visiting(demo: RunningDemo, browser: Browser, shot: Shot) -> Iterator[Visitor]:
    """A visitor of the kind that a picture is of."""
    width, height = shot.size
    context = browser.new_context(viewport={"width": width, "height": height}, **shot.options)
    yield Visitor(demo, context)
    context.close()


def in_arabic(visitor: Visitor, path: str) -> None:
    """Answer a page of the demo as if it were written in Arabic: its banner is then, too."""
    demo = visitor.demo
    config = load_config(
        config_text(demo.ports, demo.state), "demo.toml", today=datetime.date.today()
    ).config
    asked = preview_request(
        config, demo.url(path), accept=None, gpc=False, region="", today=datetime.date.today()
    )
    with urllib.request.urlopen(demo.origin_url(path)) as answer:
        page = answer.read().replace(b'<html lang="en">', b'<html lang="ar" dir="rtl">')
    shown = rewrite_page(asked, page, "text/html; charset=utf-8", language="ar", bare=False)
    visitor.context.route(
        demo.url(path),
        lambda route: route.fulfill(body=shown, content_type="text/html; charset=utf-8"),
    )


def take(visitor: Visitor, shot: Shot) -> bytes:
    """A PNG."""
    if shot.options.get("locale") == "ar" and not shot.path.startswith("/.consent"):
        in_arabic(visitor, shot.path)
    visitor.open(shot.path)
    if shot.pressed:
        visitor.accept_all() if shot.pressed == "accept" else visitor.reject_all()
    if shot.choose:
        visitor.page.locator("#yc-c").click()
    return visitor.page.screenshot(full_page=shot.whole)


DASHBOARD_PAGES = ("overview", "choices", "third-parties", "tags")


def take_dashboard(browser: Browser, folder: Path, wanted: str) -> None:
    """Each page of a dashboard with made-up receipts, on a phone and on a desk, light and dark."""
    shots = [
        (page, size, scheme, f"dashboard-{page}-{name}-{scheme}")
        for page in DASHBOARD_PAGES
        for name, size in (("phone", PHONE), ("desk", DESK))
        for scheme in ("light", "dark")
    ]
    shots = [shot for shot in shots if wanted in shot[-1]]
    if not shots:
        return
    sightings = [("cdn.example", "/"), ("fonts.example", "/blog")]
    receipts = many_receipts(12_000)
    with (
        tempfile.TemporaryDirectory() as state,
        in_thread(serving(Path(state), receipts=receipts, sightings=sightings)) as board,
    ):
        for page, (width, height), scheme, name in shots:
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            tab = context.new_page()
            tab.goto(f"{board.url}/dashboard/{'' if page == 'overview' else page}")
            picture = Image.open(io.BytesIO(tab.screenshot(full_page=height == PHONE[1])))
            picture.save(folder / f"{name}.webp", quality=72, method=6)
            context.close()


def main(folder: Path, wanted: str = "") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo, sync_playwright() as playwright:
        browser = launch(playwright)
        take_dashboard(browser, folder, wanted)
        for shot in SHOTS:
            if wanted not in shot.name:
                continue
            with visiting(demo, browser, shot) as visitor:
                picture = Image.open(io.BytesIO(take(visitor, shot)))
                picture.save(folder / f"{shot.name}.webp", quality=72, method=6)
        browser.close()
    print(f"Written to {folder}")


if __name__ == "__main__":
    if len(sys.argv) not in {2, 3}:
        sys.exit("usage: python -m e2e.screenshots FOLDER [part of a name]")
    main(Path(sys.argv[1]), *sys.argv[2:])
