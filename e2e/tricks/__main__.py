"""`python -m e2e.tricks [WORD ...]`: what the tricks whose names hold a word do, as a table.

In Chromium, or in the engine that `ENGINE` names, which takes `scripts/loopback-only` in front.
"""

from __future__ import annotations

import sys

from e2e.engines.engines import chosen_engine
from e2e.tricks.measure import IN_CHROMIUM, IN_OTHERS, Measured, Setting, measure
from e2e.tricks.table import Trick, tricks


def _row(trick: Trick, engine: str, measured: Measured) -> str:
    cells = []
    for setting in measured.seen:
        seen = measured.seen[setting].get(trick.number)
        if seen is None:
            cells.append(f"{'':14}")
            continue
        what = f"{seen.connections}c {len(seen.requests)}r"
        cells.append(f"{what if seen.arrived else '-':9}{seen.outcome.status} {seen.own}")
    took = measured.of(trick, Setting.DIRECT).outcome.took
    inert, leaks = trick.is_inert(engine), trick.does_leak(engine)
    remark = "inert" if inert else "leaks" if leaks else "connects" if trick.connects else ""
    return f"{trick.label} {trick.id[:62]:62} {took:4.1f} s | {' | '.join(cells)} | {remark}"


def main(words: list[str]) -> None:
    chosen = [t for t in tricks() if not words or any(w in t.id for w in words)]
    engine = chosen_engine()
    settings = IN_CHROMIUM if engine.name == "chromium" else IN_OTHERS
    measured = measure(chosen, settings, engine)
    print(measured.version)
    print("columns:", "; ".join(measured.seen), "(connections, requests, status, own image)")
    for trick in chosen:
        print(_row(trick, engine.name, measured))


main(sys.argv[1:])
