"""The fast path: finished responses for fresh hits, by class of visitor.

A fresh hit comes down to a few header fields of the request. Their values are the key; the reply is
bytes. It is sent from where the request was read, without a task, a request object or a decision,
for as long as all that it was made from holds: the configuration, the stored response, the day
(tags expire) and the visitor's choice. Everything out of the ordinary takes the full path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import NamedTuple

from aiohttp.http import HttpVersion11, RawRequestMessage

from consent_rules.categories import Audience
from proxy.cache.store import Entry, Store
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.enforcement.site import SiteEnforcement
from proxy.http.access_record import PageRecord
from proxy.http.adapters.writer import ProxyResponse, head_of
from proxy.http.addresses import Network, address_behind, address_is_trusted
from proxy.http.device_class import DeviceClass
from proxy.http.recent import Recent
from proxy.http.request_fields import NEUTRAL, REWRITING

_DAY = 86400
_BUDGET = 32 * 2**20
"""Bytes of replies that a worker keeps ready, about, beside the variants."""
_MAX_STATES = 20_000
_MAX_COOKIE_LENGTH = 4096
# What a response may be selected by (`Vary`): all of it is part of the key.
_SELECTING = frozenset(
    {"accept-encoding", "accept-language", "host", "sec-gpc", "sec-fetch-dest", "x-forwarded-host"}
)
_MAX_NAMES = 1000


class _Role(IntEnum):
    """What a request's header field means for a reply from memory."""

    IGNORED = 0
    SITE = 1  # says which site, and how it was reached
    SELECTS = 2  # among the replies for a URL
    COOKIE = 3
    AGENT = 4  # which class of device
    FULL_PATH = 5  # decided request by request


_SITE = ("host", "x-forwarded-host", "x-forwarded-proto")
_SELECTING_FIELDS = (
    "accept-encoding", "accept-language", "connection", "sec-fetch-dest", "sec-gpc",
    "if-none-match", "cdn-loop", "origin",
)  # fmt: skip
# A stored response depends on none of these. What is not named here takes the full path.
_IGNORED = NEUTRAL | REWRITING | {"te"}
_IGNORED_UNDER = ("sec-ch-",)

# The header fields that are the same for everyone whatever the decision; an asset that has only
# these is not asked whose it is.
_SAME_FOR_ALL = frozenset(
    {
        "accept-ranges", "access-control-allow-credentials", "access-control-allow-headers",
        "access-control-allow-methods", "access-control-allow-origin", "access-control-max-age",
        "access-control-expose-headers", "age", "alt-svc", "cache-control", "connection",
        "content-disposition", "content-encoding", "content-language", "content-length",
        "content-type", "cross-origin-resource-policy", "date", "etag", "expires", "keep-alive",
        "last-modified", "pragma", "server", "strict-transport-security", "timing-allow-origin",
        "vary", "via", "x-content-type-options", "x-frame-options", "x-powered-by",
        "x-xss-protection",
    }
)  # fmt: skip


def _is_same_for_all(name: str, value: str, closed_policy: str) -> bool:
    name = name.lower()
    return name in _SAME_FOR_ALL or (name == "content-security-policy" and value == closed_policy)


class FastPathKey(NamedTuple):
    """A request as far as a reply from memory depends on it. `cookie` and `device` are not part of
    `key`; the class of the device is None where its User-Agent is not known yet.
    """

    key: tuple[Hashable, ...]
    site: tuple[Hashable, ...]
    cookie: bytes
    device: DeviceClass | None


@dataclass(frozen=True, slots=True)
class _Visitor:
    """What a Cookie header comes down to. Equal keys, equal replies; `until` is when the choice in
    it ends (seconds since 1970).
    """

    key: Hashable
    until: float = inf


_NO_COOKIE = _Visitor("no cookie")
_ANYONE = _Visitor("anyone")


@dataclass(frozen=True, slots=True, eq=False)
class FastPathEntry:
    """A reply as bytes. With `rest`, `head` ends where the value of `Age` belongs (RFC 9111, 5.1).
    `until` is when what it was made from is no longer fresh. `site`, `page`, `logged_path` and
    `unreadable_choice` are for counters and logs.
    """

    status: int
    head: bytes
    rest: bytes
    body: bytes
    entry: Entry
    until: float
    site: str
    page: PageRecord | None
    unreadable_choice: str
    logged_path: str

    def head_at(self, now: float) -> bytes:
        if not self.rest:
            return self.head
        return b"%b%d%b" % (self.head, int(self.entry.age(now)), self.rest)


FastPathHit = tuple[FastPathEntry, str]
"""What is sent, and the class of the device that asked ("" where that is not known)."""


