"""nginx as origin and as yardsticks: plain `proxy_pass`, `sub_filter` with gzip 1, `proxy_cache`.

One instance each, so that the CPU time of one is never counted for the other. The yardsticks write
an access log, as ours does; the origin does not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from bench.page import PER_REQUEST, PER_REQUEST_NAME
from bench.processes import Server, free_port, runtime

PLAIN = "nginx plain"
REWRITING = "nginx sub_filter"
CACHING = "nginx proxy_cache"

_FRAME = """
{user}
worker_processes 1;
worker_rlimit_nofile 65536;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
    {log}
    default_type application/octet-stream;
    types {{ text/html html; text/javascript js; }}
    charset utf-8;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    keepalive_timeout 300;
    client_body_temp_path {folder}/client;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {body}
}}
"""

# Gathered before it is written, as ours is.
_LOG = "access_log {folder}/access.log combined buffer=64k flush=1s;"

# One file under several header fields. Where bodies are new each time, they come in gzip to whoever
# takes it: undoing that is part of the work.
_ORIGIN = """
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location /fresh/ {{ alias {root}/; add_header Cache-Control "public, max-age=600"; }}
        location /cacheable/ {{
            alias {root}/;
            gzip on;
            gzip_vary on;
            add_header Cache-Control "public, max-age=600";
        }}
        location /revalidated/ {{ alias {root}/; add_header Cache-Control "no-cache"; }}
        location /same/ {{
            alias {root}/;
            etag off;
            if_modified_since off;
            add_header Last-Modified "";
            add_header Cache-Control "no-store";
        }}
        location /changing/ {{
            alias {root}/;
            gzip on;
            sub_filter "{per_request}" "<!--$request_id-->";
            sub_filter "{per_request_name}" "$request_id";
            sub_filter_once off;
            sub_filter_last_modified off;
            add_header Cache-Control "no-store";
        }}
        location /cold/ {{
            alias {root}/;
            gzip on;
            sub_filter "{per_request}" "<!--$request_id-->";
            sub_filter "{per_request_name}" "$request_id";
            sub_filter_once off;
            sub_filter_last_modified off;
            add_header Cache-Control "public, max-age=600";
        }}
    }}
"""

_PROXY = """
    {shared}
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    # Room for the whole page: with the default buffers nginx writes it to a temporary file.
    proxy_buffer_size 16k;
    proxy_buffers 64 32k;
    proxy_busy_buffers_size 64k;
    proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://origin; {filters} }}
    }}
"""

# What a site owner would write by hand to do a thin part of our work: add a line to the head and
# take two known scripts out. sub_filter needs the origin's reply uncompressed.
_SUB_FILTER = """
            proxy_set_header Accept-Encoding "";
            sub_filter_once off;
            sub_filter "</head>" "<script src=/banner.js></script></head>";
            sub_filter "https://www.googletagmanager.com/gtm.js" "/empty.js";
            sub_filter "https://connect.facebook.net/en_US/fbevents.js" "/empty.js";
            gzip on;
            gzip_comp_level 1;
            gzip_proxied any;
"""


def program() -> str | None:
    """Where nginx is; Debian keeps it out of a plain user's PATH."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def origin(folder: Path, root: Path) -> Iterator[Server]:
    port = free_port()
    body = _ORIGIN.format(
        port=port, root=root, per_request=PER_REQUEST, per_request_name=PER_REQUEST_NAME
    )
    with _nginx("origin", folder, body, port, log="access_log off;") as server:
        yield server


@contextlib.contextmanager
def plain_proxy(folder: Path, origin_port: int) -> Iterator[Server]:
    port = free_port()
    body = _PROXY.format(port=port, origin=origin_port, shared="", filters="")
    with _nginx(PLAIN, folder, body, port) as server:
        yield server


@contextlib.contextmanager
def rewriting_proxy(folder: Path, origin_port: int) -> Iterator[Server]:
    port = free_port()
    body = _PROXY.format(port=port, origin=origin_port, shared="", filters=_SUB_FILTER)
    with _nginx(REWRITING, folder, body, port) as server:
        yield server


@contextlib.contextmanager
def caching_proxy(folder: Path, origin_port: int) -> Iterator[Server]:
    """It stores what the origin has compressed."""
    port = free_port()
    shared = f"proxy_cache_path {folder}/nginx-cache levels=1:2 keys_zone=pages:10m;"
    filters = "proxy_cache pages; proxy_cache_lock on;"
    body = _PROXY.format(port=port, origin=origin_port, shared=shared, filters=filters)
    with _nginx(CACHING, folder, body, port) as server:
        yield server


@contextlib.contextmanager
def _nginx(name: str, folder: Path, body: str, port: int, *, log: str = _LOG) -> Iterator[Server]:
    own = folder / name.replace(" ", "-")
    own.mkdir()
    # As root, the workers would become an account that cannot read our private folder.
    user = "user root;" if os.geteuid() == 0 else ""
    config = own / "nginx.conf"
    config.write_text(_FRAME.format(user=user, folder=own, body=body, log=log.format(folder=own)))
    nginx = program()
    if nginx is None:
        raise RuntimeError("nginx is not installed")
    # -e before the config is read: the built-in default log needs root.
    command = [nginx, "-p", str(own), "-e", str(own / "error.log"), "-c", str(config)]
    with runtime(name, command, port, own) as server:
        yield server
