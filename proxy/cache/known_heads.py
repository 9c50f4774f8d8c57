"""What the heads of requests on the fast path said, by the bytes of their header fields.

A browser sends the same fields with each of a page's images, a monitor with each of its checks, and
to parse them again gives what it gave before. That is remembered by their bytes and by what else it
depends on: the peer's address, whether the connection is secure, and the configuration, as each has
a table of its own. The path is read anew, and nothing that may change is kept here: which response
is ready for these fields is looked up for each request.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from aiohttp.http import RawRequestMessage
from multidict import CIMultiDictProxy

from proxy.http.device_class import DeviceClass
from proxy.http.field_names import FieldNames
from proxy.http.recent import Recent
from proxy.http.request_fields import TRACING

HEADS_BUDGET = 8 * 2**20
"""Approximate bytes of what a worker knows of heads."""
MAX_HEAD = 4096
"""Bytes of a head that is remembered; browsers' have 400 to 2,000."""
_FIELD_OVERHEAD = 200
_OVERHEAD = 1000
_GET = b"GET "
_VERSION = b" HTTP/1.1\r\n"
_END_OF_HEAD = b"\r\n\r\n"
_OF_ONE_REQUEST = FieldNames(TRACING.__contains__)


class KnownFields(NamedTuple):
    """What the fields of a head say: the parts of a `FastPathKey`, without the path, and what the
    log reads.
    """

    site: tuple[Hashable, ...]
    selecting: tuple[Hashable, ...]
    cookie: bytes
    device: DeviceClass
    headers: CIMultiDictProxy[str]


class KnownHeads:
    """Fields by their bytes, the peer's address, and whether the connection is secure."""

    def __init__(self, budget: int = HEADS_BUDGET) -> None:
        self._fields: Recent[KnownFields] = Recent(budget)

    def find(self, data: bytes, peer: str, secure: bool) -> tuple[str, KnownFields] | None:
        """The path of a request and what its fields say, where `data` is one whole head with fields
        that are known.

        Any path is taken that has the form of one: there is no response that is ready for a path
        that the parser has not read in such a request line before.
        """
        if len(data) > MAX_HEAD:
            return None
        line, _, fields = data.partition(_VERSION)
        known = self._fields.get((peer, secure, fields))
        if known is None or not line.startswith(_GET) or not line.isascii():
            return None
        return line[len(_GET) :].decode("ascii"), known

    def add(
        self, data: bytes, message: RawRequestMessage, fields: KnownFields, peer: str, secure: bool
    ) -> None:
        """Remember the fields of a request that is on the fast path. `data` is what it was parsed
        from, and all of that.
        """
        line, _, raw = data.partition(_VERSION)
        if (
            len(data) > MAX_HEAD
            or line != _GET + message.path.encode("utf-8", "surrogateescape")
            or data.find(_END_OF_HEAD) != len(data) - len(_END_OF_HEAD)
            # Another one comes with each request.
            or _OF_ONE_REQUEST.any_in(message.headers)
        ):
            return
        # The fields are there as bytes, as text, and in parts of the key. A text with one character
        # of a higher plane takes four bytes for each.
        copies = 3 if raw.isascii() else 6
        size = copies * len(raw) + _FIELD_OVERHEAD * len(message.raw_headers) + _OVERHEAD
        self._fields.put((peer, secure, raw), fields, size)
