"""docs/operations.md: the commands, keys, files and places that it names exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from consent_rules.config.load import json_schema
from proxy.cli.app import app
from tests.support.commands import run

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/operations.md").read_text("utf-8")


def commands_named(text: str) -> set[tuple[str, ...]]:
    found = re.findall(r"(?<!namespace )consent-proxy ((?:[a-z][a-z-]* ?)+)", text)
    return {tuple(one.split()) for one in found}


@pytest.mark.parametrize("words", sorted(commands_named(TEXT)))
def test_each_command_exists(words: tuple[str, ...]) -> None:
    command: Any = typer.main.get_command(app)
    for word in words:
        known = getattr(command, "commands", None)
        if known is None:
            return  # its arguments
        assert word in known, words
        command = known[word]


def test_each_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert not file or (ROOT / "docs" / file).exists(), target
        assert file or anchor in anchors, target


def test_each_key_that_is_set_exists() -> None:
    keys = set(re.findall(r'"(\w+)": \{', str(json_schema()).replace("'", '"')))
    told = set(re.findall(r"`(\w+) = ", TEXT))
    assert told
    assert told <= keys


def test_the_readme_leads_to_it() -> None:
    assert "(docs/operations.md)" in (ROOT / "README.md").read_text("utf-8")


def test_the_keys_of_the_pods_are_made_as_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands under "Kubernetes", and the config of the pods with what they made."""
    text = (ROOT / "deploy/kubernetes/config/consent-proxy.toml").read_text("utf-8")
    text = text.replace("/var/lib/consent-proxy", str(tmp_path))
    for_keys = tmp_path / "consent-proxy.toml"
    keys = tmp_path / "keys"
    for_keys.write_text(re.sub(r"^keys_variable = .*$", f'keys = "{keys}/"', text, flags=re.M))
    assert "mkdir keys" in TEXT
    keys.mkdir()
    done = run("keys", "rotate", "--config", for_keys)
    assert done.exit_code == 0, done.output
    (key,) = keys.glob("*.pem")
    monkeypatch.setenv("CONSENT_KEYS", key.read_text())
    config = tmp_path / "pod.toml"
    config.write_text(text)
    done = run("run", "--check", "--config", config)
    assert done.exit_code == 0, done.output


def test_the_new_version_is_asked_as_told(tmp_path: Path) -> None:
    """The commands under "Upgrade"."""
    commands = re.findall(r"^consent-proxy (.+?)(?: +#.*)?$", TEXT, re.MULTILINE)
    file = tmp_path / "consent-proxy.toml"
    text = re.search(
        r"^```toml consent-proxy.toml\n(.*?)^```$",
        (ROOT / "docs/install.md").read_text(),
        re.M | re.S,
    )
    assert text is not None
    file.write_text(text[1].replace("/var/lib/consent-proxy", str(tmp_path)))
    done = run("keys", "rotate", "--config", file)
    assert done.exit_code == 0, done.output
    assert commands[0] == "--version"
    for command in commands:
        words = command.replace("/etc/consent-proxy/consent-proxy.toml", str(file)).split()
        done = run(*words)
        assert done.exit_code == 0, (command, done.output)
