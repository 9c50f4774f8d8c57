"""Choices as forms send them, and as the cookie holds them."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

from consent_rules.preferences import Preferences
from tests.support.site import HOST, Answer, Proxied

OWN = "Sec-Fetch-Site: same-origin"
FORM = "Content-Type: application/x-www-form-urlencoded"


async def post(
    site: Proxied,
    fields: dict[str, Any] | bytes,
    *headers: str,
    cookie: str = "",
    own: str = OWN,
    host: str = HOST,
    path: str = "/choice",
) -> Answer:
    body = fields if isinstance(fields, bytes) else urlencode(fields, doseq=True).encode()
    sent = [FORM, *filter(None, [own]), *headers]
    return await site.ask(
        f"/.consent{path}", *sent, method="POST", body=body, host=host, cookie=cookie, dest=""
    )


def stored(site: Proxied, answer: Answer) -> Preferences:
    (value,) = [v for v in answer.all("Set-Cookie") if v.startswith("consent=")]
    token = value.removeprefix("consent=").partition(";")[0]
    found = site.running.keys.verify(token, "www", time.time())
    assert found is not None
    return found
