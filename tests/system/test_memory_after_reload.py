"""What the caches of the last config had goes back to the system."""

from __future__ import annotations

import http.client
import signal
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.support.processes import Process, running
from tests.support.waiting import PATIENCE

PAGES = 1000
_WORDS = "".join(f"<p>Sentence {number} of a page.</p>\n" for number in range(700))
_MIB = 2**20


class _Origin(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body in one packet: else each waits for an acknowledgement

    def do_GET(self) -> None:
        body = f"<!doctype html><title>{self.path}</title>{_WORDS}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def _fill(port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    for number in range(PAGES):
        connection.request("GET", f"/{number}", headers={"Host": "www.example.com"})
        reply = connection.getresponse()
        assert reply.status == 200
        reply.read()
    connection.close()


def _own(process: Process) -> int:
    rollup = Path(f"/proc/{process.process.pid}/smaps_rollup").read_text()
    return int(rollup.partition("Anonymous:")[2].split()[0]) * 1024


def test_the_caches_of_the_last_config_are_given_back(tmp_path: Path) -> None:
    with running(tmp_path, 1, origin=_Origin) as (process, config, text, port):
        at_start = _own(process)
        _fill(port)
        filled = _own(process)
        assert filled > at_start + 50 * _MIB
        config.write_text(text.replace('version = "2026-01-01"', 'version = "2026-02-02"'))
        process.process.send_signal(signal.SIGHUP)
        process.wait_for("config reloaded from")
        end = time.monotonic() + PATIENCE
        # Beside them there is what was loaded and made with the first requests.
        while _own(process) > at_start + 40 * _MIB:
            assert time.monotonic() < end, f"{at_start}, {filled} with pages, {_own(process)} after"
            time.sleep(0.2)
        assert process.stop() == 0
