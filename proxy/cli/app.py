"""The root command with all commands: what is asked about each of them, and their tests."""

from __future__ import annotations

from proxy.cli.commands import make_app

app = make_app()
