"""The import of aiohttp where the proxy runs."""

from __future__ import annotations

import os
import ssl


def import_aiohttp() -> None:
    """Import aiohttp before anything else does, without the system's certificates.

    With its connector it makes two TLS contexts, which read all of them: 20 ms and 2 MB of each
    worker. The proxy uses neither (`UpstreamPool`). Who did would connect to nobody: a context
    without certificates trusts none.
    """
    paths = ssl.get_default_verify_paths()
    names = (paths.openssl_cafile_env, paths.openssl_capath_env)
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, os.devnull))
    try:
        import aiohttp.connector  # noqa: F401
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
