"""The wheel holds what the installed proxy needs, and runs from there."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from consent_rules.catalogue.load import catalogue_tables
from consent_rules.catalogue.prepared import NAME, read_prepared

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

_RUN_INSTALLED = """
import sys

folder, *sys.argv[1:] = sys.argv[1:]
sys.path.insert(0, folder)
import proxy
from proxy.__main__ import main

assert proxy.__file__.startswith(folder), proxy.__file__
main()
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's files alone; what they depend on comes from this environment."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def _tracked(folder: str) -> list[str]:
    """The files of a folder that belong to the project, in git's eyes or, without git, all."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", folder], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode == 0 and listed.stdout:
        return [name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()]
    found = [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*")]
    return [name for name in found if (ROOT / name).is_file() and "__pycache__" not in name]


@pytest.mark.parametrize(
    ("source", "packed"),
    [("static", "proxy/static"), ("consent_rules", "consent_rules"), ("proxy", "proxy")],
)
def test_holds_every_file_of(source: str, packed: str, wheel: Path) -> None:
    expected = {name.replace(source, packed, 1) for name in _tracked(source)}
    assert expected, f"{source}/ is empty"
    with zipfile.ZipFile(wheel) as archive:
        assert expected <= set(archive.namelist())


def test_holds_the_prepared_catalogue(installed: Path) -> None:
    folder = installed / "consent_rules" / "catalogue"
    sources = [(file.name, file.read_bytes()) for file in sorted(folder.glob("*.toml"))]
    assert read_prepared((folder / NAME).read_bytes(), sources) == list(catalogue_tables(folder))


def test_holds_nothing_that_only_developers_need(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"consent_rules", "proxy"}


def test_tells_type_checkers_that_it_has_types(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert {"consent_rules/py.typed", "proxy/py.typed"} <= set(archive.namelist())


def test_has_the_version_that_the_command_prints(wheel: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "proxy", "--version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == f"consent-proxy {wheel.name.split('-')[1]}\n"


def _smoke(*folders: Path) -> subprocess.CompletedProcess[str]:
    """scripts/smoke.py, where these folders are what is installed."""
    path = os.pathsep.join(map(str, folders))
    return subprocess.run(
        [sys.executable, "-S", str(ROOT / "scripts/smoke.py")],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_smoke_test_is_content_with_the_wheel_alone(installed: Path) -> None:
    ran = _smoke(installed)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def test_smoke_test_names_another_package_of_our_name(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    (tmp_path / "proxy/__init__.py").touch()
    info = tmp_path / "proxy.py-2.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: proxy.py\nVersion: 2.4\n")
    (info / "RECORD").write_text("proxy/__init__.py,,\n")
    for folders in ((installed, tmp_path), (tmp_path, installed)):
        ran = _smoke(*folders)
        assert ran.returncode == 1
        assert "'proxy' in site-packages comes from proxy.py too" in ran.stderr
        assert "pipx" in ran.stderr
        assert "Traceback" not in ran.stderr


def test_smoke_test_says_that_nothing_is_there(tmp_path: Path) -> None:
    ran = _smoke(tmp_path)
    assert ran.returncode == 1
    assert "consent-proxy is not installed here" in ran.stderr


@pytest.mark.parametrize("command", ["catalogue", "schema"])
def test_runs_outside_the_work_tree(command: str, installed: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-I", "-c", _RUN_INSTALLED, str(installed), command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(ran.stdout) > 1000
