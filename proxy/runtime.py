"""Runtime: one configuration, compiled and shared by all requests.

A reload builds a new `Runtime`; requests in flight keep the one they began with.
"""

from __future__ import annotations

import datetime
import ipaddress
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cachetools import LRUCache

from consent_rules.catalogue.load import catalogue
from consent_rules.config.build_rules import build_rules
from consent_rules.config.load import Config, Site
from consent_rules.config.theme import Theme, theme_of
from consent_rules.matching.libraries import Libraries
from consent_rules.rules import Rules, SiteRules
from consent_rules.signals.gpp import GppApproach
from consent_rules.vendors import Vendor
from proxy.banner.maintenance import MaintenancePage, read_maintenance_page
from proxy.banner.texts import Wording
from proxy.cache import InvalidationTable, SharedCache
from proxy.cache.fast_path import FastPath
from proxy.context import RequestContext
from proxy.cookies.preference_cookie import KeyRing
from proxy.cookies.vendor_cookies import CookieIndex
from proxy.enforcement.decision_cache import (
    Decide,
    PathContext,
    SiteContext,
    decisions,
    path_contexts,
    site_contexts,
)
from proxy.enforcement.page_heads import PageHeads
from proxy.enforcement.site import SiteEnforcement, policies, site_boundary
from proxy.gc_tuning import gc_disabled
from proxy.geoip import RegionFile
from proxy.html import Boundary, Page
from proxy.html.block_memory import BlockMemory
from proxy.html.chunk_memory import ChunkMemory
from proxy.html.patch import PageTemplate
from proxy.html.turns import Turns
from proxy.http.device_class import DeviceClasses
from proxy.http.untrusted_proxies import UntrustedProxies
from proxy.libraries import LibraryFiles, read_libraries
from proxy.observability.discovered import Sightings
from proxy.observability.rate_limit import RateLimit
from proxy.observability.reported_hosts import ReportedHosts
from proxy.observability.served_pages import ServedPages
from proxy.receipts.place import check_place, store_place
from proxy.receipts.recorder import Recorder
from proxy.rendering.injected_markup import OwnMarkup
from proxy.rendering.variants import Variants
from proxy.server.certificates import Certificate, ServerCertificates, read_certificate
from proxy.upstream.group import UpstreamGroup
from proxy.upstream.site import upstream_group
from proxy.upstream.slots import UpstreamLimits
from proxy.upstream.timeouts import Timeouts

_PAGES_BUDGET = 64 * 2**20
_MARKUP = 1024
_ALIKE_BUDGET = 16 * 2**20
_BLOCKS_BUDGET = 16 * 2**20
_STREAMED_BUDGET = 32 * 2**20
_VARIANTS_BUDGET = 96 * 2**20
"""Bytes of compiled pages, of their blocks and of variants that a worker may cache."""
_READY_BUDGET = 32 * 2**20
_VISITORS_BUDGET = 16 * 2**20
_REPEATED_BUDGET = 16 * 2**20
_FILES_BUDGET = 16 * 2**20
_REQUESTS_BUDGET = 8 * 2**20
_HEADS_BUDGET = 4 * 2**20
"""Bytes of responses that are ready, of visitors' cookies with what they stand for, of pages
that may not be stored, of what is known of such files, of requests' heads, and of pages' heads."""
_NEW_AGENTS_A_SECOND, _NEW_AGENTS_AT_ONCE = 20, 200
"""User-Agents not seen before that a worker parses: 0.6 ms each, up to 3 ms for made-up ones."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteRuntime:
    """What every request to one site needs, made once."""

    rules: SiteRules
    upstream: UpstreamGroup
    boundary: Boundary
    enforcement: SiteEnforcement
    in_maintenance: bool = False
    maintenance_page: MaintenancePage | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Runtime:
    """One configuration, ready to serve."""

    config: Config
    timeouts: Timeouts
    upstream_limits: UpstreamLimits
    tunnel_limits: UpstreamLimits
    rules: Rules
    sites: Mapping[str, SiteRuntime]
    keys: KeyRing
    theme: Theme
    wording: Wording
    region_file: RegionFile | None
    cookies: CookieIndex
    page_context: PathContext
    site_page_context: SiteContext
    decide: Decide
    pages: LRUCache[object, Page]
    blocks: BlockMemory
    streamed: ChunkMemory
    late_patient_pages: LRUCache[tuple[str, str], None]
    """Pages that declared too late that they are for patients: sites and paths."""
    variants: Variants
    markup: LRUCache[object, OwnMarkup]
    templates: LRUCache[object, PageTemplate]
    heads: PageHeads
    sightings: Sightings
    reports: RateLimit
    warnings: RateLimit
    reported_hosts: ReportedHosts
    served_pages: ServedPages
    devices: DeviceClasses
    untrusted_proxies: UntrustedProxies
    trusted: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    invalidations: InvalidationTable
    cache: SharedCache | None
    fast_path: FastPath | None
    receipts: Recorder | None
    """Writes the receipts of choices; None where the config asks for none."""
    libraries: LibraryFiles
    certificates: ServerCertificates | None
    """Those of the visitors' listener; None where a server in front ends TLS."""
    turns: Turns

    @property
    def includes_gpp(self) -> bool:
        """Whether pages for visitors from the United States have the `__gpp` API."""
        return self.config.signals.gpp is not GppApproach.OFF

    @property
    def prefix(self) -> str:
        return self.config.proxy.prefix

    def site(self, context: RequestContext) -> SiteRuntime:
        """The parts of a request's site."""
        return self.sites[context.site.name]


