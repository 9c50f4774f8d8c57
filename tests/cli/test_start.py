"""The start of the proxy loads what serving needs, and no command but its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.commands import COMMANDS, make_app
from tests.support.certificates import Authority

ROOT = Path(__file__).parents[2]

LATER = {
    "anyio",
    "consent_rules.importers",
    "consent_rules.review",
    "maxminddb",
    "prometheus_client",
    "proxy.audit",
    "proxy.cli.audit",
    "proxy.cli.tag",
    "proxy.dashboard.handler",
    "proxy.review",
    "rich",
    "ua_parser",
    "watchfiles",
}
"""What no start needs."""


def test_a_start_loads_what_serving_needs() -> None:
    code = (
        "import sys\nfrom proxy.cli.commands import make_app\nmake_app('run')\n"
        "import proxy.service\nprint('\\n'.join(sys.modules))"
    )
    loaded = set(_python(code).split())
    assert "proxy.service" in loaded
    assert not loaded & LATER


def test_no_collection_looks_at_what_was_imported() -> None:
    code = (
        "import gc, sys\nfrom proxy.cli.commands import main\n"
        "sys.argv[1:] = ['run', '--help']\n"
        "looked_at = []\n"
        "gc.callbacks.append(lambda when, _: when == 'start' and looked_at.append("
        "len(gc.get_objects())))\n"
        "try:\n    main()\nfinally:\n"
        "    print(max(looked_at, default=0), gc.get_freeze_count(), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    looked_at, frozen = map(int, ran.stderr.split())
    assert looked_at < 20_000 < frozen


def test_a_start_reads_no_certificates(tmp_path: Path) -> None:
    """aiohttp reads the system's twice as it is imported."""
    authority = Authority(tmp_path).file
    code = (
        "import os, ssl\n"
        f"os.environ['SSL_CERT_FILE'] = {str(authority)!r}\n"
        "os.environ.pop('SSL_CERT_DIR', None)\n"
        "before = dict(os.environ)\n"
        "made = []\n"
        "read = ssl.SSLContext.set_default_verify_paths\n"
        "def reading(context):\n"
        "    read(context)\n"
        "    made.append(context.cert_store_stats()['x509'])\n"
        "ssl.SSLContext.set_default_verify_paths = reading\n"
        "from proxy.cli.commands import make_app\nmake_app('run')\nimport proxy.service\n"
        "assert os.environ == before\n"
        "print(*made)\nprint(ssl.create_default_context().cert_store_stats()['x509'])"
    )
    read, known = _python(code).splitlines()
    assert read.split() == ["0", "0"]
    assert known == "1"


def _python(code: str) -> str:
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return shown.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_alone_is_the_same_as_among_all(name: str) -> None:
    whole = CliRunner().invoke(make_app(), [name, "--help"])
    alone = CliRunner().invoke(make_app(name), [name, "--help"])
    assert alone.exit_code == 0
    assert alone.output == whole.output
