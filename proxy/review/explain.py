"""`explain`: each resource of a page, whether it is gated, and by which rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin

from consent_rules.categories import Category
from consent_rules.decision import Answer, Decision
from consent_rules.matching.script_hashes import inline_hash
from consent_rules.matching.urls import resolve
from consent_rules.rules import Rules
from proxy.html import Boundary, OwnedResource, Source, findings, scan
from proxy.html.gates import CHANGED, MARKETING_ONLY, NEVER, UNHELD
from proxy.html.scan import Kind

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class ExplainedResource:
    """One resource: where it stands, whether it stays, and why.

    `line` and `column` count from 1, columns in bytes. `owner` is a vendor's id, "?host" for a
    host that no vendor claims, or "" for the site itself. `rule` names the pattern by which its
    owner is known and, for a vendor, where its tag stands in the config.
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
    """Every resource of a page in its order. `tag_places`: vendor id -> "file:line" of its tag."""
    scanned = scan(source)
    base = urljoin(url, scanned.base)
    found = findings(source, scanned, url, boundary, everything=True)
    return [
        _explain(one, source, base, boundary, rules, decision, tag_places)
        for one in sorted(found, key=lambda f: (f.start, f.attribute))
    ]


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
    if not found.owners:
        return ExplainedResource(
            line, column, str(found.kind), element, what, "kept", "",
            "the site's own", _own_rule(found, base, boundary),
        )  # fmt: skip
    answers = {owner: _answer(owner, decision) for owner in sorted(found.owners)}
    # One closed owner closes all of it; it is the one to name.
    owner = next((o for o, answer in answers.items() if not answer[0]), min(answers))
    is_open, reason = answers[owner]
    stays = is_open or not decision.enforce
    if not is_open and stays:
        reason += " (observe mode: reported, not closed)"
    return ExplainedResource(
        line, column, str(found.kind), element, what, "kept" if stays else "gated",
        owner, reason, _rule(owner, found, source, base, boundary, rules, tag_places),
    )  # fmt: skip


def _answer(owner: str, decision: Decision) -> tuple[bool, str]:
    if owner == MARKETING_ONLY:
        patient = decision.audience == "patient"
        return not patient, "a patient page's address is not passed on" if patient else "no rule"
    if owner == NEVER:
        return False, "the banner would not work, or not only its own buttons would choose"
    if owner.startswith(CHANGED):
        return False, "its content is none that was approved (inline_hashes of the tag)"
    if owner == UNHELD:
        return False, "a pinned script, but not in a <script src>, where a browser would check it"
    if owner.startswith("@"):
        is_on = decision.audience != "patient" and decision.categories[Category(owner[1:])]
        return is_on, f"marked for another consent tool; {owner[1:].replace('_', ' ')} is " + (
            "allowed" if is_on else "not allowed"
        )
    answer: Answer = decision.answer(None if owner.startswith("?") else owner)
    return answer.open, str(answer.reason)


def _what(found: OwnedResource, source: Source) -> str:
    if found.urls:
        text = found.urls[0]
    elif found.kind is Kind.NESTED_PAGE:
        text = "srcdoc"
    else:
        text = source.body[found.start : found.end].decode("utf-8", "replace")
        text = text.partition(">")[2] or text
    # A page may hold what moves a terminal's cursor.
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _own_rule(found: OwnedResource, base: str, boundary: Boundary) -> str:
    for url in found.urls:
        target = resolve(url, base)
        if target is not None and boundary.own.holds(target.host, target.port):
            return f"host {target.host}"
    return "no signature of a vendor" if not found.urls else "leads nowhere else"


def _rule(
    owner: str,
    found: OwnedResource,
    source: Source,
    base: str,
    boundary: Boundary,
    rules: Rules,
    tag_places: Mapping[str, str],
) -> str:
    if owner == MARKETING_ONLY:
        return "patient pages send no referrer"
    if owner == NEVER:
        return "a choice comes from the banner's own buttons"
    if owner.startswith(CHANGED):
        vendor, _, shown = owner.removeprefix(CHANGED).partition(": ")
        return f"hash {shown}; tag at {tag_places.get(vendor, '?')}"
    if owner == UNHELD:
        return "[[tag.script]] in the config"
    if owner.startswith("@"):
        return "the mark of another consent tool"
    if owner.startswith("?"):
        host = owner[1:] or "(broken URL)"
        return f"host {host} is in no catalogue, [[vendor]] or first_party"
    parts = [_recognised(owner, found, source, base, rules)]
    if owner in tag_places:
        parts.append(f"tag at {tag_places[owner]}")
    else:
        parts.append("no [[tag]] in the config")
    if found.code:
        parts.append(f"hash {inline_hash(found.code)}")
    return "; ".join(part for part in parts if part)


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