def build_runtime(
    config: Config,
    folder: Path,
    keys: Callable[[], KeyRing],
    before: Runtime | None = None,
    vendors: Mapping[str, Vendor] | None = None,
    certificates: Sequence[Certificate] | None = None,
) -> Runtime:
    """Build everything that a configuration needs. Relative paths are resolved against `folder`,
    that of the config file.

    `keys` returns the signing keys; it is called once all else is valid, as it may create the first
    one. `before` is the previous runtime: its cache is reused while the sites are the same.
    `vendors` are those of the config laid over the catalogue, if known; `certificates` those of its
    files, if they were read. Raises KeyFileError, RegionFileError, LibraryFileError,
    ReceiptStoreError, UpstreamTlsError, MaintenancePageError or CertificateFileError; then nothing
    has changed.
    """
    with gc_disabled():
        rules = build_rules(config, catalogue(), vendors)
        cookies = CookieIndex(rules.vendors.values())
    database = config.policy.region_from.database
    region_file = RegionFile(folder / database) if database else None
    libraries = read_libraries(
        config.libraries, folder / config.proxy.libraries, config.proxy.prefix
    )
    sites = {
        site.name: _site_runtime(
            site,
            config,
            rules,
            cookies,
            libraries.listed,
            upstream_group(table, folder, config.proxy.trusted_proxies),
            (table.maintenance, _maintenance_page(table, folder)),
        )
        for site, table in zip(rules.sites, config.sites, strict=True)
    }
    theme = theme_of(vars(config.theme))
    recorder = _recorder(config, folder, before)
    for_tls = _certificates(config, folder, certificates, before)
    ring = keys()
    limits = _upstream_limits(config)
    for name, site_runtime in sites.items():
        earlier = None if before is None else before.sites.get(name)
        site_runtime.upstream.follow(None if earlier is None else earlier.upstream)
    # From here on nothing fails: what `before` shares with the new one may be changed.
    invalidations = InvalidationTable() if before is None else before.invalidations
    cache = _cache(config, invalidations, before)
    devices = _device_classes() if before is None else before.devices
    return Runtime(
        config=config,
        timeouts=_timeouts(config),
        upstream_limits=limits,
        tunnel_limits=replace(limits, connections=limits.streams),
        rules=rules,
        sites=sites,
        keys=ring,
        theme=theme,
        wording=Wording(config.texts),
        region_file=region_file,
        cookies=cookies,
        page_context=path_contexts(rules),
        site_page_context=site_contexts(),
        decide=decisions(rules),
        pages=LRUCache(_PAGES_BUDGET, getsizeof=_page_size),
        blocks=BlockMemory(_BLOCKS_BUDGET),
        streamed=ChunkMemory(_STREAMED_BUDGET),
        late_patient_pages=LRUCache(4096) if before is None else before.late_patient_pages,
        variants=Variants(_VARIANTS_BUDGET),
        markup=LRUCache(_MARKUP),
        templates=LRUCache(_ALIKE_BUDGET, getsizeof=lambda alike: _page_size(alike.page)),
        heads=PageHeads(_HEADS_BUDGET),
        sightings=Sightings(folder / config.proxy.discovered if config.proxy.discovered else None),
        reports=RateLimit(a_second=2, at_once=40),
        warnings=RateLimit(a_second=1 / 60, at_once=1),
        reported_hosts=ReportedHosts() if before is None else before.reported_hosts,
        served_pages=ServedPages() if before is None else before.served_pages,
        devices=devices,
        untrusted_proxies=UntrustedProxies() if before is None else before.untrusted_proxies,
        trusted=config.proxy.trusted_proxies,
        invalidations=invalidations,
        cache=cache,
        fast_path=_fast_path(config, cache, region_file, devices),
        receipts=recorder,
        libraries=libraries,
        certificates=for_tls,
        turns=Turns() if before is None else before.turns,
    )


def read_certificates(config: Config, folder: Path) -> tuple[Certificate, ...]:
    """The certificates that a config names. Raises CertificateFileError."""
    return tuple(
        read_certificate(folder / one.file, folder / one.key) for one in config.tls.certificates
    )


