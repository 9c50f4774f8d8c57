"""The last good config, shared by the workers.

A worker that died is started again from the parent, which knows the config of its own start only.
The file may have a fault by then: the new worker takes what the others serve by.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import sys
import tempfile

from consent_rules.config.load import Config
from proxy.cookies.preference_cookie import KeyRing


class LastGood:
    """A config and its signing keys. Made before the workers part ways; it lies in memory, for it
    holds secrets.
    """

    def __init__(self, config: Config, keys: KeyRing, digest: bytes) -> None:
        self._first = config, keys
        self._digest = digest
        if sys.platform == "linux":
            self._descriptor = os.memfd_create("consent-proxy-config")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())

    def keep(self, config: Config, keys: KeyRing, digest: bytes) -> None:
        """Say that a worker serves by this config now."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            if self._stored()[: len(digest)] == digest:
                return
            # Our own objects, never anybody's bytes.
            content = digest + pickle.dumps((config, keys))
            os.ftruncate(self._descriptor, 0)
            written = 0
            while written < len(content):
                written += os.pwrite(self._descriptor, content[written:], written)
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def take(self) -> tuple[Config, KeyRing, bytes]:
        """The config in force, its keys, and its digest."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_SH)
        try:
            stored = self._stored()
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        if not stored:
            return *self._first, self._digest
        size = len(self._digest)
        config, keys = pickle.loads(stored[size:])  # noqa: S301 - what `keep` wrote
        assert isinstance(config, Config)
        assert isinstance(keys, KeyRing)
        return config, keys, stored[:size]

    def _stored(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        found = b""
        while len(found) < size:
            found += os.pread(self._descriptor, size - len(found), len(found))
        return found
