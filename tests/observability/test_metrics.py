"""`/metrics`: what the workers count, told by whichever of them is asked."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.observability.metrics import Metrics
from proxy.observability.prometheus import metrics_text
from tests.support.processes import ask, running
from tests.support.prometheus_text import Samples, samples, total
from tests.support.waiting import PATIENCE

pytestmark = pytest.mark.slow

VISITS = 12


def test_all_workers_are_told_of_together(tmp_path: Path) -> None:
    with running(tmp_path, workers=2) as (process, config, text, port):
        admin = int(text.partition('admin_listen = "127.0.0.1:')[2].partition('"')[0])

        def told_until(condition: Callable[[Samples], bool]) -> Samples:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    status, body, _ = ask(admin, "/metrics", Host="localhost")
                except OSError:  # it came to the worker that is killed below
                    continue
                found = samples(body)
                if status == 200 and condition(found):
                    return found
                assert time.monotonic() < end, body.decode()
                time.sleep(0.05)

        def starts_in(found: Samples) -> Samples:
            return {key: v for key, v in found.items() if key[0].startswith("worker_start")}

        # The first worker may have served before the second one begins.
        before = told_until(
            lambda found: total(found, "requests_total") >= 1 and len(starts_in(found)) == 2
        )
        starts = starts_in(before)
        pages = ("pages_total", ("marketing", "shown", "www"))
        for _ in range(VISITS):  # connections of their own: some for each worker
            assert ask(port)[0] == 200
        assert ask(port, "/", Host="stranger.example")[0] == 421
        wanted = before[pages] + VISITS
        # A response is counted once it is sent: the last one a moment after it was read here.
        found = told_until(
            lambda found: found[pages] == wanted and total(found, "requests_total") == wanted + 1
        )
        # Five resources of others on the page, none let through without a choice.
        assert found["gates_total", ("www", "closed")] == 5 * wanted
        assert found["gates_total", ("www", "open")] == 0
        assert found["request_seconds_bucket", ("+Inf", "www")] == wanted
        assert 0 < found["request_seconds_sum", ("www",)] < 60
        assert found["response_bytes_total", ("www",)] > 2000 * wanted
        by_status = {labels[2]: 0.0 for (name, labels) in found if name == "requests_total"}
        for (name, labels), value in found.items():
            if name == "requests_total":
                by_status[labels[2]] += value
        assert by_status == {"2xx": wanted, "4xx": 1}
        assert total(found, "config_last_reload_successful") == 2
        assert found["keys_made_total", ()] == 1  # the first one, by the parent of both

        # A bad config is seen from outside; a killed worker's counts are not lost.
        config.write_text("nonsense")
        process.process.send_signal(signal.SIGHUP)
        told_until(lambda found: total(found, "config_last_reload_successful") == 0)
        # Twice by a worker that saw the file change before the signal came.
        assert told_until(lambda f: total(f, "config_refusals_total") >= 2)[pages] == wanted
        children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        again = told_until(
            lambda found: any(found.get(key, value) != value for key, value in starts.items())
        )
        assert again[pages] == wanted
        assert again["keys_made_total", ()] == 1
        assert process.stop() == 0


def test_what_was_not_wholly_written_is_not_told() -> None:
    metrics = Metrics(2)
    metrics.begin(1)
    metrics.count("config_refusals")
    assert set(metrics.all_workers()) == {1}
    metrics._memory[256 * 1024 + 20] ^= 1
    assert metrics._read(1) is None
    assert b"consent_proxy_config_refusals_total 1.0" in metrics_text(metrics)


def test_too_much_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics(1)
    for number in range(20_000):
        metrics.count("requests", f"site-{number}", "2xx", "")
    metrics.publish()
    metrics.publish()
    assert metrics.all_workers() == {}
    assert caplog.text.count("no longer fit") == 1
