"""Memory that one page needed is there for the next, without a page fault."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_ROUNDS = 20
_CODE = f"""
import resource
from proxy.free_memory import give_back_free_memory, keep_free_memory

def rounds():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({_ROUNDS}):
        blocks = [b"x" * 120_000 for _ in range(10)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(rounds())
keep_free_memory()
rounds()
print(rounds())
give_back_free_memory()
print(rounds())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc alone")
def test_what_a_page_needed_is_kept_for_the_next() -> None:
    command = [sys.executable, "-c", _CODE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, kept, given_back = map(int, done.stdout.split())
    assert kept < _ROUNDS  # of 290 pages a round
    assert before > 20 * _ROUNDS
    assert 100 < given_back < 20 * _ROUNDS  # once, and then kept again
