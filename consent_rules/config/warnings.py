"""Warnings: risks of a valid config, for marketing and privacy officers."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping

from consent_rules.categories import SALE_OR_SHARING, Audience, Category
from consent_rules.config.models import Config, Sensor, Site, Tag, VendorTable
from consent_rules.config.problems import Problem
from consent_rules.config.theme import contrast_warning
from consent_rules.config.toml.positions import Path
from consent_rules.config.values import is_loopback, split_address
from consent_rules.decision import may_act_for_patients
from consent_rules.matching.hosts import HostClaims
from consent_rules.matching.paths import path_covers, paths_overlap
from consent_rules.matching.shared_hosts import narrower_pattern, shared_host_of
from consent_rules.regions import region_laws
from consent_rules.vendors import BaaOffer, Vendor
from consent_rules.wording import category_words, counted, quoted

EXPIRES_SOON_DAYS = 30
LONG_MEMORY_DAYS = 365

_STRICTNESS = {
    Category.NECESSARY: 0,
    Category.FUNCTIONAL: 1,
    Category.ANALYTICS: 2,
    Category.SESSION_REPLAY: 3,
    Category.ADVERTISING: 3,
    Category.SOCIAL: 3,
}


def lint(
    config: Config,
    catalogue: Mapping[str, Vendor],
    vendors: Mapping[str, Vendor],
    *,
    today: datetime.date,
) -> Iterator[Problem]:
    """Every risk of a valid config, as warnings. Positions are paths of the config file.

    `vendors` are the catalogue's with those of the config laid over them.
    """
    yield from _proxy(config)
    yield from _policy(config)
    yield from _theme(config)
    yield from _sites(config, catalogue)
    yield from _tags(config, vendors, today)
    yield from _vendors(config, catalogue)


def _warning(path: Path, message: str) -> Problem:
    return Problem(path, message, "warning")


def _proxy(config: Config) -> Iterator[Problem]:
    host, _ = split_address(config.proxy.admin_listen)
    if not is_loopback(host) and not host.startswith("unix:"):
        yield _warning(
            ("proxy", "admin_listen"),
            f"admin_listen: {quoted(config.proxy.admin_listen)} can be reached from other "
            "machines; metrics and dashboard are not for the public. Keep it behind a firewall, "
            'or listen on "127.0.0.1"',
        )
    for index, network in enumerate(config.proxy.trusted_proxies):
        if network.prefixlen == 0:
            yield _warning(
                ("proxy", "trusted_proxies", index),
                f'trusted_proxies: "{network}" trusts everyone: any visitor could claim any '
                "region and address. Name the networks of your own proxies",
            )


def _policy(config: Config) -> Iterator[Problem]:
    policy = config.policy
    if policy.url is None:
        yield _warning(
            ("policy",),
            "[policy] has no url: the banner cannot link to the privacy policy; "
            'add url = "/privacy"',
        )
    if policy.max_age_days > LONG_MEMORY_DAYS:
        yield _warning(
            ("policy", "max_age_days"),
            f"max_age_days: {counted(policy.max_age_days, 'day')} is more than a year; "
            "regulators advise to ask again after 6 to 13 months",
        )
    source = policy.region_from
    headers = [
        (key, header)
        for key, header in (
            ("country_header", source.country_header),
            ("region_header", source.region_header),
        )
        if header is not None
    ]
    if not config.proxy.trusted_proxies:
        for key, header in headers:
            yield _warning(
                ("policy", "region_from", key),
                f'{key}: "{header}" never counts, since [proxy] trusted_proxies is empty; '
                "list the networks of the proxy that sets it",
            )
    if policy.regions and not headers and source.database is None:
        yield _warning(
            ("policy", "region"),
            "the [[policy.region]] rules never apply: the visitor's region is not known; "
            "add [policy.region_from]",
        )
    if source.database is None and source.region_header is None:
        yield from _states_not_known(config)
    parts = any("-" in region for rule in policy.regions for region in rule.regions)
    if parts and headers and source.region_header is None and source.database is None:
        yield _warning(
            ("policy", "region_from"),
            "a rule names a part of a country, but only the country is known; "
            'add region_header = "CF-Region-Code" or what your proxy calls it',
        )


def _states_not_known(config: Config) -> Iterator[Problem]:
    """A rule for a whole country, where the law of some of its states requires more."""
    source = config.policy.region_from
    if source.country_header is None:
        return
    for number, rule in enumerate(config.policy.regions):
        for index, region in enumerate(rule.regions):
            stricter = [
                law.name
                for code, law in region_laws().items()
                if code.startswith(f"{region}-") and law.regime not in {None, rule.regime}
            ]
            if stricter:
                yield _warning(
                    ("policy", "region", number, "regions", index),
                    f"regions: {' and '.join(stricter)} ask for consent first, but only the "
                    f"country is known, so {quoted(str(rule.regime))} holds there too; add "
                    'region_header = "CF-Region-Code" or a database to [policy.region_from]',
                )


def _theme(config: Config) -> Iterator[Problem]:
    message = contrast_warning(vars(config.theme))
    if message is not None:
        yield _warning(("theme", "accent_text"), message)


def _sites(config: Config, catalogue: Mapping[str, Vendor]) -> Iterator[Problem]:
    shared = HostClaims(
        (path.partition("/")[0], vendor.id)
        for vendor in catalogue.values()
        for path in vendor.paths
        if not path.startswith("/")
    )
    for number, site in enumerate(config.sites):
        here: Path = ("site", number)
        if site.mode == "observe" and _has_patient_pages(site):
            yield _warning(
                (*here, "mode"),
                f"mode: {quoted(site.name)} has patient pages. They are enforced all the same, but "
                "on every other page trackers run unasked, also for patients on their way there",
            )
        if site.maintenance:
            yield _warning(
                (*here, "maintenance"),
                f"maintenance: every page of {quoted(site.name)} is the maintenance page (503) "
                "until this is false or removed",
            )
        for index, upstream in enumerate(site.upstream):
            if upstream.startswith("http://") and not is_loopback(_host_of(upstream)):
                yield _warning(
                    (*here, "upstream", index),
                    f"upstream: {quoted(upstream)} is reached without encryption; whoever is on "
                    'the way can read and change pages. Use "https://" or a private network',
                )
        yield from _sensors(here, site)
        yield from _page_rules(here, site)
        for index, rule in enumerate(site.pages):
            if rule.audience is Audience.MARKETING:
                yield _warning(
                    (*here, "page", index),
                    '[[site.page]] with audience = "marketing" changes nothing: the stricter '
                    "audience always wins",
                )
        for index, host in enumerate(site.first_party):
            owners = tuple(dict.fromkeys(shared.overlapping(host)))
            if owners:
                names = ", ".join(catalogue[owner].name for owner in owners[:3])
                yield _warning(
                    (*here, "first_party", index),
                    f'first_party: "{host}" also serves {names}, which will escape every choice; '
                    "serve your own files from a host of your own",
                )


def _page_rules(here: Path, site: Site) -> Iterator[Problem]:
    globs = [rule.path for rule in site.pages if rule.path and rule.audience is Audience.PATIENT]
    for index, rule in enumerate(site.pages):
        if rule.path is None or rule.audience is not Audience.PATIENT:
            continue
        path = (*here, "page", index, "path")
        yield from _glob(path, "path", rule.path)
        folder = f"{rule.path.rstrip('/')}/*"
        is_file = "." in rule.path.rpartition("/")[2]
        if site.audience is Audience.PATIENT or "*" in rule.path or rule.path == "/" or is_file:
            continue
        if not any(path_covers(glob.lower(), folder.lower()) for glob in globs):
            yield _warning(
                path,
                f"path: {quoted(rule.path)} is this page alone: what lies below it counts as "
                f'marketing. Write path = "{folder}", which holds for both',
            )


_FRONT_CONTROLLER = re.compile(
    r"/((?:index|default|app|app_dev|main|home)\.(?:php[0-9]?|phtml|aspx?|cgi|pl|jsp|do|cfm))(?=/|\Z)",
    re.IGNORECASE,
)
MAX_STARS = 2


def _glob(path: Path, key: str, glob: str) -> Iterator[Problem]:
    """Frequent misunderstandings of a path pattern."""
    stars = glob.count("*")
    if stars > MAX_STARS:
        yield _warning(
            path,
            f"{key}: {quoted(glob)} has {stars} stars: it is hard to see which pages it names. "
            "Write a pattern for each folder",
        )
    found = _FRONT_CONTROLLER.search(glob)
    if found is not None:
        without = glob.replace(found[0], "", 1) or "/"
        yield _warning(
            path,
            f"{key}: {quoted(glob)} names the front controller {quoted(found[1])}: such a site "
            "mostly serves the same page without it, and a rule without it holds for both. Write "
            f"{quoted(without)}",
        )


def _sensors(here: Path, site: Site) -> Iterator[Problem]:
    if site.patient_permissions and not _has_patient_pages(site):
        yield _warning(
            (*here, "patient_permissions"),
            f"patient_permissions: {quoted(site.name)} has no patient pages, so nothing is opened; "
            "add [[site.page]] rules, or use permissions",
        )
    if Sensor.GEOLOCATION in site.patient_permissions:
        yield _warning(
            (*here, "patient_permissions", site.patient_permissions.index(Sensor.GEOLOCATION)),
            'patient_permissions: "geolocation" lets patient pages ask where a patient is; '
            "precise location is sensitive data. Write down why a page needs it",
        )
    asked = {*site.permissions, *site.patient_permissions}
    if site.webrtc and not {Sensor.CAMERA, Sensor.MICROPHONE} & asked:
        yield _warning(
            (*here, "webrtc"),
            "webrtc: calls are allowed, but no page may ask for the camera or the microphone; add "
            'permissions (or patient_permissions) = ["camera", "microphone"]',
        )


def _tags(config: Config, vendors: Mapping[str, Vendor], today: datetime.date) -> Iterator[Problem]:
    for number, tag in enumerate(config.tags):
        left = (tag.expires - today).days
        if 0 < left <= EXPIRES_SOON_DAYS:
            yield _warning(
                ("tag", number, "expires"),
                f"the tag {quoted(tag.vendor)} expires on {tag.expires}, in "
                f"{counted(left, 'day')}; have it approved again in time, or it closes",
            )
        for index, page in enumerate(tag.pages):
            yield from _glob(("tag", number, "pages", index), "pages", page.removeprefix("!"))
        vendor = vendors.get(tag.vendor)
        if (
            vendor is not None
            and vendor.records_sessions
            and vendor.category is not Category.SESSION_REPLAY
        ):
            yield _warning(
                ("tag", number, "vendor"),
                f"the tag {quoted(tag.vendor)} can record what visitors do and type, but opens "
                f"with {category_words(vendor.category)}, without being asked for as session "
                "replay; switch recording off in it, or write a [[vendor]] with this id and "
                'category = "session_replay"',
            )
        if vendor is not None and vendor.looks and vendor.category is not Category.NECESSARY:
            yield _warning(
                ("tag", number, "vendor"),
                f"the tag {quoted(tag.vendor)}: until a visitor allows "
                f"{category_words(vendor.category)}, pages are without what {vendor.name} serves "
                "of them (style sheets, fonts, scripts or images). Serve these files from the site "
                "itself (public ones with `consent-proxy library add`); else, for what the pages "
                'cannot do without, write a [[vendor]] with this id and category = "necessary"',
            )
    yield from _closed_for_patients(config, vendors)
    yield from _without_agreement(config, vendors)


def _closed_for_patients(config: Config, vendors: Mapping[str, Vendor]) -> Iterator[Problem]:
    """One warning for all tags of advertising that name patient pages of a site."""
    for site in config.sites:
        closed: dict[str, None] = {}
        tags: list[tuple[int, Tag]] = []
        for number, tag in enumerate(config.tags):
            vendor = vendors.get(tag.vendor)
            if vendor is None or site.name not in tag.sites:
                continue
            if SALE_OR_SHARING.isdisjoint({vendor.category, *vendor.serves}):
                continue
            if paths := _patient_paths(tag, site):
                closed |= dict.fromkeys(paths)
                tags.append((number, tag))
        if not tags:
            continue
        number, first = tags[0]
        names = [quoted(tag.vendor) for _, tag in tags]
        more = f" and {len(names) - _NAMED_TAGS} more" if len(names) > _NAMED_TAGS else ""
        many = len(names) > 1
        where = ", ".join(map(quoted, closed))
        without = ", ".join(quoted(f"!{path}") for path in closed)
        yield _warning(
            ("tag", number, "pages") if "pages" in first.model_fields_set else ("tag", number),
            f"the tag{'s' if many else ''} {', '.join(names[:_NAMED_TAGS])}{more} will stay closed "
            f"on {where} of {quoted(site.name)}, which are for patients, whatever the visitor "
            f"chooses; if that is meant, leave them out in pages: {without}",
        )


_NAMED_TAGS = 3


_STOPS = {
    **dict.fromkeys(
        ("recaptcha", "hcaptcha", "turnstile", "friendly-captcha", "mtcaptcha", "geetest"),
        "forms that it guards cannot be sent there",
    ),
    **dict.fromkeys(
        (
            "stripe", "paypal", "braintree", "venmo", "google-pay", "apple-pay", "amazon-pay",
            "square", "adyen", "authorize-net", "cybersource", "checkout-com", "mollie", "klarna",
            "worldpay", "global-payments", "cardconnect", "clover", "instamed", "razorpay",
        ),
        "its payment fields and buttons do not work there",
    ),
}  # fmt: skip
_STOPS_BY_EMBED = {
    "video": "its videos do not play there",
    "map": "its maps are not shown there",
    "form": "its forms are not shown there",
    "chat": "its chat does not open there",
    "calendar": "its appointments cannot be booked there",
}


def _without_agreement(config: Config, vendors: Mapping[str, Vendor]) -> Iterator[Problem]:
    """One warning for a site's necessary and functional tags that stay closed for patients, with
    what stops working.
    """
    for site in config.sites:
        closed: dict[str, None] = {}
        found: list[tuple[int, Tag, Vendor]] = []
        for number, tag in enumerate(config.tags):
            vendor = vendors.get(tag.vendor)
            if vendor is None or tag.baa or site.name not in tag.sites:
                continue
            if may_act_for_patients(vendor, baa=True) and (paths := _patient_paths(tag, site)):
                closed |= dict.fromkeys(paths)
                found.append((number, tag, vendor))
        if not found:
            continue
        number, first, _ = found[0]
        stops = ", ".join(f"{quoted(tag.vendor)} ({_stops(vendor)})" for _, tag, vendor in found)
        without = ", ".join(quoted(f"!{path}") for path in closed)
        yield _warning(
            ("tag", number, "pages") if "pages" in first.model_fields_set else ("tag", number),
            f"on {', '.join(map(quoted, closed))} of {quoted(site.name)}, which are for patients, "
            f"these stay closed without a business associate agreement: {stops}. Set baa = true "
            "where there is one; else give patients another way, and leave the pages out in pages: "
            f"{without}",
        )


def _stops(vendor: Vendor) -> str:
    by_embed = _STOPS_BY_EMBED.get(vendor.embed, "what it does is missing there")
    unsigned = ", and it signs none" if vendor.baa is BaaOffer.NO else ""
    return _STOPS.get(vendor.id, by_embed) + unsigned


def _patient_paths(tag: Tag, site: Site) -> list[str]:
    return [
        rule.path
        for rule in site.pages
        if rule.path is not None
        and rule.audience is Audience.PATIENT
        and any(paths_overlap(page.lower(), rule.path.lower()) for page in tag.named_pages)
        and not any(path_covers(out.lower(), rule.path.lower()) for out in tag.except_pages)
    ]


def _has_patient_pages(site: Site) -> bool:
    return site.audience is Audience.PATIENT or any(
        rule.audience is Audience.PATIENT for rule in site.pages
    )


def _vendors(config: Config, catalogue: Mapping[str, Vendor]) -> Iterator[Problem]:
    explained = _explained(config)
    without_policy: list[tuple[int, VendorTable]] = []
    for number, table in enumerate(config.vendors):
        here: Path = ("vendor", number)
        yield from _shared_hosts(here, table)
        known = catalogue.get(table.id)
        if known is None:
            if table.policy_url is None:
                without_policy.append((number, table))
            if table.category is Category.NECESSARY and table.id not in explained:
                yield _warning(
                    (*here, "category"),
                    f'category: "necessary" opens {quoted(table.id)} for everyone, unasked; it '
                    "must be something that the visitor asked for and that the site cannot do "
                    "without. Write what that is as the purpose of its tag",
                )
        elif (
            table.category is not None
            and _STRICTNESS[table.category] < _STRICTNESS[known.category]
            and not (known.looks and table.id in explained)
        ):
            yield _warning(
                (*here, "category"),
                f"category: {known.name} is {category_words(known.category)} in the catalogue and "
                f"less guarded as {category_words(table.category)}; write down why for your "
                "privacy officer" + (", as the purpose of its tag" if known.looks else ""),
            )
    yield from _without_policy(without_policy)


def _explained(config: Config) -> frozenset[str]:
    """The vendors whose tags all say what they are for."""
    silent = {tag.vendor for tag in config.tags if tag.purpose is None}
    return frozenset(tag.vendor for tag in config.tags) - silent


def _without_policy(tables: list[tuple[int, VendorTable]]) -> Iterator[Problem]:
    """One warning for all of the config's own vendors that name no policy."""
    if not tables:
        return
    names = [quoted(table.id) for _, table in tables]
    many = len(names) > 1
    more = f" and {len(names) - _NAMED_TAGS} more" if len(names) > _NAMED_TAGS else ""
    yield _warning(
        ("vendor", tables[0][0]),
        f"[[vendor]] {', '.join(names[:_NAMED_TAGS])}{more} {'have' if many else 'has'} no "
        f"policy_url: visitors cannot read what {'they do' if many else 'it does'} with their data",
    )


def _shared_hosts(here: Path, table: VendorTable) -> Iterator[Problem]:
    for key, patterns in (("hosts", table.hosts), ("paths", table.paths)):
        for index, pattern in enumerate(patterns):
            shared = None if pattern.startswith("/") else shared_host_of(pattern)
            if shared is None:
                continue
            how = " A policy header names whole directories only." if key == "paths" else ""
            yield _warning(
                (*here, key, index),
                f"{key}: {quoted(pattern)} opens more than one publisher's files ({shared.name}), "
                f"and so the trackers of strangers.{how} Write the vendor's own, such as "
                f"{narrower_pattern(shared)}",
            )


def _host_of(origin: str) -> str:
    authority = origin.partition("://")[2]
    return re.sub(r":[0-9]+\Z", "", authority).strip("[]")
