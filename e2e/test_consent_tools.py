"""Another consent tool that is closed answers the site by the visitor's choice here."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import BrowserContext, expect

from consent_rules.categories import Category
from e2e.proxied import serving
from tests.support.site import reply

TOOLS = {
    "cookiebot": "https://consent.cookiebot.com/uc.js",
    "onetrust": "https://cdn.cookielaw.org/scripttemplates/otSDKStub.js",
    "usercentrics": "https://app.usercentrics.eu/browser-ui/latest/loader.js",
    "osano": "https://cmp.osano.com/a/b/osano.js",
    "didomi": "https://sdk.privacy-center.org/x/loader.js",
    "klaro": "https://cdn.kiprotect.com/klaro/v0.7/klaro.js",
    "cookieconsent": "https://cdn.jsdelivr.net/npm/vanilla-cookieconsent@3/cookieconsent.umd.js",
    "tarteaucitron": "https://cdn.jsdelivr.net/gh/AmauriC/tarteaucitron.js/tarteaucitron.min.js",
}


def page_with(tool: str, code: str = "") -> bytes:
    return (
        f"<!doctype html><html lang=en><head><title>x</title><script src='{TOOLS[tool]}'></script>"
        f"<script>{code}</script></head><body><p>Hello</p></body>"
    ).encode()


ASKED = {
    "cookiebot": "[Cookiebot.consent.statistics, Cookiebot.consent.marketing,"
    " Cookiebot.hasResponse, Cookiebot.consent.necessary].join()",
    "onetrust": "[OnetrustActiveGroups.includes(',C0002,'), OnetrustActiveGroups.includes('C0004'),"
    " OneTrust.IsAlertBoxClosed(), OptanonActiveGroups.includes('C0001')].join()",
    "usercentrics": "[!UC_UI.isConsentRequired(), UC_UI.areAllConsentsAccepted(),"
    " !UC_UI.isConsentRequired(), UC_UI.isInitialized()].join()",
    "osano": "[Osano.cm.analytics, Osano.cm.getConsent().MARKETING === 'ACCEPT',"
    " Osano.cm.getConsent().ANALYTICS === 'ACCEPT', Osano.cm.essential].join()",
    "klaro": "[klaro.getManager().getConsent('matomo'), klaro.getManager().consents.ads,"
    " klaro.getManager().confirmed, klaro.getManager().getConsent('essential')].join()",
    "tarteaucitron": "[tarteaucitron.state.gtag, tarteaucitron.state.facebookpixel,"
    " tarteaucitron.state.matomo || consent.get().decided, !tarteaucitron.state.another].join()",
    "cookieconsent": "[CookieConsent.acceptedCategory('analytics'),"
    " CookieConsent.acceptedCategory('marketing'), CookieConsent.validConsent(),"
    " CookieConsent.acceptedCategory('necessary')].join()",
}
KLARO = "klaroConfig={services:[{name:'matomo',purposes:['analytics']}]};"


@pytest.mark.parametrize("tool", ASKED)
@pytest.mark.parametrize(
    ("choice", "given"),
    [
        (None, "false,false,false,true"),
        (set(), "false,false,{decided},true"),
        ({Category.ANALYTICS}, "true,false,true,true"),
    ],
)
def test_a_closed_tool_answers_truly(
    tmp_path: Path, context: BrowserContext, tool: str, choice: set[Category] | None, given: str
) -> None:
    if tool == "usercentrics":
        given = "false,false,false,true" if choice is None else "true,false,true,true"
    decided = "false" if tool == "osano" else "true"
    code = f"{KLARO}asks=()=>{ASKED[tool]}"
    with serving(tmp_path, {"": reply(page_with(tool, code))}) as site:
        base = f"http://www.example.com:{site.port}"
        if choice is not None:
            name, _, value = site.cookie(*choice).partition("=")
            context.add_cookies([{"name": name, "value": value, "url": base}])
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{base}/")
        assert page.evaluate("asks()") == given.format(decided=decided)
        assert errors == []


@pytest.mark.parametrize(
    ("tool", "code", "wanted"),
    [
        ("cookiebot", "addEventListener('CookiebotOnAccept', () => heard = 1)", 1),
        ("cookiebot", "addEventListener('CookiebotOnDecline', () => heard = 1)", 0),
        ("cookiebot", "addEventListener('CookiebotOnConsentReady', () => heard = 1)", 1),
        ("usercentrics", "addEventListener('UC_UI_INITIALIZED', () => heard = 1)", 1),
        ("osano", "Osano.cm.addEventListener('osano-cm-initialized',"
         " c => heard = +(c.ANALYTICS === 'ACCEPT' && c.MARKETING === 'DENY'))", 1),
        ("cookieconsent", "CookieConsent.run({categories: {necessary: {}, analytics: {}, ads: {}},"
         " onConsent: c => heard = +(c.cookie.categories.join() === 'necessary,analytics')})",
         1),
        ("tarteaucitron", "(tarteaucitron.job = tarteaucitron.job || []).push('youtube');"
         "tarteaucitron.init({}); heard = tarteaucitron.job.length", 1),
    ],
)  # fmt: skip
def test_a_closed_tools_events_come(
    tmp_path: Path, context: BrowserContext, tool: str, code: str, wanted: int
) -> None:
    with serving(tmp_path, {"": reply(page_with(tool, f"heard=0;{code}"))}) as site:
        base = f"http://www.example.com:{site.port}"
        name, _, value = site.cookie(Category.ANALYTICS).partition("=")
        context.add_cookies([{"name": name, "value": value, "url": base}])
        page = context.new_page()
        page.goto(f"{base}/")
        page.wait_for_load_state("load")
        page.evaluate("new Promise(done => setTimeout(done))")
        assert page.evaluate("heard") == wanted


@pytest.mark.parametrize(
    ("tool", "link"),
    [
        ("cookiebot", '<a href="javascript:Cookiebot.renew()">Choices</a>'),
        ("cookiebot", '<a href="#" onclick="Cookiebot.show()">Choices</a>'),
        ("onetrust", '<button class="ot-sdk-show-settings">Choices</button>'),
        ("onetrust", '<a onclick="OneTrust.ToggleInfoDisplay()" href="#">Choices</a>'),
        ("onetrust", '<a href="/none" id="ot-sdk-btn">Choices</a>'),
        ("usercentrics", '<a href="#" onclick="UC_UI.showSecondLayer()">Choices</a>'),
        ("osano", "<a href=\"#\" onclick=\"Osano.cm.showDrawer('x')\">Choices</a>"),
        ("didomi", '<a href="javascript:Didomi.preferences.show()">Choices</a>'),
        ("klaro", '<a href="#" onclick="klaro.show()">Choices</a>'),
        ("cookieconsent", '<a data-cc="show-preferencesModal">Choices</a><i onclick="'
         'CookieConsent.x()"></i>'),
        ("cookieconsent", '<a href="#" onclick="CookieConsent.showPreferences()">Choices</a>'),
        ("tarteaucitron", '<a onclick="tarteaucitron.userInterface.openPanel()">Choices</a>'),
    ],
)  # fmt: skip
def test_a_closed_tools_own_link_leads_to_our_preferences(
    tmp_path: Path, context: BrowserContext, tool: str, link: str
) -> None:
    body = page_with(tool).replace(b"<p>Hello</p>", link.encode())
    with serving(tmp_path, {"": reply(body)}) as site:
        base = f"http://www.example.com:{site.port}"
        name, _, value = site.cookie(Category.ANALYTICS).partition("=")
        context.add_cookies([{"name": name, "value": value, "url": base}])
        page = context.new_page()
        page.goto(f"{base}/")
        page.click("text=Choices")
        page.wait_for_url(f"**/.consent/preferences?return_to={quote('/', safe='')}*")


LINKS = (
    '<a href="javascript:truste.eu.clickListener()">Your Privacy Choices</a>',
    '<a href="#" onclick="window.displayPreferenceModal();return false">Choices</a>',
    '<a href="#" id="termly-consent-preferences">Choices</a>',
    '<button onclick="revisitCkyConsent()">Choices</button>',
    '<a href="javascript:_sp_.gdpr.loadPrivacyManagerModal(1)">Choices</a>',
    '<a onclick="googlefc.showRevocationMessage()">Choices</a>',
    '<a href="JavaScript:CookieConsent.renew()">Choices</a>',
    "<a onclick=\"__cmp('showScreen')\">Choices</a>",
    "<a onclick=\"ketch('showPreferences')\">Choices</a>",
    "<a onclick=\"__tcfapi('displayConsentUi', 2, () => {})\">Choices</a>",
    '<a href="#" onclick="OneTrust.ToggleInfoDisplay()"><b>Do Not Sell</b></a>',
    '<button class="ot-sdk-show-settings">Choices</button>',
    '<a href="javascript:Cookiebot.renew()">Choices</a>',
    '<a href="#" onclick="UC_UI.showSecondLayer()">Choices</a>',
    '<a href="#" onclick="__ucCmp.showSecondLayer()">Choices</a>',
    '<a href="#" onclick="Osano.cm.showDrawer(\'x\')">Choices</a>',
    '<a href="#cmpscreen">Choices</a>',
)
SOURCES = {
    "each tool's script": (
        "https://consent.trustarc.com/notice?domain=x", "https://app.termly.io/embed.min.js",
        "https://cdn-cookieyes.com/client_data/x/script.js",
        "https://cdn.privacy-mgmt.com/unified/wrapperMessagingWithoutDetection.js",
        "https://fundingchoicesmessages.google.com/i/pub-1", "https://cdn.ketchcdn.com/web/v3/x.js",
        "https://cdn.consentmanager.net/delivery/cmp.min.js",
        "https://policy.app.cookieinformation.com/uc.js", TOOLS["onetrust"], TOOLS["cookiebot"],
        TOOLS["usercentrics"], TOOLS["osano"],
    ),
    "a tag manager": ("https://www.googletagmanager.com/gtm.js?id=GTM-1",),
    "a host that nobody knows": ("https://tags.unknown.example/all.js",),
}  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
def test_each_known_link_to_a_closed_tools_preferences_opens_ours(
    tmp_path: Path, context: BrowserContext, source: str
) -> None:
    scripts = "".join(f"<script src='{address}'></script>" for address in SOURCES[source])
    links = "".join(f"<p>{link}</p>" for link in LINKS)
    body = f"<!doctype html><html lang=en><title>x</title>{scripts}<body><h1>x</h1>{links}"
    with serving(tmp_path, {"": reply(body.encode())}) as site:
        page = context.new_page()
        page.goto(f"http://www.example.com:{site.port}/")
        page.evaluate("opened = 0; consent.open = () => opened++; 0")
        page.click("h1")  # what opens something does so for a visitor alone
        found = page.evaluate(
            "[...document.querySelectorAll('body > p > *')].filter((link) => {"
            "  const before = opened; (link.firstElementChild || link).click();"
            "  return opened != before + 1 }).map((link) => link.outerHTML)"
        )
        page.evaluate("new Promise(done => setTimeout(done, 50))")
        missed = [one for one in found if 'href="javascript:' not in one.lower()]
        waiting = len(found) - len(missed)
        assert (missed, page.evaluate("opened")) == ([], len(LINKS)), waiting


def test_a_tool_that_is_there_after_all_opens_its_own(
    tmp_path: Path, context: BrowserContext
) -> None:
    code = "<script>OneTrust = {ToggleInfoDisplay() { own = 1 }}</script>"
    links = (
        '<a id=a href="#" onclick="OneTrust.ToggleInfoDisplay()">Choices</a>'
        "<button id=b class=ot-sdk-show-settings onclick='own = 2'>Choices</button>"
    )
    manager = SOURCES["a tag manager"][0]
    body = f"<!doctype html><title>x</title><script src='{manager}'></script>{code}<body>{links}"
    with serving(tmp_path, {"": reply(body.encode())}) as site:
        page = context.new_page()
        page.goto(f"http://www.example.com:{site.port}/")
        page.evaluate("opened = own = 0; consent.open = () => opened++; 0")
        page.click("#a")
        assert page.evaluate("[own, opened]") == [1, 0]
        page.click("#b")
        assert page.evaluate("[own, opened]") == [2, 0]


def test_what_a_page_stores_in_a_tools_stand_in_is_found_again(
    tmp_path: Path, context: BrowserContext
) -> None:
    code = (
        "'use strict'; Didomi.box = document.createElement('i'); Didomi.a.b = 1; Didomi.name = 'x';"
        "Cookiebot.box = 2; Cookiebot.consent.more = 3; Cookiebot.a.b.c = 4;"
        "try { Cookiebot.hasResponse = true } catch { Cookiebot.box = 'threw' }"
        "given = [document.head.appendChild(Didomi.box).localName, Didomi.a.b, Didomi.name,"
        "Cookiebot.box, Cookiebot.consent.more, Cookiebot.a.b.c, Cookiebot.hasResponse].join()"
    )
    tools = "".join(f"<script src='{TOOLS[one]}'></script>" for one in ("didomi", "cookiebot"))
    body = f"<!doctype html><title>x</title>{tools}<body><script>var given;{code}</script>"
    with serving(tmp_path, {"": reply(body.encode())}) as site:
        page = context.new_page()
        page.goto(f"http://www.example.com:{site.port}/")
        assert page.evaluate("given") == "i,1,x,2,3,4,false"


def test_a_page_does_not_lead_away_by_itself(tmp_path: Path, context: BrowserContext) -> None:
    code = "setTimeout(() => {Didomi.preferences.show();document.title='asked'})"
    with serving(tmp_path, {"": reply(page_with("didomi", code))}) as site:
        page = context.new_page()
        page.goto(f"http://www.example.com:{site.port}/")
        expect(page).to_have_title("asked")
        expect(page.locator("#yc")).to_be_visible()
        expect(page.locator("#yc-p")).to_be_hidden()
