"""What the other proxies need to know to do the same gating: hosts, signatures, banner, policy."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from bench.load import Request, fetch
from bench.processes import Server
from bench.proxy import HOST, VENDORS
from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import load_config
from proxy.review.preview import preview_request, rewrite_page

_EMPTY = b"<!doctype html><html><head></head><body></body></html>"


def write_table(folder: Path, ours: Server, config: Path) -> Path:
    """Write `table.json`. `ours` is a running consent-proxy with its `config`.

    Every host of the catalogue, as we know them; signatures of inline scripts only of the approved
    vendors: to search for 2,700 texts one after the other would be unfair to who has no better way.
    """
    reply = fetch(ours, Request("html", "", "/page.html", {"Host": HOST}))
    url = f"http://127.0.0.1:{ours.port}/.consent/jwks.json"
    request = urllib.request.Request(url, headers={"Host": HOST})
    with urllib.request.urlopen(request, timeout=10) as response:
        jwk = json.load(response)["keys"][0]
    head, foot = _markup(config)
    hosts: dict[str, str] = {}
    for vendor in catalogue().values():
        for pattern in vendor.hosts:
            host = pattern.partition("/")[0]
            if host.startswith("*."):
                hosts.setdefault(host[1:], vendor.id)
            hosts.setdefault(host.removeprefix("*."), vendor.id)
    known = [catalogue()[name] for name in VENDORS]
    table: dict[str, Any] = {
        "own": HOST,
        "hosts": hosts,
        "categories": {vendor.id: vendor.category for vendor in known},
        "inline": {vendor.id: vendor.inline for vendor in known},
        "policy": reply.headers["content-security-policy"],
        "head": head,
        "foot": foot,
        "jwk": {name: jwk[name] for name in ("kty", "crv", "x")},
    }
    path = folder / "table.json"
    path.write_text(json.dumps(table))
    return path


def _markup(config: Path) -> tuple[str, str]:
    """Our own part of a page that nobody has decided on."""
    import datetime

    today = datetime.datetime.now(datetime.UTC).date()
    loaded = load_config(config.read_text(), str(config), today=today).config
    question = preview_request(
        loaded, f"http://{HOST}/", accept=None, gpc=False, region="", today=today
    )
    page = rewrite_page(
        question, _EMPTY, "text/html; charset=utf-8", language="", bare=False
    ).decode()
    head = page.partition("<head>")[2].partition("</head>")[0]
    return head, page.partition("<body>")[2].rpartition("</body>")[0]
