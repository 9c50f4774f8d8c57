"""Vendors known by what they send, wherever they send it: a tracker that a site passes on under a
path of its own choice still speaks its vendor's format.

Each entry is the documented format of the vendor's collecting request: parameters of the query or
of a form body, each with a pattern that its value matches in full.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

_FORMATS: tuple[tuple[str, Mapping[str, re.Pattern[str]]], ...] = tuple(
    (vendor, {name: re.compile(pattern) for name, pattern in parameters.items()})
    for vendor, parameters in (
        ("google-analytics", {"v": "2", "tid": r"G-[A-Z0-9]{4,}", "en": r".+"}),
        ("google-analytics", {"v": "1", "tid": r"UA-\d+-\d+", "t": r"\w+"}),
        ("meta-pixel", {"id": r"\d{14,17}", "ev": r"\w+", "dl": r".+"}),
        ("linkedin-insight", {"v": r"\d", "pid": r"\d+", "url": r".+"}),
        ("tiktok-pixel", {"sdkid": r"[A-Z0-9]{15,}", "event": r".+"}),
        ("microsoft-ads", {"ti": r"\d{6,}", "evt": r"\w+", "mid": r"[0-9a-f-]{20,}"}),
        ("matomo", {"idsite": r"\d+", "rec": "1", "action_name": r".*"}),
    )
)


def vendor_by_format(url: str, body: str) -> str:
    """The id of the vendor whose format a request has; "" for none."""
    query = urlsplit(url).query
    if "=" not in query and "=" not in body:
        return ""
    sent = dict(parse_qsl(query, keep_blank_values=True))
    if body and len(body) < 16_384 and "=" in body:
        sent |= dict(parse_qsl(body.partition("\n")[0], keep_blank_values=True))
    for vendor, parameters in _FORMATS:
        if all(name in sent and p.fullmatch(sent[name]) for name, p in parameters.items()):
            return vendor
    return ""
