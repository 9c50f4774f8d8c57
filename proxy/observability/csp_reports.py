"""Parse CSP violation reports."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from consent_rules.matching.urls import host_of_authority


def parse_csp_report(body: bytes) -> Iterable[tuple[str, str]]:
    """The (page, blocked URL) pairs of a CSP report, in either format that browsers send; empty for
    anything else.

    https://www.w3.org/TR/CSP3/#deprecated-serialize-violation and
    https://www.w3.org/TR/reporting-1/#serialize-reports.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    for report in found if isinstance(found, list) else [found]:
        if not isinstance(report, dict):
            continue
        inner: Any = report.get("csp-report") or report.get("body")
        if not isinstance(inner, dict):
            continue
        page = inner.get("document-uri") or inner.get("documentURL") or report.get("url")
        blocked = inner.get("blocked-uri") or inner.get("blockedURL")
        if isinstance(page, str) and isinstance(blocked, str) and "://" in blocked:
            yield page, blocked


def reported_target(url: str, host: str) -> str | None:
    """The request target of a reported page, if it is one of this host."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as "http://["
        return None
    if host_of_authority(parts.netloc) != host:
        return None
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
