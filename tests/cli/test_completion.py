"""Shell completion: bash runs its script; zsh and fish are asked as their scripts ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import ROOT, run

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With this tree's `consent-proxy` in the path."""
    program = tmp_path / "consent-proxy"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m proxy "$@"\n')
    program.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("consent-proxy", "che"), {"check"}),
        (("consent-proxy", "keys", ""), {"list", "rotate", "revoke"}),
        (("consent-proxy", "run", "--ch"), {"--check"}),
    ],
)
def test_bash(words: tuple[str, ...], offered: set[str], environment: dict[str, str]) -> None:
    script = run("completion", "bash").stdout
    quoted = " ".join(f"'{word}'" for word in words)
    program = (
        f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
        '_consent_proxy_completion consent-proxy; printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) == offered


@pytest.mark.parametrize(
    ("shell", "variables"),
    [
        ("zsh", {"_TYPER_COMPLETE_ARGS": "consent-proxy ke"}),
        (
            "fish",
            {
                "_TYPER_COMPLETE_ARGS": "consent-proxy ke",
                "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            },
        ),
    ],
)
def test_other_shells(shell: str, variables: dict[str, str], environment: dict[str, str]) -> None:
    script = run("completion", shell).stdout
    asking = f"_CONSENT_PROXY_COMPLETE=complete_{shell}"
    assert asking in script
    assert all(name in script for name in variables)
    name, _, value = asking.partition("=")
    done = subprocess.run(
        ["consent-proxy"],
        env={**environment, **variables, name: value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "keys" in done.stdout
    assert "tag" not in done.stdout.replace("stage", "")


def test_a_shell_that_is_not_known() -> None:
    done = run("completion", "powershell")
    assert done.exit_code == 2
    assert "bash" in done.stderr
