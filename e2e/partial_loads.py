"""Libraries that load pages in part, each as its documentation has it: a page that a link leads to
is fetched, and its content put into the document that is there."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from e2e.npm import from_npm

_NODE_MODULES = Path(__file__).parent / "node_modules"


@dataclass(frozen=True, slots=True)
class Library:
    """`scripts` are its files, in the order in which a page has them, and `start` what a page calls
    then. `body` are attributes of the page's body, `main` of its content, `link` of its links, and
    `head` is markup of the head."""

    scripts: tuple[Callable[[], str], ...]
    start: str = ""
    body: str = ""
    main: str = ""
    link: str = ""
    head: str = ""


def _file(path: str) -> Callable[[], str]:
    return lambda: from_npm(path).read_text("utf-8")


@cache
def _astro() -> str:
    """What Astro makes of its `<ClientRouter />`."""
    component = from_npm("astro/components/ClientRouter.astro").read_text("utf-8")
    script = re.search(r"<script>(.*)</script>", component, re.DOTALL)
    assert script is not None
    with tempfile.TemporaryDirectory(dir=_NODE_MODULES) as folder:
        made = Path(folder)
        (made / "config.js").write_text("export const internalFetchHeaders = {};")
        (made / "client.js").write_text(
            'export * from "astro/virtual-modules/transitions-router.js";'
            'export * from "astro/virtual-modules/transitions-types.js";'
        )
        (made / "router.ts").write_text(script[1])
        told = subprocess.run(
            [
                from_npm(".bin/esbuild"),
                made / "router.ts",
                "--bundle",
                "--format=iife",
                f"--alias:astro:transitions/client={made / 'client.js'}",
                f"--alias:virtual:astro:adapter-config/client={made / 'config.js'}",
                "--define:import.meta.env.SSR=false",
                "--define:import.meta.env.DEV=false",
                "--define:__PREFETCH_DISABLED__=false",
                "--define:__PREFETCH_PREFETCH_ALL__=true",
                '--define:__PREFETCH_DEFAULT_STRATEGY__="hover"',
                "--define:__EXPERIMENTAL_CLIENT_PRERENDER__=false",
            ],
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert told.returncode == 0, told.stderr
    return told.stdout


LIBRARIES: Mapping[str, Library] = {
    "htmx 2": Library((_file("htmx.org/dist/htmx.js"),), body="hx-boost=true"),
    "htmx 4": Library((_file("htmx4/dist/htmx.js"),), body="hx-boost:inherited=true"),
    "Turbo": Library((_file("@hotwired/turbo/dist/turbo.es2017-umd.js"),)),
    "Turbolinks": Library((_file("turbolinks/dist/turbolinks.js"),), "Turbolinks.start()"),
    "pjax": Library(
        (_file("pjax/pjax.js"),),
        "addEventListener('DOMContentLoaded', () => "
        "new Pjax({elements: 'a[href],form[action]', selectors: ['title', 'body'], cacheBust: 0}))",
    ),
    "jquery-pjax": Library(
        (_file("jquery/dist/jquery.js"), _file("jquery-pjax/jquery.pjax.js")),
        "$(document).pjax('a', 'body', {fragment: 'body', timeout: 20000});"
        "$(document).on('submit', 'form', (event) => "
        "$.pjax.submit(event, 'body', {fragment: 'body', timeout: 20000}))",
    ),
    "swup": Library(
        (_file("swup/dist/Swup.umd.js"),),
        "addEventListener('DOMContentLoaded', () => "
        "new Swup({containers: ['#all'], animationSelector: false, linkSelector: 'a[href]'}))",
    ),
    "Barba": Library(
        (_file("@barba/core/dist/barba.umd.js"),),
        "addEventListener('DOMContentLoaded', () => barba.init({timeout: 20000}))",
        body="data-barba=wrapper",
        main="data-barba=container data-barba-namespace=x",
    ),
    "Unpoly": Library(
        (_file("unpoly/unpoly.js"),),
        "up.link.config.followSelectors.push('a[href]');"
        "up.link.config.instantSelectors.push('a[href]');"
        "up.form.config.submitSelectors.push('form');"
        "up.fragment.config.mainTargets.unshift('body')",
    ),
    "Astro": Library(
        (_astro,),
        head='<meta name="astro-view-transitions-enabled" content="true">'
        '<meta name="astro-view-transitions-fallback" content="animate">',
    ),
}
"""By name. They all load the whole body, where they can, and listen to links and forms."""
