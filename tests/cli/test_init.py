"""`init`: a first config that `check` has nothing to say about, or nothing at all."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.support.commands import on_terminal, run

pytestmark = pytest.mark.slow

FLAGS = (
    "--controller", 'Acme "Billing" \U0001f600', "--host", "WWW.Example.com",
    "--upstream", "http://127.0.0.1:9000", "--policy-url", "/privacy",
)  # fmt: skip


def test_by_flags(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    done = run("init", config, *FLAGS, "--patient-pages", "/patients/*")
    assert (done.exit_code, done.stderr) == (0, "")
    found = tomllib.loads(config.read_text())
    assert found["policy"]["controller"] == 'Acme "Billing" \U0001f600'
    (site,) = found["site"]
    assert (site["name"], site["hosts"]) == ("www", ["www.example.com"])
    assert site["page"] == [{"path": "/patients/*", "audience": "patient"}]
    assert "receipts" in found
    assert run("check", config).stdout == f"{config}: fine\n"
    assert list(tmp_path.iterdir()) == [config]
    assert config.stat().st_mode & 0o777 == 0o644


def test_without_receipts_and_patients(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    assert run("init", config, *FLAGS, "--no-receipts").exit_code == 0
    assert "receipts" not in tomllib.loads(config.read_text())
    assert run("check", config).stdout == f"{config}: fine\n"


@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, kind: str) -> None:
    config = tmp_path / "c.toml"
    if kind == "file":
        config.write_text("mine")
    else:
        config.symlink_to(tmp_path / "nowhere")
    done = run("init", config, *FLAGS)
    assert (done.exit_code, "exists already" in done.stderr) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["c.toml"]
    assert kind != "file" or config.read_text() == "mine"


@pytest.mark.parametrize(
    ("flag", "value", "says"),
    [
        ("--host", "https://www.example.com/x", "--host"),
        ("--upstream", "9000", "--upstream"),
        ("--policy-url", "//privacy", "--policy-url"),
        ("--upstream", "", "--upstream is missing"),
    ],
)
def test_a_wrong_or_missing_flag_writes_nothing(
    tmp_path: Path, flag: str, value: str, says: str
) -> None:
    flags = list(FLAGS)
    flags[flags.index(flag) + 1] = value
    done = run("init", tmp_path / "c.toml", *flags)
    assert (done.exit_code, says in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_every_fault_of_the_flags_is_named(tmp_path: Path) -> None:
    done = run(
        "init", tmp_path / "c.toml", "--host", "a b", "--upstream", "9000", "--policy-url", "//x",
        "--patient-pages", "patients", "--patient-pages", "^/care$",
    )  # fmt: skip
    assert done.exit_code == 2
    faults, said = done.stderr.splitlines()[:-1], done.stderr
    assert [one.partition(":")[0] for one in faults] == [
        "--controller is missing", "--host", "--upstream", "--policy-url",
        "--patient-pages", "--patient-pages",
    ]  # fmt: skip
    assert 'did you mean "/patients/*"?' in said
    assert "quotes" not in said
    assert "?." not in said
    assert done.stderr.endswith("\nNothing was written.\n")
    assert list(tmp_path.iterdir()) == []


def test_the_policy_may_have_no_address_yet(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    at = FLAGS.index("--policy-url")
    done = run("init", config, *FLAGS[:at])
    assert done.exit_code == 0, done.output
    assert "[policy] has no url" in done.stderr
    assert "url" not in tomllib.loads(config.read_text())["policy"]
    assert run("check", config).exit_code == 0


def test_a_question_for_yes_or_no_says_what_it_takes(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    answers = "Acme\nwww.example.com\nhttp://127.0.0.1:9000\n\npatients\n\nmaybe\nn\nmaybe\n\n"
    code, shown = on_terminal("init", config, answers=answers)
    assert code == 0, shown
    assert 'did you mean "/patients/*"?' in shown
    assert (shown.count("Say y or n."), "invalid input" in shown) == (2, False)
    assert "receipts" not in tomllib.loads(config.read_text())


def test_by_questions(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    answers = "Acme\nnot a host!\nwww.example.com\nhttp://127.0.0.1:9000\n/privacy\n\ny\ny\n"
    code, shown = on_terminal("init", config, answers=answers)
    assert code == 0, shown
    assert run("check", config).stdout == f"{config}: fine\n"


@pytest.mark.parametrize(
    "answers",
    ["", "Acme\nwww.example.com\n",
     "Acme\nwww.example.com\nhttp://127.0.0.1:9000\n/privacy\n\ny\nn\n"],
)  # fmt: skip
def test_refused_or_interrupted_it_writes_nothing(tmp_path: Path, answers: str) -> None:
    code, shown = on_terminal("init", tmp_path / "c.toml", answers=answers)
    assert code == 1, shown
    assert "Nothing was written." in shown
    assert list(tmp_path.iterdir()) == []
