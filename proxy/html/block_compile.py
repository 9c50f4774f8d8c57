"""Compile one block of a page."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from proxy.html.block_ends import Surroundings, surroundings_behind
from proxy.html.block_memory import Block, NoBlock
from proxy.html.boundary import (
    WHEREVER,
    Boundary,
    CompileContext,
    OwnedResource,
    asked_at,
    hinted_hosts,
)
from proxy.html.compile import findings_in, gates_in_order, outside, own_frames
from proxy.html.frameworks import has_marks
from proxy.html.gates import Gate
from proxy.html.hidden_tags import has_tags_in_sections
from proxy.html.hiders import hides_page
from proxy.html.inline_remnants import code_of_part
from proxy.html.page_signs import Signs, Way
from proxy.html.parse_cost import closes_formatting, may_format
from proxy.html.resource import Closing, Resource, ResourceKind
from proxy.html.scan import (
    LIKE_SLOT,
    PREFERENCES_LINK,
    Scan,
    TagsOfNote,
    has_broken_drawing,
    has_drawings,
    loaded_names,
    needs_both_views,
    scan,
    tags_of_note,
)
from proxy.html.source import Source, UndecodableError
from proxy.html.tool_signs import tool_signs
from proxy.html.tree import Document


class BlockReading(NamedTuple):
    """How the blocks of a page are read, beside what is open around each."""

    url: str
    boundary: Boundary
    way: Way
    """Its marks of content are each of an element by itself."""


class Made(NamedTuple):
    """A block, or why there is none, and whether that depends on the page's address."""

    found: Block | NoBlock
    by_address: bool = False


def block_of(
    source: Source,
    span: tuple[int, int],
    around: Surroundings | None,
    reading: BlockReading,
    *,
    is_last: bool,
) -> Made:
    """Compile a part of a page. `around`: what is open at its start, None at the page's."""
    start, end = span
    url, boundary, (hydration, places, read_twice) = reading
    behind = None if is_last else surroundings_behind(around, source.text[start:end])
    if behind is None and not is_last:
        return Made(NoBlock.GOES_ON)
    before = "" if around is None else around.markup
    part = Source(
        before.encode("latin-1") + source.body[start:end],
        before + source.text[start:end],
        source.charset,
        "",
        source.label,
    )
    tags = tags_of_note(part.body)
    if _depends_on_page(tags, len(before), around, is_last=is_last):
        return Made(NoBlock.UNSUITED)
    if not read_twice and needs_both_views(tags):
        return Made(NoBlock.UNSUITED)  # to a search of the whole page it is none
    try:
        scanned = scan(part, tags=tags, read_twice=read_twice, has_foot=is_last)
        if scanned.fragile or not scanned.is_tokenized_alike:
            return Made(NoBlock.UNSUITED)
        if has_drawings(tags) and not all(_is_plain(one, scanned) for one in scanned.documents):
            return Made(NoBlock.UNSUITED)
        if any(map(_asks_of_page, scanned.resources)):
            return Made(NoBlock.UNSUITED)
        context = CompileContext(
            part, scanned, boundary, url, (url,), 0, hydration=hydration, places=places
        )
        found = [*findings_in(context)]
    except (UndecodableError, RecursionError):
        return Made(NoBlock.UNSUITED)  # as a whole it may be, and if not, that says so
    has_body = around is not None and any(one >= len(before) for one in tags.at.get(b"body", ()))
    if has_body and scanned.body_at is None:
        return Made(NoBlock.UNSUITED)  # it is a document, but where its body begins is not agreed
    gates = [gate.moved(-len(before)) for gate in gates_in_order(found)]
    if any(gate.start < 0 for gate in gates):
        return Made(NoBlock.UNSUITED)
    text = source.body[start:end]
    code = code_of_part(outside(gates, text))
    if not is_last and not code.is_ended:
        return Made(NoBlock.GOES_ON)
    block = _block(context, gates, tags, text, behind, has_code=code.is_any)
    return Made(block, _is_by_address(scanned.resources, found))


