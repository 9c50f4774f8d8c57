"""What the proxy uses of aiohttp's private names: in these files only, and only these.

Each may change in a minor release; the list is what to look at then.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import proxy

ROOT = Path(__file__).parents[2]
ALLOWED = {
    "proxy/http/adapters/writer.py": {
        "_eof_sent", "_headers_buf", "_headers_written", "_keep_alive", "_prepare_headers",
        "_send_headers_immediately",
    },
    "proxy/server/connection.py": {
        "_cache", "_close", "_current_request", "_keepalive_timeout", "_kwargs", "_loop",
        "_max_msg_queue_size", "_message", "_messages", "_next_keepalive_close_time", "_parser",
        "_pause_transport_reading", "_paused", "_payload_parser", "_prepare_hook",
        "_process_keepalive", "_protocol", "_read_bufsize", "_request_in_progress",
        "_resume_transport_reading", "_state", "_upgraded", "_version", "_waiter",
    },
    "proxy/upstream/connection.py": {
        "_buffer_paused", "_drop_timeout", "_loop", "_on_read_timeout", "_parser",
        "_pause_transport_reading", "_payload", "_read_bufsize", "_read_timeout",
        "_reading_paused", "_reschedule_timeout", "_resume_transport_reading", "_should_close",
        "_skip_payload", "_upgraded",
    },
    "proxy/upstream/pool.py": {"_factory", "_get"},
}  # fmt: skip


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(proxy.__path__, "proxy."):
        if found.name != "proxy.__main__":
            yield importlib.import_module(found.name)


def private_names(cls: type) -> set[str]:
    """The names with one underscore that a class of aiohttp has or uses of itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    found = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)} | set(vars(cls))
    private = {name for name in found if name.startswith("_") and not name.startswith("__")}
    return private - {"_abc_impl"}  # Python's own


def used_of_bases(module: ModuleType) -> set[str]:
    """Private names of aiohttp's classes that their subclasses in a module use or override."""
    used: set[str] = set()
    for cls in vars(module).values():
        if not isinstance(cls, type) or cls.__module__ != module.__name__:
            continue
        bases = [base for base in cls.__mro__ if base.__module__.startswith("aiohttp.")]
        if bases:
            used |= private_names(cls) & set[str]().union(*map(private_names, bases))
    return used


def used_of_others(module: ModuleType) -> set[str]:
    """Private names that are read of anything but `self` and that no class of ours defines."""
    tree = ast.parse(inspect.getsource(module))
    found = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and not (isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"})
    }
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
    return found - own - {"_replace", "_asdict", "_fields"}  # of named tuples


def test_private_names_of_aiohttp_stand_in_a_list() -> None:
    found: dict[str, set[str]] = {}
    for module in modules():
        imports_aiohttp = "aiohttp" in inspect.getsource(module)
        used = used_of_bases(module) | (used_of_others(module) if imports_aiohttp else set())
        if used:
            assert module.__file__ is not None
            found[str(Path(module.__file__).relative_to(ROOT))] = used
    assert found == ALLOWED


def takes_anything(annotation: ast.expr | None) -> bool:
    """Whether a parameter may be any object, by itself or among others."""
    match annotation:
        case ast.Name(id=name):
            return name in {"object", "Any"}
        case ast.BinOp(left=left, right=right):
            return takes_anything(left) or takes_anything(right)
    return False


@pytest.mark.parametrize("folder", ["cache", "responses", "upstream"])
def test_no_response_is_passed_off_as_aiohttps(folder: str) -> None:
    """A body, an error or a parameter that is anything is checked by no type checker."""
    for path in sorted((ROOT / "proxy" / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"cast\(\s*\"?ClientResponse", text), path
        assert '"exception"' not in text, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.arg):
                assert not takes_anything(node.annotation), (path, node.arg)
