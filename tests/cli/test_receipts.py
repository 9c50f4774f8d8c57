"""`receipts ...`, and each command that docs/receipts.md names."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from consent_rules.receipts.receipt import Receipt
from proxy.receipts.store import open_store
from tests.support.commands import ROOT, run
from tests.support.receipt_logs import ORIGIN, RECEIPT

CONFIG = """
[policy]
controller = "Acme"
version = "2026-01-01"
url = "/privacy"
[receipts]
store = "sqlite:///receipts.db"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""
NOTICE = json.dumps(
    {
        "controller": "Acme", "html": "<p>We ask</p>", "language": "en",
        "purposes": [
            {"category": "analytics", "title": "Analytics", "text": "Counts visits",
             "vendors": [{"id": "google-analytics", "name": "Google Analytics",
                          "company": "Google", "policy_url": "", "cookies": ["_ga"]}]},
        ],
    },
    separators=(",", ":"), sort_keys=True,
).encode()  # fmt: skip
DAY = 86_400
START = 1_790_000_000 // DAY * DAY


def receipt(number: int) -> Receipt:
    return replace(
        RECEIPT,
        receipt_id=f"receipt-{number}",
        made_at=START + number * DAY,
        site="www" if number % 2 else "shop",
        notice=hashlib.sha256(NOTICE).hexdigest(),
        previous=f"receipt-{number - 1}" if number else "",
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "consent-proxy.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def store(config: Path) -> Path:
    folder = config.parent
    opened = open_store(folder / "receipts.db", folder / "receipts.pem", ORIGIN)
    opened.append([(receipt(number), NOTICE) for number in range(10)])
    opened.close()
    return folder / "receipts.db"


def test_a_receipt_is_shown_with_its_notice(config: Path, store: Path, tmp_path: Path) -> None:
    notice = tmp_path / "notice.html"
    done = run("receipts", "show", "receipt-3", "--config", config, "--notice", notice)
    assert done.exit_code == 0
    assert notice.read_text() == "<p>We ask</p>"
    assert "leaf 3 of www.example.com/.consent/log" in done.stdout
    assert re.search(r"after vendors +google-analytics", done.stdout)
    shown = json.loads(run("receipts", "show", "receipt-3", "-c", config, "--json").stdout)
    assert shown["receipt"]["id"] == "receipt-3"
    assert shown["checkpoint"].split("\n")[1] == "10"


def test_exports_by_day_site_and_receipt(config: Path, store: Path) -> None:
    def ids(*options: str) -> list[str]:
        done = run("receipts", "export", "--config", config, "--format", "csv", *options)
        assert done.exit_code == 0
        return [row["id"] for row in csv.DictReader(io.StringIO(done.stdout))]

    first, last = (time.strftime("%Y-%m-%d", time.gmtime(START + n * DAY)) for n in (3, 5))
    assert ids() == [f"receipt-{n}" for n in range(10)]
    assert ids("--since", first, "--until", last) == [f"receipt-{n}" for n in (3, 4, 5)]
    assert ids("--site", "shop") == [f"receipt-{n}" for n in range(0, 10, 2)]
    assert ids("--receipt", "receipt-7") == ["receipt-7"]


@pytest.mark.parametrize("form", ["jsonl", "csv", "jsonld"])
@pytest.mark.parametrize(
    ("selection", "said"),
    [
        (("--receipt", "nobody"), "nobody: there is no such receipt"),
        (("--site", "nowhere"), "no receipt is of these days and this site"),
        (("--since", "2999-01-01"), "no receipt is of these days and this site"),
    ],
)
def test_nothing_is_not_exported(
    config: Path, store: Path, tmp_path: Path, selection: tuple[str, str], said: str, form: str
) -> None:
    """An empty file would pass for a proof."""
    part = tmp_path / "part"
    done = run("receipts", "export", "-c", config, "--format", form, *selection, "-o", part)
    assert done.exit_code == 1
    assert said in done.stderr
    assert not part.exists()


def test_a_part_is_verified_by_its_proofs(config: Path, store: Path, tmp_path: Path) -> None:
    part = tmp_path / "part.jsonl"
    run("receipts", "export", "--config", config, "--site", "www", "-o", part)
    done = run("receipts", "verify", part, "--json")
    found = json.loads(done.stdout)
    assert (done.exit_code, found["ok"], found["receipts"]) == (0, True, 5)
    text = part.read_text()
    for old, new in (("accept_all", "reject_all"), ('"index":3', '"index":4')):
        part.write_text(text.replace(old, new, 1))
        done = run("receipts", "verify", part)
        assert done.exit_code == 1
        assert "leaf" in done.stdout


def test_json_ld_has_what_the_profile_asks_for(config: Path, store: Path) -> None:
    done = run("receipts", "export", "-c", config, "--format", "jsonld", "--receipt", "receipt-3")
    record = json.loads(done.stdout)
    assert record["dct:conformsTo"] == {"@id": "https://w3id.org/dpv/schema/dpv-27560#record"}
    assert record["@type"] == "dpv:ConsentRecord"
    assert record["dpv:hasDataController"]["dct:identifier"] == "https://www.example.com/"
    (process,) = record["dpv:hasProcess"]
    assert process["dpv:hasPurpose"] == {"@id": "dpv:ServiceUsageAnalytics"}
    assert process["dpv:hasRecipient"][0]["dpv:hasName"] == "Google"
    assert process["dpv:hasConsentStatus"]["@type"] == "dpv:ConsentGiven"
    assert record["dct:replaces"]["@id"].endswith("/receipt-2")
    # Every prefix is declared.
    used = set(re.findall(r'"(\w+):[A-Za-z]', done.stdout)) - {"https", "http"}
    assert used <= record["@context"].keys()


def test_erased_and_still_good(config: Path, store: Path) -> None:
    done = run("receipts", "erase", "receipt-3", "--config", config)
    assert done.stdout == "erased the receipt of leaf 3; leaf 10 says so\n"
    assert run("receipts", "erase", "receipt-3", "--config", config).exit_code == 1
    assert "may have been erased" in run("receipts", "show", "receipt-3", "-c", config).stderr
    found = json.loads(run("receipts", "verify", "--config", config, "--json").stdout)
    assert (found["ok"], found["leaves"], found["receipts"], found["erased"]) == (True, 11, 9, 1)


def test_growth_between_two_checkpoints(config: Path, store: Path, tmp_path: Path) -> None:
    first, later, proof = tmp_path / "first", tmp_path / "later", tmp_path / "proof"
    key = run("receipts", "key", "-c", config).stdout.strip()
    first.write_text(run("receipts", "checkpoint", "-c", config).stdout)
    run("receipts", "erase", "receipt-3", "-c", config)
    later.write_text(run("receipts", "checkpoint", "-c", config).stdout)
    assert run("receipts", "prove", first, later, "-c", config, "-o", proof).exit_code == 0
    assert run("receipts", "prove", first, "-c", config).out == proof.read_bytes()
    done = run("receipts", "verify", proof, "--key", key, "--checkpoint", first)
    assert done.stdout.startswith("good: the log of 11 leaves continues that of 10")
    found = json.loads(run("receipts", "verify", proof, "--key", key, "--json").stdout)
    assert (found["ok"], found["from"], found["to"]) == (True, 10, 11)
    assert "give --key" in run("receipts", "verify", proof).stderr
    assert "earlier one first" in run("receipts", "prove", later, first, "-c", config).stderr

    # A rewritten log has no proof, and the auditor's checkpoint is not in that of another.
    other = tmp_path / "other"
    other.write_text(first.read_text().replace("\n10\n", "\n9\n", 1))
    done = run("receipts", "verify", proof, "--key", key, "--checkpoint", other)
    assert (done.exit_code, "other checkpoints" in done.stderr) == (1, True)
    with sqlite3.connect(store) as db:
        db.execute("UPDATE leaf SET hash = ? WHERE idx = 4", (bytes(32),))
    done = run("receipts", "prove", first, "-c", config)
    assert (done.exit_code, "was changed since" in done.stderr) == (1, True)


def test_mistakes(config: Path, tmp_path: Path) -> None:
    nothing = run("receipts", "show", "x", "--config", config)
    assert "no store of receipts yet" in nothing.stderr
    assert run("receipts", "erase", "x", "--config", config).exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["consent-proxy.toml"]
    assert run("receipts", "verify").exit_code == 2
    other = tmp_path / "other.jsonl"
    other.write_text('{"a":1}\n')
    assert "not that of an export" in run("receipts", "verify", other).stderr
    assert run("receipts", "verify", tmp_path / "none").exit_code == 2
    assert "not a verifier key" in run("receipts", "verify", other, "--key", "x").stderr
    assert "not a date" in run("receipts", "export", "-c", config, "--since", "x").stderr
    config.write_text(CONFIG.replace("[receipts]\n", "").replace("store", "#"))
    assert "add a [receipts] table" in run("receipts", "show", "x", "-c", config).stderr


def test_another_key_is_not_trusted(config: Path, store: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    run("receipts", "export", "--config", config, "-o", log)
    other = open_store(tmp_path / "other.db", tmp_path / "other.pem", ORIGIN)
    done = run("receipts", "verify", log, "--key", other.verifier)
    assert done.exit_code == 1
    assert "not by a key that is trusted here" in done.stdout
    assert "checked with the key that it names itself" in run("receipts", "verify", log).stderr


# --- docs/receipts.md


def documented() -> list[str]:
    text = (ROOT / "docs" / "receipts.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.M | re.S)
    return [line.strip() for block in blocks for line in block.splitlines() if line.strip()]


def test_every_command_of_the_docs_runs(
    config: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In their order, in the folder of the config."""
    monkeypatch.chdir(tmp_path)
    variables = {"$ID": "receipt-3", '"$KEY"': ""}
    commands = documented()
    assert len(commands) > 8
    for command in commands:
        words = command
        for name, value in variables.items():
            words = words.replace(name, value)
        line, _, target = words.partition(" > ")
        program, *arguments = shlex.split(line)
        if program == "python":
            script = ROOT / arguments[0]
            done = subprocess.run(
                [sys.executable, script, *arguments[1:]], capture_output=True, text=True
            )
            assert done.returncode == 0, (command, done.stdout, done.stderr)
            assert done.stdout.startswith("good: the ")
            continue
        assert program == "consent-proxy"
        ran = run(*arguments)
        assert ran.exit_code == 0, (command, ran.output)
        if target:
            Path(target).write_text(ran.stdout)
        if arguments[:2] == ["receipts", "key"]:
            variables['"$KEY"'] = shlex.quote(ran.stdout.strip())
    assert (tmp_path / "notice.html").read_text() == "<p>We ask</p>"
    assert (tmp_path / "receipts.csv").read_text().count("\n") == 6
    assert (tmp_path / "receipts.jsonld").read_text().count("\n") == 10
