"""A control that does not come because its vendor is closed: a message stands at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from e2e.proxied import serving
from tests.support.site import reply

STRIPE = """<script src="https://js.stripe.com/v3/"></script>
<form><div id="card-element"></div><button>Pay</button></form>
<script>const stripe = Stripe('pk_1'); const card = stripe.elements().create('card');
card.mount('#card-element'); card.on('change', () => 1); ready = true</script>"""
CAPTCHA = """<script src="https://www.google.com/recaptcha/api.js" async defer></script>
<form action="/send"><div class="g-recaptcha" data-sitekey="1"></div><button>Send</button></form>"""
HCAPTCHA = """<script src="https://js.hcaptcha.com/1/api.js" async defer></script>
<form><div class="h-captcha" data-sitekey="1"></div></form>"""
TURNSTILE = """<script src="https://challenges.cloudflare.com/turnstile/v0/api.js"></script>
<form><div class="cf-turnstile" data-sitekey="1"></div></form>"""
PAYPAL = """<script src="https://www.paypal.com/sdk/js?client-id=x"></script>
<div id="paypal-button-container"></div>
<script>paypal.Buttons({}).render('#paypal-button-container')</script>"""


@pytest.mark.parametrize(
    ("markup", "vendor"),
    [
        (STRIPE, "Stripe"),
        (CAPTCHA, "Google reCAPTCHA"),
        (HCAPTCHA, "hCaptcha"),
        (TURNSTILE, "Cloudflare Turnstile"),
        (PAYPAL, "PayPal"),
    ],
    ids=lambda value: value[:9],
)
def test_a_patient_is_told_what_is_missing(
    tmp_path: Path, context: BrowserContext, markup: str, vendor: str
) -> None:
    page = f"<!doctype html><html lang=en><head><title>x</title></head><body>{markup}</body></html>"
    with serving(tmp_path, {"patients/pay": reply(page.encode())}) as site:
        tab = context.new_page()
        errors: list[str] = []
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.goto(f"http://www.example.com:{site.port}/patients/pay")
        place = tab.locator(".yc-h")
        expect(place).to_contain_text(vendor)
        is_captcha = vendor not in {"Stripe", "PayPal"}
        closed = "cannot be sent from this page" if is_captcha else "is not shown on this page"
        expect(place).to_contain_text(f"To protect your privacy, it {closed}")
        if is_captcha:
            expect(place).to_contain_text(f"can only be sent after a check by {vendor}")
        assert errors == []
