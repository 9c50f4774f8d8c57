"""Who may see the dashboard: this machine, or who has signed in."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from cachetools import LRUCache

from consent_rules.config.load import Config
from consent_rules.config.models import MIN_TOKEN_LENGTH
from consent_rules.config.values import is_loopback, split_address
from consent_rules.matching.urls import host_of_authority
from proxy.dashboard.sessions import COOKIE, Sessions, is_token
from proxy.http.addresses import client_address, parse_address
from proxy.http.targets import requested_host
from proxy.observability.access_log import network_of
from proxy.observability.rate_limit import RateLimit

_log = logging.getLogger("consent_proxy.dashboard")

HOME = "/dashboard/"
SIGN_IN, SIGN_OUT = "/dashboard/sign-in", "/dashboard/sign-out"
_MAX_FORM = 4096
_BEARER = "bearer "
_FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
TRY_AGAIN_SECONDS = 30


class Access(StrEnum):
    """What a request may do."""

    ALLOWED = "allowed"
    SIGN_IN = "sign_in"
    """It has to sign in first."""
    LIMITED = "limited"
    """Too many wrong tokens from there, or in all."""
    CLOSED = "closed"
    """There is no token, and it is not asked from this machine."""


class TokenFileError(Exception):
    """The file of the token cannot be used. The message says why."""


@dataclass(frozen=True, slots=True)
class _Signs:
    """What sign-in reads of the config in force."""

    token: str
    session_seconds: int


class Gatekeeper:
    """Decides on the requests of one worker. `listen` is the address of the listener, as it was
    opened.
    """

    def __init__(
        self,
        listen: str,
        sessions: Sessions,
        config: Callable[[], Config],
        folder: Path,
        now: Callable[[], float] = time.time,
    ) -> None:
        host, _ = split_address(listen)
        self._local_listener = listen.startswith("unix:") or is_loopback(host)
        self._sessions = sessions
        self._config = config
        self._folder = folder
        self._now = now
        self._wrong = RateLimit(a_second=1 / TRY_AGAIN_SECONDS, at_once=5)
        self._blocked: LRUCache[str, float] = LRUCache(10_000)
        self._logged = RateLimit(a_second=1 / 3600, at_once=1)

    def access(self, request: web.BaseRequest) -> Access:
        """Whether a request may see the dashboard. Raises TokenFileError."""
        signs = self._signs()
        if not signs.token:
            return Access.ALLOWED if self._is_local(request) else Access.CLOSED
        given = request.headers.get("Authorization", "")
        if given.lower().startswith(_BEARER):
            return self._check(request, signs, given[len(_BEARER) :].strip(), " with a request")
        if self._sessions.is_open(_cookie(request), signs.token, self._now()):
            return Access.ALLOWED
        return Access.SIGN_IN

    @property
    def requires_token(self) -> bool:
        """Whether there is a token, and so a way to sign out."""
        return bool(self._signs().token)

    async def sign_in(self, request: web.BaseRequest) -> web.Response | Access:
        """The reply to a form of sign-in, or why there is none. Raises TokenFileError."""
        signs = self._signs()
        if not signs.token:
            return Access.CLOSED
        if not is_same_origin(request):
            return Access.SIGN_IN
        body = await request.content.read(_MAX_FORM + 1)
        form = parse_qs(body[:_MAX_FORM].decode("utf-8", "replace"))
        access = self._check(request, signs, "".join(form.get("token", ())).strip(), "")
        if access is not Access.ALLOWED:
            return access
        value = self._sessions.open(signs.token, self._now(), signs.session_seconds)
        reply = web.Response(status=303, headers={"Location": HOME})
        reply.set_cookie(
            COOKIE,
            value,
            max_age=signs.session_seconds,
            path="/dashboard",
            httponly=True,
            samesite="Strict",
            # What the browser itself says of how it came here.
            secure=request.headers.get("Origin", "").startswith("https://"),
        )
        return reply

    def sign_out(self, request: web.BaseRequest) -> web.Response | None:
        """End a session; None where another site's page asks for it. Raises TokenFileError."""
        if not is_same_origin(request):
            return None
        self._sessions.end(_cookie(request), self._signs().token, self._now())
        _log.info("dashboard: signed out, from %s", self._client(request))
        reply = web.Response(status=303, headers={"Location": SIGN_IN})
        reply.del_cookie(COOKIE, path="/dashboard", httponly=True, samesite="Strict")
        return reply

    def _check(self, request: web.BaseRequest, signs: _Signs, given: str, how: str) -> Access:
        client = self._client(request)
        network, now = network_of(client), time.monotonic()
        if self._blocked.get(network, 0.0) > now:
            return Access.LIMITED
        if is_token(given, signs.token):
            # A program that comes every minute is logged once an hour.
            if not how or self._logged.allow(client, now):
                _log.info("dashboard: signed in%s, from %s", how, client)
            return Access.ALLOWED
        if self._wrong.allow(network, now):
            _log.warning("dashboard: wrong token, from %s", client)
            return Access.SIGN_IN
        self._blocked[network] = now + TRY_AGAIN_SECONDS
        _log.warning(
            "dashboard: too many wrong tokens; %s is not asked for %d s, last from %s",
            network or "a Unix socket",
            TRY_AGAIN_SECONDS,
            client,
        )
        return Access.LIMITED

    def _client(self, request: web.BaseRequest) -> str:
        return client_address(request, self._config().proxy.trusted_proxies) or "a Unix socket"

    def _is_local(self, request: web.BaseRequest) -> bool:
        """Whether a request comes from this machine, and not through a server on it."""
        if not self._local_listener or any(name in request.headers for name in _FORWARDING):
            return False
        host = host_of_authority(requested_host(request))
        return host == "localhost" or (
            parse_address(host) is not None and is_loopback(host.strip("[]"))
        )

    def _signs(self) -> _Signs:
        settings = self._config().dashboard
        seconds = settings.session_minutes * 60
        if not settings.token_file:
            return _Signs(settings.token, seconds)
        path = self._folder / settings.token_file
        try:
            with path.open(encoding="utf-8") as file:
                token = file.read(_MAX_FORM).strip()
        except (OSError, ValueError) as error:
            raise TokenFileError(f"{path}: the token cannot be read ({error})") from error
        if len(token) < MIN_TOKEN_LENGTH:
            raise TokenFileError(f"{path}: a token has {MIN_TOKEN_LENGTH} characters or more")
        return _Signs(token, seconds)


def is_same_origin(request: web.BaseRequest) -> bool:
    """Whether a form comes from a page of this listener: browsers send `Origin` with each."""
    origin = urlsplit(request.headers.get("Origin", ""))
    return bool(origin.netloc) and origin.netloc.lower() == requested_host(request).lower()


def _cookie(request: web.BaseRequest) -> str:
    try:
        found = SimpleCookie(request.headers.get("Cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
