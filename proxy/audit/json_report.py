"""The report as JSON, and back."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from consent_rules.audit.report import AuditReport

_REPORT = TypeAdapter(AuditReport)


class ReportError(Exception):
    """A file is no report; the message says so."""


def as_json(report: AuditReport) -> str:
    return _REPORT.dump_json(report, indent=2).decode() + "\n"


def read_report(path: Path) -> AuditReport:
    """Raises ReportError."""
    try:
        return _REPORT.validate_json(path.read_bytes())
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError:
        raise ReportError(f"{path}: is no report that audit --json wrote") from None
