"""`explain`: each resource of a page, its gate, and the rule that decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from consent_rules.catalogue.load import consent_platforms
from consent_rules.categories import Audience
from consent_rules.decision import Decision
from consent_rules.matching.script_hashes import inline_hash
from consent_rules.matching.urls import resolve
from consent_rules.rules import Rules
from consent_rules.wording import category_words
from proxy.html import Boundary, OwnedResource, Source, findings, scan
from proxy.html.owners import (
    AllowedCategory,
    ChangedScript,
    KnownVendor,
    MarketingOnly,
    Owner,
    Reserved,
    UnheldPin,
    UnknownHost,
)
from proxy.html.resource import ResourceKind

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class ExplainedResource:
    """One resource: its position, whether it is open, and why. `line` and `column` count from 1,
    columns in bytes.

    `owner` is a vendor's id, "?host" for a host that no vendor has, or "" for the site itself.
    `rule` names the pattern that identifies its owner and, for a vendor, the position of its tag in
    the config.
    """

    line: int
    column: int
    kind: str
    element: str
    what: str
    fate: str
    owner: str
    reason: str
    rule: str


def explain_page(
    source: Source,
    url: str,
    boundary: Boundary,
    rules: Rules,
    decision: Decision,
    tag_places: Mapping[str, str],
) -> list[ExplainedResource]:
    """Every resource of a page, in document order. `tag_places`: vendor id -> "file:line" of its
    tag.
    """
    scanned = scan(source)
    base = urljoin(url, scanned.base)
    found = findings(source, scanned, url, boundary, everything=True)
    explained: list[ExplainedResource] = []
    for one in sorted(found, key=lambda f: (f.start, f.attribute)):
        explained.append(_explain(one, source, base, boundary, rules, decision, tag_places))
        for imported in _imported_later(one, base, boundary):
            shown = _explain(imported, source, base, boundary, rules, decision, tag_places)
            reason = f"{shown.reason} (code imports it later: held by the policy header)"
            explained.append(replace(shown, kind="import", reason=reason))
    return explained


_IMPORT = re.compile(r"\bimport\s*\(\s*(?:/\*.*?\*/\s*)*([\"'`])([^\"'`\s$]{1,2000})\1", re.DOTALL)


def _imported_later(
    script: OwnedResource, base: str, boundary: Boundary
) -> Iterator[OwnedResource]:
    """What an inline script, or one in a `data:` URL, imports from others by `import("...")`, where
    the address is written out.
    """
    if script.kind is not ResourceKind.INLINE_SCRIPT or "import" not in script.code:
        return
    for url in dict.fromkeys(found[2] for found in _IMPORT.finditer(script.code)):
        # Any other text is the name of a module, which an import map knows.
        if not url.startswith(("/", ".", "http:", "https:")):
            continue
        owner = boundary.owner(url, base)
        if owner is not None:
            yield replace(script, urls=(url,), owners=frozenset({owner}), code="")


_OWN_DIALOGS = {
    "cookieconsent": re.compile(r"/[\w.-]*cookie-?consent[\w.-]*\.m?js|CookieConsent\.run\("),
    "Klaro": re.compile(r"/klaro[\w.-]*\.js|klaroConfig"),
    "tarteaucitron": re.compile(r"/tarteaucitron[\w.-]*\.js|tarteaucitron\.init\("),
}
"""Consent dialogs that sites serve themselves: the name of their file, or their call."""


def consent_dialogs(resources: Iterable[ExplainedResource]) -> list[tuple[str, bool]]:
    """The consent dialogs that a page has of its own, each with whether it is open: a vendor's id,
    or the name of a library that the site serves itself.
    """
    found: dict[str, bool] = {}
    for one in resources:
        if one.owner in consent_platforms():
            name = one.owner
        elif not one.owner and one.element.startswith("<script"):
            name = next((n for n, known in _OWN_DIALOGS.items() if known.search(one.what)), "")
        else:
            name = ""
        if name:
            found[name] = found.get(name, False) or one.fate == "kept"
    return list(found.items())


def _explain(
    found: OwnedResource,
    source: Source,
    base: str,
    boundary: Boundary,
    rules: Rules,
    decision: Decision,
    tag_places: Mapping[str, str],
) -> ExplainedResource:
    line, column = source.line_and_column(found.start)
    what = _what(found, source)
    element = f"<{found.tag}>" if not found.attribute else f"<{found.tag} {found.attribute}>"
    if found.own_address:
        return ExplainedResource(
            line, column, str(found.kind), element, what, "kept", "",
            f"served from {found.own_address}", "[[library]] in the config",
        )  # fmt: skip
    if not found.owners:
        return ExplainedResource(
            line, column, str(found.kind), element, what, "kept", "",
            "the site's own", _own_rule(found, base, boundary),
        )  # fmt: skip
    decided = {owner: _decision_on(owner, decision) for owner in sorted(found.owners, key=str)}
    # One closed owner closes the resource: that one is named.
    owner = next((o for o, (is_open, _) in decided.items() if not is_open), next(iter(decided)))
    is_open, reason = decided[owner]
    stays = is_open or not decision.enforce
    if not is_open and stays:
        reason += " (observe mode: reported, not closed)"
    return ExplainedResource(
        line, column, str(found.kind), element, what, "kept" if stays else "gated",
        str(owner), reason, _rule(owner, found, source, base, boundary, rules, tag_places),
    )  # fmt: skip


def _decision_on(owner: Owner, decision: Decision) -> tuple[bool, str]:
    match owner:
        case MarketingOnly():
            patient = decision.audience is Audience.PATIENT
            reason = "a patient page's address is not passed on" if patient else "no rule"
            return not patient, reason
        case ChangedScript():
            return False, "its content is none that was approved (inline_hashes of the tag)"
        case Reserved():
            return False, "the banner would not work, or not only its own buttons would choose"
        case UnheldPin():
            return False, (
                "a pinned script, but not in a <script src>, where a browser would check it"
            )
        case AllowedCategory(category):
            patient = decision.audience is Audience.PATIENT
            is_on = not patient and decision.categories[category]
            return is_on, (
                f"marked for another consent tool; {category_words(category)} is "
                + ("allowed" if is_on else "not allowed")
            )
        case UnknownHost():
            found = decision.for_vendor(None)
        case KnownVendor(vendor):
            found = decision.for_vendor(vendor)
    return found.open, str(found.reason)


def _what(found: OwnedResource, source: Source) -> str:
    if found.urls:
        text = found.urls[0]
    elif found.kind is ResourceKind.NESTED_PAGE:
        text = "srcdoc"
    else:
        text = source.body[found.start : found.end].decode("utf-8", "replace")
        text = text.partition(">")[2] or text
    return _printable(text, _SHOWN)


def _printable(text: str, length: int) -> str:
    # A page may hold terminal control sequences.
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= length else text[: length - 3] + "..."


def _own_rule(found: OwnedResource, base: str, boundary: Boundary) -> str:
    for url in found.urls:
        target = resolve(url, base)
        if target is not None and boundary.own.holds(target.host, target.port):
            return f"host {target.host}"
    return "no signature of a vendor" if not found.urls else "leads nowhere else"


def _rule(
    owner: Owner,
    found: OwnedResource,
    source: Source,
    base: str,
    boundary: Boundary,
    rules: Rules,
    tag_places: Mapping[str, str],
) -> str:
    match owner:
        case MarketingOnly():
            return "patient pages send no referrer"
        case ChangedScript(vendor, digest):
            return f"hash {digest}; tag at {tag_places.get(vendor, '?')}"
        case Reserved():
            return "a choice comes from the banner's own buttons"
        case UnheldPin():
            return "[[tag.script]] in the config"
        case AllowedCategory():
            return "the mark of another consent tool"
        case UnknownHost(host):
            return f"host {host or '(broken URL)'} is in no catalogue, [[vendor]] or first_party"
        case KnownVendor(vendor):
            parts = [_recognised(vendor, found, source, base, rules)]
            is_tagged = vendor in tag_places
            parts.append(
                f"tag at {tag_places[vendor]}" if is_tagged else "no [[tag]] in the config"
            )
            if found.code:
                parts.append(f"hash {inline_hash(found.code)}")
                parts.append(_own_code(found, boundary))
            return "; ".join(part for part in parts if part)


_LISTED = 3


def _own_code(found: OwnedResource, boundary: Boundary) -> str:
    """The statements of the site's own in a vendor's script: which stay, and which go with it."""
    parts = boundary.parts_of_script(found.code.encode("utf-8", "replace"))
    if not parts:
        return "all of its code goes: it cannot be told apart"
    stays = [part.code for part in parts if part.code]
    lost = [part.lost for part in parts if part.lost]
    if not found.code_span[1]:  # a module, say: nothing of it stays
        stays, lost = [], [part.code or part.lost for part in parts if part.code or part.lost]
    names_by_fate = {
        "own code that stays when it is closed": stays,
        "own code that goes with it": lost,
    }
    return "; ".join(f"{fate}: {_listed(codes)}" for fate, codes in names_by_fate.items() if codes)


def _listed(codes: list[bytes]) -> str:
    shown = [_printable(code.decode("utf-8", "replace"), 40) for code in codes[:_LISTED]]
    more = len(codes) - len(shown)
    return " ".join(shown) + (f" and {more} more" if more else "")


def _recognised(owner: str, found: OwnedResource, source: Source, base: str, rules: Rules) -> str:
    for url in found.urls:
        target = resolve(url, base)
        match = rules.index.match_url(target.host, target.port, target.path) if target else None
        if match is not None and match[0].id == owner:
            kind = "path" if "/" in match[1] else "host"
            return f"{kind} {match[1]}"
        if target is not None:
            disguised = rules.index.vendor_of_own_path(target.path)
            if disguised is not None and disguised.id == owner:
                return f"path {target.path} on the site's own host"
    text = source.body[found.start : found.end].decode("latin-1")
    for vendor, signature in rules.index.match_text(text):
        if vendor == owner:
            return f"inline {signature!r}"
    return ""
