"""Gate XML documents (XHTML, SVG, XSLT) token by token, for one visitor.

A document that is not well formed is shown by browsers up to the fault and no further (XML 1.0,
1.2, "fatal error"), so that is where ours ends too. Names count without their prefixes: what an
element is called in any vocabulary may be what it is in XHTML or SVG.
"""

from __future__ import annotations

import codecs
import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.boundary import Boundary
from proxy.html.charset import charset_of_content_type, is_label, python_codec
from proxy.html.css import css_urls
from proxy.html.deferred import deferring_names
from proxy.html.elements import resources_of, sheet_urls
from proxy.html.owners import MARKETING_ONLY, UNREADABLE_HOST, Owner, known_vendor
from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.source import Source, UndecodableError
from proxy.html.tree import parse

_NAME = r"[^\s/>=<'\"&]+"
_TOKEN = lazy_pattern(
    rf"(?P<text>[^<]+)|(?P<comment><!--.*?-->)|(?P<cdata><!\[CDATA\[(?P<inside>.*?)\]\]>)"
    rf"|<\?(?P<target>{_NAME})(?P<told>.*?)\?>"
    rf"|(?P<doctype><!DOCTYPE[^\[>]*(?:\[(?P<subset>(?>(?:[^\]\"'<]|<!--.*?-->|\"[^\"]*\"|'[^']*'|<)*))\]\s*)?>)"
    rf"|</(?P<end>{_NAME})\s*>"
    rf"|<(?P<name>{_NAME})(?P<attributes>(?:\s+{_NAME}\s*=\s*(?:\"[^<\"]*\"|'[^<']*'))*)(?P<close>\s*/?)>",
    re.DOTALL,
)
_ATTRIBUTE = lazy_pattern(rf"(\s+)({_NAME})\s*=\s*(?:\"([^<\"]*)\"|'([^<']*)')")
# Comments, instructions and other declarations are read over: they may hold what looks like one.
_DECLARED = lazy_pattern(
    r"<!--.*?-->|<\?.*?\?>"
    r"|<!ENTITY\s+(?P<name>[^\s%\"']+)\s+(?:\"(?P<one>[^\"]*)\"|'(?P<other>[^']*)')\s*>"
    r"|<!(?:[^>\"']|\"[^\"]*\"|'[^']*')*>",
    re.DOTALL,
)
_CHARACTER = lazy_pattern(r"&#(?:[0-9]+|x[0-9A-Fa-f]+);")
_REFERENCE = lazy_pattern(r"&([^\s;&<#]+);")
_DECLARATION = lazy_pattern(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._-]+)")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    # "<?" in UTF-16: how such a document begins without a mark.
    (b"<\0?\0", "utf-16-le"),
    (b"\0<\0?", "utf-16-be"),
)
_MAX_ENTITY_LENGTH = 65_536
_MAX_ENTITY_DEPTH = 40
_UNREADABLE = "//<"
"""In place of what is too long or too deep to expand: no host, and no text without elements."""
_REACHES = lazy_pattern(r"[/:\\]")
# The namespace of XSLT 1.0, in whatever charset; a reference or an entity may spell it otherwise.
_MAY_TRANSFORM = lazy_pattern(
    rb"XSL/Transform|<!ENTITY|xmlns[^=<>]*=\s*(?:\"[^\"]*&|'[^']*&)", re.IGNORECASE
)
# Links that no directive of a policy governs (CSP3, 6.1).
_HINT = lazy_pattern(r"preconnect|dns-prefetch", re.IGNORECASE)
# Elements for which an HTML parser handles a lone tag differently.
_ALONE = {"frame": "iframe"}


def gated_xml(
    body: bytes, content_type: str, url: str, boundary: Boundary, is_open: frozenset[Owner]
) -> bytes:
    """The document rendered for a visitor to whom `is_open` may act (`MARKETING_ONLY` included).

    Raises UndecodableError where its bytes are invalid in its charset.
    """
    codec = _codec(body, content_type)
    try:
        text = body.decode(codec)
    except UnicodeError as error:
        raise UndecodableError(f"the document is not valid {codec}: {error}") from error
    writer = _Writer(text, url, boundary, is_open, may_transform(body))
    return "".join(writer.parts()).encode(codec)


def may_transform(body: bytes) -> bool:
    """Whether a document may be, or hold, a transformation (XSLT)."""
    return _MAY_TRANSFORM.search(body.replace(b"\0", b"")) is not None


def _codec(body: bytes, content_type: str) -> str:
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return codec
    named = charset_of_content_type(content_type)
    if not named:
        declared = _DECLARATION.match(body)
        named = declared[1].decode("ascii").lower() if declared is not None else ""
    if not named:
        return "utf-8"
    if not is_label(named):
        raise UndecodableError(f"charset {named!r} is not one that browsers decode")
    return python_codec(named)


