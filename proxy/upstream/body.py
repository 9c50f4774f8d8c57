"""Read an upstream's body within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

import aiohttp
from aiohttp import ClientResponse, hdrs
from aiohttp.client_proto import ResponseHandler


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What was read of a body. Unless `ending` is "whole", there may be more to stream."""

    body: bytes
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"]

    @property
    def whole(self) -> bool:
        return self.ending == "whole"


async def read_body(
    upstream: ClientResponse,
    limit: int,
    idle_timeout: float,
    total_timeout: float,
    patience: float | None = None,
) -> ReadResult:
    """Read a body that is to be rewritten: up to about `limit` bytes, within the given seconds;
    within `patience` once the first bytes are here.

    Unless all of it came, hand what was read to `stream(..., already_read=...)`, which goes on
    from there (or, where the upstream broke off, cuts the visitor's connection as well).
    """
    content = upstream.content
    length = upstream.content_length
    if length is not None and length > limit and upstream.method != hdrs.METH_HEAD:
        return ReadResult(b"", "too_large")
    loop = asyncio.get_running_loop()
    protocol = upstream.connection.protocol if upstream.connection else None
    chunks: list[bytes] = []
    size = 0
    end = loop.time() + total_timeout
    ending: Literal["whole", "too_large", "slow", "stalled", "broken"] = "whole"
    try:
        async with asyncio.timeout_at(min(end, loop.time() + idle_timeout)) as clock:
            while chunk := await content.readany():
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
    if ending == "whole" and is_cut_off(upstream, protocol):
        ending = "broken"
    return ReadResult(b"".join(chunks), ending)


def is_cut_off(upstream: ClientResponse, protocol: ResponseHandler | None) -> bool:
    """Whether a body without a length ended by a reset, which aiohttp takes for its end."""
    headers = upstream.headers
    if (
        protocol is None or hdrs.CONTENT_LENGTH in headers or hdrs.TRANSFER_ENCODING in headers
    ):  # these say themselves where they end
        return False
    return isinstance(protocol.exception(), aiohttp.ClientOSError | ConnectionError)
