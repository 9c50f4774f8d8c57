"""The `Cache-Status` header: what the cache did with a request (RFC 9211)."""

from __future__ import annotations

NAME = "consent-proxy"


def hit(ttl: float, *, detail: str = "") -> str:
    """A stored response was used; a negative `ttl` means that it was stale."""
    suffix = f"; detail={detail}" if detail else ""
    return f"{NAME}; hit; ttl={int(ttl)}{suffix}"


def forwarded(
    why: str, *, status: int | None = None, stored: bool = False, collapsed: bool = False
) -> str:
    """The request was forwarded. `why` is one of RFC 9211's: bypass, method, uri-miss, vary-miss,
    miss, request, stale, partial.
    """
    parts = [NAME, f"fwd={why}"]
    if status is not None:
        parts.append(f"fwd-status={status}")
    if stored:
        parts.append("stored")
    if collapsed:
        parts.append("collapsed")
    return "; ".join(parts)
