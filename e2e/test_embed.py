"""A closed video leaves a placeholder of its size; an open one plays."""

from __future__ import annotations

import pytest

from consent_rules.catalogue.load import catalogue
from e2e.approved import VIDEO, vendors_of
from e2e.conftest import NewVisitor
from e2e.site import EVERY_VENDOR
from e2e.visitor import Visitor, until

BOX = ".video > *"


def size_of_video(visitor: Visitor) -> tuple[float, float]:
    box = visitor.page.locator(BOX).first.bounding_box()
    assert box is not None
    return box["width"], box["height"]


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("javascript", [True, False])
def test_placeholder_has_the_size_of_the_video(
    new_visitor: NewVisitor, width: int, javascript: bool
) -> None:
    visitor = new_visitor(viewport={"width": width, "height": 800}, java_script_enabled=javascript)
    visitor.open_origin(EVERY_VENDOR)
    real = size_of_video(visitor)
    assert visitor.fired() >= {VIDEO}
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    assert size_of_video(visitor) == pytest.approx(real, abs=1)
    assert visitor.fired() == set()
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_placeholder_says_whose_video_it_is(visitor: Visitor) -> None:
    visitor.open(EVERY_VENDOR)
    assert catalogue()[VIDEO].name in visitor.placeholder.locator("body").inner_text()


def test_video_loads_when_allowed(visitor: Visitor) -> None:
    visitor.choose([catalogue()[VIDEO].category])
    visitor.forget()
    visitor.open(EVERY_VENDOR)
    until(lambda: VIDEO in visitor.fired(), "the video loads")
    frame = next(f for f in visitor.page.frames if "/embed/" in f.url)
    assert "Reading a denial" in frame.inner_text("body")
    assert visitor.fired() == vendors_of([catalogue()[VIDEO].category])


@pytest.mark.parametrize("javascript", [True, False])
def test_allowing_the_video_alone_opens_nothing_else(
    new_visitor: NewVisitor, javascript: bool
) -> None:
    visitor = new_visitor(java_script_enabled=javascript)
    visitor.open(EVERY_VENDOR)
    visitor.reject_all()
    visitor.allow_vendor(catalogue()[VIDEO].name)
    assert visitor.page.url.partition("#")[0] == visitor.demo.url(EVERY_VENDOR)
    until(lambda: VIDEO in visitor.fired(), "the video loads")
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    until(lambda: VIDEO in visitor.fired(), "the video loads again")
    assert visitor.fired() == {VIDEO}


@pytest.mark.parametrize("javascript", [True, False])
def test_loading_the_video_once_is_no_choice(new_visitor: NewVisitor, javascript: bool) -> None:
    visitor = new_visitor(java_script_enabled=javascript)
    visitor.open(EVERY_VENDOR)
    visitor.load_once()
    until(lambda: VIDEO in visitor.fired(), "the video loads")
    assert visitor.fired() == {VIDEO}
    visitor.leave()
    visitor.open(EVERY_VENDOR)
    assert visitor.fired() == set()
    assert visitor.placeholder.get_by_role("button", name="Load once").is_visible()


def test_video_is_approved_below_the_blog_only(visitor: Visitor) -> None:
    visitor.open("/")
    visitor.accept_all()
    visitor.forget()
    home, post = visitor.open("/"), visitor.open(EVERY_VENDOR)
    assert "youtube.localhost" not in home.all_headers().get("content-security-policy", "")
    assert "youtube.localhost" in post.all_headers().get("content-security-policy", "")
