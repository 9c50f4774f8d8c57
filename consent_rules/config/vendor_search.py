"""Find a vendor by a search term: "Google Maps", "gtm", "facebook", "G-ABC123",
`fbq`, `_fbp`, an address, a whole `<script>`.
"""

from __future__ import annotations

import difflib
import html
import re
from collections.abc import Iterator, Mapping

from consent_rules.catalogue.load import consent_platforms
from consent_rules.categories import Category
from consent_rules.lazy_pattern import lazy_pattern
from consent_rules.matching.hosts import host_covers
from consent_rules.matching.urls import resolve
from consent_rules.matching.vendor_index import VendorIndex
from consent_rules.vendors import Vendor

_MAX_COUNT = 3
_SURE = 0.85
_MAYBE = 0.6
_STEM = 4
"""Letters from which on the beginning of a word counts ("insta")."""
_USUAL = {Category.ANALYTICS: 0, Category.ADVERTISING: 1, Category.SESSION_REPLAY: 2}
"""What marketing mostly adds comes first."""
_VAGUE = frozenset({"com", "net", "org", "www", "cdn", "tag", "js", "io", "the", "inc", "llc"})


_MAX_TEXT = 20_000
"""Characters of pasted code that are looked at."""

# How vendors' own instructions put their customers' ids to use.
_CUSTOMER_IDS = (
    (lazy_pattern(r"GTM-[A-Z0-9]+", re.IGNORECASE), "https://www.googletagmanager.com/gtm.js?id={}"),
    (lazy_pattern(r"(?:AW|DC)-[\w/+-]+", re.IGNORECASE), "gtag('config', '{}')"),
    (lazy_pattern(r"GT?-[A-Z0-9]{4,}", re.IGNORECASE), "gtag('config', '{}')"),
    (lazy_pattern(r"UA-\d+(?:-\d+)?", re.IGNORECASE), "ga('create', '{}', 'auto')"),
    (lazy_pattern(r"ca-(?:pub|video-pub)-\d+", re.IGNORECASE),
     "https://pagead2.googlesyndication.com/pagead/js/adsbygoogle.js?client={}"),
)  # fmt: skip
_OTHER_NAMES = {
    "adwords": "google-ads",
    "googleadwords": "google-ads",
    "universalanalytics": "google-analytics",
    "bingads": "microsoft-ads",
    "facebookads": "meta-pixel",
    "metaads": "meta-pixel",
}
_TAG_MANAGER, _CONSENT_PLATFORM = "tag manager", "consent platform"
_KINDS = {
    # What a vendor shows on a page (`embed`).
    "chat": "chat, live chat, messenger, helpdesk, chatbot",
    "calendar": "calendar, booking, appointment, scheduling",
    "map": "map",
    "video": "video, video player",
    "audio": "audio, podcast, music",
    "form": "form, survey",
    "captcha": "captcha, spam protection",
    # Categories.
    Category.ANALYTICS: "analytics, statistic, web analytics, visitor statistics",
    Category.ADVERTISING: "advertising, ad, advert, retargeting, remarketing, conversion tracking",
    Category.SESSION_REPLAY: "session replay, session recording, visit recording, recording, "
    "heat map",
    Category.SOCIAL: "social, social media, social network, post, feed",
    _TAG_MANAGER: "tag manager, tag management",
    _CONSENT_PLATFORM: "consent, consent platform, consent manager, cmp, cookie banner, "
    "cookie consent",
}
_KIND_OF = {
    word.replace(" ", ""): kind for kind, words in _KINDS.items() for word in words.split(", ")
}
"""What people call kinds of vendors, without blanks and in the singular."""
_ADDRESS = lazy_pattern(r"(?:https?:)?//[^\s\"'<>`\\)]+", re.IGNORECASE)
_HOST = lazy_pattern(r"(?:[a-z0-9-]+\.)+[a-z]{2,}(?:/\S*)?", re.IGNORECASE)
_BARE_HOST = lazy_pattern(r"(?:[a-z0-9-]+\.)+[a-z]{2,}", re.IGNORECASE)
_CODE = lazy_pattern(r"[<>(){};]|//")
_FUNCTION = lazy_pattern(
    r"(?:window\.)?([\w$]+)(?:\s*[(=\[]|\.(?:push|init|load|track|identify|q)\b)"
)
_CALL = lazy_pattern(r"[A-Za-z_$][\w$]*")


