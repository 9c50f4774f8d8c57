"""Words and punctuation of the messages for people."""

from __future__ import annotations

import re

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def quoted(text: str) -> str:
    """The text in double quotes, cut when long, safe on a terminal."""
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return '"' + CONTROL_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", shown) + '"'
