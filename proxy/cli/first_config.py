"""The text of a first config, of what was answered and of what a visit of the site found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from consent_rules.audit.draft import Guess, SeenHost, SeenVendor, SiteDraft
from consent_rules.catalogue.load import consent_platforms
from consent_rules.wording import category_words, counted, printable
from proxy.observability.discovered import vendor_id_for

LOCAL_HOST = "localhost"


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """What a first config has to say. `policy_url` and `patient_pages` may be empty. `draft` is
    what a visit of the site found; its upstream is then the site itself, as it is today.
    """

    controller: str
    host: str
    upstream: str
    policy_url: str
    patient_pages: tuple[str, ...]
    receipts: bool
    draft: SiteDraft | None = None

    def as_toml(self, version: str) -> str:
        """The config file. `version` is that of the privacy policy."""
        draft = self.draft
        lines = [
            *(_drafted(draft) if draft else ()),
            "# Every key: docs/configuration.md. After a change: consent-proxy check",
            "[proxy]",
            'listen = "127.0.0.1:8080"',
            'admin_listen = "127.0.0.1:8081"   # metrics, health, dashboard; never public',
            "",
            "[policy]",
            f"controller = {_quoted(self.controller)}{self._reason('controller')}",
            f"version = {_quoted(version)}   # a new version asks again",
            *(
                [f"url = {_quoted(self.policy_url)}{self._reason('policy_url')}"]
                if self.policy_url
                else []
            ),
            "",
            *(["[receipts]   # a record of each choice", ""] if self.receipts else []),
            "[[site]]",
            f"name = {_quoted(_site_name(self.host))}",
            *(self._of_draft() if draft else self._by_hand()),
            "",
            "# Every third party is closed until it is approved: consent-proxy tag add",
            *(_third_parties(draft) if draft else ()),
        ]
        return "\n".join(lines) + "\n"

    def _by_hand(self) -> Iterator[str]:
        yield f"hosts = [{_quoted(self.host)}]"
        yield f"upstream = {_quoted(self.upstream)}"
        yield 'audience = "marketing"'
        pages = ", ".join(
            f'{{ path = {_quoted(path)}, audience = "patient" }}' for path in self.patient_pages
        )
        if pages:
            yield f"page = [{pages}]"

    def _of_draft(self) -> Iterator[str]:
        assert self.draft is not None
        if self.host == LOCAL_HOST:
            yield f"hosts = [{_quoted(self.host)}]"
        else:
            hosts = ", ".join(map(_quoted, (self.host, LOCAL_HOST)))
            yield f"hosts = [{hosts}]   # {LOCAL_HOST} to try it on this machine; take it out then"
        yield (
            f"upstream = {_quoted(self.upstream)}   # the site as it is today; once its name leads "
            "here, the server behind"
        )
        yield "preserve_host = false   # the upstream gets its own name; take this out then"
        yield 'audience = "marketing"'
        yield 'mode = "observe"   # "enforce" closes what nobody approved; patient pages are closed'
        if self.draft.first_party:
            yield "first_party = [   # the site's own besides, which receive data as the site does"
            yield from (f"    {line}" for line in map(_host_line, self.draft.first_party))
            yield "]"
        for path in self.patient_pages:
            yield from _page_lines(Guess(path, "as given"))
        given = set(self.patient_pages)
        for guess in self.draft.patient_pages:
            if guess.value not in given:
                yield from _page_lines(guess)

    def _reason(self, key: str) -> str:
        guess: Guess | None = getattr(self.draft, key, None)
        value = getattr(self, key)
        if guess is None or guess.value != value:
            return ""
        return f"   # a guess: {_comment(guess.reason)}"


def _drafted(draft: SiteDraft) -> Iterator[str]:
    yield (
        f"# Drafted from {counted(draft.pages, 'page')} of {_comment(draft.start)}. Nothing is "
        "approved yet, and every guess"
    )
    yield '# has its reason: look at each. Lines behind "# " wait for you to take it away.'
    yield "#"


def _host_line(guess: Guess) -> str:
    sign = "" if guess.is_sure else "# "
    return f"{sign}{_quoted(guess.value)},   # {_comment(guess.reason)}"


def _page_lines(guess: Guess) -> Iterator[str]:
    sign = "" if guess.is_sure else "# "
    yield ""
    yield f"{sign}[[site.page]]   # {_comment(guess.reason)}"
    yield f"{sign}path = {_quoted(guess.value)}"
    yield f'{sign}audience = "patient"'


def _third_parties(draft: SiteDraft) -> Iterator[str]:
    platforms = consent_platforms()
    for vendor in draft.vendors:
        yield ""
        yield from _vendor_lines(vendor, is_platform=vendor.id in platforms)
    for host in draft.hosts:
        yield ""
        yield from _stranger_lines(host)


def _vendor_lines(vendor: SeenVendor, *, is_platform: bool) -> Iterator[str]:
    category = category_words(vendor.category)
    yield f"# {_comment(vendor.name)} ({category}): seen on {_listed(vendor.pages)}"
    if vendor.mask:
        yield f"# behind another name: {_comment(vendor.mask)}"
    if vendor.on_patient_pages:
        yield "# also on pages for patients, where it stays closed whatever is approved or chosen"
    if is_platform:
        yield "# a consent dialog of its own: the proxy asks, so take it out of the pages"
        return
    yield f"#   consent-proxy tag add {vendor.id}"


def _stranger_lines(host: SeenHost) -> Iterator[str]:
    owner = f" ({_comment(host.owner)})" if host.owner else ""
    yield f"# {_comment(host.host)}{owner}: seen on {_listed(host.pages)}"
    yield "# the site's own? then add it to first_party; else say who it is, and tag add its id:"
    yield "# [[vendor]]"
    yield f"# id = {_quoted(vendor_id_for(host.host))}"
    yield f"# name = {_quoted(host.name or '...')}"
    yield (
        '# category = "..."   # necessary, functional, analytics, session_replay, advertising, '
        "social"
    )
    yield f"# hosts = [{_quoted(host.host)}]"


def _listed(pages: tuple[str, ...]) -> str:
    return _comment(", ".join(pages))


def _comment(text: str) -> str:
    """Text of the site's in a comment: one line, without what a terminal would obey."""
    return printable(" ".join(text.split()))[:300]


def _site_name(host: str) -> str:
    return host.removeprefix("*.").partition(".")[0][:64] or "www"


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's too, but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)
