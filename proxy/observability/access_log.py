"""The access log: a line for each request, JSON or combined format, without personal data.

No cookies, no query (searches, click identifiers), no referrer; the address is cut to its network.
A patient page is logged by the rule that names it, for its path may itself be sensitive.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import Protocol

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

_FLUSH_SECONDS = 0.25
_FLUSH_LINES = 256
_MAX_HOST = 255
_MAX_REMEMBERED = 512
"""Characters of a request target, or of X-Forwarded-For: longer ones are not cached."""
_MAX_CLIENTS = 4096


def without_query(target: str) -> str:
    return target.partition("?")[0]


class LineOutput(Protocol):
    """What lines are written to."""

    def write(self, text: str, /) -> object: ...
    def flush(self) -> object: ...


class AccessLog:
    """An `AccessHook` that writes to `out`.

    Lines are buffered for a quarter of a second, so that a busy worker makes one system call for
    many requests; call `flush` at the end. `path_without_site` gives the path to log of a request
    to an unknown site.
    """

    def __init__(
        self,
        out: LineOutput | None = None,
        trusted: Sequence[Network] = (),
        path_without_site: Callable[[str], str] = without_query,
        *,
        combined: bool = False,
    ) -> None:
        self._combined = combined
        self._path_without_site = path_without_site
        self._out: LineOutput = sys.stdout if out is None else out
        self._trusted = trusted
        self._second, self._time = 0, ""
        self._clients: Recent[str] = Recent(_MAX_CLIENTS)
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, access: Access) -> None:
        second = int(time.time())
        if second != self._second:
            self._second, self._time = second, _timestamp(second)
        is_plain = access.site and not access.logged_path
        path = _path(access.target) if is_plain else self._other_path(access)
        if self._combined:
            self._lines.append(self._combined_line(access, path))
        else:
            self._lines.append(
                f'{{"time":"{self._time}","id":"{access.id}","site":"{access.site}",'
                f'"host":{self._host(access)},"method":"{access.method}","path":{path},'
                f'"status":{access.status},"bytes":{access.size},"ms":{access.seconds * 1000:.1f},'
                f'"cache":"{access.cache}","upstream":"{access.upstream}","upstream_ms":{_milliseconds(access.upstream_seconds)},'
                f'"client":"{self._client(access)}"}}\n'
            )
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def _combined_line(self, access: Access, path: str) -> str:
        """A line for programs that read Apache's and nginx's format. What we do not log stands as a
        hyphen; in place of the User-Agent stands the class of device.
        """
        client = self._client(access).partition("/")[0] or "-"
        return (
            f'{client} - - [{_clf_time(self._second)}] "{access.method} {path[1:-1]} HTTP/1.1" '
            f'{access.status} {access.size} "-" "{access.device or "-"}"\n'
        )

    def _host(self, access: Access) -> str:
        host = access.headers.get("Host", "")
        forwarded = access.headers.get("X-Forwarded-Host")
        if forwarded and address_is_trusted(access.peer, tuple(self._trusted)):
            host = forwarded.rpartition(",")[2].strip()
        return _json_host(host[:_MAX_HOST])

    def _client(self, access: Access) -> str:
        """The network of the visitor, remembered by all that it is found by."""
        forwarded = access.headers.getall(X_FORWARDED_FOR, None)
        given = "" if forwarded is None else ",".join(forwarded)
        known = self._clients.get((access.peer, given))
        if known is None:
            known = network_of(address_behind(access.peer, access.headers, self._trusted))
            if len(given) <= _MAX_REMEMBERED:
                self._clients.put((access.peer, given), known)
        return known

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


def _milliseconds(seconds: float | None) -> str:
    return "null" if seconds is None else f"{seconds * 1000:.1f}"


def _path(target: str) -> str:
    return _known_path(target) if len(target) <= _MAX_REMEMBERED else _json_path(target)


def _json_path(target: str) -> str:
    return json.dumps(without_query(split_target(target).path))


_json_host = lru_cache(maxsize=1024)(json.dumps)
_known_path = lru_cache(maxsize=4096)(_json_path)


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
