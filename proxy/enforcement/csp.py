"""The decision as a Content-Security-Policy (https://www.w3.org/TR/CSP3/).

Ours is a header of its own: several policies all apply, so it can only narrow what the
origin's allows. The origin's is amended just enough for our own markup to run under it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from consent_rules.categories import Category
from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.hosts import HostPattern
from consent_rules.vendors import Vendor

CSP = "Content-Security-Policy"
CSP_REPORT_ONLY = "Content-Security-Policy-Report-Only"

OWN_REPLY_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The policy of the proxy's own responses, except its pages."""

# The site's own inline code is not what a consent policy is about: hosts are.
_OWN = "'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
_USED = frozenset({Category.NECESSARY, Category.FUNCTIONAL})

# An unfilled `'nonce-'` is none.
_NONCE_OR_HASH = lazy_pattern(r"'(?:nonce|sha256|sha384|sha512)-[A-Za-z0-9+/_-]+={0,2}'", re.I)


def host_sources(pattern: str, *, any_port: bool = False) -> tuple[str, ...]:
    """A host pattern as CSP host-sources: `*.x` is x itself and what lies below it.

    A host-source without a port is the scheme's default one only.
    """
    parsed = HostPattern.parse(pattern)
    number = parsed.port or ("*" if any_port else "")
    port = f":{number}" if number else ""
    if parsed.below:
        return (f"{parsed.host}{port}", f"*.{parsed.host}{port}")
    return (f"{parsed.host}{port}",)


def path_sources(pattern: str) -> tuple[str, ...]:
    """A `host/path-glob` as CSP host-sources.

    CSP knows whole paths and path prefixes that end in `/`, not globs: the part before the
    first `*` is cut back to its last `/`.
    """
    authority, _, rest = pattern.partition("/")
    if not authority:
        return ()
    literal, star, _ = f"/{rest}".partition("*")
    if star:
        literal = literal[: literal.rfind("/") + 1]
    path = "" if literal == "/" else _quoted_path(literal)
    return tuple(f"{source}{path}" for source in host_sources(authority))


def _quoted_path(path: str) -> str:
    """A path without what would end the source, the directive or the policy: browsers decode it."""
    return quote(path, safe="/-._~!$&'()*+=:@")


def vendor_sources(vendor: Vendor) -> tuple[str, ...]:
    """Every host-source of an open vendor."""
    sources = [source for pattern in vendor.hosts for source in host_sources(pattern)]
    sources += [source for pattern in vendor.paths for source in path_sources(pattern)]
    return _without_covered(sources)


def _own_sources(own: Iterable[str]) -> list[str]:
    # A port is left open for the site's own hosts, as it is where HTML is gated.
    return [source for pattern in own for source in host_sources(pattern, any_port=True)]


def allowed_sources(own: Iterable[str], vendors: Iterable[Vendor]) -> tuple[str, ...]:
    """Every host-source from which the policy of a decision lets a page load: frames, too."""
    found = [source for vendor in vendors for source in vendor_sources(vendor)]
    return _without_covered((*_own_sources(own), *found))


def _without_covered(sources: Iterable[str]) -> tuple[str, ...]:
    """The sources without those that another one already covers."""
    given = dict.fromkeys(sources)

    def covered(source: str) -> bool:
        host, slash, _ = source.partition("/")
        if slash and host in given:
            return True
        _, dot, parent = host.removeprefix("*.").partition(".")
        while dot:
            if f"*.{parent}" in given:
                return True
            _, dot, parent = parent.partition(".")
        return False

    return tuple(source for source in given if not covered(source))


def decision_policy(own: Iterable[str], vendors: Iterable[Vendor], *, report_uri: str = "") -> str:
    """The policy that allows the site and the open vendors, and no other host. `own` are the site's
    host patterns. Without vendors it is the policy for pages that cannot be gated: no third party
    acts.

    It is kept short: proxies in front read 8 KB of headers by default, and dozens of tags name
    hundreds of hosts. So connect-src has no directive of its own, and hosts that are only requested
    by path (pixels on shared hosts) are allowed neither for sockets nor, except for tools that
    visitors use, for forms.
    """
    own, vendors = tuple(own), tuple(vendors)
    own_sources = _own_sources(own)
    open_hosts = [s for vendor in vendors for p in vendor.hosts for s in host_sources(p)]
    forms = [s for v in vendors if v.category in _USED for s in vendor_sources(v)] + open_hosts
    # A source without a scheme covers sockets in some browsers only. One of `ws:` covers `wss:` too
    # (CSP3, 6.7.2.9): a site over plain HTTP has the former. Vendors are held to the latter.
    own_hosts = _without_covered(own_sources)
    others = [s for s in _without_covered((*own_sources, *open_hosts)) if s not in own_hosts]
    sockets = [*(f"ws://{source}" for source in own_hosts), *(f"wss://{s}" for s in others)]
    # A form that runs code of the page does what a link or a handler may do under _OWN.
    parts = [
        " ".join(("default-src", _OWN, *allowed_sources(own, vendors), *sockets)),
        " ".join(("form-action 'self' javascript:", *_without_covered((*own_sources, *forms)))),
    ]
    if report_uri:
        parts.append(f"report-uri {report_uri}")
    return "; ".join(parts)


@dataclass(frozen=True, slots=True)
class OwnAssets:
    """The hashes of the proxy's own inline assets in a page, as `sha256-...` without quotes."""

    scripts: Sequence[str] = ()
    styles: Sequence[str] = ()


NO_ASSETS = OwnAssets()

