"""The progress of an audit on a terminal: how far it is, what it does, and how long it may take."""

from __future__ import annotations

import sys

import pytest

from consent_rules.audit.states import AuditState
from proxy.audit.crawl import Progress
from proxy.cli.progress import shown_progress


@pytest.mark.parametrize(
    ("is_terminal", "shown"),
    [(True, ["no choice yet", "3/12", "0:00:0"]), (False, [])],
)
def test_the_progress_bar(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    is_terminal: bool,
    shown: list[str],
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal)
    with shown_progress("audit") as tell:
        for done in range(1, 4):
            tell(Progress(done, 12, AuditState.NO_CHOICE, "https://www.example.com/"))
    text = capsys.readouterr().err
    for words in shown:
        assert words in text
    assert bool(text.strip()) is is_terminal
