"""The start of the proxy loads what serving needs, and no command but its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli.commands import COMMANDS, make_app

ROOT = Path(__file__).parents[2]

LATER = {
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
}
"""What no start needs."""


def test_a_start_loads_what_serving_needs() -> None:
    code = (
        "import sys\nfrom proxy.cli.commands import make_app\nmake_app('run')\n"
        "import proxy.service\nprint('\\n'.join(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(shown.stdout.split())
    assert "proxy.service" in loaded
    assert not loaded & LATER


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_alone_is_the_same_as_among_all(name: str) -> None:
    whole = CliRunner().invoke(make_app(), [name, "--help"])
    alone = CliRunner().invoke(make_app(name), [name, "--help"])
    assert alone.exit_code == 0
    assert alone.output == whole.output