_ASCII_BLANKS = "\t\n\f\r "
_WORDS = lazy_pattern(r"[^\t\n\f\r ]+")
_NAMED_HOST = lazy_pattern(r"(?=.*[a-z])[a-z0-9.-]+(?::(?:\d+|\*))?", re.I)


def own_endpoints(authority: str, prefix: str) -> str:
    """The source under which a page reaches our endpoints, and nothing else of the site.

    A path that ends in `/` stands for what lies below it (CSP3, 6.7.2.8). `'self'` where CSP has no
    host-source for the authority: it knows no addresses of IPv6 and hardly any of IPv4.
    """
    if not _NAMED_HOST.fullmatch(authority):
        return "'self'"
    return f"{authority}{_quoted_path(prefix)}/"


def endpoints_amendment(
    hosts: Iterable[str], prefix: str, libraries: frozenset[str] = frozenset()
) -> Callable[[str], str]:
    """A function that lets a policy which a page sets by <meta> reach our endpoints, and changes
    nothing else: our inline code stands before it. The page is the same for all of the site's
    `hosts`, at whatever port.
    """
    return partial(
        amend,
        assets=NO_ASSETS,
        endpoints=tuple(dict.fromkeys(own_endpoints(f"{host}:*", prefix) for host in hosts)),
        libraries=libraries,
    )


def amend(
    policy: str,
    assets: OwnAssets,
    endpoints: Sequence[str],
    libraries: frozenset[str] = frozenset(),
) -> str:
    """The origin's policy, with our own markup allowed and nothing else changed.

    `endpoints` are the sources of what our forms and script talk to; `libraries` the hosts whose
    files come from there, which are allowed where their hosts are. A policy is left as it is where
    it allows inline code anyway: a hash there would switch `'unsafe-inline'` off.
    """
    return ", ".join(_amend_one(one, assets, endpoints, libraries) for one in policy.split(","))


def _amend_one(
    policy: str, assets: OwnAssets, endpoints: Sequence[str], libraries: frozenset[str]
) -> str:
    directives: dict[str, list[str]] = {}
    passed_over: list[str] = []
    for part in policy.split(";"):
        if not part.isascii():
            # No directive at all (CSP3, 2.2.1), whatever it begins with.
            passed_over.append(part.strip(_ASCII_BLANKS))
            continue
        # Blanks of ASCII alone part words; of Python's other ones (such as VT) none does.
        words = _WORDS.findall(part)
        if words:
            # The first of equal directives counts (CSP3, 2.2.1).
            directives.setdefault(words[0].lower(), words[1:])
    given = dict(directives)
    _allow_inline(directives, ("script-src-elem", "script-src", "default-src"), assets.scripts)
    _allow_inline(directives, ("style-src-elem", "style-src", "default-src"), assets.styles)
    _allow_own(directives, ("form-action",), endpoints)
    _allow_own(directives, ("connect-src", "default-src"), endpoints)
    if libraries:
        _allow_libraries(directives, libraries, endpoints)
    if directives == given:
        return policy.strip(_ASCII_BLANKS)
    return "; ".join([*(" ".join((name, *v)) for name, v in directives.items()), *passed_over])


def _allow_inline(
    directives: dict[str, list[str]], names: tuple[str, ...], hashes: Sequence[str]
) -> None:
    governing = next((name for name in names if name in directives), None)
    if governing is None or not hashes:
        return
    values = directives[governing]
    lowered = [value.lower() for value in values]
    # Each of these switches 'unsafe-inline' off (CSP3, 6.7.3.2), the last one for scripts only.
    strict = any(_NONCE_OR_HASH.fullmatch(value) for value in values)
    if names[1] == "script-src":
        strict = strict or "'strict-dynamic'" in lowered
    if "'unsafe-inline'" in lowered and not strict:
        return
    allowed = [v for v in values if v.lower() != "'none'"]
    # default-src governs much else: what we need goes into a directive of its own.
    target = names[1] if governing == "default-src" else governing
    directives[target] = [*allowed, *(f"'{value}'" for value in hashes)]


def _allow_own(
    directives: dict[str, list[str]], names: tuple[str, ...], endpoints: Sequence[str]
) -> None:
    governing = next((name for name in names if name in directives), None)
    if governing is None:
        return
    values = directives[governing]
    lowered = {value.lower() for value in values}
    added = [source for source in endpoints if source.lower() not in lowered]
    if "'self'" in lowered or "*" in lowered or not added:
        return
    allowed = [v for v in values if v.lower() != "'none'"]
    directives[names[0]] = [*allowed, *added]


_LIBRARY_DIRECTIVES = (
    "default-src", "script-src", "script-src-elem", "style-src", "style-src-elem", "font-src",
    "img-src",
)  # fmt: skip
_SOURCE_HOST = lazy_pattern(r"(?:https?://)?(\*\.)?([a-z0-9.-]+)", re.I)


def _allow_libraries(
    directives: dict[str, list[str]], hosts: frozenset[str], endpoints: Sequence[str]
) -> None:
    """Where a directive allows the host of a library, it allows that library's own address."""
    for name in _LIBRARY_DIRECTIVES:
        values = directives.get(name, [])
        named = any(_names_one_of(value, hosts) for value in values)
        if not named or "'self'" in values or "*" in values:
            continue
        added = [one if one == "'self'" else f"{one}lib/" for one in endpoints]
        directives[name] = [*values, *(one for one in added if one not in values)]


def _names_one_of(source: str, hosts: frozenset[str]) -> bool:
    found = _SOURCE_HOST.match(source)
    if found is None:
        return False
    host = found[2].lower()
    return any(one == host or (found[1] and one.endswith(f".{host}")) for one in hosts)
