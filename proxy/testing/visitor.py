"""SiteVisitor: a browser profile that makes choices on a site, and what its page sent."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit
from weakref import WeakKeyDictionary

from consent_rules.audit.receivers import Receiver
from consent_rules.audit.scope import AuditScope
from consent_rules.categories import CHOOSABLE, Category
from proxy.audit.receivers import line_of, receivers, site_scope
from proxy.audit.scopes import start_url

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request, WebSocket

_QUIET = 0.5
_PATIENCE = 20.0

_NOT_SENT = "csp"
"""The failure of a request that a policy of the page stopped before it was sent."""


class TrackerError(AssertionError):
    """A page sent data to a third party that it should not have; the message names each."""


class _Log:
    """What a page sent since it was opened or last asked for."""

    def __init__(self, page: Page, scope: AuditScope) -> None:
        self.scope = scope
        self.requests: list[Request] = []
        self.sockets: list[str] = []
        self.last = time.monotonic()
        page.context.on("request", self._request)
        page.on("websocket", self._socket)

    def _request(self, request: Request) -> None:
        self.last = time.monotonic()
        self.requests.append(request)

    def _socket(self, socket: WebSocket) -> None:
        self.last = time.monotonic()
        self.sockets.append(socket.url)

    def forget(self) -> None:
        self.requests.clear()
        self.sockets.clear()

    def receivers(self) -> dict[str, tuple[Receiver, str]]:
        """Vendor id, or host -> the receiver and the first address."""
        sent = [(r.url, r.post_data_buffer) for r in self.requests if r.failure != _NOT_SENT]
        texts = [(url, body.decode("utf-8", "replace") if body else "") for url, body in sent]
        return receivers(self.scope, [*texts, *((url, "") for url in self.sockets)])


_logs: WeakKeyDictionary[object, _Log] = WeakKeyDictionary()


class SiteVisitor:
    """A visitor of one site, with one page. `base_url` is the site's address; `own` are more host
    patterns of the site's own, besides those of its domain; `prefix` that of consent-proxy's
    endpoints.
    """

    def __init__(
        self,
        context: BrowserContext,
        base_url: str,
        *,
        own: Iterable[str] = (),
        prefix: str = "/.consent",
    ) -> None:
        self.context = context
        self.base_url = start_url(base_url)
        self._prefix = prefix
        host = urlsplit(self.base_url).hostname or ""
        self._scope = site_scope(host, tuple(own))
        self.page = context.new_page()
        _logs[self.page] = _Log(self.page, self._scope)

    def open(self, path: str = "/") -> Page:
        """Open a page of the site and wait until it is quiet. What was sent before is forgotten."""
        self._leave()
        self.page.goto(urljoin(self.base_url, path))
        settle(self.page)
        return self.page

    def rejects(self) -> Page:
        """Reject everything, on the preferences page, and go back to the page that was open."""
        return self._choose(frozenset())

    def accepts(self, *categories: str) -> Page:
        """Accept these categories and no others; without any, everything. Raises ValueError for a
        word that is no category.
        """
        return self._choose(frozenset(map(_choosable, categories)) or frozenset(CHOOSABLE))

    withdraws = rejects
    """The same buttons: a choice is taken back as it is given."""

    def with_gpc(self) -> SiteVisitor:
        """From here on the browser sends the opt-out preference signal (Sec-GPC: 1)."""
        self.context.set_extra_http_headers({"Sec-GPC": "1"})
        self.context.add_init_script(
            "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})"
        )
        return self

    def _choose(self, allowed: frozenset[Category]) -> Page:
        here = self.page.url
        self.page.goto(urljoin(self.base_url, f"{self._prefix}/preferences"))
        action = "save"
        if not allowed:
            action = "reject_all"
        elif len(allowed) == len(CHOOSABLE):
            action = "accept_all"
        else:
            for box in self.page.locator("input[type=checkbox][name=category]").all():
                box.set_checked((box.get_attribute("value") or "") in allowed)
        with self.page.expect_navigation():
            self.page.locator(f"button[name=action][value={action}]").first.click()
        settle(self.page)
        self._leave()
        if here.startswith(("http:", "https:")):
            self.page.goto(here)
            settle(self.page)
        return self.page

    def _leave(self) -> None:
        """Nothing that the last page still sends is counted with the next."""
        if self.page.url != "about:blank":
            self.page.goto("about:blank")
            self.page.wait_for_timeout(50)
        _logs[self.page].forget()


def _choosable(word: str) -> Category:
    try:
        category = Category(word)
    except ValueError:
        category = Category.NECESSARY
    if category not in CHOOSABLE:
        raise ValueError(f"no category {word!r}; choose from {', '.join(CHOOSABLE)}")
    return category


def settle(page: Page, *, quiet: float = _QUIET) -> None:
    """Wait until the page is loaded and has sent nothing for `quiet` seconds."""
    page.wait_for_load_state("load")
    log = _log_of(page)
    deadline = time.monotonic() + _PATIENCE
    since = time.monotonic()
    while time.monotonic() - max(log.last, since) < quiet and time.monotonic() < deadline:
        page.wait_for_timeout(25)


def assert_no_trackers(page: Page) -> None:
    """No third party was sent anything since the page was opened. Raises TrackerError."""
    assert_only_vendors(page)


def assert_only_vendors(page: Page, *allowed: str, present: Collection[str] = ()) -> None:
    """Only these were sent something since the page was opened: ids of the catalogue
    ("google-analytics"), or hosts that it does not know. `present` must have been. Raises
    TrackerError.
    """
    settle(page)
    found = _log_of(page).receivers()
    extra = [one for one in found if one not in {*allowed, *present}]
    missing = [one for one in present if one not in found]
    lines = [line_of(*found[one]) for one in extra]
    lines += [f"{one}: was sent nothing, and should have been" for one in missing]
    if lines:
        raise TrackerError(f"{page.url}\n  " + "\n  ".join(lines))


def _log_of(page: Page) -> _Log:
    log = _logs.get(page)
    if log is None:
        raise ValueError(
            "this page was not watched from its beginning: use visitor.page, of the fixture "
            "`visitor` or of SiteVisitor(context, base_url)"
        )
    return log