@dataclass(slots=True)
class _Held:
    """The content of a <script> or <style>: text, and elements, which act there as elsewhere."""

    of: str
    depth: int = 1
    texts: list[str] = field(default_factory=list)
    parts: list[tuple[str, bool]] = field(default_factory=list)

    def take(self, token: re.Match[str], written: str) -> None:
        is_text = token["text"] is not None or token["cdata"] is not None
        if is_text:
            self.texts.append(token["inside"] if token["cdata"] is not None else token[0])
        elif token["end"] is not None and _local(token["end"]) == self.of:
            self.depth -= 1
        elif _local(token["name"] or "") == self.of and not token["close"].strip():
            self.depth += 1
        self.parts.append((written, is_text))


@dataclass(slots=True)
class _Writer:
    text: str
    url: str
    boundary: Boundary
    is_open: frozenset[Owner]
    transforms: bool = False
    """Whether the document may be a program that makes other markup: then it makes no link that no
    policy governs, as far as its text tells."""

    def parts(self) -> Iterator[str]:
        """The document, token by token, up to where it is not well formed."""
        text = self.text
        entities: dict[str, str] = {}
        bases = self._bases()
        held: _Held | None = None
        at = 0
        while (token := _TOKEN.match(text, at)) is not None:
            at = token.end()
            whole = token[0]
            if token["doctype"] is not None:
                whole = self._doctype(token, entities)
            elif token["target"] is not None:
                whole = "" if self._is_closed_sheet(token, entities, bases) else whole
            elif self.transforms and _is_hint(token, entities):
                whole = _HINT.sub(_hyphenated, whole) if token["text"] else ""
                # Spelt by references, it is no prose.
                whole = "" if _HINT.search(_expanded(whole, entities)) else whole
            elif token["text"] is not None and entities:
                whole = _REFERENCE.sub(lambda m: _plain(m, entities), whole)
            elif token["name"] is not None:
                whole = self._tag(token, entities, bases)
            if held is None:
                yield whole
                local = _local(token["name"] or "")
                if local in {"script", "style"} and not token["close"].strip():
                    held = _Held(local)
                continue
            held.take(token, whole)
            if not held.depth:
                yield self._content(held, entities, bases)
                held = None
        if held is not None:
            yield self._content(held, entities, bases)

    def _bases(self) -> tuple[str, ...]:
        found = re.search(r"<(?:[^\s/>:]+:)?base\s[^<]*?\bhref\s*=\s*[\"']([^\"'<]*)", self.text)
        return (self.url,) if found is None else (self.url, html.unescape(found[1]))

    def _doctype(self, token: re.Match[str], entities: dict[str, str]) -> str:
        subset = token["subset"]
        if subset is None:
            return token[0]
        if "%" in subset or "<!ATTLIST" in subset:
            # Entities that make entities, and attributes that no tag shows.
            return token[0].replace(f"[{subset}]", "")
        for found in _DECLARED.finditer(subset):
            if found["name"]:
                # Characters by number are put in at once, names when they are used (XML, 4.5).
                value = found["one"] or found["other"] or ""
                value = _CHARACTER.sub(lambda m: html.unescape(m[0]), value)
                entities.setdefault(found["name"], value)
        return token[0]

    def _owners(self, urls: tuple[str, ...], bases: tuple[str, ...]) -> Iterator[Owner]:
        for url in urls:
            for base in bases:
                owner = self.boundary.owner(url, base)
                if owner is not None:
                    yield owner

    def _is_closed(self, urls: tuple[str, ...], bases: tuple[str, ...]) -> bool:
        return not self.is_open.issuperset(self._owners(urls, bases))

    def _is_closed_sheet(
        self, token: re.Match[str], entities: Mapping[str, str], bases: tuple[str, ...]
    ) -> bool:
        if token["target"] != "xml-stylesheet":
            return False
        attributes = _attributes(f" {token['told']}", entities)
        addresses = (sheet_urls(value) for name, value in attributes if name == "href")
        return self._is_closed(tuple(chain.from_iterable(addresses)), bases)

    def _content(self, held: _Held, entities: Mapping[str, str], bases: tuple[str, ...]) -> str:
        plain = _expanded("".join(held.texts), entities)
        if held.of == "script":
            owners: Iterable[Owner] = map(known_vendor, self.boundary.index.vendors_of_text(plain))
        else:
            found = css_urls(plain, relative=len(bases) > 1)
            urls = (sheet_urls(one.url) if one.imported else (one.url,) for one in found)
            owners = self._owners(tuple(chain.from_iterable(urls)), bases)
        is_open = self.is_open.issuperset(owners)
        return "".join(part for part, is_text in held.parts if is_open or not is_text)

    def _tag(
        self, token: re.Match[str], entities: Mapping[str, str], bases: tuple[str, ...]
    ) -> str:
        raw = token["attributes"]
        if not raw:
            return token[0]
        attributes = _attributes(raw, entities)
        local = _local(token["name"])
        dropped = {name for name, value in attributes if self._makes_hint(local, name, value)}
        if (
            not dropped
            and len(bases) == 1
            and not any(_REACHES.search(value) for _, value in attributes)
        ):
            return token[0]
        for resource in _resources_by_prefix(local, raw, entities):
            if not self._closes(resource, bases):
                continue
            if resource.closing in {Closing.REMOVE, Closing.NEUTRAL}:
                dropped = {name for name, _ in attributes}
                break
            dropped.add(resource.attribute.rpartition(":")[2])
        if not dropped:
            return token[0]
        if local == "script":
            dropped.add("type")

        def attribute_left(attribute: re.Match[str]) -> str:
            name = attribute[2]
            return "" if _local(name) in dropped and not _is_xmlns(name) else attribute[0]

        # Without its URL a script would run its content.
        inert = ' type="x"' if local == "script" else ""
        return f"<{token['name']}{_ATTRIBUTE.sub(attribute_left, raw)}{inert}{token['close']}>"

    def _makes_hint(self, local: str, name: str, value: str) -> bool:
        """Whether an attribute could become the `rel` of a hint whose address shows nowhere."""
        if self.transforms:
            return bool(_HINT.search(value)) or (name == "rel" and "{" in value)
        # A transformation of the document copies attributes to other elements.
        return name == "rel" and local != "link" and bool(_HINT.search(value))

    def _closes(self, resource: Resource, bases: tuple[str, ...]) -> bool:
        if resource.kind is ResourceKind.REFERRER:
            return MARKETING_ONLY not in self.is_open
        if resource.kind is ResourceKind.INLINE_SCRIPT:
            vendors = map(known_vendor, self.boundary.index.vendors_of_text(resource.text))
            return not self.is_open.issuperset((*vendors, *self._owners(resource.urls, bases)))
        if resource.kind is ResourceKind.NESTED_PAGE:
            # A page within an attribute of an XML document: always closed, no real document has
            # one.
            return UNREADABLE_HOST not in self.is_open
        return self._is_closed(resource.urls, bases)


