"""The text of a config: the file itself and its includes, merged.

Nothing here opens a file: the caller passes `Includes`.
"""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import tomli

from consent_rules.config.model_paths import toml_keys
from consent_rules.config.models import Config
from consent_rules.config.problems import LocatedProblem, Severity, Spot, did_you_mean
from consent_rules.config.toml.positions import Path, TomlLines
from consent_rules.config.toml.syntax_errors import explain_syntax
from consent_rules.config.values import normal_include
from consent_rules.wording import quoted

SHARED = ("tag", "vendor")
"""The tables that an included file may hold. What decides for whom a page is, or where the proxy
listens, stands in the one file that its owners review."""


@dataclass(frozen=True, slots=True)
class IncludedFile:
    """One file that matched a pattern, or one reason why none did.

    `name` is how problems name it, `identity` is equal for two names of one file.
    """

    name: str = ""
    identity: str = ""
    content: bytes = b""
    problem: str = ""
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Includes:
    """Finds included files. `identity` is that of the config file itself; `named` returns the files
    that a pattern matches, in a fixed order: (pattern, name of the file that has it) -> files.
    """

    identity: str
    named: Callable[[str, str], Sequence[IncludedFile]]


@dataclass(slots=True)
class _SourceFile:
    name: str
    lines: TomlLines


@dataclass(slots=True)
class Sources:
    """All files merged into one table of values, and the position of each value.

    `problems` are those of the files as such. `whole` is False where some file could not be read: a
    value that seems to be missing may be in it.
    """

    data: dict[str, Any]
    problems: list[LocatedProblem] = field(default_factory=list)
    whole: bool = True
    variables: bool = False
    """Whether `${` stands anywhere in the files."""
    _parts: list[_SourceFile] = field(default_factory=list)
    _origins: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    """For each shared table and each of its entries: the part, and the entry's index there."""

    def key(self, path: Path) -> Spot:
        """Of the key, or of the header of a table."""
        part, local = self._local(path)
        return Spot(part.name, *part.lines.key(local))

    def value(self, path: Path) -> Spot:
        """Of the value; of the header for a table that has one."""
        part, local = self._local(path)
        return Spot(part.name, *part.lines.value(local))

    def has(self, path: Path) -> bool:
        """Whether the files themselves give the value at a path."""
        part, local = self._local(path)
        return part.lines.has(local)

    def order(self, file: str) -> int:
        """The place of a file among the files, in the order in which they were read."""
        return next((n for n, part in enumerate(self._parts) if part.name == file), 0)

    def _local(self, path: Path) -> tuple[_SourceFile, Path]:
        if len(path) > 1 and isinstance(path[0], str) and isinstance(path[1], int):
            entries = self._origins.get(path[0], ())
            if path[1] < len(entries):
                number, index = entries[path[1]]
                return self._parts[number], (path[0], index, *path[2:])
        return self._parts[0], path


def parse_toml(text: str) -> dict[str, Any] | list[LocatedProblem]:
    """The values of a TOML text, or its mistakes of syntax."""
    with contextlib.suppress(ValueError, RecursionError):
        return tomli.loads(text)  # tomllib compiled to machine code: a third of the time
    try:
        return tomllib.loads(text)
    except RecursionError:
        return [LocatedProblem(1, 1, "not valid TOML: lists or tables are nested far too deep")]
    except ValueError as error:
        return [LocatedProblem(*one) for one in explain_syntax(error, text)]


