"""From CommonMark to what Python-Markdown reads alike."""

from __future__ import annotations

import pytest

from docs_site.markdown import for_python_markdown, map_links

CASES = {
    "what belongs to an item stands four columns in": (
        "- one\n\n  more\n\n  ```sh\n  make\n  ```\n",
        "- one\n\n    more\n\n    ```sh\n    make\n    ```\n",
    ),
    "a list inside a list": (
        "1. one\n   - two\n     more\n",
        "1. one\n\n    - two\n        more\n",
    ),
    "a paragraph that goes on without indentation": ("- one\nmore\n", "- one\n    more\n"),
    "a list right after a paragraph": ("see:\n- one\n- two\n", "see:\n\n- one\n- two\n"),
    "a fence right after a paragraph": ("see:\n```sh\nmake\n```\n", "see:\n\n```sh\nmake\n```\n"),
    "an item after one of several blocks": (
        "- one\n\n  more\n- two\n",
        "- one\n\n    more\n\n- two\n",
    ),
    "the name of a file is the fence's title": (
        "```toml a.toml\nx = 1\n```\n",
        '```toml title="a.toml"\nx = 1\n```\n',
    ),
    "a pipe in a table's code": (
        "| a |\n|---|\n| `x\\|y` |\n",
        "| a |\n|---|\n| `x|y` |\n",
    ),
    "and elsewhere it is as written": ("`x\\|y`\n", "`x\\|y`\n"),
    "code is left alone": ("```\n- one\n  - two\n```\n", "```\n- one\n  - two\n```\n"),
}


@pytest.mark.parametrize("case", CASES)
def test_for_python_markdown(case: str) -> None:
    text, expected = CASES[case]
    assert for_python_markdown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](b.md) and ![c](d.webp)\n", "[a](B.MD) and ![c](D.WEBP)\n"),
        ("[`a`](b.md)\n", "[`a`](B.MD)\n"),
        ("`[a](b.md)`\n", "`[a](b.md)`\n"),
        ("```\n[a](b.md)\n```\n", "```\n[a](b.md)\n```\n"),
        ('[a](b.md "title")\n', '[a](B.MD "title")\n'),
        ("`x` [a](b.md) `[c](d.md)` [e](f.md)\n", "`x` [a](B.MD) `[c](d.md)` [e](F.MD)\n"),
    ],
)
def test_links_are_mapped_outside_code(text: str, expected: str) -> None:
    assert map_links(text, str.upper) == expected
