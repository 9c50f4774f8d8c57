"""TOML source text: key positions, edits, syntax errors."""
