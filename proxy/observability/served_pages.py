"""Served pages and their audience, against which CSP reports are checked.

Anybody can send a CSP report, and any worker may receive it. So this table is in memory that all
workers share: it is made before they are forked. A page is added when it is rendered for the first
visitor of a kind, not for each request.

A page is a 64-bit number: a keyed hash, so that nobody can choose paths that overwrite a certain
page. It may stand in one of eight slots; where all are taken, one of them is overwritten. Two
workers that write to one slot at the same moment lose a page, nothing else.
"""

from __future__ import annotations

import mmap
import secrets
from hashlib import blake2b

from consent_rules.categories import Audience
from proxy.http.recent import Recent

_WAYS = 8
_BUCKETS = 1 << 13
MAX_PAGES = _BUCKETS * _WAYS
_WORD = 8
_REMEMBERED, _LONGEST = 2048, 256
"""Pages whose number is not made anew, and characters of their paths."""


class ServedPages:
    """Shared by the workers that are forked after it is made."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, MAX_PAGES * _WORD)).cast("Q")
        self._key = secrets.token_bytes(16)
        self._numbers: Recent[int] = Recent(_REMEMBERED)

    def add(self, site: str, path: str, audience: Audience) -> None:
        """Record that a page was sent. `path` is raw, without query. A page that was once a patient
        page remains one.
        """
        page = self._number(site, path)
        patient = audience is Audience.PATIENT
        at = self._place(page)
        if at is not None:
            if patient:
                self._words[at] = page | 1
            return
        first = self._first(page)
        free = [at for at in range(first, first + _WAYS) if not self._words[at]]
        at = free[0] if free else first + (page >> 1) % _WAYS
        self._words[at] = page | patient

    def audience(self, site: str, path: str) -> Audience | None:
        """The audience of a page; None where it was not sent, or was overwritten."""
        at = self._place(self._number(site, path))
        if at is None:
            return None
        return Audience.PATIENT if self._words[at] & 1 else Audience.MARKETING

    def _number(self, site: str, path: str) -> int:
        """A page's number: even, and never 0. The last bit of a word holds the audience."""
        known = self._numbers.get((site, path))
        if known is None:
            known = self._made_number(site, path)
            if len(path) <= _LONGEST:
                self._numbers.put((site, path), known)
        return known

    def _made_number(self, site: str, path: str) -> int:
        text = f"{site}\0{path}".encode("utf-8", "surrogatepass")
        digest = blake2b(text, digest_size=_WORD, key=self._key).digest()
        return int.from_bytes(digest, "little") & ~1 or 2

    def _place(self, page: int) -> int | None:
        first = self._first(page)
        for at in range(first, first + _WAYS):
            if self._words[at] & ~1 == page:
                return at
        return None

    def _first(self, page: int) -> int:
        return (page >> 51) * _WAYS
