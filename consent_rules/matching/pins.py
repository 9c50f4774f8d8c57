"""What of a vendor's code must stay as it was when somebody looked at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import ada_url

from consent_rules.config.models import Tag
from consent_rules.matching.script_hashes import inline_hash


@dataclass(frozen=True, slots=True)
class Pins:
    """The pins of one site.

    `scripts` are integrity attributes by address, without its scheme; `inline` the hashes of the
    inline scripts that a vendor may run: vendors that are not in it may run any.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def integrity_of(self, url: str, base: str) -> str:
        """What the integrity of a script must be; "" where it is not pinned."""
        return self.scripts.get(_address(url, base), "")

    def changed(self, vendor: str, script: str) -> str:
        """The hash of an inline script that is none of the pinned ones; "" where it may run."""
        pinned = self.inline.get(vendor)
        if pinned is None:
            return ""
        found = inline_hash(script)
        return "" if found in pinned else found


NO_PINS = Pins()


def pins_of(tags: Iterable[Tag]) -> Pins:
    """The pins of a site's tags, taken together: a browser takes a script that meets one of them
    (https://www.w3.org/TR/SRI/#does-response-match-metadatalist).
    """
    scripts: dict[str, list[str]] = {}
    inline: dict[str, frozenset[str]] = {}
    for tag in tags:
        for pin in tag.scripts:
            scripts.setdefault(_address(pin.url, pin.url), []).append(pin.integrity)
        if tag.inline_hashes:
            inline[tag.vendor] = inline.get(tag.vendor, frozenset()) | set(tag.inline_hashes)
    return Pins({url: " ".join(dict.fromkeys(found)) for url, found in scripts.items()}, inline)


def _address(url: str, base: str) -> str:
    """Host, path and query: a page may name a script by either scheme."""
    try:
        href = ada_url.URL(url, base=base).href
    except ValueError:
        return ""
    return href.partition("#")[0].partition("//")[2]
