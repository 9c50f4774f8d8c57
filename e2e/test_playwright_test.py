"""examples/playwright_test, against the demo: with the proxy, and without it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from playwright._impl._driver import compute_driver_executable

from e2e.chromium import FLAGS, loopback_program
from e2e.npm import from_npm
from e2e.site import RunningDemo

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "playwright_test"

# The example's own check of analytics names the real vendors; here their stand-ins answer.
DEMO_SPEC = """
import { expect } from "@playwright/test";
import { assertNoTrackers, assertOnlyVendors, test } from "./consent";
const [script, pixel] = HOSTS;

test("demo: analytics alone", async ({ visitor }) => {
  await visitor.open("/product");
  const page = await visitor.accepts("analytics");
  expect(page.url()).toBe(new URL("/product", test.info().project.use.baseURL).href);
  await assertOnlyVendors(page, [], [script, "google-analytics"]);
  await visitor.accepts();
  await expect(assertOnlyVendors(page, [script, "google-analytics"])).rejects.toThrow(pixel);
});

test("demo: planted on the site's own path", async ({ visitor }) => {
  await visitor.withGpc();
  const page = await visitor.open("/");
  expect(await page.evaluate("navigator.globalPrivacyControl")).toBe(true);
  await assertNoTrackers(page);
  await page.evaluate("fetch('/g/collect?v=2&tid=G-ABCDEFGH12&cid=1.2').catch(() => 0)");
  await assertNoTrackers(page);
});

test("demo: used wrongly", async ({ visitor, context }) => {
  const unwatched = assertNoTrackers(await context.newPage());
  await expect(unwatched).rejects.toThrow("not watched from its beginning: use visitor.page");
  const page = await visitor.open("/");
  const silent = assertOnlyVendors(page, [], ["google-analytics"]);
  await expect(silent).rejects.toThrow("google-analytics: was sent nothing, and should have been");
  await expect(visitor.accepts("anaytics")).rejects.toThrow("no category anaytics on this site");
});
"""

FAILURES = {
    ("proxied", "demo: planted on the site's own path"): "Google Analytics (google-analytics, "
    "analytics) was sent http://localhost",
    ("direct", "nothing before the choice"): "mystery-metrics",
}
"""Project and test -> what its failure says."""


def in_folder(folder: Path, demo: RunningDemo) -> None:
    """The example in a folder of a site team's: with a config and more checks for the demo."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    modules = from_npm("@playwright/test").parents[1]
    (folder / "node_modules").symlink_to(modules, target_is_directory=True)
    hosts = [
        f"{label}.localhost:{demo.ports.vendors}" for label in ("googletagmanager", "facebook")
    ]
    (folder / "demo.spec.ts").write_text(DEMO_SPEC.replace("HOSTS", json.dumps(hosts)))
    projects = [
        {
            "name": "proxied",
            "grepInvert": "^(?!.*demo:).*analytics alone",
            "use": {"baseURL": demo.url("/")},
        },
        {
            "name": "direct",
            "grep": "nothing before the choice",
            "use": {"baseURL": demo.origin_url("/")},
        },
    ]
    use = {
        "consentProxy": [sys.executable, "-m", "proxy"],
        "launchOptions": {"executablePath": str(loopback_program(folder)), "args": FLAGS},
    }
    config = {
        "workers": 1,
        "timeout": 90_000,
        "reporter": "json",
        "use": use,
        "projects": projects,
    }
    (folder / "playwright.config.ts").write_text(
        f"const config = {json.dumps(config)};\n"
        "for (const project of config.projects as any[]) {\n"
        "  for (const key of ['grep', 'grepInvert'])\n"
        "    if (key in project) project[key] = new RegExp(project[key]);\n"
        "}\n"
        "export default config;\n"
    )


def outcomes(suites: list[Any]) -> dict[tuple[str, str], str]:
    """Project and test -> the message of its failure, "" where it passed."""
    found: dict[tuple[str, str], str] = {}
    for suite in suites:
        found |= outcomes(suite.get("suites", []))
        for spec in suite.get("specs", []):
            for test in spec["tests"]:
                errors = test["results"][-1]["errors"]
                told = "\n".join(error["message"] for error in errors)
                found[test["projectName"], spec["title"]] = told
    return found


def test_the_example_in_playwright_test(tmp_path: Path, demo_site: RunningDemo) -> None:
    in_folder(tmp_path, demo_site)
    # It asks for Node.js 20, and Debian 12 has 18. Playwright for Python brings a newer one.
    node, _ = compute_driver_executable()
    done = subprocess.run(
        [node, from_npm("@playwright/test/cli.js"), "test"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    found = outcomes(json.loads(done.stdout)["suites"])
    assert len(found) == 9, done.stdout
    assert {one for one, told in found.items() if told} == FAILURES.keys(), found
    for one, told in FAILURES.items():
        assert told in found[one]


def test_the_types_of_the_example_hold(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True)
    modules = from_npm("@playwright/test").parents[1]
    (tmp_path / "node_modules").symlink_to(modules, target_is_directory=True)
    options = ["--strict", "--noUncheckedIndexedAccess", "--noEmit", "--skipLibCheck"]
    told = subprocess.run(
        [from_npm(".bin/tsc"), *options, "--target", "es2022", "--module", "preserve",
         "--types", "node", *sorted(path.name for path in tmp_path.glob("*.ts"))],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (told.returncode, told.stdout) == (0, "")
