"""The boundary: who owns a resource of a page (first party, a vendor, unknown)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from threading import Lock
from typing import Any

import ada_url
from cachetools import LRUCache

from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.hosts import HostSet
from consent_rules.matching.libraries import NO_LIBRARIES, Libraries
from consent_rules.matching.pins import NO_PINS, ScriptPins
from consent_rules.matching.urls import ResolvedUrl, origin_of, resolve
from consent_rules.matching.vendor_index import Place, VendorIndex
from proxy.html.cmp_markup import marks_of
from proxy.html.frameworks import Hydration
from proxy.html.gates import Edit, Embed
from proxy.html.hiders import hides_page
from proxy.html.inline_remnants import KnownRemnants
from proxy.html.inline_script_owners import vendors_of_script
from proxy.html.own_statements import Part, parts_of
from proxy.html.owners import (
    MARKETING_ONLY,
    RESERVED,
    UNHELD_PIN,
    UNREADABLE_HOST,
    ChangedScript,
    KnownVendor,
    Owner,
    UnknownHost,
    known_vendor,
    unknown_host,
)
from proxy.html.remembered import Remembered
from proxy.html.resource import Closing, Picture, Resource, ResourceKind
from proxy.html.scan import Scan
from proxy.html.source import Source
from proxy.html.tree import is_html

_MAX_JUDGED = 2048
"""Inline scripts of a site whose owners are cached."""
_PARTS_BUDGET = 8 * 2**20
_MAX_PARTS = _PARTS_BUDGET // 16
"""Bytes of the parts of inline scripts that are remembered, of all and of one script."""
_JUDGING = Lock()  # pages are compiled in threads, too
_MAX_OWNERS = 16_384
"""URLs whose owners are remembered, for each origin that URLs are resolved against."""
_MAX_ORIGINS = 64
_MAX_REMEMBERED_URL = 512
"""Characters: longer URLs are tokens and data, seldom seen twice."""
# Resolved alike from each page of an origin: the base's path does not count (URL Standard, 4.4).
WHEREVER = ("/", "https://", "http://")


def _size_of(parts: Sequence[Part]) -> int:
    return 500 + sum(
        300 + len(part.code) + len(part.lost) + 120 * (len(part.sets) + len(part.reads))
        for part in parts
    )


ScriptSigns = tuple[tuple[str, ...], bool]
"""The ids of the vendors whose signatures a script has; whether it has none and hides the page."""
HostOwner = tuple[str, "Owner | None"]
"""The host that a URL leads to and its owner, which is None for the site itself."""
_NOWHERE: HostOwner = ("", None)
_OwnersByUrl = dict[str, HostOwner]


def _signs_of_script(index: VendorIndex, script: str) -> ScriptSigns:
    vendors = index.vendors_of_text(script)
    return vendors, not vendors and hides_page(script)


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where a site ends and others begin.

    `own` are the hosts that are the site itself; `preferences_url` is where a closed form leads;
    `amend_policy` makes of a policy that a page sets by <meta> one that lets our forms work, or
    gives it back as it is; `libraries` are files of others that the site serves itself.
    """

    own: HostSet
    index: VendorIndex
    preferences_url: str = "/.consent/preferences"
    pins: ScriptPins = NO_PINS
    amend_policy: Callable[[str], str] = str
    libraries: Libraries = NO_LIBRARIES
    identity: object = field(default_factory=object, init=False, compare=False, repr=False)
    """This boundary and no other, in keys of what is remembered of its pages."""
    remnants: dict[tuple[bytes, bool], KnownRemnants] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """Of closed scripts, by their hashes (`known_remnants`)."""
    _judged: LRUCache[bytes, tuple[str, ...]] = field(
        default_factory=lambda: LRUCache(_MAX_JUDGED), init=False, compare=False, repr=False
    )
    _parts: LRUCache[bytes, tuple[Part, ...]] = field(
        default_factory=lambda: LRUCache(_PARTS_BUDGET, getsizeof=_size_of),
        init=False,
        compare=False,
        repr=False,
    )
    _owners: dict[str, _OwnersByUrl] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _finished: dict[tuple[object, ...], FinishedByTag] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    _searched: Remembered[ScriptSigns] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Of this index alone: another configuration has another boundary. A bound method would keep
        # the boundary: in a cycle, which is rarely collected.
        object.__setattr__(self, "_searched", Remembered(partial(_signs_of_script, self.index)))

    def signs_of_script(self, script: str) -> ScriptSigns:
        """Whose signatures an inline script has, and, if it has none, whether it hides the page."""
        return self._searched(script)

    def vendors_of_script(self, script: str) -> tuple[str, ...]:
        """The vendors whose code an inline script contains, cached by its hash: the same script is
        on many pages, and parsing it costs as much as compiling a small page.
        """
        digest = hashlib.sha256(script.encode("utf-8", "replace")).digest()
        with _JUDGING:
            known = self._judged.get(digest)
        if known is None:
            known = vendors_of_script(script, self.index)
            with _JUDGING:
                self._judged[digest] = known
        return known

    def parts_of_script(self, script: bytes) -> Sequence[Part]:
        """The parts of an inline script (`own_statements.parts_of`), cached by its hash."""
        digest = hashlib.sha256(script).digest()
        with _JUDGING:
            known = self._parts.get(digest)
        if known is None:
            known = tuple(parts_of(script, self.names_vendor, self.stubbed_in(script)))
            size = _size_of(known)
            if size <= _MAX_PARTS:
                with _JUDGING:
                    self._parts[digest] = known
        return known

    def stubbed_in(self, script: bytes) -> frozenset[bytes]:
        """The globals for which a stub stands while an inline script is closed."""
        vendors = self.index.vendors_of_text(script.decode("utf-8", "replace"))
        return frozenset(
            name.encode() for one in vendors for name in self.index.globals_of.get(one, ())
        )

    def names_vendor(self, text: str) -> bool:
        """Whether a text or a name of code identifies a vendor."""
        return text in self.index.globals or bool(self.index.vendors_named(text))

    def is_own_endpoint(self, url: str, base: str) -> bool:
        """Whether the target of a form or redirect is an endpoint that could choose in the
        visitor's name.
        """
        target = resolve(url, base)
        if target is None or not self.own.holds(target.host, target.port):
            return False
        prefix = self.preferences_url.rpartition("/")[0]
        return target.path.startswith(f"{prefix}/") and target.path != self.preferences_url

    def owner(self, url: str, base: str) -> Owner | None:
        """Who answers for a URL; None for the site itself."""
        return self.host_and_owner(url, base)[1]

    def host_and_owner(self, url: str, base: str) -> HostOwner:
        """Where a URL leads and who answers for it; `("", None)` where it leads to no host."""
        target = resolve(url, base)
        return _NOWHERE if target is None else (target.host, self.owner_of(target))

    def remembered_owners(self, base: str) -> _OwnersByUrl:
        """What was found for URLs of pages of one origin. The pages of a site share most of their
        URLs: to resolve one and to hold it against the patterns costs 20 times as much as to look
        its text up.
        """
        origin = "{}://{}:{}".format(*origin_of(base))
        known = self._owners.get(origin)
        if known is None:
            if len(self._owners) >= _MAX_ORIGINS:
                self._owners.clear()
            known = self._owners[origin] = {}
        return known

    def finished_tags(
        self, bases: Iterable[str], charset: str, *, read_twice: bool
    ) -> FinishedByTag:
        """What was found for plainly written tags (`finished_tags`) of pages of these origins."""
        key = (*map(origin_of, bases), charset, read_twice)
        known = self._finished.get(key)
        if known is None:
            if len(self._finished) >= _MAX_ORIGINS_FINISHED:
                self._finished.clear()
            known = self._finished[key] = {}
        return known

    def owner_of(self, target: ResolvedUrl) -> Owner | None:
        if self.own.holds(target.host, target.port):
            disguised = self.index.vendor_of_own_path(target.path)
            return known_vendor(disguised.id) if disguised else None
        vendor = self.index.vendor_of_url(target.host, target.port, target.path)
        return known_vendor(vendor.id) if vendor else unknown_host(target.host)


