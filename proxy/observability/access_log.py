"""The access log: a line of JSON for each request, without personal data.

No cookies, no query (searches, click identifiers), no referrer; the address is cut to its network.
A patient page is logged by the rule that names it, for its path may itself be sensitive.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_network
from typing import TextIO

from proxy.http.access_record import Access
from proxy.http.addresses import Network, address_behind, address_is_trusted, parse_address
from proxy.http.targets import split_target

_FLUSH_SECONDS = 0.25
_FLUSH_LINES = 256
_MAX_HOST = 255
_ATOMIC_WRITE = 4096
"""Bytes that a pipe takes in one piece (Linux, PIPE_BUF). The lines are ASCII."""
_MAX_REMEMBERED = 512
"""Characters of a request target: longer ones are not cached."""


def without_query(target: str) -> str:
    return target.partition("?")[0]


class AccessLog:
    """An `AccessHook` that writes to `out`.

    Lines are buffered for a quarter of a second, so that a busy worker makes one system call for
    many requests; call `flush` at the end. `path_without_site` gives the path to log of a request
    to an unknown site.
    """

    def __init__(
        self,
        out: TextIO | None = None,
        trusted: Sequence[Network] = (),
        path_without_site: Callable[[str], str] = without_query,
    ) -> None:
        self._path_without_site = path_without_site
        self._out = sys.stdout if out is None else out
        self._trusted = trusted
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, access: Access) -> None:
        client = network_of(address_behind(access.peer, access.headers, self._trusted))
        self._lines.append(
            f'{{"time":"{_now()}","id":"{access.id}","site":"{access.site}",'
            f'"host":{self._host(access)},"method":"{access.method}","path":{self._path(access)},'
            f'"status":{access.status},"bytes":{access.size},"ms":{access.seconds * 1000:.1f},'
            f'"cache":"{access.cache}","upstream_ms":{_milliseconds(access.upstream_seconds)},'
            f'"client":"{client}"}}\n'
        )
        if len(self._lines) >= _FLUSH_LINES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)

    def _host(self, access: Access) -> str:
        host = access.headers.get("Host", "")
        forwarded = access.headers.get("X-Forwarded-Host")
        if forwarded and address_is_trusted(access.peer, tuple(self._trusted)):
            host = forwarded.rpartition(",")[2].strip()
        return _json_host(host[:_MAX_HOST])

    def _path(self, access: Access) -> str:
        if access.logged_path:
            return json.dumps(access.logged_path)
        if not access.site:
            return json.dumps(self._path_without_site(split_target(access.target).path))
        return _path(access.target)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        try:
            for block in _blocks(lines):
                self._out.write(block)
                self._out.flush()
        except OSError:  # a closed pipe must not stop the service
            return


def _blocks(lines: Iterable[str]) -> Iterator[str]:
    """Whole lines, together as long as a pipe takes them without lines of other workers between."""
    block: list[str] = []
    size = 0
    for line in lines:
        if block and size + len(line) > _ATOMIC_WRITE:
            yield "".join(block)
            block, size = [], 0
        block.append(line)
        size += len(line)
    if block:
        yield "".join(block)


def _milliseconds(seconds: float | None) -> str:
    return "null" if seconds is None else f"{seconds * 1000:.1f}"


def _path(target: str) -> str:
    return _known_path(target) if len(target) <= _MAX_REMEMBERED else _json_path(target)


def _json_path(target: str) -> str:
    return json.dumps(without_query(split_target(target).path))


_json_host = lru_cache(maxsize=1024)(json.dumps)
_known_path = lru_cache(maxsize=4096)(_json_path)


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The /24 (IPv4) or /48 (IPv6) that an address belongs to; "" for no address."""
    parsed = parse_address(address)
    if parsed is None:
        return ""
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def _now() -> str:
    return _second(int(time.time()))


@lru_cache(maxsize=2)
def _second(now: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
