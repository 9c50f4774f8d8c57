"""The catalogue of known vendors."""
