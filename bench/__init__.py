"""What a request costs: measurements of the proxy, next to nginx in the same run."""
