"""Recorder: every request of one page, with its initiator, from the DevTools protocol.

The page's own session tells initiators, redirects, Set-Cookie of all hosts, and why a request was
not sent. What another session sees (workers, service workers) comes from Playwright's events, what
shared workers send from `shared_workers`.
"""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consent_rules.audit.observations import Channel, ObservedRequest
from consent_rules.audit.states import AuditState

if TYPE_CHECKING:
    from playwright.async_api import CDPSession, Page, Request, WebSocket, Worker

MAX_BODY = 65_536
"""Bytes of a request's body that are kept."""
_MAX_REQUESTS = 5_000
"""Of one page: a page that asks without end must not fill the memory."""

_CHANNELS = {
    "document": Channel.FRAME,
    "stylesheet": Channel.STYLE,
    "image": Channel.IMAGE,
    "media": Channel.MEDIA,
    "texttrack": Channel.MEDIA,
    "font": Channel.FONT,
    "script": Channel.SCRIPT,
    "xhr": Channel.FETCH,
    "fetch": Channel.FETCH,
    "eventsource": Channel.EVENT_SOURCE,
    "ping": Channel.BEACON,
    "beacon": Channel.BEACON,
    "websocket": Channel.SOCKET,
}
_ANSWERED = frozenset(
    {Channel.PAGE, Channel.FRAME, Channel.SCRIPT, Channel.STYLE, Channel.IMAGE, Channel.FETCH}
)
"""What the page may go on to act upon. Of others the end is not told, or they have none."""
_SLOW = 8.0
"""Seconds after which a page is not waited for because of one answer."""
_NOT_SENT = frozenset({"csp", "mixed-content", "inspector", "subresource-filter"})
"""Why Chromium does not send a request at all (`Network.BlockedReason`). The other reasons, such as
`corp-not-same-origin`, are found in the response.
"""


@dataclass(slots=True)
class _Seen:
    """A request that is under way. The fields are those of ObservedRequest."""

    url: str
    method: str
    channel: Channel
    state: AuditState | None
    at: float
    initiator: str = ""
    document: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    redirected_from: str = ""
    status: int = 0
    set_cookies: list[str] = field(default_factory=list)
    blocked: str = ""
    id: str = ""

    def observed(self) -> ObservedRequest:
        return ObservedRequest(
            url=self.url,
            method=self.method,
            channel=self.channel,
            state=self.state,
            at=round(self.at, 3),
            initiator=self.initiator,
            document=self.document,
            headers=tuple(self.headers.items()),
            body=self.body[:MAX_BODY],
            redirected_from=self.redirected_from,
            status=self.status,
            set_cookies=tuple(self.set_cookies),
            blocked=self.blocked,
        )


