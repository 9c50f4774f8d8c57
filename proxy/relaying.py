"""Files that the origin sends each time, relayed without a task: from one connection to the other.

A file that may not be stored is known after it came twice (`cache/known_files.py`): which request
goes to the origin, which head comes back, and which one a visitor gets. Here the request is written
to an idle connection as soon as it was read, and where the expected head comes, its body is passed
on as it arrives. Whatever else happens, the full path takes over, with the exchange as it is.
"""

from __future__ import annotations

import logging
import time

from aiohttp.connector import Connection
from aiohttp.http import RawRequestMessage

from proxy.cache.fast_path import FastPath, FastPathKey
from proxy.cache.known_files import KnownFile, SentFields
from proxy.http.access_record import Access
from proxy.runtime import Runtime
from proxy.server.connection import FrontConnection, TakenOver
from proxy.upstream.connection import UpstreamConnection
from proxy.upstream.errors import failure_kind
from proxy.upstream.exchange import BegunExchange
from proxy.upstream.pool import UpstreamPool
from proxy.upstream.slots import Slot
from proxy.upstream.timeouts import Timeouts

_log = logging.getLogger("consent_proxy.relaying")

_CLOSED_BY_VISITOR = 499


def find_relay(
    fast_path: FastPath,
    key: FastPathKey,
    message: RawRequestMessage,
    peer: str,
    runtime: Runtime,
    pool: UpstreamPool,
    *,
    secure: bool,
    now: float,
) -> FileRelay | None:
    """The relay of a file that is known; None for most requests."""
    known = fast_path.find_file(key, now)
    if known is None or runtime.cache is None:
        return None
    if runtime.config.proxy.client_requests or runtime.timeouts.total:
        return None  # counted, and timed, by the full path
    if not runtime.cache.flights.is_uncacheable(known.group):
        return None
    if runtime.cache.store.knows(known.group[0]):
        return None
    fields = fast_path.files.fields_for(
        message.raw_headers, peer, secure=secure, request_class=known.request_class
    )
    if fields is None:
        return None
    return FileRelay(known, fields, key.device or "", pool, runtime.timeouts)


