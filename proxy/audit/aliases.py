"""CNAME chains: which names the site's own hosts stand for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

AliasesOf = Callable[[str], Awaitable[tuple[str, ...]]]
"""The names that a host stands for, in the order of the chain."""

_SECONDS = 3.0
_MAX_HOSTS = 100


async def cname_chain(host: str) -> tuple[str, ...]:
    """Ask the system's resolver. () where the host has no CNAME, or there is no answer."""
    import dns.asyncresolver
    import dns.exception
    import dns.rdatatype

    try:
        answer = await dns.asyncresolver.resolve(host, "A", lifetime=_SECONDS, search=False)
    except (dns.exception.DNSException, OSError):
        return ()
    chain = []
    for records in answer.response.answer:
        if records.rdtype == dns.rdatatype.CNAME:
            chain += [str(record.target).rstrip(".").lower() for record in records]
    return tuple(chain)


async def aliases_of(hosts: Iterable[str], ask: AliasesOf) -> Mapping[str, tuple[str, ...]]:
    """The chains of the hosts that have one. Names below `localhost` and addresses have none."""
    asked = [
        host
        for host in dict.fromkeys(hosts)
        if "." in host and not host.endswith(".localhost") and not host[-1].isdigit()
    ][:_MAX_HOSTS]
    chains = await asyncio.gather(*map(ask, asked))
    return {host: chain for host, chain in zip(asked, chains, strict=True) if chain}
