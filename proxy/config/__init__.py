"""The configuration file on disk: read, watch, reload, fall back."""
