"""Match hosts, URLs, paths and scripts against patterns and vendors."""
