"""Bodies of upstream responses, and reading one within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal, Protocol

import aiohttp
from aiohttp import hdrs
from aiohttp.streams import StreamReader

from proxy.upstream.exchange import UpstreamResponse
from proxy.upstream.read_again import ReadAgain


class BodySource(Protocol):
    """A body that is arriving, or complete."""

    @property
    def declared_length(self) -> int | None:
        """The Content-Length; None where there is none, or no body."""

    def read_nowait(self) -> bytes:
        """Bytes that have arrived and were not read yet, or some of them; b"" when
        there are none.
        """

    def at_eof(self) -> bool:
        """Whether all bytes have arrived and were read."""

    async def readany(self) -> bytes:
        """The next bytes; b"" at the end. Raises ClientError, OSError or TimeoutError."""


class LiveBody:
    """The body of a response that the upstream is sending. A `BodySource`."""

    __slots__ = ("_upstream", "at_eof", "read_nowait", "readany")

    def __init__(self, upstream: UpstreamResponse) -> None:
        content: StreamReader | ReadAgain = upstream.content
        if upstream.begun:
            content = ReadAgain(upstream.begun, upstream.content)
        self.read_nowait = content.read_nowait
        self.at_eof = content.at_eof
        self.readany = content.readany
        self._upstream = upstream

    @property
    def declared_length(self) -> int | None:
        upstream = self._upstream
        return None if upstream.method == hdrs.METH_HEAD else upstream.content_length


class StoredBody:
    """A complete body. A `BodySource`."""

    __slots__ = ("_body", "declared_length")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.declared_length: int | None = len(body)

    def read_nowait(self) -> bytes:
        body, self._body = self._body, b""
        return body

    def at_eof(self) -> bool:
        return not self._body

    async def readany(self) -> bytes:
        return self.read_nowait()


@dataclass(frozen=True, slots=True)
class ReadResult:
    """The bytes read of a body. Unless `ending` is "whole", there may be more to stream."""

    body: bytes
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"]

    @property
    def whole(self) -> bool:
        return self.ending == "whole"


async def read_body(
    source: BodySource,
    limit: int,
    idle_timeout: float,
    total_timeout: float,
    patience: float | None = None,
) -> ReadResult:
    """Read a body that is to be rewritten: up to about `limit` bytes, within the given seconds;
    within `patience` once the first bytes have arrived.

    Unless it is complete, pass what was read to `stream(..., already_read=...)`, which goes on from
    there (or, where the upstream's connection broke, resets the visitor's as well).
    """
    if source.declared_length is not None and source.declared_length > limit:
        return ReadResult(b"", "too_large")
    chunks: list[bytes] = []
    size = 0
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"] = "whole"
    try:
        # What is here is read without a clock: of a small page that is all of it.
        while chunk := source.read_nowait():
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                return ReadResult(b"".join(chunks), "too_large")
        if source.at_eof():
            return ReadResult(chunks[0] if len(chunks) == 1 else b"".join(chunks), "whole")
        loop = asyncio.get_running_loop()
        now = loop.time()
        end = now + total_timeout
        if patience is not None and chunks:
            end = min(end, now + patience)
        async with asyncio.timeout_at(min(end, now + idle_timeout)) as clock:
            while chunk := await source.readany():
                chunks.append(chunk)
                size += len(chunk)
                if size > limit:
                    ending = "too_large"
                    break
                now = loop.time()
                if patience is not None and len(chunks) == 1:
                    end = min(end, now + patience)
                clock.reschedule(min(end, now + idle_timeout))
    except TimeoutError:
        ending = "stalled" if patience is None or not chunks else "slow"
    except (aiohttp.ClientError, OSError):
        ending = "broken"
    return ReadResult(b"".join(chunks), ending)
