"""Representation fields: what is removed when the bytes of a representation change.

RFC 9110, 8 (representation data and metadata) and 14 (ranges); RFC 9530 and its predecessors
(digests); RFC 9842 (dictionaries). Pure data, and functions on header fields.
"""

from __future__ import annotations

from multidict import CIMultiDict

DIGESTS = (
    "Content-MD5",  # RFC 1864
    "Digest",  # RFC 3230
    "Content-Digest",  # RFC 9530
    "Repr-Digest",
    "Unencoded-Digest",  # draft-ietf-httpbis-unencoded-digest; browsers refuse what differs
)
OF_CONTENT = ("Content-Length", "Content-Encoding", "Content-Range", *DIGESTS)
"""Fields that describe one body, byte for byte."""
VALIDATORS = ("ETag", "Last-Modified")
OF_BYTES = (*OF_CONTENT, *VALIDATORS, "Accept-Ranges", "Use-As-Dictionary")
"""Fields that are wrong once a body is rewritten."""
FRESHNESS = ("Expires", "Age", "Pragma")
"""Freshness fields beside Cache-Control: they describe the origin's bytes."""
OF_REPRESENTATION = (*OF_CONTENT, "Content-Type", "Content-Language")
"""Fields that a response without a representation, such as a 304, does not have (RFC
9110, 15.4.5).
"""


def remove_fields(headers: CIMultiDict[str], names: tuple[str, ...]) -> None:
    """Take fields out, each as often as it is there."""
    for name in names:
        headers.popall(name, None)


def remove_origin_metadata(headers: CIMultiDict[str]) -> None:
    """Remove the fields that describe the origin's bytes, for a response whose body is
    rewritten.
    """
    remove_fields(headers, OF_BYTES)


OWN_ETAG = '"cp-'
"""Prefix of the entity tags of rendered pages."""


def is_own_etag(value: str) -> bool:
    """Whether an If-None-Match holds an entity tag of the proxy, which no upstream knows."""
    return OWN_ETAG in value
