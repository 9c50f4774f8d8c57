"""The commands: what they print, how they end, and that no mistake shows a traceback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.support.commands import run
from tests.support.site import PAGE, config_text

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
URL = "https://www.example.com/"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "c.toml"
    file.write_text(config_text(1))
    return file


@pytest.fixture
def page(tmp_path: Path) -> Path:
    file = tmp_path / "page.html"
    file.write_bytes(PAGE)
    return file


# --- Files that are no config

BAD_FILES: dict[str, bytes] = {
    "empty": b"",
    "garbage": bytes(range(256)),
    "utf-16": "[proxy]".encode("utf-16"),
    "no toml": b"= = =",
    "deep": b"a = " + b"[" * 5000,
    "other toml": b"[project]\nname = 1\n",
    "html": PAGE,
}


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=list(BAD_FILES))
def test_files_that_are_no_config(tmp_path: Path, page: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    for command in (
        ["check", file],
        ["run", "--config", file],
        ["explain", URL, "--config", file, "--html", page],
        ["rewrite", "--url", URL, "--config", file],
    ):
        result = run(*command)
        assert result.exit_code == 1
        assert f"{file}:" in result.output
    told = run("check", file, "--json")
    assert told.exit_code == 1
    document = json.loads(told.stdout)
    assert document["ok"] is False
    assert all({"file", "line", "column", "message"} <= set(f) for f in document["faults"])


@pytest.mark.parametrize("name", ["missing.toml", ".", "missing/c.toml"])
def test_files_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    for command in (
        ["check", file],
        ["check", file, "--json"],
        ["run", "--config", file],
        ["explain", URL, "--config", file],
        ["rewrite", "--url", URL, "--config", file],
    ):
        result = run(*command)
        assert result.exit_code == 2
        assert f"{file}: cannot be read: " in result.stderr


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["nonsense"],
        ["run"],
        ["check"],
        ["rewrite"],
        ["explain"],
        ["explain", URL, "--nonsense"],
        ["catalogue", "a", "b"],
        ["schema", "x"],
    ],
)
def test_used_wrongly(command: list[str]) -> None:
    assert run(*command).exit_code == 2


# --- check, schema, catalogue


def test_check(config: Path) -> None:
    good = run("check", config)
    assert good.exit_code == 0
    as_json = json.loads(run("check", config, "--json").stdout)
    assert as_json["ok"] is True
    config.write_text(config_text(1, ["google-analitycs"]))
    wrong = run("check", config)
    assert wrong.exit_code == 1
    line = config.read_text().splitlines().index('vendor = "google-analitycs"') + 1
    assert f"{config}:{line}:" in wrong.output
    assert "google-analytics" in wrong.output
    (fault,) = [f for f in json.loads(run("check", config, "--json").stdout)["faults"]
                if f["severity"] == "error"]  # fmt: skip
    assert fault["line"] == line


def test_schema() -> None:
    document = json.loads(run("schema").stdout)
    assert {"proxy", "policy", "site", "tag", "vendor"} <= set(document["properties"])


def test_catalogue() -> None:
    assert "google-analytics" in run("catalogue").stdout
    one = run("catalogue", "youtube")
    assert "functional" in one.stdout
    assert json.loads(run("catalogue", "youtube", "--json").stdout)["id"] == "youtube"
    assert len(json.loads(run("catalogue", "--json").stdout)) > 100
    wrong = run("catalogue", "youtub")
    assert wrong.exit_code == 1
    assert "youtube" in wrong.stderr


# --- Questions that say nothing clear


@pytest.mark.parametrize(
    "url",
    ["", "x", "/blog", "www.example.com", "ftp://www.example.com/", "http://", "http://[",
     "http://[::1", "https://a b/", "https://www.example.com/\x1b[2J", "javascript:alert(1)"],
)  # fmt: skip
def test_urls(config: Path, page: Path, url: str) -> None:
    for options in (["--config", config], []):
        for command in (["explain", url, "--html", page], ["rewrite", "--url", url]):
            result = run(*command, *options, stdin=PAGE)
            assert result.exit_code == 2
            assert result.stderr.strip()
            assert result.stdout == ""


@pytest.mark.parametrize("url", ["http://[::1]/", "http://127.0.0.1:8080/", "http://xn--a/", URL])
def test_urls_of_any_host(page: Path, url: str) -> None:
    for command in (["explain", url, "--html", page], ["rewrite", "--url", url]):
        result = run(*command, stdin=PAGE)
        assert result.exit_code in {0, 2}
        assert result.exit_code == 0 or url in result.stderr


@pytest.mark.parametrize("choice", ["everything", "analytics,x", "necessary", "all,analytics"])
def test_choices(config: Path, page: Path, choice: str) -> None:
    for command in (
        ["explain", URL, "--html", page, "--preferences", choice],
        ["rewrite", "--url", URL, "--accept", choice],
    ):
        result = run(*command, "--config", config)
        assert result.exit_code == 2
        assert "choose from functional, analytics" in result.stderr


def test_a_host_of_no_site(config: Path, page: Path) -> None:
    result = run("explain", "https://other.example/", "--config", config, "--html", page)
    assert result.exit_code == 0
    assert "no site" in result.stderr
    assert "other.example" in result.stderr


# --- explain


def test_explain(config: Path, page: Path) -> None:
    command = ["explain", URL, "--config", config, "--html", page, "--preferences", "analytics"]
    told = json.loads(run(*command, "--json").stdout)
    assert (told["site"], told["audience"], told["regime"]) == ("www", "marketing", "opt_in")
    assert told["open"] == ["google-analytics"]
    lines = PAGE.splitlines()
    fates = {}
    for one in told["resources"]:
        assert lines[one["line"] - 1][one["column"] - 1 :].startswith(
            b"<" + one["element"][1:5].encode()
        )
        fates[one["what"]] = one
    tag_line = config.read_text().splitlines().index('vendor = "google-analytics"')
    analytics = fates["https://www.google-analytics.com/analytics.js"]
    assert (analytics["fate"], analytics["owner"]) == ("kept", "google-analytics")
    assert f"{config}:{tag_line}" in analytics["rule"]
    assert fates["https://connect.facebook.net/en_US/fbevents.js"]["fate"] == "gated"
    assert fates["https://nobody-knows.example/x.js"]["owner"] == "?nobody-knows.example"
    assert (fates["/site.js"]["fate"], fates["/site.js"]["owner"]) == ("kept", "")
    human = run(*command)
    assert human.exit_code == 0
    for one in told["resources"]:
        assert f"{one['line']}:{one['column']}" in human.stdout
    gated = sum(one["fate"] == "gated" for one in told["resources"])
    assert human.stdout.rstrip().endswith(f"{len(told['resources'])} resources, {gated} gated")


_STAYS, _GOES = "own code that stays when it is closed:", "own code that goes with it:"


@pytest.mark.parametrize(
    ("kind", "script", "said"),
    [
        ("", "ACME={a:1};ga('create','UA-1-1');fetch('/api').then(own)",
         [f"{_STAYS} ACME={{a:1}};", f"{_GOES} fetch('/api').then(own);"]),
        ("", "ga('create','UA-1-1');menu.onclick=function(){ga('send')};open()",
         [f"{_STAYS} open();"]),
        ("module", "ga('create','UA-1-1');ACME.a=1;fetch('/api')",
         [f"{_GOES} ACME.a=1; fetch('/api');"]),
        ("", "ga('create','UA-1-1');)", ["all of its code goes: it cannot be told apart"]),
        ("", "ga('create','UA-1-1')", []),
    ],
)  # fmt: skip
def test_explain_says_what_own_code_a_closed_script_has(
    config: Path, kind: str, script: str, said: list[str]
) -> None:
    html = f'<script type="{kind}">{script}</script>'.encode()
    command = ["explain", URL, "--config", config, "--html", "-", "--json", "--preferences", "none"]
    rule = json.loads(run(*command, stdin=html).stdout)["resources"][0]["rule"]
    for words in said:
        assert words in rule
    assert said or "code" not in rule


def test_explain_reads_stdin_and_patient_marks(config: Path) -> None:
    html = b'<meta name="page-audience" content="patient">' + PAGE
    command = ["explain", URL, "--config", config, "--html", "-", "--json", "--preferences", "all"]
    told = json.loads(run(*command, stdin=html).stdout)
    assert (told["audience"], told["open"]) == ("patient", [])


@pytest.mark.parametrize(
    ("path", "because"),
    [
        ("/", ""),
        ("/patients/pay", 'rule "/patients/*", read as "/patients/pay"'),
        ("/index.php/patients/pay", 'rule "/patients/*", read as "/patients/pay"'),
        ("/x%2fy", "no honest link is spelled so: an encoded slash"),
        ("/?r=patients", 'rule "/patients/*", read as "/patients"'),
    ],
)
def test_explain_tells_by_which_reading_a_page_is_a_patients(
    config: Path, page: Path, path: str, because: str
) -> None:
    url = URL.rstrip("/") + path
    command = ["explain", url, "--config", config, "--html", page, "--preferences", "all"]
    told = json.loads(run(*command, "--json").stdout)
    assert told["patient_because"] == because
    assert told["audience"] == ("patient" if because else "marketing")
    assert (f"for patients: {because}" in run(*command).stdout) is bool(because)


def test_explain_looks_at_the_frames_too(config: Path) -> None:
    html = b'<iframe src="/index.php/patients/pay"></iframe>' + PAGE
    command = ["explain", URL, "--config", config, "--html", "-", "--json", "--preferences", "all"]
    told = json.loads(run(*command, stdin=html).stdout)
    assert (told["audience"], told["open"]) == ("patient", [])
    assert "/index.php/patients/pay" in told["patient_because"]


@pytest.mark.parametrize(
    "url", ["https://www.example.com/[/a]", "https://www.example.com/[bold]x", "https://www.example.com/%ff%00"]
)  # fmt: skip
def test_a_terminal_is_safe_from_pages_and_urls(config: Path, page: Path, url: str) -> None:
    page.write_bytes(b'<script src="https://t.example/\x1b[2J\x9b[/red]\x07"></script>' * 2)
    result = run("explain", url, "--config", config, "--html", page)
    assert result.exit_code == 0
    assert url in result.stdout
    assert "\x1b" not in result.stdout
    assert "\x9b" not in result.stdout


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", bytes(range(256)), b"<" * 1000])
def test_pages_of_any_bytes(config: Path, page: Path, content: bytes) -> None:
    page.write_bytes(content)
    assert run("explain", URL, "--config", config, "--html", page).exit_code in {0, 1}
    assert run("rewrite", "--url", URL, "--config", config, stdin=content).exit_code in {0, 1}


def test_html_that_cannot_be_read(config: Path, tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "missing"):
        result = run("explain", URL, "--config", config, "--html", file)
        assert result.exit_code == 2
        assert "cannot be read" in result.stderr


def test_a_charset_that_browsers_refuse(config: Path, page: Path) -> None:
    refused = ["--content-type", "text/html; charset=hz-gb-2312"]
    for command in (["explain", URL, "--html", page], ["rewrite", "--url", URL]):
        result = run(*command, "--config", config, *refused, stdin=PAGE)
        assert result.exit_code == 1
        assert "cannot be gated" in result.stderr


# --- explain asks the upstream


class _Upstream(BaseHTTPRequestHandler):
    answer = b""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(self.answer)


@pytest.fixture
def upstream() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n" + PAGE, 0),
        (b"HTTP/1.0 404 Not Found\r\n\r\n" + PAGE, 0),
        (b"HTTP/1.0 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n" + PAGE, 0),
        (b"HTTP/1.0 200 OK\r\nContent-Encoding: gzip\r\n\r\nx", 1),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\nx", 1),
        (b"nonsense\r\n\r\n", 1),
        (b"", 1),
    ],
)
def test_explain_asks_the_upstream(
    tmp_path: Path, upstream: int, answer: bytes, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Upstream, "answer", answer)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    config = tmp_path / "c.toml"
    config.write_text(config_text(upstream))
    result = run("explain", f"{URL}a b/é?x=[1]", "--config", config, "--json")
    assert result.exit_code == code
    if code:
        assert f"http://127.0.0.1:{upstream}/" in result.stderr
    else:
        assert len(json.loads(result.stdout)["resources"]) > 5


def test_explain_without_an_upstream(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    (tmp_path / "c.toml").write_text(config_text(port))
    result = run("explain", URL, "--config", tmp_path / "c.toml")
    assert result.exit_code == 1
    assert "--html FILE" in result.stderr


# --- rewrite


def test_rewrite(config: Path) -> None:
    command = ["rewrite", "--url", URL, "--config", config]
    undecided = run(*command, stdin=PAGE).out
    assert b"google-analytics.com/analytics.js" not in undecided
    assert b'<section id="yc"' in undecided
    analytics = run(*command, "--accept", "analytics", stdin=PAGE).out
    assert b"google-analytics.com/analytics.js" in analytics
    assert b'<section id="yc"' not in analytics
    bare = run(*command, "--bare", stdin=PAGE).out
    assert b"yc-" not in bare
    assert b"google-analytics.com/analytics.js" not in bare
    german = run(*command, "--language", "de", stdin=PAGE.replace(b' lang="en"', b""))
    assert german.out != undecided
    own = b"<!doctype html><title>\xff\x00\r\n</title><p>caf\xe9"
    assert run(*command, "--bare", stdin=own).out == own


def test_without_a_config_nobody_is_approved() -> None:
    out = run("rewrite", "--url", URL, "--accept", "all", stdin=PAGE).out
    assert b"google-analytics.com/analytics.js" not in out
    assert b'src="/site.js"' in out


def test_as_a_process(config: Path) -> None:
    """Bytes in, bytes out, through a real pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "rewrite", "--url", URL, "--config", config, "--bare"],
        input=b"<p>\xff\x00\r\n", capture_output=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, b"<p>\xff\x00\r\n", b"")


