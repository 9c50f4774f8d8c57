"""Hashes of scripts as Subresource Integrity and CSP write them (`sha384-...`, base64)."""

from __future__ import annotations

import base64
import binascii
import hashlib

from consent_rules.wording import quoted

_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}


def normal_integrity(text: str) -> str:
    """An integrity attribute: one hash, or several with spaces between them.

    https://www.w3.org/TR/SRI/#the-integrity-attribute. Raises ValueError.
    """
    hashes = text.split()
    if not hashes:
        raise ValueError('it is empty; write the hash of the script, as in "sha384-..."')
    return " ".join(_normal(one) for one in hashes)


def normal_inline_hash(text: str) -> str:
    """`sha256-...`, as browsers name an inline script in a CSP report. Raises ValueError."""
    found = _normal(text.strip().strip("'"))
    if not found.startswith("sha256-"):
        raise ValueError(
            f'{quoted(text)}: inline scripts are known by "sha256-..."; "consent-proxy explain" '
            "shows it for each"
        )
    return found


def normal_file_hash(text: str) -> str:
    """The one hash of a file: `sha256-`, `sha384-` or `sha512-...`. Raises ValueError."""
    found = normal_integrity(text)
    if " " in found:
        raise ValueError("one hash only: the file has one content")
    return found


def matches(content: bytes, integrity: str) -> bool:
    """Whether bytes have the one hash that an integrity names."""
    return file_hash(content, integrity.partition("-")[0]) == integrity


def file_hash(content: bytes, name: str = "sha384") -> str:
    """The hash of a file, as an integrity attribute has it. `name`: sha256, sha384 or sha512."""
    digest = hashlib.new(name, content).digest()
    return f"{name}-{base64.b64encode(digest).decode('ascii')}"


def inline_hash(script: str) -> str:
    """The CSP hash of an inline script's text, of its UTF-8 (CSP 3, 6.7.3.3)."""
    return sha256_source(script.encode("utf-8", "replace"))


def sha256_source(content: bytes) -> str:
    """`sha256-...` of a script's or style's bytes: a hash-source of CSP without its quotes."""
    return f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode('ascii')}"


def _normal(text: str) -> str:
    name, dash, digest = text.partition("-")
    size = _SIZES.get(name.lower())
    if size is None or not dash:
        raise ValueError(
            f'{quoted(text)} is no hash of a script; write "sha384-" and the hash in base64'
        )
    # Browsers take both alphabets; the proxy compares texts, so there is one.
    plain = digest.replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size:
        raise ValueError(
            f"{quoted(text)} is not whole: {name.lower()} has {size} bytes, in base64 "
            f"{len(base64.b64encode(bytes(size)))} characters"
        )
    return f"{name.lower()}-{base64.b64encode(raw).decode('ascii')}"
