"""A 304 with the fields of the last one: the stored response is renewed in its place.

An origin that asks to be asked each time (`no-cache`) says the same for weeks, but for the date.
What was made of the entry is as good as before, and nothing is to be judged or stored anew.
"""

from __future__ import annotations

from multidict import CIMultiDict

from proxy.cache.dates import as_http_date, http_date
from proxy.cache.policy import initial_age
from proxy.cache.store import Confirmation, Entry, Store


def confirmation_of(headers: CIMultiDict[str]) -> Confirmation:
    """The end-to-end fields of a response that are the same whenever it is sent."""
    return tuple([field for field in headers.items() if field[0].lower() != "date"])


def may_renew(entry: Entry, headers: CIMultiDict[str]) -> bool:
    """Whether a 304 that says what this one did, which the entry was updated by, will change
    nothing else. An entry that is used without asking has replies that end with its freshness; a
    cookie is for one visitor.
    """
    return entry.policy.no_cache and not ("Set-Cookie" in headers or "Set-Cookie2" in headers)


def renew(
    store: Store,
    entry: Entry,
    confirmation: Confirmation,
    headers: CIMultiDict[str],
    asked: tuple[float, float],
    now: float,
) -> bool:
    """Renew an entry by a 304, with `confirmation` in its fields. False where that is news, or the
    entry no longer valid. `asked` is when it was asked for (since 1970, and CLOCK_MONOTONIC).
    """
    if entry.confirmation is None or entry.confirmation != confirmation:
        return False
    date = headers.get("Date", "")
    if http_date(date, now) is None:
        date = as_http_date(now)
    return store.renew(entry, date, now - initial_age(headers, asked[0], now), asked[1])
