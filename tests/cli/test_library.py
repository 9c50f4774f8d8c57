"""`library`: what is fetched, what the config then says, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from consent_rules.matching.script_hashes import file_hash
from proxy.libraries import file_name
from tests.support.commands import run

CONFIG = """
[policy]
controller = "Example"
version = "1"
url = "/privacy"
[[site]]
name = "www"
hosts = ["www.example.com"]
upstream = "http://127.0.0.1:9"
audience = "marketing"
"""
SCRIPT = b"window.$ = 1"
FONT = b"wOF2font"
SHEET = b"@font-face{src:url(../fonts/a.woff2?v=1#x),url(../fonts/gone.eot)} @import 'more.css';"


@contextmanager
def cdn() -> Iterator[tuple[str, dict[str, tuple[int, str, bytes]], list[dict[str, str]]]]:
    """A server of public files: its address, its answers by path, the fields of its requests."""
    files: dict[str, tuple[int, str, bytes]] = {
        "/jquery.js": (200, "application/javascript", SCRIPT),
        "/css/all.css": (200, "text/css", SHEET),
        "/css/more.css": (200, "text/css", b"p{color:red}"),
        "/fonts/a.woff2?v=1": (200, "font/woff2", FONT),
        "/css2?family=Inter": (200, "text/css; charset=utf-8", b"p{}"),
        "/page": (200, "text/html", b"<p>"),
        "/moved.js": (302, "/jquery.js", b""),
    }
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append({name.lower(): value for name, value in self.headers.items()})
            status, kind, body = files.get(self.path, (404, "text/plain", b""))
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", files, asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "consent-proxy.toml"
    file.write_text(CONFIG)
    return file


def test_a_file_and_what_its_style_sheet_names(config: Path) -> None:
    with cdn() as (at, _, asked):
        done = run("library", "add", f"{at}/css/all.css#top", "-c", config)
        assert done.exit_code == 0, done.output
        assert f"left out, though a style sheet names it: {at}/fonts/gone.eot" in done.output
        text = config.read_text()
        for path, body in (
            ("/css/all.css", SHEET),
            ("/css/more.css", b"p{color:red}"),
            ("/fonts/a.woff2?v=1", FONT),
        ):
            integrity = file_hash(body)
            assert f'[[library]]\nurl = "{at}{path}"\nintegrity = "{integrity}"\n' in text
            assert (config.parent / "libraries" / file_name(integrity)).read_bytes() == body
        # Nothing of whoever runs it but an address.
        assert {"cookie", "referer", "authorization"}.isdisjoint(set().union(*asked))
        again = run("library", "add", f"{at}/css/all.css", "-c", config)
        assert (again.exit_code, config.read_text()) == (0, text)
    assert run("check", config).exit_code == 0
    listed = run("library", "list", "-c", config)
    assert f"{at.removeprefix('http://')}/fonts/a.woff2?v=1  8 bytes" in listed.output


def test_a_type_that_no_name_tells_is_the_servers(config: Path) -> None:
    with cdn() as (at, _, _):
        assert run("library", "add", f"{at}/css2?family=Inter", "-c", config).exit_code == 0
    assert 'type = "text/css"' in config.read_text()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/none.js", "answers 404"),
        ("/moved.js", "leads on to {at}/jquery.js; have the pages name that address"),
        ("/page", "neither its name nor its server says that it is a script"),
    ],
)
def test_what_cannot_be_had(config: Path, path: str, told: str) -> None:
    with cdn() as (at, _, _):
        done = run("library", "add", f"{at}{path}", f"{at}/jquery.js", "-c", config)
        assert done.exit_code == 1
        assert told.format(at=at) in done.output and "Nothing was added." in done.output
    assert config.read_text() == CONFIG
    assert not (config.parent / "libraries").exists()


def test_another_content_than_the_given_hash_is_not_added(config: Path) -> None:
    with cdn() as (at, _, _):
        wrong = file_hash(b"another")
        done = run("library", "add", f"{at}/jquery.js", "--integrity", wrong, "-c", config)
        assert done.exit_code == 1 and file_hash(SCRIPT) in done.output
        right = file_hash(SCRIPT, "sha256")
        done = run("library", "add", f"{at}/jquery.js", "--integrity", right, "-c", config)
        assert done.exit_code == 0, done.output
    assert f'integrity = "{right}"' in config.read_text()


def test_a_saved_file_asks_no_network(config: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved.js"
    saved.write_bytes(SCRIPT)
    url = "https://code.example/jquery.js"
    assert run("library", "add", url, "--file", saved, "-c", config).exit_code == 0
    assert f'url = "{url}"' in config.read_text()


@pytest.mark.parametrize("content", [None, b"changed"])
def test_a_file_that_is_missing_or_changed_is_told_and_restored(
    config: Path, content: bytes | None
) -> None:
    with cdn() as (at, files, _):
        assert run("library", "add", f"{at}/jquery.js", "-c", config).exit_code == 0
        file = config.parent / "libraries" / file_name(file_hash(SCRIPT))
        if content is None:
            file.unlink()
        else:
            file.write_bytes(content)
        checked = run("check", config)
        assert checked.exit_code == 1
        assert f"{config}:13:" in checked.output and str(file) in checked.output
        assert "consent-proxy library restore" in checked.output
        files["/jquery.js"] = (200, "text/javascript", b"another release")
        done = run("library", "restore", "-c", config)
        assert done.exit_code == 1 and "is another file now" in done.output
        files["/jquery.js"] = (200, "text/javascript", SCRIPT)
        assert run("library", "restore", "-c", config).exit_code == 0
        assert file.read_bytes() == SCRIPT
        assert run("check", config).exit_code == 0


PAGE = """<!doctype html><link rel=preconnect href={at}>
<link rel=stylesheet href={at}/css/all.css><script src="{at}/jquery.js"></script>
<script src=https://other.example/x.js></script><script src=/own.js></script>
<img src={at}/pixel.gif><iframe src={at}/page></iframe>"""


def test_the_files_of_a_page(config: Path, tmp_path: Path) -> None:
    with cdn() as (at, _, _):
        page = tmp_path / "page.html"
        page.write_text(PAGE.format(at=at))
        wanted = ("--page", "https://www.example.com/", "--html", page, "-c", config)
        done = run("library", "add", *wanted)
        assert done.exit_code == 2 and "--of" in done.output
        done = run("library", "add", *wanted, "--of", "nobody.example")
        assert done.exit_code == 1 and "has no style sheet" in done.output
        assert config.read_text() == CONFIG
        assert run("library", "add", *wanted, "--of", "127.0.0.1", "--dry-run").exit_code == 0
        assert config.read_text() == CONFIG
        done = run("library", "add", *wanted, "--of", "127.0.0.1")
        assert done.exit_code == 0, done.output
        text = config.read_text()
        assert text.count("[[library]]") == 4
        assert f"{at}/jquery.js" in text and "other.example" not in text
        shown = run("rewrite", "--url", "https://www.example.com/", "-c", config,
                    stdin=page.read_bytes())  # fmt: skip
        assert b'<script src="/.consent/lib/' in shown.out
        explained = run("explain", "https://www.example.com/", "--html", page, "-c", config)
        assert "served from /.consent/lib/" in explained.output
