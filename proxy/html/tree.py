"""The HTML parser: bytes of text -> the tree that a browser builds (WHATWG HTML, 13.2).

The only module that imports turbohtml. It wraps everything that the rest of the pipeline uses, so
that another parser, or another version, changes this file only.
"""

from __future__ import annotations

import turbohtml
from turbohtml import Comment, Document, Element, Node, SourceLocation, SourceSpan, Text

__all__ = [
    "ROOTS",
    "Comment",
    "Document",
    "Element",
    "Node",
    "SourceLocation",
    "SourceSpan",
    "Text",
    "is_html",
    "language_of",
    "location_of",
    "parse",
    "parse_unplaced",
]

ROOTS = frozenset({"html", "body"})
"""Elements that take over attributes of later tags of their name (HTML, 13.2.6.4.7)."""


def parse(text: str, *, scripting: bool) -> Document:
    """The tree of a page, every element with its position in `text`. `scripting`: as a browser that
    runs scripts builds it, to which the content of <noscript> is text.
    """
    return turbohtml.parse(
        text,
        source_locations=True,
        scripting=scripting,
        # As templates, so that what a shadow root holds is found like the rest.
        allow_declarative_shadow_roots=False,
    )


def parse_unplaced(text: str, *, scripting: bool) -> Document:
    """The same tree without the places, in less time."""
    return turbohtml.parse(text, scripting=scripting, allow_declarative_shadow_roots=False)


def location_of(element: Element) -> SourceLocation | None:
    """The position of an element, in offsets of the parsed text: its `start_tag`, its `end_tag`
    (None where the text has none) and its `attrs` by name.

    None for an element without a tag: one that the parser implied or copied.
    """
    location = element.source_location
    # The parser's types promise a start tag; an implied element has a location without one.
    if location is None or location.start_tag is None:
        return None
    return location


def is_html(element: Element) -> bool:
    """Whether an element is one of HTML's, not of SVG or MathML."""
    return element.namespace is turbohtml.Namespace.HTML


def language_of(element: Element) -> str:
    """The markup language of an element: `html`, `svg` or `mathml`."""
    return element.namespace.value
