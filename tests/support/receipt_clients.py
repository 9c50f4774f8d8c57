"""Visitors who choose, and the workers that answer them."""

from __future__ import annotations

import base64
import http.client
import json
from pathlib import Path

HEADERS = {
    "Host": "www.example.com", "Sec-Fetch-Site": "same-origin",
    "Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json",
}  # fmt: skip


def choose(port: int, action: str) -> str:
    """The receipt id of a choice; "" where there was no yes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/.consent/choice", f"action={action}", HEADERS)
        reply = connection.getresponse()
        reply.read()
    except (OSError, http.client.HTTPException):
        return ""  # its worker was killed
    finally:
        connection.close()
    if reply.status != 204:
        return ""
    token = (reply.getheader("Set-Cookie") or "").partition("=")[2].partition(";")[0]
    return receipt_id_of(token)


def receipt_id_of(token: str) -> str:
    """The receipt's id in a preference cookie."""
    claims = token.split(".")[1]
    rid: str = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["rid"]
    return rid


def workers_of(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
