"""Which requests may be sent again to another server, and how many of all."""

from __future__ import annotations

import errno

import aiohttp

from proxy.upstream.exchange import (
    MalformedResponseError,
    UnansweredError,
    UpstreamRequest,
)

AT_ONCE, A_SECOND = 10.0, 1.0
"""Retries besides the share of requests, so that a site with few visitors has some, too."""

_OF_THIS_MACHINE = frozenset(
    {errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
)


class RetryBudget:
    """A token bucket (Finagle's, Linkerd's): each request adds `share` of a retry.

    Without one, the servers that are left get each request of a failing one twice: they fail next.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._tokens = AT_ONCE if share else 0.0
        self._at: float | None = None

    def deposit(self) -> None:
        """A request is sent for the first time."""
        self._tokens = min(self._tokens + self._share, AT_ONCE * 10)

    def withdraw(self, now: float) -> bool:
        """Take one retry. False where none is left. `now` is a monotonic time in seconds."""
        if not self._share:
            return False
        if self._at is not None:
            refilled = self._tokens + (now - self._at) * A_SECOND
            self._tokens = max(self._tokens, min(refilled, AT_ONCE))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def is_fault_of_server(error: BaseException | None) -> bool:
    """Whether a failed exchange says that the server is in trouble."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.errno not in _OF_THIS_MACHINE
    return isinstance(
        error, aiohttp.ServerTimeoutError | TimeoutError | UnansweredError | MalformedResponseError
    )


def was_not_sent(error: BaseException | None) -> bool:
    """Whether there was no connection to send the request on."""
    return isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def may_send_again(
    request: UpstreamRequest, error: BaseException | None, *, repeated: bool
) -> bool:
    """Whether another server may get a request that failed at one.

    Always where the connection could not be made. Else the origin may have acted on it: only an
    idempotent method (RFC 9110, 9.2.2), all of whose body is at hand, of whose response nothing was
    passed on, not even an interim one; and once (`repeated`: that was the second time; RFC 9110,
    9.2.2, last paragraph). After a time limit never: its visitor has waited long enough, and it may
    be what made the server slow.
    """
    if was_not_sent(error):
        return True
    if repeated or not isinstance(error, UnansweredError | MalformedResponseError):
        return False
    return request.may_repeat and not request.had_interim
