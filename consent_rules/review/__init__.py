"""Explain a configuration, and a change to it, in sentences."""
