"""The vendors that the shell's completion offers. Nothing here fails: without a readable config the
catalogue's are offered.
"""

from __future__ import annotations

from pathlib import Path

import typer

from consent_rules.catalogue.load import catalogue
from consent_rules.config.load import Config, ConfigError, all_vendors
from proxy.cli.options import CONFIG_FILE, today
from proxy.config.file import ConfigFile


def vendor_ids(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of the catalogue and of the config's own vendors."""
    config = _config(context)
    known = catalogue() if config is None else all_vendors(config, catalogue())
    return [one for one in known if one.startswith(incomplete)]


def tagged_vendor_ids(context: typer.Context, incomplete: str) -> list[str]:
    """The ids of the vendors that have a tag in the config."""
    config = _config(context)
    if config is None:
        return vendor_ids(context, incomplete)
    return [
        one
        for one in dict.fromkeys(tag.vendor for tag in config.tags)
        if one.startswith(incomplete)
    ]


def catalogue_words(context: typer.Context, incomplete: str) -> list[str]:
    """The words of `catalogue`: an id, or `search`."""
    known = ("search", *catalogue())
    return [one for one in known if one.startswith(incomplete)]


def _config(context: typer.Context) -> Config | None:
    path = context.params.get("config")
    try:
        loaded, _ = ConfigFile(Path(path) if path else CONFIG_FILE).read(today())
    except (ConfigError, OSError):
        return None
    return loaded.config
