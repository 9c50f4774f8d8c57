"""`python -m e2e.screenshots FOLDER`: what visitors see, on a phone and on a desk."""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from e2e.chromium import launch
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, running_demo
from e2e.visitor import Visitor

WIDTHS = (360, 1280)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with running_demo() as demo, sync_playwright() as playwright:
        browser = launch(playwright)
        for width in WIDTHS:
            viewport = {"width": width, "height": 740 if width < 600 else 800}
            visitor = Visitor(demo, browser.new_context(viewport=viewport))  # type: ignore[arg-type]

            def shoot(
                name: str, *, full: bool, visitor: Visitor = visitor, width: int = width
            ) -> None:
                visitor.page.screenshot(path=folder / f"{name}-{width}.png", full_page=full)

            visitor.open("/")
            shoot("banner", full=False)
            visitor.open("/.consent/preferences")
            shoot("preferences", full=True)
            visitor.reject_all()
            visitor.open(EVERY_VENDOR)
            shoot("placeholder", full=True)
            visitor.open("/.consent/preferences")
            visitor.accept_all()
            visitor.open(PATIENT_PAGE)
            shoot("patient", full=True)
            visitor.open("/")
            shoot("accepted", full=True)
            visitor.open_origin("/")
            shoot("origin", full=True)
            visitor.context.close()
        browser.close()
    print(f"Written to {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m e2e.screenshots FOLDER")
    main(Path(sys.argv[1]))
