"""Every command of the documents: run here, by another test, or named with the reason why not."""

from __future__ import annotations

import re
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.support.commands import ROOT, run

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]
)
SHELLS = {"sh", "bash", "console", "shell"}
PROGRAMS = {"consent-proxy", "make", "python", "python3", "pip", "docker", "curl"}
"""With one of these begins a block of commands whose fence names no language."""

WALKED = {
    "docs/marketing.md": "tests/cli/test_first_use.py",
    "docs/receipts.md": "tests/cli/test_receipts.py",
    "docs/tutorial.md": "e2e/test_tutorial.py",
}
"""Pages whose commands another test runs all, in their order."""

_MAKE = "a target of the Makefile: tests/build/test_project_files.py plans each"
_BROWSER = (
    "visits a site in a browser: e2e/test_audit.py; tests/cli/test_audit.py holds the options"
)
_INSTALLS = "installs from a package index"
_IMAGE = "needs Docker; make image builds and runs the image"
_PEERS = "runs for minutes, or needs a second checkout: bench/"
_PURGE = "needs a running proxy: tests/system and tests/cli/test_commands.py"

NOT_RUN = {
    "make demo": _MAKE,
    "make test": _MAKE,
    "make build": _MAKE,
    "make bench": _MAKE,
    'make bench ARGS="--full"': _MAKE,
    'make bench ARGS="--full --docs"': _MAKE,
    "python -m bench.compile_beside --pages FOLDER --base ../another-checkout": _PEERS,
    "pip install 'consent-proxy[audit]'": _INSTALLS,
    "pip install consent-proxy": _INSTALLS,
    "npm install --save-dev @playwright/test @types/node": _INSTALLS,
    "npx playwright test": "e2e/test_playwright_test.py runs the folder",
    "pip install -r requirements.txt": _INSTALLS,
    "playwright install chromium": _INSTALLS,
    "python3 -m venv /opt/consent-proxy": _INSTALLS,
    "/opt/consent-proxy/bin/pip install --require-hashes -r requirements/run.lock.txt": _INSTALLS,
    "/opt/consent-proxy/bin/pip install --no-deps dist/consent_proxy-*.whl": _INSTALLS,
    "install -D -m 0644 consent-proxy.toml /etc/consent-proxy/consent-proxy.toml": _INSTALLS,
    "docker build -t consent-proxy .": _IMAGE,
    "docker run --read-only -p 127.0.0.1:8080:8080 -v /etc/consent-proxy:/etc/consent-proxy:ro "
    "-v consent-proxy:/var/lib/consent-proxy consent-proxy": _IMAGE,
    "curl -s http://127.0.0.1:8081/healthz": "needs a running proxy: tests/observability",
    "curl -s -o /dev/null -w '%{http_code}\\n' -H 'Host: www.example.com' http://127.0.0.1:8080/": (
        "needs a running proxy: tests/build/test_install_docs.py starts the one of that page"
    ),
    "promtool check rules alerts.yml": "tests/build/test_prometheus_examples.py",
    "promtool test rules alerts.test.yml": "tests/build/test_prometheus_examples.py",
    "kubectl --namespace consent-proxy create secret generic consent-proxy-keys "
    "--from-file keys=keys/*.pem": "needs a cluster; tests/build/test_deployment.py has the rest",
    "consent-proxy audit https://www.example.com/ --html report.html --json report.json": _BROWSER,
    "consent-proxy audit https://www.example.com/ --html report.html --json report.json "
    "--junit report.xml": _BROWSER,
    "consent-proxy audit http://127.0.0.1:9100/ -c examples/demo/consent-proxy.toml "
    "--html before.html": _BROWSER,
    "consent-proxy audit http://localhost:8080/ -c examples/demo/consent-proxy.toml "
    "--html after.html": _BROWSER,
    "consent-proxy purge https://www.example.com/prices --config consent-proxy.toml": _PURGE,
    "consent-proxy purge 'https://www.example.com/blog/*' --config consent-proxy.toml": _PURGE,
    "consent-proxy purge '*' --config consent-proxy.toml": _PURGE,
    """echo '{"cookie": "__Host-consent=..."}' | python3 choice.py """
    "https://www.example.com/.consent/jwks.json www 2026-01-01": (
        "tests/cookies/test_choice_readers.py runs the file with its vectors"
    ),
    "pytest test_privacy.py --base-url https://staging.example.com/": (
        "e2e/test_site_visitor.py runs the file"
    ),
}
"""Command -> why it is not run here, and what runs it or its like."""


