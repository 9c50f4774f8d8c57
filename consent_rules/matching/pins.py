"""Script pins: hashes that a vendor's script must have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from consent_rules.matching.script_hashes import inline_hash
from consent_rules.matching.urls import schemeless


@dataclass(frozen=True, slots=True)
class ScriptPins:
    """The pins of one site. `scripts` are integrity attributes by URL without scheme; `inline` the
    hashes of the inline scripts that a vendor may run: vendors that are not in it may run any.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    inline: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def integrity_of(self, url: str, base: str) -> str:
        """The required integrity of a script; "" where it is not pinned."""
        return self.scripts.get(schemeless(url, base), "")

    def changed(self, vendor: str, script: str) -> str:
        """The hash of an inline script that is not pinned; "" where it may run."""
        pinned = self.inline.get(vendor)
        if pinned is None:
            return ""
        found = inline_hash(script)
        return "" if found in pinned else found


NO_PINS = ScriptPins()


def script_pins(
    scripts: Iterable[tuple[str, str]], inline: Iterable[tuple[str, Iterable[str]]]
) -> ScriptPins:
    """Build pins from pairs: a script's URL and its integrity attribute; a vendor's id and the
    hashes of its inline scripts.

    Several for one script or vendor are merged: a browser runs a script that matches one of them
    (https://www.w3.org/TR/SRI/#does-response-match-metadatalist).
    """
    attributes: dict[str, list[str]] = {}
    for url, integrity in scripts:
        attributes.setdefault(schemeless(url, url), []).append(integrity)
    hashes: dict[str, frozenset[str]] = {}
    for vendor, more in inline:
        hashes[vendor] = hashes.get(vendor, frozenset()) | set(more)
    return ScriptPins(
        {url: " ".join(dict.fromkeys(found)) for url, found in attributes.items()}, hashes
    )
