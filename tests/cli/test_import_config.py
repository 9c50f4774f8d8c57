"""`import`: other tools' files become config that passes the check; no file gives a traceback."""

from __future__ import annotations

import contextlib
import json
import time
import tomllib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent_rules.catalogue.load import catalogue
from consent_rules.importers.convert import as_config, read_foreign_config
from consent_rules.importers.js_literals import UNREADABLE, Regex, objects_in
from consent_rules.importers.service import NothingToImportError, Tool, category_of
from tests.support.commands import run
from tests.support.tags_config import CONFIG, TODAY

pytestmark = pytest.mark.slow

FOREIGN = Path(__file__).parent / "foreign"
EXPECTED = {
    Tool.KLARO: {"googleAnalytics": "google-analytics", "matomo": "matomo", "our-chat": ""},
    Tool.COOKIECONSENT: {"analytics": "google-analytics", "facebookPixel": "meta-pixel"},
    Tool.TARTEAUCITRON: {
        "gtag": "google-analytics",
        "youtube": "youtube",
        "facebookpixel": "meta-pixel",
        "smalltool": "",
    },
}


@pytest.mark.parametrize("tool", list(Tool))
def test_what_is_found(tool: Tool) -> None:
    found = read_foreign_config((FOREIGN / f"{tool}.js").read_text(), tool, catalogue())
    assert {service.name: service.vendor for service in found.services} == EXPECTED[tool]
    assert found.left_out


REAL = tomllib.loads((FOREIGN / "real.toml").read_text())["case"]


@pytest.mark.parametrize("case", REAL, ids=lambda case: case["name"])
def test_what_sites_really_have(case: dict[str, Any]) -> None:
    done = run("import", "-", "--from", case["tool"], "--json", stdin=case["source"].encode())
    result = json.loads(done.stdout)
    assert sorted(one["vendor"] for one in result["services"]) == case["vendors"], done.stdout
    assert done.exit_code == (0 if case["vendors"] else 1)
    if not case["vendors"]:
        assert "consent-proxy explain" in done.stderr
        assert "consent-proxy discovered" in done.stderr
        plain = run("import", "-", "--from", case["tool"], stdin=case["source"].encode())
        assert "names no vendor" in plain.stdout


@pytest.mark.parametrize(("word", "category"), [
    ("Statistics", "analytics"), ("analytics_cookies", "analytics"), ("Statistiken", "analytics"),
    ("measurement", "analytics"), ("targeting", "advertising"),
    ("Marketing-Cookies", "advertising"),
    ("strictly_necessary", "necessary"), ("required", "necessary"), ("preferences", "functional"),
    ("personalization", "functional"), ("external media", "functional"), ("social media", "social"),
    ("publicit\u00e9", "advertising"), ("weather", None),
])  # fmt: skip
def test_what_tools_and_sites_call_the_categories(word: str, category: str | None) -> None:
    assert category_of(word) == category


@pytest.mark.parametrize("expression", [r"(\w+)+!", r"(_|_|\w)*!", r"\w*\w*\w*\w*\w*\w*\w*\w*!"])
def test_an_expression_that_would_take_for_ever_is_left_out(expression: str) -> None:
    cookies = f"cookies: [{{name: /{expression}/}}]"
    source = f"CookieConsent.run({{categories: {{analytics: {{autoClear: {{{cookies}}}}}}}}})"
    began = time.monotonic()
    found = read_foreign_config(source, Tool.COOKIECONSENT, catalogue())
    assert time.monotonic() - began < 20
    assert expression in "".join(found.left_out)


def test_what_is_left_out_is_said() -> None:
    told = json.loads(run("import", FOREIGN / "klaro.js", "--from", "klaro", "--json").stdout)
    said = "\n".join(told["left_out"])
    for words in ("(callback)", "/[a-z]+x/", '"our-chat" is required', "translations"):
        assert words in said
    assert "/^_ga_.*/" not in said
    assert told["services"][0]["cookies"] == ["_ga*", "_ga_*", "_gid"]


@pytest.mark.parametrize("tool", list(Tool))
def test_it_passes_the_check_once_somebody_approves(tmp_path: Path, tool: Tool) -> None:
    file = FOREIGN / f"{tool}.js"
    without = run("import", file, "--from", tool)
    assert without.exit_code == 0
    assert "tag" not in tomllib.loads(without.stdout), "nothing is approved by pasting"
    done = run("import", file, "--from", tool, "--site", "shop", "--approved-by", "jane@x.example")
    config = tmp_path / "c.toml"
    config.write_text(CONFIG + done.stdout)
    assert run("check", config).exit_code == 0
    vendors = [tag["vendor"] for tag in tomllib.loads(done.stdout)["tag"]]
    assert vendors == list(dict.fromkeys(v for v in EXPECTED[tool].values() if v))


