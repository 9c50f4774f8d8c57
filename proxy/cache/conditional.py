"""Conditional and range requests, evaluated against a stored response (RFC 9110, 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from multidict import CIMultiDict, MultiMapping

from proxy.cache.dates import http_date
from proxy.http.representation import OF_REPRESENTATION, remove_fields

_TAG = re.compile(r'\s*((?:[Ww]/)?"[^"]*"|[^\s,"]+)\s*(?:,|\Z)')
_RANGE = re.compile(r"\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*\Z", re.IGNORECASE | re.ASCII)


def opaque_tag(tag: str) -> str:
    """The opaque-tag of an entity tag, without the weakness mark."""
    tag = tag.strip()
    return tag[2:] if tag[:2] in {"W/", "w/"} else tag


def is_weak(tag: str) -> bool:
    return tag.strip()[:2] in {"W/", "w/"}


def tags_in(value: str) -> list[str]:
    """The entity tags of a list, up to the first malformed one."""
    found: list[str] = []
    at = 0
    while at < len(value):
        match = _TAG.match(value, at)
        if match is None:
            break
        found.append(match[1])
        at = match.end()
    return found


def not_modified(request: MultiMapping[str], stored: MultiMapping[str], now: float) -> bool:
    """Whether the visitor's condition makes the response a 304. If-None-Match takes precedence (RFC
    9110, 13.2.2).
    """
    if "If-None-Match" in request:
        value = ",".join(request.getall("If-None-Match"))
        if value.strip() == "*":
            return True
        tag = stored.get("ETag")
        # Compared weakly: the meaning is the same, even where the bytes are not.
        return tag is not None and opaque_tag(tag) in {opaque_tag(t) for t in tags_in(value)}
    if "If-Modified-Since" not in request:
        return False
    since = http_date(request["If-Modified-Since"], now)
    changed = http_date(stored.get("Last-Modified", "") or stored.get("Date", ""), now)
    return since is not None and changed is not None and changed <= since


def headers_of_304(headers: CIMultiDict[str]) -> None:
    """Remove the fields that a 304 does not have."""
    remove_fields(headers, OF_REPRESENTATION)


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` to `end` (exclusive) of a representation."""

    start: int
    end: int


def wanted_part(
    request: MultiMapping[str], stored: MultiMapping[str], size: int, now: float
) -> Part | bool | None:
    """The single range of a request. None: the whole (no range, an invalid one, several, or an
    If-Range that does not match). False: unsatisfiable (416).
    """
    if "Range" not in request:
        return None
    match = _RANGE.match(",".join(request.getall("Range")))
    if match is None or not (match[1] or match[2]) or len(match[0]) > 60:
        return None
    if "If-Range" in request and not _same_for_range(request["If-Range"], stored, now):
        return None
    if not match[1]:
        length = int(match[2])
        return Part(max(0, size - length), size) if length and size else False
    start = int(match[1])
    last = int(match[2]) if match[2] else size - 1
    if match[2] and last < start:
        return None
    if start >= size:
        return False
    return Part(start, min(last + 1, size))


def _same_for_range(condition: str, stored: MultiMapping[str], now: float) -> bool:
    """Parts may be joined only when the bytes are the same: strong comparison."""
    condition = condition.strip()
    if condition.startswith('"'):
        return condition == stored.get("ETag", "").strip()
    modified = stored.get("Last-Modified", "")
    when, asked = http_date(modified, now), http_date(condition, now)
    sent = http_date(stored.get("Date", ""), now)
    # A file may change twice within one second (RFC 9110, 8.8.2.2).
    return when is not None and when == asked and sent is not None and sent - when >= 1


def validators(stored: MultiMapping[str]) -> dict[str, str]:
    """The conditional fields that validate a stored response with the upstream."""
    conditions: dict[str, str] = {}
    if "ETag" in stored:
        conditions["If-None-Match"] = stored["ETag"]
    if "Last-Modified" in stored:
        conditions["If-Modified-Since"] = stored["Last-Modified"]
    return conditions


CONDITIONAL = ("If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range")
