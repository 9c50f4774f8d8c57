"""consent-proxy under test: its config, its process, and a preference cookie made by itself."""

from __future__ import annotations

import contextlib
import http.client
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from bench.processes import Server, free_port, running

HOST = "localhost"

# One worker, as nginx has one: CPU time a request does not depend on it, and two cores are then
# enough for the load, the origin and the server under test.
_CONFIG = """
[proxy]
listen = "127.0.0.1:{port}"
workers = 1
admin_listen = "127.0.0.1:{admin_port}"
access_log = true
discovered = "{folder}/discovered.db"

[policy]
controller = "Benchmark"
version = "1"
url = "/privacy"
regime = "opt_in"

[preferences]
keys = "{folder}/keys/"

[receipts]
store = "sqlite:///{folder}/receipts.db"

[[site]]
name = "www"
hosts = ["{host}"]
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"
"""

_TAG = """
[[tag]]
vendor = "{vendor}"
sites = ["www"]
pages = ["/*"]
approved_by = "bench@example.com"
approved_on = 2025-01-01
expires = 2099-01-01
"""

_VENDORS = (
    "google-tag-manager",
    "google-analytics",
    "meta-pixel",
    "linkedin-insight",
    "hotjar",
    "youtube",
)


@contextlib.contextmanager
def consent_proxy(folder: Path, origin_port: int) -> Iterator[Server]:
    port = free_port()
    own = folder / "consent-proxy"
    own.mkdir()
    config = own / "consent-proxy.toml"
    config.write_text(
        _CONFIG.format(port=port, admin_port=free_port(), folder=own, host=HOST, origin=origin_port)
        + "".join(_TAG.format(vendor=vendor) for vendor in _VENDORS)
    )
    command = [sys.executable, "-m", "proxy", "run", "--config", str(config)]
    with running("consent-proxy", command, port, own) as server:
        yield server


def accept_all(server: Server) -> str:
    """Choose as a visitor does, and return the `Cookie` header that the choice gives."""
    form = urllib.parse.urlencode({"action": "accept_all", "source": "banner"})
    origin = f"http://{HOST}:{server.port}"
    headers = {
        "Host": f"{HOST}:{server.port}",
        "Origin": origin,
        "Referer": f"{origin}/page.html",
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", "/.consent/choice", body=form, headers=headers)
        reply = connection.getresponse()
        said = reply.read(500)
    finally:
        connection.close()
    cookies = [value for name, value in reply.getheaders() if name.lower() == "set-cookie"]
    for cookie in cookies:
        pair = cookie.partition(";")[0]
        if pair.split("=")[0].endswith("consent"):
            return pair
    raise RuntimeError(
        f"POST /.consent/choice answered {reply.status} without a preference cookie: {said!r}"
    )
