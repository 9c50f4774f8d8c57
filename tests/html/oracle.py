"""What a browser would ask for, told by other means than the pipeline's: html5lib's tree, a list
of fetching attributes, and tinycss2's tokens for CSS.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree

import html5lib
import tinycss2
from ada_url import URL
from html5lib.constants import specialElements
from hypothesis.errors import UnsatisfiedAssumption

_XLINK = "{http://www.w3.org/1999/xlink}href"
_HTML = "{http://www.w3.org/1999/xhtml}"
_SVG = "{http://www.w3.org/2000/svg}"
_DOCUMENTS = {
    "iframe": "src", "frame": "src", "embed": "src", "object": "data", "portal": "src",
    "fencedframe": "src",
}  # fmt: skip
_FETCHING: dict[str, tuple[str, ...]] = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "input": ("src", "formaction"),
    "button": ("formaction",),
    "form": ("action",),
    "body": ("background",),
    "table": ("background",),
    "td": ("background",),
    "th": ("background",),
    "a": ("ping",),
    "area": ("ping",),
    "bgsound": ("src",),
    "applet": ("codebase",),
}
_SVG_FETCHING = frozenset({"image", "use", "feImage", "script"})
_PRESENTATION = ("fill", "filter", "mask", "stroke", "clip-path", "cursor")
_NETWORK = frozenset({"http:", "https:", "ws:", "wss:", "ftp:"})
_LINKS = frozenset(
    {
        "stylesheet", "preload", "prefetch", "icon", "preconnect", "dns-prefetch", "modulepreload",
        "manifest", "prerender",
    }
)  # fmt: skip
_REFRESH = re.compile(
    r"\s*[\d.]+(?:\s*[;,]|\s)\s*(?:url\s*=\s*)?([\"']?)(.*?)(?:\1|\Z)\s*\Z",
    re.IGNORECASE | re.DOTALL,
)
_JAVASCRIPT = re.compile(
    r"(?:(?:text|application)/(?:java|ecma)script|module)?\s*\Z", re.IGNORECASE
)
SIGNATURE = "pixelq("
"""What gives a vendor's inline script away, and what is told of one that runs."""


_COMMENT = re.compile(
    r"(\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*')|//[^\n\r\u2028\u2029]*|/\*.*?\*/", re.DOTALL
)
"""A string (of JavaScript), which is group 1, or a comment."""


class GaveUpError(UnsatisfiedAssumption):
    """html5lib met what it thought could not be. A property test takes another example then."""


