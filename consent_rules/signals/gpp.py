"""The IAB's Global Privacy Platform string for the United States.

A header that names the sections, then one section each, joined by "~"; a section is a core
segment and, in most, a second one, joined by "."; each part is bits, written as base64url. Fields
and their widths are those of the section specifications
(https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform, Sections/US-States and
US-National); the test vectors come from the reference encoder.

We are no signatory of the IAB's MSPA, so no transaction is covered by it, and nothing that the
specification calls sensitive is processed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

Value = int | bool | list[int]


class GppApproach(StrEnum):
    """The sections for a visitor from the United States."""

    OFF = "off"
    NATIONAL = "national"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Field:
    """`width` bits; with `count`, a list of so many of them."""

    name: str
    width: int = 2
    count: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """`number` and `version` are those of the specification; `segments` lists of fields."""

    number: int
    version: int
    segments: tuple[tuple[Field, ...], ...]


_GPC_SEGMENT = (Field("GpcSegmentType"), Field("Gpc", 1))
_SENSITIVE_SEGMENT = (Field("SensitiveDataProcessing", count=8),)
_MSPA = ("MspaCoveredTransaction", "MspaOptOutOptionMode", "MspaServiceProviderMode")


def _fields(*names: str) -> tuple[Field, ...]:
    """`Name` is two bits, `Name*8` a list of eight times two."""
    found = []
    for name in names:
        plain, _, count = name.partition("*")
        width = 6 if plain in {"Version", "MspaVersion"} else 2
        found.append(Field(plain, width, int(count or 0)))
    return tuple(found)


def _state(
    number: int,
    notice: str,
    sensitive: int,
    children: str,
    *,
    sensitive_notice: str = "",
    additional: bool = True,
    gpc: bool = True,
) -> Section:
    """The states from Virginia on have the same layout."""
    core = _fields(
        "Version",
        notice,
        "SaleOptOutNotice",
        "TargetedAdvertisingOptOutNotice",
        *([sensitive_notice] if sensitive_notice else []),
        "SaleOptOut",
        "TargetedAdvertisingOptOut",
        f"SensitiveDataProcessing*{sensitive}",
        f"KnownChildSensitiveDataConsents{children}",
        *(["AdditionalDataProcessingConsent"] if additional else []),
        *_MSPA,
    )
    return Section(number, 1, (core, _GPC_SEGMENT) if gpc else (core,))


def _later_state(number: int, *, children: bool, second: tuple[Field, ...]) -> Section:
    """The states of 2025 and later have a layout of their own."""
    core = _fields(
        "MspaVersion",
        "MspaCoveredTransaction",
        "MspaMode",
        "ProcessingNotice",
        "SaleOptOutNotice",
        "TargetedAdvertisingOptOutNotice",
        "SaleOptOut",
        "TargetedAdvertisingOptOut",
        *(["KnownChildSensitiveDataConsents"] if children else []),
        "AdditionalDataProcessingConsent",
    )
    return Section(number, 1, (core, second))


_SHARING, _PROCESSING = "SharingNotice", "ProcessingNotice"

SECTIONS: Mapping[str, Section] = {
    "usnat": Section(
        7,
        2,
        (
            _fields(
                "Version", _SHARING, "SaleOptOutNotice", "SharingOptOutNotice",
                "TargetedAdvertisingOptOutNotice", "SensitiveDataProcessingOptOutNotice",
                "SensitiveDataLimitUseNotice", "SaleOptOut", "SharingOptOut",
                "TargetedAdvertisingOptOut", "SensitiveDataProcessing*16",
                "KnownChildSensitiveDataConsents*3", "PersonalDataConsents", *_MSPA,
            ),
            _GPC_SEGMENT,
        ),
    ),
    "usca": Section(
        8,
        1,
        (
            _fields(
                "Version", "SaleOptOutNotice", "SharingOptOutNotice",
                "SensitiveDataLimitUseNotice", "SaleOptOut", "SharingOptOut",
                "SensitiveDataProcessing*9", "KnownChildSensitiveDataConsents*2",
                "PersonalDataConsents", *_MSPA,
            ),
            _GPC_SEGMENT,
        ),
    ),
    "usva": _state(9, _SHARING, 8, "", additional=False, gpc=False),
    "usco": _state(10, _SHARING, 7, "", additional=False),
    "usut": _state(
        11, _SHARING, 8, "", additional=False, gpc=False,
        sensitive_notice="SensitiveDataProcessingOptOutNotice",
    ),
    "usct": _state(12, _SHARING, 8, "*3", additional=False),
    "usfl": _state(13, _PROCESSING, 8, "*3", gpc=False),
    "usmt": _state(14, _SHARING, 8, "*3"),
    "usor": _state(15, _PROCESSING, 11, "*3"),
    "ustx": _state(16, _PROCESSING, 8, ""),
    "usde": _state(17, _PROCESSING, 9, "*5"),
    "usia": _state(
        18, _PROCESSING, 8, "", additional=False, sensitive_notice="SensitiveDataOptOutNotice"
    ),
    "usne": _state(19, _PROCESSING, 8, ""),
    "usnh": _state(20, _PROCESSING, 8, "*3"),
    "usnj": _state(21, _PROCESSING, 10, "*5"),
    "ustn": _state(22, _PROCESSING, 8, ""),
    "usmn": _state(23, _PROCESSING, 8, ""),
    "usmd": _later_state(24, children=False, second=_GPC_SEGMENT),
    "usin": _later_state(25, children=True, second=_SENSITIVE_SEGMENT),
    "usky": _later_state(26, children=True, second=_SENSITIVE_SEGMENT),
    "usri": _later_state(27, children=True, second=_SENSITIVE_SEGMENT),
}  # fmt: skip
"""By API prefix, in the order of their numbers."""

_NOTICES = frozenset(
    {
        _SHARING,
        _PROCESSING,
        "SaleOptOutNotice",
        "SharingOptOutNotice",
        "TargetedAdvertisingOptOutNotice",
    }
)
OPT_OUTS = frozenset({"SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut"})
"""The fields that a visitor's choice changes: 1 opted out, 2 did not, 0 where it does not apply."""


