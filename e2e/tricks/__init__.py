"""Every way we know to reach a closed host, tried in real Chromium with and without the proxy."""
