"""`receipts`: show, export, verify and erase receipts of choices."""

from __future__ import annotations

import datetime
import json
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from consent_rules.config.load import Config
from consent_rules.receipts.audit import AuditReport
from consent_rules.receipts.consistency import (
    ConsistencyError,
    check_consistency,
    is_consistency_proof,
    prove_consistency,
    read_consistency_proof,
)
from consent_rules.receipts.entries import ErasureReason
from consent_rules.receipts.exchange import ExportError, audit_export, export_lines
from consent_rules.receipts.jsonld import RecordTerms
from consent_rules.receipts.notes import NoteError, VerifierKey, read_verifier_key
from consent_rules.wording import counted, leaf_count
from proxy.cli.options import (
    PROBLEMS,
    USAGE,
    ConfigOption,
    JsonOption,
    MaybeConfigOption,
    open_config,
    print_json,
    stop,
)
from proxy.config.file import folder_of
from proxy.receipts.errors import ReceiptStoreError
from proxy.receipts.opening import open_place, read_place
from proxy.receipts.place import StorePlace, store_place
from proxy.receipts.reading import (
    Selection,
    audit_store,
    export_csv,
    export_jsonl,
    export_jsonld,
    selected,
)
from proxy.receipts.store import ReceiptStore

receipts = typer.Typer(
    name="receipts", help="The receipts of visitors' choices, and the log that proves them.",
    no_args_is_help=True, rich_markup_mode=None,
)  # fmt: skip

ReceiptId = Annotated[
    str, typer.Argument(help="The receipt's id; behind -- where it begins with a hyphen.")
]


class Format(StrEnum):
    JSONL = "jsonl"
    CSV = "csv"
    JSONLD = "jsonld"


def _place(config: Path) -> tuple[StorePlace, Config]:
    loaded, _ = open_config(config)
    place = store_place(loaded.config, folder_of(config))
    if place is None:
        stop(
            f"{config}: no receipts are written; add a [receipts] table with "
            'store = "sqlite:///var/receipts.db"',
            PROBLEMS,
        )
    return place, loaded.config


def _read(config: Path) -> tuple[ReceiptStore, Config]:
    place, settings = _place(config)
    try:
        return read_place(place), settings
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    except NoteError as error:
        stop(f"{place.path}: damaged, its head names no key: {error}", PROBLEMS)


