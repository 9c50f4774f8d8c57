"""A compiled page: its gates and what closes them."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.html.resource import Closing, Kind

MARKETING_ONLY = "@marketing"
"""A need that only marketing pages meet: for what leaks a patient page's address."""

NEVER = "@never"
"""A need that nothing meets, on no page: for what would pass for a part of our own markup, or keep
it from working.
"""

CHANGED = "?changed inline script of "
"""Stands before a vendor's id and a hash among the owners: nobody approved that script."""

UNHELD = "?script whose pin cannot be held"
"""Among the owners: a pinned script where no browser looks at the hash."""


def unknown(host: str) -> str:
    """How a host that nobody knows is written among the owners."""
    return f"?{host}"


@dataclass(frozen=True, slots=True)
class Embed:
    """A visible frame. Sizes are as the page gives them: "560", "100%", or ""."""

    vendor: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Gate:
    """A span of `Page.body` that is there or not.

    It is open when everything in `needs` is: ids of vendors, "?host" for a host nobody knows
    (never open), or MARKETING_ONLY. `closed` is what stands there otherwise; for a frame with
    content, a placeholder is made for `embed` instead.
    """

    start: int
    end: int
    needs: frozenset[str]
    closed: bytes
    kind: Kind
    closing: Closing
    embed: Embed | None = None
    opened: bytes | None = None
    """What stands there when it is open; None for what the page has."""
    code_at: int = 0
    """Where the code of an inline script begins that other scripts may rest upon; else 0."""
    names: frozenset[str] = frozenset()
    """What the page calls of a closed script: it needs stand-ins."""


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled page: immutable, the same for every visitor."""

    body: bytes
    gates: tuple[Gate, ...]
    owners: frozenset[str]
    head_at: int | None
    foot_at: int | None
    is_document: bool
    has_base: bool
    """Whether a <base> says what relative addresses are relative to."""
    language: str
    marks: tuple[str, ...]
    label: str
    """The charset's name for the Content-Type header; "" where the origin names none."""
    wire: str
    """The codec of the rendered bytes where it is not that of `body` (UTF-8 then)."""
    transcoded: bool
    """Whether the page goes out in UTF-8 though the origin's charset is another."""
    frames: tuple[str, ...] = ()
    """Raw targets of the site's own pages that it shows within: its scripts can read them."""
    declaration_at: tuple[int, ...] = ()
    """Where the page asks for the cookie declaration."""
    passing: bool = False
    """Whether it is one of many that are alike, each seen once: what is made of it is not kept."""
