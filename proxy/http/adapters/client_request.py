"""aiohttp's client request with header bytes as they were given."""

from __future__ import annotations

import asyncio

from aiohttp import ClientRequest, ClientResponse, ServerDisconnectedError, hdrs
from aiohttp.connector import Connection

from proxy.http.adapters.interim_connector import attach_interim
from proxy.http.adapters.writer import ExactWriter
from proxy.http.request_fields import authenticates_connection


class NotSentError(ServerDisconnectedError):
    """The reused connection was unusable before a byte of the request was written."""


class ExactRequest(ClientRequest):
    """A request to an upstream: written by an `ExactWriter`, target and headers as given.

    `reused` is set where it was last sent on a connection that had already served another one: only
    then can "the upstream closed the connection" mean "it never saw this request".
    """

    reused = False

    async def send(self, conn: Connection) -> ClientResponse:
        protocol = conn.protocol
        assert protocol is not None
        # The mark lives on the connection itself, so that it goes away with it.
        self.reused = getattr(protocol, "served_before", False)
        protocol.served_before = True  # type: ignore[attr-defined]
        if self.reused and protocol.should_close:
            # Bytes arrived while the connection was idle, such as the body of a response to HEAD.
            # They would be taken for the response to this request: another visitor's, perhaps.
            raise NotSentError("the upstream sent bytes without a request")

        given = self.headers.getall(hdrs.AUTHORIZATION, ())
        if any(map(authenticates_connection, given)):
            # Whatever follows on this connection would be answered in this visitor's name.
            protocol.force_close()

        attach_interim(protocol)
        writer = ExactWriter(protocol, self.loop)
        if self.chunked:
            writer.enable_chunking()
        await writer.write_headers(f"{self.method} {self.url.raw_path_qs} HTTP/1.1", self.headers)

        task: asyncio.Task[None] | None = None
        if self.body:
            task = asyncio.create_task(self.write_bytes(writer, conn, self._get_content_length()))
            self._writer = task
        else:
            protocol.start_timeout()
            writer.set_eof()
            if protocol.writing_paused:
                await writer.drain()

        return self.response_class(
            self.method,
            self.original_url,
            writer=task,
            continue100=None,
            timer=self._timer,
            request_info=self.request_info,
            traces=self._traces,
            loop=self.loop,
            session=self.session,
            stream_writer=writer,
        )
