"""The origin's response -> the visitor's response."""
