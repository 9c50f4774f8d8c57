"""HTTP dates (RFC 9110, 5.6.7), parsed strictly.

A date that is not exactly in one of the three formats is no date: an `Expires` of that kind
means "already expired" (RFC 9111, 5.3), so a lenient parser would store what must not be stored.
"""

from __future__ import annotations

import calendar
import re
from email.utils import formatdate
from functools import lru_cache

from consent_rules.lazy_pattern import lazy_pattern

_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_DAYS = "mon|tue|wed|thu|fri|sat|sun"
_LONG_DAYS = "monday|tuesday|wednesday|thursday|friday|saturday|sunday"
_TIME = r"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
_FORMATS = tuple(
    lazy_pattern(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        rf"(?:{_DAYS}), (?P<d>\d\d) (?P<mon>[a-z]{{3}}) (?P<y>\d{{4}}) {_TIME} gmt",
        rf"(?:{_LONG_DAYS}), (?P<d>\d\d)-(?P<mon>[a-z]{{3}})-(?P<y>\d\d) {_TIME} gmt",
        rf"(?:{_DAYS}) (?P<mon>[a-z]{{3}}) (?P<d>[ \d]\d) {_TIME} (?P<y>\d{{4}})",
    )
)
_MAX_LENGTH = 40


def http_date(text: str, now: float) -> float | None:
    """Seconds since 1970, or None when the text is no HTTP date.

    `now` decides the century of a two-digit year: more than 50 years in the future means the past.
    """
    # A day is exact enough for the century, and lets equal texts be remembered.
    return _parsed(text, int(now // 86400)) if len(text) <= _MAX_LENGTH else None


@lru_cache(maxsize=1024)
def _parsed(text: str, day: int) -> float | None:
    for form in _FORMATS:
        match = form.fullmatch(text.strip())
        if match is None:
            continue
        month = _MONTHS.get(match["mon"].lower())
        hour, minute, second = int(match["h"]), int(match["m"]), int(match["s"])
        date = int(match["d"])
        # A leap second is a valid 60 (RFC 9110).
        if month is None or hour > 23 or minute > 59 or second > 60:
            return None
        year = int(match["y"])
        if len(match["y"]) == 2:
            this_year = 1970 + int(day / 365.2425)
            year += this_year - this_year % 100
            if year > this_year + 50:
                year -= 100
        if year < 1 or not 1 <= date <= calendar.monthrange(year, month)[1]:
            return None
        return float(calendar.timegm((year, month, date, hour, minute, second)))
    return None


def as_http_date(seconds: float) -> str:
    """The date as an IMF-fixdate."""
    return formatdate(seconds, usegmt=True)
