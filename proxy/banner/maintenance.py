"""A site's own page for when its upstream cannot be reached."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

from proxy.banner.texts import languages

_MOST_BYTES = 1_000_000
_REFERENCE = "{{reference}}"
# The page's policy closes what it would load. It does not govern connections in advance, and an
# empty page with a refresh is a redirect.
_LEADS_AWAY = re.compile(r"<link\b|http-equiv\s*=\s*[\"']?\s*refresh\b", re.IGNORECASE)


class MaintenancePageError(Exception):
    """The file of a maintenance page cannot be used."""


@dataclass(frozen=True, slots=True)
class MaintenancePage:
    """HTML for all visitors, and by language for those who prefer one of these."""

    html: str
    by_language: Mapping[str, str] = field(default_factory=dict)

    def written(self, lang: str, reference: str) -> tuple[str, str]:
        """The page for a language, with the reference number in it; and its language, "" where it
        is the one for all.
        """
        found = self.by_language.get(lang)
        html = self.html if found is None else found
        return html.replace(_REFERENCE, escape(reference)), "" if found is None else lang


def maintenance_files(path: Path) -> dict[str, Path]:
    """The files of a page that exist, by language: `down.de.html` beside `down.html`; "" is the
    page for all.
    """
    beside = {lang: path.with_name(f"{path.stem}.{lang}{path.suffix}") for lang in languages()}
    return {"": path} | {lang: file for lang, file in beside.items() if file.is_file()}


def read_maintenance_page(path: Path) -> MaintenancePage:
    """Read a page and its translations. Raises MaintenancePageError."""
    pages = {lang: _read(file) for lang, file in maintenance_files(path).items()}
    return MaintenancePage(pages.pop(""), pages)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MaintenancePageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > _MOST_BYTES:
        raise MaintenancePageError(f"{path}: {len(content)} bytes; the most is {_MOST_BYTES}")
    try:
        html = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MaintenancePageError(f"{path}: byte {error.start + 1} is not UTF-8") from None
    if found := _LEADS_AWAY.search(html):
        line = html.count("\n", 0, found.start()) + 1
        raise MaintenancePageError(
            f"{path}:{line}: {found[0].lower()} would connect to another host or leave the page; "
            "put styles into <style> and images into data: URLs, so that it needs nothing else"
        )
    return html
