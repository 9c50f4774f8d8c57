"""Edit a config from a command: read, check as a whole, write atomically or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from consent_rules.config.load import (
    ConfigError,
    IncludedFile,
    Includes,
    LoadedConfig,
    decode_config,
    load_config,
)
from proxy.banner.texts import known_texts
from proxy.cli.options import PROBLEMS, USAGE, read_config, stop, today
from proxy.config.includes import IncludedFiles

_BOM = b"\xef\xbb\xbf"


@dataclass(slots=True)
class _Text:
    """One of the config's files. `name` is what people call it, `content` what the disk holds."""

    name: Path
    content: bytes
    text: str
    is_changed: bool = False


@dataclass(slots=True)
class ConfigEdit:
    """A config under change: the file that the person named, and those that it includes."""

    path: Path
    loaded: LoadedConfig
    _texts: dict[Path, _Text] = field(default_factory=dict)

    def place_of(self, table: str, number: int) -> tuple[Path, int]:
        """The file in which the `number`-th table of all files stands, and its number there."""
        file = self.loaded.places.key((table, number)).file
        before = sum(self.loaded.places.key((table, n)).file == file for n in range(number))
        return Path(file) if file else self.path, before

    def text(self, file: Path) -> str:
        """A file's text, with the changes so far."""
        return self._opened(file).text

    def change(self, file: Path, text: str) -> None:
        found = self._opened(file)
        found.text, found.is_changed = text, True

    def _opened(self, file: Path) -> _Text:
        real = file.resolve()
        if real not in self._texts:
            try:
                content = file.read_bytes()
                text = decode_config(content, str(file))
            except OSError as error:
                stop(f"{file}: cannot be read: {error.strerror}", USAGE)
            except ConfigError as error:
                stop(str(error), PROBLEMS)
            self._texts[real] = _Text(file, content, text)
        return self._texts[real]

    def checked(self, advice: str = "") -> LoadedConfig:
        """The config with the changes. Ends the command with its problems if it has any, and with
        `advice`.
        """
        try:
            return self._load(IncludedFiles(self.path))
        except ConfigError as error:
            known = {(problem.message, problem.severity) for problem in self.loaded.problems}
            new = [f.message for f in error.problems if (f.message, f.severity) not in known]
            messages = "\n".join(f"  {message}" for message in new)
            hint = f"\n{advice}" if advice else ""
            stop(
                f"the change makes {self.path} invalid:\n{messages}{hint}\nNothing was written.",
                PROBLEMS,
            )

    def includes(self, file: Path) -> bool:
        """Whether a file is one that the config includes."""
        included = IncludedFiles(self.path)
        self._load(included)
        return file.resolve() in included.files

    def _load(self, included: IncludedFiles) -> LoadedConfig:
        """The config with the changes so far. Raises ConfigError."""
        found = included.includes
        changed = {str(real): one.text.encode() for real, one in self._texts.items()}

        def named(pattern: str, including: str) -> Sequence[IncludedFile]:
            return [
                replace(opened, content=changed.get(opened.identity, opened.content))
                for opened in found.named(pattern, including)
            ]

        return load_config(
            self.text(self.path),
            str(self.path),
            today=today(),
            texts=known_texts(),
            includes=Includes(found.identity, named),
            environment=os.environ,
        )

    def write(self) -> None:
        """Put each changed text in its file's place. Whoever reads it meets the old file or the new
        one, never half of one. Ends the command if it was changed meanwhile.
        """
        changed = {real: one for real, one in self._texts.items() if one.is_changed}
        for real, one in changed.items():
            try:
                if real.read_bytes() != one.content:
                    stop(
                        f"{one.name} was changed meanwhile. Nothing was written.",
                        PROBLEMS,
                    )
            except OSError as error:
                stop(f"{one.name}: cannot be read: {error.strerror}", PROBLEMS)
        for real, one in changed.items():
            mark = _BOM if one.content.startswith(_BOM) else b""
            try:
                _replace(real, mark + one.text.encode())
            except OSError as error:
                stop(f"{one.name}: cannot be written: {error.strerror}", PROBLEMS)


def read_for_change(path: Path) -> ConfigEdit:
    """Read a config that has no errors. Ends the command otherwise: the meaning of a change to it
    could not be shown."""
    if not path.is_file():
        stop(f"{path}: cannot be read: there is no such file; name it with --config", USAGE)
    try:
        loaded, _ = read_config(path)
    except ConfigError as error:
        stop(
            f"{error}\n{path} has problems already; fix them first. Nothing was written.", PROBLEMS
        )
    return ConfigEdit(path, loaded)


def _replace(real: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=real.parent, prefix=f".{real.name}.")
    try:
        with os.fdopen(handle, "wb") as copy:
            copy.write(content)
            copy.flush()
            os.fchmod(copy.fileno(), real.stat().st_mode & 0o7777)
            os.fsync(copy.fileno())
        Path(name).replace(real)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
