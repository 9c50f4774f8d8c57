"""A value is found in whatever a vendor makes of it, and is not found where it is not."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.audit.encodings import encoding_of, readings_of

MAIL = "Jane.Doe+x@Example.com"
LOWERED = MAIL.lower()


def hashed(algorithm: str, value: str) -> str:
    return hashlib.new(algorithm, value.encode()).hexdigest()


@pytest.mark.parametrize(
    ("sent", "how"),
    [
        (f"https://t.example/?em={MAIL}", "plain"),
        (f"https://t.example/?em={LOWERED}", "plain"),
        (f"https://t.example/?em={quote(MAIL)}", "encoded"),
        (f"https://t.example/?u={quote(quote(MAIL))}", "encoded"),
        (json.dumps({"user": {"mail": MAIL}}), "plain"),
        (r'{"mail":"jane.doe\u002bx\u0040example.com"}', "encoded"),
        (base64.b64encode(MAIL.encode()).decode(), "encoded"),
        (base64.urlsafe_b64encode(json.dumps({"m": MAIL}).encode()).decode(), "encoded"),
        (MAIL.encode().hex(), "hex"),
        (f"ud[em]={hashed('sha256', LOWERED)}", "SHA-256"),
        (f"em={hashed('sha256', MAIL)}", "SHA-256"),
        (f"em={hashed('sha256', 'janedoe@example.com')}", "SHA-256"),
        (f"h={hashed('md5', LOWERED).upper()}", "MD5"),
        (f"h={hashed('sha1', LOWERED)}", "SHA-1"),
        (f"h={hashed('sha512', LOWERED)}", "SHA-512"),
        (
            "em=" + base64.b64encode(hashlib.sha256(LOWERED.encode()).digest()).decode(),
            "SHA-256",
        ),
        ("https://t.example/?em=john@example.com", ""),
        (f"h={hashed('sha256', 'john@example.com')}", ""),
        ("https://t.example/", ""),
    ],
)
def test_how_a_value_stands_in_what_was_sent(sent: str, how: str) -> None:
    assert encoding_of(MAIL, readings_of(sent)) == how


@pytest.mark.parametrize("sent", ["+12025550142", "12025550142", "%2B12025550142"])
def test_a_telephone_number_is_known_by_its_digits_when_hashed(sent: str) -> None:
    number = "+1 202 555 0142"
    digits = hashed("sha256", "12025550142")
    assert encoding_of(number, readings_of(f"ph={digits}")) == "SHA-256"


def test_a_short_value_stands_in_any_request_by_chance() -> None:
    assert encoding_of("yes", readings_of("https://t.example/?a=yes")) == ""


@given(st.text(max_size=300))
def test_any_text_can_be_read(text: str) -> None:
    assert readings_of(text)[0].text == text
    assert encoding_of("jane@example.com", readings_of(text)) == ""


@given(st.text(min_size=8, max_size=40).filter(lambda t: len(t.strip()) >= 8))
def test_what_is_percent_encoded_is_found(value: str) -> None:
    try:
        sent = f"https://t.example/?v={quote(value)}"
    except UnicodeEncodeError:  # a lone surrogate is in no address
        return
    assert encoding_of(value, readings_of(sent))