def commands_of(text: str) -> Iterator[str]:
    """Each command of a page's blocks, on one line, without its comment."""
    for token in MarkdownIt("commonmark").parse(text):
        if token.type != "fence":
            continue
        language = token.info.split(" ")[0].strip()
        joined = re.sub(r"\\\n\s*", "", token.content)
        lines = [line.strip() for line in joined.splitlines() if line.strip()]
        if language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        elif language not in SHELLS and not (
            language == "" and lines and lines[0].split()[0] in PROGRAMS
        ):
            continue
        for line in lines:
            command = re.sub(r"\s+# .*$", "", line)
            if command and not command.startswith("#"):
                yield command


def _told() -> dict[str, list[str]]:
    """Page -> its commands, of the pages that have any."""
    found = {
        page.relative_to(ROOT).as_posix(): list(commands_of(page.read_text("utf-8")))
        for page in PAGES
    }
    return {page: commands for page, commands in found.items() if commands}


HERE = {
    page: commands
    for page, told in _told().items()
    if page not in WALKED and (commands := [one for one in told if one not in NOT_RUN])
}
"""Page -> the commands that are run by this module."""

CONFIG = """
[proxy]
discovered = "discovered.db"

[preferences]
keys = "keys/"

[policy]
controller = "Acme Billing Services"
version = "2026-11-01"
url = "/privacy"

[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:PORT"
audience = "marketing"
page = [{ path = "/patients/*", audience = "patient" }]
"""
TAG = """
[[tag]]
vendor = "stripe"
sites = ["www"]
baa = true
approved_by = "jo@acme.example"
approved_on = 2026-01-02
expires = 2099-01-02
"""
PAGE = b"<!doctype html><title>Acme</title><script src=https://js.stripe.com/v3/></script>"


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *_: object) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the commands run: a config before a change and after, a key, a page; the site is up."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        config = CONFIG.replace("PORT", str(site.server_port))
        (tmp_path / "before.toml").write_text(config)
        (tmp_path / "consent-proxy.toml").write_text(config + TAG)
        (tmp_path / "page.html").write_bytes(PAGE)
        (tmp_path / "requests.json").write_text('[{"url": "https://js.stripe.com/v3/"}]')
        monkeypatch.chdir(tmp_path)
        done = run("keys", "rotate", "--config", "consent-proxy.toml")
        assert done.exit_code == 0, done.output
        (key,) = Path("keys").iterdir()
        key.rename("keys/20260101T000000Z-first.pem")  # of another second than one of the page's
        yield tmp_path
        site.shutdown()


def _run(command: str) -> None:
    command = command.replace("/etc/consent-proxy/", "")
    words = shlex.split(command)
    if words[0] == "mkdir":
        Path(words[1]).mkdir(exist_ok=True)
        return
    assert words[0] == "consent-proxy", f"not run, and not in NOT_RUN: {command}"
    stdin, target = b"", None
    if "<" in words:
        stdin = Path(words[words.index("<") + 1]).read_bytes()
    if ">" in words:
        target = Path(words[words.index(">") + 1])
    ends = [words.index(sign) for sign in ("<", ">") if sign in words]
    done = run(*words[1 : min(ends, default=len(words))], stdin=stdin)
    assert done.exit_code == 0, (command, done.output)
    if target is not None:
        target.write_bytes(done.out)


@pytest.mark.parametrize("page", HERE)
def test_the_commands_of_a_page(page: str, folder: Path) -> None:
    for command in HERE[page]:
        _run(command)


def test_what_is_not_run_is_still_there() -> None:
    told = {command for commands in _told().values() for command in commands}
    assert sorted(set(NOT_RUN) - told) == []


@pytest.mark.parametrize("page", WALKED)
def test_another_test_reads_the_page(page: str) -> None:
    """By its name: it takes the commands out of the page itself."""
    assert Path(page).name in (ROOT / WALKED[page]).read_text("utf-8")
    assert page in _told()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```sh\nmake test   # all\n```\n", ["make test"]),
        ("```sh\na \\\n  b\n```\n", ["a b"]),
        ("```console\n$ a b\nits output\n$ c\n```\n", ["a b", "c"]),
        ("1. x\n\n   ```sh\n   a\n   ```\n", ["a"]),
        ("```\nmake demo\n```\n", ["make demo"]),
        ("```\nno command\n```\n", []),
        ("```toml\na = 1\n```\n", []),
    ],
)
def test_commands_of(text: str, expected: list[str]) -> None:
    assert list(commands_of(text)) == expected
