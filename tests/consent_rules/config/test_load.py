"""Configs that are right: what they are read as."""

from __future__ import annotations

import datetime
import ipaddress
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from consent_rules.categories import Audience, Category, Regime
from consent_rules.config.load import (
    Config,
    ConfigError,
    LoadedConfig,
    Mode,
    VendorTable,
    all_vendors,
    decode_config,
    json_schema,
    load_config,
)
from consent_rules.config.theme import ColorScheme
from consent_rules.vendors import Vendor

TODAY = datetime.date(2026, 12, 1)
GOOD = Path(__file__).parent / "good"
FILES = sorted(GOOD.glob("*.toml"))


def _load(name: str, catalogue: Mapping[str, Vendor]) -> Config:
    text = (GOOD / name).read_text(encoding="utf-8")
    loaded = load_config(text, name, today=TODAY, catalogue=catalogue)
    assert told(loaded) == []
    return loaded.config


def told(loaded: LoadedConfig) -> list[str]:
    """The severities of what is said, but for one thing: the contract's example knows countries
    only, and two states have laws of their own."""
    return [f.severity for f in loaded.problems if "Nevada and Washington" not in f.message]


def test_the_example_of_the_contract(catalogue: Mapping[str, Vendor]) -> None:
    config = _load("contract.toml", catalogue)
    (site,) = config.sites
    assert site.hosts == ("www.example.com", "localhost")
    assert (site.audience, site.mode, site.preserve_host) == (
        Audience.MARKETING,
        Mode.ENFORCE,
        True,
    )
    assert [(page.path, page.when_cookie) for page in site.pages] == [
        ("/patients/*", None),
        (None, "session"),
    ]
    (tag,) = config.tags
    assert (tag.pages, tag.expires, tag.baa) == (("/*",), datetime.date(2027, 11, 2), False)
    assert config.policy.regions[0].regions == ("US",)
    assert config.policy.regions[0].regime is Regime.OPT_OUT
    assert config.proxy.trusted_proxies == (ipaddress.ip_network("127.0.0.1/32"),)
    assert config.proxy.prefix == "/.consent"
    assert config.vendors[0].category is Category.FUNCTIONAL


def test_an_approval_may_start_later(catalogue: Mapping[str, Vendor]) -> None:
    """docs/configuration.md says so; `decisions.txt` has what is closed until then."""
    text = (GOOD / "contract.toml").read_text(encoding="utf-8")
    text = text.replace("approved_on = 2026-11-02", "approved_on = 2027-01-15")
    loaded = load_config(text, "c.toml", today=TODAY, catalogue=catalogue)
    (problem,) = (one for one in loaded.problems if "approved_on" in one.message)
    assert problem.severity == "warning"
    assert "2027-01-15 is in the future" in problem.message
    assert loaded.config.tags[0].approved_on == datetime.date(2027, 1, 15)


def test_values_are_made_normal(catalogue: Mapping[str, Vendor]) -> None:
    config = _load("everything.toml", catalogue)
    www = config.sites[0]
    assert www.hosts == (
        "www.example.com",
        "xn--bcher-kva.example.com",
        "*.shop.example.com",
        "localhost",
        "127.0.0.1",
    )
    assert www.upstream == ("https://origin.example.com:8443",)
    assert config.policy.regions[0].regions == ("DE", "AT")
    assert config.preferences.cookie_domain == "example.com"
    assert config.tags[0].pages == ("/help/*", "/café")
    assert config.theme.model_dump(exclude_none=True) == {
        "accent": "#0b6e4f",
        "accent_text": "#fff",
        "background": "#ffffff",
        "text": "#1a1a1a",
        "radius": "0.5rem",
        "font": "Inter, 'Segoe UI', sans-serif",
        "color_scheme": ColorScheme.PAGE,
    }
    assert config.proxy.workers == 4
    assert config.proxy.upstream_timeout == 30


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ('"http://127.0.0.1:9000/"', ("http://127.0.0.1:9000",)),
        ('["http://127.0.0.1:9000"]', ("http://127.0.0.1:9000",)),
        ('"unix:/run/app.sock"', ("unix:/run/app.sock",)),
        ('["http://${BACKEND}:80", "unix:/${BACKEND}"]', ("http://b.internal", "unix:/b.internal")),
    ],
)
def test_one_upstream_or_several(
    written: str, read: tuple[str, ...], catalogue: Mapping[str, Vendor]
) -> None:
    text = (GOOD / "contract.toml").read_text(encoding="utf-8")
    text = text.replace('"http://127.0.0.1:9000"', written)
    loaded = load_config(
        text, "c.toml", today=TODAY, catalogue=catalogue, environment={"BACKEND": "b.internal"}
    )
    assert loaded.config.sites[0].upstream == read
    jsonschema.validate(tomllib.loads(text)["site"][0]["upstream"], _schema_of("upstream"))


def _schema_of(key: str) -> Any:
    return json_schema()["$defs"]["Site"]["properties"][key]


