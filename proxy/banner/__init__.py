"""Our own markup and scripts: banner, placeholder, preferences, declaration."""
