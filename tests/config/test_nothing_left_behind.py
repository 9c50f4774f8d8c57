"""A config that is refused leaves nothing on the disk: no key, no folder, no socket."""

from __future__ import annotations

import datetime
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from consent_rules.config.load import ConfigError
from proxy import service
from proxy.cli.app import app
from proxy.config.file import ConfigFile, folder_of
from proxy.config.last_known_good import LastGood
from proxy.config.reload import LiveRuntime
from proxy.cookies.signing_keys import first_keys, make_key
from proxy.observability.metrics import Metrics
from proxy.runtime import build_runtime
from tests.support.config_cases import CONFIG_CASES
from tests.support.config_files import FILE_CASES, expected_of

NOW = datetime.datetime.now(datetime.UTC)
URL = "http://www.example.com/"
GOOD = """
[policy]
controller = "Acme"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""

Tree = Mapping[str, object]
Write = Callable[[Path], object]


def tree(folder: Path, *, came_and_went: bool = False) -> Tree:
    """Every file and folder: kind, mode, time, content. A folder's time tells that something was
    written in it, unless `came_and_went` allows what is gone again.
    """
    found: dict[str, object] = {}
    for path in (folder, *folder.rglob("*")):
        told = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(told.st_mode) else b""
        link = str(path.readlink()) if path.is_symlink() else ""
        time = 0 if came_and_went and path.is_dir() else told.st_mtime_ns
        found[str(path)] = (told.st_mode, time, content, link)
    return found


def _on_free_ports(text: str) -> str:
    """Ports that a text names stay; the defaults may be taken by another program."""
    text = text if "[proxy]" in text else f"[proxy]\n{text}"
    for key in ("admin_listen", "listen"):
        if f"\n{key} = " not in text:
            text = text.replace("[proxy]\n", f'[proxy]\n{key} = "127.0.0.1:0"\n')
    return text


def _write_text(text: str) -> Write:
    return lambda folder: (folder / "c.toml").write_text(text, encoding="utf-8")


def _has_error(file: str, text: str) -> bool:
    return any(e.severity == "error" for e in expected_of(file, text))


WRONG: dict[str, Write] = {
    **{case.name: _write_text(case.text) for case in CONFIG_CASES
       if any(e.severity == "error" for e in case.expected)},
    **{f"files: {case.name}": case.write for case in FILE_CASES
       if any(_has_error(file, text) for file, text in case.blocks)},
    "no TOML": _write_text("="),
    "no UTF-8": lambda folder: (folder / "c.toml").write_bytes(b"\xff\xfe\0"),
    "no file": lambda folder: None,
}  # fmt: skip


async def live(folder: Path) -> LiveRuntime:
    """A good config at work, with its keys."""
    path = folder / "c.toml"
    path.write_text(GOOD)
    file = ConfigFile(path)
    loaded, _ = file.read(NOW.date())
    keys = first_keys(folder / loaded.config.preferences.keys, NOW)
    runtime = build_runtime(loaded.config, folder_of(path), lambda: keys)
    file.track_files(loaded.config)
    last_good = LastGood(loaded.config, keys, file.digest())
    return LiveRuntime(file, runtime, last_good, Metrics())


def command(*arguments: object) -> int:
    result = CliRunner().invoke(app, list(map(str, arguments)), input="<p>x")
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code


@pytest.fixture(autouse=True)
def serves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of workers with which it came as far as serving."""
    served: list[int] = []

    def run_workers(_: object, workers: int, **_more: object) -> int:
        served.append(workers)
        return 0

    monkeypatch.setattr(service, "run_workers", run_workers)
    return served


def refused_by_reading(folder: Path) -> bool:
    try:
        ConfigFile(folder / "c.toml").read(NOW.date())
    except (ConfigError, OSError):
        return True
    return False


def test_the_tables_are_refused_by_what_is_run() -> None:
    assert len(WRONG) > 170


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_config_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, serves: list[int]
) -> None:
    config = tmp_path / "here" / "c.toml"
    config.parent.mkdir()
    good = tmp_path / "good.toml"
    good.write_text(GOOD)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    WRONG[name](config.parent)
    before = tree(tmp_path)
    assert refused_by_reading(config.parent)
    for arguments in (
        ("check", config),
        ("explain", URL, "--config", config, "--html", "-"),
        ("rewrite", "--config", config, "--url", URL),
        ("diff", good, config),
        ("diff", config, good),
        ("run", "--config", config),
    ):
        assert command(*arguments) in {1, 2}, arguments
        assert tree(tmp_path) == before, arguments
    assert serves == []


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_config_that_is_reloaded_leaves_nothing(name: str, tmp_path: Path) -> None:
    at_work = await live(tmp_path)
    (tmp_path / "c.toml").unlink()
    WRONG[name](tmp_path)
    before = tree(tmp_path)
    assert refused_by_reading(tmp_path)
    runtime = at_work.runtime
    await at_work.reload()
    assert at_work.status()["taken"] is False
    assert at_work.runtime is runtime
    assert tree(tmp_path) == before


# --- What only `run`, or a reload, finds out

_PEM = "not a key"


def _key_of_another_kind(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "1.pem").write_text(_PEM)
    (folder / "mine" / "1.pem").chmod(0o600)


def _key_for_all(folder: Path) -> None:
    (folder / "mine").mkdir()
    make_key(folder / "mine", NOW).chmod(0o644)


def _dangling(folder: Path) -> None:
    (folder / "mine").symlink_to("nowhere")


def _nothing(folder: Path) -> None:
    return None


def _busy(folder: Path) -> None:
    (folder / "busy").mkdir()


