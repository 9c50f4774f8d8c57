"""A hundred and fifty of the crowd in `credentials_crowd`; the whole of it is a run by module."""

from __future__ import annotations

from pathlib import Path

from tests.support.credentials_crowd import crowd


async def test_no_body_is_somebody_elses(tmp_path: Path) -> None:
    seen = await crowd(tmp_path, 150)
    assert seen["200"] > 100
    # It would prove little if nothing had come from memory, or the origin had never been away.
    assert seen["200 from memory"] > 10
    assert seen["502"] > 10
