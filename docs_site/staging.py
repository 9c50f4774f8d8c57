"""The repository's pages, as the site's generator reads them.

On the site `docs/` is the root. A page of another folder (`SECURITY.md`, the READMEs of examples)
goes to `project/`; any other file that a page links to, a config or a script, is there as text. A
link to a folder leads to its README.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath

from docs_site.markdown import for_python_markdown, map_links

ROOT = Path(__file__).parents[1]
OUTSIDE = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
SHOWN_AS_THEY_ARE = {".svg", ".webp", ".png", ".json"}


class BrokenLinkError(ValueError):
    """A page links to a file that the repository does not have."""


def pages() -> list[Path]:
    """Every page of the site that stands in the repository."""
    examples = ROOT.joinpath("examples").rglob("README.md")
    return sorted(
        [*ROOT.joinpath("docs").rglob("*.md"), *examples, *(ROOT / name for name in OUTSIDE)]
    )


def place_of(path: PurePosixPath) -> PurePosixPath:
    """Where a file of the repository stands on the site; both relative to their roots."""
    if path.parts[0] == "docs":
        return path.relative_to("docs")
    if path.suffix == ".md" and path.stem == "README":
        name = path.parent.as_posix().replace("/", "-") if path.parent.name else "overview"
        return PurePosixPath("project", f"{name}.md")
    if path.suffix == ".md":
        return PurePosixPath("project", f"{path.stem.lower()}.md")
    if path.suffix in SHOWN_AS_THEY_ARE:
        return PurePosixPath("project", *path.parts)
    return PurePosixPath("project", *path.parts[:-1], f"{path.name}.txt")


def stage(folder: Path, made: Mapping[str, str]) -> None:
    """Write every page, every file that one links to, and the `made` pages into an empty folder.

    `made` is path on the site -> text. Raises BrokenLinkError.
    """
    linked: set[PurePosixPath] = set()
    for page in pages():
        source = PurePosixPath(page.relative_to(ROOT).as_posix())
        target_of = partial(_on_the_site, source, made, linked)
        _write(folder / place_of(source), map_links(page.read_text(encoding="utf-8"), target_of))
    for name, text in made.items():
        _write(folder / name, text)
    for source in sorted(linked):
        target = folder / place_of(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / source, target)


def _write(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(for_python_markdown(text), encoding="utf-8")


def _on_the_site(
    source: PurePosixPath, made: Iterable[str], linked: set[PurePosixPath], target: str
) -> str:
    """What a link of the page `source` is on the site. Files that are no pages go into `linked`."""
    file, hash_sign, anchor = target.partition("#")
    if not file or re.match(r"[a-z]+:|/", file):
        return target
    path = PurePosixPath(os.path.normpath(source.parent / file))
    if path.as_posix().removeprefix("docs/") in made:
        return target
    if (ROOT / path).is_dir():
        path /= "README.md"
    if not (ROOT / path).is_file():
        raise BrokenLinkError(f"{source}: nothing is at {target}")
    if path.suffix != ".md":
        linked.add(path)
    relative = os.path.relpath(place_of(path), place_of(source).parent)
    return f"{relative}{hash_sign}{anchor}"
