"""Servers in front that `trusted_proxies` does not name: a warning for the operator."""

from __future__ import annotations

import logging

from aiohttp import web

from proxy.http.addresses import Address, parse_address

_log = logging.getLogger("consent_proxy.http")

_MAX_WARNINGS = 5
"""Of a process: anybody can send `X-Forwarded-Proto`."""


class UntrustedProxies:
    """Logs, once for each address, that a peer forwards requests without being trusted.

    Behind a server that ends TLS the visitor's scheme is then taken for `http`: the origin
    redirects to https without end, and the preference cookie has no `Secure`.
    """

    def __init__(self) -> None:
        self._seen: set[Address] = set()

    def warn(self, request: web.BaseRequest) -> None:
        """To be called for a request with X-Forwarded-Proto whose peer is not trusted."""
        address = parse_address(request.remote or "")
        if address is None or address in self._seen or len(self._seen) >= _MAX_WARNINGS:
            return
        self._seen.add(address)
        if address.is_private or address.is_link_local:
            what = f"{address} sends X-Forwarded-Proto but is not in trusted_proxies"
            line = f"{address}/{address.max_prefixlen}"
            todo = f'If that is your load balancer, add to [proxy]: trusted_proxies = ["{line}"]'
        else:
            # Perhaps a visitor: the log has no visitor's address, and nobody may trust one.
            what = "a peer on the Internet sends X-Forwarded-Proto but is not in trusted_proxies"
            todo = (
                "If your CDN or load balancer connects from there, add to [proxy]: "
                "trusted_proxies = [ the networks that it publishes ]"
            )
        _log.warning(
            "%s: its X-Forwarded-* fields are ignored. Behind TLS pages may then redirect without "
            "end, and the preference cookie is not Secure. %s",
            what, todo,
        )  # fmt: skip
