"""A proxy in processes of its own: `python -m tests.support.running PORT ORIGIN WORKERS`.

For what cannot be seen from within: memory, signals, crashes. GET /.pid tells the worker's pid,
GET /.crash ends it on the spot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from yarl import URL

from proxy.app import make_handler
from proxy.observability.access_log import AccessLog
from proxy.server.serve import Limits, Worker, run_workers, serve
from proxy.upstream.pool import UpstreamPool
from tests.support.forwarding import forwarding_runtime
from tests.support.guarded import guarded
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def main(port: int, origin_port: int, workers: int) -> int:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    reloads = 0
    runtime = forwarding_runtime(URL(f"http://127.0.0.1:{origin_port}"))

    async def work(worker: Worker) -> None:
        def reload() -> None:
            nonlocal reloads
            reloads += 1
            if reloads == 2:
                raise RuntimeError("a bad config")

        worker.on_reload = reload
        async with UpstreamPool() as requests:
            forward = make_handler(lambda: runtime, requests, requests)

            async def handler(request: web.BaseRequest) -> web.StreamResponse:
                if request.raw_path == "/.pid":
                    return web.json_response({"pid": os.getpid(), "reloads": reloads})
                if request.raw_path == "/.crash":
                    os.kill(os.getpid(), signal.SIGKILL)
                return await forward(request)

            log = AccessLog()
            await serve(
                handler,
                f"127.0.0.1:{port}",
                stop=worker.stop,
                ready=worker.ready,
                reuse_port=True,
                limits=Limits(grace=5, linger=0.5),
                access=log,
            )
            log.flush()

    return run_workers(work, workers, grace=8)


@contextlib.asynccontextmanager
async def running(
    origin_port: int, *, workers: int = 1, port: int | None = None
) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
    """Start this module and wait until it serves; (process, port)."""
    if port is None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
    command = [sys.executable, "-m", __name__, str(port), str(origin_port), str(workers)]
    process = subprocess.Popen(  # noqa: ASYNC220 - it takes no time
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with guarded(process):
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
            yield process, port
        finally:
            if process.poll() is None:
                process.terminate()
            await asyncio.to_thread(process.communicate, timeout=PATIENCE)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:4])))
