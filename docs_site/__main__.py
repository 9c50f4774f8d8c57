"""Builds the site: `python -m docs_site ZENSICAL`, which is what `make docs` does.

Everything goes into `docs_site/output`, which git ignores: the pages as the generator reads them,
and `site`, which any web server can serve.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from docs_site.reference import made_pages
from docs_site.staging import BrokenLinkError, stage

HERE = Path(__file__).parent


def build(zensical: str, output: Path) -> Path:
    """Build the site into a folder, which is emptied first, and return where it stands.

    Raises BrokenLinkError, and CalledProcessError where the generator warns.
    """
    shutil.rmtree(output, ignore_errors=True)
    pages = output / "pages"
    pages.mkdir(parents=True)
    stage(pages, made_pages())
    shutil.copy(HERE / "style.css", pages)
    shutil.copy(HERE / "zensical.toml", output)
    shutil.copytree(HERE / "overrides", output / "overrides")
    # From another folder: a path that is relative to this one would name nothing.
    program = str(Path(zensical).absolute())
    subprocess.run([program, "build", "--strict"], cwd=output, check=True)
    return output / "site"


def main() -> None:
    try:
        site = build(sys.argv[1], HERE / "output")
    except (BrokenLinkError, subprocess.CalledProcessError) as error:
        sys.exit(f"make docs: {error}")
    print(f"The site: {site}\nTo look at it: python3 -m http.server --directory {site}")


if __name__ == "__main__":
    main()
