"""A compiled page: its gates, and what closes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from proxy.html.frameworks import Hydration
from proxy.html.owners import Owner, vendor_ids
from proxy.html.resource import Closing, ResourceKind
from proxy.html.tool_signs import ToolSigns


@dataclass(frozen=True, slots=True)
class Edit:
    """A span of the page's bytes: what stands there when its resource is closed, and when it is
    open (None for what the page has).
    """

    start: int
    end: int
    closed: bytes
    opened: bytes | None = None


class EmbedPlace(StrEnum):
    """Where the placeholder of an embed stands."""

    FRAME = "in the frame"
    CONTENT = "in or behind the element that a script fills"
    TEXT = "before the text that the page has in its stead"
    FORM = "in the form, before its fields"


@dataclass(frozen=True, slots=True)
class Embed:
    """What a placeholder stands for. Sizes are as the page gives them: "560", "100%", or "".

    Of a frame, `title` is the page's name for its content and `address` where that would come from,
    absolute; "" where there is none.
    """

    owner: Owner
    width: str
    height: str
    place: EmbedPlace
    title: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A span of `Page.body` that is there or not.

    It is open when all owners in `needs` may act. `closed` is what stands there otherwise; where a
    placeholder is made for `embed`, it follows what the page has there instead.
    """

    start: int
    end: int
    needs: frozenset[Owner]
    closed: bytes
    kind: ResourceKind
    closing: Closing
    embed: Embed | None = None
    opened: bytes | None = None
    """What stands there when it is open; None for what the page has."""
    code: tuple[int, int] = (0, 0)
    """Where the code of an inline script stands that other scripts may rest upon; else (0, 0)."""
    is_further: bool = False
    """Whether it belongs to a resource that has a gate already: one attribute more of its tag."""
    names: frozenset[str] = frozenset()
    """What the page calls of a closed script: it needs stand-ins."""
    is_pixel: bool = False
    """An image that shows nothing: it is there to be asked for."""

    def moved(self, by: int) -> Gate:
        """The same at another place. Three times as quick as `dataclasses.replace`."""
        code = self.code
        return Gate(
            self.start + by,
            self.end + by,
            self.needs,
            self.closed,
            self.kind,
            self.closing,
            self.embed,
            self.opened,
            (code[0] + by, code[1] + by) if code[1] else code,
            self.is_further,
            self.names,
            self.is_pixel,
        )

    def needing(self, needs: frozenset[Owner]) -> Gate:
        """The same that other owners have to open."""
        return Gate(
            self.start,
            self.end,
            needs,
            self.closed,
            self.kind,
            self.closing,
            self.embed,
            self.opened,
            self.code,
            self.is_further,
            self.names,
            self.is_pixel,
        )

    def leaving(self, names: frozenset[str], code: bytes) -> Gate:
        """The same of a script that leaves behind names, and `code` where its own stood; b"" where
        that is to go as it goes.
        """
        start, end = self.code if code else (self.start, self.end)
        return Gate(
            start,
            end,
            self.needs,
            code or self.closed,
            self.kind,
            self.closing,
            self.embed,
            self.opened,
            self.code,
            self.is_further,
            names,
            self.is_pixel,
        )


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled page: immutable, the same for every visitor."""

    body: bytes
    gates: tuple[Gate, ...]
    owners: frozenset[Owner]
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
    """Whether the page is sent in UTF-8 though the origin's charset is another."""
    frames: tuple[str, ...] = ()
    """Raw targets of the site's own pages that it shows within: its scripts can read them."""
    declaration_at: tuple[int, ...] = ()
    """Where the page asks for the cookie declaration."""
    preferences_links: frozenset[str] = frozenset()
    """Where links marked as the site's own to the preferences lead, as written."""
    hydration: Hydration = Hydration.NONE
    """What a framework takes over of the page in the browser."""
    passing: bool = False
    """Whether it is one of many that are alike, each seen once: what is made of it is not kept."""
    tools: ToolSigns | None = field(default=None, compare=False)
    """What it says of consent tools, where that is known already."""
    vendors: frozenset[str] = field(init=False)
    """The ids of the vendors among the owners."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vendors", vendor_ids(self.owners))

    def passing_as(
        self,
        body: bytes,
        gates: tuple[Gate, ...],
        head_at: int | None,
        foot_at: int | None,
        declaration_at: tuple[int, ...],
        tools: ToolSigns | None,
    ) -> Page:
        """A page that is this one but for these, and passes. Quicker than `dataclasses.replace`."""
        return Page(
            body,
            gates,
            self.owners,
            head_at,
            foot_at,
            self.is_document,
            self.has_base,
            self.language,
            self.marks,
            self.label,
            self.wire,
            self.transcoded,
            self.frames,
            declaration_at,
            self.preferences_links,
            self.hydration,
            passing=True,
            tools=tools,
        )
