"""Region databases (.mmdb) with a few records."""

from __future__ import annotations

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

RECORDS: dict[str, dict[str, object]] = {
    "198.51.100.0/24": {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "CA"}]},
    "203.0.113.0/25": {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "WA"}]},
    "203.0.113.128/25": {"country": {"iso_code": "us"}, "subdivisions": []},
    "192.0.2.0/24": {"country": {"iso_code": "DE"}},
    "100.64.0.0/16": {"country": {"names": {"en": "Nowhere"}}},
    "2001:db8::/32": {"country": {"iso_code": "FR"}},
}


def write_region_file(
    path: Path, records: dict[str, dict[str, object]] = RECORDS, kind: str = "City"
) -> Path:
    writer = MMDBWriter(6, f"Test-{kind}", ipv4_compatible=True)
    for network, record in records.items():
        writer.insert_network(IPSet([network]), record)
    writer.to_db_file(str(path))
    return path
