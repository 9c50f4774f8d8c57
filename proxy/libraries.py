"""The files of `[[library]]` on disk, and what of them is served.

They are in one folder, each named by its hash: the config says which belong to the site, the hash
what is in them. Nothing here asks a network: `consent-proxy library add` has fetched them.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from consent_rules.config.models import LibraryTable
from consent_rules.matching.libraries import NO_LIBRARIES, Libraries, Library, libraries_of
from consent_rules.matching.script_hashes import file_hash, matches
from proxy.html.css import css_urls
from proxy.http.content_coding import encoded, worth_encoding

MAX_LIBRARY_BYTES = 10_000_000
"""Of one file. All are held in memory, by each worker."""
_TEXTS = ("text/", "application/json", "application/wasm", "image/svg+xml")


class LibraryFileError(Exception):
    """A library cannot be served; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class LibraryFile:
    """A library as it is served; each content coding is made once, on demand."""

    body: bytes
    media_type: str
    etag: str
    codings: dict[str, bytes] = field(default_factory=dict, compare=False)

    def coded(self, coding: str) -> tuple[bytes, str]:
        """The body in a coding, and the coding: "" where compressing does not pay."""
        if not coding or not self.media_type.startswith(_TEXTS) or not worth_encoding(self.body):
            return self.body, ""
        known = self.codings.get(coding)
        if known is None:
            known = self.codings[coding] = encoded(self.body, coding)
        return known, coding


@dataclass(frozen=True, slots=True)
class LibraryFiles:
    """The libraries of a config with their files, by key."""

    listed: Libraries = NO_LIBRARIES
    files: Mapping[str, LibraryFile] = field(default_factory=dict)


def libraries_in(tables: Iterable[LibraryTable], prefix: str) -> Libraries:
    """The libraries that a config names, without their files."""
    return libraries_of(((one.url, one.integrity, one.type or "") for one in tables), prefix)


def read_libraries(tables: Iterable[LibraryTable], folder: Path, prefix: str) -> LibraryFiles:
    """Read every library's file from a folder. Raises LibraryFileError where one is missing, or has
    another content than the config names.
    """
    listed = libraries_in(tables, prefix)
    bodies = {key: read_library(one, folder) for key, one in listed.by_key.items()}
    served = {
        key: _own_sheet(body, listed) if listed.by_key[key].is_sheet else body
        for key, body in bodies.items()
    }
    changed = {key: file_hash(body) for key, body in served.items() if body is not bodies[key]}
    files = {
        key: LibraryFile(
            body, listed.by_key[key].media_type, f'"{file_hash(body, "sha256")[7:31]}"'
        )
        for key, body in served.items()
    }
    return LibraryFiles(
        Libraries(listed.by_key, listed.folder, listed.digest, changed) if changed else listed,
        files,
    )


def read_library(library: Library, folder: Path) -> bytes:
    """The bytes of a library. Raises LibraryFileError."""
    path = folder / file_name(library.integrity)
    url = library.key
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise LibraryFileError(
            f"{path}: there is no such file, which is {url}; get it with `consent-proxy library "
            "restore`, or copy the folder from where it was added"
        ) from None
    except OSError as error:
        raise LibraryFileError(f"{path}: cannot be read ({error.strerror})") from error
    if not matches(body, library.integrity):
        raise LibraryFileError(
            f"{path}: its content is not that of its name (it has {file_hash(body)}): it was "
            f"changed or cut short; get {url} again with `consent-proxy library restore`"
        )
    return body


def file_name(integrity: str) -> str:
    """The name of the file with a hash: `sha384-` and hexadecimal digits."""
    name, _, digest = integrity.partition("-")
    return f"{name}-{base64.b64decode(digest).hex()}"


def store_library(body: bytes, integrity: str, folder: Path) -> None:
    """Write a library's file, whole or not at all. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".library.")
    with os.fdopen(handle, "wb") as copy:
        copy.write(body)
        os.fchmod(copy.fileno(), 0o644)  # nothing in it is secret, and workers may be another user
    Path(name).replace(folder / file_name(integrity))


def _own_sheet(body: bytes, listed: Libraries) -> bytes:
    """A style sheet whose absolute URLs of libraries are the site's own; `body` itself where it has
    none. Relative ones lead to the site as they are.
    """
    # A byte is a character: offsets hold, and URLs of libraries are ASCII.
    text = body.decode("latin-1")
    parts: list[str] = []
    position = 0
    for found in css_urls(text):
        own = listed.own_address(found.url, "https://-/")
        if own and found.start >= position:
            parts += [text[position : found.start], own.replace("(", r"\(").replace(")", r"\)")]
            position = found.end
    return "".join((*parts, text[position:])).encode("latin-1") if parts else body
