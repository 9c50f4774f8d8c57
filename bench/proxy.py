"""consent-proxy under test: its config, its process, and a preference cookie made by itself."""

from __future__ import annotations

import contextlib
import http.client
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from bench.processes import Server, free_port, runtime

HOST = "localhost"

NAME = "consent-proxy"

# Everything that is on by default is on: access log (into a file), metrics, cache.
_CONFIG = """
[proxy]
listen = "127.0.0.1:{port}"
workers = {workers}
admin_listen = "127.0.0.1:{admin_port}"
access_log = true
max_page_bytes = 16000000
stream_page_bytes = {stream_page_bytes}
discovered = "{folder}/discovered.db"

[policy]
controller = "Benchmark"
version = "1"
url = "/privacy"
regime = "opt_in"

[preferences]
keys = "{folder}/keys/"

[[site]]
name = "www"
hosts = ["{host}"]
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"
"""

_OTHER_SITE = """
[[site]]
name = "site-{n}"
hosts = ["site-{n}.example"]
upstream = "http://127.0.0.1:{origin}"
audience = "marketing"
"""

_RECEIPTS = """
[receipts]
store = "{store}"
"""

_STORE = "sqlite:///{folder}/receipts.db"
_TAG = """
[[tag]]
vendor = "{vendor}"
sites = ["www"]
pages = ["/*"]
approved_by = "bench@example.com"
approved_on = 2025-01-01
expires = 2099-01-01
"""

VENDORS = (
    "google-tag-manager",
    "google-analytics",
    "meta-pixel",
    "linkedin-insight",
    "hotjar",
    "youtube",
)


# Vendors nobody has heard of, each with a host, a signature and a cookie.
_MADE_UP = """
[[vendor]]
id = "made-up-{n}"
name = "Made Up {n}"
category = "{category}"
hosts = ["*.made-up-{n}.example"]
inline = ["MadeUp{n}.start("]
cookies = ["made_up_{n}_*"]
policy_url = "https://made-up-{n}.example/privacy"
"""
_CATEGORIES = ("functional", "analytics", "session_replay", "advertising", "social")


def config_file(folder: Path) -> Path:
    """Where `consent_proxy` writes the config."""
    return folder / "consent-proxy.toml"


def config_text(
    folder: Path,
    port: int,
    origin_port: int,
    *,
    workers: int = 1,
    sites: int = 1,
    stream_page_bytes: int = 262_144,
    store: str = _STORE,
) -> str:
    """The config of the measurements, with the vendors of the page as tags."""
    text = _CONFIG.format(
        port=port, admin_port=free_port(), folder=folder, host=HOST, origin=origin_port,
        workers=workers, stream_page_bytes=stream_page_bytes,
    )  # fmt: skip
    text += "".join(_OTHER_SITE.format(n=n, origin=origin_port) for n in range(1, sites))
    if store:
        text += _RECEIPTS.format(store=store.format(folder=folder))
    return text + "".join(_TAG.format(vendor=vendor) for vendor in VENDORS)


@contextlib.contextmanager
def consent_proxy(
    folder: Path,
    origin_port: int,
    *,
    workers: int = 1,
    rules: int = 0,
    sites: int = 1,
    stream_page_bytes: int = 262_144,
    store: str = _STORE,
) -> Iterator[Server]:
    """`folder` is made. `rules` are vendors and tags made up, beside those of the page. All
    requests go to one of the `sites`. `store` is that of the receipts; "" for none.
    """
    folder.mkdir()
    port = free_port()
    text = config_text(
        folder,
        port,
        origin_port,
        workers=workers,
        sites=sites,
        stream_page_bytes=stream_page_bytes,
        store=store,
    )
    for n in range(rules):
        category = _CATEGORIES[n % len(_CATEGORIES)]
        text += _MADE_UP.format(n=n, category=category) + _TAG.format(vendor=f"made-up-{n}")
    config = config_file(folder)
    config.write_text(text)
    command = [sys.executable, "-m", "proxy", "run", "--config", str(config)]
    name = NAME if workers == 1 else f"{NAME}, {workers} workers"
    with runtime(name, command, port, folder, start_seconds=240) as server:
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
        text = reply.read(500)
    finally:
        connection.close()
    cookies = [value for name, value in reply.getheaders() if name.lower() == "set-cookie"]
    for cookie in cookies:
        pair = cookie.partition(";")[0]
        if pair.split("=")[0].endswith("consent"):
            return pair
    raise RuntimeError(
        f"POST /.consent/choice answered {reply.status} without a preference cookie: {text!r}"
    )
