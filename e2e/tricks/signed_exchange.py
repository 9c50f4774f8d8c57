"""A signed exchange (draft-yasskin-httpbis-origin-signed-exchanges-impl, version b3).

Well formed up to its signature, which holds no proof: a browser fetches the certificate first.
"""

from __future__ import annotations

import base64
import hashlib
import time

_BODY = b"<!doctype html><p>signed"


def signed_exchange(url: str) -> bytes:
    """The exchange of a page at that https URL, whose certificate lies beside it."""
    proof = base64.b64encode(hashlib.sha256(_BODY + b"\0").digest()).decode()
    fields = {
        "digest": f"mi-sha256-03={proof}",
        ":status": "200",
        "content-type": "text/html",
        "content-encoding": "mi-sha256-03",
    }
    head = bytes([0xA0 + len(fields)])
    head += b"".join(_bytes(name) + _bytes(value) for name, value in fields.items())
    now = int(time.time())
    zeros = base64.b64encode(bytes(32)).decode()
    signature = (
        f'a;sig=*{zeros}*;integrity="digest/mi-sha256-03";cert-url="{url}.cbor";'
        f'cert-sha256=*{zeros}*;validity-url="{url}.v";date={now - 60};expires={now + 3600}'
    ).encode()
    return b"".join(
        (
            b"sxg1-b3\0",
            len(url).to_bytes(2, "big") + url.encode(),
            len(signature).to_bytes(3, "big") + len(head).to_bytes(3, "big"),
            signature + head,
            (4096).to_bytes(8, "big") + _BODY,
        )
    )


def _bytes(text: str) -> bytes:
    """A byte string of CBOR (RFC 8949, 3.1), up to 255 long."""
    length = bytes([0x40 + len(text)]) if len(text) < 24 else bytes([0x58, len(text)])
    return length + text.encode()
