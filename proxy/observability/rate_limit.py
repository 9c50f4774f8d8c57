"""A token bucket: a rate and a burst."""

from __future__ import annotations

from cachetools import LRUCache


class RateLimit:
    """A bucket for each key (such as a network)."""

    def __init__(self, *, a_second: float, at_once: float, keys: int = 10_000) -> None:
        self._a_second = a_second
        self._burst = at_once
        self._buckets: LRUCache[str, tuple[float, float]] = LRUCache(keys)

    def allow(self, key: str, now: float) -> bool:
        """Take a token; False where the bucket is empty. `now` is a monotonic clock's seconds."""
        tokens, then = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._a_second)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            return False
        self._buckets[key] = (tokens - 1, now)
        return True
