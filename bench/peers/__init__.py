"""What the other proxies run: a worker for workerd, an addon for mitmproxy."""
