"""VendorIndex: the vendor of a URL or an inline script, at a cost that does not grow with the
number of vendors.

Hosts are looked up label by label in dictionaries; inline text is searched once by an Aho-Corasick
automaton that holds every signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial
from types import MappingProxyType

import ahocorasick_rs

from consent_rules.categories import Category
from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.hosts import HostPattern, domain_suffixes
from consent_rules.matching.path_readings import folded, readings
from consent_rules.matching.paths import GlobSet, PathGlob, path_glob
from consent_rules.matching.urls import normal_path
from consent_rules.vendors import Vendor

# A script that contains a tracker's host is its loader when it also contains one of these. A host
# name alone is not enough: state that a framework writes into the page names hosts too.
_LOADER_IDIOM = lazy_pattern(
    r"createElement|\.src\s*=|document\s*\.\s*write|new\s+Image|importScripts|import\s*\(|"
    r"sendBeacon|fetch\s*\(|XMLHttpRequest|setAttribute|insertAdjacentHTML|innerHTML|EventSource|WebSocket|Worker"
)
_LOADER_LIMIT = 16_384
"""Characters. Loaders are short; a bundle that long is the site's own code and left to the CSP."""

_REMEMBERED_HOSTS = 4096
_MAX_OWN_REQUESTS = 4096
_MAX_PLACES_APART = 256
"""Marks of a page that are looked at one by one. A page with more is looked through as a whole."""
_MAX_REMEMBERED_LENGTH = 512
"""Characters of a path."""

_NAMED_HOST_CATEGORIES = frozenset(
    {Category.ANALYTICS, Category.SESSION_REPLAY, Category.ADVERTISING}
)


def _automaton(texts: list[str]) -> ahocorasick_rs.AhoCorasick | None:
    # Not as a DFA: for the catalogue that takes 15 MB, in each worker after a reload, and 25 ms to
    # make, to search a page's scripts in 0.14 ms, not 0.19.
    return ahocorasick_rs.AhoCorasick(texts) if texts else None


@dataclass(slots=True)
class _Node:
    """The vendors of one host (or of all below it)."""

    vendors: list[tuple[int | None, Vendor, str]] = field(default_factory=list)
    paths: list[tuple[int | None, PathGlob, Vendor, str]] = field(default_factory=list)


class PlaceKind(StrEnum):
    """How a vendor's snippet marks where its script makes content."""

    ELEMENT = "an element that a selector finds"
    SCRIPT = "the element that an inline script names, or behind that script"
    NAMED = "the element that an inline script names"


@dataclass(frozen=True, slots=True)
class Place:
    """A vendor's mark: `text` is a CSS selector, or what the inline script contains."""

    kind: PlaceKind
    text: str
    vendor: str

    @property
    def token(self) -> str:
        """What a page with this mark contains."""
        if self.kind is not PlaceKind.ELEMENT:
            return self.text
        words: list[str] = _WORD.findall(self.text)
        return max(reversed(words), key=len)


_PICTURED = frozenset({"video", "map"})
_WORD = lazy_pattern(r"[A-Za-z_][\w-]*")
_BY_SCRIPT = {"script": PlaceKind.SCRIPT, "into": PlaceKind.NAMED}


def _serves_content(vendor: Vendor) -> bool:
    return vendor.looks or bool(vendor.embed) or vendor.category in _SERVICES


_SERVICES = frozenset({Category.NECESSARY, Category.FUNCTIONAL})


def _place(written: str, vendor: Vendor) -> Place:
    prefix, colon, text = written.partition(":")
    kind = _BY_SCRIPT.get(prefix) if colon else None
    if kind is None:
        return Place(PlaceKind.ELEMENT, written, vendor.id)
    return Place(kind, text, vendor.id)