class FastPath:
    """The replies that are ready under one configuration. `region_headers` are those that tell a
    visitor's region, `trusted` the proxies whose word counts, `region_of_address` tells it where no
    header does. `device_of` gives the class of a User-Agent that was seen before.
    """

    def __init__(
        self,
        store: Store,
        region_headers: Iterable[str] = (),
        trusted: Sequence[Network] = (),
        region_of_address: Callable[[str], str] | None = None,
        device_of: Callable[[bytes], DeviceClass | None] = lambda _: None,
        budget: int = _BUDGET,
    ) -> None:
        self._store = store
        self._trusted = tuple(trusted)
        self._region_of_address = region_of_address
        self._device_of = device_of
        self._replies: Recent[FastPathEntry] = Recent(budget)
        self._visitors: Recent[_Visitor] = Recent(_MAX_STATES)
        self._by_name = dict.fromkeys(_IGNORED, _Role.IGNORED)
        self._by_name |= dict.fromkeys(_SITE, _Role.SITE)
        self._by_name |= dict.fromkeys(_SELECTING_FIELDS, _Role.SELECTS)
        self._by_name |= {name.lower(): _Role.SELECTS for name in region_headers}
        self._by_name["cookie"] = _Role.COOKIE
        self._by_name["user-agent"] = _Role.AGENT
        self._roles: dict[bytes, _Role] = {}

    def key_of(self, message: RawRequestMessage, peer: str, *, secure: bool) -> FastPathKey | None:
        """The key of a request; None when it has to take the full path."""
        if (
            message.method != "GET"
            or message.version != HttpVersion11
            or message.should_close
            or message.upgrade
            or message.chunked
        ):
            return None
        roles = self._roles
        site: list[Hashable] = [secure]
        if self._trusted:
            site.append(address_is_trusted(peer, self._trusted))
        selected: list[Hashable] = [message.path]
        if self._region_of_address is not None:
            address = address_behind(peer, message.headers, self._trusted)
            selected.append(self._region_of_address(address))
        cookie = b""
        agent: bytes | None = None
        for name, value in message.raw_headers:
            role = roles.get(name)
            if role is None:
                role = self._role_of(name)
            if not role:
                continue
            if role is _Role.SELECTS:
                selected += (name, value)
            elif role is _Role.SITE:
                site += (name, value)
            elif role is _Role.COOKIE and not cookie and len(value) <= _MAX_COOKIE_LENGTH:
                cookie = value
            elif role is _Role.AGENT and agent is None:
                agent = value
            else:
                return None
        of_site = tuple(site)
        device = self._device_of(agent) if agent else DeviceClass.OTHER
        return FastPathKey((of_site, *selected), of_site, cookie, device)

    def _role_of(self, name: bytes) -> _Role:
        text = name.decode("latin-1").lower()
        role = self._by_name.get(text)
        if role is None:
            role = _Role.IGNORED if text.startswith(_IGNORED_UNDER) else _Role.FULL_PATH
        if len(self._roles) < _MAX_NAMES:
            self._roles[name] = role
        return role

    def find(self, request: FastPathKey, now: float) -> FastPathEntry | None:
        """The reply that is ready, if all that it was made from holds."""
        reply = self._replies.get((_ANYONE.key, request.key))
        if reply is None:
            if request.device is None:
                return None
            who: _Visitor | None = _NO_COOKIE
            if request.cookie:
                who = self._visitors.get((request.site, request.cookie))
            if who is None or now >= who.until:
                return None
            bot = request.device is DeviceClass.BOT
            reply = self._replies.get((who.key, request.key, bot))
            if reply is None:
                return None
        if now >= reply.until or not self._store.still_has(reply.entry):
            return None
        return reply

    def add(
        self,
        request: FastPathKey,
        context: RequestContext,
        entry: Entry,
        response: ProxyResponse,
        *,
        site: SiteEnforcement,
        page: PageRecord | None,
        logged_path: str,
        may_share_pages: bool,
        asks_for_page: bool,
    ) -> None:
        """Add a reply that was made of a fresh stored response. `response` has been sent;
        `may_share_pages` is whether this visitor may be given stored pages.
        """
        if any(name not in _SELECTING for name, _ in entry.selecting):
            return
        asset = not entry.is_page and not asks_for_page and not context.site.patient_cookies
        # A guessed lifetime does not count for a visitor with credentials.
        asset = asset and entry.policy.explicit
        # The stored fields as well: one that was taken out for this visitor is another's.
        fields = (*entry.headers.items(), *response.headers.items())
        closed = site.policy(None)
        if asset and all(_is_same_for_all(name, value, closed) for name, value in fields):
            key: Hashable = (_ANYONE.key, request.key)
        else:
            who = self._visitor(request, context, site, may_share_pages=may_share_pages)
            if who is None:
                return
            key = (who.key, request.key, context.visitor.bot)
        now = context.received_at
        until = min(entry.born + entry.policy.lifetime, (now // _DAY + 1) * _DAY)
        headers = response.headers.copy()
        rest = b""
        if "Age" in headers:
            del headers["Age"]
            rest = b"\r\n\r\n"
        head = head_of(f"HTTP/1.1 {response.status} {response.reason}", headers)
        if rest:
            head = head[:-2] + b"Age: "
        reply = FastPathEntry(
            response.status, head, rest, response.sent, entry, until, context.site.name, page,
            context.unreadable_cause, logged_path,
        )  # fmt: skip
        # The body is a variant's, or the store's, as long as that lives: counted all the same.
        self._replies.put(key, reply, len(head) + len(response.sent) + 1000)

    def _visitor(
        self,
        request: FastPathKey,
        context: RequestContext,
        site: SiteEnforcement,
        *,
        may_share_pages: bool,
    ) -> _Visitor | None:
        if (
            context.load_once
            or context.has_saved_form
            or context.page_context.audience is Audience.PATIENT
        ):
            return None
        if not request.cookie:
            return _NO_COOKIE
        if site.wp_consent_cookies:
            return None  # what is to be put right, and for how long, is each visitor's own
        visitor, chosen = context.visitor, context.visitor.preferences
        names = names_in(context.cookie_header)
        vendors = tuple(sorted(n for n in names if site.cookies.vendors_of(n)))
        key = (
            None if chosen is None else chosen.key,
            context.unreadable_cause,
            visitor.ask_later,
            vendors,
            may_share_pages,
            tuple(sorted(names)) if context.site.patient_cookies else (),
        )
        found = _Visitor(key, context.choice_until)
        self._visitors.put((request.site, request.cookie), found)
        return found
