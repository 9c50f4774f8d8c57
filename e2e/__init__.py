"""consent-proxy in real Chromium, in front of the demo site."""
