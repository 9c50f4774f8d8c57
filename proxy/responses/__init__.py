"""Turn the origin's response into the visitor's response."""
