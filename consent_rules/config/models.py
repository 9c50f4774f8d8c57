"""The tables of the config file as frozen models, with the constraints of each value.

Constraints across values (a tag's vendor exists, sites do not overlap) are in `checks`. The
sentence under a field is its help: editors show it through the JSON Schema.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)

from consent_rules.catalogue.cookie_details import normal_lifetime
from consent_rules.categories import Audience, Category, Regime
from consent_rules.config.countries import normal_region
from consent_rules.config.theme import ColorScheme, normal_colour, normal_font, normal_length
from consent_rules.config.values import (
    name_of_somebody,
    normal_address,
    normal_host_pattern,
    normal_include,
    normal_origin,
    normal_page_pattern,
    normal_path_pattern,
    normal_vendor_path,
    plain_text,
)
from consent_rules.matching.libraries import LIBRARY_TYPES
from consent_rules.matching.script_hashes import (
    normal_file_hash,
    normal_inline_hash,
    normal_integrity,
)
from consent_rules.matching.urls import schemeless
from consent_rules.signals.gpp import GppApproach
from consent_rules.signals.tag_signals import SIGNALS
from consent_rules.vendors import BaaOffer
from consent_rules.wording import quoted

FROM_ENVIRONMENT = "from the environment"
"""Marks the fields in which `${NAME}` stands for an environment variable."""
SECRET = "secret"  # noqa: S105 - a mark, not a secret
"""Marks the fields whose value, or a part of it, is shown to nobody."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_WEB_URL = re.compile(r"https?://[^/\s]\S*", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SITE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)+")
_HSTS = re.compile(
    r"max-age=\d{1,10}(?:\s*;\s*includeSubDomains)?(?:\s*;\s*preload)?", re.IGNORECASE
)
MIN_INLINE_LENGTH = 3
MIN_TOKEN_LENGTH = 16


class Mode(StrEnum):
    """What happens to what the decision closes."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class LogFormat(StrEnum):
    """What the access log writes of a request."""

    JSON = "json"
    COMBINED = "combined"
    OFF = "off"


class Sensor(StrEnum):
    """What a page may ask the browser for, by its name in Permissions-Policy."""

    GEOLOCATION = "geolocation"
    CAMERA = "camera"
    MICROPHONE = "microphone"


class Watch(StrEnum):
    """How a changed config file is noticed."""

    NOTIFY = "notify"
    POLL = "poll"
    OFF = "off"


class TlsVersion(StrEnum):
    """A lowest version of TLS for visitors."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


def _host(text: str) -> str:
    return normal_host_pattern(text, port_allowed=False)


def _host_and_port(text: str) -> str:
    return normal_host_pattern(text, port_allowed=True)


def _network(value: Any) -> Network:
    if isinstance(value, ipaddress.IPv4Network | ipaddress.IPv6Network):
        return value
    if not isinstance(value, str):
        raise ValueError('it must be a network in quotes, as in "10.0.0.0/8"')  # noqa: TRY004
    text = value.strip()
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        pass
    try:
        wider = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{quoted(text)} is not a network; write it like "
            '"10.0.0.0/8", "192.0.2.7/32" or "2001:db8::/32"'
        ) from None
    raise ValueError(
        f"{quoted(text)} names a host inside a network; did you mean {quoted(str(wider))}?"
    )


def _date(value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        raise ValueError(f"it must be a day without a time: {value.date().isoformat()}")  # noqa: TRY004
    if isinstance(value, datetime.date):
        return value
    if isinstance(value, str):
        try:
            day = datetime.date.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f"{quoted(value)} is not a date; write year-month-day without quotes, "
                "as in 2027-11-02"
            ) from None
        raise ValueError(f"a date stands without quotes: {day.isoformat()}")  # noqa: TRY004
    raise ValueError("it must be a date, as in 2027-11-02")


def _variable_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise ValueError(
            f"{quoted(text)} is not the name of an environment variable; write one like "
            '"CONSENT_KEYS"'
        )
    return text


def _key_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{16}", text):
        raise ValueError(
            f"{quoted(text)} is not the id of a key: 16 characters, as `consent-proxy keys list` "
            "shows them"
        )
    return text


def _header_name(text: str) -> str:
    if not _TOKEN.fullmatch(text.strip()):
        raise ValueError(
            f'{quoted(text)} is not the name of a header; write one like "CF-IPCountry"'
        )
    return text.strip()


def _cookie_name(text: str) -> str:
    name = text.strip()
    if "*" in name:
        raise ValueError(
            f'{quoted(text)}: the name of this cookie is compared as it is, without "*"'
        )
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{quoted(text)} cannot be the name of a cookie (RFC 6265, 4.1.1)")
    return name


def _cookie_pattern(text: str) -> str:
    pattern = text.strip()
    if not _TOKEN.fullmatch(pattern):
        raise ValueError(f"{quoted(text)} cannot be the name of a cookie (RFC 6265, 4.1.1)")
    if pattern.strip("*") == "":
        raise ValueError(f'{quoted(text)} would be every cookie; write a name such as "acme_*"')
    return pattern


def _slug(text: str) -> str:
    if _SLUG.fullmatch(text):
        return text
    fixed = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    hint = f"; did you mean {quoted(fixed)}?" if fixed else ""
    raise ValueError(f"{quoted(text)}: lower-case letters, digits and single hyphens only{hint}")


def _site_name(text: str) -> str:
    if not _SITE_NAME.fullmatch(text):
        raise ValueError(
            f"{quoted(text)} cannot name a site: letters, digits, dots, hyphens and underscores, "
            "64 at most"
        )
    return text


