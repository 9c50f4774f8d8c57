"""Parse the form that the banner, the preferences page and the placeholders send.

Fields: `action` = accept_all | reject_all | save | opt_out | limit | vendor:<id> | once:<id>;
`category` repeated; `vendor` repeated (exceptions to yes), `vendor_off` repeated (exceptions to
no); `return_to`; `source` = banner | preferences | placeholder.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, cast

from consent_rules.categories import Category
from proxy.banner.return_path import safe_return_to

_NO_EXCEPTIONS: Mapping[str, bool] = MappingProxyType({})
_AGAIN = "Please open the preferences page and choose again."


class Action(StrEnum):
    """The button that the visitor pressed."""

    ACCEPT_ALL = "accept_all"
    REJECT_ALL = "reject_all"
    SAVE = "save"
    VENDOR = "vendor"
    ONCE = "once"
    OPT_OUT = "opt_out"
    LIMIT = "limit"


class ChoiceSurface(StrEnum):
    """The surface on which the visitor pressed it."""

    BANNER = "banner"
    PREFERENCES = "preferences"
    PLACEHOLDER = "placeholder"


class ChoiceError(ValueError):
    """An invalid form. The message is a sentence for the visitor."""


class MultiForm(Protocol):
    """A form with repeated fields: aiohttp's MultiDict is one."""

    def getall(self, key: str, default: list[str], /) -> list[str]: ...


Form = MultiForm | Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a form asks for.

    ACCEPT_ALL, REJECT_ALL and SAVE replace the visitor's earlier choice. VENDOR only adds
    `vendors` to it, OPT_OUT takes sale and sharing out of what holds, LIMIT what may tell of
    someone's health, ONCE is for the next page alone: their `allowed` is empty and means nothing.
    `vendors` holds exceptions only: an id is True where its category was refused and False
    where it was allowed.
    """

    action: Action
    allowed: frozenset[Category] = frozenset()
    vendors: Mapping[str, bool] = field(default_factory=lambda: _NO_EXCEPTIONS)
    return_to: str = "/"
    origin: ChoiceSurface = ChoiceSurface.BANNER


def parse_choice(
    form: Form, vendors: Mapping[str, Category], categories: Collection[Category]
) -> Choice:
    """Read a form. `vendors` are the site's, id -> category; `categories` the choosable ones.

    Raises ChoiceError for a missing or doubled action and for names that the site does not
    have: a choice that we cannot read in full must not be stored in part.
    """
    actions = _all(form, "action")
    if len(actions) != 1:
        raise ChoiceError(f"The form must carry one action, not {len(actions)}. {_AGAIN}")
    return_to = safe_return_to(next(iter(_all(form, "return_to")), None))
    origin = _origin(_all(form, "source"))
    action, _, vendor_id = actions[0].partition(":")
    if action in {Action.VENDOR, Action.ONCE}:
        if vendor_id not in vendors:
            raise ChoiceError(f"This site has no tool called {vendor_id[:60]!r}. {_AGAIN}")
        only = MappingProxyType({vendor_id: True})
        return Choice(Action(action), frozenset(), only, return_to, ChoiceSurface.PLACEHOLDER)
    if actions[0] == Action.ACCEPT_ALL:
        return Choice(Action.ACCEPT_ALL, frozenset(categories), _NO_EXCEPTIONS, return_to, origin)
    if actions[0] == Action.REJECT_ALL:
        return Choice(Action.REJECT_ALL, frozenset(), _NO_EXCEPTIONS, return_to, origin)
    if actions[0] in {Action.OPT_OUT, Action.LIMIT}:
        return Choice(Action(actions[0]), frozenset(), _NO_EXCEPTIONS, return_to, origin)
    if actions[0] != Action.SAVE:
        raise ChoiceError(f"The form's action {actions[0][:60]!r} is not known. {_AGAIN}")
    allowed = _categories(_all(form, "category"), categories)
    exceptions = _exceptions(form, vendors, allowed)
    return Choice(Action.SAVE, allowed, exceptions, return_to, origin)


def _all(form: Form, key: str) -> list[str]:
    getall = getattr(form, "getall", None)
    if getall is not None:
        values: Sequence[object] = getall(key, [])
    else:
        value = cast("Mapping[str, str | Sequence[str]]", form).get(key, ())
        values = [value] if isinstance(value, str) else value
    # A file upload may stand where a text was expected.
    return [v for v in values if isinstance(v, str)]


def _origin(values: Sequence[str]) -> ChoiceSurface:
    known = [o for o in ChoiceSurface if o in values]
    return known[0] if known else ChoiceSurface.BANNER


def _categories(names: Sequence[str], categories: Collection[Category]) -> frozenset[Category]:
    by_name = {str(c): c for c in categories}
    # `necessary` needs no choice: saying yes to it changes nothing.
    unknown = [n for n in names if n not in by_name and n != Category.NECESSARY]
    if unknown:
        raise ChoiceError(f"This site has no category called {unknown[0][:60]!r}. {_AGAIN}")
    return frozenset(by_name[n] for n in names if n in by_name)


def _exceptions(
    form: Form, vendors: Mapping[str, Category], allowed: Collection[Category]
) -> Mapping[str, bool]:
    """Vendor exceptions to their categories. The page has both boxes for each vendor and shows the
    one that contradicts its category, so a ticked box that agrees with the category is no
    exception.
    """
    found: dict[str, bool] = {}
    for name, yes in (("vendor", True), ("vendor_off", False)):
        for vendor_id in _all(form, name):
            category = vendors.get(vendor_id)
            if category is None:
                raise ChoiceError(f"This site has no tool called {vendor_id[:60]!r}. {_AGAIN}")
            if category is not Category.NECESSARY and (category in allowed) is not yes:
                found[vendor_id] = yes
    return MappingProxyType(found)