class FileRelay:
    """One file on its way. A `Relay` of the visitor's connection, and the `Receiver` of the
    upstream's.
    """

    __slots__ = (
        "_asked",
        "_began",
        "_begun",
        "_connection",
        "_device",
        "_fields",
        "_known",
        "_left",
        "_message",
        "_name",
        "_pool",
        "_protocol",
        "_sent",
        "_slot",
        "_timeouts",
        "_upstream_seconds",
        "_visitor",
    )  # fmt: skip

    def __init__(
        self,
        known: KnownFile,
        fields: SentFields,
        device: str,
        pool: UpstreamPool,
        timeouts: Timeouts,
    ) -> None:
        self._known = known
        self._fields = fields
        self._device = device
        self._pool = pool
        self._timeouts = timeouts
        self._begun = b""
        self._left = -1
        self._sent = 0
        self._upstream_seconds = 0.0

    def begin(
        self, visitor: FrontConnection, message: RawRequestMessage, name: str, began: float
    ) -> bool:
        """Send the request on, where a connection is idle and has a place."""
        pool, known = self._pool, self._known
        slot = pool.slots.take(known.server.name)
        if slot is None:
            return False
        connection = pool.idle_connection(known.server)
        protocol = None if connection is None else connection.protocol
        if connection is None or not isinstance(protocol, UpstreamConnection):
            pool.slots.release(slot)
            return False
        transport = protocol.transport
        if protocol.should_close or transport is None or transport.is_closing():
            pool.slots.release(slot)
            connection.close()
            return False
        self._slot: Slot = slot
        self._connection: Connection = connection
        self._protocol: UpstreamConnection = protocol
        self._visitor, self._message, self._name, self._began = visitor, message, name, began
        self._asked = time.time(), time.monotonic()
        protocol.give_to(self, self._timeouts.first_byte)
        transport.write(self._request())
        return True

    def _request(self) -> bytes:
        fields = self._fields
        return b"%b%b%b%b" % (
            self._known.line, fields.before, self._name.encode("ascii"), fields.behind,
        )  # fmt: skip

    # --- the upstream's side ----------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self._left < 0:
            data = self._begun + data if self._begun else data
            self._receive_head(data)
            return
        left = self._left - len(data)
        if left < 0:
            data = data[: self._left]
        self._left = max(left, 0)
        self._sent += len(data)
        transport = self._visitor.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)
        if left <= 0:
            self._end(excess=left < 0)

    def _receive_head(self, data: bytes) -> None:
        known, visitor = self._known, self._visitor
        date = known.origin.date_in(data)
        if date == b"":
            self._begun = data
            return
        transport = visitor.transport
        if transport is None or transport.is_closing():
            return  # `visitor_left` follows
        if date is None or visitor.draining:
            known.holds = date is not None and known.holds
            self._begun = data
            self._hand_over()
            return
        self._begun = b""
        self._upstream_seconds = time.monotonic() - self._asked[1]
        self._slot.may_move = True
        self._protocol.read_timeout = self._timeouts.idle
        at, length = known.origin.size, known.origin.length
        body = data[at : at + length]
        head = known.head_for(date, self._name.encode("ascii"))
        self._left = length - len(body)
        self._sent = len(head) + len(body)
        transport.writelines((head, body) if body else (head,))
        if not self._left:
            self._end(excess=len(data) > at + length)

    def lost(self, exc: BaseException | None) -> None:
        if self._left < 0:
            self._hand_over()  # it asks again, or says what failed
            return
        kind = "ClientPayloadError" if exc is None else failure_kind(exc)
        self._break_off(f"{self._known.server.name} broke the connection ({kind})")

    def silent(self) -> None:
        if self._left < 0:
            self._hand_over()
            return
        self._break_off(f"{self._known.server.name} fell silent for {self._timeouts.idle:g} s")

    # --- the visitor's side -----------------------------------------------------------------

    def visitor_left(self) -> None:
        self._protocol.end_giving()
        self._release(closes=True)
        self._visitor.relayed(self._access(_CLOSED_BY_VISITOR))

    def hold_back(self) -> None:
        if self._left > 0:
            self._protocol.hold_back()

    def go_on(self) -> None:
        if self._left > 0:
            self._protocol.go_on()

    # --- the end ----------------------------------------------------------------------------

    def _end(self, *, excess: bool) -> None:
        protocol = self._protocol
        protocol.end_giving()
        if excess:
            protocol.drop_excess()
        self._release(closes=False)
        self._visitor.relayed(self._access(200))

    def _break_off(self, what: str) -> None:
        """The rest will not come: the visitor's connection is reset."""
        visitor, host = self._visitor, self._message.headers.get("Host", "")
        _log.warning("GET for %s aborted: %s", host, what)
        self._protocol.end_giving()
        self._release(closes=True)
        access = self._access(200)
        visitor.break_off()
        visitor.relayed(access)

    def _hand_over(self) -> None:
        """Let the full path go on with the exchange."""
        known, pool, protocol = self._known, self._pool, self._protocol
        protocol.end_giving()
        pool.expect_response(protocol, known.server, "GET", self._timeouts)
        protocol.start_timeout()
        begun = BegunExchange(
            known.server, self._request(), self._connection, self._slot, pool.slots, self._asked
        )
        taken_over = TakenOver(self._message, self._name, self._began, begun)
        if not self._visitor.take_over(taken_over):
            begun.drop()
        elif self._begun:
            protocol.data_received(self._begun)

    def _release(self, *, closes: bool) -> None:
        self._pool.slots.release(self._slot)
        if closes:
            self._connection.close()
        else:
            self._connection.release()

    def _access(self, status: int) -> Access:
        known, message, visitor = self._known, self._message, self._visitor
        return Access(
            self._name, message.method, message.path, status, self._sent,
            visitor.seconds_since(self._began), visitor.peer, message.headers, known.site, "miss",
            None, known.unreadable_choice, "", self._device,
            self._upstream_seconds or time.monotonic() - self._asked[1], None, known.server.name,
        )  # fmt: skip
