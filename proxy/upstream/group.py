"""The servers of one site, which are all alike, and what this worker knows of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from aiohttp import web

from consent_rules.config.models import Balance
from proxy.upstream.balancing import Candidate, Turns, by_hash, least_connections
from proxy.upstream.checks import HealthCheck
from proxy.upstream.exchange import IDEMPOTENT
from proxy.upstream.health import HealthPolicy, ServerHealth
from proxy.upstream.retries import RetryBudget
from proxy.upstream.server import Server

_log = logging.getLogger("consent_proxy.upstream")


@dataclass(slots=True, eq=False)
class Member:
    """A server of a group. `in_use`: its requests in this worker; `failures` and `ejections` count
    since the start.
    """

    server: Server
    weight: int = 1
    health: ServerHealth = field(default_factory=ServerHealth)
    in_use: int = 0
    failures: int = 0
    ejections: int = 0


@dataclass(slots=True, eq=False)
class UpstreamGroup:
    """`hash_key` is what `Balance.HASH` goes by. `sends_own_host`: the Host field is the server's
    own. `only` is the server of a group of one without health checks: nothing is chosen then.
    """

    site: str
    members: tuple[Member, ...]
    balance: Balance = Balance.LEAST_CONNECTIONS
    hash_key: Callable[[web.BaseRequest], str] = lambda _: ""
    policy: HealthPolicy = field(default_factory=HealthPolicy)
    check: HealthCheck | None = None
    budget: RetryBudget = field(default_factory=lambda: RetryBudget(0.2))
    sends_own_host: bool = False
    retries: int = 0
    only: Server | None = None
    _turns: Turns = field(default_factory=Turns)

    def __post_init__(self) -> None:
        if len(self.members) == 1:
            if self.check is None:
                self.only = self.members[0].server
            # As in nginx: to eject the only one would help nobody.
            self.policy = replace(self.policy, max_fails=0)

    @property
    def servers(self) -> tuple[Server, ...]:
        return tuple(member.server for member in self.members)

    def choose(
        self,
        request: web.BaseRequest,
        now: float,
        is_full: Callable[[str], bool] = lambda _: False,
        tried: Sequence[Member] = (),
    ) -> Member | None:
        """The server for a request, none of `tried`; None where all are down or tried. `is_full`:
        whether all places at a server, by its name, are taken; such a one is the last resort.
        `succeeded`, `failed` or `left` and, after that, `finished` follow.
        """
        left = [one for one in self.members if one not in tried]
        up = [one for one in left if one.health.is_up]
        sooner = not any(one.health.is_up for one in self.members)
        if sooner or request.method in IDEMPOTENT:  # else it would be lost with the probe
            for one in left:
                if one.health.may_probe(now, sooner=sooner):
                    one.health.probe(now)
                    one.in_use += 1
                    return one
        if not up and sooner:  # Envoy's panic threshold, for what is not down for certain
            up = [one for one in left if one.health.is_last_resort]
        if not up:
            return None
        free = [one for one in up if not is_full(one.server.name)] if len(up) > 1 else up
        chosen = self._balanced(free or up, request, now)
        chosen.in_use += 1
        return chosen

    def _balanced(self, members: Sequence[Member], request: web.BaseRequest, now: float) -> Member:
        if len(members) == 1:
            return members[0]
        by_name = {one.server.name: one for one in members}
        candidates = [
            Candidate(name, one.weight * one.health.share(self.policy, now), one.in_use)
            for name, one in by_name.items()
        ]
        match self.balance:
            case Balance.HASH:
                found = by_hash(candidates, self.hash_key(request))
            case Balance.ROUND_ROBIN:
                found = self._turns.next(candidates)
            case Balance.LEAST_CONNECTIONS:
                found = least_connections(candidates, self._turns)
        return by_name[found.name]

    def succeeded(self, member: Member, now: float) -> None:
        """The server sent a response's head."""
        if member.health.succeeded(now):
            _log.info("%s of %s is up again", member.server, self.site)

    def failed(self, member: Member, now: float, reason: str, *, closed: bool = False) -> None:
        """A request failed by the server's fault. `closed`: it took the connection, and closed it
        without an answer.
        """
        member.failures += 1
        if member.health.failed(self.policy, now, closed=closed):
            member.ejections += 1
            _log.warning(
                "%s of %s gets no requests for %g s, after %d failures in a row: %s",
                member.server, self.site, self.policy.fail_timeout, self.policy.max_fails, reason,
            )  # fmt: skip

    def left(self, member: Member) -> None:
        """The request ended before the server told anything: its visitor left."""
        member.health.left()

    def finished(self, member: Member) -> None:
        """The exchange has ended."""
        member.in_use -= 1

    def checked(self, member: Member, now: float, problem: str) -> None:
        """The result of a health check; `problem` is "" where it was passed."""
        if not member.health.checked(self.policy, now, passed=not problem):
            return
        if problem:
            member.ejections += 1
            _log.warning(
                "%s of %s is down, after %d failed health checks in a row: %s",
                member.server, self.site, self.policy.fall, problem,
            )  # fmt: skip
        else:
            _log.info("%s of %s passes its health checks again", member.server, self.site)

    def follow(self, before: UpstreamGroup | None) -> UpstreamGroup:
        """This group, with what an earlier one of the same site knows of the same servers."""
        if before is None:
            return self
        self.retries = before.retries
        known = {one.server.name: one for one in before.members}
        for member in self.members:
            earlier = known.get(member.server.name)
            if earlier is not None:
                member.health = earlier.health
                member.failures, member.ejections = earlier.failures, earlier.ejections
                if self.check is None:
                    member.health.forget_checks()
        return self
