"""Compile a page that is still arriving, chunk by chunk.

Each chunk is compiled like a page of its own, after the start tags of the elements that are open at
its start. A chunk ends only where these are the parser's whole state: between two tags, in the
body, and with nothing open but plain elements (no script, comment, <template>, <select>, drawing).
Whether an offset is such a cut is not guessed: the parser decides. So every byte is compiled once,
whatever the page's length, and no more than one chunk is buffered.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from proxy.html.boundary import Boundary, base_urls
from proxy.html.charset import charset_of
from proxy.html.compile import findings, gates_of, own_frames
from proxy.html.frameworks import Hydration, hydration_of
from proxy.html.gates import Page
from proxy.html.incremental_decoder import Decoding, decoding_of
from proxy.html.owners import Owner
from proxy.html.render import render
from proxy.html.scan import Scan, check_page_cost, scan
from proxy.html.source import Source, UndecodableError, is_shifted, text_of
from proxy.html.text_only import TextOnlyWriter
from proxy.html.tree import Comment, Element, is_html, parse, parse_unplaced

_PRESCAN = 1445
"""Bytes that are waited for before anything is decided: browsers too look for a charset in the
first 1,024 and for a type in the first 1,445 (HTML Standard 13.2.3.1, MIME Sniffing 5.2)."""

_PROBE = "consent-probe"
_LIKE_PROBE = re.compile(_PROBE, re.IGNORECASE)
# The comment is inserted at the parser's current node, whatever is open. The row becomes an element
# only within a table: a table that is open but not around the comment holds it by "foster
# parenting".
_PROBED = "<!--{probe}--><tr><td><{probe}></{probe}>"
_FRAMESET = "<frameset>"
_TABLES = frozenset(
    {"table", "caption", "colgroup", "thead", "tbody", "tfoot", "tr", "td", "th"}
)  # fmt: skip
_CLOSED_IN = frozenset({"select", "template", "noscript", "frameset", "head", "html", "body"})
"""Elements whose content later bytes may still change, or that are read in more than one way."""
_MAX_DEPTH = 800
_TRIES = 8

_DOCTYPE = re.compile(r"<!doctype[^>]{0,300}>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """The elements that are open at the start of a chunk."""

    doctype: str
    tags: tuple[str, ...]

    @property
    def markup(self) -> str:
        # The letter makes a later <frameset> impossible, as the page's own content did.
        return f"{self.doctype}<html><head></head><body>x" + "".join(f"<{t}>" for t in self.tags)


@dataclass(frozen=True, slots=True)
class CompiledChunk:
    """A compiled part of a page: `page.body` and the gates in it. Only the first has an offset for
    the head, only the last one for the foot.

    `body_at`: where the body's content begins, if that is in this chunk. `bases` are what relative
    URLs are resolved against. `stripped`: it is the page's text, with hardly any markup.
    """

    page: Page
    body_at: int | None = None
    bases: tuple[str, ...] = ()
    stripped: bool = False


class IncrementalCompiler:
    """Compiles a page as it arrives. Not thread-safe.

    `limit` bounds the buffer: where so many bytes have no cut, the rest of the page is sent as text
    (`proxy.html.text_only`), or unchanged where `strips` is False.
    """

    def __init__(
        self, content_type: str, url: str, boundary: Boundary, limit: int, *, strips: bool = True
    ) -> None:
        self._content_type = content_type
        self._url = url
        self._boundary = boundary
        self._limit = limit
        self._strips = strips
        self._decoding: Decoding | None = None
        self._held = b""
        self._added: list[bytes] = []
        self._size = 0
        self._around: _Surroundings | None = None
        self._bases: tuple[str, ...] = ()
        self._has_base = False
        self._saw_base = False
        self._first: Page | None = None
        self._stripper: TextOnlyWriter | None = None
        self._retry_at = 0
        self._waits_for = ""
        self._seen = 0
        self._charset_is_named = False

    @property
    def follows_from_chunks(self) -> bool:
        """Whether all chunks so far followed from their own bytes alone: not from what was held
        behind them, to guess a charset, and not from a tag that a decoder or stripper has begun.
        """
        decoding, first = self._decoding, self._first
        return (
            self._stripper is None
            and self._charset_is_named
            and decoding is not None
            and not decoding.transcodes
            and first is not None
            and len(first.body) >= _PRESCAN
        )

    def resumed(self) -> IncrementalCompiler:
        """Another compiler in the state behind the last chunk, with nothing buffered. Only where
        `follows_from_chunks`.
        """
        other = copy.copy(self)
        other._held, other._added, other._size = b"", [], 0
        other._retry_at, other._waits_for, other._seen = 0, "", 0
        return other

    @property
    def held(self) -> int:
        """Buffered bytes that are in no chunk yet."""
        return len(self._held) + self._size

    def add(self, data: bytes) -> None:
        self._added.append(data if self._decoding is None else self._decoding.decode(data))
        self._size += len(self._added[-1])

    def take(self, *, last: bool = False) -> CompiledChunk | None:
        """The next chunk; None until it is complete. `last`: the buffer is the rest of the page.

        Raises UndecodableError, before the first chunk only.
        """
        self._held = b"".join((self._held, *self._added))
        self._added, self._size = [], 0
        if self._decoding is None and not self._decide_charset(last=last):
            return None
        if last:
            assert self._decoding is not None
            self._held += self._decoding.end()
        if self._stripper is not None:
            return self._stripped(last=last)
        try:
            piece = self._compiled(last=last)
        except (UndecodableError, RecursionError):
            if self._first is None:
                raise
            return self._strip(last=last)
        if piece is None and len(self._held) > self._limit:
            return self._strip(last=last)
        return piece

    # --- the charset ------------------------------------------------------------------------

    def _decide_charset(self, *, last: bool) -> bool:
        if len(self._held) < _PRESCAN and not last:
            return False
        label, certain = charset_of(self._held, self._content_type)
        if not (label or certain or last) and len(self._held) <= self._limit:
            # How browsers decode a page that names no charset depends on all of it.
            return False
        self._charset_is_named = bool(label or certain)
        self._decoding = decoding_of(label or _guessed(self._held, last=last))
        self._held = self._decoding.decode(self._held)
        return True

    def _source(self, around: str, held: bytes) -> Source:
        decoding = self._decoding
        assert decoding is not None
        if decoding.is_refused:
            raise UndecodableError(f"charset {decoding.label!r} is not one that browsers decode")
        text = around + text_of(held)
        return Source(around.encode("latin-1") + held, text, decoding.codec, "", decoding.label)

    # --- a piece ----------------------------------------------------------------------------

    def _compiled(self, *, last: bool) -> CompiledChunk | None:
        cut = (len(self._held), ()) if last else self._cut()
        if cut is None:
            return None
        end, tags = cut
        piece = self._compile(self._held[:end], last=last)
        if self._first is None:
            if not last and _may_become_frames(piece.page):
                self._retry_at = 2 * len(self._held)
                return None
            self._first = piece.page
            self._around = _Surroundings(_doctype(text_of(piece.page.body[:4096])), tags)
        assert self._around is not None
        self._around = replace(self._around, tags=tags)
        self._bases, self._has_base = piece.bases, piece.page.has_base
        self._saw_base = self._saw_base or b"<base" in self._held[:end].lower()
        self._held = self._held[end:]
        self._retry_at, self._waits_for = 0, ""
        return piece

    def _compile(self, held: bytes, *, last: bool) -> CompiledChunk:
        around = self._around.markup if self._around is not None else ""
        shift = len(around)
        source = self._source(around, held)
        scanned = scan(source, had_base=self._saw_base)
        bases, has_base = self._bases_with(scanned)
        # What the page's beginning says holds for all of it: by that our own markup goes, too.
        hydration = hydration_of(held)
        if self._first is not None and hydration is Hydration.NONE:
            hydration = self._first.hydration
        found = findings(
            source, scanned, self._url, self._boundary, bases=bases, hydration=hydration
        )
        gates = tuple(
            replace(gate, start=gate.start - shift, end=gate.end - shift, code=(0, 0))
            for gate in gates_of(found, source.body, self._boundary, is_part=True)
            if gate.start >= shift
        )

        def place(at: int | None) -> int | None:
            real = None if at is None else scanned.real(at) - shift
            return real if real is not None and 0 <= real <= len(held) else None

        first = self._first
        foot_at = place(scanned.foot_at) if last else None
        if last and foot_at is None and first is not None and _may_follow(source.text):
            foot_at = len(held)
        assert self._decoding is not None
        page = Page(
            body=held,
            gates=gates,
            owners=frozenset[Owner]().union(*(gate.needs for gate in gates)),
            head_at=place(scanned.head_at) if first is None else None,
            foot_at=foot_at,
            is_document=first.is_document if first is not None else scanned.is_document,
            has_base=has_base,
            language=first.language if first is not None else scanned.language,
            marks=scanned.marks,
            frames=own_frames(scanned, bases, self._boundary),
            label=self._decoding.label,
            wire="",
            transcoded=self._decoding.transcodes,
            declaration_at=tuple(at for at in map(place, scanned.declaration_at) if at is not None),
            hydration=hydration,
        )
        return CompiledChunk(page, place(scanned.body_at) if first is None else None, bases)

    def _bases_with(self, scanned: Scan) -> tuple[tuple[str, ...], bool]:
        """The base URLs from here on, and whether a <base> sets them.

        It counts if it is the page's first; a late one must be the site's own: what precedes it was
        resolved against another.
        """
        if self._has_base or (self._bases and not any(scanned.bases)):
            return self._bases, self._has_base
        bases = base_urls(scanned, self._url)
        if self._bases and any(self._boundary.owner(b, self._url) is not None for b in bases):
            raise UndecodableError("a <base> in the body leads to another's host")
        return tuple(dict.fromkeys((*self._bases, *bases))), any(scanned.bases)

    # --- where to cut -----------------------------------------------------------------------

    def _cut(self) -> tuple[int, tuple[str, ...]] | None:
        """The end of the next chunk, and the elements that are open there."""
        held = self._held
        if len(held) < self._retry_at and not self._has_come(self._waits_for):
            return None
        check_page_cost(held)
        text = text_of(held)
        around = self._around
        doctype = _doctype(text) if around is None else around.doctype
        constructs = _constructs(text)
        for end in _candidates(text, constructs):
            tags = _open_at(around.markup if around is not None else "", text[:end], doctype)
            if tags is not None:
                return end, tags
        # Tried again once the buffer has doubled, or the open construct may have ended.
        unfinished = constructs and constructs[-1].end is None
        self._waits_for = constructs[-1].name if unfinished else ""
        self._retry_at = 2 * len(held)
        self._seen = len(held)
        return None

    def _has_come(self, name: str) -> bool:
        if not name:
            return False
        end = b"-->" if name == "!--" else f"</{name}".encode()
        return end in self._held[max(0, self._seen - len(end)) :].lower()

    # --- when nothing else is left ----------------------------------------------------------

    def _strip(self, *, last: bool) -> CompiledChunk:
        self._stripper = TextOnlyWriter(self._is_own, strips=self._strips)
        return self._stripped(last=last)

    def _is_own(self, url: str) -> bool:
        return all(self._boundary.owner(url, base) is None for base in self._bases or (self._url,))

    def _stripped(self, *, last: bool) -> CompiledChunk:
        assert self._stripper is not None and self._decoding is not None
        body = self._stripper.feed(self._held, last=last)
        self._held = b""
        page = self._first or Page(
            body=b"",
            gates=(),
            owners=frozenset(),
            head_at=None,
            foot_at=None,
            is_document=True,
            has_base=False,
            language="",
            marks=(),
            label=self._decoding.label,
            wire="",
            transcoded=self._decoding.transcodes,
        )
        self._first = page
        return CompiledChunk(
            replace(
                page,
                body=body,
                gates=(),
                owners=frozenset(),
                head_at=None,
                foot_at=len(body) if last and self._around is not None else None,
                marks=(),
                frames=(),
                declaration_at=(),
            ),
            stripped=True,
        )


# --- asking the parser ----------------------------------------------------------------------


# Constructs that may contain what looks like a cut.
_OPENER = re.compile(
    r"<(!--|script|style|svg|math|select|template|noscript|iframe|textarea|title|xmp|noembed"
    r"|noframes|plaintext|table|/body|/html)"
)
_EMPTY = frozenset({"table", "/body", "/html"})
_PLAIN_TEXT = 2048


class _Construct(NamedTuple):
    """A possible construct, from the bytes only. `end` is None where it is not finished."""

    start: int
    end: int | None
    name: str


def _constructs(text: str) -> list[_Construct]:
    lowered = text.lower()
    found: list[_Construct] = []
    at = 0
    while (opener := _OPENER.search(lowered, at)) is not None:
        name = opener[1]
        if name in _EMPTY:
            at = opener.end()
        else:
            at = lowered.find("-->" if name == "!--" else f"</{name}", opener.start() + 2)
            if at < 0:
                found.append(_Construct(opener.start(), None, name))
                break
        found.append(_Construct(opener.start(), at, name))
    return found


def _candidates(text: str, constructs: list[_Construct]) -> Iterator[int]:
    """Possible cuts of a text, latest first; few, for each costs a parse."""
    starts = [one.start for one in reversed(constructs[-_TRIES:])]
    behind_tag = text.rfind(">") + 1
    ends = [behind_tag, text.rfind("<")]
    if len(text) - behind_tag > _PLAIN_TEXT and text.find("<", behind_tag) < 0:
        ends.insert(0, max(text.rfind(" "), text.rfind("\n"), behind_tag))
    if constructs and constructs[-1].end is None:
        ends.insert(0, starts.pop(0))
    yield from dict.fromkeys(at for at in (*ends, *starts) if at > 0)


def _open_at(around: str, text: str, doctype: str) -> tuple[str, ...] | None:
    """The elements within the body that are open at the end of a text; None where the parser's
    state is more than these.
    """
    tags = _open_tags(around + text, scripting=False)
    if tags is None or not _is_carried(doctype, tags):
        return None
    if _NOSCRIPT.search(text) and _open_tags(around + text, scripting=True) != tags:
        return None
    return tags


_NOSCRIPT = re.compile("<noscript", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _is_carried(doctype: str, tags: tuple[str, ...]) -> bool:
    """Whether start tags alone restore a parser's state with these open elements."""
    if len(tags) > _MAX_DEPTH or not all(map(str.isascii, tags)) or any("\0" in t for t in tags):
        return False
    return _open_tags(_Surroundings(doctype, tags).markup, scripting=False) == tags


