"""A vendor: who receives data, and how its resources are recognised.

Patterns
    hosts   `example.com` is that host; `*.example.com` is that host and everything below it.
            A port may follow (`stub.localhost:9100`): then only that port matches.
    paths   `host-pattern/path-glob`, for hosts that several vendors share, or `/path-glob`
            for trackers served from the site's own host. `*` stands for any run of
            characters; the query is not part of the path.
    inline  literal text: a script that contains it belongs to the vendor.
    cookies cookie names; `*` stands for any run of characters.
    places  where the vendor's script makes content on a page: a CSS selector; `script:TEXT`, the
            element whose id an inline script with that text names, or behind that script;
            `into:TEXT`, such an element alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from consent_rules.categories import Category


class BaaOffer(StrEnum):
    """Whether a vendor signs a business associate agreement for it (45 CFR 164.504(e))."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class CookieDetail:
    """One cookie, or a family of them (`*` in the name).

    `lifetime` is "session", a number and a unit ("2 years"), or "" if unknown; `purpose` a
    `cookie_details.CookiePurpose`, a sentence of the site's own, or "".
    """

    name: str
    lifetime: str = ""
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who receives data: "Google Analytics".

    `serves` is set for tag managers only: the categories whose tags it may load. A tag manager
    is open when any of them is. `embed` is set for vendors whose frames are content (a video,
    a map): a closed one leaves a placeholder. `globals` are the names that a site's own code
    calls; a closed vendor leaves a stand-in for each. `signal` names the consent call that its tag
    understands (`signals.SIGNALS`).
    `records_sessions` is set where it can record pointer, scrolling or typing, `baa` where the
    vendor says whether it signs an agreement for patients' data (`baa_source` is where).
    """

    id: str
    name: str
    category: Category
    company: str = ""
    hosts: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    inline: tuple[str, ...] = ()
    cookies: tuple[str, ...] = ()
    globals: tuple[str, ...] = ()
    signal: str = ""
    serves: tuple[Category, ...] = ()
    embed: str = ""
    places: tuple[str, ...] = ()
    policy_url: str = ""
    cookie_details: tuple[CookieDetail, ...] = ()
    """The config's details of cookies; `cookie_details.details_of` adds the catalogue's."""
    records_sessions: bool = False
    baa: BaaOffer = BaaOffer.UNKNOWN
    baa_source: str = ""
    looks: bool = False
    """Whether it serves parts of the site's own pages: style sheets, fonts, libraries, images."""
    builder: bool = False
    """Whether sites lie there: a site builder, or a server of sites' own images."""

    @property
    def is_tag_manager(self) -> bool:
        return bool(self.serves)
