"""Shell completion: bash runs its script; zsh and fish are asked as their scripts ask."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.completion import shell_complete
from typer.main import get_command

from proxy.cli.app import app
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
        (("consent-proxy", "tag", "add", "meta-p"), {"meta-pixel"}),
        (("consent-proxy", "catalogue", "sear"), {"search", "searchspring"}),
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


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("tag add acme", {"acme-forms"}),
        ("tag add --config site.toml acme", {"acme-forms"}),
        ("tag add --config other.toml meta-p", {"meta-pixel"}),
        ("tag expire ", {"acme-forms"}),
        ("tag remove --config site.toml ", {"acme-forms"}),
        ("tag expire --config other.toml meta-p", {"meta-pixel"}),
        ("catalogue hotj", {"hotjar"}),
        ("library add --page https://www.example.com/ --of acme", {"acme-forms"}),
    ],
)
def test_vendors_are_completed(
    words: str, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the catalogue and of the config; where a tag is meant, those that have one."""
    config = """
        [proxy]
        listen = "127.0.0.1:8080"
        [policy]
        controller = "Example"
        version = "1"
        [[site]]
        name = "www"
        hosts = ["www.example.com"]
        upstream = "http://127.0.0.1:9000"
        audience = "marketing"
        [[vendor]]
        id = "acme-forms"
        name = "Acme"
        category = "functional"
        hosts = ["acme.example"]
        [[tag]]
        vendor = "acme-forms"
        sites = ["www"]
        approved_by = "a"
        approved_on = 2026-01-01
        expires = 2099-01-01
    """
    monkeypatch.chdir(tmp_path)
    for name in ("consent-proxy.toml", "site.toml"):
        Path(name).write_text(config, encoding="utf-8")
    Path("other.toml").write_text("[proxy", encoding="utf-8")
    monkeypatch.setenv("_CONSENT_PROXY_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", f"consent-proxy {words}")
    monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
    root = get_command(app)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        shell_complete(root, {}, "consent-proxy", "_CONSENT_PROXY_COMPLETE", "complete_bash")
    assert set(printed.getvalue().split()) == expected
