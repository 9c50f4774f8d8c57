"""The plain HTTP listener beside TLS: redirects to HTTPS, and ACME challenges."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import hdrs, web

from consent_rules.matching.urls import host_of_authority
from proxy.http.access_record import REQUEST_ID
from proxy.http.error_pages import error_response
from proxy.http.handler import Handler
from proxy.http.targets import requested_host, split_target

UPSTREAM = "upstream"
"""In place of a folder of challenges: the site's upstream answers them."""
_CHALLENGE = "/.well-known/acme-challenge/"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}")
_MAX_CHALLENGE = 4096


@dataclass(frozen=True, slots=True)
class RedirectRules:
    """`serves` says whether a host is a site's. `challenges` is a folder, UPSTREAM, or ""."""

    serves: Callable[[str], bool]
    https_port: int
    challenges: Path | str


def redirect_handler(rules: Callable[[], RedirectRules], forward: Handler) -> Handler:
    """The handler of the plain listener. `forward` passes a request to the site's upstream."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        now = rules()
        host = host_of_authority(requested_host(request))
        if not host or not now.serves(host):
            return error_response(request, 421, request.get(REQUEST_ID, ""))
        target = split_target(request.raw_path).path
        if now.challenges and target.startswith(_CHALLENGE):
            if now.challenges == UPSTREAM and _TOKEN.fullmatch(target.removeprefix(_CHALLENGE)):
                return await forward(request)
            if now.challenges == UPSTREAM:  # another page, by a detour
                return error_response(request, 404, request.get(REQUEST_ID, ""))
            answer = await asyncio.to_thread(_challenge, Path(now.challenges), target)
            if answer is None:
                return error_response(request, 404, request.get(REQUEST_ID, ""))
            return web.Response(body=answer, content_type="application/octet-stream")
        return _to_https(request.method, host, now.https_port, target)

    return handle


def _to_https(method: str, host: str, port: int, target: str) -> web.Response:
    """301 for what every client repeats as it was, 308 for the rest: after a 301 browsers make a
    GET of a POST (RFC 9110, 15.4.2).
    """
    status = 301 if method in (hdrs.METH_GET, hdrs.METH_HEAD) else 308
    authority = host if port == 443 else f"{host}:{port}"
    return web.Response(status=status, headers={"Location": f"https://{authority}{target}"})


def _challenge(folder: Path, target: str) -> bytes | None:
    """What the ACME client wrote for a token (RFC 8555, 8.3); None where there is nothing."""
    token = target.removeprefix(_CHALLENGE)
    if not _TOKEN.fullmatch(token):
        return None
    try:
        # No link, which may lead anywhere: a client writes plain files.
        opened = os.open(
            folder / _CHALLENGE.strip("/") / token, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        )
    except OSError:
        return None
    try:
        return os.read(opened, _MAX_CHALLENGE)
    except OSError:
        return None
    finally:
        os.close(opened)
