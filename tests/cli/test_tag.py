"""`tag` and `diff`: what they write, what they say, and that they never wait for nobody."""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.commands import on_terminal, run
from tests.support.tags_config import CONFIG, EARLIER, LATER, TODAY

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "c.toml"
    file.write_text(CONFIG)
    return file


def add(config: Path, *more: object, vendor: str = "meta-pixel") -> list[object]:
    whole = {"--site": "www", "--approved-by": "jane@example.com", "--expires": "6 months"}
    given_already = set(more)
    rest = [word for pair in whole.items() if pair[0] not in given_already for word in pair]
    return ["tag", "add", vendor, "--config", config, *more, *rest]


def test_a_tag_is_added_and_everything_else_stays(config: Path) -> None:
    config.chmod(0o640)
    done = run(
        *add(config, "--pages", "/blog/*", "--purpose", 'the "spring" ads', "--owner", "Ads")
    )
    assert done.exit_code == 0, done.output
    text = config.read_text()
    before, _, after = CONFIG.partition("# --- Ours")
    assert text.startswith(before)
    assert text.endswith("# --- Ours" + after)
    tag = tomllib.loads(text)["tag"][1]
    assert tag["vendor"] == "meta-pixel"
    assert tag["pages"] == ["/blog/*"]
    assert tag["purpose"] == 'the "spring" ads'
    assert tag["approved_on"] == TODAY
    assert (config.stat().st_mode & 0o777) == 0o640
    assert list(config.parent.iterdir()) == [config]
    line = text.splitlines().index('vendor = "meta-pixel"')
    assert f"Written: {config}:{line}" in done.stdout
    for words in (
        "opens with: advertising",
        "pages /blog/* of www",
        "_fbp (90 days)",
        "records visits no",
        "from now on, pages /blog/* of www send data to Meta Pixel",
        "none of its pages is marked as a patient page",
    ):
        assert words in done.stdout
    assert "\x1b" not in done.output


def test_what_it_means_on_patient_pages_and_for_recordings(config: Path) -> None:
    done = run(*add(config, "--dry-run", vendor="hotjar"))
    assert "it stays closed there (/patients/*), whatever the visitor chooses" in done.stdout
    assert "yes: visitors are always asked first" in done.stdout
    assert "Nothing was written." in done.stdout
    assert config.read_text() == CONFIG
    done = run(*add(config, "--dry-run", "--baa", vendor="acme-chat"))
    assert "it runs there too (/patients/*; opens with: functional), since baa = true says" in (
        done.stdout
    )
    # What a privacy reviewer signs: patient pages first, on a line of their own.
    added = [line for line in done.stdout.splitlines() if line.startswith("+")]
    assert added[0].startswith("+ from now on, the patient pages /patients/* of www")
    assert len(added) == 2
    told = json.loads(run(*add(config, "--dry-run", "--baa", "--json", vendor="acme-chat")).stdout)
    assert [change["audience"] for change in told["changes"]] == ["patient", "marketing"]


def test_json_tells_the_same(config: Path) -> None:
    told = json.loads(run(*add(config, "--json")).stdout)
    assert told["written"] is True
    assert told["means"][0]["opens"] == "opens with: advertising"
    assert told["changes"][0]["kind"] == "sends"
    assert tomllib.loads(config.read_text())["tag"][1]["vendor"] == "meta-pixel"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["meta-pixel"], 2, "--site is missing"),
        (["meta-pixel", "--site", "www"], 2, "--approved-by is missing"),
        (["meta-pixel", "--site", "www", "--approved-by", "x"], 2, "--expires is missing"),
        (["meta-pixle", "--site", "www"], 1, "did you mean meta-pixel (Meta Pixel)"),
        (["qqqqqq", "--site", "www"], 1, "catalogue search"),
        (["", "--site", "www"], 1, "no vendor"),
    ],
)
def test_what_is_missing_is_named(config: Path, command: list[str], code: int, words: str) -> None:
    done = run("tag", "add", *command, "--config", config)
    assert (done.exit_code, words in done.stderr) == (code, True), done.output
    assert config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--expires", "soon"], "is not a day"),
        (["--expires", "2026-02-30"], "is not a day"),
        (["--expires", "9999 years"], "is not a day"),
        (["--expires", "2020-01-01"], "is not after approved_on"),
        (["--site", "wwww"], 'unknown site "wwww"; did you mean "www"?'),
        (["--pages", "blog"], 'did you mean "/blog"?'),
        (["--pages", "/patients/x"], "never acts on patient pages"),
        (["--baa"], "only necessary and functional vendors may act on patient pages"),
        (["--owner", "a\nb"], "line breaks"),
        (["--approved-by", " "], "it is empty"),
    ],
)
def test_a_faulty_tag_is_refused(config: Path, more: list[str], words: str) -> None:
    done = run(*add(config, *more))
    assert done.exit_code in {1, 2}
    assert words in done.stderr, done.output
    assert config.read_text() == CONFIG


