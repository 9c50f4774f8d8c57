"""A billing company's site, its trackers played by stubs, and consent-proxy in front of it."""
