"""Tags that only a browser's preload scanner finds, which is a tokenizer without a tree.

To it a drawing's tags are tags like others. So the content of a <style>, <script> or <title> of a
drawing is text that ends at the first end tag of that name, be it in a comment or an attribute of
the tree; and a CDATA section is a comment that ends at the first `>`. Where that leaves the scanner
in the middle of something, it reads tags there which the tree does not have. No real page has any.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from consent_rules.lazy_pattern import lazy_pattern
from proxy.html.elements import resources_of
from proxy.html.preload_scanner import SCANNED_TAGS, Repeated, scanned_urls
from proxy.html.resource import Closing, Reading, Resource, ResourceKind
from proxy.html.tree import Document, Text, is_html, location_of, parse

TEXT_HOLDERS = (
    "style", "script", "title", "textarea", "xmp", "iframe", "noembed", "noframes", "noscript",
)  # fmt: skip
"""HTML's elements whose content a tokenizer takes for text (HTML, 13.2.6.4.4 and 13.2.6.4.7)."""

SECTION = "<![CDATA["
_SECTION_END = "]]>"


def has_hidden_tags(
    document: Document, text: str, names: Iterable[str], *, is_whole: bool = True
) -> bool:
    """Whether the tokens of a page with drawings may be others without its tree. `names`: of
    `TEXT_HOLDERS` and `SECTION`, those that the page has. `is_whole`: nothing is behind the text.
    """
    return any(
        _has_tags_in_sections(document, text)
        if name == SECTION
        else _is_read_on(name, document, text, is_whole=is_whole)
        for name in names
    )


def _has_tags_in_sections(document: Document, text: str) -> bool:
    # Mostly they are in scripts.
    return _may_have_tags_in_sections(text) and has_tags_in_sections(document, "*")


def _may_have_tags_in_sections(text: str) -> bool:
    at = text.find(SECTION)
    while at >= 0:
        end = text.find(_SECTION_END, at)
        end = len(text) if end < 0 else end
        if _has_tag_behind_end(text[at + len(SECTION) : end]):
            return True
        at = text.find(SECTION, end)
    return False


def has_tags_in_sections(document: Document, selector: str) -> bool:
    """Whether a CDATA section in an element of a drawing may hold what is a tag to a browser to
    which the section is a comment.
    """
    return any(
        isinstance(node, Text) and _has_tag_behind_end(node.data)
        for element in document.select(selector)
        if not is_html(element)
        for node in element
    )


def _has_tag_behind_end(text: str) -> bool:
    end = text.find(">")
    return end >= 0 and text.find("<", end) >= 0


@cache
def _end_tag(tag: str) -> re.Pattern[str]:
    return re.compile(rf"</{tag}[\s/>]", re.IGNORECASE)


def _is_read_on(tag: str, document: Document, text: str, *, is_whole: bool) -> bool:
    """Whether the content of a drawing's element ends elsewhere as text than as markup, or is
    another style sheet.
    """
    for element in document.select(tag):
        location = None if is_html(element) else location_of(element)
        if location is None:
            continue
        start, end_tag = location.start_tag.end_offset, location.end_tag
        end = _end_tag(tag).search(text, start)
        if end is None and not is_whole:
            return True
        if end is None:
            # All the rest is its text, and that of any later one.
            return tag == "style" and _may_import(text[start:])
        if end_tag is None or end_tag.start_offset != end.start():
            return True
        if tag == "style" and _may_import(text[start : end.start()]):
            return True
    return False


def _may_import(content: str) -> bool:
    """Whether a drawing's style imports something as it is written that it may not import as it is
    read: without its tags, and with its character references resolved.
    """
    return ("<" in content or "&" in content) and "import" in content.lower()


# Of the same length, and void: the tree that is built of these has no depth, and no content of
# theirs is markup of another language.
_DRAWING = lazy_pattern(r"<(/?)(?:(svg)|math)(?=[\s/>])", re.IGNORECASE)


def _without_drawings(text: str) -> str:
    return _DRAWING.sub(lambda tag: f"<{tag[1]}{'wbr' if tag[2] else 'area'}", text)


_KINDS = {
    "script": ResourceKind.SCRIPT,
    "link": ResourceKind.LINK,
    "base": ResourceKind.LINK,
    "video": ResourceKind.MEDIA,
    "source": ResourceKind.MEDIA,
}


def hidden_tags(
    documents: Iterable[Document], reading: Reading, *, scripting: bool
) -> Iterator[Resource]:
    """What the scanner asks for by tags that stand in none of a page's trees. `reading`: the page
    as the trees have it.
    """
    text = _without_drawings(reading.text)
    scanned = Reading(reading.source, text, reading.relative_css, False, frozenset())
    tags = (one for document in documents for one in document.select(f"{SCANNED_TAGS},style"))
    # A drawing's style is here and there, and not the same sheet.
    known = {one.position for one in tags if one.tag != "style" or is_html(one)}
    found = parse(text, scripting=scripting)
    repeated = Repeated.of(found, scanned)
    for element in found.select(SCANNED_TAGS):
        if element.position in known:
            continue
        urls = scanned_urls(element, repeated.of_tag(element), scanned)
        if urls:
            kind = _KINDS.get(element.tag, ResourceKind.IMAGE)
            yield Resource(kind, element, "", Closing.HIDDEN, urls, scripting=scripting)
    for element in found.select("style"):
        if element.position in known:
            continue
        for one in resources_of(element, "style", scanned):
            if one.imported:
                one.closing, one.scripting = Closing.HIDDEN, scripting
                yield one
