"""Render a compiled page and a decision into a variant."""
