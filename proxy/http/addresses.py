"""Client addresses: trusted peers and `X-Forwarded-For`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web
from multidict import CIMultiDictProxy, istr

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

X_FORWARDED_FOR = istr("X-Forwarded-For")


_MAX_ADDRESS = 100
"""Characters: IPv6 in full with brackets, a zone, a port and quotes takes fewer."""


def peer_is_trusted(request: web.BaseRequest, trusted: Sequence[Network]) -> bool:
    """Whether the peer's X-Forwarded-* fields are trusted. A Unix socket's peers are: its file mode
    decides who may connect.
    """
    return address_is_trusted(request.remote or "", tuple(trusted))


@lru_cache(maxsize=4096)
def address_is_trusted(peer: str, trusted: tuple[Network, ...]) -> bool:
    """`peer_is_trusted` of an address; "" is the peer of a Unix socket."""
    if not peer:
        return True
    address = parse_address(peer)
    return address is not None and _within(address, trusted)


def client_address(request: web.BaseRequest, trusted: Sequence[Network]) -> str:
    """The address of a request's visitor, as `address_behind` finds it."""
    return address_behind(request.remote or "", request.headers, trusted)


def address_behind(peer: str, headers: CIMultiDictProxy[str], trusted: Sequence[Network]) -> str:
    """The visitor's address: X-Forwarded-For read from the right, as far as its hops are trusted.

    Each hop was written by the one to its right, so reading stops at the first hop that is not a
    trusted proxy (that is the visitor) or no address (then the hop before it is the last known
    one). "" when nothing is known: a Unix socket whose peer forwards no address.
    """
    nearest = parse_address(peer)
    if nearest is not None and not _within(nearest, trusted):
        return str(nearest)
    if nearest is None and peer:
        return ""
    known = nearest
    hops = ",".join(headers.getall(X_FORWARDED_FOR, ())).split(",")
    for hop in reversed(hops):
        address = parse_address(hop)
        if address is None:
            break
        known = address
        if not _within(address, trusted):
            break
    return "" if known is None else str(known)


def parse_address(text: str) -> Address | None:
    """An IP address as proxies write it: with port, brackets or zone; IPv4-mapped becomes IPv4."""
    text = text.strip()
    return _parsed(text) if len(text) <= _MAX_ADDRESS else None


def address_text(text: str) -> str:
    """An IP address in normal form; "" for what is none."""
    return _text(text) if len(text) <= _MAX_ADDRESS else _made_text(text)


def _made_text(text: str) -> str:
    address = parse_address(text)
    return "" if address is None else str(address)


_text = lru_cache(maxsize=4096)(_made_text)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    text = text.strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
