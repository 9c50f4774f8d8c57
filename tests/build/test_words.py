"""One word for one thing, the field's word: identifiers that were replaced do not come back.

`REPLACED` is old -> new.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("consent_rules", "proxy")

REPLACED: Mapping[str, str] = {
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
    "hearing": "interim_connector",
    "Hear": "OnInterim",
    "HearingConnector": "InterimConnector",
    "hear_on": "attach",
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
    "meant_vendors": "closest_vendors",
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
    path.relative_to(ROOT).as_posix() for top in FOLDERS for path in (ROOT / top).rglob("*.py")
)


@pytest.mark.parametrize("file", FILES)
def test_replaced_words_do_not_come_back(file: str) -> None:
    used = _used(ROOT / file)
    assert not used, {old: REPLACED[old] for old in used}
