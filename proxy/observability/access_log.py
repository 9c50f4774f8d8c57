"""The access log: a line for each request, JSON or combined format, without personal data.

No cookies, no query (searches, click identifiers), no referrer; the address is cut to its network.
A patient page is logged by the rule that names it, for its path may itself be sensitive.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_network
from typing import Protocol

from aiohttp import hdrs
from multidict import istr

from proxy.http.access_record import Access
from proxy.http.addresses import (
    X_FORWARDED_FOR,
    Network,
    address_behind,
    address_is_trusted,
    parse_address,
)
from proxy.http.recent import Recent
from proxy.http.targets import split_target

_X_FORWARDED_HOST = istr("X-Forwarded-Host")
_FLUSH_SECONDS = 0.25
_FLUSH_LINES = 2048
"""Half a megabyte. The thread that writes waits for the interpreter several times for each flush,
and while it waits each system call of the event loop wakes it: with 256 lines that cost a fresh hit
a fifth of its time.
"""
_MAX_HOST = 255
_MAX_REMEMBERED = 1024
"""Characters of a request that a line depends on: of longer requests nothing is kept."""
_BUDGET = 4 * 2**20
"""Approximate bytes of what is kept of requests."""


def without_query(target: str) -> str:
    return target.partition("?")[0]


class LineOutput(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class AccessLog:
    """An `AccessHook` that writes to `out`.

    Lines are buffered for a quarter of a second, so that a busy worker makes one system call for
    many requests; call `flush` at the end. `trusted` gives the trusted proxies of the configuration
    in force, `path_without_site` the path to log of a request to an unknown site.
    """

    def __init__(
        self,
        out: LineOutput | None = None,
        trusted: Callable[[], tuple[Network, ...]] = tuple,
        path_without_site: Callable[[str], str] = without_query,
        *,
        combined: bool = False,
    ) -> None:
        self._combined = combined
        self._path_without_site = path_without_site
        self._out: LineOutput = sys.stdout if out is None else out
        self._trusted_now = trusted
        self._trusted = trusted()
        self._second, self._time = 0, ""
        self._requests: Recent[tuple[str, str]] = Recent(_BUDGET)
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, access: Access) -> None:
        second = int(time.time())
        if second != self._second:
            self._second, self._time = second, _timestamp(second)
        request, client = self._of_request(access)
        lines = self._lines
        if self._combined:
            lines.append(self._combined_line(access, request, client))
        else:
            waited = access.upstream_seconds
            lines.append(
                f'{{"time":"{self._time}","id":"{access.id}",{request},'
                f'"status":{access.status},"bytes":{access.size},"ms":{access.seconds * 1000:.1f},'
                f'"cache":"{access.cache}","upstream":"{access.upstream}",'
                f'"upstream_ms":{"null" if waited is None else f"{waited * 1000:.1f}"},'
                f'"client":"{client}"}}\n'
            )
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
        elif len(lines) >= _FLUSH_LINES:
            self.flush()

    def _of_request(self, access: Access) -> tuple[str, str]:
        """What a line has from the request alone, remembered by all that it depends on: the fields
        up to `path` (in the combined format the request line), and the visitor's network.
        """
        trusted = self._trusted_now()
        if trusted is not self._trusted:
            self._trusted, self._requests = trusted, Recent(_BUDGET)
        headers = access.headers
        forwarded = headers.getall(X_FORWARDED_FOR, None)
        key = (
            access.target, access.method, access.site, access.logged_path, access.peer,
            headers.get(hdrs.HOST, ""), headers.get(_X_FORWARDED_HOST),
            None if forwarded is None else ",".join(forwarded),
        )  # fmt: skip
        known = self._requests.get(key)
        if known is None:
            known = self._text_of_request(access), self._client(access)
            size = sum(len(part) for part in key if part is not None)
            # The path of a request to no site is the configuration's in force to say.
            if access.site and size <= _MAX_REMEMBERED:
                self._requests.put(key, known, 1000 + size)
        return known

    def _text_of_request(self, access: Access) -> str:
        is_plain = access.site and not access.logged_path
        path = _json_path(access.target) if is_plain else self._other_path(access)
        if self._combined:
            return f"{access.method} {path[1:-1]} HTTP/1.1"
        host = self._host(access)
        return f'"site":"{access.site}","host":{host},"method":"{access.method}","path":{path}'

    def _combined_line(self, access: Access, request: str, client: str) -> str:
        """A line for programs that read Apache's and nginx's format. What we do not log stands as a
        hyphen; in place of the User-Agent stands the class of device.
        """
        return (
            f'{client.partition("/")[0] or "-"} - - [{_clf_time(self._second)}] "{request}" '
            f'{access.status} {access.size} "-" "{access.device or "-"}"\n'
        )

    def _host(self, access: Access) -> str:
        host = access.headers.get(hdrs.HOST, "")
        forwarded = access.headers.get(_X_FORWARDED_HOST)
        if forwarded and address_is_trusted(access.peer, self._trusted):
            host = forwarded.rpartition(",")[2].strip()
        return json.dumps(host[:_MAX_HOST])

    def _client(self, access: Access) -> str:
        return network_of(address_behind(access.peer, access.headers, self._trusted))

    def _other_path(self, access: Access) -> str:
        """The path of a patient page, or of no site."""
        if access.logged_path:
            return json.dumps(access.logged_path)
        return json.dumps(self._path_without_site(split_target(access.target).path))

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            self._out.write("".join(lines))
            self._out.flush()
        except OSError:  # a closed pipe must not stop the service
            return


def _json_path(target: str) -> str:
    return json.dumps(without_query(split_target(target).path))


def network_of(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) that an address belongs to; "" for no address."""
    parsed = parse_address(address)
    if parsed is None:
        return ""
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def _timestamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


@lru_cache(maxsize=2)
def _clf_time(second: int) -> str:
    """The time as the Common Log Format has it: English names of months in every locale."""
    moment = time.gmtime(second)
    return time.strftime(f"%d/{_MONTHS[moment.tm_mon - 1]}/%Y:%H:%M:%S +0000", moment)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
