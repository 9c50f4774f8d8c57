"""Find and read the files that a config includes.

A file outside the config's own folder is not read, symbolic links resolved: whoever may write one
team's file must not make the proxy read another's.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path

from consent_rules.config.load import IncludedFile, Includes
from consent_rules.wording import quoted

_MAX_BYTES = 10_000_000
"""Bytes. 10,000 tags are 2 MB."""
_MAX_COUNT = 5_000


Stamp = tuple[int, ...]
"""Changes whenever a file does, or another takes its place. Empty where there is none."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file, of a link's target."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)


class IncludedFiles:
    """Finds included files and records what was looked at.

    `folders` are the folders whose change may change the config, `files` the files read so far,
    `stamps` the state of each when it was read.
    """

    def __init__(self, path: Path) -> None:
        """`path` is the config file's, as faults name it."""
        self._root = path.absolute().parent.resolve()
        self.folders: set[Path] = {path.absolute().parent, path.resolve().parent}
        self.files: dict[Path, bytes] = {}
        self.stamps: dict[Path, Stamp] = {}
        self._named: dict[tuple[str, Path], tuple[list[str], bool]] = {}
        self._identity = str(path.resolve())

    @property
    def includes(self) -> Includes:
        """For `load_config`."""
        return Includes(self._identity, self._find)

    def names_changed(self) -> bool:
        """Whether a pattern now matches other files, or its folder was created or removed."""
        return any(_names(*asked) != names for asked, names in self._named.items())

    def _find(self, pattern: str, says: str) -> list[IncludedFile]:
        folder = Path(says).parent
        fixed = _fixed_folder(pattern)
        self.folders |= {folder.absolute(), (folder / fixed).absolute()}
        names, there = self._named[pattern, folder] = _names(pattern, folder)
        if len(names) > _MAX_COUNT:
            return [
                _problem(f"{quoted(pattern)} names {len(names)} files; at most {_MAX_COUNT} can be")
            ]
        if names:
            return [self._open(folder / name, name) for name in names]
        if not glob.has_magic(pattern):
            return [_problem(f"there is no file {quoted(pattern)} in {_named(folder)}")]
        if not there:
            return [_problem(f"there is no folder {quoted(fixed)} in {_named(folder)}")]
        return [
            IncludedFile(
                problem=f"{quoted(pattern)} names no file yet; the folder has none of that name",
                severity="warning",
            )
        ]

    def _open(self, path: Path, name: str) -> IncludedFile:
        self.stamps[path] = stamp_of(path)
        self.folders.add(path.absolute().parent)
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._root):
                return _problem(
                    f"{quoted(name)} is a link to {quoted(str(real))}, outside the folder of the "
                    "config file; put the file itself there"
                )
            self.folders.add(real.parent)
            if not real.is_file():  # a pipe would keep the proxy waiting
                return _problem(f"{quoted(name)} is no file")
            if real.stat().st_size > _MAX_BYTES:
                return _problem(f"{quoted(name)} is larger than {_MAX_BYTES:,} bytes")
            content = real.read_bytes()
        except FileNotFoundError:
            return _problem(f"{quoted(name)} is a link that leads to no file")
        except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before 3.13
            why = getattr(error, "strerror", None) or "its links lead round in a circle"
            return _problem(f"{quoted(name)} cannot be read: {why}")
        self.files[real] = content
        return IncludedFile(os.path.normpath(path), str(real), content)


def _names(pattern: str, folder: Path) -> tuple[list[str], bool]:
    """The files that a pattern names, and whether its folder is there."""
    # Not Path.glob: that also finds hidden files, as editors leave them.
    names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))  # noqa: PTH207
    return names, (folder / _fixed_folder(pattern)).is_dir()


def _fixed_folder(pattern: str) -> str:
    """The folders of a pattern before its first star."""
    folders: list[str] = []
    for part in pattern.split("/")[:-1]:
        if glob.has_magic(part):
            break
        folders.append(part)
    return "/".join(folders)


def _named(folder: Path) -> str:
    return "this folder" if str(folder) == "." else quoted(str(folder))


def _problem(sentence: str) -> IncludedFile:
    return IncludedFile(problem=sentence)
