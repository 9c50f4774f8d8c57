"""One word for one thing, the field's word: what was replaced does not come back.

`REPLACED` is identifiers, old -> new. `PHRASES` is prose (docstrings, comments, messages, docs),
old -> the term of RFC 9110, RFC 9111, nginx or Varnish.
"""

from __future__ import annotations

import ast
import functools
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("consent_rules", "proxy")

REPLACED: Mapping[str, str] = {
    "Answer": "VendorDecision",
    "Target": "RequestTarget, ResolvedUrl",
    "Remains": "Remnants",
    "goes_on": "is_streamed",
    "Asking": "RequestContext",
    "asking": "context",
    "Running": "Runtime",
    "start_running": "build_runtime",
    "SiteParts": "SiteRuntime",
    "ReadyReplies": "FastPath",
    "ReadyReply": "FastPathEntry",
    "Question": "FastPathKey, PreviewRequest",
    "Memory": "FastPathLookup",
    "remember": "add",
    "Kept": "Stored",
    "Coming": "Streaming",
    "Live": "Uncacheable",
    "kept": "stored, remaining ...",
    "asks": "has_banner, has_optional_vendors, interactive",
    "keeps": "may_store",
    "keeps_pages": "may_share_pages",
    "pass_by": "bypass",
    "through_cache": "lookup",
    "Fill": "Flight",
    "Fills": "Flights",
    "led": "leader_result",
    "followed": "follower_result",
    "under_way": "in_flight",
    "Board": "InvalidationTable",
    "Growing": "SharedBody",
    "Terms": "FreshnessPolicy, RegionTerms",
    "Wants": "RequestDirectives",
    "why_not_kept": "storage_refusal",
    "use_of": "freshness",
    "may_cover_error": "allows_stale_on_error",
    "hearing": "interim",
    "Hear": "OnInterim",
    "HearingConnector": "UpstreamPool",
    "hear_on": "on_interim",
    "passing_on": "interim_relay",
    "refusal": "rejection_status",
    "disguise": "first_party_tracker",
    "nothing_of_a_closed_vendor": "block_first_party_tracker",
    "keep_apart": "make_private",
    "say_nothing_to_cdns": "remove_cdn_directives",
    "hold_to_decision": "filter_fetching_headers",
    "hold_document": "restrict_document",
    "hold_part": "enforce",
    "finish_headers": "enforce",
    "vouched": "trusted_headers",
    "asked_once": "load_once",
    "wanted_once": "load_once",
    "sign_once": "sign_load_once",
    "has_kept": "has_saved_form",
    "KEPT_COOKIE": "SAVED_FORM_COOKIE",
    "late_marks": "late_patient_pages",
    "Alike": "PageTemplate",
    "recompiled": "patch",
    "missed": "misses",
    "Pieces": "IncrementalCompiler",
    "Piece": "CompiledChunk",
    "Stripper": "TextOnlyWriter",
    "remains": "remnants",
    "mixed": "inline_remnants",
    "turned_on": "activate",
    "Undo": "StreamDecoder",
    "Do": "StreamEncoder",
    "Fault": "LocatedProblem",
    "Finding": "Problem, OwnedResource",
    "format_fault": "format_problem",
    "faults": "problems",
    "drafts": "partial tables",
    "Drafts": "PartialTables",
    "Draft": "PartialTable",
    "gathered": "read_sources",
    "Opened": "IncludedFile",
    "said": "message, text ...",
    "told": "status, signal_states ...",
    "differences": "diff_configs",
    "Opening": "ExposureCondition",
    "opening_of": "exposure_of",
    "tag_meaning": "tag_summary",
    "Meaning": "TagSummary",
    "meaning_of": "summarise_tag",
    "stranger": "unknown table",
    "HostOwners": "HostClaims",
    "RuleIndex": "VendorIndex",
    "Pins": "ScriptPins",
    "hosts_meet": "hosts_overlap",
    "PATIENT_SAFE": "PATIENT_CATEGORIES",
    "accept_all": "frozenset(CHOOSABLE)",
    "Environed": "Substitutions",
    "collector_at_rest": "gc_disabled",
    "occasions": "watch",
    "our_wording": "default_texts",
    "small_script": "minified_script",
    "no_peers": "disable_webrtc",
    "spare_the_collector": "freeze_startup_objects",
    "Inflow": "DecodedBody",
    "Gated": "GatedBody",
    "heed": "with_origin_audience",
    "heed_page": "with_page_audience",
    "make_ready": "add_to_fast_path",
    "let_go": "release_raw",
    "note_unapproved": "count_unapproved",
    "note_served": "record_served_page",
    "remember_late": "record_late_patient_page",
    "whole_page": "compiled_page_reply",
    "whole_xml": "xml_body_reply",
    "decision_after": "decision_for_preferences",
    "note_unreadable": "count_unreadable_choice",
    "tells_gpp": "includes_gpp",
    "says_patient": "has_patient_mark",
    "truthful": "with_wp_cookies",
    "expiring": "expiring_set_cookies",
    "KeyFaultError": "KeyFileError",
    "alone_in": "locked_folder",
    "asks_for_page": "expects_page",
    "asked_of_upstream": "upstream_accept_encoding",
    "remove_unvouched": "remove_untrusted",
    "config_taken": "config_accepted",
    "config_refused": "config_rejected",
    "keep_publishing": "publish_periodically",
    "admin_names": "admin_host_names",
    "is_own_name": "is_admin_host",
    "catch_up": "adopt_last_good",
    "keep_up": "watch_files",
    "homes_of": "tables_with_key",
    "lay_over": "overlay_vendors",
    "fits_dns": "is_dns_name",
}