def test_the_header_says_what_to_do_with_it(tmp_path: Path) -> None:
    file = FOREIGN / "klaro.js"
    without = run("import", file, "--from", "klaro").stdout
    assert "Every line is commented out" in without[:300]
    assert all(not line or line.startswith("#") for line in without.splitlines())
    live = run("import", file, "--from", "klaro", "--approved-by", "jane@x.example").stdout
    assert "commented out: nothing" not in live
    assert "The tags count as soon as they stand in your config" in live[:300]


def test_it_knows_the_config(tmp_path: Path) -> None:
    """Its sites, its own vendors, and what is approved already."""
    config = tmp_path / "c.toml"
    config.write_text(CONFIG)
    file = FOREIGN / "klaro.js"
    done = run("import", file, "--from", "klaro", "-c", config, "--approved-by", "jane@x.example")
    assert (done.exit_code, "--site is missing" in done.stderr) == (2, True)
    done = run("import", file, "--from", "klaro", "-c", config, "--site", "wwww")
    assert (done.exit_code, "did you mean" in done.stderr) == (2, True)
    given = ("--from", "klaro", "-c", config, "--site", "www", "--approved-by", "jane@x.example")
    done = run("import", file, *given)
    assert done.exit_code == 0, done.output
    assert "# matomo has a tag on www already" in done.stdout
    assert [tag["vendor"] for tag in tomllib.loads(done.stdout)["tag"]] == ["google-analytics"]


def test_files_of_another_tool_and_none() -> None:
    done = run("import", FOREIGN / "klaro.js", "--from", "tarteaucitron")
    assert (done.exit_code, "no tarteaucitron.init" in done.stderr) == (1, True)
    assert run("import", "missing.js", "--from", "klaro").exit_code == 2
    assert run("import", FOREIGN / "klaro.js", "--from", "nothing").exit_code == 2
    assert run("import", FOREIGN / "klaro.js").exit_code == 2
    done = run("import", "-", "--from", "klaro", stdin=b'{"services": [{"name": "matomo"}]}')
    assert "matomo" in done.stdout


def test_literals() -> None:
    (found,) = objects_in(
        "export default {a: 'x\\u0041\\n', \"b\": [1, -2, 3.5, , true, null], c: /^a\\/b/g, "
        "d() {}, e: `t`, f: `${x}`, [g]: 1, ...h, i, 'j': {k: function () {}}}"
    )
    assert found["a"] == "xA\n"
    assert found["c"] == Regex("^a\\/b")
    assert found["e"] == "t"
    assert found["d"] is found["f"] is found["j"]["k"] is UNREADABLE
    assert "g" not in found


COSTLY = {
    "a chain of calls": "a" + "()" * 60_000,
    "lists": "[" * 100_000,
    "objects": "services = " + "{a:" * 50_000,
    "calls": "f(" * 80_000,
    "templates": "`${" * 50_000,
    "functions": "function f(){" * 20_000,
    "a number": "{services: [" + "9" * 400_000 + "]}",
    "an assignment": "tarteaucitron.user.x = " + "a = " * 50_000 + "1",
}


@pytest.mark.parametrize("tool", list(Tool))
@pytest.mark.parametrize("kind", COSTLY)
def test_no_file_costs_much(tool: Tool, kind: str) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(NothingToImportError):
            read_foreign_config(COSTLY[kind], tool, catalogue())
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("tool", list(Tool))
def test_a_file_that_is_too_large_is_refused(tmp_path: Path, tool: Tool) -> None:
    file = tmp_path / "bundle.js"
    file.write_text((FOREIGN / f"{tool}.js").read_text() + "//" + "x" * 1_000_000)
    for done in (
        run("import", file, "--from", tool),
        run("import", "/dev/zero", "--from", tool),
        run("import", "-", "--from", tool, stdin=b"[" * 5_000_000),
    ):
        assert done.exit_code == 1
        assert "larger than" in done.stderr


@given(st.binary(max_size=80), st.sampled_from(list(Tool)), st.integers(0, 1500))
@settings(max_examples=150, deadline=None)
def test_no_file_gives_a_traceback(noise: bytes, tool: Tool, cut: int) -> None:
    content = (FOREIGN / f"{tool}.js").read_bytes()
    source = (content[:cut] + noise + content[cut + len(noise) :]).decode("utf-8", "replace")
    try:
        found = read_foreign_config(source, tool, catalogue())
    except NothingToImportError:
        return
    text = as_config(
        found, catalogue(), site="www", approved_by="x", today=TODAY, expires=TODAY.replace(day=1)
    )
    tomllib.loads(text)