def _is_hint(token: re.Match[str], entities: Mapping[str, str]) -> bool:
    """Whether text names a kind of hint."""
    if token["cdata"] is not None:
        return bool(_HINT.search(token["inside"]))
    return token["text"] is not None and bool(_HINT.search(_expanded(token["text"], entities)))


def _hyphenated(word: re.Match[str]) -> str:
    """The same word to a reader, with a soft hyphen in it."""
    return f"{word[0][:3]}&#173;{word[0][3:]}"


def _local(name: str) -> str:
    return name.rpartition(":")[2]


def _is_xmlns(name: str) -> bool:
    return name == "xmlns" or name.startswith("xmlns:")


def _attributes(raw: str, entities: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names without their prefixes, and values; what says which prefix is which left out."""
    return [
        (_local(name), _expanded(one or other, entities))
        for _, name, one, other in _ATTRIBUTE.findall(raw)
        if not _is_xmlns(name)
    ]


def _resources_by_prefix(local: str, raw: str, entities: Mapping[str, str]) -> Iterator[Resource]:
    """The resources of an element. Of attributes that differ by their prefixes only, each may be
    the one that counts.
    """
    named = [
        (name.rpartition(":")[0], _local(name), _expanded(one or other, entities))
        for _, name, one, other in _ATTRIBUTE.findall(raw)
        if not _is_xmlns(name)
    ]
    seen: set[tuple[tuple[str, str], ...]] = set()
    for first in dict.fromkeys(prefix for prefix, _, _ in named):
        ordered = sorted(named, key=lambda one: one[0] != first)
        attributes = tuple({name: value for _, name, value in reversed(ordered)}.items())
        if attributes not in seen:
            seen.add(attributes)
            yield from _resources(local, list(attributes))


def _expanded(value: str, entities: Mapping[str, str]) -> str:
    """A value with its references resolved: the document's own and all that HTML knows, as browsers
    know those of XHTML's document types.
    """
    for _ in range(_MAX_ENTITY_DEPTH):
        if "&" not in value or not entities:
            break
        expanded = _REFERENCE.sub(lambda m: entities.get(m[1], m[0]), value)
        if expanded == value:
            break
        value = expanded
        if len(value) > _MAX_ENTITY_LENGTH:
            return _UNREADABLE
    else:
        return _UNREADABLE
    return html.unescape(value)


def _plain(reference: re.Match[str], entities: Mapping[str, str]) -> str:
    """The text of a reference; "" where it stands for elements."""
    return "" if "<" in _expanded(reference[0], entities) else reference[0]


def _resources(local: str, attributes: list[tuple[str, str]]) -> Iterator[Resource]:
    """The resources of an element of that name with those attributes, in HTML or in SVG."""
    if not re.fullmatch(r"[A-Za-z][\w-]*", local):
        local = "i"
    written = "".join(
        f' {name}="{html.escape(value)}"'
        for name, value in attributes
        if re.fullmatch(r"[\w-]+", name)
    )
    name = _ALONE.get(local, local)
    names = deferring_names(written.lower().encode("ascii", "replace"))
    for markup in (f"<{name}{written}>", f"<svg><{local}{written}/>", f"<i{written}>"):
        document = parse(markup, scripting=False)
        reading = Reading(Source(b"", markup, "utf-8", "", ""), markup, True, False, names)
        for element in document.select(f"{name},{local},i"):
            yield from resources_of(element, element.tag, reading)
