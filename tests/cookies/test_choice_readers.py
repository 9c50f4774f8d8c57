"""Those who read the preference cookie elsewhere: `examples/read_choice/` in Python, JavaScript and
PHP, by the vectors that lie there, and against a running proxy whose key is revoked.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.choice_vectors import PUBLISHED, SAYS, SITE, VERSION, vectors
from tests.support.commands import run
from tests.support.processes import ask, running
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "read_choice"


@cache
def program(name: str, package: str) -> str:
    """The path of a program; installs Debian's where it is missing."""
    if shutil.which(name) is None:
        subprocess.run([ROOT / "scripts/apt-install", package], check=True, timeout=600)
    found = shutil.which(name)
    assert found, f"{name} is needed: as root, apt-get install {package}"
    return found


READERS: dict[str, Callable[[], list[str]]] = {
    "Python": lambda: [sys.executable, str(FOLDER / "choice.py")],
    "Node.js": lambda: [program("node", "nodejs"), str(FOLDER / "choice.mjs")],
    "PHP": lambda: [program("php", "php-cli"), str(FOLDER / "choice.php")],
}
each_reader = pytest.mark.parametrize("reader", READERS)


def test_the_vectors_are_those_of_the_code() -> None:
    """Else: `python -m tests.support.choice_vectors > examples/read_choice/vectors.json`."""
    assert json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8")) == vectors()


def test_no_reader_takes_what_the_proxy_does_not() -> None:
    for case in vectors()["cases"]:
        tokens = {
            value.strip()
            for name, _, value in (pair.partition("=") for pair in case["cookie"].split(";"))
            if name.strip() == "__Host-consent"
        }
        found = None
        if len(tokens) == 1:
            found = PUBLISHED.verify(tokens.pop(), SITE, case["now"])
        if case["choice"] is not None:
            assert found is not None, case["name"]
            assert sorted(found.allowed) == case["choice"]["categories"]
            assert found.policy_version == VERSION


@each_reader
@pytest.mark.parametrize("arguments", [(), ("jwks.json",), ("jwks.json", SITE, VERSION, "60", "x")])
def test_a_wrong_call_is_told_the_usage(reader: str, arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [*READERS[reader](), *arguments],
        input="", capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    name = Path(READERS[reader]()[-1]).name
    usage = f"{name} JWKS SITE POLICY_VERSION [MAX_AGE]"
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ")
    assert usage in done.stderr
    assert len(done.stderr.splitlines()) == 1


@each_reader
def test_the_vectors(reader: str, tmp_path: Path) -> None:
    cases = vectors()["cases"]
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(vectors()["jwks"]))
    lines = "".join(json.dumps({"cookie": c["cookie"], "now": c["now"]}) + "\n" for c in cases)
    done = subprocess.run(
        [*READERS[reader](), str(jwks), SITE, VERSION],
        input=lines, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    wanted = {case["name"]: case["choice"] for case in cases}
    assert dict(zip(wanted, found, strict=True)) == wanted


class Reader:
    """A reader as a process: a line in, a line out."""

    def __init__(self, command: list[str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def read(self, cookie: str, name: str = "consent") -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"cookie": cookie, "name": name}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        assert self.process.stdout
        self.process.stdout.close()


def test_by_the_keys_of_a_running_proxy(tmp_path: Path) -> None:
    """One proxy for all three: its key is revoked, and a new one signs."""
    with running(tmp_path, workers=1) as (process, config, _, port):

        def choice() -> str:
            _, _, cookies = ask(
                port, "/.consent/choice", Sec_Fetch_Site="same-origin",
                Content_Type="application/x-www-form-urlencoded",
            )  # fmt: skip
            return cookies[0].partition(";")[0]

        # The site's host is the one that the proxy knows, whatever the address is called here.
        jwks = f"http://localhost:{port}/.consent/jwks.json"
        readers = [Reader(READERS[name](), jwks, "www", "2026-01-01", "0") for name in READERS]
        before = choice()
        # Within the signature: the last digit has bits that do not count.
        forged = before[:-10] + ("B" if before[-10] == "A" else "A") + before[-9:]
        for reader in readers:
            assert reader.read(before)["categories"], reader.process.args
            assert reader.read(forged) is None
        (old,) = (tmp_path / "keys").glob("*.pem")
        kid = old.stem.partition("-")[2]
        assert run("keys", "revoke", kid, "--config", config).exit_code == 0
        process.wait_for("config reloaded")
        # The worker may have read the folder before both steps of the command were done.
        end = time.monotonic() + PATIENCE
        while kid.encode() in ask(port, "/.consent/jwks.json")[1]:
            assert time.monotonic() < end, process.log
        after = choice()
        for reader in readers:
            assert reader.read(before) is None
            assert reader.read(after)["categories"]
        assert process.stop() == 0
        for reader in readers:  # the proxy is gone: what is known holds
            assert reader.read(after)["categories"]
            reader.close()


ALLOWS = [
    ("analytics", "", False, True), ("advertising", "", False, True), ("social", "", False, False),
    ("advertising", "", True, False), ("analytics", "", True, True),
    ("advertising", "meta-pixel", False, False), ("social", "youtube", False, True),
    ("social", "youtube", True, False), ("advertising", "other", False, True),
]  # fmt: skip

ASK = {
    "Python": "import json,sys;sys.path.insert(0,{folder!r});from choice import allows;"
    "print(json.dumps([allows(c,*a) for c,a in json.loads(sys.argv[1])]))",
    # The module is the second: as the first one it would take itself for what is run.
    "Node.js": "import(process.argv[2]).then(({{allows}})=>console.log(JSON.stringify("
    "JSON.parse(process.argv[1]).map(([c,a])=>allows(c,...a)))))",
    "PHP": "require $argv[1]; echo json_encode(array_map(fn($one)=>consent_allows($one[0],"
    "...$one[1]), json_decode($argv[2], true)));",
}


@each_reader
def test_what_a_choice_allows(reader: str) -> None:
    asked = json.dumps(
        [[SAYS, [c, v, gpc]] for c, v, gpc, _ in ALLOWS]
        + [[{**SAYS, "gpc": True}, ["advertising", "", True]], [None, ["analytics", "", False]]]
    )
    flag = {"Python": "-c", "Node.js": "-e", "PHP": "-r"}[reader]
    first = READERS[reader]()[0]
    code = ASK[reader].format(folder=str(FOLDER))
    path = {
        "Python": [],
        "Node.js": [str(FOLDER / "choice.mjs")],
        "PHP": [str(FOLDER / "choice.php")],
    }
    extra = ["--"] if reader == "PHP" else []
    given = [*path[reader], asked]
    done = subprocess.run(
        [first, flag, code, *extra, *(reversed(given) if reader == "Node.js" else given)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == [*(yes for *_, yes in ALLOWS), True, False]
