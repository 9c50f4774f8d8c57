"""What README, Makefile, Dockerfile and hooks promise about each other."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
DOCKERFILE = (ROOT / "Dockerfile").read_text()

PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))

_TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, re.MULTILINE))
_STAGES = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]


def test_each_make_command_of_the_documents_exists() -> None:
    told = {
        target
        for page in PAGES
        for target in re.findall(r"(?:^|`)make ([a-z0-9-]+)(?=[` \n])", page.read_text(), re.M)
    }
    assert {"demo", "test", "test-quick", "test-newest", "update", "clean-room", "bench"} <= told
    assert told <= _TARGETS


def test_each_target_in_the_help_can_be_planned() -> None:
    for target in re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE):
        planned = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")), ids=lambda page: page.name)
def test_each_link_leads_to_a_file(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text())
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.name)
def test_each_file_that_a_document_names_exists(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # of earlier days
    named = set(
        re.findall(r"`((?:proxy|consent_rules|tests|e2e|static|bench)/[\w./-]*)`", page.read_text())
    )
    made = "bench/output"  # by a run
    missing = [name for name in named if not (ROOT / name).exists() and made not in name]
    assert sorted(missing) == []


def test_the_readme_leads_to_the_other_papers() -> None:
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "LICENSE"):
        assert f"]({name})" in README


def test_the_changelog_has_a_place_for_what_is_new() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    version = re.search(r'__version__ = "(.+)"', (ROOT / "proxy/__init__.py").read_text())
    assert version is not None
    assert version[1] in headings


def test_urls_of_the_project_are_of_hosts_that_exist() -> None:
    """None yet: it has no home page."""
    assert "urls" not in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize(
    "script",
    sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "scripts").iterdir()
        if path.is_file() and path.suffix != ".py"
    ),
)
def test_scripts_are_valid_and_strict(script: str) -> None:
    text = (ROOT / script).read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert (ROOT / script).stat().st_mode & 0o111, f"{script} cannot be run"
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_continuous_integration_runs_make_test() -> None:
    text = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in text
    assert re.search(r"^make test\b", text, re.MULTILINE)
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_the_image_does_not_run_as_root() -> None:
    users = re.findall(r"^USER (.+)$", _STAGES[-1], re.MULTILINE)
    assert users, "no USER in the last stage"
    # Numbers: Kubernetes cannot tell from a name that it is not root.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_the_image_carries_the_environment_alone() -> None:
    copies = re.findall(r"^COPY (.+)$", _STAGES[-1], re.MULTILINE)
    assert copies == ["--from=build /opt/consent-proxy /opt/consent-proxy"]


def test_the_image_stops_by_sigterm_and_reports_its_health() -> None:
    assert "\nSTOPSIGNAL SIGTERM\n" in _STAGES[-1]
    assert "\nHEALTHCHECK " in _STAGES[-1]
    # The exec form: with a shell in between, the signal would not arrive.
    assert re.search(r'^ENTRYPOINT \["consent-proxy"\]$', _STAGES[-1], re.MULTILINE)


def test_the_image_installs_what_is_locked_and_nothing_else() -> None:
    installs = re.findall(r"pip(?: --python \S+)? install (.+?)(?: && |\n)", _joined(DOCKERFILE))
    assert installs
    for arguments in installs:
        locked = re.fullmatch(
            r"--require-hashes -r requirements/(build|image)\.lock\.txt", arguments
        )
        assert locked or arguments == "--no-deps /wheels/*.whl", arguments
    assert "--no-build-isolation" in DOCKERFILE


def _joined(text: str) -> str:
    """Lines that end with a backslash, joined with the next, blanks made one."""
    return re.sub(r" +", " ", text.replace("\\\n", " "))


def test_what_the_image_is_built_from_passes_the_dockerignore() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    admitted = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    }
    assert copied == admitted
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_has_a_python_that_the_project_accepts() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    default = re.search(r"^ARG PYTHON=3\.(\d+)$", DOCKERFILE, re.MULTILINE)
    least = re.fullmatch(r">=3\.(\d+)", project["requires-python"])
    assert default is not None
    assert least is not None
    assert int(default[1]) >= int(least[1])


def test_hooks_use_the_tools_of_the_virtual_environment() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"^ +entry: (.+)$", text, re.MULTILINE)
    assert {shlex.split(entry)[2] for entry in entries} == {"ruff", "mypy"}
    assert all(entry.startswith(".venv/bin/python -m ") for entry in entries)
    assert re.findall(r"repo: (.+)", text) == ["local"]
