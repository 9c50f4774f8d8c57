"""Values of environment variables: in use, and never in the log."""

from __future__ import annotations

import json
import logging

import pytest

from proxy.config.variables import LogLines, note_variables


def test_the_log_shows_names_of_variables_only(caplog: pytest.LogCaptureFixture) -> None:
    note_variables({"DB_PASSWORD": "s3cret-VALUE+(x", "ORIGIN": "http://s3cret-VALUE+(x:9000"})
    formatter = LogLines()
    error = ValueError("no answer from S3CRET-value+(x")
    record = logging.LogRecord(
        "consent_proxy", logging.WARNING, __file__, 1, "asking %s failed",
        ("http://s3cret-VALUE+(x:9000",), (ValueError, error, None),
    )  # fmt: skip
    line = json.loads(formatter.format(record))
    assert (line["level"], line["logger"]) == ("warning", "consent_proxy")
    shown = line["message"]
    assert "asking ${ORIGIN} failed" in shown
    assert "no answer from ${DB_PASSWORD}" in shown
    assert "s3cret" not in shown.lower()
