"""Samples of the Prometheus text format."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(text: bytes) -> Samples:
    """Values by name, without the prefix, and label values in the order of their names."""
    return {
        (s.name.removeprefix("consent_proxy_"), tuple(v for _, v in sorted(s.labels.items()))): (
            s.value
        )
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    }


def total(found: Samples, name: str) -> float:
    return sum(value for (known, _), value in found.items() if known == name)
