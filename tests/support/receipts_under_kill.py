"""Choices on two nodes while workers, forwarders and PostgreSQL are killed at random.

    python -m tests.support.receipts_under_kill 10000

Each reply that said yes must have its receipt, none may be there twice, and the log must verify,
also against every checkpoint that was taken on the way.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from proxy.receipts.opening import read_place
from proxy.receipts.outbox import open_outbox
from proxy.receipts.place import StorePlace
from proxy.receipts.reading import audit_store
from tests.support.postgresql import Server, postgresql
from tests.support.processes import Process, ask, running
from tests.support.receipt_clients import choose, workers_of
from tests.support.waiting import PATIENCE

CLIENTS = 32


@dataclass
class Outcome:
    """What happened, and what is wrong with it."""

    promised: list[str] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    checkpoints: list[str] = field(default_factory=list)
    kills: dict[str, int] = field(default_factory=lambda: {"worker": 0, "database": 0})
    late: int = 0
    problems: list[str] = field(default_factory=list)


def receipts_table(url: str, folder: Path) -> str:
    """The [receipts] of a node; the nodes have one log key."""
    return f'''
[receipts]
store = "{url}"
log_key = "{folder / "receipts.pem"}"
outbox = "outbox.db"
'''


def run(choices: int, folder: Path, *, kills: int, seed: int = 1) -> Outcome:
    """Make so many choices. At `kills` moments among them a worker, at each third one PostgreSQL is
    killed.
    """
    outcome, chance = Outcome(), random.Random(seed)
    with postgresql() as server, contextlib.ExitStack() as stack:
        url = server.new_database()
        nodes: list[tuple[Process, int]] = []
        for name in ("a", "b"):
            (folder / name).mkdir()
            more = receipts_table(url, folder)
            process, _, _, port = stack.enter_context(running(folder / name, 2, more=more))
            nodes.append((process, port))
        _choose_while_killing(choices, nodes, server, chance, kills, outcome)
        _wait_until_forwarded(folder, server)
        for process, _ in nodes:
            if process.stop() != 0:
                outcome.problems.append("a node did not end by itself")
        place = StorePlace(folder / "a/outbox.db", folder / "receipts.pem", "", url)
        _check(place, outcome)
    return outcome


def _choose_while_killing(
    choices: int,
    nodes: list[tuple[Process, int]],
    server: Server,
    chance: random.Random,
    kills: int,
    outcome: Outcome,
) -> None:
    todo = list(range(choices))
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                if not todo:
                    return
                number = todo.pop()
            action = "accept_all" if number % 3 else "reject_all"
            while True:
                at = time.monotonic()
                rid = choose(nodes[number % len(nodes)][1], action)
                if rid:
                    break
                time.sleep(0.1)  # until another worker listens
            with lock:
                outcome.promised.append(rid)
                outcome.latencies.append(time.monotonic() - at)

    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    for number, after in enumerate(sorted(chance.sample(range(choices * 9 // 10), kills))):
        while len(outcome.promised) < after:
            time.sleep(0.01)
        if number % 3 == 0:
            outcome.kills["database"] += 1
            server.kill()
            time.sleep(chance.uniform(0, 2))
            server.start()
        else:
            outcome.kills["worker"] += 1
            process, _ = chance.choice(nodes)
            with contextlib.suppress(OSError, IndexError):
                os.kill(chance.choice(workers_of(process.process.pid)), signal.SIGKILL)
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, body, _ = ask(chance.choice(nodes)[1], "/.consent/log/checkpoint")
            if status == 200:
                outcome.checkpoints.append(body.decode())
    for one in clients:
        one.join()


def _wait_until_forwarded(folder: Path, server: Server) -> None:
    end = time.monotonic() + 4 * PATIENCE
    server.wait()
    for name in ("a", "b"):
        outbox = open_outbox(folder / name / "outbox.db")
        while outbox.count():
            assert time.monotonic() < end, f"{outbox.count()} receipts still wait on node {name}"
            time.sleep(0.1)
        outbox.close()


def _check(place: StorePlace, outcome: Outcome) -> None:
    store = read_place(place)
    ids = [row[0] for row in store.rows("SELECT id FROM receipt", ())]
    promised = set(outcome.promised)
    if len(promised) != len(outcome.promised):
        outcome.problems.append("an id was promised twice")
    if lost := promised - set(ids):
        outcome.problems.append(f"{len(lost)} receipts are lost, such as {min(lost)}")
    if len(set(ids)) != len(ids):
        outcome.problems.append("a receipt is there twice")
    report = audit_store(store, [store.verifier], outcome.checkpoints)
    outcome.problems += [one.text for one in report.problems]
    if not report.size == report.receipts == len(ids):
        outcome.problems.append(f"{report.size} leaves, {report.receipts} receipts, {len(ids)} ids")
    outcome.late = report.late
    store.close()


def main(choices: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="receipts-"))
    begun = time.monotonic()
    try:
        outcome = run(choices, folder, kills=choices // 150)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    took = sorted(outcome.latencies)
    print(
        f"{len(outcome.promised)} choices in {time.monotonic() - begun:.0f} s, "
        f"{outcome.kills['worker']} kills of workers, {outcome.kills['database']} of PostgreSQL, "
        f"{len(outcome.checkpoints)} checkpoints taken, {outcome.late} receipts entered late; "
        f"a yes took {took[len(took) // 2] * 1000:.0f} ms (median), "
        f"{took[len(took) * 99 // 100] * 1000:.0f} ms (99 %), {took[-1] * 1000:.0f} ms (longest)"
    )
    print("\n".join(outcome.problems) or "good")
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
