"""Caches as yardsticks: nginx `proxy_cache`, Varnish, HAProxy, and Caddy, which has no cache.

Each serves one page with gzip and rewrites nothing. Where the server can store the compressed form
it does; Caddy compresses each response. Access logs are on where they go to a file; Varnish writes
its own to shared memory. A peer that is not installed is left out: only the tests' servers are
fetched, since Debian's packages start what they install.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import nginx
from bench.processes import MissingPeerError, Server, free_port, runtime

VARNISH = "Varnish"
HAPROXY = "HAProxy"
CADDY = "Caddy, no cache"

_VCL = """
vcl 4.1;
backend default { .host = "127.0.0.1"; .port = "%d"; }
sub vcl_backend_response { set beresp.do_gzip = true; }
"""

_HAPROXY = """
global
    maxconn 8192
    nbthread 1
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    timeout connect 5s
    timeout client 300s
    timeout server 30s
cache pages
    total-max-size 64
    max-object-size 1000000
    max-age 600
    process-vary on
frontend visitors
    bind 127.0.0.1:{port}
    http-request cache-use pages
    http-response cache-store pages
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"""


@contextlib.contextmanager
def varnish(folder: Path, origin_port: int) -> Iterator[Server]:
    """Raises MissingPeerError where it is not installed."""
    program = _program("varnishd")
    own, port = folder / "varnish", free_port()
    own.mkdir()
    (own / "pages.vcl").write_text(_VCL % origin_port)
    command = [
        program, "-F", "-j", "none", "-n", str(own / "state"), "-f", str(own / "pages.vcl"),
        "-a", f"127.0.0.1:{port}", "-s", "malloc,64m",
    ]  # fmt: skip
    with runtime(VARNISH, command, port, own) as server:
        yield server


@contextlib.contextmanager
def haproxy(folder: Path, origin_port: int) -> Iterator[Server]:
    """Raises MissingPeerError where it is not installed."""
    program = _program("haproxy")
    own, port = folder / "haproxy", free_port()
    own.mkdir()
    (own / "haproxy.cfg").write_text(_HAPROXY.format(port=port, origin=origin_port))
    with runtime(HAPROXY, [program, "-f", str(own / "haproxy.cfg")], port, own) as server:
        yield server


@contextlib.contextmanager
def caddy(folder: Path, origin_port: int) -> Iterator[Server]:
    """Raises MissingPeerError where it is not installed."""
    program = _program("caddy")
    own, port = folder / "caddy", free_port()
    own.mkdir()
    route = {
        "handle": [
            {"handler": "encode", "encodings": {"gzip": {"level": 1}}, "prefer": ["gzip"]},
            {"handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{origin_port}"}],
             "headers": {"request": {"delete": ["Accept-Encoding"]}}},
        ]
    }  # fmt: skip
    log = {"writer": {"output": "file", "filename": str(own / "access.log")}}
    config = {
        "admin": {"disabled": True},
        "logging": {"logs": {"default": log}},
        "apps": {
            "http": {
                "servers": {
                    "pages": {
                        "listen": [f"127.0.0.1:{port}"],
                        "automatic_https": {"disable": True},
                        "routes": [route],
                        "logs": {},
                    }
                }
            }
        },
    }
    (own / "caddy.json").write_text(json.dumps(config))
    environment = {**os.environ, "XDG_DATA_HOME": str(own), "XDG_CONFIG_HOME": str(own)}
    command = [program, "run", "--config", str(own / "caddy.json")]
    with runtime(CADDY, command, port, own, environment=environment) as server:
        yield server


PEERS: tuple[Callable[[Path, int], contextlib.AbstractContextManager[Server]], ...] = (
    nginx.caching_proxy, varnish, haproxy, caddy,
)  # fmt: skip
NAMES = frozenset({nginx.CACHING, VARNISH, HAPROXY, CADDY})


def _program(name: str) -> str:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    if (found := os.environ.get(name.upper()) or shutil.which(name, path=path)) is None:
        raise MissingPeerError(f"{name} is not installed")
    return found
