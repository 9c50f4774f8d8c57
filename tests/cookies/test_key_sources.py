"""Signing keys from a folder, an environment variable or a command, and what can be wrong there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proxy.cookies.key_sources import KeySource, check_source, read_ring
from proxy.cookies.preference_cookie import KeyFileError, key_id

KEYS = [Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2)]
KIDS = [key_id(key.public_key()) for key in KEYS]
NOW = time.time()


def pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


BOTH = "# from the vault\n" + pem(KEYS[0]) + "\n" + pem(KEYS[1])


def command(tmp_path: Path, *words: str, seconds: float = 20) -> KeySource:
    return KeySource(tmp_path / "keys", tmp_path, command=words, command_seconds=seconds)


def python(code: str) -> tuple[str, str, str]:
    return sys.executable, "-c", code


@pytest.mark.parametrize("text", [BOTH, BOTH.replace("\n", "\\n"), BOTH.replace("\n", "\r\n")])
def test_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("CONSENT_KEYS", text)
    source = KeySource(tmp_path / "keys", tmp_path, variable="CONSENT_KEYS")
    ring = read_ring(source)
    assert list(ring.ids.values()) == KIDS
    assert ring.signing_id(NOW) == KIDS[1]
    check_source(source)
    assert list(tmp_path.iterdir()) == []


def test_a_command(tmp_path: Path) -> None:
    (tmp_path / "text").write_text(BOTH)  # it runs in the config's folder
    ring = read_ring(command(tmp_path, "cat", "text"))
    assert list(ring.ids.values()) == KIDS
    assert ring.signing_since(NOW) is None


def test_revoked_by_the_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", BOTH)
    keys = tmp_path / "keys"
    ring = read_ring(KeySource(keys, tmp_path, variable="K", revoked=frozenset({KIDS[1]})))
    assert ring.signing_id(NOW) == KIDS[0]
    assert [key["kid"] for key in ring.jwks()["keys"]] == [KIDS[0]]
    with pytest.raises(KeyFileError, match="every key of it is in revoked_keys"):
        read_ring(KeySource(keys, tmp_path, variable="K", revoked=frozenset(KIDS)))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("no-such-program",), r"keys_command no-such-program: cannot be run \(No such file"),
        (("./",), "cannot be run"),
        (("a\0b",), r"cannot be run \(embedded null byte"),
        (python("import sys; print('x', file=sys.stderr); sys.exit('denied')"), "with 1: denied"),
        (python("import sys; sys.exit(7)"), "ended with 7$"),
        (python("pass"), "holds no key; it must be"),
        (python("print('x' * 100_000)"), "more than 65536 characters"),
        (python("print('-----BEGIN X-----\\nsecret\\n-----END X-----')"), "block 1 is no unenc"),
        (("echo", pem(ec.generate_private_key(ec.SECP256R1()))), "block 1 is not an Ed25519 key"),
    ],
)
def test_a_command_that_fails(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(KeyFileError, match=message) as caught:
        read_ring(command(tmp_path, *words))
    assert "secret" not in str(caught.value)  # what it prints is not shown


def test_a_command_that_hangs_ends_with_all_it_started(tmp_path: Path) -> None:
    beat = tmp_path / "beat"
    source = command(
        tmp_path, "sh", "-c", f"(while :; do date >> {beat}; sleep 0.05; done) & wait", seconds=1
    )
    with pytest.raises(KeyFileError, match="gave no keys within 1 seconds"):
        read_ring(source)
    size = beat.stat().st_size
    time.sleep(0.5)
    assert beat.stat().st_size == size


def test_a_variable_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = KeySource(tmp_path, tmp_path, variable="NO_SUCH_KEYS")
    monkeypatch.setenv("NO_SUCH_KEYS", "")
    with pytest.raises(KeyFileError, match=r"variable NO_SUCH_KEYS .* is not set or empty"):
        read_ring(source)
    check_source(source)  # perhaps it is set only where the proxy is started
    monkeypatch.setenv("NO_SUCH_KEYS", "hush")
    with pytest.raises(KeyFileError, match="holds no key") as caught:
        check_source(source)
    assert "hush" not in str(caught.value)


def test_check_runs_no_command(tmp_path: Path) -> None:
    check_source(command(tmp_path, "touch", "here"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_everybody_may_write_to(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "1.pem").write_text(pem(KEYS[0]))
    (folder / "1.pem").chmod(0o600)
    folder.chmod(0o777)
    source = KeySource(folder, tmp_path)
    for look in (read_ring, check_source):
        with pytest.raises(KeyFileError, match=f"chmod o-w {folder}"):
            look(source)
    folder.chmod(0o770)  # the group of those who run it
    assert read_ring(source).usable
