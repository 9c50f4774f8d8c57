"""Subclasses of aiohttp's internals: the only users of its private names beside the server."""
