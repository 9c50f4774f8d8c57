"""`init`: a first config, by questions on a terminal or by flags."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from consent_rules.config.load import ConfigError, LoadedConfig, format_problem, load_config
from consent_rules.config.models import Host, Origin, PathGlob, PolicyUrl, Text
from consent_rules.wording import quoted
from proxy.banner.texts import known_texts
from proxy.cli.options import CONFIG_FILE, PROBLEMS, USAGE, confirm, stop, today


@dataclass(frozen=True, slots=True)
class FirstConfig:
    """What a first config has to say. `policy_url` and `patient_pages` may be empty."""

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
            *([f"url = {_quoted(self.policy_url)}"] if self.policy_url else []),
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


@dataclass(frozen=True, slots=True)
class _Field:
    """A value of the first config: its flag, its question, and the type that reads it."""

    flag: str
    text: str
    kind: Any
    may_be_empty: bool = False


_CONTROLLER = _Field("--controller", "Who answers for the data", Text)
_HOST = _Field("--host", "Host name of the site", Host)
_UPSTREAM = _Field("--upstream", "Server behind (http://127.0.0.1:9000)", Origin)
_POLICY_URL = _Field(
    "--policy-url", "Privacy policy (/privacy), or nothing", PolicyUrl, may_be_empty=True
)
_PATIENT_PAGE = _Field(
    "--patient-pages",
    "Pages for patients, with blanks between (/patients/*), or nothing",
    PathGlob,
)


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
        str, typer.Option("--policy-url", help="The privacy policy, such as /privacy; may follow.")
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
    interactive = sys.stdin.isatty() and sys.stdout.isatty()
    given = (
        (controller, _CONTROLLER), (host, _HOST), (upstream, _UPSTREAM), (policy_url, _POLICY_URL),
        *((one, _PATIENT_PAGE) for one in patient_pages or ()),
    )  # fmt: skip
    if wrong := [
        reason for text, one in given if (reason := _problem_of_flag(text, one, interactive))
    ]:
        stop("\n".join((*wrong, "Nothing was written.")), USAGE)
    try:
        wanted = FirstConfig(
            controller=_answer(controller, _CONTROLLER, interactive),
            host=_answer(host, _HOST, interactive),
            upstream=_answer(upstream, _UPSTREAM, interactive),
            policy_url=_answer(policy_url, _POLICY_URL, interactive),
            patient_pages=_patient_pages(patient_pages, interactive),
            receipts=_receipts(receipts, interactive),
        )
        text = wanted.as_toml(today().isoformat())
        loaded = _checked(text, config)
        if interactive:
            typer.echo(f"\n{text}")
            if not confirm(f"Write this to {config}?"):
                stop("Nothing was written.", PROBLEMS)
    except (typer.Abort, KeyboardInterrupt):
        stop("\nNothing was written.", PROBLEMS)
    _write_new(config, text)
    for problem in loaded.problems:
        typer.echo(format_problem(problem, str(config)), err=True)
    typer.echo(f"{config}: written. Next: consent-proxy run --config {config}")


def _problem_of_flag(text: str, wanted: _Field, interactive: bool) -> str:
    """What is wrong with the value of a flag, or that it is missing; "" for nothing."""
    if text:
        _, problem = _normal(text, wanted)
        return f"{wanted.flag}: {problem}" if problem else ""
    if interactive or wanted.may_be_empty:
        return ""
    return f"{wanted.flag} is missing: without a terminal it cannot be asked"


def _answer(given: str, wanted: _Field, interactive: bool) -> str:
    """A value by its flag, or by a question that is asked until it has an answer that will do."""
    if given or not interactive:
        return _normal(given, wanted)[0] if given else ""
    while True:
        empty = "" if wanted.may_be_empty else None
        answer = typer.prompt(wanted.text, default=empty, show_default=False)
        if wanted.may_be_empty and not answer.strip():
            return ""
        value, problem = _normal(answer, wanted)
        if not problem:
            return value
        typer.echo(problem, err=True)


def _normal(text: str, wanted: _Field) -> tuple[str, str]:
    """The value as the config has it, and what is wrong with it, "" for nothing."""
    text = text.strip()
    adapter: TypeAdapter[str] = TypeAdapter(wanted.kind)
    try:
        return adapter.validate_python(text), ""
    except ValidationError as error:
        problem = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    if wanted is _PATIENT_PAGE and "did you mean" in problem and re.fullmatch(r"[\w/-]+", text):
        # A page alone leaves open what lies below it.
        problem = f'{quoted(text)} does not start with "/"; did you mean "/{text.strip("/")}/*"?'
    return "", problem


def _patient_pages(given: list[str] | None, interactive: bool) -> tuple[str, ...]:
    if given is not None or not interactive:
        return tuple(_normal(one, _PATIENT_PAGE)[0] for one in given or ())
    while True:
        answer = typer.prompt(_PATIENT_PAGE.text, default="", show_default=False)
        found = [_normal(one, _PATIENT_PAGE) for one in answer.split()]
        if not any(problem for _, problem in found):
            return tuple(value for value, _ in found)
        typer.echo("\n".join(problem for _, problem in found if problem), err=True)


def _receipts(given: bool | None, interactive: bool) -> bool:
    if given is None:
        return confirm("Keep a record of each choice?") if interactive else True
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
