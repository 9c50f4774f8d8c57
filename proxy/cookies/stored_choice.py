"""The visitor's choice, read from all preference cookies of a request.

An unreadable cookie is not the same as none: it may hold a refusal, so it closes what a refusal
would close (`Visitor.unreadable_choice`). One that is validly signed but expired, dated in the
future or another site's keeps its refusals and loses its acceptances (`Preferences.lapsed`). Of
several the strictest counts (`consent_rules.preferences.strictest`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import inf

from consent_rules.preferences import Preferences, strictest
from proxy.cookies.cookie_header import values_in
from proxy.cookies.preference_cookie import (
    CLOCK_SKEW_SECONDS,
    KeyRing,
    SignedChoice,
    Unreadable,
    cookie_name,
)

_MAX_CHECKS = 8
"""Signatures checked for one request; each costs about 100 microseconds. Tokens that were verified
before are cached and cost none, nor do malformed ones, or those of unknown keys.
"""
_NAMES = tuple(
    dict.fromkeys(
        cookie_name(domain, secure=secure)
        for domain in ("", "example.com")
        for secure in (True, False)
    )
)
_IN_ALL_NAMES = cookie_name("", secure=False)
_MAX_HEADER = 65_536
"""Characters of a Cookie header that are searched. No browser sends as much."""


@dataclass(frozen=True, slots=True)
class StoredChoice:
    """`preferences` are those in force, None where there are none; `unreadable` is why no cookie
    could be read though there is one. `until` is when the meaning of the same cookies changes
    (seconds since 1970). `several` is set where more than one cookie has the name.
    """

    preferences: Preferences | None = None
    unreadable: Unreadable | None = None
    until: float = inf
    several: bool = False


NO_CHOICE = StoredChoice()


def stored_choice(
    cookie_header: str,
    keys: KeyRing,
    sites: Collection[str],
    domain: str,
    now: float,
    *,
    max_age: int,
    secure: bool,
) -> StoredChoice:
    """Read the visitor's choice. `sites` are those whose choices are this one's: its own, and with
    a cookie domain the others that share it. `max_age` is how long a choice lasts under the present
    config, in seconds: one made when it was longer ends with it.

    Where `cookie_domain` or the scheme was changed, refusals under the cookie's former names hold
    until the visitor chooses anew.
    """
    name = cookie_name(domain, secure=secure)
    if _IN_ALL_NAMES not in cookie_header:
        return NO_CHOICE
    if len(cookie_header) > _MAX_HEADER:
        return StoredChoice(unreadable=Unreadable.DAMAGED)
    tokens = list(dict.fromkeys(values_in(cookie_header, name)))
    signed, unreadable = _signed(tokens, keys)
    if signed:
        found = [_dated(one, sites, now, max_age) for one in signed]
        chosen = strictest([choice for choice, _ in found])
        return StoredChoice(chosen, None, min(until for _, until in found), len(tokens) > 1)
    if unreadable is not None:
        return StoredChoice(unreadable=unreadable, several=len(tokens) > 1)
    # Not ours any more: an unreadable one may be another application's cookie of that name.
    others = [v for other in _NAMES if other != name for v in values_in(cookie_header, other)]
    if others:
        signed, _ = _signed(list(dict.fromkeys(others)), keys)
        found = [_dated(one, sites, now, max_age) for one in signed if one.site in sites]
        chosen = strictest([replace(choice, lapsed=True) for choice, _ in found])
        return StoredChoice(chosen, until=min((until for _, until in found), default=inf))
    return NO_CHOICE


def _signed(tokens: Sequence[str], keys: KeyRing) -> tuple[list[SignedChoice], Unreadable | None]:
    """The validly signed tokens, and what is wrong with the rest where there is none."""
    found = [known for token in tokens if (known := keys.remembered(token)) is not None]
    wrong: Unreadable | None = None
    checks = 0
    for token in tokens:
        if keys.remembered(token) is not None:
            continue
        rejected = keys.rejection(token)
        if rejected is None and checks < _MAX_CHECKS:
            checks += 1
            read = keys.read(token)
            if read is not None:
                found.append(read)
                continue
        if wrong is None or wrong is Unreadable.DAMAGED:
            wrong = rejected or Unreadable.DAMAGED
    return found, wrong


def _dated(
    signed: SignedChoice, sites: Collection[str], now: float, max_age: int
) -> tuple[Preferences, float]:
    """The state of a choice at `now`, and until when it holds."""
    chosen = signed.preferences
    ends = min(chosen.expires_at, chosen.made_at + max_age)
    begins = chosen.made_at - CLOCK_SKEW_SECONDS
    lapsed = signed.site not in sites or not begins <= now < ends
    if lapsed or ends != chosen.expires_at:
        chosen = replace(chosen, expires_at=ends, lapsed=lapsed, ask_again=now >= ends)
    until = next((moment for moment in (begins, ends) if now < moment), inf)
    return chosen, until
