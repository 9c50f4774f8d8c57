"""An audit that was broken goes on with what it saw."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from consent_rules.audit.observations import Channel
from consent_rules.audit.states import AuditState
from proxy.audit.state_file import StateFile, StateFileError
from tests.support.audits import START, request, visit

VISITS = [
    visit(
        request("https://t.example/\ud7ff\0", Channel.BEACON, headers=(("a", "b"),), body="x\ny"),
        cookies={"a": "b"},
        storage={"k": "v"},
        typed=(("mail address", "jane@example.com"),),
        marks=("patient",),
    ),
    visit(state=AuditState.WITHDRAWN, choices=(1.5,)),
]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "audit.jsonl")
    file.begin(START, VISITS[:1])
    file.add(VISITS[1])
    assert file.read(START) == VISITS


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "audit.jsonl")
    file.begin(START, ())
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "audit.jsonl")
    file.begin(START, VISITS)
    text = file.path.read_text()
    file.path.write_text(text[: len(text) - 30])
    assert file.read(START) == VISITS[:1]


def test_no_file_is_a_beginning(tmp_path: Path) -> None:
    assert StateFile(tmp_path / "none").read(START) == []


@pytest.mark.parametrize("text", ["", "no json\n", "[]\n", '{"format": 1}\n', "\0"])
def test_another_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x"
    path.write_text(text)
    with pytest.raises(StateFileError, match="no state file"):
        StateFile(path).read(START)


def test_another_sites_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "x")
    file.begin("https://other.example/", ())
    with pytest.raises(StateFileError, match="Name another file with --state"):
        file.read(START)
