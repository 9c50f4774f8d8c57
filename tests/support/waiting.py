"""How long a test waits for what must happen."""

PATIENCE = 30.0
"""Seconds. An upper bound for an event that a correct product causes: reached only where the event
never comes, however busy the machine is.
"""