def decode_text(content: bytes) -> str | LocatedProblem:
    """The text of a file, or where it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        what = "the file is not UTF-8 from here on; save it with that encoding"
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            line, column, what = 1, 1, "the file is UTF-16; save it as UTF-8"
        return LocatedProblem(line, column, what)


def read_sources(text: str, data: dict[str, Any], filename: str, includes: Includes) -> Sources:
    """The file's values merged with those of all files that it includes. No problem stops the
    others.
    """
    found = Sources(data, variables="${" in text, _parts=[_SourceFile("", TomlLines(text))])
    for table in SHARED:
        entries = data.get(table)
        if isinstance(entries, list):
            found._origins[table] = [(0, index) for index in range(len(entries))]
    main = includes.identity
    _SourceReader(found, includes, filename, {main}).include(data, 0, (main,))
    return found


@dataclass(slots=True)
class _SourceReader:
    sources: Sources
    includes: Includes
    filename: str
    read: set[str]

    def include(self, data: Mapping[str, Any], number: int, above: tuple[str, ...]) -> None:
        """Read the files that a file includes. `above` are the files that led to it."""
        for index, pattern in _patterns(data):
            path: Path = ("include", index)
            try:
                pattern = normal_include(pattern)
            except ValueError as error:
                self._fault(number, path, f"include: {error}")
                continue
            part = self.sources._parts[number]
            for opened in self.includes.named(pattern, part.name or self.filename):
                if opened.problem:
                    self._fault(number, path, f"include: {opened.problem}", opened.severity)
                    # A warning is for a pattern that matches nothing yet.
                    self.sources.whole &= opened.severity != "error"
                elif opened.identity in above:
                    what = (
                        "names this very file"
                        if opened.identity == above[-1]
                        else f"goes round in a circle: {opened.name} led here"
                    )
                    self._fault(
                        number,
                        path,
                        f"include: {quoted(pattern)} {what}; put the files of the teams into a "
                        'folder of their own, as in include = ["tags/*.toml"]',
                    )
                elif opened.identity not in self.read:
                    self.read.add(opened.identity)
                    self._file(opened, above)

    def _file(self, opened: IncludedFile, above: tuple[str, ...]) -> None:
        number = len(self.sources._parts)
        text = decode_text(opened.content)
        if isinstance(text, LocatedProblem):
            self.sources._parts.append(_SourceFile(opened.name, TomlLines("")))
            self._unreadable(opened.name, [text])
            return
        self.sources._parts.append(_SourceFile(opened.name, TomlLines(text)))
        self.sources.variables |= "${" in text
        data = parse_toml(text)
        if isinstance(data, list):
            self._unreadable(opened.name, data)
            return
        for key, value in data.items():
            if key in SHARED:
                self._add(number, key, value)
            elif key == "include":
                if not _is_list_of_text(value):
                    self._fault(number, (key,), f"include: {_NO_LIST}")
            else:
                self._fault(number, (key,), self._unknown_table(key), at_key=True)
        self.include(data, number, (*above, opened.identity))

    def _add(self, number: int, table: str, entries: object) -> None:
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            self.sources.whole = False
            self._fault(
                number,
                (table,),
                f"write [[{table}]] with double brackets: there may be several",
                at_key=True,
            )
            return
        mine = self.sources.data.setdefault(table, [])
        if isinstance(mine, list):  # else the file itself is wrong there, which is a schema error
            mine.extend(entries)
            origins = self.sources._origins.setdefault(table, [])
            origins.extend((number, index) for index in range(len(entries)))

    def _unknown_table(self, key: str) -> str:
        hint = did_you_mean(key, (*SHARED, "include"))
        if key in toml_keys(Config):
            hint = f"; it stands in {self.filename} only"
        return (
            f"{quoted(key)} cannot stand in an included file{hint}: such a file holds [[tag]], "
            "[[vendor]] and include"
        )

    def _unreadable(self, name: str, problems: list[LocatedProblem]) -> None:
        self.sources.whole = False
        self.sources.problems += [
            LocatedProblem(one.line, one.column, one.message, file=name) for one in problems
        ]

    def _fault(
        self,
        number: int,
        path: Path,
        message: str,
        severity: Severity = "error",
        *,
        at_key: bool = False,
    ) -> None:
        part = self.sources._parts[number]
        line, column = part.lines.key(path) if at_key else part.lines.value(path)
        self.sources.problems.append(LocatedProblem(line, column, message, severity, part.name))


_NO_LIST = 'it must be a list of files, as in include = ["tags/*.toml"]'


def _patterns(data: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    patterns = data.get("include")
    for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
        if isinstance(pattern, str):
            yield index, pattern


def _is_list_of_text(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
