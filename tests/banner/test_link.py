"""A link to the preferences in the site's own markup takes the place of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.site import proxied, reply

MARKED = b'<a class="quiet" href="/.consent/preferences" data-consent-link>My choices</a>'
OURS = b'<section id="yc-l"'
VIDEO = b'<iframe src="https://www.youtube.com/embed/x"></iframe>'


def page(markup: bytes, head: bytes = b"") -> bytes:
    return b"<!doctype html><html lang=en><head>%s<title>P</title></head><body>%s</body></html>" % (
        head,
        markup,
    )


@pytest.mark.parametrize("decided", [True, False])
@pytest.mark.parametrize(
    "markup",
    [
        b"<footer>" + MARKED + b"</footer>",
        b"<div><p>" + MARKED + b" " + MARKED + b"</p></div>",
        b"<main>text</main><nav>" + MARKED + b"</nav>" + VIDEO,
        b"<noscript><p>x</p></noscript><footer>" + MARKED + b"</footer>",
    ],
)
async def test_it_is_left_as_it_is_and_ours_is_left_out(
    tmp_path: Path, markup: bytes, decided: bool
) -> None:
    async with proxied(tmp_path, {"p": reply(page(markup))}) as site:
        answer = await site.ask("/p", cookie=site.cookie() if decided else "")
    assert markup.count(MARKED) == answer.body.count(MARKED)
    assert OURS not in answer.body
    # What else stood there does still: where the banner says that it has saved, and the
    # placeholders' form.
    assert (b'id="yc-s"' in answer.body) is not decided
    assert (b'id="yc-o"' in answer.body) is (VIDEO in markup)


async def test_it_may_name_a_language(tmp_path: Path) -> None:
    marked = MARKED.replace(b"/preferences", b"/preferences?lang=de")
    async with proxied(tmp_path, {"p": reply(page(marked))}) as site:
        answer = await site.ask("/p")
    assert marked in answer.body
    assert OURS not in answer.body


@pytest.mark.parametrize(
    "markup",
    [
        b"<p>data-consent-link</p>",
        MARKED.replace(b" data-consent-link", b""),
        MARKED.replace(b"/.consent/preferences", b"/elsewhere"),
        MARKED.replace(b'href="', b'href="https://elsewhere.example'),
        MARKED.replace(b"<a", b"<span").replace(b"</a", b"</span"),
        MARKED.replace(b"<a", b"<a hidden"),
        MARKED.replace(b"<a", b'<a style="display:none"'),
        b"<div aria-hidden=true>" + MARKED + b"</div>",
        b"<template>" + MARKED + b"</template>",
        b"<noscript>" + MARKED + b"</noscript>",
        b"<!-- " + MARKED + b" -->",
        # Visitors write here.
        b"<main>" + MARKED + b"</main>",
        b"<article><footer>" + MARKED + b"</footer></article>",
        b"<svg>" + MARKED.replace(b"data-consent-link", b"data-consent-link x=y") + b"</svg>",
    ],
)
async def test_what_does_not_count(tmp_path: Path, markup: bytes) -> None:
    async with proxied(tmp_path, {"p": reply(page(markup))}) as site:
        answer = await site.ask("/p")
    assert answer.body.count(OURS) == 1


async def test_a_base_may_lead_it_elsewhere(tmp_path: Path) -> None:
    head = b'<base href="http://www.example.com:81/">'
    async with proxied(tmp_path, {"p": reply(page(MARKED, head))}) as site:
        assert OURS in (await site.ask("/p")).body


async def test_the_prefix_is_the_configs(tmp_path: Path) -> None:
    def change(text: str) -> str:
        return text.replace("[proxy]\n", '[proxy]\nprefix = "/.choice"\n', 1)

    own = MARKED.replace(b".consent", b".choice")
    pages = {"p": reply(page(own)), "q": reply(page(MARKED))}
    async with proxied(tmp_path, pages, change=change) as site:
        assert OURS not in (await site.ask("/p")).body
        assert OURS in (await site.ask("/q")).body


async def test_where_a_law_says_how_the_link_looks_ours_is_there_too(tmp_path: Path) -> None:
    async with proxied(tmp_path, {"p": reply(page(MARKED))}) as site:
        california = await site.ask("/p", "X-Country: US-CA")
        elsewhere = await site.ask("/p", "X-Country: DE")
    assert b"Your Privacy Choices" in california.body
    assert OURS not in elsewhere.body


async def test_a_page_that_gains_or_loses_the_mark(tmp_path: Path) -> None:
    """One of the same address that differs by little is compiled by its difference."""
    filler = b"<p>words</p>" * 200
    async with proxied(tmp_path, {"p": reply(page(filler + b"<p>a</p>"))}) as site:
        for markup in (b"<p>a</p>", MARKED, b"<p>b</p>", MARKED + b"<p>c</p>"):
            site.pages["/p"] = reply(page(filler + markup))
            answer = await site.ask("/p")
            assert (OURS in answer.body) is (MARKED not in markup), markup