ONLY_RUN: dict[str, tuple[str, Write, str]] = {
    "keys: a file": ('[preferences]\nkeys = "file"', _nothing, "not a folder"),
    "keys: the config itself": ('[preferences]\nkeys = "c.toml"', _nothing, "not a folder"),
    "keys: the config itself, otherwise": (
        '[preferences]\nkeys = "../here/./c.toml"', _nothing, "not a folder"
    ),
    "keys: below a folder that is not there": (
        '[preferences]\nkeys = "a/b"', _nothing, "create the folder"
    ),
    "keys: below a file": ('[preferences]\nkeys = "file/b"', _nothing, "create the folder"),
    "keys: a link to nothing": ('[preferences]\nkeys = "mine"', _dangling, "mine"),
    "keys: no key": ('[preferences]\nkeys = "mine"', _key_of_another_kind, "not an unencrypted"),
    "keys: for all to read": ('[preferences]\nkeys = "mine"', _key_for_all, "chmod 600"),
    "regions: no database": (
        '[policy.region_from]\ndatabase = "file"', _nothing, "database"
    ),
    "listen: no address of this machine": (
        '[proxy]\nlisten = "192.0.2.1:1"', _nothing, "cannot listen"
    ),
    "admin_listen: no address of this machine": (
        '[proxy]\nlisten = "unix:{folder}/front.sock"\nadmin_listen = "192.0.2.1:1"',
        _nothing, "cannot listen",
    ),
    "listen: a socket in no folder": (
        '[proxy]\nlisten = "unix:{folder}/no/front.sock"', _nothing, "cannot listen"
    ),
    "admin_listen: a folder stands there": (
        '[proxy]\nlisten = "unix:{folder}/front.sock"\nadmin_listen = "unix:{folder}/busy"',
        _busy, "cannot listen",
    ),
    "a socket, and no key can be made": (
        '[proxy]\nlisten = "unix:{folder}/front.sock"\n[preferences]\nkeys = "a/b"',
        _nothing, "create the folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ONLY_RUN)
async def test_what_only_run_finds_leaves_nothing(
    name: str, tmp_path: Path, serves: list[int]
) -> None:
    more, prepare, says = ONLY_RUN[name]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "file").write_text("")
    config = folder / "c.toml"
    config.write_text(_on_free_ports(more.replace("{folder}", str(folder))) + GOOD)
    prepare(folder)
    before = tree(tmp_path, came_and_went=True)
    result = CliRunner().invoke(app, ["run", "--config", str(config)])
    assert result.exit_code == 1
    assert says in result.stderr
    assert str(config) in result.stderr
    assert serves == []
    assert tree(tmp_path, came_and_went=True) == before


@pytest.mark.parametrize("name", [n for n in ONLY_RUN if n.startswith(("keys", "regions"))])
async def test_what_only_a_reload_finds_leaves_nothing(name: str, tmp_path: Path) -> None:
    more, prepare, _ = ONLY_RUN[name]
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "file").write_text("")
    at_work = await live(folder)
    prepare(folder)
    (folder / "c.toml").write_text(_on_free_ports(more.replace("{folder}", str(folder))) + GOOD)
    before = tree(tmp_path)
    await at_work.reload()
    assert at_work.status()["taken"] is False
    assert tree(tmp_path) == before


async def test_a_reload_makes_no_keys_and_says_what_to_do(tmp_path: Path) -> None:
    at_work = await live(tmp_path)
    for there in (False, True):
        if there:
            (tmp_path / "new").mkdir()
        (tmp_path / "c.toml").write_text('[preferences]\nkeys = "new"\n' + GOOD)
        before = tree(tmp_path)
        await at_work.reload()
        (fault,) = at_work.status()["faults"]
        assert "there is no key in" in fault
        assert "consent-proxy keys rotate" in fault
        assert tree(tmp_path) == before
    # Once the keys are there, the same config is taken.
    make_key(tmp_path / "new", NOW)
    await at_work.reload()
    assert at_work.status()["taken"] is True


async def test_a_config_file_that_goes_while_it_is_read_becomes_no_folder(tmp_path: Path) -> None:
    for text in ('[preferences]\nkeys = "c.toml"\n', '[preferences]\nkeys = "./c.toml/"\n'):
        config = tmp_path / "c.toml"
        config.write_text(text + GOOD)
        file = ConfigFile(config)
        with pytest.raises(ConfigError, match="not a folder"):
            file.read(NOW.date())
    # The same of a file that it includes.
    (tmp_path / "more.toml").write_text("")
    config.write_text('include = ["more.toml"]\n[preferences]\nkeys = "more.toml"\n' + GOOD)
    with pytest.raises(ConfigError, match="not a folder"):
        ConfigFile(config).read(NOW.date())


def test_a_good_config_makes_its_keys_at_the_start(
    tmp_path: Path, serves: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    listen = '[proxy]\nlisten = "127.0.0.1:0"\nadmin_listen = "127.0.0.1:0"\n'
    (tmp_path / "c.toml").write_text(listen + GOOD)
    assert command("check", tmp_path / "c.toml") == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "c.toml"]
    with caplog.at_level("INFO"):
        assert command("run", "--config", tmp_path / "c.toml") == 0
    assert len(serves) == 1
    (key,) = (tmp_path / "keys").iterdir()
    assert f"created the first key, {key}" in caplog.text
    caplog.clear()
    with caplog.at_level("INFO"):
        assert command("run", "--config", tmp_path / "c.toml") == 0
    assert list((tmp_path / "keys").iterdir()) == [key]
    assert "first key" not in caplog.text
