"""A JSON Schema of the part of the Compose Specification that our files use: a key that it does not
know, or a value of another form, is an error.

Facts: https://github.com/compose-spec/compose-spec/blob/main/spec.md
"""

from __future__ import annotations

from typing import Any

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT, "uniqueItems": True}
_DURATION = {"type": "string", "pattern": r"^([0-9]+(us|ms|s|m|h))+$"}
_CONDITIONS = ("service_started", "service_healthy", "service_completed_successfully")


def _only(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _named(values: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


_DEPENDENCY = {**_only(condition={"enum": _CONDITIONS}), "required": ["condition"]}
_LIMIT = {**_only(soft={"type": "integer"}, hard={"type": "integer"}), "required": ["soft", "hard"]}

_SERVICE = _only(
    build=_TEXT,
    image=_TEXT,
    read_only={"type": "boolean"},
    cap_drop=_TEXTS,
    security_opt=_TEXTS,
    tmpfs=_TEXTS,
    ports={"type": "array", "items": {"type": "string", "pattern": r"^([\d.]+:)?\d+:\d+$"}},
    volumes={"type": "array", "items": {"type": "string", "pattern": r"^[^:]+:/[^:]+(:ro)?$"}},
    restart={"enum": ["no", "always", "on-failure", "unless-stopped"]},
    stop_grace_period=_DURATION,
    ulimits=_named({"anyOf": [{"type": "integer"}, _LIMIT]}),
    environment=_named({"type": ["string", "number", "null"]}),
    depends_on={"anyOf": [_TEXTS, _named(_DEPENDENCY)]},
    healthcheck=_only(
        test=_TEXTS, interval=_DURATION, timeout=_DURATION, retries={"type": "integer"}
    ),
)

COMPOSE: dict[str, Any] = _only(
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
    services=_named({**_SERVICE, "anyOf": [{"required": ["build"]}, {"required": ["image"]}]}),
    volumes=_named({"type": "null"}),
)
