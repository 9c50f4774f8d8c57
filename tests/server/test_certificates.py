"""Certificates in files: what is refused, which is chosen, what `check` says with its line."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proxy.server.certificates import CertificateFileError, ServerCertificates, read_certificate
from tests.support.certificates import Issued, issue
from tests.support.commands import run
from tests.support.site import config_text

ONE, OTHER = issue("www.example.com", "*.shop.example.com"), issue("other.example.com")

Files = Callable[[Path], None]


def _pair(certificate: bytes, key: bytes) -> Files:
    return lambda folder: Issued(certificate, key).write(folder, "c")


def _key_alone(folder: Path) -> None:
    (folder / "c.key").write_bytes(ONE.key)


REFUSED: dict[str, tuple[Files, str, str]] = {
    "another key": (_pair(ONE.certificate, OTHER.key), "key", "not the key of the certificate in"),
    "the intermediate first": (
        _pair(OTHER.certificate + ONE.certificate, ONE.key), "file", "must come first",
    ),
    "no certificate": (_pair(b"hello", ONE.key), "file", "no certificate in PEM"),
    "half of one": (_pair(ONE.certificate[:200], ONE.key), "file", "no certificate in PEM"),
    "no key": (_pair(ONE.certificate, ONE.certificate), "key", "no private key in PEM"),
    "half of a key": (_pair(ONE.certificate, ONE.key[:80]), "key", "is damaged"),
    "a damaged key": (
        _pair(ONE.certificate, ONE.key.replace(b"\nM", b"\nN")), "key", "is damaged",
    ),
    "a passphrase": (
        lambda f: issue("www.example.com", passphrase=b"secret").write(f, "c"),
        "key", "protected by a passphrase",
    ),
    "a short key": (
        lambda f: issue("www.example.com", rsa_bits=1024).write(f, "c"), "file", "EE_KEY_TOO_SMALL",
    ),
    "no file": (_key_alone, "file", "cannot be read"),
}  # fmt: skip


def _config(folder: Path) -> Path:
    config = folder / "c.toml"
    text = config_text(9, more='[tls]\n[[tls.certificate]]\nfile = "c.pem"\nkey = "c.key"\n')
    config.write_text(text)
    return config


def _line(config: Path, start: str) -> int:
    lines = config.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.startswith(start))


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    write, key, says = REFUSED[name]
    write(tmp_path)
    with pytest.raises(CertificateFileError, match=says):
        read_certificate(tmp_path / "c.pem", tmp_path / "c.key")
    config = _config(tmp_path)
    done = run("check", config)
    assert done.exit_code == 1
    line = _line(config, 'file = "c.pem"' if key == "file" else 'key = "c.key"')
    assert any(f"c.toml:{line}:" in one and says in one for one in done.output.splitlines())


@pytest.mark.parametrize(
    ("issued", "says"),
    [
        (issue("www.example.com", days=-0.5), "the certificate expired on"),
        (issue("www.example.com", starts=2), "the certificate counts from"),
        (issue("example.com"), 'no certificate of [tls] is for "www.example.com"'),
        (issue("*.com"), 'no certificate of [tls] is for "www.example.com"'),
        (issue("*.example.com"), ""),
        (ONE, ""),
    ],
)
def test_what_browsers_would_refuse_is_a_warning(issued: Issued, says: str, tmp_path: Path) -> None:
    issued.write(tmp_path, "c")
    config = _config(tmp_path)
    done = run("check", config)
    assert done.exit_code == 0, done.output
    certificate = [line for line in done.output.splitlines() if "certificate" in line]
    if not says:
        assert certificate == []
        return
    line = _line(config, "hosts =" if "is for" in says else 'file = "c.pem"')
    assert len(certificate) == 1
    assert f"c.toml:{line}:" in certificate[0]
    assert says in certificate[0]


def test_which_one_a_handshake_gets(tmp_path: Path) -> None:
    pairs = {"one": ONE, "other": OTHER, "wild": issue("*.example.com", "example.com")}
    for name, pair in pairs.items():
        pair.write(tmp_path, name)
    read = [read_certificate(tmp_path / f"{n}.pem", tmp_path / f"{n}.key") for n in pairs]
    chosen = ServerCertificates(read, "1.2")
    by_context = {id(chosen.context_for(one.names[0])): one.file for one in read}
    for host, name in (
        ("www.example.com", "one"), ("WWW.Example.com", "one"), ("a.shop.example.com", "one"),
        ("other.example.com", "other"), ("new.example.com", "wild"), ("example.com", "wild"),
        ("a.b.example.com", "one"), ("", "one"), (None, "one"), ("elsewhere.example.org", "one"),
    ):  # fmt: skip
        found = by_context[id(chosen.context_for(host))]
        assert Path(found).stem == name, host


def test_no_key_is_ever_shown(tmp_path: Path) -> None:
    ONE.write(tmp_path, "c")
    certificate = read_certificate(tmp_path / "c.pem", tmp_path / "c.key")
    assert "PRIVATE" not in repr(certificate)
    assert "PRIVATE" not in repr(dataclasses.replace(certificate, expires=time.time()))
