"""`audit`: what is wrong is told before a browser is started."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from proxy.cli.app import app
from tests.support.commands import ROOT, run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["example.com"], "is not a site's address; write https://host/"),
        (["ftp://example.com/"], "is not a site's address"),
        (["https://user:pw@example.com/"], "is not a site's address"),
        (["https://example.com/", "--states", "rejectd"], "the states are no-choice, rejected"),
        (["https://example.com/", "--states", ","], "--states names none"),
        (
            ["https://example.com/", "--fail-on", "worst"],
            "write critical, high, medium, low or never",
        ),
        (["https://example.com/", "--since", "none.json"], "none.json: cannot be read"),
        (["https://example.com/", "--since", "last"], "name the file of the last report"),
        (
            ["https://example.com/", "--since", "last", "--json", "c.toml"],
            "c.toml: is no report that audit --json wrote",
        ),
        (
            ["https://example.com/", "--region", "ZZZ"],
            '--region: "ZZZ" is not a code of ISO 3166',
        ),
        (
            ["https://example.com/", "--page", "/a", "--page", "http://other.example/x"],
            '--page "http://other.example/x": is not on https://example.com',
        ),
        (["https://example.com/", "--storage-state", "none.json"], "none.json: cannot be read"),
    ],
)
def test_wrong_usage(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text("[policy]\n")
    done = run("audit", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


@pytest.mark.parametrize("command", [("explain",), ("rewrite", "--url")])
def test_a_region_that_is_none_is_told_by_each_command_that_takes_one(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run(*command, "https://example.com/", "--region", "ZZZ")
    assert done.exit_code == 2
    assert '--region: "ZZZ" is not a code of ISO 3166' in done.stderr


def test_a_missing_browser_is_told_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHROMIUM", "/no/such/chromium")
    done = run("audit", "http://127.0.0.1:9/", "--pages", "1")
    assert done.exit_code == 1
    assert "CHROMIUM=/no/such/chromium: there is no such program" in done.stderr


def test_a_first_audit_has_nothing_to_compare_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHROMIUM", "/no/such/chromium")
    done = run("audit", "http://127.0.0.1:9/", "--since", "last", "--json", "report.json")
    assert done.exit_code == 1
    assert "note: there is no report.json yet, so nothing to compare with" in done.stderr


def test_a_missing_playwright_is_told_with_the_command_that_mends_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['playwright'] = None; sys.argv[1:] = ['audit', "
        "'http://127.0.0.1:9/']; from proxy.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'consent-proxy[audit]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_neither_the_proxy_nor_its_commands_load_what_the_audit_needs() -> None:
    code = (
        "import sys, proxy.cli.app, proxy.service; "
        "print(sorted({'playwright', 'protego', 'dns'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("file", ["docs/audit.md", "examples/site_checks/workflow.yaml"])
def test_each_option_that_is_named_exists(file: str) -> None:
    others = {"--base-url", "--junit-xml", "--with-deps"}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", (ROOT / file).read_text()))
    options = {flag for one in get_command(app).commands["audit"].params for flag in one.opts}  # type: ignore[attr-defined]
    assert named - others <= options
