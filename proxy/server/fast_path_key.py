"""The fast path's key of a request, made once."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web

from proxy.cache.fast_path import FastPath, FastPathKey
from proxy.server.connection import ProxyRequest


class _Made(NamedTuple):
    fast_path: FastPath
    key: FastPathKey | None


_MADE = web.RequestKey("fast_path_key", _Made)


def fast_path_key(request: web.BaseRequest, fast_path: FastPath) -> FastPathKey | None:
    """The key of a request; None where it takes the full path."""
    made: _Made | None = request.get(_MADE)
    if made is not None and made.fast_path is fast_path:
        return made.key
    if not isinstance(request, ProxyRequest):
        return None
    key = fast_path.key_of(request.message, request.remote or "", secure=request.secure)
    request[_MADE] = _Made(fast_path, key)
    return key
