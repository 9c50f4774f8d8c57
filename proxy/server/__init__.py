"""Listeners, connections, request validation, worker processes."""