def _open_tags(text: str, *, scripting: bool) -> tuple[str, ...] | None:
    name = _probe_for(text)
    tree = parse_unplaced(text + _PROBED.format(probe=name), scripting=scripting)
    probe = tree.select_one(name)
    note = next(iter(probe.preceding), None) if probe is not None else None
    if not isinstance(note, Comment) or note.data != name:
        return None
    around = [node for node in note.ancestors if isinstance(node, Element)]
    if [element.tag for element in around[-2:]] != ["body", "html"]:
        return None
    inner = around[:-2]
    if any(not is_html(e) or e.tag in _CLOSED_IN for e in inner):
        return None
    assert probe is not None
    table = probe.closest("table")
    innermost = next((e for e in inner if e.tag in _TABLES), None)
    if table is None:
        if innermost is not None:
            return None
    elif innermost is None or innermost.closest("table") != table:
        return None
    return tuple("div" if e.tag == "form" else e.tag for e in reversed(inner))


def _probe_for(text: str) -> str:
    """The name of an element that a text has not: one of its own would answer for the probe."""
    if _LIKE_PROBE.search(text) is None:
        return _PROBE
    return f"{_PROBE}-{sha256(text.encode()).hexdigest()[:32]}"


def _may_follow(text: str) -> bool:
    """Whether an element after a text is shown, as a child of the body or of something in it."""
    name = _probe_for(text)
    for scripting in (False, True):
        tree = parse_unplaced(f"{text}<{name}>", scripting=scripting)
        probe = tree.select_one(name)
        if probe is None or probe.closest("select,template,noscript,svg,math") is not None:
            return False
    return True


def _guessed(start: bytes, *, last: bool) -> str:
    """The charset of a page that names none, as `read_source` decides it of whole ones: named where
    browsers might guess another."""
    if is_shifted(start):
        return "iso-2022-jp" if start.isascii() else "windows-1252"
    return "" if last else "windows-1252"


def _doctype(text: str) -> str:
    found = _DOCTYPE.search(text[:4096])
    return found[0] if found else ""


def _may_become_frames(page: Page) -> bool:
    """Whether a <frameset> could still replace the body, while all gates are closed."""
    closed = text_of(render(page, frozenset()))
    for scripting in (False, True):
        root = parse(closed + _FRAMESET, scripting=scripting).root
        if root is None or root.find("frameset") is not None or root.find("body") is None:
            return True
    return False