def asked_hosts(text: str, url: str, *, scripting: bool, depth: int = 0) -> set[str]:
    """Hosts that a browser would ask for the page `text` at `url`; `SIGNATURE` where a vendor's
    inline script runs."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=True, strict=False)
    _teach_end_tags(parser)
    try:
        document = parser.parse(text, scripting=scripting)
    except AssertionError as error:
        raise GaveUpError from error
    base = _base(document, url)
    told = {host for found in _urls(document, base) if (host := host_of(found, base))}
    for nested in _nested_pages(document) if depth < 6 else ():
        for with_scripts in (False, True):
            told |= asked_hosts(nested, base, scripting=with_scripts, depth=depth + 1)
    # A script that goes on to the page's end is not run (HTML, 13.2.6.4.8, "an end-of-file token").
    read = text.replace("\r\n", "\n").replace("\r", "\n")
    codes = (code for code in _codes(document) if SIGNATURE in code and not read.endswith(code))
    if any(SIGNATURE in _COMMENT.sub(lambda found: found[1] or " ", code) for code in codes):
        told.add(SIGNATURE)
    return told


def _teach_end_tags(parser: Any) -> None:
    """What end tags do in a drawing, as the standard says since html5lib's last release: </p> and
    </br> end it, and those of other names no element of it from within its HTML.
    """
    foreign: Any = type(parser.phases["inForeignContent"])
    body: Any = type(parser.phases["inBody"])

    class ForeignContent(foreign):  # type: ignore[misc]
        def processEndTag(self, token: dict[str, Any]) -> Any:  # noqa: N802
            if token["name"] not in {"p", "br"}:
                return super().processEndTag(token)
            stack = parser.tree.openElements
            while (
                stack[-1].namespace != parser.tree.defaultNamespace
                and not parser.isHTMLIntegrationPoint(stack[-1])
                and not parser.isMathMLTextIntegrationPoint(stack[-1])
            ):
                stack.pop()
            return parser.phase.processEndTag(token)

    class InBody(body):  # type: ignore[misc]
        def processEndTag(self, token: dict[str, Any]) -> Any:  # noqa: N802
            if self.endTagHandler[token["name"]].__func__ is body.endTagOther:
                return self.endTagOther(token)
            return super().processEndTag(token)

        def endTagOther(self, token: dict[str, Any]) -> None:  # noqa: N802
            stack = parser.tree.openElements
            for node in reversed(stack):
                if node.name == token["name"] and node.namespace == parser.tree.defaultNamespace:
                    parser.tree.generateImpliedEndTags(exclude=token["name"])
                    while stack.pop() != node:
                        pass
                    return
                if node.nameTuple in specialElements:
                    return

    parser.phases["inForeignContent"] = ForeignContent(parser, parser.tree)
    parser.phases["inBody"] = InBody(parser, parser.tree)


def _base(document: ElementTree.Element, url: str) -> str:
    inert = {e for template in document.iter(f"{_HTML}template") for e in template.iter()}
    for element in document.iter(f"{_HTML}base"):
        if "href" in element.attrib and element not in inert:
            return base_of(element.attrib["href"], url)
    return url


def base_of(href: str, url: str) -> str:
    """What a page's <base> makes its relative addresses relative to."""
    try:
        found = URL(href, base=url)
    except ValueError:
        return url
    return found.href if found.protocol in {"http:", "https:"} else url


def host_of(url: str, base: str) -> str:
    """The host that an address asks; "" where it asks none."""
    if not url.strip() or url.lstrip()[:1] == "#":
        return ""
    try:
        found = URL(url, base=base)
    except ValueError:
        return ""
    return found.hostname.rstrip(".") if found.protocol in _NETWORK else ""


def _urls(document: ElementTree.Element, base: str) -> Iterator[str]:
    for element in document.iter():
        if not isinstance(element.tag, str):
            continue
        attributes = element.attrib
        if element.tag.startswith(_HTML):
            yield from _html_urls(attributes, element, element.tag.removeprefix(_HTML))
        elif element.tag.startswith(_SVG):
            yield from _svg_urls(attributes, element, element.tag.removeprefix(_SVG))
        for name in ("style", *_PRESENTATION):
            # Without its at-sign: nothing is imported within declarations.
            yield from css_asks(attributes.get(name, "").replace("@", " "))


def _html_urls(attributes: dict[str, str], element: ElementTree.Element, tag: str) -> Iterator[str]:
    for name in (*_FETCHING.get(tag, ()), _DOCUMENTS.get(tag, "")):
        value = attributes.get(name, "")
        if name == "srcset":
            yield from candidates(value)
        elif name == "ping":
            yield from value.split()
        else:
            yield value
    yield from attributes.get("attributionsrc", "").split()
    rels = attributes.get("rel", "").lower().split()
    if tag == "link" and _LINKS.intersection(rels):
        yield attributes.get("href", "")
        yield from candidates(attributes.get("imagesrcset", ""))
        if "stylesheet" in rels:
            yield from css_asks(_data(attributes.get("href", "")))
    elif tag == "style" and attributes.get("type", "").lower() in {"", "text/css"}:
        yield from css_asks(_own_text(element))
    elif tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
        content = attributes.get("content", "")
        refresh = _REFRESH.match(content)
        if refresh is not None:
            yield refresh[2]
    elif tag == "script" and not attributes.get("src"):
        kind = attributes.get("type", "").strip().lower()
        if kind in {"importmap", "speculationrules"}:
            yield from _json_urls(element.text or "")


