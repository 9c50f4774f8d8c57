"""Parse dictionaries of structured fields (RFC 9651, 3.2), as strictly as browsers do.

Only the types of RFC 8941 are known: a browser that knows no dates takes a field with one for
malformed, and ignores all of it.
"""

from __future__ import annotations

from consent_rules.lazy_pattern import lazy_pattern

_KEY = r"[a-z*][a-z0-9_.*-]*"
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_NUMBER = r"-?(?:[0-9]{1,12}\.[0-9]{1,3}|[0-9]{1,15})"
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"  # noqa: S105 - RFC 9651's name
_BARE = rf"(?:{_STRING}|{_NUMBER}|{_TOKEN}|:[A-Za-z0-9+/=]*:|\?[01])"
_PARAMETERS = rf"(?:; *{_KEY}(?:={_BARE})?)*"
_ITEM = rf"{_BARE}{_PARAMETERS}"
_MEMBER = lazy_pattern(
    rf"({_KEY})(?:=(?:\( *((?:{_ITEM}(?: +{_ITEM})*)?) *\)|({_BARE})))?{_PARAMETERS}"
)
_LISTED = lazy_pattern(rf"({_BARE}){_PARAMETERS} *")
_COMMA = lazy_pattern(r"[ \t]*,[ \t]*")


def dictionary(field: str) -> dict[str, tuple[str, ...]] | None:
    """The members by key, the last of equal ones: an inner list as its items, anything else as one
    item, each as it is written and without parameters. A key alone is `?1`. None for a field that
    is malformed, which a recipient must ignore as a whole (RFC 9651, 4.2).
    """
    text = field.strip(" ")
    members: dict[str, tuple[str, ...]] = {}
    at = 0
    while at < len(text):
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        key, listed, bare = member.groups()
        items = (bare or "?1",) if listed is None else tuple(_LISTED.findall(listed))
        members[key] = items
        if (at := member.end()) == len(text):
            break
        comma = _COMMA.match(text, at)
        # Nothing may stand behind the last comma.
        if comma is None or (at := comma.end()) == len(text):
            return None
    return members
