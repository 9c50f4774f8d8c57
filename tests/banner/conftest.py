"""Views to render, in each language and in English."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from proxy.banner.texts import Texts, languages
from proxy.banner.views import CategoryView
from tests.support.host_page import banner_categories
from tests.support.host_page import host_page as page_with_markup


@pytest.fixture
def categories() -> Callable[..., tuple[CategoryView, ...]]:
    return banner_categories


@pytest.fixture(params=sorted(languages()))
def texts(request: pytest.FixtureRequest) -> Texts:
    return languages()[request.param]


@pytest.fixture
def english() -> Texts:
    return languages()["en"]


@pytest.fixture
def host_page() -> Callable[..., str]:
    return page_with_markup
