"""The same gating for mitmproxy, as its users write it: expressions over the whole body.

Loaded by mitmdump, in its own environment: nothing of this project is imported.
"""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_TABLE: dict[str, Any] = json.loads(Path(os.environ["BENCH_TABLE"]).read_text())
_HOSTS: dict[str, str] = _TABLE["hosts"]
_ELEMENTS = re.compile(
    r"<(script)\b([^>]*)>(.*?)</script\s*>|<(iframe)\b([^>]*)>.*?</iframe\s*>|<(?:img|link)\b([^>]*)>",
    re.IGNORECASE | re.DOTALL,
)
_ADDRESS = re.compile(r"\b(?:src|href)\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)


def _owner(url: str) -> str | None:
    host = urlsplit(url).hostname
    if not host or host == _TABLE["own"]:
        return None
    at = -1
    if host in _HOSTS:
        return _HOSTS[host]
    while (at := host.find(".", at + 1)) >= 0:
        if host[at:] in _HOSTS:
            return _HOSTS[host[at:]]
    return "?"


def _open(cookie: str) -> set[str]:
    # Without a check of the signature: mitmproxy's environment has no key of ours.
    found = re.search(r"(?:^|; )consent=[^.;]+\.([^.;]+)\.", cookie)
    if found is None:
        return set()
    allowed = json.loads(base64.urlsafe_b64decode(found[1] + "=="))["c"]
    return {vendor for vendor, category in _TABLE["categories"].items() if category in allowed}


def response(flow: Any) -> None:
    answer = flow.response
    if not answer.headers.get("content-type", "").startswith("text/html"):
        return
    is_open = _open(flow.request.headers.get("cookie", ""))

    answer.decode()

    def held(match: re.Match[str]) -> str:
        address = _ADDRESS.search(match[2] or match[5] or match[6] or "")
        if address is not None:
            who = _owner(address[1])
            return match[0] if who is None or who in is_open else ""
        for vendor, texts in _TABLE["inline"].items():
            if vendor not in is_open and match[3] and any(text in match[3] for text in texts):
                return ""
        return match[0]

    text = _ELEMENTS.sub(held, answer.text)
    text = text.replace("<head>", f"<head>{_TABLE['head']}", 1)
    answer.text = text.replace("</body>", f"{_TABLE['foot']}</body>", 1)
    answer.headers["content-security-policy"] = _TABLE["policy"]
    answer.headers["cache-control"] = "private, no-cache"
    for name in ("etag", "last-modified"):
        answer.headers.pop(name, None)
    answer.encode("gzip")
