"""Metrics, access log, admin listener, discovered hosts, CSP reports."""
