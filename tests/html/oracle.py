"""What a browser would ask for, told by other means than the pipeline's: html5lib's tree, a
list of fetching attributes, and one plain regular expression for CSS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import html5lib
from ada_url import URL

_XLINK = "{http://www.w3.org/1999/xlink}href"
_HTML = "{http://www.w3.org/1999/xhtml}"
_SVG = "{http://www.w3.org/2000/svg}"
_FETCHING: dict[str, tuple[str, ...]] = {
    "img": ("src", "srcset"),
    "script": ("src",),
    "iframe": ("src",),
    "frame": ("src",),
    "embed": ("src",),
    "object": ("data",),
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
    "a": ("ping",),
    "area": ("ping",),
}
_SVG_FETCHING = frozenset({"image", "use", "feImage", "script"})
_NETWORK = frozenset({"http:", "https:", "ws:", "wss:", "ftp:"})
_LINKS = frozenset({"stylesheet", "preload", "prefetch", "icon", "preconnect", "dns-prefetch"})
# Not image-set(): whether a string is one of its URLs takes a tokenizer to tell (test_css.py).
_CSS = re.compile(r"""(?:(?<![\w-])url\(\s*|@import\s*)["']?\s*([^"')\s;]+)""", re.I)
_ABSOLUTE = re.compile(r"(?:https?:)?//[^\s\"'<>,;)]+")


def asked_hosts(text: str, url: str, *, scripting: bool) -> set[str]:
    """Hosts that a browser would ask for the page `text` at `url`."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=True, strict=False)
    _teach_end_tags(parser)
    document = parser.parse(text, scripting=scripting)
    base = _base(document, url)
    return {host for found in _urls(document, base) if (host := _host(found, base))}


def _teach_end_tags(parser: Any) -> None:
    """</p> and </br> end a drawing, as the standard says since html5lib's last release."""
    known: Any = type(parser.phases["inForeignContent"])

    class ForeignContent(known):  # type: ignore[misc]
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

    parser.phases["inForeignContent"] = ForeignContent(parser, parser.tree)


def _base(document: ElementTree.Element, url: str) -> str:
    inert = {e for template in document.iter(f"{_HTML}template") for e in template.iter()}
    for element in document.iter(f"{_HTML}base"):
        if "href" in element.attrib and element not in inert:
            try:
                found = URL(element.attrib["href"], base=url)
            except ValueError:
                return url
            return found.href if found.protocol in {"http:", "https:"} else url
    return url


def _host(url: str, base: str) -> str:
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
        if element.tag.startswith(_HTML):
            yield from _html_urls(element, element.tag.removeprefix(_HTML), base)
        elif element.tag.startswith(_SVG):
            yield from _svg_urls(element, element.tag.removeprefix(_SVG))
        for name in ("style", "fill", "filter", "mask", "background"):
            yield from _CSS.findall(_unescaped(element.attrib.get(name, "")))


def _html_urls(element: ElementTree.Element, tag: str, base: str) -> Iterator[str]:
    for name in _FETCHING.get(tag, ()):
        value = element.attrib.get(name, "")
        if name == "srcset":
            yield from _candidates(value)
        elif name == "ping":
            yield from value.split()
        else:
            yield value
    rels = element.attrib.get("rel", "").lower().split()
    if tag == "link" and _LINKS.intersection(rels):
        yield element.attrib.get("href", "")
    if tag == "style":
        yield from _CSS.findall(_unescaped(_own_text(element)))
    if tag == "meta" and element.attrib.get("http-equiv", "").lower() == "refresh":
        content = element.attrib.get("content", "")
        if re.match(r"\s*[\d.]+[;,\s]", content):
            yield from _ABSOLUTE.findall(content)
    if tag == "iframe" and element.attrib.get("srcdoc"):
        for scripting in (False, True):
            for host in asked_hosts(element.attrib["srcdoc"], base, scripting=scripting):
                yield f"//{host}/"


def _candidates(srcset: str) -> Iterator[str]:
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


def _svg_urls(element: ElementTree.Element, tag: str) -> Iterator[str]:
    if tag in _SVG_FETCHING:
        yield element.attrib.get("href", "")
        yield element.attrib.get(_XLINK, "")
    if tag in {"set", "animate"}:
        yield from _ABSOLUTE.findall(element.attrib.get("to", ""))
    if tag == "style":
        yield from _CSS.findall(_unescaped(_own_text(element)))


_STRING = re.compile(r"""((?:url\(|image-set\(|@import)\s*)?("[^"\n]*"|'[^'\n]*')""", re.I)


def _unescaped(css: str) -> str:
    css = re.sub(r"/\*.*?(\*/|\Z)", " ", css, flags=re.S) if "/*" in css else css
    if "\\" not in css:
        return css
    css = re.sub(
        r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))",
        lambda m: chr(int(m[1], 16)) if m[1] and int(m[1], 16) < 0x110000 else m[2] or "",
        css,
    )
    # A name spelt with escapes within a string is text.
    return _STRING.sub(lambda m: m[0] if m[1] else "''", css)
