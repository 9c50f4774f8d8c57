"""A lazy pattern is the compiled one, later."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from consent_rules.lazy_pattern import LazyPattern, lazy_pattern

ROOT = Path(__file__).parents[2]
_COMPILED_BY_THE_IMPORT = """
import sys
from consent_rules.lazy_pattern import LazyPattern
import proxy.service
found = [(module, name, "_compiled" in vars(value)) for module in list(sys.modules)
         if module.startswith(("proxy.", "consent_rules."))
         for name, value in vars(sys.modules[module]).items() if isinstance(value, LazyPattern)]
print(len(found), *(f"{module}:{name}" for module, name, is_compiled in found if is_compiled))
"""


@pytest.mark.parametrize("text", ["", "b", "aBb-b", "--"])
def test_does_what_the_compiled_pattern_does(text: str) -> None:
    compiled, lazy = (make("(?P<b>b)|-", re.IGNORECASE) for make in (re.compile, lazy_pattern))
    for _ in range(2):
        assert (lazy.pattern, lazy.flags, lazy.groups) == (compiled.pattern, compiled.flags, 1)
        assert lazy.findall(text, 1) == compiled.findall(text, 1)
        assert lazy.sub("x", text) == compiled.sub("x", text)
        assert [m.span("b") for m in lazy.finditer(text)] == [
            m.span("b") for m in compiled.finditer(text)
        ]
        assert bool(lazy.fullmatch(text)) is bool(compiled.fullmatch(text))


def test_a_faulty_pattern_is_an_error_of_its_first_use() -> None:
    faulty = lazy_pattern(b"(")
    for _ in range(2):
        with pytest.raises(re.error):
            faulty.search(b"")


def test_is_compiled_once() -> None:
    lazy = lazy_pattern("a")
    assert isinstance(lazy, LazyPattern)
    assert lazy.search("a")
    assert lazy.match("a")
    assert vars(lazy)["_compiled"] is lazy._compiled
    assert {"search", "match"} <= set(vars(lazy))


@pytest.mark.slow
def test_the_import_of_the_proxy_compiles_none() -> None:
    found = subprocess.run(
        [sys.executable, "-c", _COMPILED_BY_THE_IMPORT],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    number, *compiled = found.stdout.split()
    assert compiled == []
    assert int(number) > 100