def test_the_same_tag_twice_is_refused(config: Path) -> None:
    done = run(*add(config, vendor="matomo"))
    assert done.exit_code == 1
    assert "already stands at line" in done.stderr
    assert config.read_text() == CONFIG


def test_the_refused_tag_can_be_replaced_as_it_is_told(config: Path) -> None:
    said = run(*add(config, vendor="matomo")).stderr
    told = re.search(r"consent-proxy (tag expire matomo --site www)\b", said)
    assert told is not None, said
    done = run(*told[1].split(), "--config", config, "--yes")
    assert done.exit_code == 0, done.output
    assert run(*add(config, vendor="matomo")).exit_code == 0


def test_a_broken_file_is_left_alone(config: Path) -> None:
    config.write_text(CONFIG.replace('"matomo"', '"matomoo"'))
    for command in (
        add(config),
        ["tag", "list", "-c", config],
        ["tag", "expire", "x", "-c", config],
    ):
        done = run(*command)
        assert done.exit_code == 1
        assert f"{config}:24: unknown vendor" in done.stderr
        assert "fix them first" in done.stderr


def test_the_file_that_is_not_there(tmp_path: Path) -> None:
    done = run("tag", "list", "--config", tmp_path / "no.toml")
    assert done.exit_code == 2
    assert "name it with --config" in done.stderr