def _depends_on_page(
    tags: TagsOfNote, start: int, around: Surroundings | None, *, is_last: bool
) -> bool:
    """Whether a block has tags that change how the rest of the page is read, or that are looked
    for in all of it.
    """
    at = tags.at
    if b"base" in at or b"frameset" in at or b"selectedcontent" in at:
        return True
    if PREFERENCES_LINK in tags.deferring:
        return True
    # They give their attributes to the first of their name.
    if around is not None and any(one >= start for one in at.get(b"html", ())):
        return True
    has_body = around is not None and around.tags != ("head",)
    if has_body and any(one >= start for one in at.get(b"body", ())):
        return True
    lowered = tags.lowered
    return not is_last and any(one in lowered for one in (b"</body", b"</html", LIKE_SLOT))


def _is_plain(document: Document, scanned: Scan) -> bool:
    """Whether the drawings of a block are read alike whatever else is on the page: what ends badly
    there, and CDATA sections, make a page look at all of them.
    """
    has_sections = has_tags_in_sections(document, "svg,svg *,math,math *")
    return not (has_sections or has_broken_drawing(document, scanned.text))


def _asks_of_page(resource: Resource) -> bool:
    """Whether it depends on the rest of the page whose a resource is, other than a hint."""
    if resource.kind is ResourceKind.HIDER:
        return not resource.marks
    return resource.kind is ResourceKind.INLINE_SCRIPT and hides_page(resource.text)


_BY_ADDRESS = frozenset(
    {ResourceKind.NESTED_PAGE, ResourceKind.IMPORT_MAP, ResourceKind.SPECULATION_RULES}
)
"""Resources with URLs in their text."""
_WHEREVER = (*WHEREVER, "data:")


def _is_by_address(resources: Iterable[Resource], found: Iterable[OwnedResource]) -> bool:
    """Whether what is found may depend on the address of the page, not only on its origin."""
    return any(
        one.kind in _BY_ADDRESS or not all(url.startswith(_WHEREVER) for url in one.urls)
        for one in resources
    ) or any(one.closing is Closing.STYLE_ATTRIBUTE for one in found)


def _block(
    context: CompileContext,
    gates: list[Gate],
    tags: TagsOfNote,
    text: bytes,
    behind: Surroundings | None,
    *,
    has_code: bool,
) -> Block:
    scanned = context.scan
    shift = len(context.source.body) - len(text)

    def place(at: int | None) -> int | None:
        real = None if at is None else scanned.real(at) - shift
        return real if real is not None and real >= 0 else None

    body_at = place(scanned.body_at)
    is_first = not shift
    at = tags.at
    return Block(
        text=text,
        gates=tuple(gates),
        behind=behind,
        hinted=hinted_hosts(context),
        asked_at=asked_at(context.boundary.index.has_path_rules, context),
        marks=scanned.marks,
        frames=own_frames(scanned, context.bases, context.boundary),
        declaration_at=tuple(one - shift for one in map(scanned.real, scanned.declaration_at)),
        is_document=scanned.is_document if is_first else body_at is not None,
        language=scanned.language if is_first else "",
        head_at=place(scanned.head_at) if is_first else None,
        body_at=body_at,
        foot_at=place(scanned.foot_at),
        nested=sum(one.kind is ResourceKind.NESTED_PAGE for one in scanned.resources),
        tags=tags.lowered.count(b"<"),
        formatting=may_format(tags.lowered),
        is_balanced=closes_formatting(tags.lowered),
        drawings=len(at.get(b"svg", ())) + len(at.get(b"math", ())),
        has_select=b"select" in at,
        loaded=loaded_names(tags),
        signs=Signs(
            has_marks(text),
            bool(context.boundary.index.places_in(text)),
            tuple([one - shift for one in at.get(b"noscript", ())]),
        ),
        has_code=has_code,
        tools=tool_signs(text),
    )
