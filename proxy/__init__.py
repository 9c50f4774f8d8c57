"""The reverse proxy: I/O, pages, cookies, the cache, the command line."""

__version__ = "0.1.0"
