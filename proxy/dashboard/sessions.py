"""Sign-in: a token, and the session that it opens.

A session is a cookie with its end and a random number, signed with a key made of the token and of a
secret that lives as long as the process: another token or a restart ends all of them. Any worker
can check one. Those that were signed out are listed in memory that all workers share.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import mmap
import secrets

COOKIE = "consent_proxy_dashboard"

_NONCE = 12
_END = 8
_MAC = 32
_SLOTS = 4096


class Sessions:
    """Made before the workers are forked."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._ended = mmap.mmap(-1, _SLOTS * _NONCE)

    def open(self, token: str, now: float, seconds: int) -> str:
        """The cookie's value for a session of so many seconds."""
        head = int(now + seconds).to_bytes(_END) + secrets.token_bytes(_NONCE)
        return base64.urlsafe_b64encode(head + self._mac(token, head)).decode()

    def is_open(self, value: str, token: str, now: float) -> bool:
        """Whether a cookie's value is a session that was opened with this token, and has not
        ended.
        """
        read = _read(value)
        if read is None:
            return False
        head, mac = read
        if not hmac.compare_digest(mac, self._mac(token, head)):
            return False
        nonce = head[_END:]
        return now < int.from_bytes(head[:_END]) and self._slot(nonce) != nonce

    def end(self, value: str, token: str, now: float) -> None:
        """Sign out. Does nothing for what is no session."""
        if self.is_open(value, token, now):
            nonce = base64.urlsafe_b64decode(value)[_END : _END + _NONCE]
            at = _place(nonce)
            self._ended[at : at + _NONCE] = nonce

    def _slot(self, nonce: bytes) -> bytes:
        at = _place(nonce)
        return self._ended[at : at + _NONCE]

    def _mac(self, token: str, head: bytes) -> bytes:
        key = hmac.digest(self._secret, token.encode(), "sha256")
        return hmac.digest(key, head, "sha256")


def is_token(given: str, token: str) -> bool:
    """Whether the right token was given, in a time that tells nothing of it."""
    return hmac.compare_digest(_digest(given), _digest(token))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _read(value: str) -> tuple[bytes, bytes] | None:
    """What is signed, and its signature."""
    if len(value) > 200:
        return None
    try:
        data = base64.b64decode(value.encode("ascii"), altchars=b"-_", validate=True)
    except ValueError:
        return None
    size = _END + _NONCE
    return (data[:size], data[size:]) if len(data) == size + _MAC else None


def _place(nonce: bytes) -> int:
    return int.from_bytes(nonce[:4]) % _SLOTS * _NONCE
