"""Signed notes and checkpoints: vectors of Go's sumdb/note and C2SP, and what is refused."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from consent_rules.receipts.checkpoints import (
    Checkpoint,
    read_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from consent_rules.receipts.notes import (
    NoteError,
    read_note,
    read_verifier_key,
    sign_note,
    verifier_key,
    verify_note,
)

GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = """If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann \
x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
"""
"""The example of https://pkg.go.dev/golang.org/x/mod/sumdb/note."""
C2SP_CHECKPOINT = """example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
"""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
NAME = "www.example.com/.consent/log"


def test_the_note_of_go() -> None:
    key = read_verifier_key(GO_KEY)
    assert str(key) == GO_KEY
    assert verify_note(GO_NOTE, [key]) == GO_NOTE.partition("\n\n")[0] + "\n"


def test_the_checkpoint_of_c2sp() -> None:
    found = read_checkpoint(C2SP_CHECKPOINT)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert C2SP_CHECKPOINT.startswith(found.text + "\n")


def test_what_is_signed_is_verified() -> None:
    checkpoint = Checkpoint(NAME, 7, bytes(range(32)))
    note = sign_checkpoint(checkpoint, KEY)
    key = verifier_key(NAME, KEY)
    assert read_verifier_key(str(key)) == key
    assert verify_checkpoint(note, [verifier_key("other", OTHER), key]) == checkpoint
    # A witness signs beside the log.
    line = sign_note(checkpoint.text, "witness.example", OTHER).rpartition("\n\n")[2]
    assert verify_checkpoint(note + line, [key]) == checkpoint
    both = [key, verifier_key("witness.example", OTHER)]
    assert verify_checkpoint(note + line, both) == checkpoint


def test_a_key_of_the_same_name_is_another_key() -> None:
    note = sign_checkpoint(Checkpoint(NAME, 7, bytes(32)), OTHER)
    with pytest.raises(NoteError, match="not by a key that is trusted"):
        verify_checkpoint(note, [verifier_key(NAME, KEY)])


def test_a_bad_signature_of_a_known_key_rejects_the_note() -> None:
    note = sign_checkpoint(Checkpoint(NAME, 7, bytes(32)), KEY)
    text, _, line = note.rpartition("\n\n")
    bent = f"{text.replace('7', '8')}\n\n{line}"
    with pytest.raises(NoteError, match="is not good"):
        verify_checkpoint(bent, [verifier_key(NAME, KEY)])


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "a\n1\n", NAME + "\n7\n\n", GO_NOTE[:-1], GO_NOTE.replace("— ", "- "),
        GO_NOTE.replace("\n\n", "\n"), GO_NOTE.replace("you", "\0", 1), GO_NOTE.replace("M=", "N="),
        GO_NOTE.replace("PeterNeumann ", "Peter Neumann "), "a\n\n— n AAAA\n",
        "a\n\n" + "— n AAAAAAA=\n" * 65,
    ],
)  # fmt: skip
def test_what_is_no_note(text: str) -> None:
    with pytest.raises(NoteError):
        read_note(text)


@pytest.mark.parametrize(
    "text",
    [
        "origin\n", "origin\n7\n", "origin\n07\n{root}\n", "origin\n-1\n{root}\n", "\n7\n{root}\n",
        "origin\n7\nAAAA\n", "origin\n7\n{root}\n\n", "origin\n\u0667\n{root}\n",
        "origin\n7\n{root} \n", "origin\n9999999999999999999\n{root}\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(text: str) -> None:
    root = base64.b64encode(bytes(32)).decode()
    note = sign_note(text.format(root=root), NAME, KEY)
    with pytest.raises(NoteError):
        verify_checkpoint(note, [verifier_key(NAME, KEY)])


def test_lines_after_the_root_are_allowed() -> None:
    checkpoint = Checkpoint(NAME, 7, bytes(32))
    note = sign_note(f"{checkpoint.text}more\n", NAME, KEY)
    assert verify_checkpoint(note, [verifier_key(NAME, KEY)]) == checkpoint


@pytest.mark.parametrize(
    "text",
    ["", "a", "a+b", GO_KEY[:-4], GO_KEY.replace("c74f", "c74e"), f"x{GO_KEY}", "+c74f20a3+"],
)
def test_what_is_no_verifier_key(text: str) -> None:
    with pytest.raises(NoteError):
        read_verifier_key(text)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(NoteError):
        sign_note("text\n", name, KEY)


@given(st.text(), st.text(min_size=1))
def test_any_text_is_read_or_refused(text: str, more: str) -> None:
    for one in (text, text + "\n\n" + more, GO_NOTE + more):
        try:
            read_note(one)
        except NoteError:
            continue
        assert one.endswith("\n")