@dataclass(frozen=True, slots=True)
class Gpp:
    """The string, and its content: field -> value for each section."""

    string: str
    sections: Mapping[str, Mapping[str, Value]]


def sections_for(approach: GppApproach, region: str) -> tuple[str, ...]:
    """The sections for a visitor. `region` is "US", "US-CA", another country's code, or "".

    A visitor of an unknown region may be from the United States; where the state has no section
    of its own the national one stands for it.
    """
    country, _, state = region.partition("-")
    if approach is GppApproach.OFF or country not in {"", "US"}:
        return ()
    own = f"us{state.lower()}"
    return (own,) if approach is GppApproach.STATE and own in SECTIONS else ("usnat",)


def gpp(sections: Iterable[str], *, opted_out: bool | None, signal: bool) -> Gpp:
    """The string of these sections.

    `opted_out` is of sale, sharing and targeted advertising, None where the site does none of them.
    `signal` is the browser's opt-out preference signal (GPC). Raises KeyError for an unknown
    section.
    """
    names = sorted(set(sections), key=lambda name: SECTIONS[name].number)
    values = {name: _values(SECTIONS[name], opted_out, signal) for name in names}
    parts = [_base64(_header([SECTIONS[name].number for name in names]))]
    parts += [
        ".".join(_base64(_bits(segment, values[name])) for segment in SECTIONS[name].segments)
        for name in names
    ]
    return Gpp("~".join(parts), values)


def _values(section: Section, opted_out: bool | None, signal: bool) -> Mapping[str, Value]:
    def value(field: Field) -> Value:
        match field.name:
            case "Version" | "MspaVersion":
                return section.version
            case "MspaCoveredTransaction":
                return 2
            case "GpcSegmentType":
                return 1
            case "Gpc":
                return signal
        if opted_out is not None and field.name in OPT_OUTS:
            return 1 if opted_out else 2
        if opted_out is not None and field.name in _NOTICES:
            return 1
        return [0] * field.count if field.count else 0

    return {field.name: value(field) for segment in section.segments for field in segment}


def _bits(fields: Sequence[Field], values: Mapping[str, Value]) -> str:
    found = ""
    for field in fields:
        value = values[field.name]
        for one in value if isinstance(value, list) else [value]:
            found += f"{int(one):0{field.width}b}"
    return found


def _header(numbers: Sequence[int]) -> str:
    """Type 3, version 1, and the numbers as a range of Fibonacci-coded steps."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    bits, last = f"{3:06b}{1:06b}{len(ranges):012b}", 0
    for run in ranges:
        bits += ("1" if len(run) > 1 else "0") + _fibonacci(run[0] - last)
        if len(run) > 1:
            bits += _fibonacci(run[-1] - run[0])
        last = run[-1]
    return bits


def _fibonacci(number: int) -> str:
    """A positive number as the sum of Fibonacci numbers, the smallest first, ended by a 1."""
    sizes = [1, 2]
    while sizes[-1] <= number:
        sizes.append(sizes[-1] + sizes[-2])
    bits = ""
    for size in reversed(sizes[:-1]):
        taken = size <= number
        number -= size if taken else 0
        bits = ("1" if taken else "0") + bits
    return f"{bits}1"


def _base64(bits: str) -> str:
    padded = bits + "0" * (-len(bits) % 8)
    whole = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return base64.urlsafe_b64encode(whole).rstrip(b"=").decode("ascii")