# --- One default for the config, and files that it includes


def test_every_command_takes_the_config_of_the_folder(
    config: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    config.rename("consent-proxy.toml")
    for command in (
        ["check"],
        ["check", "-c", "consent-proxy.toml"],
        ["diff", "consent-proxy.toml"],
        ["tag", "list"],
        ["explain", URL, "--html", page],
        ["rewrite", "--url", URL],
        ["discovered"],
        ["keys", "rotate"],
        ["keys", "list"],
    ):
        result = run(*command, stdin=b"<p>")
        assert result.exit_code == 0, (command, result.output)
    told = run("explain", URL, "--html", page)
    assert "tag at consent-proxy.toml:" in told.stdout
    for command in (["check"], ["tag", "list"], ["run"], ["discovered"], ["purge", "*"]):
        Path("consent-proxy.toml").rename("hidden")
        assert "consent-proxy.toml: cannot be read" in run(*command).stderr
        Path("hidden").rename("consent-proxy.toml")


TAGS_ONLY = """[[tag]]
vendor = "linkedin-insight"
sites = ["www"]
approved_by = "x"
approved_on = 2026-01-01
expires = 2099-01-01
"""


def test_check_of_an_included_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = config.parent
    monkeypatch.chdir(folder)
    (folder / "tags").mkdir()
    file = folder / "tags" / "a.toml"
    file.write_text(TAGS_ONLY)
    alone = run("check", "tags/a.toml")
    assert alone.exit_code == 1
    assert "no config here includes it" in alone.stderr
    config.write_text('include = ["tags/*.toml"]\n' + config_text(1))
    good = run("check", "tags/a.toml")
    assert good.exit_code == 0, good.output
    assert "tags/a.toml is included by c.toml" in good.stderr
    file.write_text(TAGS_ONLY.replace("linkedin-insight", "linkedin-insightr"))
    wrong = run("check", "tags/a.toml")
    assert wrong.exit_code == 1
    assert "tags/a.toml:2: unknown vendor" in wrong.stdout
    file.write_text("[[tag]]\nvendor = linkedin-insight")
    assert run("check", "tags/a.toml").exit_code == 1


DIALOGS = {
    '<script src="https://consent.cookiebot.com/uc.js"></script>': ("cookiebot", "is closed"),
    '<script src="/js/cookieconsent.umd.js"></script>': ("cookieconsent", "is open"),
    "<script>tarteaucitron.init({})</script>": ("tarteaucitron", "is open"),
    '<script src="/app.js"></script>': ("", ""),
}


@pytest.mark.parametrize("markup", DIALOGS)
def test_explain_names_another_consent_dialog(config: Path, tmp_path: Path, markup: str) -> None:
    name, state = DIALOGS[markup]
    page = tmp_path / "dialog.html"
    page.write_text(f"<!doctype html><title>x</title>{markup}")
    told = run("explain", URL, "--config", config, "--html", page)
    assert ("has a consent dialog of its own" in told.stdout) is bool(name)
    assert f"{name}, which {state}" in told.stdout or not name
    as_json = json.loads(run("explain", URL, "--config", config, "--html", page, "--json").stdout)
    assert as_json["consent_dialogs"] == ([name] if name else [])


def test_explain_shows_what_the_site_is_told(config: Path, page: Path) -> None:
    arguments = ("explain", "http://www.example.com/", "--config", config, "--html", page)
    assert "the site gets" not in run(*arguments).stdout
    assert json.loads(run(*arguments, "--json").stdout)["consent_header"] is None
    config.write_text(config.read_text().replace("[[site]]", "[[site]]\nconsent_header = true", 1))
    told = run(*arguments, "--preferences", "analytics", "--gpc").stdout
    assert (
        "the site gets: Consent: functional=0, analytics=1, session_replay=0, advertising=0, "
        "social=0, gpc=1, regime=" in told
    )


IMPORTS = """<!doctype html><script>import ( /* later */ "https://esm.sh/a")
import(`//cdn.tracker.example/b.js`); import(`./${name}.js`); import("react"); import("/own.js")
</script><script type=module src="data:text/javascript,import('https://esm.sh/c')"></script>"""


def test_explain_sees_what_code_imports_later(config: Path) -> None:
    command = ["explain", URL, "--config", config, "--html", "-", "--json"]
    done = run(*command, stdin=IMPORTS.encode())
    rows = [one for one in json.loads(done.stdout)["resources"] if one["kind"] == "import"]
    assert [(one["what"], one["owner"], one["fate"]) for one in rows] == [
        ("https://esm.sh/a", "?esm.sh", "gated"),
        ("//cdn.tracker.example/b.js", "?cdn.tracker.example", "gated"),
        ("https://esm.sh/c", "?esm.sh", "gated"),
    ]
    assert all("held by the policy header" in one["reason"] for one in rows)
