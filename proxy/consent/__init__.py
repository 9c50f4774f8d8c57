"""The consent endpoints: preferences, choice, state, keys, reports."""
