"""The origin's response, live or stored: what everything behind the cache reads.

Live: the upstream is sending it, for this visitor only. Shared: its body is still arriving, and is
stored once it is complete; several visitors read it meanwhile. Stored: complete.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from multidict import CIMultiDict

from proxy.cache.keys import Key
from proxy.cache.shared_body import SharedBodyReader
from proxy.cache.store import CompiledPage, Entry
from proxy.upstream.body import BodySource, LiveBody, ReadResult, StoredBody
from proxy.upstream.exchange import UpstreamResponse

Group = tuple[Key, bool, bool]
"""Requests whose responses are stored or not alike: URL, whether they may share, and whether they
have unknown fields.
"""


@dataclass(frozen=True, slots=True)
class PreparedPage:
    """The result of reading a page: `compiled`, or `why` not.

    `is_html` is False where sniffing showed that bytes without a type are no page; `is_streamed`
    where it is to be sent while it arrives. `may_store`: no mark in it, as far as it was read,
    makes it a patient page, and it may be stored once it is complete.
    """

    read: ReadResult
    compiled: CompiledPage | None = None
    why: str = ""
    is_html: bool = True
    is_streamed: bool = False
    may_store: bool = False


class OriginResponse(Protocol):
    """A response of the origin. `headers` are its end-to-end ones, a copy for one visitor.

    `stored` is the stored response, where it is one; `page` is the prepared page, where it was read
    already.
    """

    @property
    def status(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def headers(self) -> CIMultiDict[str]: ...
    @property
    def body(self) -> BodySource: ...
    @property
    def upstream_name(self) -> str:
        """Scheme, host and port of the upstream, for messages."""

    @property
    def stored(self) -> Entry | None: ...
    @property
    def page(self) -> PreparedPage | None: ...


Prepare = Callable[[OriginResponse], Awaitable[PreparedPage]]
"""Read and compile a page. It runs in the fetch's own task, for all who wait for the page, and
depends on no visitor.
"""


class LiveResponse:
    """What the upstream is sending. An `OriginResponse`. `may_share` is set where the request is
    known to identify no visitor; `passes_by` are the requests that pass by the cache like this one,
    for none of their responses was stored.
    """

    __slots__ = ("body", "headers", "may_share", "page", "passes_by", "upstream")

    stored = None

    def __init__(
        self,
        upstream: UpstreamResponse,
        headers: CIMultiDict[str],
        page: PreparedPage | None = None,
        *,
        may_share: bool = False,
        passes_by: Group | None = None,
    ) -> None:
        self.upstream = upstream
        self.headers = headers
        self.page = page
        self.may_share = may_share
        self.passes_by = passes_by
        self.body: BodySource = LiveBody(upstream)

    @property
    def status(self) -> int:
        return self.upstream.status

    @property
    def reason(self) -> str:
        return self.upstream.reason

    @property
    def upstream_name(self) -> str:
        return self.upstream.server.name


@dataclass(frozen=True, slots=True, eq=False)
class SharedResponse:
    """A response whose body several visitors read as it arrives. An `OriginResponse`."""

    live: LiveResponse
    headers: CIMultiDict[str]
    body: SharedBodyReader

    @property
    def status(self) -> int:
        return self.live.status

    @property
    def reason(self) -> str:
        return self.live.reason

    @property
    def upstream_name(self) -> str:
        return self.live.upstream_name

    @property
    def stored(self) -> None:
        return None

    @property
    def page(self) -> PreparedPage | None:
        return self.live.page


@dataclass(frozen=True, slots=True, eq=False)
class StoredResponse:
    """A complete response. An `OriginResponse`. `now` is when it was looked up, in seconds since
    1970; `may_share` whether the request identifies no visitor.
    """

    stored: Entry
    headers: CIMultiDict[str]
    now: float
    may_share: bool

    @property
    def status(self) -> int:
        return self.stored.status

    @property
    def reason(self) -> str:
        return self.stored.reason

    @property
    def body(self) -> BodySource:
        return StoredBody(self.stored.body)

    @property
    def upstream_name(self) -> str:
        return self.stored.key.upstream.partition(" ")[0]

    @property
    def page(self) -> None:
        return None
