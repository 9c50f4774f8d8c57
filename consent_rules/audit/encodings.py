"""Whether a value stands in a request: plain, percent-encoded, in base64 or hex, or hashed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_plus

_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_NAMES = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}

_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_ESCAPED_CHARACTER = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})")
_MAX_RUNS = 200
MIN_LENGTH = 5
"""Characters. A shorter value stands in any request by chance."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A text as sent, or, with `decoded`, what it holds."""

    text: str
    decoded: bool


def readings_of(*sent: str) -> tuple[Reading, ...]:
    """Each text as sent, percent-decoded once and twice, its escapes decoded, and what its base64
    holds.
    """
    found: dict[Reading, None] = {}
    for text in sent:
        first, *others = _readings(text)
        found[Reading(first, False)] = None
        found |= dict.fromkeys(Reading(other, True) for other in others)
    return tuple(found)


def _readings(text: str) -> tuple[str, ...]:
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
            digest = hashlib.new(
                algorithm, spelling.encode("utf-8", "replace"), usedforsecurity=False
            ).digest()
            coded = base64.b64encode(digest).decode().rstrip("=")
            found += [
                (digest.hex(), _NAMES[algorithm]),
                (coded.lower(), _NAMES[algorithm]),
                (coded.replace("+", "-").replace("/", "_").lower(), _NAMES[algorithm]),
            ]
    return tuple(found)


def encoding_of(value: str, readings: Iterable[Reading]) -> str:
    """How a value stands in what was sent: "plain", "encoded", "hex" or the name of a hash
    ("SHA-256"); "" where it does not.
    """
    wanted = value.strip().lower()
    if len(wanted) < MIN_LENGTH:
        return ""
    lowered = [(reading.text.lower(), reading.decoded) for reading in readings]
    for text, decoded in lowered:
        if wanted in text:
            return "encoded" if decoded else "plain"
    spelled = (wanted.encode("utf-8", "replace").hex(), value.encode("utf-8", "replace").hex())
    for text, _ in lowered:
        if any(one in text for one in spelled):
            return "hex"
    for digest, name in _digests(value):
        if any(digest in text for text, _ in lowered):
            return name
    return ""
