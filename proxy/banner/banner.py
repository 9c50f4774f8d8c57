"""The markup of the banner, the link at the end of each page, and the preferences page.

The same arguments give the same bytes: no nonces, no random ids. Markup for pages of the site is
valid wherever flow content is, has no `style` or `on*` attribute, and uses ids and classes that
start with `yc`, which neither the page's rules nor content blockers match.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache, lru_cache

import jinja2
from markupsafe import Markup, escape

from consent_rules.categories import Audience, Category
from consent_rules.config.theme import Theme
from proxy.banner.assets import AssetKind, assets
from proxy.banner.return_path import preferences_url, safe_return_to
from proxy.banner.static_files import static_root
from proxy.banner.texts import Texts
from proxy.banner.views import (
    PREFIX,
    BannerView,
    CategoryView,
    PageState,
    PreferencesView,
    allowed_vendors,
)

# Replaces the return path while a banner is rendered, so that one rendering serves all paths.
_PATH = "/\ue000path"


def safe_url(url: str) -> str:
    """The URL if it is a page's (http, https, or a path of this site); else ""."""
    if url.startswith(("https://", "http://")):
        return url
    return url if url.startswith("/") and not url.startswith(("//", "/\\")) else ""


@cache
def environment() -> jinja2.Environment:
    """The templates, compiled once. A missing name is an error, never an empty string."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(static_root() / "banner"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=False,
        auto_reload=False,
    )
    found.filters["safe_url"] = safe_url
    return found


def head_html(
    theme: Theme,
    state: PageState,
    texts: Texts,
    *,
    prefix: str = PREFIX,
    placeholders: bool = False,
    save_form: bool = False,
) -> str:
    """The style and the script for the page's head. Neither blocks rendering nor loads anything.

    `placeholders` adds the assets of pages with closed embeds, `save_form` the script that saves
    form fields when one of them is opened (never on patient pages).
    """
    kinds = head_kinds(state.decided, placeholders=placeholders, save_form=save_form)
    return _head(theme, state, kinds, prefix, texts.lang)


def head_kinds(decided: bool, *, placeholders: bool, save_form: bool) -> tuple[AssetKind, ...]:
    """The kinds of assets that `head_html` adds to a page."""
    kinds = [AssetKind.DECIDED if decided else AssetKind.UNDECIDED]
    kinds += [AssetKind.PLACEHOLDER] if placeholders else []
    kinds += [AssetKind.SAVE_FORM] if save_form else []
    return tuple(kinds)


@lru_cache(maxsize=512)
def _head(
    theme: Theme, state: PageState, kinds: tuple[AssetKind, ...], prefix: str, lang: str
) -> str:
    found, *more = (assets(theme, kind) for kind in kinds)
    style = "".join(f"<style>{one.style}</style>" for one in (found, *more) if one.style)
    rest = "".join(f"<script>{one.script}</script>" for one in more if one.script)
    known = {
        "decided": state.decided,
        "gpc": state.gpc,
        "categories": {Category.NECESSARY: True, **dict.fromkeys(state.on, True),
                       **dict.fromkeys(state.off, False)},
    }  # fmt: skip
    attributes: dict[str, str] = {
        "at": f"{prefix}/",
        "lang": lang,
        "extra": "1" if allowed_vendors(state.exceptions) else "",
    }
    data = "".join(f' data-{k}="{escape(v)}"' for k, v in attributes.items() if v)
    # Our own names only: nothing in it needs to be escaped.
    data += f" data-key=\"{state.key}\" data-state='{json.dumps(known, separators=(',', ':'))}'"
    # The other scripts must get click events before that script stops their propagation.
    return f"{style}{rest}<script{data}>{found.script}</script>"


def banner_html(view: BannerView, texts: Texts) -> str:
    """The banner, for the end of the body. Needs `head_html` of an undecided state."""
    html = _banner(replace(view, return_to=_PATH if view.return_to else ""), texts)
    return _with_path(html, view.return_to)


@lru_cache(maxsize=256)
def _banner(view: BannerView, texts: Texts) -> str:
    return (
        environment()
        .get_template("banner.html")
        .render(
            view=view,
            t=texts,
            sentences=[
                *_sentences(view.categories, texts),
                # An informed choice takes the name of the controller (EDPB guidelines 05/2020, 64).
                texts.say("preferences.controller", controller=view.controller),
            ],
            policy_url=safe_url(view.policy_url),
            preferences_url=preferences_url(view.prefix, view.return_to, lang=texts.lang),
        )
    )


def _with_path(html: str, return_to: str) -> str:
    in_query = preferences_url("", _PATH).rpartition("=")[2]
    own = preferences_url("", return_to).rpartition("=")[2]
    return html.replace(in_query, own).replace(_PATH, str(escape(return_to)))


def _sentences(categories: Sequence[CategoryView], texts: Texts) -> list[str]:
    """The banner's sentences, by the categories that the site uses and their present state."""

    def purposes(on: bool) -> str:
        keys = (f"category.{c.category}.purpose" for c in categories if c.on is on)
        return texts.join([texts[key] for key in keys])

    runtime, context = purposes(True), purposes(False)
    if not runtime:
        return [texts.say("banner.ask", purposes=context), texts["banner.without"]]
    sentences = [texts.say("banner.runs", purposes=runtime)]
    if context:
        sentences.append(texts.say("banner.also_ask", purposes=context))
    return sentences