@functools.cache
def _identifiers(file: Path) -> frozenset[str]:
    return frozenset(_names(ast.parse(file.read_text(encoding="utf-8"))))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg() | ast.keyword() if node.arg:
                yield node.arg
            case ast.Name():
                yield node.id
            case ast.Attribute():
                yield node.attr
            case ast.alias():
                yield node.asname or node.name.rpartition(".")[2]


def _used(file: Path) -> frozenset[str]:
    """The replaced identifiers in a file, also as private names."""
    return frozenset(name for name in REPLACED if {name, f"_{name}"} & _identifiers(file))


FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for top in FOLDERS
    for path in (ROOT / top).rglob("*.py")
    if "node_modules" not in path.parts
)


@pytest.mark.parametrize("file", FILES)
def test_replaced_words_do_not_come_back(file: str) -> None:
    used = _used(ROOT / file)
    assert not used, {old: REPLACED[old] for old in used}


PHRASES: Mapping[str, str] = {
    "the long way": "the full path",
    "thrown out": "purged, invalidated, removed",
    "throws out": "purges, invalidates, removes",
    "throw out": "purge, invalidate, remove",
    "went away": "disconnected",
    "hands over": "passes, sends",
    "handed over": "passed, sent",
    "goes out": "is sent",
    "go out": "are sent",
    "comes in": "arrives",
    "coming in": "arriving",
    "while it comes": "as it arrives; streamed",
    "as they come": "in the order in which they arrive",
    "as ever": "unchanged",
    "part ways": "are forked",
    "hears": "receives, reads",
    "heard": "read, applied",
    "put right": "corrected",
    "put away": "stored",
    "let through": "open; forwarded",
    "lets in": "allows, covers",
    "let in": "allowed, covered",
    "serves by": "serves",
    "gives away": "identifies, discloses",
    "comes down to": "class, key",
    "broke off": "broke the connection; truncated",
    "broken off": "truncated",
    "who asks": "the visitor; credentials",
    "the one who asked": "the leader; the visitor",
    "guessed lifetime": "heuristic lifetime (RFC 9111, 4.2.2)",
    "guess of ours": "heuristic lifetime (RFC 9111, 4.2.2)",
    "is told": "gets, is sent",
    "was told": "got",
    "nobody's business": "must not be sent",
    "whose is it": "owner",
    "their kin": "similar ones",
    "and kin": "and similar",
    "the origin's word": "the origin's directive",
    "pushes out": "evicts",
    "push out": "evict",
    "say of": "declare",
}


def _prose(file: Path) -> Iterator[tuple[int, str]]:
    """Line number and text: comments and strings of a Python file, paragraphs of other files."""
    text = file.read_text(encoding="utf-8")
    if file.suffix != ".py":
        line = 1
        for paragraph in text.split("\n\n"):
            yield line, paragraph
            line += paragraph.count("\n") + 2
        return
    comments: list[str] = []
    start = last = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.STRING:
            yield token.start[0], token.string
        elif token.type == tokenize.COMMENT:
            if token.start[0] != last + 1:
                yield start, " ".join(comments)
                comments, start = [], token.start[0]
            comments.append(token.string.removeprefix("#"))
            last = token.start[0]
    yield start, " ".join(comments)


def phrases_in(file: Path) -> list[str]:
    """`line: phrase -> term` for each replaced phrase in a file's prose."""
    return [
        f"{line}: {old!r} -> {new}"
        for line, text in _prose(file)
        for old, new in PHRASES.items()
        if re.search(rf"\b{re.escape(old)}\b", " ".join(text.split()), re.IGNORECASE)
    ]


PROSE = [*FILES, "README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("file", PROSE)
def test_replaced_phrases_do_not_come_back(file: str) -> None:
    assert not phrases_in(ROOT / file)


def test_a_phrase_is_found_over_line_breaks(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(
        '''"""A page that goes\n    out."""\n\n# Purged: thrown\n# out.\n''', encoding="utf-8"
    )
    assert phrases_in(file) == [
        "1: 'goes out' -> is sent",
        "4: 'thrown out' -> purged, invalidated, removed",
    ]