@dataclass(frozen=True, slots=True)
class OwnedResource:
    """A resource with its owners, for gates and for `explain`."""

    kind: ResourceKind
    tag: str
    attribute: str
    urls: tuple[str, ...]
    owners: frozenset[Owner]
    start: int
    """Where it stands, for `explain`; for gates, where its first edit does."""
    end: int
    closing: Closing
    edits: tuple[Edit, ...]
    """What closes it, and opens it. A placeholder for `embed` goes where the first one is."""
    embed: Embed | None = None
    code_span: tuple[int, int] = (0, 0)
    code: str = ""
    """The text of an inline script."""
    own_address: str = ""
    """Where the site serves it itself, for a library."""
    is_pixel: bool = False
    """An image that shows nothing: it is there to be asked for."""

    def shifted(self, by: int) -> OwnedResource:
        """The same at another place; of one without code."""
        return OwnedResource(
            self.kind,
            self.tag,
            self.attribute,
            self.urls,
            self.owners,
            self.start + by,
            self.end + by,
            self.closing,
            tuple([Edit(e.start + by, e.end + by, e.closed, e.opened) for e in self.edits]),
            self.embed,
            is_pixel=self.is_pixel,
        )


FinishedByTag = dict[object, OwnedResource | None]
"""What a resource of a plainly written tag is, as if the page began with that tag; None where it
has no owner. By a `plain_tags.TagResource`."""
_MAX_ORIGINS_FINISHED = 8