def test_windows_lines_and_a_byte_order_mark_stay(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbf" + CONFIG.replace("\n", "\r\n").encode())
    assert run(*add(config)).exit_code == 0
    content = config.read_bytes()
    assert content.startswith(b"\xef\xbb\xbf# What we run")
    assert content.count(b"\n") == content.count(b"\r\n")


def test_a_link_stays_a_link(config: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(config)
    assert run(*add(link)).exit_code == 0
    assert link.is_symlink()
    assert "meta-pixel" in config.read_text()


def test_list_tells_how_tags_stand(config: Path) -> None:
    soon, past = TODAY + datetime.timedelta(days=5), TODAY - datetime.timedelta(days=1)
    tag = (
        '[[tag]]\nvendor = "{}"\nsites = ["{}"]\napproved_by = "j"\napproved_on = {}\n'
        "expires = {}\n"
    )
    config.write_text(
        CONFIG
        + tag.format("meta-pixel", "www", EARLIER, past)
        + tag.format("stripe", "shop", EARLIER, soon)
    )
    rows = {
        row["vendor"]: row for row in json.loads(run("tag", "list", "-c", config, "--json").stdout)
    }
    assert rows["matomo"]["state"] == "opens with: analytics"
    assert rows["matomo"]["line"] == 23
    assert rows["meta-pixel"]["state"] == f"expired on {past}: closed"
    assert rows["meta-pixel"]["acts"] is False
    assert rows["stripe"]["state"] == "open for everyone, without a choice, expires in 5 days"
    shown = run("tag", "list", "-c", config, "--site", "shop").stdout
    assert "stripe" in shown
    assert "matomo" not in shown
    assert run("tag", "list", "-c", config, "--site", "nope").exit_code == 2


def test_a_tag_is_ended_on_a_day(config: Path) -> None:
    done = run("tag", "expire", "matom", "--on", LATER - datetime.timedelta(days=1), "-c", config)
    assert done.exit_code == 1  # nobody is there to say that it is meant
    assert "did you mean matomo" in done.stderr
    day = LATER - datetime.timedelta(days=1)
    done = run("tag", "expire", "matomo", "--on", day, "-c", config)
    assert done.exit_code == 0, done.output
    assert f"the approval of matomo on www ends on {day} (until now: {LATER})" in done.stdout
    assert config.read_text() == CONFIG.replace(f"expires = {LATER}", f"expires = {day}")
    done = run("tag", "expire", "matomo", "-c", config)
    assert "- from now on, all pages of www no longer send data to" in done.stdout
    assert f"expires = {TODAY}   # ask again in time" in config.read_text()


@pytest.mark.parametrize(("said", "vendor"), [
    ("Google Maps", "google-maps"),
    ("GTM-ABC123", "google-tag-manager"),
    ('<script src="https://static.hotjar.com/c/hotjar-1.js"></script>', "hotjar"),
])  # fmt: skip
def test_a_vendor_by_what_people_have_of_it(config: Path, said: str, vendor: str) -> None:
    done = run(*add(config, vendor=said))
    assert done.exit_code == 0, done.output
    assert f"is {vendor} (" in done.stderr
    assert f'vendor = "{vendor}"' in config.read_text()
    found = json.loads(run("catalogue", "search", said, "--json").stdout)
    assert found[0]["id"] == vendor


def test_a_tag_of_today_cannot_end_today(config: Path) -> None:
    run(*add(config))
    done = run("tag", "expire", "meta-pixel", "-c", config)
    assert done.exit_code == 1
    assert 'take it out with "consent-proxy tag remove meta-pixel"' in done.stderr
    assert run("tag", "remove", "meta-pixel", "-c", config).exit_code == 0
    assert config.read_text() == CONFIG


def test_a_tag_is_taken_out_with_its_comment(config: Path) -> None:
    done = run("tag", "remove", "matomo", "-c", config)
    assert done.exit_code == 0
    assert "Counting visits" not in config.read_text()
    assert "# --- Ours" in config.read_text()
    again = run("tag", "remove", "matomo", "-c", config)
    assert again.exit_code == 1
    assert 'there is no tag of "matomo"' in again.stderr


def test_tags_of_several_sites_are_not_mixed_up(config: Path) -> None:
    run(*add(config, "--site", "www"))
    run(*add(config, "--site", "shop"))
    assert "name one with --site" in run("tag", "remove", "meta-pixel", "-c", config).stderr
    assert run("tag", "remove", "meta-pixel", "--site", "shop", "-c", config).exit_code == 0
    left = tomllib.loads(config.read_text())["tag"]
    assert [tag["sites"] for tag in left if tag["vendor"] == "meta-pixel"] == [["www"]]


def test_diff_says_what_changes(config: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text(CONFIG)
    same = run("diff", config, new, "--fail-on-new")
    assert (same.exit_code, same.stdout) == (0, "nothing changes for visitors\n")
    run(*add(new))
    done = run("diff", config, new)
    assert done.exit_code == 0
    assert done.stdout == (
        "+ from now on, all marketing pages of www send data to Meta Pixel; "
        "opens with: advertising; "
        "never on the patient pages /patients/*\n"
    )
    assert run("diff", config, new, "--fail-on-new").exit_code == 1
    assert run("diff", new, config, "--fail-on-new").exit_code == 0
    told = json.loads(run("diff", config, new, "--json").stdout)
    assert told["new"] is True
    assert told["changes"][0]["vendor"] == "meta-pixel"


def test_on_a_terminal_it_asks_for_what_is_missing(config: Path) -> None:
    answers = "\nwww\n/blog/*, /news\njane@example.com\n6 months\nspring ads\n\n\n"
    code, shown = on_terminal("tag", "add", "meta", "--config", config, answers=answers)
    assert code == 0, shown
    tag = tomllib.loads(config.read_text())["tag"][1]
    assert tag["vendor"] == "meta-pixel"
    assert tag["pages"] == ["/blog/*", "/news"]
    assert tag["purpose"] == "spring ads"
    assert "owner" not in tag
    assert "\x1b[" in shown


def test_on_a_terminal_a_wrong_answer_is_asked_for_again(config: Path) -> None:
    """The right answers before it stay, whatever the wrong one is."""
    answers = "\n".join(
        ("", "shopp", "www", "blog", "/blog/*, !/blog/x", "jo@example.com", "31.12.2099",
         "2020-01-01", "6 months", "", "", "y", "")
    )  # fmt: skip
    code, shown = on_terminal("tag", "add", "meta", "--config", config, answers=answers)
    assert code == 0, shown
    tag = tomllib.loads(config.read_text())["tag"][1]
    assert tag["pages"] == ["/blog/*", "!/blog/x"]
    assert tag["approved_by"] == "jo@example.com"
    assert tag["expires"] > TODAY
    for said in ("unknown site", "does not start with", "31.12.2099", "is past already"):
        assert said in shown
    assert "but not /blog/x" in shown


def test_on_a_terminal_no_is_no(config: Path) -> None:
    code, shown = on_terminal(*add(config, "--pages", "/*"), answers="\n\nn\n", NO_COLOR="1")
    assert code == 0, shown
    assert "Nothing was written." in shown
    assert config.read_text() == CONFIG
    assert "\x1b[3" not in shown


@given(
    vendor=st.text(st.characters(exclude_characters="\0"), max_size=30),
    site=st.text(st.characters(exclude_characters="\0"), max_size=10),
    pages=st.text(max_size=20) | st.sampled_from(["/*", "/é", "/%ff", "/a\u2028b"]),
    expires=st.text(max_size=12) | st.sampled_from(["99999 y", "1 d", "2027-13-01", "0001-01-01"]),
    by=st.text(max_size=20),
)
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_words_give_a_traceback(
    config: Path, vendor: str, site: str, pages: str, expires: str, by: str
) -> None:
    config.write_text(CONFIG)
    for name in (vendor, "acme-chat"):
        done = run(
            "tag", "add", "--config", config, f"--site={site or 'www'}", f"--pages={pages}",
            f"--expires={expires}", f"--approved-by={by}", f"--owner={by}", "--", name,
        )  # fmt: skip
        if done.exit_code:
            assert config.read_text() == CONFIG
    run("tag", "expire", f"--on={expires}", "--config", config, "--", vendor)
    run("tag", "remove", f"--site={site}", "--config", config, "--", vendor)
    run("tag", "list", f"--site={site}", "--config", config)
    assert run("check", config).exit_code == 0


@given(content=st.binary(max_size=60))
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_diff_of_broken_files(config: Path, content: bytes) -> None:
    broken = config.with_name("broken.toml")
    broken.write_bytes(CONFIG.encode()[: len(content) * 20] + content)
    for pair in ((config, broken), (broken, config), (broken, broken)):
        assert run("diff", *pair).exit_code in {0, 1}


def test_files_of_teams(config: Path, tmp_path: Path) -> None:
    ads = tmp_path / "tags" / "ads.toml"
    ads.parent.mkdir()
    ads.write_text("# the ads team\n")
    config.write_text('include = ["tags/*.toml"]\n' + CONFIG)
    assert "no file that" in run(*add(config, "--into", tmp_path / "other.toml")).stderr
    done = run(*add(config, "--into", ads))
    assert done.exit_code == 0, done.output
    assert f"Written: {ads}:3" in done.stdout
    assert config.read_text() == 'include = ["tags/*.toml"]\n' + CONFIG
    assert ads.read_text().startswith('# the ads team\n\n[[tag]]\nvendor = "meta-pixel"\n')
    rows = json.loads(run("tag", "list", "-c", config, "--json").stdout)
    assert [(row["file"], row["line"]) for row in rows] == [(str(config), 24), (str(ads), 3)]
    assert run("tag", "remove", "meta-pixel", "-c", config).exit_code == 0
    assert ads.read_text() == "# the ads team\n\n"


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (["--pages", "/*"], ["--pages", "/blog/*"], "this tag has no effect: the one at "),
        (["--pages", "/blog/*"], ["--pages", "/*"], " has no effect any more: this one has its"),
        (["--pages", "/blog/*"], ["--pages", "/shop/*"], ""),
        (["--pages", "/*", "--pages", "!/blog/x"], ["--pages", "/blog/*"], ""),
        (["--pages", "/*", "--pages", "!/x"], ["--pages", "/blog/*"], "this tag has no effect"),
        (["--expires", "3 months", "--pages", "/a/*"], ["--expires", "1 year"], " any more"),
        (["--expires", "1 year", "--pages", "/a/*"], ["--expires", "3 months"], ""),
        (["--baa"], ["--pages", "/a/*"], "this tag has no effect"),
        (["--pages", "/a/*"], ["--baa"], " has no effect any more"),
        (["--pages", "/*"], ["--baa", "--pages", "/blog/*"], ""),
    ],
)
def test_a_second_tag_of_a_vendor_says_which_of_both_counts(
    config: Path, first: list[str], second: list[str], words: str
) -> None:
    assert run(*add(config, *first, vendor="acme-chat")).exit_code == 0
    done = run(*add(config, *second, "--dry-run", vendor="acme-chat"))
    assert (words in done.stdout) if words else ("no effect" not in done.stdout), done.stdout
    assert done.stdout.count("no effect") == bool(words)
    if words:
        line = config.read_text().splitlines().index('vendor = "acme-chat"')
        assert f"at {config}:{line}" in done.stdout or f"at {config}:{line + 1}" in done.stdout
    told = json.loads(run(*add(config, *second, "--dry-run", "--json", vendor="acme-chat")).stdout)
    assert [words in note for note in told["notes"]] == ([True] if words else [])


def test_the_list_names_who_approved(config: Path) -> None:
    run(*add(config))
    assert f"jane@example.com, {TODAY}" in run("tag", "list", "-c", config).stdout
    rows = json.loads(run("tag", "list", "-c", config, "--json").stdout)
    assert rows[1]["approved_by"] == "jane@example.com"


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["facebook", "pixel"], "meta-pixel"),
        (["_fbp"], "meta-pixel"),
        (["_ga_ABC"], "google-analytics"),
        (["static.hotjar.com"], "hotjar"),
        (["google", "analitics"], "google-analytics"),
    ],
)
def test_the_catalogue_is_searched(words: list[str], first: str) -> None:
    done = run("catalogue", "search", *words)
    assert done.exit_code == 0
    assert done.stdout.split()[0] == first
    found = json.loads(run("catalogue", "search", *words, "--json").stdout)
    assert found[0]["id"] == first


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["chat"], {"intercom", "drift", "tawk"}),
        (["live", "chat"], {"intercom", "zendesk"}),
        (["heatmaps"], {"hotjar", "microsoft-clarity"}),
        (["heat", "map"], {"hotjar"}),
        (["video"], {"youtube", "vimeo"}),
        (["maps"], {"google-maps"}),
        (["analytics"], {"google-analytics", "matomo", "plausible"}),
        (["retargeting"], {"criteo", "meta-pixel"}),
        (["tag", "manager"], {"google-tag-manager"}),
        (["Cookie", "banner"], {"onetrust", "cookiebot"}),
        (["captcha"], {"recaptcha", "hcaptcha"}),
        (["booking"], {"calendly"}),
    ],
)
def test_a_kind_of_vendor_is_found_by_what_people_call_it(words: list[str], some: set[str]) -> None:
    found = json.loads(run("catalogue", "search", *words, "--json").stdout)
    assert some <= {vendor["id"] for vendor in found}


def test_a_search_for_nothing() -> None:
    assert run("catalogue", "search").exit_code == 2
    assert run("catalogue", "search", "qqqqqqqq").exit_code == 1
    assert "search two words" in run("catalogue", "two", "words").stderr
