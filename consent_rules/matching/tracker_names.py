"""Names of hosts behind which sites often have a tracker, though the domain is their own."""

from __future__ import annotations

_LABELS = frozenset({
    "analytics", "beacon", "collect", "collector", "data", "events", "gtm", "log", "logs", "matomo",
    "metrics", "mtm", "piwik", "pixel", "plausible", "px", "rum", "sgtm", "smetrics", "ss", "sst",
    "stat", "stats", "t", "tag", "tags", "telemetry", "track", "tracker", "tracking", "trk",
})  # fmt: skip


def tracker_label(host: str) -> str:
    """The first label of a host without numbers, where it is one of trackers; else ""."""
    label = host.partition(".")[0].rstrip("0123456789")
    return label if label in _LABELS else ""
