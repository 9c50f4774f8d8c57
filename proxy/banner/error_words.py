"""Error pages in the visitor's language."""

from __future__ import annotations

from proxy.banner.texts import Texts
from proxy.http.error_pages import ErrorWords


def unavailable_words(texts: Texts) -> ErrorWords:
    """Of a page whose upstream does not respond, or not in time; the link tries again."""
    return _words(texts, "error.unavailable", texts["error.unavailable_text"], "error.retry", "")


def refused_words(texts: Texts, preferences: str, detail: str) -> ErrorWords:
    """Of a choice that was not stored. `detail`, in English, replaces the usual reason."""
    text = detail or texts["error.refused_text"]
    return _words(texts, "error.refused", text, "error.choose_again", preferences)


def not_recorded_words(texts: Texts, preferences: str) -> ErrorWords:
    """Of a choice whose receipt could not be written."""
    text = texts["error.not_recorded"]
    return _words(texts, "error.refused", text, "error.choose_again", preferences)


def _words(texts: Texts, title: str, text: str, link_text: str, link: str) -> ErrorWords:
    return ErrorWords(
        texts[title], text, texts.lang, texts.dir, texts["error.reference"], texts[link_text], link
    )
