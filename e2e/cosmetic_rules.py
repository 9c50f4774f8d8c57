"""`python -m e2e.cosmetic_rules LIST...`: whether filter lists' generic rules hide what is ours.

A list is a file in the syntax of Adblock Plus, such as EasyList's Cookie List or Fanboy's
Annoyances. Its generic element-hiding rules (`##SELECTOR`, without a domain) are tried in Chromium
on the demo's banner, switches, link, placeholders and preferences page. Prints each rule that hits;
exit status 1 where one does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from playwright.sync_api import Frame, sync_playwright

from e2e.chromium import launch
from e2e.site import EVERY_VENDOR, PATIENT_PAGE, running_demo
from e2e.visitor import Visitor

_RULE = re.compile(r"(?:\*?)##(?!\^|\+js)(.+)")
_EXCEPTION = re.compile(r"(?:\*?)#@#(.+)")
_STYLE = re.compile(r":(?:style|remove)\(.*\)$")

# Gives [selectors that hit an element of ours, number of selectors that the browser knows].
_HITS = """(selectors) => {
  const whole = location.pathname.startsWith('/.consent/');
  const own = "[id='yc'],[id^='yc-'],[class^='yc-']";
  const all = [...document.querySelectorAll('*')].filter(e => whole || e.closest(own));
  let known = 0;
  const hits = selectors.filter(selector => {
    try { document.documentElement.matches(selector); } catch { return false; }
    known++;
    return all.some(e => e.matches(selector));
  });
  return [hits, known];
}"""


def generic_selectors(lines: Iterable[str]) -> list[str]:
    """The selectors of a list's generic rules, without those that it takes back."""
    lines = list(lines)
    back = {found[1] for line in lines if (found := _EXCEPTION.fullmatch(line))}
    rules = [found[1] for line in lines if (found := _RULE.fullmatch(line))]
    return [_STYLE.sub("", rule) for rule in rules if rule not in back]


def hits_of(frames: Iterable[Frame], selectors: list[str]) -> tuple[set[str], int]:
    """The selectors that hit an element of ours in one of the frames, and how many of all the
    browser could try.
    """
    found: set[str] = set()
    known = 0
    for frame in frames:
        hits, known = frame.evaluate(_HITS, selectors)
        found.update(hits)
    return found, known


def screens(visitor: Visitor) -> Iterator[str]:
    """Show what there is of ours, one screen after another; gives their names."""
    visitor.open("/contact")
    yield "banner"
    visitor.page.locator("#yc-c").click()
    yield "switches"
    visitor.open("/.consent/preferences")
    yield "preferences"
    visitor.open("/contact")
    visitor.reject_all()
    visitor.open(EVERY_VENDOR)
    yield "placeholders and link"
    visitor.open(PATIENT_PAGE)
    yield "patient page"


def main(lists: list[Path]) -> int:
    selectors = {
        path.name: generic_selectors(path.read_text("utf-8").splitlines()) for path in lists
    }
    hits = 0
    with running_demo() as demo, sync_playwright() as playwright:
        browser = launch(playwright)
        visitor = Visitor(demo, browser.new_context())
        for screen in screens(visitor):
            for name, some in selectors.items():
                found, known = hits_of(visitor.page.frames, some)
                hits += len(found)
                print(f"{screen}: {name}: {len(found)} of {known} rules hit {sorted(found)}")
        browser.close()
    return int(hits > 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python -m e2e.cosmetic_rules LIST...")
    sys.exit(main([Path(name) for name in sys.argv[1:]]))
