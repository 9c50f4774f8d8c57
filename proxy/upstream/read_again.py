"""The body of an upstream's response of which some was read, to be read from its beginning."""

from __future__ import annotations

from aiohttp.streams import StreamReader


class ReadAgain:
    """`begun`, then what is left of `content`."""

    __slots__ = ("_begun", "_content")

    def __init__(self, begun: bytes, content: StreamReader) -> None:
        self._begun = begun
        self._content = content

    def read_nowait(self) -> bytes:
        if self._begun:
            begun, self._begun = self._begun, b""
            return begun
        return self._content.read_nowait()

    def at_eof(self) -> bool:
        return not self._begun and self._content.at_eof()

    async def readany(self) -> bytes:
        return self.read_nowait() if self._begun else await self._content.readany()
