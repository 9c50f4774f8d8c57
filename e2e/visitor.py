"""A visitor: one fresh browser profile, what it does, and what it was seen to ask for."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Frame,
    FrameLocator,
    Locator,
    Page,
    Request,
    Response,
)

from e2e.site import RunningDemo

PREFERENCES_LINK = "Cookie preferences"
PREFERENCE_COOKIE = "consent"
BANNER = "#yc"
SETTLED_SECONDS = 30.0
QUIET_SECONDS = 0.25
"""The stubs are on this machine and their scripts act at once."""


def seen(button: Locator) -> Locator:
    """A placeholder's button, once the browser has told that it is in sight: then it chooses, and
    until then it leads to the preferences page.
    """
    # The browser's own way counts one that lies behind the banner as in view.
    button.evaluate("button => button.scrollIntoView({ block: 'center' })")
    until(lambda: button.get_attribute("formmethod") == "post", "the button is in sight")
    return button


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that a vendor's stub will see from another thread."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(0.02)


@dataclass(slots=True)
class Visitor:
    """One browser context with one page."""

    demo: RunningDemo
    context: BrowserContext
    scripts: bool = True
    """Whether the browser runs them."""
    page: Page = field(init=False)
    requests: list[Request] = field(default_factory=list)
    console: list[ConsoleMessage] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    pages_shown: int = 0

    def __post_init__(self) -> None:
        self.context.on("request", lambda request: self.requests.append(request))
        self.context.on("console", lambda message: self.console.append(message))
        self.context.on("weberror", lambda event: self.errors.append(str(event.error)))
        self.context.set_default_timeout(SETTLED_SECONDS * 1000)
        self.page = page = self.context.new_page()

        def shown(frame: Frame) -> None:
            self.pages_shown += frame == page.main_frame

        page.on("framenavigated", shown)

    # --- Going places

    def open(self, path: str) -> Response:
        """Open a page through the proxy and wait until it has gone quiet."""
        return self._go(self.demo.url(path))

    def open_origin(self, path: str) -> Response:
        """Open a page without the proxy."""
        return self._go(self.demo.origin_url(path))

    def _go(self, url: str) -> Response:
        response = self.page.goto(url)
        assert response is not None
        self.settle()
        return response

    def settle(self) -> None:
        """Loaded, then quiet for a while: what a tag does on load, it has done by then."""
        self.page.wait_for_load_state("load")
        asked, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < QUIET_SECONDS:
            if asked != len(self.requests):
                asked, quiet_since = len(self.requests), time.monotonic()
            self.page.wait_for_timeout(25)

    # --- Choosing

    @property
    def accept_button(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile("^accept all", re.I))

    @property
    def reject_button(self) -> Locator:
        return self.page.get_by_role("button", name=re.compile("^reject all", re.I))

    @property
    def preferences_link(self) -> Locator:
        return self.page.locator("#yc-l").get_by_role("link", name=PREFERENCES_LINK)

    def accept_all(self) -> None:
        self._choose_with(self.accept_button)

    def reject_all(self) -> None:
        self._choose_with(self.reject_button)

    @property
    def placeholder(self) -> FrameLocator:
        """What the first closed frame shows."""
        return self.page.frame_locator("iframe[srcdoc]").first

    def allow_vendor(self, name: str) -> None:
        """On the placeholder of a closed embed."""
        self._choose_with(self._of_placeholder(f"allow {name}"))

    def load_once(self) -> None:
        """The same for this time alone."""
        self._of_placeholder("Load once").click()

    def _of_placeholder(self, name: str) -> Locator:
        """The button that chooses: without scripts it is that of the page that asks again."""
        button = self.placeholder.get_by_role("button", name=name)
        if self.scripts:
            return seen(button)
        button.click()
        return self.page.get_by_role("button", name=name)

    def choose(self, categories: Iterable[str]) -> None:
        """On the preferences page: exactly these categories."""
        wanted = set(categories)
        self.open("/.consent/preferences")
        for box in self.page.locator("input[type=checkbox][name=category]").all():
            box.set_checked((box.get_attribute("value") or "") in wanted)
        self._choose_with(self.page.get_by_role("button", name=re.compile("save", re.I)))

    def _choose_with(self, button: Locator) -> None:
        def is_choice(response: Response) -> bool:
            return urlsplit(response.url).path == "/.consent/choice"

        pages = self.pages_shown
        with self.page.expect_response(is_choice) as answer:
            button.click()
        if answer.value.status == 303:
            deadline = time.monotonic() + SETTLED_SECONDS
            while self.pages_shown == pages:
                assert time.monotonic() < deadline, "no page came after the choice"
                self.page.wait_for_timeout(10)
        else:
            # The banner's own script sent it: it reloads the page, or only goes away.
            assert answer.value.status == 204, answer.value.status
            self.page.locator(BANNER).wait_for(state="hidden")
        self.page.wait_for_load_state("load")
        self.settle()

    # --- What can be seen

    def cookies(self) -> dict[str, str]:
        """The site's cookies, name to value, HttpOnly ones too."""
        found = self.context.cookies(self.demo.url("/"))
        return {cookie["name"]: cookie["value"] for cookie in found if "name" in cookie}

    def hosts_asked(self) -> set[str]:
        """Hosts other than the site that the browser sent a request to, or tried to."""
        hosts = {urlsplit(request.url).hostname or "" for request in self.requests}
        return hosts - {"", "localhost", "127.0.0.1"}

    def fired(self) -> set[str]:
        """Vendors that a request reached since the last `forget`."""
        return set(self.demo.ledger.counts())

    def leave(self) -> None:
        """Close the page's book: nothing that still runs on it is counted with the next one."""
        self.settle()
        self.page.goto("about:blank")
        self.page.wait_for_timeout(50)
        self.forget()

    def forget(self) -> None:
        """Start counting anew."""
        self.demo.ledger.reset()
        self.requests.clear()
        self.console.clear()
        self.errors.clear()