class VendorIndex:
    """All vendors' patterns, indexed once per configuration.

    Where several patterns match, a path rule takes precedence over a host rule, an exact host over
    a wildcard, the longer wildcard over the shorter; then the order of the vendors.
    """

    __slots__ = (
        "_any_place", "_automaton", "_below", "_exact", "_find_own_request", "_known",
        "_longest_token", "_named", "_own", "_own_requests", "_own_with_star", "_owners",
        "_place_tokens", "_places", "globals", "globals_of", "serving", "shown",
    )  # fmt: skip

    def __init__(self, vendors: Iterable[Vendor]) -> None:
        vendors = tuple(vendors)
        self._exact: dict[str, _Node] = {}
        self._below: dict[str, _Node] = {}
        self._known: dict[str, tuple[_Node, ...]] = {}
        self._own: dict[str, list[tuple[PathGlob, Vendor]]] = {}
        signatures: dict[str, str] = {}
        named: dict[str, str] = {}
        for vendor in vendors:
            for text in vendor.hosts:
                pattern = HostPattern.parse(text)
                self._node(pattern).vendors.append((pattern.port, vendor, text))
                if vendor.category in _NAMED_HOST_CATEGORIES:
                    named.setdefault(f"{'.' if pattern.below else '//'}{pattern.host}", vendor.id)
                    if pattern.below:
                        named.setdefault(f"//{pattern.host}", vendor.id)
            for text in vendor.paths:
                self._add_path(text, vendor)
            for text in vendor.inline:
                signatures.setdefault(text, vendor.id)
        # Most paths hold no literal part of any of these: one search instead of one a pattern.
        self._own_with_star = re.compile(
            "|".join(re.escape(glob.within) for glob, _ in self._own.get("*", ()))
        )
        own_readings = GlobSet(
            (folded(text), vendor)
            for vendor in vendors
            for text in vendor.paths
            if text.startswith("/")
        )
        # Of this index, not of the module: with it they go, when a reload makes another. A bound
        # method would keep the index: in a cycle, which is rarely collected.
        self._find_own_request = partial(_find_own_request, own_readings)
        self._own_requests = lru_cache(maxsize=_MAX_OWN_REQUESTS)(self._find_own_request)
        self.globals_of = MappingProxyType({v.id: v.globals for v in vendors if v.globals})
        self.globals = frozenset(name for names in self.globals_of.values() for name in names)
        """What the vendors' own code defines, of each by its id and of all."""
        self.shown = MappingProxyType(
            {vendor.id: vendor for vendor in vendors if vendor.embed in _PICTURED}
        )
        """Vendors whose images stand for a video or a map."""
        self.serving = frozenset(vendor.id for vendor in vendors if _serves_content(vendor))
        """Vendors whose images may be a page's content."""
        self._owners = (*signatures.values(), *named.values())
        self._named = len(signatures)
        self._places = tuple(_place(one, vendor) for vendor in vendors for one in vendor.places)
        tokens = [place.token for place in self._places]
        self._place_tokens = _automaton(tokens)
        self._longest_token = max(map(len, tokens), default=0)
        self._any_place = ahocorasick_rs.BytesAhoCorasick(
            [token.encode() for token in tokens], matchkind=ahocorasick_rs.MatchKind.LeftmostFirst
        )
        texts = [*signatures, *named]
        self._automaton = _automaton(texts)

    def _node(self, pattern: HostPattern) -> _Node:
        table = self._below if pattern.below else self._exact
        return table.setdefault(pattern.host, _Node())

    def _add_path(self, text: str, vendor: Vendor) -> None:
        authority, slash, rest = text.partition("/")
        glob = path_glob(slash + rest)
        if authority:
            pattern = HostPattern.parse(authority)
            self._node(pattern).paths.append((pattern.port, glob, vendor, text))
            return
        # Own paths are filed under their first segment, so that a page's many first-party URLs
        # are not each tried against every rule. A glob in the first segment is filed under "*".
        first = rest.partition("/")[0]
        self._own.setdefault("*" if "*" in first else first, []).append((glob, vendor))

    def vendor_of_url(self, host: str, port: int | None, path: str) -> Vendor | None:
        """The vendor that owns a third-party URL, or None for an unknown one.

        `host` and `path` as in `urls.ResolvedUrl`.
        """
        found = self.match_url(host, port, path)
        return found[0] if found is not None else None

    def match_url(self, host: str, port: int | None, path: str) -> tuple[Vendor, str] | None:
        """The vendor that owns a third-party URL, with the pattern that matched."""
        nodes = self._known.get(host)
        if nodes is None:
            nodes = self._remembered(host)
        if not nodes:
            return None
        for node in nodes:
            for wanted, glob, vendor, text in node.paths:
                if (wanted is None or wanted == port) and glob.match(path):
                    return vendor, text
        for node in nodes:
            for wanted, vendor, text in node.vendors:
                if wanted is None or wanted == port:
                    return vendor, text
        return None

    def has_path_rules(self, host: str) -> bool:
        """Whether some vendor has paths of a host, not the whole host."""
        nodes = self._known.get(host)
        return any(node.paths for node in (self._remembered(host) if nodes is None else nodes))

    def _remembered(self, host: str) -> tuple[_Node, ...]:
        """The nodes of a host, most exact first, cached: pages contain a few hosts
        again and again.
        """
        if len(self._known) >= _REMEMBERED_HOSTS:
            self._known.clear()
        exact = self._exact.get(host)
        below = [node for s in domain_suffixes(host) if (node := self._below.get(s)) is not None]
        nodes = self._known[host] = (*(() if exact is None else (exact,)), *below)
        return nodes

    def vendor_of_own_path(self, path: str) -> Vendor | None:
        """The vendor whose tracker is served from the site's own host at `path`, or None."""
        if not self._own:
            return None
        first = path[1:].partition("/")[0]
        for glob, vendor in self._own.get(first, ()):
            if glob.match(path):
                return vendor
        if self._own_with_star.search(path) is None:
            return None
        for glob, vendor in self._own.get("*", ()):
            if glob.match(path):
                return vendor
        return None

    def vendors_of_own_request(self, path: str) -> tuple[Vendor, ...]:
        """The vendors that a request to the site's own host may reach, by every reading of its raw
        path.
        """
        if not self._own:
            return ()
        if len(path) > _MAX_REMEMBERED_LENGTH:
            return self._find_own_request(path)
        return self._own_requests(path)

    def places_in(self, page: bytes) -> tuple[Place, ...]:
        """The marks that a page may have of content that vendors' scripts make. They are ASCII, so
        its charset does not matter.
        """
        if self._place_tokens is None:
            return ()
        # To find those that do not overlap takes a tenth of the time. Any other overlaps one of
        # them, so it stands within the longest one's length.
        found = self._any_place.find_matches_as_indexes(page)
        if len(found) > _MAX_PLACES_APART:
            found = [(0, 0, len(page))]
        reach = self._longest_token
        hits = (
            number
            for _, start, end in found
            for number, _, _ in self._place_tokens.find_matches_as_indexes(
                page[max(0, start - reach) : end + reach].decode("latin-1"), overlapping=True
            )
        )
        return tuple(dict.fromkeys(self._places[number] for number in hits))

    def vendors_of_text(self, text: str) -> tuple[str, ...]:
        """Ids of the vendors whose code an inline script holds, without repeats, in order."""
        return tuple(dict.fromkeys(vendor for vendor, _ in self.match_text(text)))

    def vendors_named(self, text: str) -> frozenset[str]:
        """Ids of the vendors of which a text contains a signature or a tracker's host."""
        if self._automaton is None:
            return frozenset()
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True)
        return frozenset(
            self._owners[rule]
            for rule, _, end in hits
            if rule < self._named or not _continues_host(text, end)
        )

    def match_text(self, text: str) -> list[tuple[str, str]]:
        """Vendor ids with the matched text of each, in the order of the script."""
        if self._automaton is None:
            return []
        hits = self._automaton.find_matches_as_indexes(text, overlapping=True)
        if not hits:
            return []
        named = len(text) <= _LOADER_LIMIT and _LOADER_IDIOM.search(text) is not None
        return [
            (self._owners[rule], text[start:end])
            for rule, start, end in hits
            if rule < self._named or (named and not _continues_host(text, end))
        ]


def _find_own_request(own_readings: GlobSet[Vendor], path: str) -> tuple[Vendor, ...]:
    known = readings(path) or (folded(normal_path(path)),)
    found = map(own_readings.find, known)
    return tuple(dict.fromkeys(vendor for vendor in found if vendor is not None))


def _continues_host(text: str, end: int) -> bool:
    """Whether the host name that ends at `end` goes on (`example.com` in `example.com.au`)."""
    if end >= len(text):
        return False
    following = text[end]
    return following.isalnum() or following in "-." or following == "_"
