"""ISO 3166 codes: countries (3166-1 alpha-2), and the subdivisions of the United States.

Of subdivisions of other countries only the format is checked (ISO 3166-2: one to three letters or
digits).
"""

from __future__ import annotations

import re

from consent_rules.wording import quoted

COUNTRIES = frozenset(
    """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR
    BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ
    EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW
    GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY
    KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV
    MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY
    QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG
    TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM
    ZW
    """.split()  # noqa: SIM905 - a list of 250 strings would be unreadable
)

US_SUBDIVISIONS = frozenset(
    """
    AK AL AR AS AZ CA CO CT DC DE FL GA GU HI IA ID IL IN KS KY LA MA MD ME MI MN MO MP MS MT NC
    ND NE NH NJ NM NV NY OH OK OR PA PR RI SC SD TN TX UM UT VA VI VT WA WI WV WY
    """.split()  # noqa: SIM905
)

EU = (
    *("AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT"),
    *("LV", "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE"),
)
EEA = (*EU, "IS", "LI", "NO")

_GROUPS = {"EU": EU, "EEA": EEA}
_OTHER_NAMES = {"UK": "GB", "USA": "US", "EL": "GR", "ENGLAND": "GB", "GERMANY": "DE"}
_SUBDIVISION = re.compile(r"([A-Z]{2})-([A-Z0-9]{1,3})")


def normal_region(text: str) -> str:
    """An ISO 3166-1 or 3166-2 code in upper case. ValueError says what to write instead."""
    code = text.strip().upper().replace("_", "-")
    if code in COUNTRIES:
        return code
    if code in _GROUPS:
        countries = ", ".join(f'"{country}"' for country in _GROUPS[code])
        raise ValueError(f"{quoted(text)} is not a country code; list its countries: {countries}")
    if code in _OTHER_NAMES:
        raise ValueError(
            f"{quoted(text)} is not a code of ISO 3166; did you mean {quoted(_OTHER_NAMES[code])}?"
        )
    parts = _SUBDIVISION.fullmatch(code)
    if parts is None or parts[1] not in COUNTRIES:
        raise ValueError(
            f'{quoted(text)} is not a code of ISO 3166; write a country ("US", "DE") '
            'or a part of one ("US-CA")'
        )
    if parts[1] == "US" and parts[2] not in US_SUBDIVISIONS:
        raise ValueError(
            f'{quoted(text)} is no state or territory of the US; California is "US-CA"'
        )
    return code
