"""What a first-time visitor loads for a banner: ours, and that of others from npm, in gzip.

Counted is what the vendor's instructions have a page load before the banner can show: script,
style, and the texts of one language. The site's own configuration comes on top with the others; it
is in ours already.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from consent_rules.categories import CHOOSABLE
from consent_rules.config.theme import Theme
from proxy.banner.banner import banner_html, head_html, link_html
from proxy.banner.texts import texts_for
from proxy.banner.views import BannerView, CategoryView, PageState


@dataclass(frozen=True, slots=True)
class BannerSize:
    """`size` in bytes of gzip -9, each file by itself; `requests` beyond the page's own."""

    name: str
    size: int
    requests: int


@dataclass(frozen=True, slots=True)
class Package:
    """A package of npm, held to the hash that was seen when it was chosen."""

    name: str
    version: str
    sha256: str
    files: tuple[str, ...]


PACKAGES = (
    Package(
        "vanilla-cookieconsent",
        "3.1.0",
        "1d106b5f433b60d945dfed4c54f5535a8f61a30f2559b3f7548ed79e482aa4b6",
        ("dist/cookieconsent.umd.js", "dist/cookieconsent.css"),
    ),
    Package(
        "klaro",
        "0.7.22",
        "da7f3f4a9e3931da6c32c2667312736837e702316ae03835a0e726ae94eb3f2a",
        ("dist/klaro.js",),
    ),
    Package(
        "tarteaucitronjs",
        "1.34.0",
        "e805b555e9bf4c4895d4f064b70bc0b517d67ba49d7b47d4bdc4e595b9f65f00",
        (
            "tarteaucitron.min.js",
            "tarteaucitron.services.min.js",
            "lang/tarteaucitron.en.min.js",
            "css/tarteaucitron.min.css",
            "advertising.min.js",
        ),
    ),
)
HEADINGS = ("banner", "bytes, gzip", "requests")


class NoPackageError(Exception):
    """A package could not be had; the message says why."""


def own_sizes() -> Iterator[BannerSize]:
    """Ours, with all five categories to ask about, in English; and once the visitor has chosen."""
    texts, theme = texts_for("en", ""), Theme()
    categories = tuple(CategoryView(category) for category in CHOOSABLE)
    view = BannerView("Acme Billing Services", "/privacy", categories)
    link = link_html(texts)
    first = head_html(theme, PageState(off=CHOOSABLE), texts) + link + banner_html(view, texts)
    later = head_html(theme, PageState(off=CHOOSABLE, decided=True), texts) + link
    yield BannerSize("consent-proxy", _packed(first.encode()), 0)
    yield BannerSize("consent-proxy, after the choice", _packed(later.encode()), 0)


def size_of(package: Package) -> BannerSize:
    """Fetch a package and measure it. Raises NoPackageError."""
    npm = shutil.which("npm")
    spec = f"{package.name}@{package.version}"
    if npm is None:
        raise NoPackageError(f"{spec}: npm is not installed")
    with tempfile.TemporaryDirectory(prefix="consent-proxy-bench-") as name:
        folder = Path(name)
        command = [npm, "pack", spec, "--silent", f"--pack-destination={folder}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        archives = list(folder.glob("*.tgz"))
        if done.returncode or len(archives) != 1:
            raise NoPackageError(f"{spec}: npm pack failed: {done.stderr.strip()[-300:]}")
        if hashlib.sha256(archives[0].read_bytes()).hexdigest() != package.sha256:
            raise NoPackageError(f"{spec}: the package is not the one that was chosen")
        with tarfile.open(archives[0]) as archive:
            # Of Python 3.11 the first releases have no filters; the package is held to its hash.
            if hasattr(tarfile, "data_filter"):
                archive.extraction_filter = tarfile.data_filter
            archive.extractall(folder)
        contents = [(folder / "package" / file).read_bytes() for file in package.files]
    return BannerSize(spec, sum(map(_packed, contents)), len(contents))


def banner_sizes(skipped: list[str]) -> list[BannerSize]:
    """All there are, the smallest first; what cannot be had is named in `skipped`."""
    found = list(own_sizes())
    for package in PACKAGES:
        try:
            found.append(size_of(package))
        except NoPackageError as error:
            skipped.append(str(error))
    return sorted(found, key=lambda one: one.size)


def rows(sizes: Sequence[BannerSize]) -> list[list[str]]:
    """For a table under `HEADINGS`."""
    return [[one.name, f"{one.size:,}", f"{one.requests}"] for one in sizes]


def _packed(content: bytes) -> int:
    return len(gzip.compress(content, 9, mtime=0))


if __name__ == "__main__":
    missing: list[str] = []
    for row in rows(banner_sizes(missing)):
        print("| " + " | ".join(row) + " |")
    print(*missing, sep="\n", file=sys.stderr)
