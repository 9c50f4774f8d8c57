"""`receivers`: who the requests of a page reach, for the checks that are not written in Python."""

from __future__ import annotations

import sys
from typing import Annotated
from urllib.parse import urlsplit

import typer
from pydantic import BaseModel, TypeAdapter, ValidationError

from proxy.audit.receivers import line_of, receivers, site_scope
from proxy.audit.scopes import InvalidAuditError, start_url
from proxy.cli.options import USAGE, JsonOption, print_json, stop


class _Sent(BaseModel):
    """A request that a browser sent, or the address of a WebSocket."""

    url: str
    body: str = ""


def receivers_command(
    url: Annotated[str, typer.Argument(help="The site's address, such as https://example.com/.")],
    own: Annotated[
        list[str] | None, typer.Option("--own", help="One more host of the site. Repeatable.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell who receives a page's requests, of a JSON array on stdin: {"url": ..., "body": ...}."""
    try:
        start = start_url(url)
        sent = TypeAdapter(list[_Sent]).validate_json(sys.stdin.buffer.read())
    except InvalidAuditError as error:
        stop(str(error), USAGE)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"[{part!r}]" for part in first["loc"])
        stop(f'stdin{where}: {first["msg"]}; write [{{"url": ...}}, ...]', USAGE)
    scope = site_scope(urlsplit(start).hostname or "", tuple(own or ()))
    found = receivers(scope, ((one.url, one.body) for one in sent))
    if as_json:
        print_json([{"id": i, "message": line_of(*one)} for i, one in found.items()])
        return
    for one in found.values():
        typer.echo(line_of(*one))
