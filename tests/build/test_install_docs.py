"""docs/install.md: its files are valid for the programs that read them, and nginx works as told."""

from __future__ import annotations

import configparser
import http.client
import re
import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from tests.support.certificates import self_signed
from tests.support.commands import run
from tests.support.guarded import guarded
from tests.support.nginx import nginx_program
from tests.support.ports import free_ports
from tests.support.processes import running
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "install.md").read_text("utf-8")
STATE = "/var/lib/consent-proxy"
FILES = dict(re.findall(r"^```[a-z]+ (\S+)\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL))


def test_the_readme_leads_to_it_from_its_first_screen() -> None:
    first_screen = (ROOT / "README.md").read_text("utf-8").splitlines()[:30]
    assert any("(docs/install.md)" in line for line in first_screen)


def test_the_config_is_valid_and_each_trusted_proxies_line_too(tmp_path: Path) -> None:
    text = FILES["consent-proxy.toml"].replace(STATE, str(tmp_path))
    file = tmp_path / "consent-proxy.toml"
    lines = re.findall(r"^trusted_proxies = .*$", DOC, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        file.write_text(re.sub(r"^trusted_proxies = .*$", line, text, flags=re.MULTILINE))
        done = run("check", file)
        assert done.exit_code == 0, done.output
        assert done.stdout == f"{file}: fine\n"


def test_the_service(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(FILES["consent-proxy.service"])
    start = unit["Service"]["ExecStart"].split()
    assert start == ["/opt/consent-proxy/bin/consent-proxy", "run", "--config", start[3]]
    assert Path(start[3]).name == "consent-proxy.toml"
    assert int(unit["Service"]["TimeoutStopSec"]) > 30, "as long as workers may drain"
    if (verify := shutil.which("systemd-analyze")) is not None:
        file = tmp_path / "consent-proxy.service"
        file.write_text(
            FILES["consent-proxy.service"].replace(start[0], shutil.which("true") or "")
        )
        done = subprocess.run([verify, "verify", file], capture_output=True, text=True, check=False)
        assert "consent-proxy.service" not in done.stderr, done.stderr
        assert done.returncode == 0


def test_compose() -> None:
    services = yaml.safe_load(FILES["compose.yaml"])["services"]
    own = services["consent-proxy"]
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    targets = {volume.split(":")[1] for volume in own["volumes"]}
    assert targets == {"/etc/consent-proxy", STATE}
    assert all(target in dockerfile for target in targets)
    assert own["ports"] == ["127.0.0.1:8080:8080"]
    assert "EXPOSE 8080" in dockerfile


def test_caddy(tmp_path: Path) -> None:
    assert re.fullmatch(r"\S+ \{\n\treverse_proxy \S+\n\}\n", FILES["Caddyfile"])
    if (caddy := shutil.which("caddy")) is not None:
        file = tmp_path / "Caddyfile"
        file.write_text(FILES["Caddyfile"])
        command = [caddy, "adapt", "--config", str(file), "--validate"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_nginx_in_front(tmp_path: Path) -> None:
    """The file as it stands, but for ports and paths: TLS ends there, and the proxy knows it."""
    certificate, key = self_signed("127.0.0.1")
    tls, plain = free_ports(2)
    with running(tmp_path, workers=1) as (process, config, text, port):
        config.write_text(text)
        server = FILES["nginx.conf"]
        for was, is_now in (
            ("listen 443 ssl", f"listen 127.0.0.1:{tls} ssl"),
            ("listen 80;", f"listen 127.0.0.1:{plain};"),
            ("/etc/ssl/www.example.com.pem", certificate.name),
            ("/etc/ssl/www.example.com.key", key.name),
            ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ):
            assert was in server
            server = server.replace(was, is_now)
        nginx_file = tmp_path / "nginx.conf"
        temporary = "".join(
            f"{name}_temp_path {tmp_path}/{name};"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        nginx_file.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log stderr;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary}\n{server}\n}}\n"
        )
        command = [nginx_program(), "-c", str(nginx_file), "-p", str(tmp_path)]
        tested = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
        assert tested.returncode == 0, tested.stderr
        assert "[warn]" not in tested.stderr.replace('the "user" directive', ""), tested.stderr
        nginx = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        with guarded(nginx):
            try:
                cookies = _choose(tls)
                redirected = _redirect(plain)
            finally:
                nginx.terminate()
                nginx.wait(PATIENCE)
        assert process.stop() == 0
    assert cookies[0].startswith("__Host-consent=")
    assert "; Secure" in cookies[0]
    assert redirected == "https://www.example.com/x"
    assert "X-Forwarded-Proto" not in process.log


def _choose(port: int) -> list[str]:
    """The cookies of a choice made over TLS; tried until the server is up."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    end = time.monotonic() + PATIENCE
    while True:
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
        try:
            headers = {
                "Host": "www.example.com",
                "Sec-Fetch-Site": "same-origin",
                "Content-Type": "application/x-www-form-urlencoded",
                "X-Forwarded-Proto": "http",  # a visitor's own; nginx overwrites it
            }
            connection.request("POST", "/.consent/choice", "action=accept_all", headers)
            reply = connection.getresponse()
            assert reply.status == 303, reply.read()
            return reply.headers.get_all("Set-Cookie") or []
        except ConnectionError:  # nothing listens yet, or nobody who takes the connection
            assert time.monotonic() < end
            time.sleep(0.05)
        finally:
            connection.close()


def _redirect(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/x", headers={"Host": "www.example.com"})
        return connection.getresponse().headers["Location"]
    finally:
        connection.close()