def sure_vendor(text: str, vendors: Mapping[str, Vendor]) -> str | None:
    """The one vendor that a text can only mean: by id or name, by a word that no other one's name
    has, or by the rules that know it on a page. None where a person must say which.
    """
    if text in vendors:
        return text
    words = _words(text[:100])
    form = "".join(words)
    by_id = [id_ for id_ in vendors if _form(id_) == form]
    found = by_id or _by_rules(text[:_MAX_TEXT], words, vendors)
    if not found and len(words) > 1:
        found = _same(text, words, vendors)
    elif not found and words:  # a company's name may mean any of its services
        found = [v.id for v in vendors.values() if _is_of(v, words[0])]
    return found[0] if len(found) == 1 else None


def closest_vendors(word: str, vendors: Mapping[str, Vendor]) -> tuple[str, ...]:
    """Ids of the vendors closest to a search term, the best first; at most three."""
    return tuple(find_vendors(word, vendors)[:_MAX_COUNT])


def find_vendors(text: str, vendors: Mapping[str, Vendor]) -> list[str]:
    """Ids of all vendors that a text may mean, the best first."""
    words = _words(text[:100])
    if not words and not _CODE.search(text):
        return []
    kind = _of_kind(words, vendors)
    for search in (_same, _by_rules, _holding, _close, _by_words, _initials, _fuzzy):
        found = search(text[:_MAX_TEXT], words, vendors) if search is not _fuzzy or not kind else []
        if found:
            return list(dict.fromkeys([*found, *kind]))
    return kind


