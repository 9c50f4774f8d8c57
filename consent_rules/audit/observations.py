"""What a browser was seen to do on one page in one state: plain values, as the crawler records them
and as the state file holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent_rules.audit.states import AuditState


class Channel(StrEnum):
    """By what means a request was made."""

    PAGE = "page"
    FRAME = "frame"
    SCRIPT = "script"
    STYLE = "style sheet"
    FONT = "font"
    IMAGE = "image"
    MEDIA = "media"
    FETCH = "fetch"
    EVENT_SOURCE = "event source"
    BEACON = "beacon"
    SOCKET = "web socket"
    WORKER = "worker"
    HINT = "connection hint"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ObservedRequest:
    """A request that a page caused.

    `at` is in seconds since the page was asked for. `initiator` is the address of the script or
    document that caused it, "" if unknown; `document` that of the frame it was made in;
    `redirected_from` the address that led here. `state` is
    the visitor's when it was sent; None while a choice was being made, which is not judged.
    `blocked` says why the browser did not send it ("" where it did). `body` has at most
    64 KiB, decompressed; of a web socket it holds the messages that the page sent. `set_cookies`
    are the Set-Cookie fields of the response.
    """

    url: str
    method: str
    channel: Channel
    state: AuditState | None
    at: float = 0.0
    initiator: str = ""
    document: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    redirected_from: str = ""
    status: int = 0
    set_cookies: tuple[str, ...] = ()
    blocked: str = ""


@dataclass(frozen=True, slots=True)
class ObservedCookie:
    """A cookie in the browser's jar. `lifetime` is in seconds from the visit; None: session."""

    name: str
    value: str
    domain: str
    lifetime: float | None = None
    http_only: bool = False


@dataclass(frozen=True, slots=True)
class StorageEntry:
    """An entry of localStorage or sessionStorage, or a database of IndexedDB (value "")."""

    origin: str
    kind: str
    key: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class PageVisit:
    """One page, visited in one state.

    `state` is the state at its end: the page on which a choice is made has requests of two states,
    and `choices` are the moments (as `ObservedRequest.at`). `marks` are the origin's audience
    marks. `typed` are the values that the audit typed into the page's fields, each behind its kind
    ("mail address").
    `screenshot` is the name of a picture, or "".
    """

    url: str
    state: AuditState
    status: int = 0
    title: str = ""
    marks: tuple[str, ...] = ()
    requests: tuple[ObservedRequest, ...] = ()
    cookies: tuple[ObservedCookie, ...] = ()
    storage: tuple[StorageEntry, ...] = ()
    typed: tuple[tuple[str, str], ...] = ()
    console_errors: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    choices: tuple[float, ...] = ()
    screenshot: str = ""
    error: str = ""

    @property
    def failure(self) -> str:
        """Why the page could not be opened; "" where it was."""
        return self.error or failure_of_status(self.status)


def failure_of_status(status: int) -> str:
    """ "" for a status below 400, and for none (0)."""
    return f"HTTP status {status}" if status >= 400 else ""


class SkipCause(StrEnum):
    """What kept the audit from a state."""

    NOT_OPENED = "not-opened"  # the first page failed
    NOT_VISITED = "not-visited"  # the time was over
    NO_TOOL = "no-tool"  # nothing on the page looks like a consent tool
    NO_BUTTON = "no-button"  # there may be one, but its button was not recognised
    NOT_OFFERED = "not-offered"  # nothing of the category is on the site
    NOT_MADE = "not-made"


@dataclass(frozen=True, slots=True)
class SkippedState:
    """A state that could not be reached, and why."""

    state: AuditState
    reason: str
    cause: SkipCause = SkipCause.NOT_MADE
