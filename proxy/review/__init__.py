"""Offline views of a page: preview, explain, observe report."""