def _certificates(
    config: Config, folder: Path, known: Sequence[Certificate] | None, before: Runtime | None
) -> ServerCertificates | None:
    """Those in force: the same object while they are the same. What listens with TLS goes on doing
    so until a restart, though the table is removed.
    """
    found = read_certificates(config, folder) if known is None else tuple(known)
    in_force = None if before is None else before.certificates
    if not found or (in_force is not None and in_force.certificates == found):
        return in_force
    return ServerCertificates(found, config.tls.min_version)


def _timeouts(config: Config) -> Timeouts:
    proxy = config.proxy
    silent, total = proxy.upstream_timeout, proxy.upstream_total_timeout
    return Timeouts(
        connect=proxy.upstream_connect_timeout,
        queue=proxy.upstream_queue_timeout,
        first_byte=min(silent, total) if total else silent,
        idle=silent,
        write=silent,
        total=total,
    )


def _upstream_limits(config: Config) -> UpstreamLimits:
    proxy = config.proxy
    return UpstreamLimits(
        connections=proxy.upstream_connections,
        streams=proxy.upstream_streams,
        queue=proxy.upstream_queue,
        request_buffer=proxy.request_buffer_bytes,
        request_body=proxy.max_request_bytes,
    )


def _maintenance_page(site: Site, folder: Path) -> MaintenancePage | None:
    name = site.maintenance_page
    return None if name is None else read_maintenance_page(folder / name)


def _site_runtime(
    site: SiteRules,
    config: Config,
    rules: Rules,
    cookies: CookieIndex,
    libraries: Libraries,
    upstream: UpstreamGroup,
    maintenance: tuple[bool, MaintenancePage | None],
) -> SiteRuntime:
    prefix = config.proxy.prefix
    boundary = site_boundary(site, config, rules, libraries)
    regions = config.policy.region_from
    return SiteRuntime(
        rules=site,
        upstream=upstream,
        in_maintenance=maintenance[0],
        maintenance_page=maintenance[1],
        boundary=boundary,
        enforcement=SiteEnforcement(
            boundary=boundary,
            cookies=cookies,
            policy=policies(site, rules.vendors, f"{prefix}/report"),
            prefix=prefix,
            upstream_host=None if site.preserve_host else upstream.servers[0].authority,
            trusted_headers=tuple(h for h in (regions.country_header, regions.region_header) if h),
            cookie_domain=config.preferences.cookie_domain,
            wp_consent_cookies=config.signals.wp_consent_cookies,
            consent_header=any(s.consent_header for s in config.sites if s.name == site.name),
        ),
    )


def _cache(
    config: Config, invalidations: InvalidationTable, before: Runtime | None
) -> SharedCache | None:
    proxy = config.proxy
    if not proxy.cache_bytes:
        return None
    if before is not None and before.cache is not None:
        was = before.config
        same = (was.sites, was.proxy.cache_bytes, was.proxy.cache_with_cookies) == (
            config.sites,
            proxy.cache_bytes,
            proxy.cache_with_cookies,
        )
        if same:  # else a page that is a patient page now might still be stored
            before.cache.adds_cache_status = proxy.cache_status
            return before.cache
    return SharedCache(proxy.cache_bytes, invalidations, adds_cache_status=proxy.cache_status)


def _recorder(config: Config, folder: Path, before: Runtime | None) -> Recorder | None:
    """The recorder of a config's receipts: the one that is at work while the place is the same."""
    place = store_place(config, folder)
    if place is None:
        return None
    if before is not None and before.receipts is not None and before.receipts.place == place:
        return before.receipts
    check_place(place, writable=True)
    return Recorder(place)


def _fast_path(
    config: Config,
    cache: SharedCache | None,
    region_file: RegionFile | None,
    devices: DeviceClasses,
) -> FastPath | None:
    # `Cache-Status` has the remaining freshness lifetime: other bytes for each request.
    if cache is None or config.proxy.cache_status:
        return None
    source = config.policy.region_from
    regions = [name for name in (source.country_header, source.region_header) if name]
    by_address = None if region_file is None else region_file.region
    return FastPath(
        cache.store,
        regions,
        config.proxy.trusted_proxies,
        by_address,
        devices.known,
        budget=_READY_BUDGET,
        states_budget=_VISITORS_BUDGET,
        repeated_budget=_REPEATED_BUDGET,
        files_budget=_FILES_BUDGET,
        heads_budget=_REQUESTS_BUDGET,
    )


def _device_classes() -> DeviceClasses:
    limit = RateLimit(a_second=_NEW_AGENTS_A_SECOND, at_once=_NEW_AGENTS_AT_ONCE, keys=1)
    return DeviceClasses(lambda: limit.allow("", time.monotonic()))


def _page_size(page: Page) -> int:
    # Where it was transcoded, the origin's bytes are kept beside it.
    bodies = 2 if page.wire or page.transcoded else 1
    return bodies * len(page.body) + 400 * len(page.gates) + 1024


@lru_cache(maxsize=4)
def day_of(days: int) -> datetime.date:
    """The date of a number of days since 1970: made once a day, not once a request."""
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=days)
