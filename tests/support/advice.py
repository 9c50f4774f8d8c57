"""Does what `consent-proxy discovered --report` prints, as a person would."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.support.commands import run

_STEP = re.compile(r"^    \d+\. (.*)\n       price: (.*)\n((?:         .*\n)*)", re.MULTILINE)


def steps(report: str) -> list[tuple[str, list[str]]]:
    """The printed steps: what is said, and the lines to paste or to run."""
    plan = report.partition("So that these pages look whole before a choice:")[2]
    return [
        (what, [one[9:] for one in lines.splitlines()]) for what, _, lines in _STEP.findall(plan)
    ]


def walked(config: Path, report: str) -> None:
    """Do what is printed, as a person would; hosts that nobody knows are the site's own."""
    for what, lines in steps(report):
        text = config.read_text()
        if what.startswith("Those of somebody else"):
            continue
        if what.endswith("Run:"):
            for line in lines:
                words = line.split()
                assert words[0] == "consent-proxy"
                done = run(*words[1:], "--config", config)
                assert done.exit_code == 0, done.output
        elif " in the [[site]] " in what:
            (line,) = lines
            kept = re.sub(r"(?m)^first_party = .*\n", "", text)
            config.write_text(kept.replace('name = "www"\n', f'name = "www"\n{line}\n'))
        else:
            assert "Paste" in what, what
            table = "\n".join(lines).replace('"..."', '"Ann <ann@example.com>"')
            config.write_text(f"{text}\n{table}\n")


def warnings(config: Path) -> list[str]:
    """What `check` says, without the lines' numbers."""
    done = run("check", config, "--json")
    assert done.exit_code == 0, done.output
    return [fault["message"] for fault in json.loads(done.stdout)["faults"]]
