"""HTTP as values: targets, addresses, media types, content codings, forwarding rules."""
