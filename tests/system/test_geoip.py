"""The visitor's region from a MaxMind database."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from consent_rules.config.load import ConfigError, load_config
from proxy.config.file import read_config
from proxy.geoip import RegionFile, RegionFileError
from proxy.runtime import build_runtime
from tests.support.region_files import write_region_file
from tests.support.site import BANNER, HOSTS, config_text, proxied

TODAY = datetime.date(2026, 12, 1)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_region_file(tmp_path_factory.mktemp("regions") / "regions.mmdb")


@pytest.mark.parametrize(
    ("address", "region"),
    [
        ("198.51.100.7", "US-CA"),
        ("203.0.113.1", "US-WA"),
        ("203.0.113.200", "US"),
        ("192.0.2.1", "DE"),
        ("100.64.0.1", ""),
        ("2001:db8::1", "FR"),
        ("::ffff:192.0.2.1", ""),
        ("10.0.0.1", ""),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_region_of_an_address(database: Path, address: str, region: str) -> None:
    file = RegionFile(database)
    assert [file.region(address), file.region(address)] == [region, region]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "there is no such file"),
        (b"", "not a whole MaxMind database"),
        (b"<html>Please sign in</html>" * 99, "not a whole MaxMind database"),
        ("half", "not a whole MaxMind database"),
        ("asn", "type 'Test-ASN' tells no countries"),
    ],
)
def test_a_bad_file_is_a_fault_with_its_line(
    tmp_path: Path, database: Path, content: bytes | str | None, says: str
) -> None:
    file = tmp_path / "bad.mmdb"
    if content == "half":
        whole = database.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
    elif content == "asn":
        write_region_file(file, {"192.0.2.0/24": {"autonomous_system_number": 64500}}, "ASN")
    elif isinstance(content, bytes):
        file.write_bytes(content)
    text = config_text(9)
    text = text.replace('country_header = "X-Country"', 'database = "bad.mmdb"')
    config = tmp_path / "c.toml"
    config.write_text(text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_config(config, today=TODAY)
    line = text[: text.index("bad.mmdb")].count("\n") + 1
    assert [problem.line for problem in caught.value.problems] == [line]
    with pytest.raises(RegionFileError, match=says):
        build_runtime(
            load_config(text, "c.toml", today=TODAY).config,
            tmp_path,
            lambda: pytest.fail("keys are asked for last"),
        )


async def test_the_address_decides_where_no_header_does(tmp_path: Path, database: Path) -> None:
    source = 'country_header = "X-Country"'
    both = f"{source}\ndatabase = '{database}'"
    async with proxied(tmp_path, change=lambda text: text.replace(source, both)) as site:
        analytics = HOSTS["google-analytics"]
        for headers, runs in (
            (["X-Forwarded-For: 198.51.100.7"], True),  # California: opt_out
            (["X-Forwarded-For: 203.0.113.1"], False),  # Washington: opt_in by its law
            (["X-Forwarded-For: 192.0.2.1"], False),
            (["X-Forwarded-For: 192.0.2.1", "X-Country: US"], True),
            (["X-Forwarded-For: 203.0.113.1, 198.51.100.7"], True),  # the first was made up
            ([], False),
        ):
            answer = await site.ask("/", *headers)
            assert (analytics in answer.text) is runs, headers
            assert BANNER in answer.text
