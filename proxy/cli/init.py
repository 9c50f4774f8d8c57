"""`init`: a first config, by questions on a terminal or by flags."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from consent_rules.config.load import ConfigError, LoadedConfig, format_problem, load_config
from consent_rules.config.models import Host, Origin, PathGlob, PolicyUrl, Text
from proxy.banner.texts import known_texts
from proxy.cli.options import CONFIG_FILE, PROBLEMS, USAGE, stop, today


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """What a first config has to say. `patient_pages` may be empty."""

    controller: str
    host: str
    upstream: str
    policy_url: str
    patient_pages: tuple[str, ...]
    receipts: bool

    def as_toml(self, version: str) -> str:
        """The config file. `version` is that of the privacy policy."""
        pages = ", ".join(
            f'{{ path = {_quoted(path)}, audience = "patient" }}' for path in self.patient_pages
        )
        lines = [
            "# Every key: docs/configuration.md. After a change: consent-proxy check",
            "[proxy]",
            'listen = "127.0.0.1:8080"',
            'admin_listen = "127.0.0.1:8081"   # metrics, health, dashboard; never public',
            "",
            "[policy]",
            f"controller = {_quoted(self.controller)}",
            f"version = {_quoted(version)}   # a new version asks again",
            f"url = {_quoted(self.policy_url)}",
            "",
            *(["[receipts]   # a record of each choice", ""] if self.receipts else []),
            "[[site]]",
            f"name = {_quoted(_site_name(self.host))}",
            f"hosts = [{_quoted(self.host)}]",
            f"upstream = {_quoted(self.upstream)}",
            'audience = "marketing"',
            *([f"page = [{pages}]"] if pages else []),
            "",
            "# Every third party is closed until it is approved: consent-proxy tag add",
        ]
        return "\n".join(lines) + "\n"


def init(
    config: Annotated[Path, typer.Argument(help="The file to write.")] = CONFIG_FILE,
    controller: Annotated[
        str, typer.Option("--controller", help="Who answers for the data, as the banner says it.")
    ] = "",
    host: Annotated[
        str, typer.Option("--host", help="The site's host name, such as www.example.com.")
    ] = "",
    upstream: Annotated[
        str, typer.Option("--upstream", help="The server behind, such as http://127.0.0.1:9000.")
    ] = "",
    policy_url: Annotated[
        str, typer.Option("--policy-url", help="The privacy policy, such as /privacy.")
    ] = "",
    patient_pages: Annotated[
        list[str] | None,
        typer.Option("--patient-pages", help='A pattern of pages for patients: "/patients/*".'),
    ] = None,
    receipts: Annotated[
        bool | None,
        typer.Option("--receipts/--no-receipts", help="Keep a record of each choice, or not."),
    ] = None,
) -> None:
    """Write a first config, by questions on a terminal or by flags. Overwrites no file."""
    if os.path.lexists(config):
        stop(f"{config}: exists already; nothing was written. Name another file", USAGE)
    asks = sys.stdin.isatty() and sys.stdout.isatty()
    try:
        wanted = FirstConfig(
            controller=_answer(controller, "--controller", "Who answers for the data", Text, asks),
            host=_answer(host, "--host", "Host name of the site", Host, asks),
            upstream=_answer(
                upstream, "--upstream", "Server behind (http://127.0.0.1:9000)", Origin, asks
            ),
            policy_url=_answer(
                policy_url, "--policy-url", "Privacy policy (/privacy)", PolicyUrl, asks
            ),
            patient_pages=_patient_pages(patient_pages, asks),
            receipts=_receipts(receipts, asks),
        )
        text = wanted.as_toml(today().isoformat())
        loaded = _checked(text, config)
        if asks:
            typer.echo(f"\n{text}")
            if not typer.confirm(f"Write this to {config}?", default=True):
                stop("Nothing was written.", PROBLEMS)
    except (typer.Abort, KeyboardInterrupt):
        stop("\nNothing was written.", PROBLEMS)
    _write_new(config, text)
    for problem in loaded.problems:
        typer.echo(format_problem(problem, str(config)), err=True)
    typer.echo(f"{config}: written. Next: consent-proxy run --config {config}")


def _answer(given: str, flag: str, question: str, kind: object, asks: bool) -> str:
    """A value by its flag, or by a question that is asked until it has an answer that will do."""
    if given:
        value, problem = _normal(given, kind)
        if problem:
            stop(f"{flag}: {problem}. Nothing was written.", USAGE)
        return value
    if not asks:
        stop(
            f"{flag} is missing: without a terminal it cannot be asked. Nothing was written.", USAGE
        )
    while True:
        value, problem = _normal(typer.prompt(question), kind)
        if not problem:
            return value
        typer.echo(problem, err=True)


def _normal(text: str, kind: object) -> tuple[str, str]:
    """The value as the config has it, and what is wrong with it, "" for nothing."""
    adapter: TypeAdapter[str] = TypeAdapter(kind)  # type: ignore[arg-type]
    try:
        return adapter.validate_python(text.strip()), ""
    except ValidationError as error:
        return "", str(error.errors()[0]["msg"]).removeprefix("Value error, ")


def _patient_pages(given: list[str] | None, asks: bool) -> tuple[str, ...]:
    if given is None and asks:
        question = "Pages for patients, with blanks between (/patients/*), or nothing"
        while True:
            found = [_normal(one, PathGlob) for one in typer.prompt(question, default="").split()]
            if not any(problem for _, problem in found):
                return tuple(value for value, _ in found)
            typer.echo("\n".join(problem for _, problem in found if problem), err=True)
    found = [_normal(one, PathGlob) for one in given or ()]
    for _, problem in found:
        if problem:
            stop(f"--patient-pages: {problem}. Nothing was written.", USAGE)
    return tuple(value for value, _ in found)


def _receipts(given: bool | None, asks: bool) -> bool:
    if given is None:
        return typer.confirm("Keep a record of each choice?", default=True) if asks else True
    return given


def _checked(text: str, config: Path) -> LoadedConfig:
    try:
        return load_config(text, str(config), today=today(), texts=known_texts())
    except ConfigError as error:
        stop(f"{error}\nNothing was written.", PROBLEMS)


def _write_new(config: Path, text: str) -> None:
    """Write a file that does not exist yet: as a whole, or not at all."""
    made = ""
    try:
        handle, made = tempfile.mkstemp(dir=config.parent, prefix=f".{config.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, 0o644)
            file.write(text)
        os.link(made, config)  # fails where somebody has made one meanwhile
    except OSError as error:
        stop(f"{config}: cannot be written: {error.strerror}. Nothing was written.", PROBLEMS)
    finally:
        if made:
            with contextlib.suppress(OSError):
                Path(made).unlink()


def _site_name(host: str) -> str:
    return host.removeprefix("*.").partition(".")[0][:64] or "www"


def _quoted(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's too, but for pairs of surrogates."""
    return json.dumps(text, ensure_ascii=False)