def _of_kind(words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """All vendors of the kind that the words name: "chat", "heat map", "cookie banner"."""
    form = "".join(words)
    kind = _KIND_OF.get(form) or _KIND_OF.get(form.removesuffix("s"), "")
    if kind == _TAG_MANAGER:
        return [v.id for v in vendors.values() if v.is_tag_manager]
    if kind == _CONSENT_PLATFORM:
        return [id_ for id_ in vendors if id_ in consent_platforms()]
    return [v.id for v in vendors.values() if kind and kind in (v.embed, v.category)]


def _by_rules(text: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """By what the rules know on a page: addresses, code, functions, cookies, customers' ids."""
    text = text.strip().strip("\"'`")
    named = _OTHER_NAMES.get("".join(words), "")
    if named in vendors:
        return [named]
    if _CALL.fullmatch(text):
        if any(text.casefold() in _words(f"{v.id} {v.name}") for v in vendors.values()):
            return []  # `analytics` is a function of Segment's, and not what is meant
        called = [v.id for v in vendors.values() if text in v.globals]
        called = called or [v.id for v in vendors.values() if _calls(v, text)]
        set_by = [v.id for v in vendors.values() if any(_is_cookie(p, text) for p in v.cookies)]
        return _by_use((called or set_by), vendors)
    if _BARE_HOST.fullmatch(text):
        return _by_use([v.id for v in vendors.values() if _has_host(v, text.lower())], vendors)
    index: VendorIndex | None = None
    found: dict[str, None] = {}
    for one in _on_a_page(text):
        index = index or VendorIndex(vendors.values())
        if _ADDRESS.fullmatch(one):
            target = resolve(one, "https://example.com/")
            vendor = index.vendor_of_url(target.host, target.port, target.path) if target else None
            found |= {vendor.id: None} if vendor else {}
        else:
            found |= dict.fromkeys(index.vendors_of_text(one))
    if len(found) > 1 and "gtag('config', 'AW-" in _as_code(text) + text:
        found.pop("google-analytics", None)  # whose library every product of Google's has
    return list(found)


def _on_a_page(text: str) -> Iterator[str]:
    """What a text would be on a page: addresses, then code."""
    as_code = _as_code(text)
    if as_code:
        yield as_code
        return
    text = html.unescape(text)
    if _HOST.fullmatch(text):
        yield f"https://{text}"
    yield from _ADDRESS.findall(text)
    if _CODE.search(text):
        yield text


def _as_code(text: str) -> str:
    for pattern, code in _CUSTOMER_IDS:
        if pattern.fullmatch(text):
            return code.format(text.upper() if not text.startswith("ca-") else text)
    return ""


def _has_host(vendor: Vendor, host: str) -> bool:
    known = (*vendor.hosts, *(path.partition("/")[0] for path in vendor.paths))
    return any(one and host_covers(one, host) for one in known)


def _calls(vendor: Vendor, name: str) -> bool:
    """Whether code by which a vendor is known begins with this name: `hj(`, `_paq.push`."""
    known = (_FUNCTION.match(text) for text in vendor.inline)
    return any(found is not None and found[1] == name for found in known)


def _is_cookie(pattern: str, word: str) -> bool:
    glob = ".*".join(map(re.escape, pattern.split("*")))
    return bool(pattern.strip("*_-")) and re.fullmatch(glob, word, re.IGNORECASE) is not None


def _by_use(found: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    every = dict.fromkeys(found)
    return sorted(every, key=lambda id_: _USUAL.get(vendors[id_].category, len(_USUAL)))


def _holding(text: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """Who has every word in id, name, company, hosts or paths; who is named so comes first."""
    wanted = text[:100].casefold().split()
    if not wanted or max(map(len, wanted)) < _STEM:
        return []
    found = [v for v in vendors.values() if all(_holds(v, word) for word in wanted)]
    form = "".join(words)
    found.sort(
        key=lambda v: (
            -sum(word in _words(f"{v.id} {v.name}") for word in words),
            not _form(v.name).startswith(form),
            _USUAL.get(v.category, len(_USUAL)),
        )
    )
    return [vendor.id for vendor in found]


def _is_of(vendor: Vendor, word: str) -> bool:
    known = (vendor.id, vendor.name, vendor.company, *vendor.hosts, *vendor.paths)
    return any(word in _words(text) for text in known)


def _holds(vendor: Vendor, word: str) -> bool:
    named = (vendor.id, vendor.name, vendor.company, *vendor.hosts, *vendor.paths)
    return any(word in text.casefold() for text in named)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


def _form(text: str) -> str:
    return "".join(_words(text))


def _same(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    form = "".join(words)
    return [v.id for v in vendors.values() if form in (_form(v.id), _form(v.name))]


def _near(word: str, vendors: Mapping[str, Vendor], cutoff: float) -> list[str]:
    forms: dict[str, str] = {}
    for vendor in vendors.values():
        forms.setdefault(_form(vendor.name), vendor.id)
        forms.setdefault(_form(vendor.id), vendor.id)
    close = difflib.get_close_matches(_form(word), list(forms), n=_MAX_COUNT, cutoff=cutoff)
    return list(dict.fromkeys(forms[form] for form in close))


def _close(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    return _near(word, vendors, _SURE)[:1]


def _fuzzy(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    return _near(word, vendors, _MAYBE)


def _by_words(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """Vendors that share words: of id and name first, then of company and hosts ("facebook" for
    Meta).
    """
    wanted = set(words) - _VAGUE
    scored: list[tuple[int, int, int, str]] = []
    for vendor in vendors.values():
        named = {*_words(vendor.id), *_words(vendor.name)}
        behind = {*_words(vendor.company), *(w for host in vendor.hosts for w in _words(host))}
        score = sum(_score(w, named, behind) for w in wanted)
        if score:
            usual = _USUAL.get(vendor.category, len(_USUAL))
            scored.append((-score, usual, len(vendor.id), vendor.id))
    scored.sort()
    if len(wanted) > 1:  # of several words, weaker matches only dilute the result
        scored = [entry for entry in scored if entry[0] == scored[0][0]]
    return [entry[-1] for entry in scored]


def _score(word: str, named: set[str], behind: set[str]) -> int:
    if word in named:
        return 3
    if word in behind:
        return 2
    return int(len(word) >= _STEM and any(other.startswith(word) for other in named))


def _initials(word: str, words: list[str], vendors: Mapping[str, Vendor]) -> list[str]:
    """`gtm`, `ga4`: the first letters of a name, better when also of the id."""
    letters = "".join(words).rstrip("0123456789")
    if len(letters) < 2:
        return []
    found = [v.id for v in vendors.values() if letters == _first_letters(v.name)]
    return sorted(found, key=lambda vendor_id: letters != _first_letters(vendor_id))


def _first_letters(text: str) -> str:
    return "".join(word[0] for word in _words(text))
