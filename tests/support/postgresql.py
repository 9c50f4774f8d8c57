"""A real PostgreSQL for the tests: `scripts/find-postgresql` brings one where there is none, as
make does. It refuses to run as root: then it runs as the user `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

from tests.support.guarded import guard
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE

_ROOT = Path(__file__).parents[2]
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "log_min_messages": "warning",
    # What a killed process has written stays in the system's memory; only a power cut loses it.
    "fsync": "off",
}

_STILL_HELD = "pre-existing shared memory block"


def postgresql_folder() -> Path:
    """The folder of its programs. Raises FileNotFoundError that says what to do."""
    named = [os.environ["POSTGRESQL"]] if "POSTGRESQL" in os.environ else []
    folders = [Path(one) for one in named]
    for base in (Path("/usr/lib/postgresql"), _ROOT / ".tools/postgresql/usr/lib/postgresql"):
        folders += sorted(base.glob("*/bin"), key=lambda one: -float(one.parent.name))
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise FileNotFoundError(
        "PostgreSQL is not there: run scripts/find-postgresql, or apt-get install postgresql"
    )


class Server:
    """A server with an empty database, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._bin = postgresql_folder()
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        self.data = folder / "data"
        self._log = folder / "log"
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None
        self._let_go: Callable[[], None] = lambda: None
        arguments = ["-D", str(self.data), "-U", "consent", "-A", "trust", "-E", "UTF8"]
        self._run("initdb", *arguments, "--locale=C", "--no-sync", "--no-instructions")
        with (self.data / "postgresql.conf").open("a") as file:
            for name, value in _SETTINGS.items():
                file.write(f"{name} = '{value}'\n")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://consent@127.0.0.1:{self.port}/{database}"

    def _as_user(self) -> dict[str, Any]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=False,
            **self._as_user(),
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start it, and wait until it accepts connections. Processes of one that was killed may
        take a moment to end: while they hold its shared memory, no other one starts.
        """
        end = time.monotonic() + PATIENCE
        while True:
            at = self._log.stat().st_size if self._log.exists() else 0
            self._launch()
            try:
                self.wait()
            except AssertionError:
                if _STILL_HELD not in self._log.read_text()[at:] or time.monotonic() > end:
                    raise
                time.sleep(0.2)
            else:
                return

    def _launch(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.data), "-p", str(self.port)],
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as_user(),
            )
        self._let_go = guard(self._process)

    def wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                self.query("SELECT 1")
            except psycopg.OperationalError:
                assert time.monotonic() < end, self._log.read_text()
                assert self._process is not None
                assert self._process.poll() is None, self._log.read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it at once, with its connections."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End all of its processes on the spot."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        self._let_go()
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
        self._process.wait(PATIENCE)

    def pause(self) -> None:
        """Accept, and answer nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def query(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else []

    def new_database(self, options: str = "") -> str:
        """The address of an empty database."""
        name = f"test_{time.monotonic_ns()}"
        self.query(f"CREATE DATABASE {name} {options}")
        return self.url(name)


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """A server of its own; its files are removed at the end."""
    # Not below the tests' own folders: those are closed to another user.
    folder = Path(tempfile.mkdtemp(prefix="consent-postgresql-"))
    try:
        server = Server(folder)
        server.start()
        try:
            yield server
        finally:
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
