"""Lighthouse on the demo, with the banner and without: `python -m e2e.lighthouse`.

"Without" is the same page, through the same proxy, for a visitor who refused earlier.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from e2e.chromium import FLAGS, chromium_path, launch
from e2e.npm import from_npm
from e2e.site import RunningDemo, running_demo
from e2e.visitor import Visitor

_SECONDS = 120
PAGES = ("/", "/blog/reading-a-denial")
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """One run. Scores are of 100; `shift` is the cumulative layout shift; `faults` are the titles
    of the audits that cost points, by category.
    """

    scores: dict[str, int]
    shift: float
    faults: dict[str, list[str]]


def audit(
    url: str,
    categories: Sequence[str] = ("performance", "accessibility", "best-practices"),
    headers: dict[str, str] | None = None,
) -> Report:
    """Run Lighthouse once, as a phone on a slow network. Raises CalledProcessError."""
    with tempfile.TemporaryDirectory(prefix="consent-lighthouse-") as folder:
        output = Path(folder) / "report.json"
        subprocess.run(
            [
                from_npm(".bin/lighthouse"), url,
                "--quiet", "--output=json", f"--output-path={output}",
                f"--only-categories={','.join(categories)}",
                f"--extra-headers={json.dumps(headers or {})}",
                f"--chrome-flags={' '.join(['--headless=new', *FLAGS])}",
            ],
            check=True,
            timeout=_SECONDS,
            env={**os.environ, "CHROME_PATH": chromium_path() or ""},
        )  # fmt: skip
        return _read(json.loads(output.read_text(encoding="utf-8")))


def _read(result: dict[str, dict[str, dict[str, object]]]) -> Report:
    audits = result["audits"]
    scores: dict[str, int] = {}
    faults: dict[str, list[str]] = {}
    for name, category in result["categories"].items():
        score, refs = category["score"], category["auditRefs"]
        assert isinstance(score, float | int)
        assert isinstance(refs, list)
        scores[name] = round(score * 100)
        costly = [audits[ref["id"]] for ref in refs if ref["weight"]]
        faults[name] = [str(one["title"]) for one in costly if one["score"] not in {1, None}]
    shift = audits.get("cumulative-layout-shift", {}).get("numericValue", 0)
    assert isinstance(shift, float | int)
    return Report(scores, float(shift), faults)


def refusal(demo: RunningDemo) -> dict[str, str]:
    """The Cookie header of a visitor who refused everything."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        visitor = Visitor(demo, browser.new_context())
        visitor.open("/")
        visitor.reject_all()
        cookies = visitor.cookies()
        browser.close()
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def main() -> int:
    """Print the scores of some pages with the banner and without: the median of three rounds.

    Exit 1 where accessibility or best practices are below 100, something shifts, or the banner
    costs more than a point of performance.
    """
    wrong: list[str] = []
    with running_demo() as demo:
        headers = refusal(demo)
        for path in PAGES:
            speed = []
            for name, extra in (("with the banner", None), ("without it", headers)):
                reports = [audit(demo.url(path), headers=extra) for _ in range(ROUNDS)]
                scores = {
                    category: int(statistics.median(report.scores[category] for report in reports))
                    for category in reports[0].scores
                }
                shift = max(report.shift for report in reports)
                told = ", ".join(f"{category} {score}" for category, score in scores.items())
                print(f"{path} {name}: {told}, layout shift {shift:.3f}", flush=True)
                speed.append(scores["performance"])
                if shift or min(scores["accessibility"], scores["best-practices"]) < 100:
                    wrong.append(f"{path} {name}: {told}, {shift:.3f}: {reports[0].faults}")
            if speed[1] - speed[0] > 1:
                wrong.append(f"{path}: the banner costs {speed[1] - speed[0]} points")
    for line in wrong:
        print(f"NOT MET {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
