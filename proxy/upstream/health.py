"""What is known of one server: by the requests that it was sent, and by health checks.

A circuit breaker: after failures in a row the server is ejected; later one request probes it, and
the others follow once that succeeds. No clock: `now` is a monotonic time in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

PROBE_SECONDS = 1.0
"""Between two probes of a server while no other one is up."""
_LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    """`max_fails` failures in a row within `fail_timeout` seconds of each other eject a server for
    as long; 0 never does. After `fall` failed checks it is down, after `rise` passed ones up. For
    `slow_start` seconds after that its share grows.
    """

    max_fails: int = 3
    fail_timeout: float = 10.0
    slow_start: float = 0.0
    rise: int = 2
    fall: int = 3


class ServerHealth:
    """The state of one server."""

    __slots__ = (
        "_closed", "_failed_at", "_fails", "_probed_at", "_recovered_at", "_run", "ejected_until",
        "passes_checks", "probing",
    )  # fmt: skip

    def __init__(self) -> None:
        self.passes_checks = True
        self.ejected_until: float | None = None
        self.probing = False
        self._probed_at = float("-inf")
        self._recovered_at = float("-inf")
        self._closed = False
        self._fails = 0
        self._failed_at = float("-inf")
        self._run = 0

    @property
    def is_up(self) -> bool:
        """Whether it may be chosen."""
        return self.passes_checks and self.ejected_until is None

    @property
    def is_last_resort(self) -> bool:
        """Whether it may be chosen where no server is up: it is ejected, but it took the connection
        of the request that failed last and closed it, which one bad request can make of a server
        that is sound.
        """
        return self.passes_checks and self.ejected_until is not None and self._closed

    def may_probe(self, now: float, *, sooner: bool) -> bool:
        """Whether it is ejected, and one request may try it. `sooner`: there is no other one."""
        if self.ejected_until is None or not self.passes_checks or self.probing:
            return False
        return now >= self.ejected_until or (sooner and now >= self._probed_at + PROBE_SECONDS)

    def probe(self, now: float) -> None:
        """A request tries it: `succeeded`, `failed` or `left` follows."""
        self.probing, self._probed_at = True, now

    def left(self) -> None:
        """A request ended before it told anything."""
        self.probing = False

    def succeeded(self, now: float) -> bool:
        """A request was answered. True where it brings the server back."""
        self._fails = 0
        if self.ejected_until is None:
            return False
        self.ejected_until, self.probing, self._recovered_at = None, False, now
        return True

    def failed(self, policy: HealthPolicy, now: float, *, closed: bool = False) -> bool:
        """A request failed by the server's fault. True where that ejects it. `closed`: it took the
        connection, and closed it without an answer.
        """
        self._closed = closed
        if self.ejected_until is not None:
            self.ejected_until, self.probing = now + policy.fail_timeout, False
            return False
        self._fails = self._fails + 1 if now - self._failed_at <= policy.fail_timeout else 1
        self._failed_at = now
        if not policy.max_fails or self._fails < policy.max_fails:
            return False
        self._fails, self.ejected_until, self._probed_at = 0, now + policy.fail_timeout, now
        return True

    def checked(self, policy: HealthPolicy, now: float, *, passed: bool) -> bool:
        """The result of a health check. True where it takes the server down or brings it back."""
        if passed is self.passes_checks:
            self._run = 0
            return False
        self._run += 1
        if self._run < (policy.rise if passed else policy.fall):
            return False
        self._run, self.passes_checks = 0, passed
        if passed:
            self.ejected_until, self.probing, self._fails = None, False, 0
            self._recovered_at = now
        return True

    def forget_checks(self) -> None:
        """There are none any more: what the last ones said holds no longer."""
        self._run, self.passes_checks = 0, True

    def share(self, policy: HealthPolicy, now: float) -> float:
        """The part of its weight that counts: it grows during a slow start."""
        if not policy.slow_start:
            return 1.0
        return max(_LEAST_SHARE, min(1.0, (now - self._recovered_at) / policy.slow_start))
