"""The span of a request, for the parts that forward it: without the library that makes it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL


class Attempt(Protocol):
    """One request to an upstream server."""

    def write(self, headers: CIMultiDict[str]) -> None:
        """Name it in the fields of that request (`traceparent`)."""

    def answered(self, status: int) -> None:
        """The response's head is there."""


class RequestTrace(Protocol):
    """A visitor's request."""

    def write(self, headers: CIMultiDict[str]) -> None:
        """Put its trace context into fields for the upstream, in place of the visitor's."""

    def attempt(self, method: str, server: URL) -> AbstractContextManager[Attempt]:
        """An attempt, for the block; what is raised in it is its failure."""


TRACE = web.RequestKey("trace", RequestTrace)
"""There while spans are made of a request."""
