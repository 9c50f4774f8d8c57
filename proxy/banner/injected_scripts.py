"""Inline scripts that enforce a page's decision after it was rendered.

`stubs` stand in for what a closed vendor's code would have defined, so that the site's own calls
do not fail. `guard_frames` spares connections that no policy does. The `guard` turns a client-side
navigation into a patient page into a full load: the scripts that already run must not come along.
`reattach` is for pages that a framework hydrates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import escape

from consent_rules.matching.script_hashes import sha256_source
from proxy.banner.assets import minified_script

_NAME = re.compile(r"[A-Za-z_$][\w$]*\Z", re.ASCII)
_QUEUES = frozenset({"dataLayer", "adobeDataLayer", "digitalData", "_mtm", "_etmc"})
"""Globals that sites read as arrays too, not only push to."""


@dataclass(frozen=True, slots=True)
class Script:
    """A whole <script> element and the hash of its content, for the CSP."""

    html: str
    sha256: str


def inline_script(content: str, data: dict[str, str]) -> Script:
    """A script of ours with its parameters in `data-` attributes, so that its hash is constant."""
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in data.items())
    element = f"<script{attributes}>{content}</script>"
    return Script(element, sha256_source(content.encode("ascii")))


def stubs(names: Iterable[str]) -> Script | None:
    """Stubs for globals of closed vendors; None when there are none."""
    good = sorted({name for name in names if _NAME.match(name)})
    if not good:
        return None
    names_by_kind = {
        "queues": " ".join(name for name in good if name in _QUEUES),
        "calls": " ".join(name for name in good if name not in _QUEUES),
    }
    return inline_script(minified_script("stubs.js"), {k: v for k, v in names_by_kind.items() if v})


def disable_webrtc() -> Script:
    """Remove WebRTC from a page: browsers have no header yet that could."""
    return inline_script(minified_script("peers.js"), {})


def guard_frames(sources: Iterable[str], page: str) -> Script:
    """Spares the connections of frames that a script leads to hosts which the page's policy refuses
    anyway. `sources` are the host-sources of that policy, `page` is what such a frame shows.
    """
    data = {"open": sources_pattern(sources), "page": page}
    return inline_script(minified_script("frames.js"), data)


_SOURCE = re.compile(r"(\*\.)?([^:/]+)(?::([0-9]+|\*))?(/.*)?", re.DOTALL)


def sources_pattern(sources: Iterable[str]) -> str:
    """A regular expression, JavaScript's as well as Python's, for the `host[:port]/path` of URLs
    that host-sources match (CSP3, 6.7.2.8). URLs name no default port.
    """
    below: dict[str, set[bool]] = {}
    for source in sources:
        found = _SOURCE.fullmatch(source)
        if found is None:
            continue
        subdomains, host, port, path = found.groups()
        numbers = {None: "", "*": "(?::\\d+)?", "443": "(?::443)?", "80": "(?::80)?"}
        rest = re.escape(host) + numbers.get(port, f":{port}")
        # A path is whole, or stands for all below it.
        rest += "/" if path is None else re.escape(path) + ("" if path.endswith("/") else "$")
        below.setdefault(rest, set()).add(subdomains is not None)
    if not below:
        return "(?!)"
    prefixes = {(False,): "", (True,): r"[^/]+\.", (False, True): r"(?:[^/]+\.)?"}
    return f"^(?:{'|'.join(prefixes[tuple(sorted(v))] + rest for rest, v in below.items())})"


def restore() -> Script:
    """Restore the form fields that a visitor had filled in before a choice reloaded the page."""
    return inline_script(minified_script("restore.js"), {})


def reattach(*, wholly: bool) -> Script:
    """Keeps our own markup out of a framework's way, and on the page. It goes behind all else of
    ours in the head. `wholly`: the framework takes over the whole document.
    """
    return inline_script(minified_script("reattach.js"), {"wholly": "1"} if wholly else {})


def guard(patterns: Iterable[str]) -> Script | None:
    """The guard for a site's patient paths, given as globs; None when it has none."""
    given = sorted(set(patterns))
    if not given:
        return None
    return inline_script(
        minified_script("guard.js"), {"paths": json.dumps(given, separators=(",", ":"))}
    )
