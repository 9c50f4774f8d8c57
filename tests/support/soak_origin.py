"""The origin of the soak test: what it sends follows from the address alone, so that whoever asks
knows what must come back; on demand it is as faulty as servers are.
"""

from __future__ import annotations

import hashlib
import random
import time
from http.server import BaseHTTPRequestHandler

PIXEL = b"https://www.facebook.com/tr?id=1"
_FILLING = b"<p>A sentence of a page that is long enough to be compressed.</p>\n" * 40


def file_body(number: int) -> bytes:
    """The script at /file/NUMBER."""
    return b"".join(b"const v%d_%d = %d;\n" % (number, line, line * number) for line in range(200))


def page_marker(path: str) -> bytes:
    """What the page at `path` says, and no other page."""
    return b"page [%b]" % path.encode()


def _page(path: str) -> bytes:
    return (
        b'<!doctype html><html lang="en"><head><title>Soak</title>'
        b'<script src="https://connect.facebook.net/en_US/fbevents.js"></script></head><body><h1>'
        + page_marker(path) + b"</h1>" + _FILLING
        + b'<img src="' + PIXEL + b'" width="1" height="1" alt=""></body></html>'
    )  # fmt: skip


class Faults:
    """Whether the origin is faulty now. `since` and `until` say when it was so last."""

    def __init__(self) -> None:
        self.now = False
        self.until = 0.0

    def end(self) -> None:
        self.now, self.until = False, time.monotonic()

    def overlap(self, began: float) -> bool:
        """Whether the origin was faulty at any time since `began`."""
        return self.now or self.until >= began


def origin_of(faults: Faults) -> type[BaseHTTPRequestHandler]:
    """A handler that is faulty while `faults` says so."""

    class SoakOrigin(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def do_GET(self) -> None:
            if faults.now and self._fail():
                return
            path = self.path.partition("?")[0]
            if self.headers.get("Upgrade"):
                self._echo()
            elif path.startswith("/file/"):
                number = int(path.rpartition("/")[2])
                self._send(file_body(number), "text/javascript", "max-age=60")
            elif path == "/events":
                self._events()
            elif path.startswith("/private/"):
                self._send(_page(self.path), "text/html", "no-store")
            else:
                self._send(_page(path), "text/html", "max-age=2")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if faults.now and self._fail():
                return
            self._send(hashlib.sha256(body).hexdigest().encode(), "text/plain", "no-store")

        def _send(self, body: bytes, kind: str, cache_control: str) -> None:
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == etag:
                self.send_response(304)
                self.send_header("ETag", etag)
                self.end_headers()
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", cache_control)
            self.send_header("ETag", etag)
            self.send_header("Set-Cookie", "_fbp=fb.1.2.3; Path=/")
            self.end_headers()
            self.wfile.write(body)

        def _events(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            for number in range(5):
                self.wfile.write(b"data: %d\n\n" % number)
                self.wfile.flush()
                time.sleep(0.02)
            self.close_connection = True

        def _echo(self) -> None:
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            self.wfile.flush()
            while data := self.connection.recv(4096):
                self.connection.sendall(data)
            self.close_connection = True

        def _fail(self) -> bool:
            """Fail in one of the ways of servers; False where this time all is well."""
            way = random.randrange(5)
            if way == 0:
                self.close_connection = True  # not a byte
            elif way == 1:
                self.send_response(200)  # half of what was promised
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(_page("/half"))
                self.close_connection = True
            elif way == 2:
                self.send_error(503)
            elif way == 3:
                self.wfile.write(b"this is not HTTP\r\n\r\n")
                self.close_connection = True
            else:
                time.sleep(0.5)
                return False
            return True

        def log_message(self, *_: object) -> None:
            return

    return SoakOrigin
