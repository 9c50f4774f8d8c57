"""The table of wrong configs: the right line, the right words, nothing missed, nothing made up."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import pytest

from consent_rules.config.load import ConfigError, format_problem, load_config
from consent_rules.vendors import Vendor
from proxy.banner.texts import known_texts
from tests.support.config_cases import CONFIG_CASES, Case

TODAY = datetime.date(2026, 12, 1)


def test_the_table_is_large_enough() -> None:
    wrong = [case for case in CONFIG_CASES if any(e.severity == "error" for e in case.expected)]
    assert len(wrong) >= 60
    assert all(case.expected for case in CONFIG_CASES)


@pytest.mark.parametrize("case", CONFIG_CASES, ids=lambda case: case.name)
def test_every_mistake_is_told_where_it_stands(case: Case, catalogue: Mapping[str, Vendor]) -> None:
    try:
        problems = load_config(
            case.text, "c.toml", today=TODAY, catalogue=catalogue, texts=known_texts()
        ).problems
        refused = False
    except ConfigError as error:
        problems, refused = error.problems, True
    said = "\n".join(format_problem(problem, "c.toml") for problem in problems)
    unmet = list(case.expected)
    for problem in problems:
        met = next((expected for expected in unmet if expected.is_met_by(problem)), None)
        assert met is not None, f"not expected: {problem}\n\nall that is said:\n{said}"
        unmet.remove(met)
    assert not unmet, f"not said: {unmet}\n\nall that is said:\n{said}"
    assert refused == any(expected.severity == "error" for expected in case.expected)
    assert list(problems) == sorted(problems, key=lambda problem: (problem.line, problem.column))


@pytest.mark.parametrize(("listen", "upstream"), [
    ("127.0.0.1:9000", "http://127.0.0.1:9002"),
    ("0.0.0.0:80", "http://127.0.0.1:8000"),
    ("127.0.0.1:9000", "https://10.0.0.5:9000"),
    ("10.0.0.4:9000", "https://10.0.0.5:9000"),
    ("127.0.0.1:443", "https://origin.example.net"),
    ("0.0.0.0:443", "https://origin.example.net"),
    ("unix:/run/consent-proxy.sock", "http://127.0.0.1:9000"),
])  # fmt: skip
def test_an_upstream_that_is_another_server(
    listen: str, upstream: str, catalogue: Mapping[str, Vendor]
) -> None:
    text = (
        f'[proxy]\nlisten = "{listen}"\n[policy]\ncontroller = "Acme"\nversion = "1"\n'
        'url = "/privacy"\n[[site]]\nname = "www"\nhosts = ["www.example.com"]\n'
        f'upstream = "{upstream}"\naudience = "marketing"\n'
    )
    load_config(text, "c.toml", today=TODAY, catalogue=catalogue)
