"""The fast path: finished responses for fresh hits, by class of visitor.

A fresh hit depends on a few header fields of the request. Their values are the key; the entry is
the response's bytes. It is sent from where the request was read, without a task, a request object
or a decision, while everything that it was made from is unchanged: the configuration, the stored
response, the day (tags expire) and the visitor's choice. All other requests take the full path.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import inf
from typing import NamedTuple

from aiohttp.http import HttpVersion11, RawRequestMessage
from multidict import CIMultiDictProxy

from consent_rules.categories import Audience
from proxy.cache.known_files import FILES_BUDGET, KnownFile, KnownFiles, KnownHead
from proxy.cache.known_heads import HEADS_BUDGET, KnownFields, KnownHeads
from proxy.cache.origin_response import Group
from proxy.cache.passing import PASSING_BUDGET, PassingRequest, PassingRequests
from proxy.cache.repeated import REPEATED_BUDGET, RepeatedReplies, RepeatedReply
from proxy.cache.store import Confirmation, Entry, Store
from proxy.context import RequestContext
from proxy.cookies.cookie_header import names_in
from proxy.enforcement.site import SiteEnforcement
from proxy.http.access_record import PageRecord
from proxy.http.adapters.writer import ProxyResponse, head_of
from proxy.http.addresses import Network, address_behind, address_is_trusted
from proxy.http.device_class import DeviceClass
from proxy.http.recent import Recent, size_of_texts
from proxy.http.request_fields import NEUTRAL, OWN, REWRITING
from proxy.http.request_id import X_REQUEST_ID
from proxy.upstream.server import Server

_DAY = 86400
_BUDGET = 32 * 2**20
"""Approximate bytes of a worker's entries, in addition to the variants."""
_STATES_BUDGET = 16 * 2**20
"""Approximate bytes of visitors' cookies, with what they stand for."""
_STATE_OVERHEAD = 400
_MAX_COOKIE_LENGTH = 4096
# Fields that `Vary` may name: all of them are part of the key.
_SELECTING = frozenset(
    {
        "accept-encoding", "accept-language", "dnt", "host", "sec-gpc", "sec-fetch-dest",
        "x-forwarded-host",
    }
)  # fmt: skip
_MAX_NAMES = 1000


class _Role(IntEnum):
    """How a request's header field affects the fast path."""

    IGNORED = 0
    SITE = 1  # says which site, and how it was reached
    SELECTS = 2  # among the replies for a URL
    COOKIE = 3
    AGENT = 4  # which class of device
    FULL_PATH = 5  # decided request by request


_SITE = ("host", "x-forwarded-host", "x-forwarded-proto")
_SELECTING_FIELDS = (
    "accept-encoding", "accept-language", "connection", "sec-fetch-dest", "sec-gpc",
    "dnt", "if-none-match", "cdn-loop", "origin",
)  # fmt: skip
# A stored response depends on none of these. What is not named here takes the full path.
_IGNORED = NEUTRAL | REWRITING | OWN | {"te"}
_IGNORED_UNDER = ("sec-ch-",)

# Response fields that do not depend on the decision; an asset that has only these is the same for
# all.
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


_Key = tuple[tuple[Hashable, ...], str, tuple[Hashable, ...]]


class FastPathKey(NamedTuple):
    """The parts of a request that select an entry.

    `key` is the site, the path, and the fields that select among the entries of a path.
    `site` is what a cookie's meaning depends on: host, scheme and region. `cookie` and `device` are
    not part of `key`; the class of the device is None where its
    User-Agent is not cached yet.
    """

    key: _Key
    site: tuple[Hashable, ...]
    cookie: bytes
    device: DeviceClass | None


@dataclass(frozen=True, slots=True)
class _Visitor:
    """The class of a Cookie header. Equal keys, equal responses; `until` is when its choice expires
    (seconds since 1970).
    """

    key: Hashable
    until: float = inf


_TO_CONFIRM = "to confirm"
_NO_COOKIE = _Visitor("no cookie")
_ANYONE = "anyone"
_BOT = DeviceClass.BOT


