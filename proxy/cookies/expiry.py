"""Expire cookies: `Set-Cookie` values that delete them for every domain and path they may have."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from consent_rules.config.checks.public_suffixes import public_suffixes

_GONE = "Max-Age=0"
# Proxies in front read 4 or 8 KB of headers by default. What is left over goes with the next page.
_MAX_EXPIRED = 4096
_MAX_DEPTH = 4
_PATH_PART = re.compile(r"[\w.~%!$&'()*+,=:@-]+", re.ASCII)


def cookie_domains(host: str) -> tuple[str, ...]:
    """The domains a script on `host` may set cookies for: the host and its parents, down to the
    one below the public suffix. Empty for an address or a bare suffix.
    """
    if not host or host.replace(".", "").isdigit() or ":" in host:
        return ()
    registrable = public_suffixes().privatesuffix(host)
    if registrable is None:
        return ()
    labels = host.split(".")
    deepest = len(labels) - len(registrable.split("."))
    return tuple(".".join(labels[start:]) for start in range(deepest + 1))


def paths_above(path: str) -> tuple[str, ...]:
    """The paths under which a cookie that is sent for `path` may be stored: `/` and each parent,
    with and without a trailing slash (RFC 6265, 5.1.4). The likeliest first.
    """
    found = ["/"]
    way = ""
    for part in path.split("/")[1 : _MAX_DEPTH + 1]:
        # What would end the attribute ends the search.
        if not _PATH_PART.fullmatch(part):
            break
        way = f"{way}/{part}"
        found += (way, f"{way}/")
    return tuple(found)


def expiring_set_cookies(
    names: Iterable[str], host: str, path: str = "/", *, secure: bool = False
) -> list[str]:
    """Set-Cookie values that delete cookies wherever a page at `path` of `host` could have stored
    them.

    Covers cookies of scripts and HttpOnly ones; with `secure`, partitioned ones as well (CHIPS,
    https://github.com/privacycg/CHIPS). At most about 4 KB, the likeliest places first: what
    remains is expired by the next response.
    """
    names = tuple(dict.fromkeys(names))
    domains = cookie_domains(host)
    values: list[str] = []
    left = _MAX_EXPIRED
    for partitioned in (False, True) if secure else (False,):
        for where in paths_above(path):
            for name in names:
                for value in _ends(name, where, domains, partitioned=partitioned):
                    left -= len(value) + len("Set-Cookie: \r\n")
                    if left < 0:
                        return values
                    values.append(value)
    return values


def _ends(name: str, path: str, domains: Sequence[str], *, partitioned: bool) -> Iterator[str]:
    base = f"{name}=; Path={path}; {_GONE}"
    flags = "; Secure; Partitioned" if partitioned else ""
    # A prefix in the name demands attributes (RFC 6265bis, 4.1.3).
    if name.startswith("__Host-"):
        if path == "/":
            yield f"{base}{flags or '; Secure'}"
        return
    if name.startswith("__Secure-"):
        flags = flags or "; Secure"
    yield f"{base}{flags}"
    for domain in domains:
        yield f"{base}; Domain={domain}{flags}"
