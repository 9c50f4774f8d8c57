"""Origins that sites really run: Express, Flask, Django, FastAPI, nginx, Apache with PHP.

Each serves what belongs to the visitor named in the cookie `sid` as its framework does by default:
`/me` is JSON, `/send.pdf` and `/bare.pdf` are a file of the visitor's, `/page` is a page; and
`/static/site.css` is for all.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.guarded import guard
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
ORIGINS = Path(__file__).parent / "origins"
VISITORS = ("alice", "bob", "nobody")
_START_SECONDS = 60.0
_SBIN = "/usr/sbin:/sbin"
_MODULES = Path("/etc/apache2/mods-available")


@dataclass(frozen=True)
class Server:
    """A kind of origin. `paths` are what it serves by visitor. `command` gives its command line for
    a port and a folder that has files and takes its configuration.
    """

    name: str
    paths: tuple[str, ...]
    command: Callable[[int, Path], list[str]]
    needs: tuple[str, ...] = ()
    """Debian packages; the first one's program is looked for."""
    program: str = ""
    module: str = ""
    """Apache's, as Debian names its file."""


def _express(port: int, folder: Path) -> list[str]:
    return ["node", str(ORIGINS / "express.cjs"), str(port), str(folder)]


def _flask(port: int, _: Path) -> list[str]:
    app = "tests.support.origins.flask_origin:app"
    return [sys.executable, "-m", "gunicorn", "--threads", "8", "-b", f"127.0.0.1:{port}", app]


def _django(port: int, _: Path) -> list[str]:
    app = "tests.support.origins.django_origin:app"
    return [sys.executable, "-m", "gunicorn", "--threads", "8", "-b", f"127.0.0.1:{port}", app]


def _fastapi(port: int, _: Path) -> list[str]:
    app = "tests.support.origins.fastapi_origin:app"
    return [sys.executable, "-m", "uvicorn", "--no-access-log", "--port", str(port), app]


_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  types {{ application/pdf pdf; text/css css; text/html html; application/json json; }}
  access_log off;
  client_body_temp_path {folder}/tmp; proxy_temp_path {folder}/tmp; fastcgi_temp_path {folder}/tmp;
  uwsgi_temp_path {folder}/tmp; scgi_temp_path {folder}/tmp;
  map $cookie_sid $who {{ default nobody; alice alice; bob bob; }}
  server {{
    listen 127.0.0.1:{port};
    location = /send.pdf {{ alias {folder}/$who/statement.pdf; }}
    location = /me {{ default_type application/json; alias {folder}/$who/me.json; }}
    location = /page {{ default_type text/html; alias {folder}/$who/page.html; }}
    location /static/ {{ alias {folder}/static/; expires 1h; }}
  }}
}}
"""


def _nginx(port: int, folder: Path) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(port=port, folder=folder))
    return ["nginx", "-c", str(config), "-p", str(folder)]


_APACHE = """
ServerRoot {folder}
ServerName localhost
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
DefaultRuntimeDir {folder}
Mutex file:{folder}
Listen 127.0.0.1:{port}
{modules}
{user}
StartServers 3
TypesConfig /etc/mime.types
DocumentRoot {folder}
<Directory {folder}>
  Require all granted
</Directory>
SetEnv ORIGIN_FOLDER {folder}
php_value session.save_path {folder}
<FilesMatch "\\.php$">
  SetHandler application/x-httpd-php
</FilesMatch>
"""


def _apache(port: int, folder: Path) -> list[str]:
    shutil.copy(ORIGINS / "visitor.php", folder / "visitor.php")
    wanted = ("mpm_prefork", "authz_core", "mime", "env", "php*")
    found = [path for name in wanted for path in _MODULES.glob(f"{name}.load")]
    modules = "\n".join(p.read_text() for p in found)
    # Started as root it gives its rights up: to a user of Debian's.
    user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
    config = folder / "apache.conf"
    config.write_text(_APACHE.format(port=port, folder=folder, modules=modules, user=user))
    return ["apache2", "-f", str(config), "-DFOREGROUND"]


_PHP = "/visitor.php"
SERVERS = {
    server.name: server
    for server in (
        Server("express", ("/me", "/send.pdf", "/bare.pdf", "/page"), _express, (), "node"),
        Server("flask", ("/me", "/send.pdf", "/page"), _flask),
        Server("django", ("/me", "/send.pdf", "/bare.pdf", "/page"), _django),
        Server("fastapi", ("/me", "/send.pdf", "/page"), _fastapi),
        Server("nginx", ("/me", "/send.pdf", "/page"), _nginx, ("nginx",), "nginx"),
        Server(
            "apache", (f"{_PHP}/me", f"{_PHP}/session", f"{_PHP}/send.pdf", f"{_PHP}/page"),
            _apache, ("apache2", "libapache2-mod-php"), "apache2", "php*.load",
        ),
    )
}  # fmt: skip


def install(server: Server) -> str:
    """Make a server's program available. Returns why it cannot be, or ""."""
    found = shutil.which(server.program, path=_path()) if server.program else sys.executable
    # The program may be there alone, as other tests need it, without what this server runs in it.
    complete = not server.module or any(_MODULES.glob(server.module))
    if (found is None or not complete) and server.needs:
        done = subprocess.run(
            [ROOT / "scripts/apt-install", *server.needs],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return done.stderr.strip()[-300:]
    if server.program == "node":
        done = subprocess.run(
            [ROOT / "scripts/npm-install", "tests/support/node"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.stderr.strip()[-300:] if done.returncode else ""
    return ""


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:{_SBIN}"


def fill(folder: Path) -> None:
    """Put the visitors' files in a folder. All have one size and one time, as a batch writes them:
    their weak validators are alike.
    """
    written = time.time() - 1_000_000
    for who in VISITORS:
        own = folder / who
        own.mkdir()
        padded = who.ljust(8, ".")
        (own / "statement.pdf").write_text(f"%PDF-1.4 owner {padded}")
        (own / "me.json").write_text(f'{{"owner": "{padded}"}}')
        (own / "page.html").write_text(f"<!doctype html><title>x</title><p>owner {padded}")
        for path in own.iterdir():
            os.utime(path, (written, written))
    static = folder / "static"
    static.mkdir()
    (static / "site.css").write_text("a{}" * 300)
    (folder / "tmp").mkdir()


@dataclass
class Running:
    """A server under way. It can be stopped and started again on the same port."""

    port: int
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    let_go: Callable[[], None] = lambda: None

    def start(self) -> None:
        with self.log.open("ab") as log:
            # A session of its own: Apache, when it ends, signals the whole group that it is in.
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                cwd=ROOT,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.let_go = guard(self.process)
        end = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"no start: {self.log.read_text()[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        self.let_go()
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


@contextlib.contextmanager
def running(server: Server) -> Iterator[Running]:
    """Start a server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="origin-") as name:
        folder = Path(name)
        fill(folder)
        folder.chmod(0o755)
        port = free_port()
        environment = {**os.environ, "PATH": _path(), "ORIGIN_FOLDER": str(folder)}
        started = Running(port, server.command(port, folder), environment, folder / "server.log")
        try:
            started.start()
            yield started
        finally:
            started.stop()