@dataclass(frozen=True, slots=True, eq=False)
class FastPathEntry:
    """A response as bytes. With `rest`, `head` ends where the value of `Age` belongs (RFC 9111,
    5.1).

    `until` is when the stored response is no longer fresh. `site`, `page`, `logged_path` and
    `unreadable_choice` are for metrics and logs.
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

    def head_at(self, now: float, request_id: str = "") -> bytes:
        """The head at a moment (seconds since 1970), with the identifier of a request, if given."""
        if not request_id:
            if not self.rest:
                return self.head
            return b"%b%d%b" % (self.head, int(self.entry.age(now)), self.rest)
        if not self.rest:
            return self.head[:-2] + f"X-Request-Id: {request_id}\r\n\r\n".encode("ascii")
        age = int(self.entry.age(now))
        return self.head + f"{age}\r\nX-Request-Id: {request_id}\r\n\r\n".encode("ascii")


@dataclass(frozen=True, slots=True, eq=False)
class ConfirmedReply(FastPathEntry):
    """A response to be sent once the origin confirms what it was made of: `Date` belongs behind its
    `head`, and `Age` where it `shows_age`. `context` is that of a visitor of the same class.
    """

    context: RequestContext
    shows_age: bool

    def confirmed_head(self, now: float, request_id: str) -> bytes:
        """The head of the response to one request."""
        entry = self.entry
        age = b"Age: %d\r\n" % int(entry.age(now)) if self.shows_age else b""
        date, name = entry.headers["Date"].encode("ascii"), request_id.encode("ascii")
        return b"%bDate: %b\r\n%bX-Request-Id: %b\r\n\r\n" % (self.head, date, age, name)


FastPathHit = tuple[FastPathEntry, FastPathKey]
KnownHit = tuple[FastPathEntry, str, CIMultiDictProxy[str], str]
"""A finished response to a request that was not parsed; the path, the header fields and the class
of the device of that request.
"""


class FastPath:
    """The finished responses of one configuration.

    `region_headers` are those that name a visitor's region, `trusted` the trusted proxies,
    `region_of_address` gives the region where no header does. `device_of` gives the class of a
    User-Agent that was seen before.
    """

    def __init__(
        self,
        store: Store,
        region_headers: Iterable[str] = (),
        trusted: Sequence[Network] = (),
        region_of_address: Callable[[str], str] | None = None,
        device_of: Callable[[bytes], DeviceClass | None] = lambda _: None,
        budget: int = _BUDGET,
        states_budget: int = _STATES_BUDGET,
        repeated_budget: int = REPEATED_BUDGET,
        files_budget: int = FILES_BUDGET,
        passing_budget: int = PASSING_BUDGET,
        heads_budget: int = HEADS_BUDGET,
    ) -> None:
        self._store = store
        self._trusted = tuple(trusted)
        self._region_of_address = region_of_address
        self._device_of = device_of
        self._replies: Recent[FastPathEntry] = Recent(budget)
        self._repeated = RepeatedReplies(repeated_budget)
        self.files = KnownFiles(files_budget)
        self._heads = KnownHeads(heads_budget)
        self._passing = PassingRequests(passing_budget)
        self._visitors: Recent[_Visitor] = Recent(states_budget)
        self._by_name = dict.fromkeys(_IGNORED, _Role.IGNORED)
        self._by_name |= dict.fromkeys(_SITE, _Role.SITE)
        self._by_name |= dict.fromkeys(_SELECTING_FIELDS, _Role.SELECTS)
        # What a cookie stands for depends on the region: when its visitor may be asked again.
        self._by_name |= {name.lower(): _Role.SITE for name in region_headers}
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
        selected: list[Hashable] = []
        if self._region_of_address is not None:
            address = address_behind(peer, message.headers, self._trusted)
            site.append(self._region_of_address(address))
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
        return FastPathKey((of_site, message.path, tuple(selected)), of_site, cookie, device)

    def _role_of(self, name: bytes) -> _Role:
        text = name.decode("latin-1").lower()
        role = self._by_name.get(text)
        if role is None:
            role = _Role.IGNORED if text.startswith(_IGNORED_UNDER) else _Role.FULL_PATH
        if len(self._roles) < _MAX_NAMES:
            self._roles[name] = role
        return role

    def add_known(
        self, data: bytes, message: RawRequestMessage, key: FastPathKey, peer: str, secure: bool
    ) -> None:
        """Remember a request for `find_known`. `data` is what it was parsed from, and no more."""
        if key.device is not None:
            _, _, selecting = key.key
            fields = KnownFields(key.site, selecting, key.cookie, key.device, message.headers)
            self._heads.add(data, message, fields, peer, secure)

    def find_known(self, data: bytes, peer: str, secure: bool, now: float) -> KnownHit | None:
        """What `find` gives for the key of a request with fields that were remembered."""
        known = self._heads.find(data, peer, secure)
        if known is None:
            return None
        path, (site, selecting, cookie, device, headers) = known
        reply = self.find((site, path, selecting), site, cookie, device, now)
        return None if reply is None else (reply, path, headers, device)

    def find(
        self,
        key: _Key,
        site: tuple[Hashable, ...],
        cookie: bytes,
        device: DeviceClass | None,
        now: float,
    ) -> FastPathEntry | None:
        """The reply to a request with these parts of its `FastPathKey` that is ready, if all that
        it was made from holds.
        """
        reply = self._replies.get((_ANYONE, key))
        if reply is None:
            of_class = self._key_of_class(key, site, cookie, device, now)
            reply = None if of_class is None else self._replies.get(of_class)
            if reply is None:
                return None
        if now >= reply.until or not self._store.still_has(reply.entry):
            return None
        return reply

    def find_to_confirm(self, request: FastPathKey, now: float) -> ConfirmedReply | None:
        """The reply that is ready once the origin confirms it, if all else holds."""
        key = self._key_of_class(*request, now)
        reply = None if key is None else self._replies.get((_TO_CONFIRM, key))
        if not isinstance(reply, ConfirmedReply) or now >= reply.until:
            return None
        return reply if self._store.still_has(reply.entry) else None

    def find_repeated(self, request: FastPathKey, now: float) -> RepeatedReply | None:
        """The reply that is ready if the origin sends the same again."""
        key = self._key_of_class(*request, now)
        return None if key is None else self._repeated.get(key, now)

    def find_passing(self, request: FastPathKey, now: float) -> PassingRequest | None:
        """What an equal request was resolved to that passes by the cache."""
        key = self._key_of_class(*request, now)
        return None if key is None else self._passing.find(key, now)

    def choice_until(self, request: FastPathKey) -> float:
        """When the choice of the visitor of a request that was found expires (seconds since
        1970). Equal choices need not expire together.
        """
        if not request.cookie:
            return inf
        who = self._visitors.get((request.site, request.cookie))
        return 0.0 if who is None else who.until

    def find_file(self, request: FastPathKey, now: float) -> KnownFile | None:
        """What is known of a file that the origin sends each time."""
        key = self._key_of_class(*request, now)
        return None if key is None else self.files.find(key, now)

    def _key_of_class(
        self,
        key: _Key,
        site: tuple[Hashable, ...],
        cookie: bytes,
        device: DeviceClass | None,
        now: float,
    ) -> Hashable | None:
        """The request with the class of its visitor. None where that is not known."""
        if device is None:
            return None
        who: _Visitor | None = _NO_COOKIE
        if cookie:
            who = self._visitors.get((site, cookie))
        if who is None or now >= who.until:
            return None
        return who.key, key, device is _BOT

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
        expects_page: bool,
        to_confirm: bool = False,
    ) -> None:
        """Add an entry made of a stored response that is fresh, or `to_confirm`: used after each
        time that the origin says so.

        `response` has been sent; `may_share_pages` is whether this visitor may get stored pages.
        """
        if any(name not in _SELECTING for name, _ in entry.selecting):
            return
        if context.consent_header and context.site.has_patient_pages:
            return  # which response it is depends on the referrer, too
        asset = not entry.is_page and not expects_page and not context.site.patient_cookies
        # A heuristic lifetime does not count for a visitor with credentials.
        # Nor one that was made for those with a decision.
        asset = asset and entry.policy.explicit and not context.consent_header and not to_confirm
        # The stored fields as well: one that was removed for this visitor may be sent to another.
        fields = (*entry.headers.items(), *response.headers.items())
        fields = tuple(field for field in fields if field[0].lower() != "x-request-id")
        closed = site.policy(None)
        if asset and all(_is_same_for_all(name, value, closed) for name, value in fields):
            key: Hashable = (_ANYONE, request.key)
        else:
            who = self._visitor(request, context, site, may_share_pages=may_share_pages)
            if who is None:
                return
            key = (who.key, request.key, context.visitor.bot)
        now = context.received_at
        if to_confirm:
            self._add_to_confirm(
                key, request, context, entry, response, page=page, logged_path=logged_path, now=now
            )
            return
        until = min(entry.born + entry.policy.lifetime, (now // _DAY + 1) * _DAY)
        headers = response.headers.copy()
        headers.popall(X_REQUEST_ID, None)
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
        self._add(key, request, reply)

    def _add(
        self, key: Hashable, request: FastPathKey, reply: FastPathEntry, more: int = 0
    ) -> None:
        # The body is shared with a variant or the store while those hold it, but counted here too;
        # so is what the visitor chose of the key, each time anew.
        size = len(reply.head) + len(reply.body) + size_of_texts(request.key) + 1000 + more
        self._replies.put(key, reply, size)

    def _add_visitor(self, request: FastPathKey, visitor: _Visitor) -> None:
        size = len(request.cookie) + size_of_texts(request.site) + _STATE_OVERHEAD
        self._visitors.put((request.site, request.cookie), visitor, size)

    def add_repeated(
        self,
        request: FastPathKey,
        context: RequestContext,
        response: ProxyResponse,
        confirmation: Confirmation,
        origin_body: bytes,
        *,
        site: SiteEnforcement,
        cache: str,
        page: PageRecord | None,
    ) -> None:
        """Add a reply that was made of a page for a visitor whom nothing identifies."""
        if context.consent_header and context.site.has_patient_pages:
            return  # which response it is depends on the referrer, too
        who = self._visitor(request, context, site, may_share_pages=True)
        if who is None:
            return
        head = _undated_head(response)
        until = (context.received_at // _DAY + 1) * _DAY
        reply = RepeatedReply(
            response.status, confirmation, origin_body, head, response.sent, until,
            context.site.name, cache, page, context.unreadable_cause, "", context,
        )  # fmt: skip
        key = who.key, request.key, context.visitor.bot
        self._repeated.put(key, reply, size_of_texts(request.key) + _context_size(context))

    def add_passing(
        self, request: FastPathKey, context: RequestContext, group: Group, *, site: SiteEnforcement
    ) -> None:
        """Add what a request was resolved to, of a visitor whom nothing identifies, whose response
        may not be stored.
        """
        if context.consent_header and context.site.has_patient_pages:
            return  # which response it is depends on the referrer, too
        who = self._visitor(request, context, site, may_share_pages=True)
        if who is None:
            return
        until = (context.received_at // _DAY + 1) * _DAY
        self._passing.put(
            (who.key, request.key, context.visitor.bot),
            PassingRequest(context, group, until),
            size_of_texts(request.key) + _context_size(context) + size_of_texts(group),
        )

    def add_file(
        self,
        request: FastPathKey,
        context: RequestContext,
        response: ProxyResponse,
        origin: KnownHead,
        *,
        line: bytes,
        request_class: Hashable,
        server: Server,
        group: Group,
        site: SiteEnforcement,
        may_share_pages: bool,
    ) -> None:
        """Add what a response that was passed on says of the next one to such a request."""
        if context.consent_header and context.site.has_patient_pages:
            return  # which response it is depends on the referrer, too
        who = self._visitor(request, context, site, may_share_pages=may_share_pages)
        if who is None:
            return
        until = (context.received_at // _DAY + 1) * _DAY
        file = KnownFile(
            line, request_class, server, origin, _undated_head(response), until, group,
            context.site.name, context.unreadable_cause,
        )  # fmt: skip
        self.files.put(
            (who.key, request.key, context.visitor.bot), file, size_of_texts(request.key)
        )

    def _add_to_confirm(
        self,
        key: Hashable,
        request: FastPathKey,
        context: RequestContext,
        entry: Entry,
        response: ProxyResponse,
        *,
        page: PageRecord | None,
        logged_path: str,
        now: float,
    ) -> None:
        head = _undated_head(response)
        reply = ConfirmedReply(
            response.status, head, b"", response.sent, entry, (now // _DAY + 1) * _DAY,
            context.site.name, page, context.unreadable_cause, logged_path, context,
            "Age" in response.headers,
        )  # fmt: skip
        self._add((_TO_CONFIRM, key), request, reply, _context_size(context))

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
            return None  # which cookies are corrected, and for how long, differs by visitor
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
        self._add_visitor(request, found)
        return found


def _context_size(context: RequestContext) -> int:
    """Approximate bytes of a context that a reply keeps."""
    return len(context.cookie_header) + 2 * len(context.target) + 2000


def _undated_head(response: ProxyResponse) -> bytes:
    """A response's head without its end, and without what belongs to one request."""
    headers = response.headers.copy()
    for name in (X_REQUEST_ID, "Date", "Age"):
        headers.popall(name, None)
    return head_of(f"HTTP/1.1 {response.status} {response.reason}", headers)[:-2]
