"""Time limits of an upstream exchange, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each but `connect`, `queue` and `total` restarts whenever a byte is transferred."""

    connect: float = 5.0
    queue: float = 10.0  # for a free connection, when the upstream's are all in use
    first_byte: float = 60.0
    idle: float = 60.0  # between two reads of the upstream's body; not for event streams
    body_idle: float = 30.0  # between two reads of the visitor's body
    write: float = 60.0  # for an upstream that does not read what is sent
    total: float = 0.0  # from the request to the end of the body; 0 is without a limit


DEFAULT_TIMEOUTS = Timeouts()
