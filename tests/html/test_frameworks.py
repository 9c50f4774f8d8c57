"""Pages that a framework hydrates: how they are told, and what is closed on them."""

from __future__ import annotations

import time

import pytest

from proxy.html.frameworks import Hydration, hydration_of
from tests.html.pipeline import closed, compiled


@pytest.mark.parametrize(
    ("body", "hydration"),
    [
        (b"<script>self.__next_f.push([1])</script>", Hydration.PART),
        (b'<script id="__NEXT_DATA__" type="application/json">{}</script>', Hydration.PART),
        (b"<script>window.__NUXT__={}</script>", Hydration.PART),
        (b"<div id=app><!--[--><p>a</p><!--]--></div>", Hydration.PART),
        (b"<astro-island></astro-island>", Hydration.PART),
        (b"<script>__sveltekit_1 = {}</script>", Hydration.PART),
        (b"<main><!--$--><p>a</p><!--/$--></main>", Hydration.PART),
        (b"<p>Page <!-- -->2</p>", Hydration.PART),
        (b"<script>window.__reactRouterContext = {}</script>", Hydration.WHOLE),
        (b"<script>window.__remixContext = {}</script>", Hydration.WHOLE),
        (b"<link rel=modulepreload href=/assets/entry.client-x.js>", Hydration.WHOLE),
        (b"<!-- --><p>a</p>\n<!-- -->\n", Hydration.NONE),
        (b"<p>a</p><!-- $ --><script>next()</script>", Hydration.NONE),
        (b"<SCRIPT>window.__NUXT__={}</SCRIPT>", Hydration.PART),
        (b'<script id=x>a("<p>");window.__remixContext = {}', Hydration.WHOLE),
        (b'<script type=module>import "/assets/entry.client-x.js"</script>', Hydration.WHOLE),
        (b"<img alt='a > b' src=/_next/static/media/a.png>", Hydration.PART),
        (b"<script>/* <!-- */ window.__remixContext = {}</script>", Hydration.WHOLE),
        (b"<p>__NUXT</p><script>window.__NUXT__={}</script>", Hydration.PART),
        (b"<script>__NUXT</script><p>x</p><script>__remixContext</script>", Hydration.WHOLE),
    ],
)
def test_a_framework_is_told_by_its_marks(body: bytes, hydration: Hydration) -> None:
    assert hydration_of(body) is hydration
    assert compiled(body).hydration is hydration


MARKS = (
    b"__reactRouter", b"__remixContext", b"entry.client-", b"__next_f", b"__NEXT_DATA__",
    b"/_next/static/", b"__NUXT", b"__sveltekit", b"__docusaurus", b"___gatsby",
    b"ng-server-context", b"q:container", b"data-reactroot", b"data-server-rendered", b"data-hk=",
)  # fmt: skip
TEXTS = (
    b"<p>%b</p>",
    b"<!-- %b -->",
    b"<!-- <script>%b</script> <img src=%b> -->",
    b"<pre>&lt;script>%b&lt;/script></pre>",
    b"<script>1</script><p>%b</p><script>2</script>",
    b'<script type="application/ld+json">{"articleBody": "%b"}</script>',
    b"<script type=text/template><p %b></script>",
    b"<a href='/docs/%b'>docs</a>",
    b"<p><br>a < b %b > c</p>",
)
"""Where a page speaks of a framework, and is none of its own."""


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("mark", MARKS)
def test_a_name_in_a_text_is_no_mark(mark: bytes, text: bytes) -> None:
    body = text.replace(b"%b", mark) + b"<!-- <!--$--><!-- <astro-island> --><!-- a<!-- -->b"
    assert hydration_of(body) is Hydration.NONE


def test_a_page_that_repeats_a_name_is_read_once() -> None:
    body = b"<p>__remixContext</p>" * 20_000
    started = time.perf_counter()
    assert hydration_of(body) is Hydration.NONE
    assert time.perf_counter() - started < 2.0


def test_the_text_of_a_closed_script_stays_where_a_framework_may_compare_it() -> None:
    script = b"<script>pixelq(1)</script>"
    inert = b"<script type=application/consent-closed>"
    assert closed(script) == inert + b"</script>"
    mark = b"<p>Page <!-- -->2</p>"
    assert closed(mark + script) == mark + inert + b"pixelq(1)</script>"


def test_what_a_script_would_fill_holds_no_placeholder_where_a_framework_counts_children() -> None:
    holder = b'<div data-src="//video.test/e"></div>'
    mark = b"<p>Page <!-- -->2</p>"
    found = compiled(holder).gates
    assert [gate.embed is not None for gate in found if gate.embed] == [True]
    assert not [gate for gate in compiled(mark + holder).gates if gate.embed]
    assert closed(mark + holder) == mark + b'<div data-src=""></div>'


def test_attributes_that_are_no_part_of_what_is_closed_keep_their_own_gates() -> None:
    page = (
        b'<iframe src=//video.test/e style="background:url(//pixel.test/a)" id=yc '
        b'srcdoc="<img src=//pixel.test/b>" sandbox="allow-scripts"></iframe>'
        b'<script src=//pixel.test/c style="background:url(//pixel.test/d)"></script>'
    )
    shown = closed(page)
    assert b"pixel.test" not in shown and b"video.test" not in shown
    assert b"id=yc" not in shown
