"""Whether a value stands in a request: plain, percent-encoded, in base64 or hex, or hashed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import unquote_plus

_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_NAMES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}

_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_ESCAPED_CHARACTER = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_MAX_RUNS = 200
MIN_LENGTH = 5
"""Characters. A shorter value stands in any request by chance."""


def readings_of(text: str) -> tuple[str, ...]:
    """A text as sent, percent-decoded once and twice, its escapes decoded, and what its base64
    holds. The first is the text itself.
    """
    plain = [text]
    for _ in range(2):
        decoded = unquote_plus(plain[-1])
        if decoded == plain[-1]:
            break
        plain.append(decoded)
    if "\\" in text:
        plain += [_unescaped(one) for one in tuple(plain)]
    readings = dict.fromkeys(plain)
    for one in plain:
        readings |= dict.fromkeys(_in_base64(one))
    return tuple(readings)


def _unescaped(text: str) -> str:
    text = _ESCAPED_CHARACTER.sub(lambda found: chr(int(found[1] or found[2], 16)), text)
    return text.replace("\\/", "/")


def _in_base64(text: str) -> Iterator[str]:
    for number, found in enumerate(_BASE64_RUN.finditer(text)):
        if number >= _MAX_RUNS:
            return
        run = found[0].rstrip("=").replace("-", "+").replace("_", "/")
        try:
            decoded = base64.b64decode(run + "=" * (-len(run) % 4), validate=True).decode()
        except (binascii.Error, ValueError):
            continue
        if decoded.isprintable() or "\n" in decoded:
            yield decoded


@lru_cache(maxsize=1024)
def _spellings(value: str) -> tuple[str, ...]:
    """What vendors hash: as typed, and normalised (trimmed, lower case; a mail address of which
    dots and `+tag` are dropped; a number's digits).
    """
    lowered = value.strip().lower()
    found = dict.fromkeys((value, lowered))
    name, at, domain = lowered.partition("@")
    if at:
        found[f"{name.partition('+')[0].replace('.', '')}@{domain}"] = None
    digits = re.sub(r"\D", "", value)
    if len(digits) >= MIN_LENGTH and not at:
        found |= dict.fromkeys((digits, f"+{digits}"))
    return tuple(found)


@lru_cache(maxsize=1024)
def _digests(value: str) -> tuple[tuple[str, str], ...]:
    found = []
    for spelling in _spellings(value):
        for algorithm in _ALGORITHMS:
            digest = hashlib.new(algorithm, spelling.encode(), usedforsecurity=False).digest()
            coded = base64.b64encode(digest).decode().rstrip("=")
            found += [
                (digest.hex(), _NAMES[algorithm]),
                (coded.lower(), _NAMES[algorithm]),
                (coded.replace("+", "-").replace("/", "_").lower(), _NAMES[algorithm]),
            ]
    return tuple(found)


def encoding_of(value: str, readings: tuple[str, ...]) -> str:
    """How a value stands in a text, given the text's `readings_of`: "plain", "encoded", "hex" or
    the name of a hash ("SHA-256"); "" where it does not.
    """
    wanted = value.strip().lower()
    if len(wanted) < MIN_LENGTH:
        return ""
    for number, reading in enumerate(readings):
        if wanted in reading.lower():
            return "encoded" if number else "plain"
    lowered = [reading.lower() for reading in readings]
    if wanted.encode().hex() in lowered[0] or value.encode().hex() in lowered[0]:
        return "hex"
    for digest, name in _digests(value):
        if any(digest in reading for reading in lowered):
            return name
    return ""