@receipts.command()
def show(
    receipt_id: ReceiptId,
    config: ConfigOption,
    notice: Annotated[
        Path | None, typer.Option("--notice", help="Write the notice that was shown, as HTML.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a receipt, with its place in the log and its proof."""
    store, _ = _read(config)
    try:
        proof = store.prove(receipt_id)
        if proof is None:
            stop(f"{receipt_id}: there is no such receipt; it may have been erased", PROBLEMS)
        receipt: dict[str, Any] = json.loads(proof.stored.content)
        content = store.notice(receipt["notice"])
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    if notice is not None:
        if content is None:
            stop(f"{receipt_id}: the notice {receipt['notice']} is not stored", PROBLEMS)
        notice.write_text(json.loads(content)["html"], encoding="utf-8")
    if as_json:
        print_json(
            {
                "index": proof.stored.index,
                "receipt": receipt,
                "salt": proof.stored.salt.hex(),
                "entry": json.loads(proof.entry),
                "proof": [one.hex() for one in proof.path],
                "checkpoint": proof.checkpoint,
            }
        )
        return
    typer.echo(f"leaf {proof.stored.index} of {store.origin}")
    for name, value in receipt.items():
        if name in {"before", "after"}:
            for kind, states in value.items():
                is_open = ", ".join(key for key, yes in states.items() if yes) or "none"
                typer.echo(f"{name + ' ' + kind:18} {is_open}")
        elif name != "format":
            typer.echo(f"{name:18} {json.dumps(value) if isinstance(value, bool) else value}")


def _day(text: str | None, *, after: bool = False) -> int | None:
    """The start of a day in UTC, or of the day after."""
    if text is None:
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError:
        stop(f"{text}: not a date; write it as 2026-11-29", USAGE)
    start = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
    return int(start.timestamp()) + (86_400 if after else 0)


@receipts.command()
def export(
    config: ConfigOption,
    form: Annotated[Format, typer.Option("--format", help="Of the export.")] = Format.JSONL,
    since: Annotated[str | None, typer.Option("--since", help="From this day (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to this day, included.")] = None,
    site: Annotated[str, typer.Option("--site", help="Only this site.")] = "",
    receipt: Annotated[str, typer.Option("--receipt", help="Only the receipt with this id.")] = "",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file.")] = None,
) -> None:
    """Export receipts: JSON Lines that `receipts verify` checks, CSV, or JSON-LD (ISO/IEC TS
    27560).

    Without a selection the JSON Lines are the whole log. With one, each receipt has its proof.
    """
    selection = Selection(_day(since), _day(until, after=True), site, receipt)
    store, settings = _read(config)
    if not selection.is_all:
        _stop_without_receipts(store, selection)
    if form is Format.CSV:
        lines = export_csv(store, selection)
    elif form is Format.JSONLD:
        policy = settings.policy
        terms = RecordTerms(settings.receipts.keep_days, policy.max_age_days, policy.contact or "")
        lines = export_jsonld(store, selection, terms)
    else:
        lines = export_jsonl(store, selection)
    try:
        if output is None:
            _write(lines, sys.stdout.buffer)
        else:
            with output.open("wb") as file:
                _write(lines, file)
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    except OSError as error:
        stop(f"{output}: cannot be written: {error.strerror}", USAGE)


def _stop_without_receipts(store: ReceiptStore, selection: Selection) -> None:
    """End the command where nothing is selected: an export of nothing proves nothing."""
    try:
        if next(selected(store, selection), None) is not None:
            return
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    if selection.receipt_id:
        stop(f"{selection.receipt_id}: there is no such receipt; it may have been erased", PROBLEMS)
    stop("no receipt is of these days and this site; nothing was written", PROBLEMS)


def _write(lines: Iterator[bytes], file: Any) -> None:
    for line in lines:
        file.write(line)
    file.flush()


@receipts.command()
def verify(
    exported: Annotated[
        Path | None,
        typer.Argument(
            metavar="EXPORT",
            help="A file of `receipts export` or `receipts prove`, or a visitor's receipt.",
        ),
    ] = None,
    config: MaybeConfigOption = None,
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="The log's verifier key (`receipts key`), from its owner."),
    ] = None,
    checkpoint: Annotated[
        list[Path] | None,
        typer.Option("--checkpoint", help="A checkpoint that you wrote down earlier."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check an export, or the store of a config, and name what was tampered with. Exit 1 if
    anything.

    An export is checked without a network, a config or a store.
    """
    if (exported is None) is (config is None):
        stop("name either an export or, with --config, a store", USAGE)
    keys = [_verifier(text) for text in key or ()]
    notes = [_text_of(path) for path in checkpoint or ()]
    named = ""
    try:
        if config is not None:
            store, _ = _read(config)
            report, named = audit_store(store, keys, notes), str(store.verifier)
        else:
            assert exported is not None
            data = exported.read_bytes()
            if is_consistency_proof(data):
                _verify_consistency(data, exported, keys, notes, as_json=as_json)
                return
            report, head = audit_export(export_lines(data), keys, notes)
            named = str(head.verifier)
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    except ExportError as error:
        stop(f"{exported}: {error}", PROBLEMS)
    except OSError as error:
        stop(f"{exported}: cannot be read: {error.strerror}", USAGE)
    _print_report(report, "" if keys else named, as_json=as_json)
    if not report.good:
        raise typer.Exit(PROBLEMS)


def _verify_consistency(
    data: bytes, path: Path, keys: list[VerifierKey], notes: list[str], *, as_json: bool
) -> None:
    """Check a file of `receipts prove`. Checkpoints of the caller's own must be in it."""
    if not keys:
        stop("a proof is only worth the key that it is checked with: give --key", USAGE)
    try:
        proof = read_consistency_proof(data)
        old, new = check_consistency(proof, keys, notes)
    except ConsistencyError as error:
        if as_json:
            print_json({"ok": False, "problems": [{"kind": "checkpoint", "text": str(error)}]})
            raise typer.Exit(PROBLEMS) from error
        stop(f"{path}: {error}", PROBLEMS)
    if as_json:
        print_json({"ok": True, "from": old, "to": new, "problems": []})
        return
    typer.echo(
        f"good: the log of {leaf_count(new)} continues that of {old}; none of those was changed"
    )


def _print_report(report: AuditReport, own_key: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": report.good,
                "leaves": report.size,
                "receipts": report.receipts,
                "erased": report.erased,
                "checkpoints": report.checkpoints,
                "proven": report.proven_size,
                "late": report.late,
                "latest_seconds": report.latest,
                "key": own_key or None,
                "problems": [
                    {"kind": one.kind, "text": one.text, "first": one.first, "end": one.end}
                    for one in report.problems
                ],
            }
        )
        return
    for one in report.problems:
        typer.echo(f"{one.kind}: {one.text}")
    if report.good:
        typer.echo(
            f"good: {leaf_count(report.size)}, "
            f"{counted(report.receipts, 'receipt')}, {report.erased} erased; they add up to "
            f"{counted(report.checkpoints, 'checkpoint')}, the largest of {report.proven_size}"
        )
    else:
        typer.echo(counted(len(report.problems), "problem"))
    if report.late:
        typer.echo(
            f"entered late: {counted(report.late, 'receipt')}, by up to {report.latest} s: a node "
            "could not reach the database, or dated them back"
        )
    if own_key:
        typer.echo(f"checked with the key that it names itself: {own_key}", err=True)


def _verifier(text: str) -> VerifierKey:
    try:
        return read_verifier_key(text)
    except NoteError as error:
        stop(f"--key: {error}", USAGE)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        stop(f"{path}: cannot be read: {error}", USAGE)


@receipts.command()
def erase(receipt_id: ReceiptId, config: ConfigOption, as_json: JsonOption = False) -> None:
    """Erase the content of a receipt. Its leaf stays, and the log says that it was erased."""
    place, _ = _place(config)
    try:
        read_place(place).close()  # where there is no store, none is made
        store = open_place(place)
        index = store.erase(receipt_id, ErasureReason.OPERATOR, int(time.time()))
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)
    if index is None:
        stop(f"{receipt_id}: there is no such receipt; it may have been erased", PROBLEMS)
    if as_json:
        print_json({"receipt": receipt_id, "leaf": index, "erasure_leaf": store.size - 1})
        return
    typer.echo(f"erased the receipt of leaf {index}; leaf {store.size - 1} says so")


@receipts.command()
def prove(
    earlier: Annotated[Path, typer.Argument(help="A checkpoint that was written down.")],
    later: Annotated[
        Path | None, typer.Argument(help="A later one. Default: the newest of the log.")
    ] = None,
    *,
    config: ConfigOption,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file.")] = None,
) -> None:
    """Prove that the log only grew between two checkpoints: some dozens of hashes, which `receipts
    verify` checks. For the proof of one receipt: `receipts export --receipt ID`.
    """
    notes = [_text_of(path) for path in (earlier, later) if path is not None]
    store, _ = _read(config)
    try:
        with store.snapshot():
            old, new = notes if later is not None else (notes[0], store.checkpoint())
            proof = prove_consistency(old, new, [store.verifier], store.read_hashes, store.size)
    except (ReceiptStoreError, ConsistencyError) as error:
        stop(str(error), PROBLEMS)
    line = proof.to_bytes() + b"\n"
    try:
        if output is None:
            _write(iter([line]), sys.stdout.buffer)
        else:
            output.write_bytes(line)
    except OSError as error:
        stop(f"{output}: cannot be written: {error.strerror}", USAGE)


@receipts.command("checkpoint")
def print_checkpoint(config: ConfigOption) -> None:
    """Print the newest checkpoint: for an auditor to write down."""
    store, _ = _read(config)
    try:
        typer.echo(store.checkpoint(), nl=False)
    except ReceiptStoreError as error:
        stop(str(error), PROBLEMS)


@receipts.command("key")
def print_key(config: ConfigOption) -> None:
    """Print the log's verifier key: for auditors, once, by a way that they trust."""
    store, _ = _read(config)
    typer.echo(str(store.verifier))
