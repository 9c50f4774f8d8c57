"""Receipts under load, while workers are killed: each reply that said yes has its receipt."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from proxy.receipts.reading import audit_store
from proxy.receipts.store import read_store
from tests.support.commands import run
from tests.support.processes import ask, running
from tests.support.receipt_clients import choose, workers_of

pytestmark = pytest.mark.slow

CHOICES, CLIENTS, KILLED = 1_500, 32, 4
RECEIPTS = '\n[receipts]\nstore = "sqlite:///var/receipts.db"\n'


def test_each_yes_has_its_receipt_while_workers_are_killed(tmp_path: Path) -> None:
    todo, promised, notes = list(range(CHOICES)), [], []
    with running(tmp_path, workers=2, more=RECEIPTS) as (process, config, _, port):

        def client() -> None:
            while todo:
                with contextlib.suppress(IndexError):
                    number = todo.pop()
                    while not (rid := choose(port, "accept_all" if number % 2 else "reject_all")):
                        time.sleep(0.1)  # until another worker listens
                    promised.append(rid)

        clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
        for one in clients:
            one.start()
        chance = random.Random(1)
        for _ in range(KILLED):
            time.sleep(0.7)
            with contextlib.suppress(OSError, IndexError):
                os.kill(chance.choice(workers_of(process.process.pid)), signal.SIGKILL)
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, body, _ = ask(port, "/.consent/log/checkpoint")
                if status == 200:
                    notes.append(body.decode())
        for one in clients:
            one.join()
        assert process.stop() == 0

    assert len(promised) == CHOICES
    store = tmp_path / "var" / "receipts.db"
    with sqlite3.connect(store) as db:
        ids = [row[0] for row in db.execute("SELECT id FROM receipt")]
    assert len(set(promised)) == len(promised)
    assert set(promised) <= set(ids)
    assert notes
    # The log verifies, also against every checkpoint that was taken on the way.
    opened = read_store(store)
    report = audit_store(opened, [opened.verifier], notes)
    assert report.problems == ()
    assert report.size == report.receipts == len(ids)
    assert run("receipts", "verify", "--config", config).exit_code == 0