def test_a_config_cannot_be_changed(catalogue: Mapping[str, Vendor]) -> None:
    config = _load("contract.toml", catalogue)
    with pytest.raises(ValidationError):
        config.tags[0].baa = True


def test_a_vendor_of_the_catalogue_is_extended(catalogue: Mapping[str, Vendor]) -> None:
    vendors = all_vendors(_load("everything.toml", catalogue), catalogue)
    matomo = vendors["matomo"]
    assert matomo.hosts == ("*.matomo.cloud",)
    assert matomo.paths == ("/matomo/*",)
    assert (matomo.name, matomo.category) == ("Matomo", Category.ANALYTICS)
    assert catalogue["matomo"].paths == ()
    acme = vendors["acme-tags"]
    assert acme.is_tag_manager
    assert acme.hosts == ("*.acme.example", "stub.localhost:9100")
    assert set(vendors) == {*catalogue, "acme-tags"}


def test_an_extension_may_change_single_values(catalogue: Mapping[str, Vendor]) -> None:
    table = VendorTable(
        id="google-analytics",
        name="GA",
        category=Category.SESSION_REPLAY,
        hosts=("www.google-analytics.com", "*.google-analytics.com"),
    )
    config = _load("contract.toml", catalogue).model_copy(update={"vendors": (table,)})
    changed = all_vendors(config, catalogue)["google-analytics"]
    assert (changed.name, changed.category) == ("GA", Category.SESSION_REPLAY)
    assert changed.hosts == ("*.google-analytics.com", "www.google-analytics.com")


def test_vendor_tables_have_the_keys_of_vendors() -> None:
    of_the_catalogue_alone = {"places", "looks", "builder"}
    keys = set(Vendor.__dataclass_fields__) - of_the_catalogue_alone
    assert set(VendorTable.model_fields) == keys


def test_an_expired_tag_does_not_refuse_the_config(catalogue: Mapping[str, Vendor]) -> None:
    text = (GOOD / "contract.toml").read_text(encoding="utf-8")
    day = datetime.date(2027, 11, 2)
    loaded = load_config(text, "c.toml", today=day, catalogue=catalogue)
    assert told(loaded) == ["expired"]
    assert len(loaded.config.tags) == 1
    before = load_config(
        text, "c.toml", today=day - datetime.timedelta(days=1), catalogue=catalogue
    )
    assert told(before) == ["warning"]


def test_a_byte_order_mark_is_no_mistake(catalogue: Mapping[str, Vendor]) -> None:
    content = b"\xef\xbb\xbf" + (GOOD / "contract.toml").read_bytes().replace(b"\n", b"\r\n")
    text = decode_config(content, "c.toml")
    assert told(load_config(text, "c.toml", today=TODAY, catalogue=catalogue)) == []
    again = load_config("\ufeff" + text, "c.toml", today=TODAY, catalogue=catalogue)
    assert told(again) == []


@pytest.mark.parametrize(
    ("content", "line", "part"),
    [
        (b'[policy]\ncontroller = "B\xfccher"\n', 2, "not UTF-8"),
        ('[policy]\nversion = "1"\n'.encode("utf-16"), 1, "UTF-16"),
    ],
)
def test_another_encoding_is_told_with_its_line(content: bytes, line: int, part: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decode_config(content, "c.toml")
    (problem,) = caught.value.problems
    assert problem.line == line
    assert part in problem.message


def test_an_error_reads_as_its_faults(catalogue: Mapping[str, Vendor]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("[policy]\nversion = 1\n", "a/c.toml", today=TODAY, catalogue=catalogue)
    assert str(caught.value).split("\n")[-1].startswith("a/c.toml:2: version: it must be text")


# --- JSON Schema


def _as_json(name: str) -> Any:
    data = tomllib.loads((GOOD / name).read_text(encoding="utf-8"))
    return json.loads(json.dumps(data, default=lambda day: day.isoformat()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_schema_accepts_what_is_right(file: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(_as_json(file.name))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("proxy", "workers"), 0),
        (("proxy", "workrs"), 1),
        (("proxy", "workers"), None),
        (("policy", "regime"), "optin"),
        (("site", 0, "audience"), "everyone"),
        (("site", 0, "pages"), []),
        (("site",), []),
        (("tag", 0, "baa"), "yes"),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[str | int, ...], value: object) -> None:
    data = _as_json("contract.toml")
    table = data
    for part in path[:-1]:
        table = table[part]
    table[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(json_schema()).validate(data)


def _properties(node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield name, value
        for value in node.values():
            yield from _properties(value)


def test_every_key_of_the_schema_has_help_and_none_may_be_null() -> None:
    schema = json_schema()
    properties = list(_properties(schema))
    assert len(properties) > 60
    assert [name for name, value in properties if not value.get("description")] == []
    assert '"null"' not in json.dumps(schema)
    assert schema["properties"]["site"]["description"]
    assert "sites" not in schema["properties"]