def _json_urls(text: str) -> Iterator[str]:
    try:
        waiting = [json.loads(text)]
    except (ValueError, RecursionError):
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and re.match(r"[a-z]*:?[/\\]", value):
            yield value
        elif isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value


def _nested_pages(document: ElementTree.Element) -> Iterator[str]:
    for tag, name in _DOCUMENTS.items():
        for element in document.iter(_HTML + tag):
            if tag == "iframe" and element.attrib.get("srcdoc"):
                yield element.attrib["srcdoc"]
            elif _data(element.attrib.get(name, "")):
                yield _data(element.attrib[name])


def _data(url: str) -> str:
    """The text of a data: URL, or ""."""
    found = re.fullmatch(r"data:([^,]*),([^#]*).*", url.strip(), re.IGNORECASE | re.DOTALL)
    if found is None:
        return ""
    content = unquote_to_bytes(found[2])
    if found[1].strip().lower().endswith("base64"):
        try:
            content = base64.b64decode(content)
        except ValueError:
            return ""
    return content.decode("utf-8", "replace")


def _codes(document: ElementTree.Element) -> Iterator[str]:
    """What is run as a script."""
    for element in document.iter():
        if element.tag in {f"{_HTML}script", f"{_SVG}script"}:
            if not _JAVASCRIPT.match(element.attrib.get("type", "")):
                continue
            source = element.attrib.get("src" if element.tag.startswith(_HTML) else "href", "")
            yield _data(source) if source else element.text or ""


def candidates(srcset: str) -> Iterator[str]:
    """The addresses of a `srcset`."""
    is_url = True
    for word in srcset.split():
        if not is_url:
            _, comma, word = word.partition(",")
            is_url = bool(comma)
        if is_url and word.strip(","):
            yield word.strip(",")
            is_url = word.endswith(",")


def _own_text(style: ElementTree.Element) -> str:
    return "".join((style.text or "", *(child.tail or "" for child in style)))


def _svg_urls(attributes: dict[str, str], element: ElementTree.Element, tag: str) -> Iterator[str]:
    if tag in _SVG_FETCHING:
        yield attributes.get("href", "")
        yield attributes.get(_XLINK, "")
    if tag in {"set", "animate"}:
        for name in ("to", "values"):
            yield from attributes.get(name, "").split(";")
    # SVG 2, 6.2: its type is as of HTML's.
    if tag == "style" and attributes.get("type", "").lower() in {"", "text/css"}:
        yield from css_asks(_own_text(element))


_MAY_ASK = ("url", "import", "image", "src", "\\")
_OF_STRINGS = frozenset({"url", "src", "image", "image-set", "-webkit-image-set"})


def css_asks(css: str) -> Iterator[str]:
    """The URLs that a style sheet, or a list of declarations, asks for."""
    lowered = css.lower()
    if any(word in lowered for word in _MAY_ASK):
        yield from _token_urls(tinycss2.parse_component_value_list(css, skip_comments=True))


def _token_urls(tokens: Iterable[Any]) -> Iterator[str]:
    imported = False
    for token in tokens:
        if token.type == "url" or (token.type == "string" and imported):
            yield token.value
        elif token.type == "function":
            if token.lower_name in _OF_STRINGS:
                inside = [one for one in token.arguments if one.type != "whitespace"]
                if token.lower_name == "url":
                    del inside[1:]
                yield from (one.value for one in inside if one.type == "string")
            yield from _token_urls(token.arguments)
        elif token.type in {"() block", "[] block", "{} block"}:
            yield from _token_urls(token.content)
        imported = (token.type == "at-keyword" and token.lower_value == "import") or (
            imported and token.type == "whitespace"
        )
