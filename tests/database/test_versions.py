"""The tables' version: made once, by one of many, and never by an older proxy."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from proxy.database.postgresql import DatabaseError, connect, database_name
from proxy.database.versions import VERSIONS, prepare
from tests.support.postgresql import Server
from tests.support.processes import ROOT

pytestmark = pytest.mark.slow


def version(url: str) -> str:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT version_num FROM consent_proxy_version").fetchall()
    assert len(found) == 1
    return str(found[0][0])


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_nodes_that_start_together_make_the_tables_once(server: Server) -> None:
    url = server.new_database()
    with ThreadPoolExecutor(4) as nodes:
        list(nodes.map(prepare, [url] * 4))
    assert version(url) == VERSIONS[-1]
    prepare(url)


def test_a_newer_version_is_left_alone(server: Server) -> None:
    url = server.new_database()
    prepare(url)
    change(url, "UPDATE consent_proxy_version SET version_num = '0999'")
    with pytest.raises(DatabaseError, match=r"newer version .* 0999; this one knows 0001\); run"):
        prepare(url)
    assert version(url) == "0999"


def test_the_database_of_another_program(server: Server) -> None:
    url = server.new_database()
    change(url, "CREATE TABLE receipt (theirs int)")
    with pytest.raises(DatabaseError, match="tables of another program"):
        prepare(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://consent:s3cret@127.0.0.1:1/consent", "no connection; it must run"),
        ("postgresql://consent:s3cret@nowhere.invalid/consent", "no connection; it must run"),
        ("postgresql://consent:s3cret@127.0.0.1:1/consent?nothing=1", "invalid"),
    ],
)
def test_what_is_wrong_is_told_without_the_password(url: str, words: str) -> None:
    with pytest.raises(DatabaseError, match=words) as caught:
        connect(url)
    assert "postgresql://consent@" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_name_has_no_password() -> None:
    assert (
        database_name("postgresql://me:pw@a:1,b:2/db?password=x&sslmode=require")
        == "postgresql://me@a:1,b:2/db"
    )


def test_a_start_without_a_database_loads_none_of_its_packages() -> None:
    program = (
        "import sys, proxy.service, proxy.cli.app\n"
        "print([one for one in ('psycopg', 'sqlalchemy', 'alembic') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DatabaseError, match=r"pip install 'consent-proxy\[postgres\]'"):
        connect("postgresql://db/consent")
