"""Files that may not be stored, and come with the same fields each time: what the last one showed.

The origin sends such a file each time it is asked for, and each time it is passed on. What the full
path finds out on the way is the same while its head is the same, byte by byte but for the date:
which request goes to the origin, and which head goes to a visitor of this class.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass

from aiohttp.typedefs import RawHeaders

from proxy.cache.origin_response import Group
from proxy.http.recent import Recent
from proxy.upstream.server import Server

FILES_BUDGET = 16 * 2**20
"""Approximate bytes of what a worker knows of files and of visitors' fields."""
_DATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] "
    rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} "
    rb"[0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT"
)
_DATE_LENGTH = 29
_NAME = b"\r\nDate: "


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A response's head with a body of `length` bytes, but for the value of its Date."""

    before: bytes
    behind: bytes
    length: int

    def date_in(self, data: bytes) -> bytes | None:
        """The date of a response that begins with these bytes and has this head. None where it has
        another one; b"" where that does not show yet.
        """
        before, behind = self.before, self.behind
        at = len(before)
        rest = at + _DATE_LENGTH
        if data.startswith(before) and data.startswith(behind, rest):
            date = data[at:rest]
            return date if _DATE.fullmatch(date) else None
        if len(data) >= rest + len(behind):
            return None
        begun = before.startswith(data[:at]) and behind.startswith(data[rest:])
        return b"" if begun else None

    @property
    def size(self) -> int:
        """Bytes of the whole head."""
        return len(self.before) + _DATE_LENGTH + len(self.behind)


def known_head(head: bytes, length: int) -> KnownHead | None:
    """What is known by a response's head; None where it has not one date, or an odd one."""
    before, name, rest = head.partition(_NAME)
    date = rest[:_DATE_LENGTH]
    if not name or not _DATE.fullmatch(date) or b"\r\ndate:" in rest.lower():
        return None
    return KnownHead(before + name, rest[_DATE_LENGTH:], length)


@dataclass(slots=True, eq=False)
class KnownFile:
    """A file of a URL, for visitors of one class.

    `line` is the request line for the `server`, `request_class` what its other fields depend on
    beside the visitor's own. `origin` is the head of the response. `Date` and `X-Request-Id` belong
    behind `head`, which is for the visitor. All that holds `until` (seconds since 1970), while
    requests of the `group` pass by the cache, and while nothing is stored for their URL. `holds` is
    False once the origin sent something else.
    """

    line: bytes
    request_class: Hashable
    server: Server
    origin: KnownHead
    head: bytes
    until: float
    group: Group
    site: str
    unreadable_choice: str
    holds: bool = True

    def head_for(self, date: bytes, request_id: bytes) -> bytes:
        """The head of the response to one request."""
        return b"%bDate: %b\r\nX-Request-Id: %b\r\n\r\n" % (self.head, date, request_id)


@dataclass(frozen=True, slots=True, eq=False)
class SentFields:
    """The fields of a request to the origin: those before and those behind the value of
    `X-Request-Id`.
    """

    before: bytes
    behind: bytes


def sent_fields(fields: bytes, request_id: str) -> SentFields | None:
    """What is sent for another request like this one, of which `fields` are all behind its line."""
    name = b"\r\nX-Request-Id: "
    before, found, behind = (b"\r\n" + fields).partition(name + request_id.encode() + b"\r\n")
    if not found or name in before or name in b"\r\n" + behind:
        return None
    return SentFields((before + name)[2:], b"\r\n" + behind)


class KnownFiles:
    """The files by request and class of visitor, and what is asked for them by the visitor's
    fields.
    """

    def __init__(self, budget: int = FILES_BUDGET) -> None:
        self._files: Recent[KnownFile] = Recent(budget // 2)
        self._fields: Recent[SentFields] = Recent(budget // 4)
        self._once: Recent[KnownHead] = Recent(budget // 4)

    def find(self, key: Hashable, now: float) -> KnownFile | None:
        found = self._files.get(key)
        return found if found is not None and found.holds and now < found.until else None

    def put(self, key: Hashable, file: KnownFile, size: int) -> None:
        """Keep a file that came with the same head twice: only then it will again. `size` is that
        of the key, in bytes.
        """
        size += file.origin.size + len(file.head) + 2 * len(file.line) + 1000
        if self._once.get(key) != file.origin:
            self._once.put(key, file.origin, size)
            return
        self._files.put(key, file, size)

    def fields_for(
        self, visitors: RawHeaders, peer: str, *, secure: bool, request_class: Hashable
    ) -> SentFields | None:
        """What is sent for a request with a visitor's fields, if that is known."""
        return self._fields.get((visitors, peer, secure, request_class))

    def put_fields(
        self,
        visitors: RawHeaders,
        peer: str,
        fields: SentFields,
        *,
        secure: bool,
        request_class: Hashable,
    ) -> None:
        size = 2 * (len(fields.before) + len(fields.behind)) + 150 * len(visitors) + 500
        self._fields.put((visitors, peer, secure, request_class), fields, size)
