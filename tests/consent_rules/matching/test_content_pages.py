"""Which page shows what a frame would have shown."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.matching.content_pages import content_page


@pytest.mark.parametrize(
    ("frame", "page"),
    [
        ("https://www.youtube.com/embed/aqz-KE-bpKQ", "https://www.youtube.com/watch?v=aqz-KE-bpKQ"),
        ("https://www.youtube-nocookie.com/embed/a_b?rel=0&visitor=17", "https://www.youtube.com/watch?v=a_b"),
        ("https://youtube.com/embed/x/", "https://www.youtube.com/watch?v=x"),
        ("https://www.youtube.com/embed/videoseries?list=PL1", "https://www.youtube.com/playlist?list=PL1"),
        ("https://player.vimeo.com/video/76979871?h=8272103f6e", "https://vimeo.com/76979871"),
        ("https://www.dailymotion.com/embed/video/x7", "https://www.dailymotion.com/video/x7"),
        ("https://geo.dailymotion.com/player.html?video=x7", "https://www.dailymotion.com/video/x7"),
        ("https://open.spotify.com/embed/episode/7mak", "https://open.spotify.com/episode/7mak"),
        ("https://embed.podcasts.apple.com/us/podcast/the-daily/id120", "https://podcasts.apple.com/us/podcast/the-daily/id120"),
        ("https://www.google.com/maps/embed/v1/place?key=K&q=Space+Needle,Seattle", "https://www.google.com/maps/search/?api=1&query=Space%20Needle%2CSeattle"),
        ("https://maps.google.de/maps?q=Ulm&output=embed", "https://www.google.com/maps/search/?api=1&query=Ulm"),
        ("https://www.openstreetmap.org/export/embed.html?bbox=1,2,3,4&marker=51.5,-0.1", "https://www.openstreetmap.org/?mlat=51.5&mlon=-0.1"),
        # What names no content, or is no such frame.
        ("https://www.google.com/maps/embed?pb=!1m18!1m12", ""),
        ("https://www.youtube.com/embed/", ""),
        ("https://www.youtube.com/embed/a b", ""),
        ("https://www.youtube.com/embed/a\nb%22%3E", ""),
        ("https://www.youtube.com.evil.example/embed/a", ""),
        ("https://evil-youtube.com/embed/a", ""),
        ("javascript:alert(1)//www.youtube.com/embed/a", ""),
        ("https://www.openstreetmap.org/export/embed.html?marker=a,b", ""),
        ("https://www.openstreetmap.org/export/embed.html", ""),
        ("https://nobody.example/embed/a", ""),
        ("https://[::1", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_pages(frame: str, page: str) -> None:
    assert content_page(frame) == page


HOSTS = st.sampled_from(
    ["www.youtube.com", "player.vimeo.com", "open.spotify.com", "www.google.com", "maps.google.fr",
     "embed.podcasts.apple.com", "player.twitch.tv", "www.openstreetmap.org"]
)  # fmt: skip
PATHS = st.sampled_from(
    ["/embed/", "/video/", "/maps", "/maps/embed/v1/place", "/embed/track/", "/export/embed.html"]
)


@given(HOSTS, PATHS, st.text(max_size=30), st.text(max_size=30))
def test_whatever_the_address_says_the_page_is_the_vendors_own(
    host: str, path: str, rest: str, value: str
) -> None:
    for name in ("q", "list", "channel", "marker", "video"):
        page = content_page(f"https://{host}{path}{rest}?{name}={value}")
        if page:
            parts = urlsplit(page)
            assert parts.scheme == "https"
            assert parts.hostname is not None
            assert parts.hostname.split(".")[-2] in host or parts.hostname == "vimeo.com"
            assert not set(page) & set("\"'<>\\ \n\t")
