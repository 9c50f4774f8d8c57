"""The public suffix list (https://publicsuffix.org), for checks of hosts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

from publicsuffixlist import PublicSuffixList


@cache
def public_suffixes() -> PublicSuffixList:
    """The whole list; a name that is not on it has its last label as suffix."""
    return PublicSuffixList()


@cache
def known_suffixes() -> PublicSuffixList:
    """The list only: "localhost" and "internal" are not on it, and may have a star."""
    # Reading the file takes 40 ms, and what was read 2 MB.
    known = copy.copy(public_suffixes())
    known.accept_unknown = False
    return known


@cache
def icann_suffixes() -> PublicSuffixList:
    """The ICANN section: a vendor may own a private suffix ("*.hubspotpagebuilder.com")."""
    return PublicSuffixList(accept_unknown=False, only_icann=True)


def is_wide(host: str, suffixes: Callable[[], PublicSuffixList]) -> bool:
    """Whether a host pattern covers unrelated sites below a public suffix. `suffixes` are called
    only for a pattern: most configs have none, and need not read the list.
    """
    return host.startswith("*.") and bool(suffixes().is_public(host[2:].partition(":")[0]))
