"""What becomes of the resources of plainly written tags, remembered by the tag's text.

Whose a resource is and what closes it depends on its tag, on the origin that its URLs are resolved
against, on the page's charset and on the site's boundary, for all that is kept here: nothing of it
is looked for outside of the tag. So each page of a site takes it from the last that had such a tag.
"""

from __future__ import annotations

from proxy.html.boundary import WHEREVER, CompileContext, FinishedByTag, OwnedResource
from proxy.html.resource import Closing, Resource, ResourceKind

_MAX_TAGS = 2048
"""Resources that are remembered for the pages of one origin."""

_KINDS = frozenset(
    {
        ResourceKind.IMAGE,
        ResourceKind.MEDIA,
        ResourceKind.SCRIPT,
        ResourceKind.STYLE_SHEET,
        ResourceKind.LINK,
        ResourceKind.HINT,
        ResourceKind.DEFERRED,
        ResourceKind.FRAME,
    }
)
"""Kinds that belong to whom their URLs belong to; a hint, unless the page says whom it is for."""
_CLOSINGS = frozenset({Closing.PICTURE, Closing.EMPTY, Closing.NEUTRAL})
"""Of these kinds they change attributes of the tag alone."""
_ABSOLUTE = ("//", "https://", "http://")
"""Of a frame the placeholder says where it leads: that must not depend on the page's path."""


class FinishedTags:
    """Those of one page."""

    __slots__ = ("_hinted", "_known", "_scan")

    def __init__(self, known: FinishedByTag, context: CompileContext) -> None:
        self._known = known
        self._hinted = bool(context.hinted)
        self._scan = context.scan

    def get(self, resource: Resource, tag: object, start: int) -> tuple[OwnedResource, ...] | None:
        """What was found for a resource, nothing if it has no owner; None where it is not known.
        `tag`, `start`: as in `Resource.plain`.
        """
        if tag not in self._known or not self._is_by_tag(resource):
            return None
        found = self._known[tag]
        return () if found is None else (found.shifted(self._scan.real(start)),)

    def keep(
        self, resource: Resource, tag: object, start: int, found: OwnedResource | None
    ) -> None:
        """Remember what was found in full, if the next tag of this text is alike."""
        if resource.kind not in _KINDS or not self._is_by_tag(resource):
            return
        if not all(url.startswith(WHEREVER) for url in resource.urls):
            return
        if found is not None and not _is_within_its_tag(found):
            return
        if len(self._known) >= _MAX_TAGS:
            self._known.clear()
        self._known[tag] = None if found is None else found.shifted(-self._scan.real(start))

    def _is_by_tag(self, resource: Resource) -> bool:
        """Whether nothing else on this page has a say in what becomes of a resource."""
        if self._hinted and resource.kind is ResourceKind.HINT:
            return False
        readings = self._scan.readings
        return readings is None or readings.is_tag_in_both(
            resource.element, resource.tag, scripting=resource.scripting
        )


def _is_within_its_tag(found: OwnedResource) -> bool:
    if found.closing is Closing.PLACEHOLDER:
        return found.tag == "iframe" and all(url.startswith(_ABSOLUTE) for url in found.urls)
    return found.closing in _CLOSINGS


def finished_tags(context: CompileContext) -> FinishedTags | None:
    """Those of a page's site; None for a site by whose rules more than the tag counts: it pins
    scripts, or serves files of others itself.
    """
    boundary, scanned = context.boundary, context.scan
    if boundary.libraries or boundary.pins.scripts:
        return None
    known = boundary.finished_tags(
        context.bases, context.source.charset, read_twice=scanned.readings is not None
    )
    return FinishedTags(known, context)
