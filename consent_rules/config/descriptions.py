"""The sentences under the fields of the config's models: help for editors and error messages.

Read when somebody asks, from the source of the models. pydantic can do it as well
(`use_attribute_docstrings`), but reads the whole file once a class, at each start.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from consent_rules.config import models
from consent_rules.config.model_paths import toml_key


def description_of(model: type[BaseModel], key: str) -> str:
    """Of the field that a key of the file stands for, "" where there is none."""
    texts = _written_in(models).get(model.__name__, {})
    return next((text for name, text in texts.items() if toml_key(model, name) == key), "")


def with_descriptions(schema: Mapping[str, Any], root: type[BaseModel]) -> dict[str, Any]:
    """A JSON Schema made from `root`, with the description of each field."""
    defs = {name: _described(part, name) for name, part in schema.get("$defs", {}).items()}
    return _described({**schema, "$defs": defs}, root.__name__)


def _described(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    model = getattr(models, name, None)
    if not (inspect.isclass(model) and issubclass(model, BaseModel)):
        return dict(schema)
    properties = dict(schema["properties"])
    for field, text in _written_in(models)[name].items():
        key = toml_key(model, field)
        # In the order of the alphabet, as pydantic writes keys.
        properties[key] = dict(sorted({**properties[key], "description": text}.items()))
    return {**schema, "properties": properties}


@cache
def _written_in(module: ModuleType) -> Mapping[str, Mapping[str, str]]:
    """The docstrings of each class's attributes, by the name of the class."""
    tree = ast.parse(inspect.getsource(module))
    classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
    return {node.name: dict(_docstrings(node)) for node in classes}


def _docstrings(node: ast.ClassDef) -> list[tuple[str, str]]:
    """A string right below an annotated attribute, indentation removed."""
    found = []
    for above, below in zip(node.body, node.body[1:], strict=False):
        if not isinstance(above, ast.AnnAssign) or not isinstance(above.target, ast.Name):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found.append((above.target.id, inspect.cleandoc(str(below.value.value))))
    return found