def _inline(text: str) -> str:
    if len(text.strip()) < MIN_INLINE_LENGTH:
        raise ValueError(
            f"{quoted(text)} is too short: it would be found in scripts of others; "
            'take the call that only this vendor has, such as "AcmeChat.init("'
        )
    return text


def _prefix(text: str) -> str:
    prefix = text.rstrip("/")
    if not text.startswith("/"):
        raise ValueError(
            f'{quoted(text)} does not start with "/"; did you mean {quoted("/" + prefix)}?'
        )
    if not prefix:
        raise ValueError('"/" would hide the whole site; write a path such as "/.consent"')
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise ValueError(f'{quoted(text)}: plain path segments only, such as "/.consent"')
    if prefix == "/.well-known" or prefix.startswith("/.well-known/"):
        raise ValueError('"/.well-known" belongs to others (RFC 8615); write "/.consent"')
    return prefix


def _web_url(text: str) -> str:
    url = plain_text(text)
    if not _WEB_URL.fullmatch(url):
        raise ValueError(f'{quoted(text)} is not a web address; it starts with "https://"')
    return url


def _collector_url(text: str) -> str:
    url = plain_text(text)
    if url and not re.fullmatch(r"https?://[^\s/?#@]+/[^\s?#]*", url):
        raise ValueError(
            f"{quoted(text)} is no address of a collector, which has a path and neither a name of "
            'a user nor a query: "http://127.0.0.1:4318/v1/traces"'
        )
    return url


def _library_url(text: str) -> str:
    url = _web_url(text)
    key = schemeless(url, url)
    if not key or "@" in key.partition("/")[0]:
        raise ValueError(f"{quoted(text)} is no address of a file")
    return url.partition("#")[0]


def _library_type(text: str) -> str:
    name = text.strip().lower()
    if name not in LIBRARY_TYPES:
        raise ValueError(
            f"{quoted(text)} is no type that a library can have; there are "
            f"{', '.join(quoted(one) for one in sorted(LIBRARY_TYPES))}"
        )
    return name


def _policy_url(text: str) -> str:
    url = plain_text(text)
    # Two slashes lead to another host: "//privacy" is hardly ever meant.
    if url.startswith("/") and not url.startswith(("//", "/\\")) and not re.search(r"\s", url):
        return url
    try:
        return _web_url(url)
    except ValueError:
        raise ValueError(
            f'{quoted(text)} is no link to a page; write a path ("/privacy") or "https://..."'
        ) from None


def _store(text: str) -> str:
    url = plain_text(text)
    scheme, found, rest = url.partition("://")
    if not found:
        raise ValueError(
            f'{quoted(text)} has no scheme; write "sqlite:///var/receipts.db" or "postgresql://..."'
        )
    if scheme in {"postgres", "pgsql", "psql"}:
        raise ValueError(
            f"unknown scheme {quoted(scheme)}; put postgresql:// in its place, and leave the rest"
        )
    if scheme in {"sqlite3", "file"}:
        raise ValueError(
            f"unknown scheme {quoted(scheme)}; put sqlite:// in its place, and leave the rest"
        )
    if scheme not in {"sqlite", "postgresql"}:
        raise ValueError(
            f"unknown scheme {quoted(scheme)}; receipts go to sqlite:///FILE or "
            "postgresql://USER@HOST/DATABASE"
        )
    if scheme == "sqlite" and not (rest.startswith("/") and rest.strip("/")):
        raise ValueError(
            f"{quoted(text)} names no file; three slashes stand before a relative path "
            '("sqlite:///var/receipts.db"), four before an absolute one'
        )
    if scheme == "postgresql" and not rest.strip("/"):
        raise ValueError(f'{quoted(text)} names no server; write "postgresql://USER@HOST/DATABASE"')
    return url


def _token(text: str) -> str:
    if text and (len(text) < MIN_TOKEN_LENGTH or not text.isascii() or not text.isprintable()):
        raise ValueError(
            f"a token has {MIN_TOKEN_LENGTH} characters or more, of printable ASCII; `openssl rand "
            "-base64 24` makes one"
        )
    return text


def _maybe_file(text: str) -> str:
    return plain_text(text) if text else ""


def _maybe_address(text: str) -> str:
    return normal_address(text) if text.strip() else ""


def _hsts(text: str) -> str:
    value = text.strip()
    if value and not _HSTS.fullmatch(value):
        raise ValueError(
            f"{quoted(text)} is no value of Strict-Transport-Security (RFC 6797, 6.1); write one "
            'such as "max-age=31536000" or "max-age=31536000; includeSubDomains"'
        )
    return value