def link_html(
    texts: Texts,
    return_to: str = "",
    *,
    prefix: str = PREFIX,
    placeholders: bool = False,
    has_banner: bool = True,
    choices: bool = False,
    has_link: bool = False,
) -> str:
    """The "Cookie preferences" link, for the end of the body, before the banner.

    `placeholders` adds the form of their buttons, `has_banner` the element in which the banner
    confirms that it has saved; with `choices` the link is "Your Privacy Choices", with its icon.
    With `has_link` the page has a link of its own, and only what belongs to it is added.
    """
    path = _PATH if return_to else ""
    html = _link(texts, path, prefix, placeholders, has_banner, choices, has_link)
    return _with_path(html, return_to)


@lru_cache(maxsize=256)
def _link(
    texts: Texts,
    return_to: str,
    prefix: str,
    placeholders: bool,
    has_banner: bool,
    choices: bool,
    has_link: bool,
) -> str:
    return (
        environment()
        .get_template("link.html")
        .render(
            t=texts,
            return_to=return_to,
            prefix=prefix,
            placeholders=placeholders,
            has_banner=has_banner,
            choices=choices,
            has_link=has_link,
            preferences_url=preferences_url(prefix, return_to, lang=texts.lang),
        )
    )


def preferences_page(view: PreferencesView, texts: Texts) -> str:
    """The whole preferences page. Its CSP needs the hashes of its assets."""
    found = assets(view.theme, AssetKind.PREFERENCES)
    view = replace(view, return_to=safe_return_to(view.return_to))
    categories = list(view.categories)
    if all(c.category is not Category.NECESSARY for c in categories):
        categories.insert(0, CategoryView(Category.NECESSARY, on=True))
    return (
        environment()
        .get_template("preferences.html")
        .render(
            view=view,
            t=texts,
            categories=categories,
            current=_current(view, texts),
            title=texts["us.choices" if view.opt_out else "preferences.title"],
            patient=view.audience is Audience.PATIENT,
            policy_url=safe_url(view.policy_url),
            contact_url=_contact_url(view.contact),
            style=Markup(found.style),  # noqa: S704 - ours
            script=Markup(found.script),  # noqa: S704 - ours
        )
    )


def _contact_url(contact: str) -> str:
    return f"mailto:{contact}" if "@" in contact and "/" not in contact else safe_url(contact)


def _current(view: PreferencesView, texts: Texts) -> str:
    if view.chosen_on is None:
        return texts["preferences.not_chosen"]
    day = texts.date(view.chosen_on)
    titles: dict[bool, list[str]] = {True: [], False: []}
    for c in view.categories:
        if c.category is not Category.NECESSARY:
            # A category that the browser's signal closes was not refused: its card says so.
            titles[c.on or c.held_by_gpc].append(texts[f"category.{c.category}.title"])
    if not titles[True]:
        return texts.say("preferences.refused_all", date=day)
    if not titles[False]:
        return texts.say("preferences.allowed_all", date=day)
    return texts.say(
        "preferences.mixed",
        date=day,
        allowed=texts.join(titles[True]),
        refused=texts.join(titles[False]),
    )
