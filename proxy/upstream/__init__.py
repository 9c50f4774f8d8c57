"""Connections and requests to the origin server."""
