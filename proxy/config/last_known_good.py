"""The last known good config, shared by the workers.

A worker that is restarted is forked from the parent, which only knows the config of its own start.
The file may be invalid by then, so the new worker loads the config that the others serve.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import sys
import tempfile

from consent_rules.config.load import Config
from proxy.cookies.preference_cookie import KeyRing
from proxy.server.certificates import Certificate

Secrets = tuple[KeyRing, tuple[Certificate, ...]]
"""The keys that sign choices, and the certificates for visitors with their keys."""


class LastGood:
    """A config, its signing keys and its certificates, in shared memory because the keys are
    secret. Created before the workers are forked.
    """

    def __init__(
        self,
        config: Config,
        keys: KeyRing,
        digest: bytes,
        certificates: tuple[Certificate, ...] = (),
    ) -> None:
        self._first: tuple[Config, Secrets] = config, (keys, certificates)
        self._digest = digest
        if sys.platform == "linux":
            self._descriptor = os.memfd_create("consent-proxy-config")
        else:
            with tempfile.TemporaryFile() as file:
                self._descriptor = os.dup(file.fileno())

    def publish(
        self,
        config: Config,
        keys: KeyRing,
        digest: bytes,
        certificates: tuple[Certificate, ...] = (),
    ) -> None:
        """Record that a worker now serves this config."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            if self._stored()[: len(digest)] == digest:
                return
            # Our own objects, never anybody's bytes.
            content = digest + pickle.dumps((config, (keys, certificates)))
            os.ftruncate(self._descriptor, 0)
            written = 0
            while written < len(content):
                written += os.pwrite(self._descriptor, content[written:], written)
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)

    def read(self) -> tuple[Config, Secrets, bytes]:
        """The config in force, its keys and certificates, and its digest."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_SH)
        try:
            stored = self._stored()
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        if not stored:
            return *self._first, self._digest
        size = len(self._digest)
        config, (keys, certificates) = pickle.loads(stored[size:])  # noqa: S301 - what `publish` wrote
        assert isinstance(config, Config)
        assert isinstance(keys, KeyRing)
        return config, (keys, certificates), stored[:size]

    def _stored(self) -> bytes:
        size = os.fstat(self._descriptor).st_size
        found = b""
        while len(found) < size:
            found += os.pread(self._descriptor, size - len(found), len(found))
        return found
