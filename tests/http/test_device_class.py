"""User-Agent -> device class: browsers, crawlers, link previews; bounds of what is remembered."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http.device_class import (
    MAX_LENGTH,
    MAX_REMEMBERED,
    DeviceClass,
    DeviceClasses,
    classify,
    parsed_class,
)

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
IOS = "AppleWebKit/605.1.15 (KHTML, like Gecko)"

AGENTS: dict[DeviceClass, tuple[str, ...]] = {
    DeviceClass.DESKTOP: (
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0",
        "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
        f"{MAC} {IOS} Version/18.1 Safari/605.1.15",
        "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
        "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
        f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/131.0.0.0 Safari/537.36",
        # They look at a page as a visitor does: the banner is part of what is measured.
        f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/130.0.0.0 Safari/537.36",
        f"{MAC} {WEBKIT} Chrome/130.0.0.0 Safari/537.36 Chrome-Lighthouse",
    ),
    DeviceClass.PHONE: (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) {IOS} Version/18.1 Mobile/15E148 "
        "Safari/604.1",
        f"Mozilla/5.0 (iPod touch; CPU iPhone OS 12_0 like Mac OS X) {IOS} Mobile/15E148",
        f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/140.0.0.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {WEBKIT} Chrome/120.0 Mobile Safari/537.36",
        "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
        f"Mozilla/5.0 (Windows Phone 10.0; Android 6.0.1; Microsoft; Lumia 950) {WEBKIT} "
        "Chrome/52.0 Mobile Safari/537.36 Edge/15.14977",
        "Opera/9.80 (J2ME/MIDP; Opera Mini/7.1) Presto/2.12",
        # A device with "bot" in its name, and apps that show a page within themselves.
        f"Mozilla/5.0 (Linux; Android 11; CUBOT NOTE 20) {WEBKIT} Chrome/96.0 Mobile Safari/537.36",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {IOS} Mobile/15E148 "
        "[FBAN/FBIOS;FBAV/430.0;FBBV/1;FBDV/iPhone14,5;FBMD/iPhone;FBSN/iOS;FBSV/17.0;FBSS/3]",
        f"Mozilla/5.0 (Linux; Android 13; SM-S908B; wv) {WEBKIT} Version/4.0 Chrome/119.0 Mobile "
        "Safari/537.36 Instagram 309.0.0.40.113 Android",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {IOS} Mobile/15E148 "
        "LinkedInApp/9.29.8962",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {IOS} Mobile/15E148 "
        "[Pinterest/iOS]",
        f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) {IOS} Version/17.0 Mobile/15E148 "
        "Safari/604.1 Twitter for iPhone/10.2",
    ),
    DeviceClass.TABLET: (
        f"Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) {IOS} Version/17.6 Mobile/15E148 Safari",
        f"Mozilla/5.0 (Linux; Android 13; SM-X906C) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/140.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Android 14; Tablet; rv:132.0) Gecko/132.0 Firefox/132.0",
        f"Mozilla/5.0 (Linux; Android 9; KFMAWI) {WEBKIT} Silk/108.4.6 like Chrome/108.0 Safari",
    ),
    DeviceClass.BOT: (
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        f"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) {WEBKIT} Chrome/140.0.0.0 "
        "Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; "
        "+http://www.bing.com/bingbot.htm) Chrome/116.0 Safari/537.36",
        f"{MAC} {IOS} Version/13.1.1 Safari/605.1.15 (Applebot/0.1; "
        "+http://www.apple.com/go/applebot)",
        "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
        "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
        "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
        "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; "
        "+https://openai.com/gptbot)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko); compatible; ChatGPT-User/1.0; "
        "+https://openai.com/bot",
        # What makes link previews.
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) "
        "Version/9.0.1 Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
        "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
        "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
        "Twitterbot/1.0",
        "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
        "WhatsApp/2.23.20.0 A",
        "TelegramBot (like TwitterBot)",
        "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 "
        "skype-url-preview@microsoft.com",
        "Mozilla/5.0 (compatible; Pinterestbot/1.0; +http://www.pinterest.com/bot.html)",
        "Mozilla/5.0 (compatible; redditbot/1.0; +http://www.reddit.com/feedback)",
        "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)",
        "Mozilla/5.0 (compatible; Embedly/0.2; +http://support.embed.ly/)",
        "Iframely/1.3.1 (+https://iframely.com/docs/about)",
        "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)",
        "http.rb/5.1.1 (Mastodon/4.2.0; +https://mastodon.social/) Bot",
    ),
    DeviceClass.OTHER: (
        "",
        "curl/8.5.0",
        "Wget/1.21.3 (linux-gnu)",
        "python-requests/2.31",
        "Amazon CloudFront",  # a CDN that passes on no visitor's: these may be people
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Chrome/79.0.3945.79 Safari/537.36",
        f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} SamsungBrowser/2.1 Chrome/56.0 TV "
        "Safari/537.36",
        f"Mozilla/5.0 (Linux; Android 9; AFTMM Build/PS7624) {WEBKIT} Silk/107 like Chrome Safari",
        f"Mozilla/5.0 (Linux; Android 11; BRAVIA 4K VH2) {WEBKIT} Chrome/100.0 Safari/537.36",
        "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) "
        "Version/13.0 Safari/605.1.15",
        f"Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) {WEBKIT} Chrome/90.0 Edge/44.1",
        "nonsense",
    ),
}
CASES = [(agent, device) for device, agents in AGENTS.items() for agent in agents]


@pytest.mark.parametrize(("agent", "device"), CASES)
def test_class(agent: str, device: DeviceClass) -> None:
    assert classify(agent) is device
    assert DeviceClasses(lambda: True).of(agent) is device


@given(st.text() | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape")))
def test_anything_has_a_class(text: str) -> None:
    devices = DeviceClasses(lambda: True)
    found = devices.of(text)
    assert found in DeviceClass
    # As it stands in the head of the request.
    assert devices.known(text.encode("utf-8", "surrogateescape")) is found


def test_is_known_once_it_was_asked() -> None:
    parsed: list[None] = []

    def may_parse() -> bool:
        parsed.append(None)
        return True

    devices = DeviceClasses(may_parse)
    assert devices.known(b"Twitterbot/1.0") is None
    for _ in range(3):
        assert devices.of("Twitterbot/1.0") is DeviceClass.BOT
        assert devices.known(b"Twitterbot/1.0") is DeviceClass.BOT
    assert len(parsed) == 1


def test_beyond_the_budget_it_is_other_for_now() -> None:
    allowed = [False, True]
    devices = DeviceClasses(lambda: allowed.pop(0))
    assert devices.of("Twitterbot/1.0") is DeviceClass.OTHER
    assert devices.known(b"Twitterbot/1.0") is None
    assert devices.of("Twitterbot/1.0") is DeviceClass.BOT


def test_distinct_long_agents_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(text: str) -> DeviceClass:
        seen.append(len(text))
        return DeviceClass.OTHER

    monkeypatch.setattr("proxy.http.device_class.classify", counted)
    devices = DeviceClasses(lambda: True)
    for number in range(3 * MAX_REMEMBERED):
        devices.of(f"{number} " + "x" * 5000)
    assert max(seen) == MAX_LENGTH
    kept = [*devices._known._young, *devices._known._old]
    assert len(kept) <= MAX_REMEMBERED
    assert all(isinstance(key, bytes) and len(key) <= 4 * MAX_LENGTH for key in kept)
    # One text, one class, whatever stands behind what is read of it.
    devices.of("y" * MAX_LENGTH + "1")
    assert devices.known(b"y" * MAX_LENGTH + b"2") is DeviceClass.OTHER


CHROME = f"{WEBKIT} Chrome/###.0.0.0 Safari/537.36"
USUAL = (
    *(
        f"Mozilla/5.0 ({system}) {CHROME}{edge}"
        for system in (
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10_15_7",
            "X11; Linux x86_64",
        )
        for edge in ("", " Edg/###.0.0.0")
    ),
    f"Mozilla/5.0 (Linux; Android 10; K) {WEBKIT} Chrome/###.0.0.0 Mobile Safari/537.36",
    *(
        f"Mozilla/5.0 ({system}; rv:###.0) Gecko/20100101 Firefox/###.0"
        for system in (
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10.15",
            "X11; Linux x86_64",
        )
    ),
    f"{MAC} {IOS} Version/##.# Safari/605.1.15",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS ##_# like Mac OS X) {IOS} Version/##.# Mobile/15E148 "
    "Safari/604.1",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS ##_#_# like Mac OS X) {IOS} Version/##.# Mobile/15E148 "
    "Safari/604.1",
)


@given(st.sampled_from(USUAL), st.lists(st.sampled_from("123456789"), min_size=8))
def test_what_most_browsers_send_is_told_as_ua_parser_does(form: str, digits: list[str]) -> None:
    agent = form
    for digit in digits:
        agent = agent.replace("#", digit, 1)
    agent = agent.replace("#", "1")
    assert classify(agent) == parsed_class(agent)


@pytest.mark.parametrize("form", USUAL)
def test_what_most_browsers_send_needs_no_parser(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.http.device_class.parsed_class", lambda agent: DeviceClass.OTHER)
    assert classify(form.replace("#", "1")) in {
        DeviceClass.DESKTOP,
        DeviceClass.PHONE,
    }


@given(st.sampled_from(USUAL), st.integers(0, 200), st.text(max_size=3))
def test_what_is_nearly_usual_is_told_as_ua_parser_does(form: str, at: int, more: str) -> None:
    agent = form.replace("#", "1")
    agent = agent[:at] + more + agent[at:]
    assert classify(agent) == parsed_class(agent)