class Recorder:
    """The requests of one page. `state` is the visitor's now, None while it is being changed."""

    def __init__(self, page: Page, session: CDPSession, state: AuditState | None) -> None:
        self.state = state
        self.console_errors: list[str] = []
        self._page = page
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._begin = self._loop.time()
        self._last = self._begin
        self._seen: list[_Seen] = []
        self._by_id: dict[str, list[_Seen]] = {}
        self._elsewhere: list[_Seen] = []
        self._waiting: dict[str, float] = {}
        self._workers: set[str] = set()
        self._main_frame = ""
        self._handlers: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "Network.requestWillBeSent": self._will_be_sent,
            "Network.requestWillBeSentExtraInfo": self._fields_sent,
            "Network.responseReceivedExtraInfo": self._fields_received,
            "Network.responseReceived": self._received,
            "Network.loadingFinished": self._finished,
            "Network.loadingFailed": self._failed,
        }
        self._of_sockets: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
            "Network.webSocketCreated": self._socket_created,
            "Network.webSocketFrameSent": self._frame_sent,
        }

    async def start(self) -> None:
        """Listen. To be called before the page is asked for."""
        for event, handler in self._handlers.items():
            self._session.on(event, handler)
        tree = await self._session.send("Page.getFrameTree")
        self._main_frame = tree["frameTree"]["frame"]["id"]
        await self._session.send("Network.enable", {"maxPostDataSize": MAX_BODY})
        self._page.on("websocket", self._socket)
        self._page.on("worker", self._worker)
        self._page.on("console", self._console)

    # --- What the crawler asks

    @property
    def now(self) -> float:
        """Seconds since the page was asked for."""
        return self._loop.time() - self._begin

    @property
    def quiet_for(self) -> float:
        """Seconds since a request was sent or answered; 0 while one waits for its answer, unless it
        has waited for long.
        """
        now = self._loop.time()
        if any(now - since < _SLOW for since in self._waiting.values()):
            return 0.0
        return now - self._last

    def forget_waiting(self) -> None:
        """The page is about to be left: what it still waits for does not matter."""
        self._waiting.clear()

    def add_hint(self, url: str) -> None:
        """A connection that the page's markup asks for ahead of any request."""
        self._elsewhere.append(_Seen(url, "CONNECT", Channel.HINT, self.state, self.now))

    def elsewhere(self, request: Request) -> None:
        """A request as Playwright tells it, of this page or of a worker of it."""
        self._last = self._loop.time()
        channel = self._channel(request.resource_type, request.url)
        seen = _Seen(request.url, request.method, channel, self.state, self.now)
        seen.headers = dict(request.headers)
        body = request.post_data_buffer
        seen.body = _text_of(body) if body else ""
        if request.redirected_from is not None:
            seen.redirected_from = request.redirected_from.url
        self._elsewhere.append(seen)

    def has_asked_for(self, url: str) -> bool:
        return any(seen.url == url for seen in (*self._seen, *self._elsewhere))

    def of_shared_worker(self, worker: str, event: str, parameters: Mapping[str, Any]) -> None:
        """An event of the Network domain, from the worker whose script has this address."""
        handler = self._handlers.get(event) or self._of_sockets.get(event)
        if handler is not None:
            # Each session numbers its requests by itself; the script's is the page's.
            request = parameters["requestId"]
            known = request if request in self._by_id else f"{worker} {request}"
            handler({**parameters, "requestId": known})

    def observed(self) -> tuple[ObservedRequest, ...]:
        """All requests, in the order in which they were sent. What both sources saw is one."""
        for seen in self._seen:
            if seen.url in self._workers:
                seen.channel = Channel.WORKER
        known = Counter((seen.method, seen.url) for seen in self._seen)
        every = list(self._seen)
        for seen in self._elsewhere:
            key = (seen.method, seen.url)
            if known[key]:
                known[key] -= 1
            else:
                every.append(seen)
        every.sort(key=lambda seen: seen.at)
        return tuple(seen.observed() for seen in every[:_MAX_REQUESTS])

    async def fill_bodies(self) -> None:
        """Ask for the bodies that the events left out (blobs, long ones)."""
        from playwright.async_api import Error

        for seen in self._seen:
            if seen.method == "POST" and not seen.body and seen.id:
                try:
                    found = await self._session.send(
                        "Network.getRequestPostData", {"requestId": seen.id}
                    )
                except Error:  # it has none, or is gone
                    continue
                seen.body = str(found.get("postData", ""))

    # --- Events

    def _channel(self, kind: str, url: str) -> Channel:
        if url in self._workers:
            return Channel.WORKER
        return _CHANNELS.get(kind.lower(), Channel.OTHER)

    def _will_be_sent(self, event: Mapping[str, Any]) -> None:
        self._last = self._loop.time()
        if len(self._seen) >= _MAX_REQUESTS:
            return
        request, request_id = event["request"], event["requestId"]
        earlier = self._by_id.setdefault(request_id, [])
        redirect = event.get("redirectResponse")
        if redirect is not None and earlier:
            earlier[-1].status = int(redirect["status"])
        channel = self._channel(event.get("type", ""), request["url"])
        if channel is Channel.FRAME and event.get("frameId") == self._main_frame:
            channel = Channel.PAGE
        seen = _Seen(request["url"], request["method"], channel, self.state, self.now)
        seen.id = request_id
        seen.document = event.get("documentURL", "")
        seen.initiator = _initiator(event.get("initiator", {}))
        seen.headers = {name.lower(): value for name, value in request["headers"].items()}
        seen.body = _body_of(request)
        if redirect is not None and earlier:
            seen.redirected_from = earlier[-1].url
            seen.initiator = earlier[-1].initiator
        earlier.append(seen)
        self._seen.append(seen)
        if channel in _ANSWERED:
            self._waiting[request_id] = self._last

    def _fields_sent(self, event: Mapping[str, Any]) -> None:
        if seen := self._by_id.get(event["requestId"]):
            seen[-1].headers |= {n.lower(): v for n, v in event["headers"].items()}

    def _fields_received(self, event: Mapping[str, Any]) -> None:
        seen = self._by_id.get(event["requestId"])
        if not seen:
            return
        status = int(event.get("statusCode", 0))
        # Of a redirect it may arrive when the next request is known already.
        one = next((s for s in seen if not s.status or s.status == status), seen[-1])
        for name, value in event["headers"].items():
            if name.lower() == "set-cookie":
                one.set_cookies += [v for v in value.split("\n") if v not in one.set_cookies]

    def _received(self, event: Mapping[str, Any]) -> None:
        if seen := self._by_id.get(event["requestId"]):
            seen[-1].status = int(event["response"]["status"])

    def _finished(self, event: Mapping[str, Any]) -> None:
        if self._waiting.pop(event["requestId"], None) is not None:
            self._last = self._loop.time()

    def _failed(self, event: Mapping[str, Any]) -> None:
        self._finished(event)
        seen = self._by_id.get(event["requestId"])
        reason = event.get("blockedReason", "")
        if seen and reason in _NOT_SENT:
            seen[-1].blocked = reason

    def _socket(self, socket: WebSocket) -> None:
        self._last = self._loop.time()
        seen = _Seen(socket.url, "GET", Channel.SOCKET, self.state, self.now)
        self._seen.append(seen)

        def sent(message: str | bytes) -> None:
            text = _text_of(message) if isinstance(message, bytes) else message
            seen.body = f"{seen.body}{text}\n"[:MAX_BODY]

        socket.on("framesent", sent)

    def _socket_created(self, event: Mapping[str, Any]) -> None:
        self._last = self._loop.time()
        seen = _Seen(event["url"], "GET", Channel.SOCKET, self.state, self.now)
        seen.initiator = _initiator(event.get("initiator", {}))
        self._by_id[event["requestId"]] = [seen]
        self._seen.append(seen)

    def _frame_sent(self, event: Mapping[str, Any]) -> None:
        if seen := self._by_id.get(event["requestId"]):
            message = event["response"]["payloadData"]
            seen[-1].body = f"{seen[-1].body}{message}\n"[:MAX_BODY]

    def _worker(self, worker: Worker) -> None:
        self._workers.add(worker.url)

    def _console(self, message: Any) -> None:
        if message.type == "error" and len(self.console_errors) < 50:
            self.console_errors.append(message.text[:500])


def _initiator(found: Mapping[str, Any]) -> str:
    """The script or document that caused a request."""
    stack: Mapping[str, Any] | None = found.get("stack")
    while stack is not None:
        for frame in stack.get("callFrames", ()):
            if frame.get("url"):
                return str(frame["url"])
        stack = stack.get("parent")
    return str(found.get("url", ""))


def _body_of(request: Mapping[str, Any]) -> str:
    import base64

    entries = request.get("postDataEntries") or ()
    data = b"".join(base64.b64decode(one["bytes"]) for one in entries if "bytes" in one)
    return _text_of(data) if data else str(request.get("postData", ""))


def _text_of(body: bytes) -> str:
    """A request's body as text, decompressed where the page compressed it."""
    try:
        if body[:2] == b"\x1f\x8b":
            body = zlib.decompressobj(31).decompress(body, MAX_BODY)
        elif body[:1] == b"\x78":
            body = zlib.decompressobj().decompress(body, MAX_BODY)
    except (zlib.error, gzip.BadGzipFile):
        pass
    return body[:MAX_BODY].decode("utf-8", "replace")