def _cookie_domain(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    # The leading dot means nothing to browsers (RFC 6265, 5.2.3); names are compared without it.
    domain = normal_host_pattern(text.removeprefix("*").removeprefix("."), port_allowed=False)
    if domain.startswith("*"):
        raise ValueError(f"{quoted(text)}: write it without the star")
    return domain


def _hash_by(text: str) -> str:
    kind, colon, name = text.strip().partition(":")
    if kind in {"client_address", "client"} and not colon:
        return "client_address"
    if kind not in {"cookie", "header"} or not _TOKEN.fullmatch(name):
        raise ValueError(
            f'{quoted(text)} is nothing to go by; write "client_address", "cookie:NAME" or '
            '"header:NAME"'
        )
    return f"{kind}:{name}"


def _check_path(text: str) -> str:
    if not text.startswith("/") or not text.isascii() or re.search(r"[\s#]", text):
        raise ValueError(f'{quoted(text)} is no path; write one such as "/healthz"')
    return text


def _listed(value: Any) -> Any:
    """A value that may stand for a list of one."""
    return value if isinstance(value, list | tuple) else (value,)


def _signal(text: str) -> str:
    name = text.strip()
    if name not in SIGNALS:
        raise ValueError(
            f"{quoted(text)} is not a consent call that we know; there are "
            f"{', '.join(quoted(one) for one in SIGNALS)}"
        )
    return name


def _log_format(value: Any) -> Any:
    if isinstance(value, bool):
        return LogFormat.JSON if value else LogFormat.OFF
    if isinstance(value, str) and value in {"true", "false"}:
        raise ValueError(f"write it without quotes: access_log = {value}")
    return value


# --- Types of values

AccessLog = Annotated[
    LogFormat,
    BeforeValidator(_log_format),
    WithJsonSchema({"anyOf": [{"enum": [*map(str, LogFormat)]}, {"type": "boolean"}]}),
]
MaybeFile = Annotated[StrictStr, AfterValidator(_maybe_file)]
Text = Annotated[StrictStr, AfterValidator(plain_text)]
Token = Annotated[StrictStr, AfterValidator(_token)]
Approver = Annotated[StrictStr, AfterValidator(name_of_somebody)]
Host = Annotated[StrictStr, AfterValidator(_host)]
HostWithPort = Annotated[StrictStr, AfterValidator(_host_and_port)]
PathGlob = Annotated[StrictStr, AfterValidator(normal_path_pattern)]
PagePattern = Annotated[StrictStr, AfterValidator(normal_page_pattern)]
VendorPath = Annotated[StrictStr, AfterValidator(normal_vendor_path)]
Origin = Annotated[StrictStr, AfterValidator(normal_origin)]
Origins = Annotated[
    tuple[Origin, ...],
    BeforeValidator(_listed),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
            ]
        }
    ),
]
"""One, or a list of them."""
Address = Annotated[StrictStr, AfterValidator(normal_address)]
MaybeAddress = Annotated[StrictStr, AfterValidator(_maybe_address)]
Hsts = Annotated[StrictStr, AfterValidator(_hsts)]
Cidr = Annotated[
    Network,
    BeforeValidator(_network),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
Day = Annotated[
    datetime.date,
    BeforeValidator(_date),
    WithJsonSchema({"type": "string", "format": "date"}),
]
IncludePattern = Annotated[StrictStr, AfterValidator(normal_include)]
HeaderName = Annotated[StrictStr, AfterValidator(_header_name)]
CookieName = Annotated[StrictStr, AfterValidator(_cookie_name)]
CookiePattern = Annotated[StrictStr, AfterValidator(_cookie_pattern)]
Lifetime = Annotated[StrictStr, AfterValidator(normal_lifetime)]
Slug = Annotated[StrictStr, AfterValidator(_slug)]
SiteName = Annotated[StrictStr, AfterValidator(_site_name)]
Inline = Annotated[StrictStr, AfterValidator(_inline)]
Integrity = Annotated[StrictStr, AfterValidator(normal_integrity)]
InlineHash = Annotated[StrictStr, AfterValidator(normal_inline_hash)]
FileHash = Annotated[StrictStr, AfterValidator(normal_file_hash)]
CollectorUrl = Annotated[StrictStr, AfterValidator(_collector_url)]
LibraryUrl = Annotated[StrictStr, AfterValidator(_library_url)]
LibraryType = Annotated[StrictStr, AfterValidator(_library_type)]
Prefix = Annotated[StrictStr, AfterValidator(_prefix)]
HashBy = Annotated[StrictStr, AfterValidator(_hash_by)]
CheckPath = Annotated[StrictStr, AfterValidator(_check_path)]
WebUrl = Annotated[StrictStr, AfterValidator(_web_url)]
SignalName = Annotated[StrictStr, AfterValidator(_signal)]
PolicyUrl = Annotated[StrictStr, AfterValidator(_policy_url)]
VariableName = Annotated[StrictStr, AfterValidator(_variable_name)]
KeyId = Annotated[StrictStr, AfterValidator(_key_id)]
StoreUrl = Annotated[StrictStr, AfterValidator(_store)]
CookieDomain = Annotated[StrictStr, AfterValidator(_cookie_domain)]
Region = Annotated[StrictStr, AfterValidator(normal_region)]
Colour = Annotated[StrictStr, AfterValidator(normal_colour)]
Length = Annotated[StrictStr, AfterValidator(normal_length)]
Font = Annotated[StrictStr, AfterValidator(normal_font)]
Seconds = Annotated[float, Field(gt=0, le=3600, strict=True)]
SecondsOrNone = Annotated[float, Field(ge=0, le=86_400, strict=True)]


class Table(BaseModel):
    """A table of the file: immutable, and a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


class Proxy(Table):
    """Where the proxy listens and how it treats what passes."""

    listen: Annotated[Address, FROM_ENVIRONMENT] = "127.0.0.1:8080"
    """Host and port for visitors. "0.0.0.0:8080" is every interface, "unix:/path" a Unix socket."""
    workers: Annotated[StrictInt, Field(ge=1, le=512)] | None = None
    """Number of worker processes. Left out: the number of cores."""
    trusted_proxies: tuple[Cidr, ...] = ()
    """Networks of the proxies in front, whose X-Forwarded-* and region headers count."""
    proxy_protocol: StrictBool = False
    """Whether each connection begins with a PROXY header (version 1 or 2) of one of
    trusted_proxies, which names the visitor. Others may not connect then."""
    admin_listen: Annotated[Address, FROM_ENVIRONMENT] = "127.0.0.1:8081"
    """Host and port of metrics, health and dashboard. Never public."""
    admin_hosts: tuple[Host, ...] = ()
    """Host names by which admin_listen may be asked, besides addresses, localhost and names without
    a dot: a page in an operator's browser could point a name of its own at it (DNS rebinding)."""
    prefix: Prefix = "/.consent"
    """Path under which the banner, the preferences and the choices are served on each site."""
    access_log: AccessLog = LogFormat.JSON
    """A line for each request: "json" (or true), "combined" (as Apache and nginx write it), "off"
    (or false)."""
    access_log_file: MaybeFile = ""
    """File for these lines, opened anew on SIGUSR1. Empty: standard output, as all of the log."""
    watch: Watch = Watch.NOTIFY
    """How a saved config file is noticed: "notify" (by the system, at once), "poll" (compared
    several times a second, for network folders) or "off" (SIGHUP only)."""
    max_page_bytes: Annotated[StrictInt, Field(ge=1024, le=500_000_000)] = 5_000_000
    """Largest HTML page, in bytes, that is read as a whole before it is sent. A larger one is gated
    in pieces, none of them larger than this."""
    stream_page_bytes: Annotated[StrictInt, Field(ge=0, le=500_000_000)] = 262_144
    """Bytes of an HTML page after which it is sent while it still comes; so is one that comes
    slowly. 0: only a page larger than max_page_bytes is."""
    cache_bytes: Annotated[StrictInt, Field(ge=0, le=1 << 40)] = 134_217_728
    """Bytes of upstream responses that each worker may store. 0: nothing is stored."""
    cache_with_cookies: StrictBool = False
    """Whether pages are stored for, and served to, visitors who send cookies of the site's own."""
    cache_status: StrictBool = False
    """Whether responses carry a Cache-Status header (RFC 9211)."""
    discovered: Annotated[MaybeFile, FROM_ENVIRONMENT] = "var/discovered.db"
    """File that counts what was closed for want of an approval. Empty: nothing is counted."""
    libraries: Text = "libraries/"
    """Folder of the files of [[library]], each named by its hash."""
    upstream_connect_timeout: Seconds = 5.0
    """Seconds to wait for a connection to an upstream; the only one of a site is tried twice."""
    upstream_timeout: Seconds = 60.0
    """Seconds an upstream may stay silent: before its response the visitor gets a 504, within it
    the response breaks off. Event streams and WebSockets may be silent."""
    upstream_total_timeout: SecondsOrNone = 0.0
    """Seconds for a whole response, event streams and WebSockets excepted. 0: no limit."""
    upstream_resolve_interval: Annotated[float, Field(ge=1, le=3600, strict=True)] = 10.0
    """Seconds after which the addresses of an upstream's host name are looked up again, apart from
    any request. While that fails, the last good ones are used."""
    upstream_connections: Annotated[StrictInt, Field(ge=1, le=65_535)] = 256
    """Connections of each worker to one upstream at a time."""
    upstream_streams: Annotated[StrictInt, Field(ge=1, le=65_535)] = 1024
    """Connections besides, of each worker to one upstream: for event streams, for uploads
    that arrive slowly, for exchanges longer than 5 seconds; as many again for WebSockets."""
    upstream_queue: Annotated[StrictInt, Field(ge=0, le=65_535)] = 1024
    """Requests of each worker that may wait for a connection to one upstream. More get a 503."""
    upstream_queue_timeout: Seconds = 10.0
    """Seconds that a request waits for a connection before the visitor gets a 503."""
    request_buffer_bytes: Annotated[StrictInt, Field(ge=0, le=1 << 40)] = 16_777_216
    """Bytes of a request's body that are read, on disk from 64 KB on, before a connection to the
    upstream is taken. 0: bodies are passed on as they arrive."""
    max_request_bytes: Annotated[StrictInt, Field(ge=0, le=1 << 40)] = 1_073_741_824
    """Bytes of the largest body of a request; a larger one gets a 413. 0: no limit."""
    client_requests: Annotated[StrictInt, Field(ge=0, le=65_535)] = 0
    """Requests of one client address (IPv6: of its /64) that a worker handles at a time, event
    streams and WebSockets among them; more get a 429. 0: no limit."""
    max_head_bytes: Annotated[StrictInt, Field(ge=8192, le=1 << 20)] = 65_536
    """Bytes of the head of a request, all fields together; a larger one gets a 431."""
    drain_timeout: Seconds = 8.0
    """Seconds that requests in flight have when the proxy stops. Event streams and WebSockets are
    ended at once, so that browsers connect again elsewhere."""


class CertificateFiles(Table):
    """A certificate for visitors and its key, taken up whenever the files change."""

    file: Annotated[Text, FROM_ENVIRONMENT, Field(examples=["/etc/ssl/example/fullchain.pem"])]
    """File of the certificate and its intermediates, in PEM, the server's own first."""
    key: Annotated[Text, FROM_ENVIRONMENT, Field(examples=["/etc/ssl/example/privkey.pem"])]
    """File of its private key, in PEM, without a passphrase."""


class Tls(Table):
    """TLS for visitors, where no server in front ends it."""

    certificates: Annotated[
        tuple[CertificateFiles, ...], Field(validation_alias="certificate")
    ] = ()
    """The certificates, one [[tls.certificate]] each, chosen by the name that the visitor's browser
    asks for (SNI). With one or more, `listen` speaks TLS."""
    min_version: TlsVersion = TlsVersion.TLS_1_2
    """Lowest version of TLS: "1.2" or "1.3"."""
    hsts: Hsts = ""
    """Value of the Strict-Transport-Security header of responses over this TLS, such as
    "max-age=31536000". Empty: none is added."""
    redirect_listen: Annotated[MaybeAddress, FROM_ENVIRONMENT] = ""
    """Host and port on which plain HTTP is redirected to HTTPS, "0.0.0.0:80". Empty: none."""
    https_port: Annotated[StrictInt, Field(ge=1, le=65_535)] = 443
    """Port that redirects name: where visitors reach `listen`."""
    acme_challenge: Annotated[MaybeFile, FROM_ENVIRONMENT] = ""
    """What answers /.well-known/acme-challenge/ on redirect_listen: "upstream", or the folder into
    which an ACME client writes (its "webroot"). Empty: nothing."""


class RegionRule(Table):
    """The regime of some regions."""

    regions: Annotated[tuple[Region, ...], Field(min_length=1, examples=[["US"]])]
    """Codes of ISO 3166: countries ("US") or parts of one ("US-CA")."""
    regime: Annotated[Regime, Field(examples=["opt_out"])]
    """"opt_in": closed until the visitor says yes. "opt_out": open until the visitor says no.
    "mixed": as "opt_out", but advertising and social ask first."""
    opt_out_link: StrictBool | None = None
    """Whether visitors get a "Your Privacy Choices" link and a form against sale and sharing.
    Left out: as the table of laws says."""
    limit_link: StrictBool | None = None
    """Whether they can limit the use of sensitive information. Left out: as the table says."""


class RegionFrom(Table):
    """How the visitor's region is known."""

    country_header: HeaderName | None = None
    """Header with the country code, from a trusted proxy only, such as "CF-IPCountry"."""
    region_header: HeaderName | None = None
    """Header with the part of the country ("CA" or "US-CA"), from a trusted proxy only, such as
    "CF-Region-Code"."""
    database: Annotated[Text | None, FROM_ENVIRONMENT] = None
    """File of a MaxMind database (.mmdb) that gives the region of an address. Asked where the
    headers say nothing."""


class Policy(Table):
    """The privacy policy that visitors agree to or refuse."""

    controller: Annotated[Text, Field(examples=["Acme Billing Services"])]
    """Who answers for the data: the name shown in the banner."""
    version: Annotated[Text, Field(max_length=64, examples=["2025-03-21"])]
    """Version of the policy, in quotes. A new one asks again; a refusal survives it."""
    url: PolicyUrl | None = None
    """Link to the privacy policy: a path of the site or a web address."""
    contact: Text | None = None
    """Mail address or link for questions about privacy, shown in the preferences."""
    max_age_days: Annotated[StrictInt, Field(ge=1, le=400)] = 180
    """Days that a choice is remembered. Browsers store no cookie longer than 400."""
    regime: Regime = Regime.OPT_IN
    """Regime where no region rule matches: "opt_in", "opt_out" or "mixed"."""
    regions: Annotated[tuple[RegionRule, ...], Field(validation_alias="region")] = ()
    """Regimes by region, one [[policy.region]] each."""
    region_from: RegionFrom = RegionFrom()
    """Where the visitor's region is taken from."""


class PreferenceStore(Table):
    """The signed cookie that holds a visitor's choice."""

    keys: Annotated[Text, FROM_ENVIRONMENT] = "keys/"
    """Folder of the Ed25519 private keys. The first key is made on the first run."""
    keys_variable: VariableName | None = None
    """Environment variable that holds the keys in place of the folder: PEM texts one after the
    other, of which the last one signs."""
    keys_command: Annotated[tuple[Text, ...], SECRET] = ()
    """Program and arguments that print the keys in place of the folder, as a vault's client does.
    Run at the start and at each reload, without a shell, in the folder of this file."""
    keys_command_timeout: Seconds = 10.0
    """Seconds within which keys_command must have ended."""
    revoked_keys: tuple[KeyId, ...] = ()
    """Ids of keys that no longer count, wherever they are."""
    rotate_days: Annotated[StrictInt, Field(ge=0, le=3650)] = 365
    """Days that a key should sign. The log and a metric tell when a new one is due. 0: no limit."""
    cookie_domain: Annotated[CookieDomain, FROM_ENVIRONMENT] = ""
    """Domain that shares the choice, such as ".example.com". Empty: each host its own."""


class Receipts(Table):
    """The record of choices."""

    store: Annotated[StoreUrl, FROM_ENVIRONMENT, SECRET] = "sqlite:///var/receipts.db"
    """Where receipts are stored: "sqlite:///FILE" or "postgresql://USER@HOST/DATABASE"."""
    outbox: Annotated[Text, FROM_ENVIRONMENT] = "var/outbox.db"
    """With a postgresql:// store: the file of this node in which receipts wait for the database."""
    log_key: Annotated[MaybeFile, FROM_ENVIRONMENT] = ""
    """File of the Ed25519 private key that signs the log of receipts. Empty: beside the store, or
    beside the outbox. The first one is made with the log."""
    keep_days: Annotated[StrictInt, Field(ge=1, le=36_500)] = 1095
    """Days that a receipt is stored."""


class Dashboard(Table):
    """The dashboard on admin_listen, under /dashboard."""

    enabled: StrictBool = True
    """Whether there is a dashboard."""
    token: Annotated[Token, FROM_ENVIRONMENT, SECRET] = ""
    """Token to sign in with, 16 characters or more: "${DASHBOARD_TOKEN}". Without one the
    dashboard opens only on this machine, where admin_listen is a loopback address."""
    token_file: Annotated[MaybeFile, FROM_ENVIRONMENT] = ""
    """File that holds the token, in place of `token`. Read at each sign-in."""
    session_minutes: Annotated[StrictInt, Field(ge=1, le=10_080)] = 480
    """Minutes until one has to sign in again."""


class TracingTable(Table):
    """OpenTelemetry spans of requests, for which consent-proxy[otel] has to be installed."""

    endpoint: Annotated[CollectorUrl, FROM_ENVIRONMENT] = ""
    """Address to which a collector takes OTLP over HTTP, such as
    "http://127.0.0.1:4318/v1/traces". Empty: no spans are made."""
    sample: Annotated[float, Field(ge=0, le=1, strict=True)] = 1.0
    """Share of requests that have spans, where no proxy of trusted_proxies has decided it."""
    service_name: Text = "consent-proxy"
    """Name of the service in the spans."""


class ThemeTable(Table):
    """Looks of the banner. Values are held to what CSS cannot be broken out of."""

    accent: Colour | None = None
    """Colour of the buttons, such as "#0b6e4f"."""
    accent_text: Colour | None = None
    """Colour of the text on the buttons."""
    background: Colour | None = None
    """Colour behind the banner's text."""
    text: Colour | None = None
    """Colour of the banner's text."""
    color_scheme: ColorScheme = ColorScheme.PAGE
    """Light or dark: "page" (what the page's own CSS `color-scheme` says), "visitor" (what the
    visitor prefers), "light", or "dark"."""
    dark_accent: Colour | None = None
    """Colour of the buttons in the dark. Without the three, a site's own colours stay."""
    dark_background: Colour | None = None
    """Colour behind the banner's text on dark pages."""
    dark_text: Colour | None = None
    """Colour of the banner's text on dark pages."""
    radius: Length | None = None
    """Roundness of corners, such as "8px"."""
    font: Font | None = None
    """Font families, such as "Inter, system-ui, sans-serif". They must be on the page already."""


class Signals(Table):
    """Signals of the choice, besides the consent calls of the tags themselves."""

    gpp: GppApproach = GppApproach.OFF
    """The IAB's Global Privacy Platform for visitors from the United States: "off", "national" (one
    section for all), or "state" (the section of the visitor's state where there is one)."""
    wp_consent_cookies: StrictBool = False
    """Whether the cookies of the WP Consent API (wp_consent_marketing and so on) carry the choice,
    for a WordPress site whose plugins ask for it."""


class PageRule(Table):
    """Pages with an audience of their own: by path or by cookie. The stricter rule wins."""

    path: PathGlob | None = None
    """Pattern of paths, "*" for any run of characters: "/patients/*" ("/patients" included)."""
    when_cookie: CookieName | None = None
    """Name of a cookie: whoever sends it has this audience on every page."""
    audience: Annotated[Audience, Field(examples=["patient"])]
    """"patient" or "marketing"."""


class Balance(StrEnum):
    """How one of several servers of an upstream is chosen."""

    LEAST_CONNECTIONS = "least_connections"
    ROUND_ROBIN = "round_robin"
    HASH = "hash"


class Health(Table):
    """When a server of the upstream counts as down: by requests that fail, and by checks."""

    max_fails: Annotated[StrictInt, Field(ge=0, le=1000)] = 3
    """Failures in a row after which a server gets no requests for `fail_timeout`. 0: never. Of a
    site with one server it changes nothing."""
    fail_timeout: Seconds = 10.0
    """Seconds within which they count, and for which the server then gets no requests. After that
    one request tries it, and the others follow if it is answered."""
    slow_start: SecondsOrNone = 0.0
    """Seconds in which the share of a server that is up again grows to the full. 0: at once."""
    path: CheckPath | None = None
    """Path that each worker asks each server for, as a health check. Left out: no checks."""
    interval: Seconds = 5.0
    """Seconds between two checks of a server."""
    timeout: Seconds = 2.0
    """Seconds within which the response must come."""
    status: tuple[Annotated[StrictInt, Field(ge=100, le=599)], ...] = ()
    """Status codes that pass. Left out: 200 to 399."""
    rise: Annotated[StrictInt, Field(ge=1, le=100)] = 2
    """Passed checks in a row after which a server is up."""
    fall: Annotated[StrictInt, Field(ge=1, le=100)] = 3
    """Failed checks in a row after which a server is down."""


class UpstreamTls(Table):
    """How TLS to the site's upstreams is set up. Files are relative to the config's folder."""

    ca: Text | None = None
    """File (PEM) with the certificates of the authorities that are trusted, in place of the
    system's."""
    certificate: Text | None = None
    """File (PEM) with the certificate that the proxy shows to the upstream, and its chain."""
    key: Text | None = None
    """File (PEM) with the key of `certificate`; not needed where that file holds both."""
    server_name: Host | None = None
    """Name that is sent (SNI) and that the upstream's certificate must be for, in place of the
    host of `upstream`."""


class Site(Table):
    """Hosts with one upstream, or several servers of it."""

    name: Annotated[SiteName, Field(examples=["www"])]
    """Short name that tags refer to."""
    hosts: Annotated[tuple[Host, ...], Field(min_length=1, examples=[["www.example.com"]])]
    """Host names of the site, without port. "*.example.com" is that host and all below it."""
    upstream: Annotated[Origins, FROM_ENVIRONMENT, Field(examples=["http://127.0.0.1:9000"])]
    """The server behind: scheme, host and port, or "unix:/path" for a Unix socket; or a list of
    servers that are all alike."""
    first_party: tuple[HostWithPort, ...] = ()
    """Own hosts besides `hosts`, such as a CDN: never third parties."""
    audience: Annotated[Audience, Field(examples=["marketing"])]
    """For whom its pages are unless a page rule is stricter: "marketing" or "patient"."""
    mode: Mode = Mode.ENFORCE
    """"enforce", or "observe": report, close nothing on marketing pages."""
    preserve_host: StrictBool = True
    """Whether the upstream gets the visitor's Host header, or its own name."""
    consent_header: StrictBool = False
    """Whether requests to the upstream carry the visitor's decision in a Consent header, for tags
    that the site's own servers run."""
    webrtc: StrictBool = False
    """Whether the site's own pages may make WebRTC connections, as for video visits. Nothing can
    hold those to hosts, so they are closed unless the site needs them."""
    permissions: tuple[Sensor, ...] = ()
    """What the site's own marketing pages may ask the browser for: "geolocation", "camera",
    "microphone". Off unless named; never for third parties."""
    patient_permissions: tuple[Sensor, ...] = ()
    """The same for its patient pages, which `permissions` does not open."""
    balance: Balance = Balance.LEAST_CONNECTIONS
    """How one of several servers is chosen for a request: "least_connections", "round_robin" or
    "hash"."""
    hash_by: HashBy = "client_address"
    """What "hash" goes by: "client_address", "cookie:NAME" or "header:NAME"."""
    weights: tuple[Annotated[StrictInt, Field(ge=1, le=1000)], ...] = ()
    """Share of each server of `upstream`, in the same order. Left out: all alike."""
    retry_budget: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.2
    """How many requests may be sent again to another server, as a share of all. 0: none."""
    health: Health = Health()
    """When a server counts as down."""
    upstream_tls: UpstreamTls = UpstreamTls()
    """How TLS to the upstream is set up."""
    maintenance: StrictBool = False
    """Whether every page of the site is the maintenance page (503); nothing is asked of the
    upstream then."""
    maintenance_page: Text | None = None
    """File (HTML) that is shown then, and when the upstream fails, in place of a page of ours."""
    pages: Annotated[tuple[PageRule, ...], Field(validation_alias="page")] = ()
    """Pages with an audience of their own, one [[site.page]] each."""


class ScriptPin(Table):
    """A script of a vendor that must stay as it was when it was looked at."""

    url: Annotated[WebUrl, Field(examples=["https://cdn.example.com/v1/tag.js"])]
    """The script's address, as pages name it."""
    integrity: Annotated[Integrity, Field(examples=[f"sha384-{'A' * 64}"])]
    """Its hash: browsers refuse the script when its content is another. Several with spaces
    between them: any one will do."""


class Tag(Table):
    """A vendor's approval on a site: what marketing adds."""

    vendor: Annotated[StrictStr, Field(min_length=1, examples=["google-analytics"])]
    """Id of the vendor, from the catalogue or from a [[vendor]] of this file."""
    sites: Annotated[tuple[StrictStr, ...], Field(min_length=1, examples=[["www"]])]
    """Names of the sites where it may act."""
    pages: Annotated[
        tuple[PagePattern, ...], Field(min_length=1, examples=[["/*", "!/careers/*"]])
    ] = ("/*",)
    """Patterns of paths where it may act, "*" for any run of characters; "!" before one leaves its
    pages out."""
    approved_by: Annotated[Approver, Field(examples=["marketing@example.com"])]
    """Who approved it: a name or a mail address."""
    approved_on: Annotated[Day, Field(examples=[datetime.date(2026, 11, 2)])]
    """The day of approval; it is closed before."""
    expires: Annotated[Day, Field(examples=[datetime.date(2027, 11, 2)])]
    """The day from which it is closed until someone approves it again."""
    baa: StrictBool = False
    """Whether a business associate agreement covers it. Only then may a necessary or functional
    vendor act on patient pages."""
    owner: Text | None = None
    """Who is responsible for it day by day: a name, a team or a mail address."""
    purpose: Text | None = None
    """What it is for on these pages, in plain words."""
    scripts: Annotated[tuple[ScriptPin, ...], Field(validation_alias="script")] = ()
    """Scripts of the vendor that must not change, one [[tag.script]] each."""
    inline_hashes: tuple[InlineHash, ...] = ()
    """Hashes of the vendor's inline scripts, "sha256-...". If given, no other inline script of the
    vendor runs on the tag's sites."""

    @property
    def named_pages(self) -> tuple[str, ...]:
        """The patterns of `pages` that name pages."""
        return tuple(page for page in self.pages if not page.startswith("!"))

    @property
    def except_pages(self) -> tuple[str, ...]:
        """The patterns of pages that are left out, without their "!"."""
        return tuple(page[1:] for page in self.pages if page.startswith("!"))


class LibraryTable(Table):
    """A file of another host, such as jQuery or a font, that the proxy serves from the site's own
    address: on every page, patient pages included, and nobody else learns of the visit."""

    url: Annotated[LibraryUrl, Field(examples=["https://code.jquery.com/jquery-3.7.1.min.js"])]
    """Its address, as pages and style sheets name it, with its query."""
    integrity: Annotated[FileHash, Field(examples=[f"sha384-{'A' * 64}"])]
    """Its hash. The file is in the folder `libraries` of [proxy]; one with another content is never
    served."""
    type: LibraryType | None = None
    """Its media type, such as "text/css". Left out: by the name in its address (".js")."""


class CookieTable(Table):
    """One cookie in the cookie declaration."""

    name: Annotated[CookiePattern, Field(examples=["acme_id"])]
    """Name of the cookie, "*" for any run of characters. It is one of the vendor's `cookies`."""
    lifetime: Lifetime | None = None
    """Its lifetime: "session", "30 minutes", "2 years"."""
    purpose: Text | None = None
    """What it is for: visitor, visit, source, advertising, recording, settings, security, traffic,
    version, consent, each in the visitor's language; or a sentence of your own."""


class VendorTable(Table):
    """A vendor that the catalogue does not know, or more about one that it knows."""

    id: Annotated[Slug, Field(examples=["acme-chat"])]
    """Id that tags refer to. One of the catalogue's extends that vendor."""
    name: Text | None = None
    """Name shown to visitors."""
    category: Category | None = None
    """What it is for: necessary, functional, analytics, session_replay, advertising or social."""
    company: Text | None = None
    """The company behind it."""
    hosts: tuple[HostWithPort, ...] = ()
    """Hosts that are all its own. "*.acme.example" is that host and all below it."""
    paths: tuple[VendorPath, ...] = ()
    """Paths on shared hosts ("host/path/*"), or on the site's own host ("/path/*")."""
    inline: tuple[Inline, ...] = ()
    """Texts by which its inline scripts are known."""
    cookies: tuple[CookiePattern, ...] = ()
    """Names of the first-party cookies it sets, "*" for any run of characters."""
    globals: tuple[Text, ...] = ()
    """Names that the site's own code calls."""
    serves: tuple[Category, ...] = ()
    """For tag managers: the categories of the tags that it may load."""
    signal: SignalName | None = None
    """Name of the consent call that its tag understands, such as "consent-mode"."""
    embed: Text | None = None
    """Kind of content in its frames, such as "video": a closed one leaves a placeholder."""
    policy_url: WebUrl | None = None
    """Link to the vendor's privacy policy."""
    cookie_details: Annotated[tuple[CookieTable, ...], Field(validation_alias="cookie")] = ()
    """Its cookies in the cookie declaration, one [[vendor.cookie]] each."""
    records_sessions: StrictBool | None = None
    """Whether it can record what a visitor does on a page: pointer, scrolling, typing."""
    baa: BaaOffer | None = None
    """Whether the vendor offers a business associate agreement: "yes", "no" or "unknown"."""
    baa_source: WebUrl | None = None
    """Where the vendor documents it."""


class Config(Table):
    """The config file of consent-proxy."""

    include: tuple[IncludePattern, ...] = ()
    """Files that belong to this one, such as "tags/*.toml", named from the folder of this file.
    Each holds [[tag]] and [[vendor]] tables of its own: one file a team."""
    proxy: Proxy = Proxy()
    """Where the proxy listens."""
    tls: Tls = Tls()
    """TLS for visitors."""
    policy: Policy
    """The privacy policy that visitors choose about."""
    preferences: PreferenceStore = PreferenceStore()
    """The cookie that holds a choice."""
    receipts: Receipts = Receipts()
    """Where the record of choices is stored, and how long. Without the table none is written."""
    dashboard: Dashboard = Dashboard()
    """The dashboard of admin_listen."""
    tracing: TracingTable = TracingTable()
    """OpenTelemetry spans of requests."""
    theme: ThemeTable = ThemeTable()
    """Looks of the banner."""
    texts: Mapping[StrictStr, Mapping[StrictStr, Any]] = Field(default_factory=dict)
    """Words of the banner in place of ours, by language: [texts.en] banner.title = "..."."""
    signals: Signals = Signals()
    """Signals of the choice."""
    sites: Annotated[tuple[Site, ...], Field(min_length=1, validation_alias="site")]
    """The sites, one [[site]] each."""
    tags: Annotated[tuple[Tag, ...], Field(validation_alias="tag")] = ()
    """What marketing adds, one [[tag]] each."""
    vendors: Annotated[tuple[VendorTable, ...], Field(validation_alias="vendor")] = ()
    """Vendors that the catalogue does not know, one [[vendor]] each."""
    libraries: Annotated[tuple[LibraryTable, ...], Field(validation_alias="library")] = ()
    """Files of other hosts that the proxy serves itself, one [[library]] each."""

    @property
    def speaks_tls(self) -> bool:
        """Whether `listen` speaks TLS."""
        return bool(self.tls.certificates)

    @property
    def writes_receipts(self) -> bool:
        """Whether a receipt is written for each choice: where the file has a [receipts] table."""
        return "receipts" in self.model_fields_set


class IncludedTables(Table):
    """A file that a config of consent-proxy includes: the tags of one team."""

    include: tuple[IncludePattern, ...] = ()
    """Files that belong to this one, named from its folder."""
    tags: Annotated[tuple[Tag, ...], Field(validation_alias="tag")] = ()
    """What marketing adds, one [[tag]] each."""
    vendors: Annotated[tuple[VendorTable, ...], Field(validation_alias="vendor")] = ()
    """Vendors that the catalogue does not know, one [[vendor]] each."""
