"""The commands, one module a group. `proxy.cli` puts them together."""