@dataclass(slots=True)
class CompileContext:
    source: Source
    scan: Scan
    boundary: Boundary
    url: str
    bases: tuple[str, ...]
    depth: int
    hinted: dict[Owner, frozenset[Owner]] = field(default_factory=dict)
    """Hosts that are hinted at and of which vendors own parts: those that the page asks there."""

    nested: int = 0
    """Pages within attributes that were met so far."""

    hydration: Hydration = Hydration.NONE

    places: tuple[Place, ...] | None = None
    """Marks of content that the page has; None where this is the page."""

    last_picture: tuple[Resource, Picture | None] | None = None
    """The image that was last asked for its picture, and that."""

    _remembered: tuple[tuple[str, _OwnersByUrl], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._remembered = tuple((one, self.boundary.remembered_owners(one)) for one in self.bases)

    @property
    def hydrates(self) -> bool:
        """Whether a framework may compare the page with what it would have made."""
        return self.hydration is not Hydration.NONE

    @property
    def preferences_url(self) -> str:
        """Where closed forms lead: to this site, whatever the page's base."""
        url = self.boundary.preferences_url
        return url if self.bases == (self.url,) else ada_url.URL(url, base=self.url).href

    def owners(self, urls: Iterable[str]) -> Iterator[Owner]:
        """Who answers for the URLs, by whichever base a browser goes."""
        for url in urls:
            for base, remembered in self._remembered:
                found = remembered.get(url) or self._found(url, base, remembered)
                if found[1] is not None:
                    yield found[1]

    def hosts_and_owners(self, urls: Iterable[str]) -> Iterator[HostOwner]:
        """Where the URLs lead, and who answers for them, by whichever base a browser goes."""
        for url in urls:
            for base, remembered in self._remembered:
                yield remembered.get(url) or self._found(url, base, remembered)

    def _found(self, url: str, base: str, remembered: _OwnersByUrl) -> HostOwner:
        found = self.boundary.host_and_owner(url, base)
        if len(url) <= _MAX_REMEMBERED_URL and url.startswith(WHEREVER):
            if len(remembered) >= _MAX_OWNERS:
                remembered.clear()
            remembered[url] = found
        return found

    def is_own_endpoint(self, url: str) -> bool:
        return any(self.boundary.is_own_endpoint(url, base) for base in self.bases)

    def loaded_vendors(self) -> frozenset[Owner]:
        """The vendors whose scripts the page loads."""
        scripts = (one for one in self.scan.resources if one.kind is ResourceKind.SCRIPT)
        owners = (owner for one in scripts for owner in self.owners(one.urls))
        return frozenset(owner for owner in owners if isinstance(owner, KnownVendor))

    def is_own(self, url: str) -> bool:
        return next(self.owners((url,)), None) is None


def base_urls(scanned: Scan, url: str) -> tuple[str, ...]:
    """What the page's relative URLs may be relative to: one, or one for each kind of browser."""
    return tuple(dict.fromkeys(_base_url(base, url) for base in scanned.bases))


CODE_KINDS = frozenset({ResourceKind.SCRIPT, ResourceKind.MARKED_SCRIPT})
_SCRIPT = b"<script"


def apply_pins(found: OwnedResource, resource: Resource, context: CompileContext) -> OwnedResource:
    """A pinned script with the gate that its pin requires; any other unchanged."""
    pins = context.boundary.pins
    wanted = {pins.integrity_of(url, base) for url in found.urls for base in context.bases} - {""}
    if not wanted:
        return found
    element = resource.element
    opening = found.edits[0]
    written = context.source.body[opening.start : opening.end]
    is_copied = found.attribute not in {"", "src"} and not marks_of(element)
    is_script = is_html(element) and written.lower() == _SCRIPT
    if len(wanted) > 1 or not is_script or is_copied:
        # No browser would look at the attribute, or a loader may leave it out of the script that it
        # makes: what cannot be held to its pin stays closed.
        return replace(found, owners=found.owners | {UNHELD_PIN})
    integrity = wanted.pop()
    if element.attr("integrity") == integrity and element.attr("crossorigin") is not None:
        return found
    added = f' integrity="{integrity}"'
    if element.attr("crossorigin") is None:
        added += ' crossorigin="anonymous"'
    opened = replace(opening, opened=_SCRIPT + added.encode("ascii"))
    return replace(found, edits=(opened, *found.edits[1:]))


def _base_url(base: str, url: str) -> str:
    """What relative URLs are resolved against (HTML Standard, 2.4.3)."""
    if not base:
        return url
    try:
        joined = ada_url.URL(base, base=url).href
    except ValueError:
        return url
    return joined if joined.startswith(("http:", "https:")) else url


_OWNED_BY_URLS = frozenset(ResourceKind) - {
    ResourceKind.INLINE_SCRIPT,
    ResourceKind.HIDER,
    ResourceKind.REFERRER,
    ResourceKind.RESERVED_NAME,
    ResourceKind.POLICY,
    ResourceKind.FORM,
    ResourceKind.CONTENT,
    ResourceKind.MARKED_SCRIPT,
    ResourceKind.IMPORT_MAP,
    ResourceKind.SPECULATION_RULES,
    ResourceKind.HINT,
}
"""Kinds of resources that belong to whom their URLs belong to, whatever else they are."""


def owners_of(resource: Resource, context: CompileContext) -> frozenset[Owner]:
    kind = resource.kind
    if kind in _OWNED_BY_URLS:
        return frozenset(context.owners(resource.urls))
    if kind is ResourceKind.INLINE_SCRIPT:
        signs, hides = context.boundary.signs_of_script(resource.text)
        vendors = _vendors_of_inline(resource, signs, context)
        hides = hides or bool(signs and not vendors and hides_page(resource.text))
        if hides and not resource.attribute:
            return context.loaded_vendors()
        held = (_held_to_pins(vendor, resource, context) for vendor in vendors)
        return frozenset((*held, *context.owners(resource.urls)))
    if kind is ResourceKind.HIDER:
        return resource.marks or context.loaded_vendors()
    if kind is ResourceKind.REFERRER:
        return frozenset({MARKETING_ONLY})
    if kind is ResourceKind.RESERVED_NAME:
        return frozenset({RESERVED})
    if kind is ResourceKind.POLICY:
        amended = context.boundary.amend_policy(resource.text)
        return frozenset() if amended == resource.text else frozenset({RESERVED})
    if kind is ResourceKind.FORM and any(map(context.is_own_endpoint, resource.urls)):
        return frozenset({RESERVED})
    if kind is ResourceKind.CONTENT:
        return resource.marks
    if kind is ResourceKind.MARKED_SCRIPT:
        found = map(known_vendor, context.boundary.index.vendors_of_text(resource.text))
        return frozenset((*found, *context.owners(resource.urls))) or resource.marks
    if kind is ResourceKind.IMPORT_MAP:
        return frozenset(context.owners(filter(is_url_text, _strings_in_json(resource.text))))
    if kind is ResourceKind.SPECULATION_RULES:
        # Every word may be a URL, relative to a base that may be another host's.
        return frozenset(context.owners(_strings_in_json(resource.text)))
    owners = frozenset(context.owners(resource.urls))
    if kind is ResourceKind.HINT and context.hinted:
        return hinted_at(owners, context.hinted)
    return owners


def hint_owners(context: CompileContext) -> dict[Owner, frozenset[Owner]]:
    """Whom a hint that names no path may be for: those whom the page itself asks at that host."""
    hosts = hinted_hosts(context)
    return asked_at(hosts.__contains__, context) if hosts else {}


def hinted_hosts(context: CompileContext) -> frozenset[str]:
    """The hosts that hints name, of which vendors own parts."""
    index = context.boundary.index
    hints = (one for one in context.scan.resources if one.kind is ResourceKind.HINT)
    return frozenset(
        host
        for hint in hints
        for host, owner in context.hosts_and_owners(hint.urls)
        if isinstance(owner, UnknownHost) and index.has_path_rules(host)
    )


def asked_at(
    is_looked_for: Callable[[str], bool], context: CompileContext
) -> dict[Owner, frozenset[Owner]]:
    """Whom the page asks at some hosts, by the owner that such a host has by itself."""
    asked: dict[Owner, set[Owner]] = {}
    resources = context.scan.resources
    urls = [url for one in resources if one.kind is not ResourceKind.HINT for url in one.urls]
    for host, owner in context.hosts_and_owners(dict.fromkeys(urls)):
        if is_looked_for(host):
            asked.setdefault(unknown_host(host), set()).add(owner or UNREADABLE_HOST)
    return {host: frozenset(owners) for host, owners in asked.items()}


def hinted_at(
    owners: frozenset[Owner], hinted: Mapping[Owner, frozenset[Owner]]
) -> frozenset[Owner]:
    """Whom a hint is for, by `hint_owners`."""
    return frozenset[Owner]().union(*(hinted.get(owner, {owner}) for owner in owners))


def _vendors_of_inline(
    resource: Resource, vendors: tuple[str, ...], context: CompileContext
) -> tuple[str, ...]:
    """Of the vendors whose signatures an inline script has, those whose code it has."""
    boundary = context.boundary
    if not vendors or resource.attribute:
        return vendors
    if _only_assigns_data(resource.text):
        return ()
    return boundary.vendors_of_script(inline_code(resource, context))


def _held_to_pins(vendor: str, resource: Resource, context: CompileContext) -> Owner:
    """The owner of an inline script with a vendor's code: a pinned vendor's only where its hash is
    pinned.
    """
    pins = context.boundary.pins
    if pins.inline and (changed := pins.changed(vendor, inline_code(resource, context))):
        return ChangedScript(vendor, changed)
    return known_vendor(vendor)


_ASSIGNMENT = lazy_pattern(r"\s*(?:(?:var|let|const)\s+)?[\w$.]+(?:\[[\"'][\w$-]+[\"']\])?\s*=\s*")


def _only_assigns_data(script: str) -> bool:
    """Whether a script is one assignment of a JSON object and nothing else.

    Frameworks write a page's state so. A tracker's snippet within it is text, not code: nothing of
    it runs, and the page would break without the state. A string or a list might run all the
    same: `location = "javascript:..."`, `body.innerHTML = ["<img onerror=...>"]`.
    """
    start = _ASSIGNMENT.match(script)
    if start is None or not script.startswith("{", start.end()):
        return False
    try:
        json.loads(script[start.end() :].rstrip().rstrip(";"))
    except (ValueError, RecursionError):
        return False
    return True


def _strings_in_json(text: str) -> list[str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # Browsers ignore it, unless it is complete once something within it is closed.
        return _JSON_STRING.findall(text)
    return list(_strings(value))


# Possessive, and an unclosed one includes all that follows: each is read once.
_JSON_STRING = lazy_pattern(r'"(?:((?>(?:[^"\\]++|\\.)*))"|(?>(?:[^"\\]++|\\.)*)\\?\Z)', re.DOTALL)


def is_url_text(text: str) -> bool:
    # Not the name of a module.
    return "/" in text or "\\" in text or ":" in text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def inline_code(resource: Resource, context: CompileContext) -> str:
    """The text of an inline script as a browser decodes it."""
    text = resource.text
    return text if resource.attribute or text.isascii() else context.source.word(text)
