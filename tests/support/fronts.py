"""Servers in front of the proxy, started from the files of examples/fronts.

`scripts/find-server` and `scripts/find-nginx` bring those that are missing, as make does.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import Issued
from tests.support.guarded import guarded
from tests.support.nginx import nginx_program
from tests.support.ports import free_ports
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/fronts"
_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def front_program(name: str) -> str:
    unpacked = ":".join(str(ROOT / ".tools" / name / at) for at in ("usr/sbin", "usr/bin"))
    path = f"{os.environ.get('PATH', '')}:{_SBIN}:{unpacked}"
    found = shutil.which(os.environ.get(name.upper(), name), path=path)
    if found is None:
        raise FileNotFoundError(f"{name} is not there: run scripts/find-server {name}")
    return found


@dataclass(frozen=True)
class Front:
    """A kind of server. `start` writes its files into a folder, from the example's text, and gives
    its command line.
    """

    file: str
    replaced: tuple[tuple[str, str], ...]
    """What of the example stands for this machine: text, and what it becomes. {tls}, {plain},
    {proxy} and {admin} are ports, {folder} has www.pem, www.key and both.pem."""
    start: Callable[[str, Path], list[str]]


def _nginx(text: str, folder: Path) -> list[str]:
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "front").write_text(
        # Started as root it would give its rights up, and could write no upload into this folder.
        f"user {getpass.getuser()}; daemon off; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {temporary}\n{text}\n}}\n"
    )
    return [nginx_program(), "-c", str(folder / "front"), "-p", str(folder)]


def _caddy(text: str, folder: Path) -> list[str]:
    (folder / "front").write_text(text)
    return [
        front_program("caddy"),
        "run",
        "--config",
        str(folder / "front"),
        "--adapter",
        "caddyfile",
    ]


def _haproxy(text: str, folder: Path) -> list[str]:
    (folder / "front").write_text(text)
    return [front_program("haproxy"), "-f", str(folder / "front"), "-db"]


def _apache(text: str, folder: Path) -> list[str]:
    program = front_program("apache2")
    modules = Path(program).parents[1] / "lib/apache2/modules"
    wanted = ("mpm_event", "authz_core", "ssl", "http2", "headers", "proxy", "proxy_http", "alias")
    loads = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in wanted)
    user = "User www-data\nGroup www-data" if os.getuid() == 0 else ""
    (folder / "front").write_text(
        f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\nErrorLog /dev/stderr\n"
        f"DefaultRuntimeDir {folder}\nMutex file:{folder}\n{loads}\n{user}\nStartServers 1\n{text}"
    )
    return [program, "-f", str(folder / "front"), "-DFOREGROUND"]


_PEM = ("/etc/ssl/www.example.com.pem", "{folder}/www.pem")
_KEY = ("/etc/ssl/www.example.com.key", "{folder}/www.key")
_PROXY = ("127.0.0.1:8080", "127.0.0.1:{proxy}")

FRONTS: Mapping[str, Front] = {
    "nginx": Front(
        "nginx.conf",
        (("listen 443 ssl", "listen 127.0.0.1:{tls} ssl"),
         ("listen 80;", "listen 127.0.0.1:{plain};"), _PEM, _KEY, _PROXY),
        _nginx,
    ),
    "caddy": Front(
        "Caddyfile",
        (("www.example.com {", "{{\n\thttp_port {plain}\n\thttps_port {tls}\n\tadmin off\n"
          "\tdefault_bind 127.0.0.1\n\tskip_install_trust\n}}\nwww.example.com {{\n"
          "\ttls {folder}/www.pem {folder}/www.key"), _PROXY),
        _caddy,
    ),
    "haproxy": Front(
        "haproxy.cfg",
        (("bind :443", "bind 127.0.0.1:{tls}"), ("bind :80", "bind 127.0.0.1:{plain}"),
         ("/etc/haproxy/www.example.com.pem", "{folder}/both.pem"), _PROXY,
         ("check port 8081", "check port {admin}")),
        _haproxy,
    ),
    "apache": Front(
        "apache.conf",
        (("Listen 443", "Listen 127.0.0.1:{tls}"), ("*:443", "*:{tls}"),
         ("Listen 80", "Listen 127.0.0.1:{plain}"), ("*:80", "*:{plain}"), _PEM, _KEY, _PROXY),
        _apache,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Started:
    tls: int
    plain: int


@contextlib.contextmanager
def started(
    name: str, folder: Path, certificate: Issued, proxy: int, admin: int
) -> Iterator[Started]:
    """Start a front for the proxy at a port. Raises AssertionError with what it said where it does
    not come up.
    """
    front = FRONTS[name]
    folder.mkdir()
    folder.chmod(0o755)
    certificate.write(folder, "www")
    (folder / "both.pem").write_bytes(certificate.certificate + certificate.key)
    tls, plain = free_ports(2)
    text = (EXAMPLES / front.file).read_text()
    values = {"tls": tls, "plain": plain, "proxy": proxy, "admin": admin, "folder": folder}
    for was, now in front.replaced:
        assert was in text, was
        text = text.replace(was, now.format_map(values))
    command = front.start(text, folder)
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            command, stdout=said, stderr=said, env=environment, cwd=folder, start_new_session=True
        )
    with guarded(process):
        try:
            end = time.monotonic() + PATIENCE
            for port in (tls, plain):
                while True:
                    with contextlib.suppress(OSError):
                        socket.create_connection(("127.0.0.1", port), 1).close()
                        break
                    up = process.poll() is None and time.monotonic() < end
                    assert up, (folder / "said").read_text()[-2000:]
                    time.sleep(0.05)
            yield Started(tls, plain)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
