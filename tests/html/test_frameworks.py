"""Pages that a framework hydrates: how they are told, and what is closed on them."""

from __future__ import annotations

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
    ],
)
def test_a_framework_is_told_by_its_marks(body: bytes, hydration: Hydration) -> None:
    assert hydration_of(body) is hydration
    assert compiled(body).hydration is hydration


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
