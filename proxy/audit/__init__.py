"""The audit: a browser visits the pages of a site in each state, and is watched."""
