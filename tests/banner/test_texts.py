"""Words: complete in every language, chosen as the visitor asks, never broken by a header."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.catalogue.cookie_details import UNITS
from consent_rules.categories import CHOOSABLE, Category
from proxy.banner.placeholder import KINDS
from proxy.banner.plurals import plural_of
from proxy.banner.static_files import static_root
from proxy.banner.texts import Texts, Wording, languages, read_texts, texts_for

FOLDER = static_root() / "banner" / "texts"
FILES = sorted(FOLDER.glob("*.toml"))
ENGLISH, _ = read_texts(FOLDER / "en.toml")
COUNTED = (
    "preferences.keep.",
    *(f"lifetime.{unit}." for unit in UNITS),
)
"""Sentences with plural forms: which of them a language needs is its own matter."""


def slots(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_more_than_thirty_languages_are_there() -> None:
    first = {"en", "es", "fr", "de", "pt", "zh", "vi", "ar", "ko", "ru", "tl"}
    assert set(languages()) >= first | {"ht", "hi", "it", "ja", "pl", "fa", "he", "ur", "zh-Hant"}
    assert len(languages()) >= 37


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_no_key_is_missing_or_unknown(path: Path) -> None:
    own, months = read_texts(path)
    forms = {plural_of(path.stem, days) for days in range(1, 401)}
    needed = {key for key in ENGLISH if not key.startswith(COUNTED)}
    needed |= {f"{key}{form}" for key in COUNTED for form in forms | {"other"}}
    spare = {f"{key}{form}" for key in COUNTED for form in ("zero",)}
    assert sorted(needed - own.keys()) == [], "missing: these would be shown in English"
    assert sorted(own.keys() - needed - spare) == [], "unknown: nothing shows these"
    assert len(set(months)) == 12
    assert own["dir"] == ("rtl" if path.stem in {"ar", "fa", "he", "ur"} else "ltr")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_sentence_keeps_its_slots_and_says_something(path: Path) -> None:
    own, _ = read_texts(path)
    for key, text in own.items():
        other = f"{key.rpartition('.')[0]}.other"
        expected = slots(ENGLISH.get(key) or ENGLISH[other])
        # One year, or two, may be a word without a number.
        named = key.startswith("lifetime.") and key.endswith((".one", ".two"))
        assert slots(text) == expected or (named and not slots(text)), key
        assert text.strip(), key
        assert key.startswith("list.") or text == text.strip(), key
        assert not re.search(r"[<>]", text), key


@pytest.mark.parametrize("path", [f for f in FILES if f.stem != "en"], ids=lambda p: p.stem)
def test_nothing_is_left_in_english(path: Path) -> None:
    own, _ = read_texts(path)
    same = {k for k, v in own.items() if v == ENGLISH.get(k) and len(v.split()) > 2 and k != "date"}
    assert same == set()


def test_categories_and_placeholders_have_their_words(texts: Texts) -> None:
    for category in Category:
        assert texts[f"category.{category}.title"]
        assert texts[f"category.{category}.text"]
    for category in CHOOSABLE:
        assert texts[f"category.{category}.purpose"]
    for kind in KINDS:
        assert "{vendor}" in texts[f"placeholder.{kind}"]


@pytest.mark.parametrize(
    ("page", "header", "lang"),
    [
        (None, "", "en"),
        ("", "", "en"),
        ("es", "de", "es"),
        ("es-MX", "de", "es"),
        ("ES_mx", "de", "es"),
        ("xx", "de", "de"),
        (None, "de-CH, fr;q=0.8", "de"),
        (None, "fr;q=0.5, ko;q=0.9", "ko"),
        (None, "fr;q=0, ko;q=0.1", "ko"),
        (None, "xx, yy;q=0.9, vi;q=0.1", "vi"),
        (None, "en;q=0.2, ht-HT;q=0.3", "ht"),
        (None, "fil-PH", "tl"),
        (None, "zh-Hant-TW", "zh-Hant"),
        ("zh-TW", "", "zh-Hant"),
        (None, "zh-HK, en;q=0.5", "zh-Hant"),
        ("zh-Hans-CN", "", "zh"),
        (None, "nn-NO", "nb"),
        (None, "iw", "he"),
        (None, "pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        (None, "*", "en"),
        (None, ";;q=,,=;q=x", "en"),
        (None, "de;q=nan, fr;q=2, ar;q=0.3", "ar"),
        (None, " AR ; q=1 ", "ar"),
    ],
)
def test_language_is_chosen(page: str | None, header: str, lang: str) -> None:
    assert texts_for(page, header).lang == lang


# CLDR knows nothing of Haitian Creole.
@pytest.mark.parametrize("lang", sorted(languages().keys() - {"ht"}))
def test_plural_forms_are_those_of_unicode(lang: str) -> None:
    locale = {"tl": "fil", "zh-Hant": "zh"}.get(lang, lang)
    rule = Locale.parse(locale).plural_form
    assert [plural_of(lang, n) for n in range(1, 401)] == [rule(n) for n in range(1, 401)]


@pytest.mark.parametrize(
    ("lang", "days", "says"),
    [
        ("en", 1, "for 1 day,"),
        ("en", 180, "for 180 days,"),
        ("ru", 1, "1 день"),
        ("ru", 22, "22 дня"),
        ("ru", 180, "180 дней"),
        ("ar", 365, "365 يومًا"),
        ("ja", 1, "1 日"),
        ("pl", 180, "180 dni"),
    ],
)
def test_days_are_counted_as_the_language_does(lang: str, days: int, says: str) -> None:
    assert says in languages()[lang].count("preferences.keep", days, "days")


def test_own_words_stand_in_for_ours() -> None:
    own = {"en": {"banner": {"title": "Your call"}, "preferences": {"keep": {"one": "{days}!"}}}}
    wording = Wording(own)
    english = wording.texts_for(None, "")
    assert (english["banner.title"], english["banner.label"]) == ("Your call", "Privacy choices")
    assert english.count("preferences.keep", 1, "days") == "1!"
    assert english is wording.texts_for("en-US", "de")
    assert wording.texts_for("de", "")["banner.title"] == languages()["de"]["banner.title"]
    assert texts_for(None, "")["banner.title"] == "Your privacy, your choice"


@given(st.one_of(st.none(), st.text()), st.text())
def test_any_header_gives_a_language(page: str | None, header: str) -> None:
    assert texts_for(page, header).lang in languages()


def test_a_missing_key_falls_back_to_english(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "banner" / "texts"
    folder.mkdir(parents=True)
    (folder / "en.toml").write_bytes((FOLDER / "en.toml").read_bytes())
    (folder / "eo.toml").write_text('[banner]\ntitle = "Via elekto"\n')
    monkeypatch.setattr("proxy.banner.texts.static_root", lambda: tmp_path)
    esperanto = languages.__wrapped__()["eo"]
    assert esperanto["banner.title"] == "Via elekto"
    assert esperanto["banner.reject_all"] == "Reject all"
    assert esperanto.date(datetime.date(2026, 11, 24)) == "24 November 2026"


@pytest.mark.parametrize(
    ("lang", "items", "joined"),
    [
        ("en", [], ""),
        ("en", ["a"], "a"),
        ("en", ["a", "b"], "a and b"),
        ("en", ["a", "b", "c"], "a, b and c"),
        ("zh", ["甲", "乙", "丙"], "甲、乙和丙"),
        ("ar", ["أ", "ب"], "أ وب"),
    ],
)
def test_lists_are_joined(lang: str, items: list[str], joined: str) -> None:
    assert languages()[lang].join(items) == joined


@pytest.mark.parametrize(
    ("lang", "date"),
    [
        ("en", "24 November 2026"),
        ("de", "24. November 2026"),
        ("es", "24 de noviembre de 2026"),
        ("zh", "2026年11月24日"),
        ("ko", "2026년 11월 24일"),
        ("vi", "ngày 24 tháng 11 năm 2026"),
    ],
)
def test_dates_are_written_out(lang: str, date: str) -> None:
    assert languages()[lang].date(datetime.date(2026, 11, 24)) == date


def test_a_brace_in_a_value_is_no_slot(english: Texts) -> None:
    said = english.say("preferences.mixed", date="{allowed}", allowed="A", refused="B")
    assert said.startswith("On {allowed} you allowed: A.")
