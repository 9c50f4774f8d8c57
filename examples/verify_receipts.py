#!/usr/bin/env python3
"""Check an export of receipts without consent-proxy: Python's standard library and `cryptography`.

    python verify_receipts.py EXPORT --key VERIFIER_KEY [--checkpoint FILE ...]

EXPORT is a file of `consent-proxy receipts export` or `receipts prove`, or what a visitor
downloads. VERIFIER_KEY is what `consent-proxy receipts key` prints; the log's owner gives it to you
by a way that you trust. FILE is a checkpoint that you wrote down earlier. Each leaf that was
changed, removed, inserted or moved is named; exit code 1 if there is any.

What is checked (https://www.rfc-editor.org/rfc/rfc9162, 2.1, and https://c2sp.org/tlog-checkpoint):
  receipt   SHA-256("consent-receipt commitment 1\\n" + salt + receipt) is the entry's commitment
  leaf      SHA-256(0x00 + entry) is the leaf's hash
  tree      the leaves, each in its place, add up to the root of every checkpoint
  note      each checkpoint is signed by the key (Ed25519)
  growth    of `receipts prove`: the later checkpoint's tree has the earlier one's leaves, in order
`receipt`, `entry` and `notice` are hashed as JSON without spaces, names sorted (RFC 8785).
"""

from __future__ import annotations

import argparse
import base64
import calendar
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CLOCK_SKEW = 300
Leaf = dict[str, Any]


def canonical(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return text.encode("utf-8")


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right)


def unhex(text: str) -> bytes:
    """Hex in its one spelling."""
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError("hex has small letters and no blanks")
    return data


class Tree:
    """The roots of the complete subtrees of what was appended, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        size = self.size
        while size & 1:
            leaf = node(self.peaks.pop(), leaf)
            size >>= 1
        self.peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.peaks:
            return sha256(b"")
        found = self.peaks[-1]
        for peak in reversed(self.peaks[:-1]):
            found = node(peak, found)
        return found


def proof_leads_to(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """The root that an inclusion proof leads to (RFC 9162, 2.1.3.2); None for an impossible one."""
    if not 0 <= index < size:
        return None
    at, last, found = index, size - 1, leaf
    for other in proof:
        if last == 0:
            return None
        if at & 1 or at == last:
            found = node(other, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node(found, other)
        at, last = at >> 1, last >> 1
    return found if last == 0 else None


def read_key(text: str) -> tuple[str, bytes, bytes]:
    """Name, key id and public key of `<name>+<key id>+<base64>`."""
    # Base64 may have a plus sign; a name and a key id have none.
    name, key_id, encoded = text.strip().split("+", 2)
    data = base64.b64decode(encoded, validate=True)
    if len(data) != 33 or data[0] != 1 or sha256(name.encode() + b"\n" + data)[:4].hex() != key_id:
        raise ValueError("not a verifier key")
    return name, bytes.fromhex(key_id), data[1:]


def read_checkpoint(note: str, key: tuple[str, bytes, bytes]) -> tuple[int, bytes]:
    """Size and root of a checkpoint that the key signed. Raises ValueError."""
    name, key_id, public = key
    text, found, lines = note.rpartition("\n\n")
    if not found or not lines.endswith("\n"):
        raise ValueError("not a signed note")
    text += "\n"
    for line in lines[:-1].split("\n"):
        mark, signer, encoded = line.split(" ")
        data = base64.b64decode(encoded, validate=True)
        if base64.b64encode(data).decode() != encoded or mark != "—":
            raise ValueError("not a signature line")
        if (signer, data[:4]) != (name, key_id):
            continue
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(data[4:], text.encode())
        except InvalidSignature:
            raise ValueError("its signature is not good") from None
        _, size, root = text.split("\n")[:3]
        return int(size), base64.b64decode(root, validate=True)
    raise ValueError("not signed by the key")


def lines_of(data: bytes, problems: list[str]) -> list[tuple[int, Leaf]]:
    found = []
    if data.startswith(b"["):  # what a visitor downloads: the lines as a JSON array
        data = b"".join(canonical(line) + b"\n" for line in json.loads(data))
    lines = data.split(b"\n")
    if lines.pop() != b"":
        problems.append("unreadable: the file does not end with its last line")
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except ValueError as error:
            problems.append(f"unreadable: line {number}: {error}")
            continue
        if canonical(value) == line and isinstance(value, dict):
            found.append((number, value))
        else:
            problems.append(f"unreadable: line {number}: not in canonical form")
    return found


def bytes_of(line: Leaf, name: str) -> bytes | None:
    if f"damaged_{name}" in line:
        return unhex(line[f"damaged_{name}"])
    return canonical(line[name]) if name in line else None


def out_of_order(indexes: list[int]) -> set[int]:
    """The fewest whose removal leaves the others in order."""
    best: list[tuple[int, int]] = []  # (index, position) of the end of the shortest rise so far
    before: list[int] = []
    for position, index in enumerate(indexes):
        low, high = 0, len(best)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if best[middle][0] < index else (low, middle)
        before.append(best[low - 1][1] if low else -1)
        best[low : low + 1] = [(index, position)]
    stay, position = set(), best[-1][1] if best else -1
    while position >= 0:
        stay.add(indexes[position])
        position = before[position]
    return set(indexes) - stay


def continues(old: tuple[int, bytes], new: tuple[int, bytes], proof: list[bytes]) -> bool:
    """Whether a tree (size, root) has all leaves of an older one, in order (RFC 9162, 2.1.4.2)."""
    if old[0] == new[0]:
        return not proof and old == new
    if old[0] == 0:
        return not proof and old[1] == sha256(b"")
    path = [*([] if old[0] & (old[0] - 1) else [old[1]]), *proof]
    if not 0 < old[0] < new[0] or not path:
        return False
    at, last = old[0] - 1, new[0] - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for other in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            first, second = node(other, first), node(other, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node(second, other)
        at, last = at >> 1, last >> 1
    return last == 0 and (first, second) == (old[1], new[1])


def check_growth(data: bytes, key_text: str, notes: list[str]) -> list[str]:
    """Check a file of `receipts prove`."""
    try:
        line = json.loads(data)
        if canonical(line) != data.removesuffix(b"\n") or line["format"] != 1:
            return ["unreadable: not in canonical form"]
        key = read_key(key_text)
        old, new = read_checkpoint(line["from"], key), read_checkpoint(line["to"], key)
        proof = [unhex(one) for one in line["proof"]]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [f"unreadable: {error!r}"]
    problems = []
    if not continues(old, new, proof):
        problems.append(
            f"checkpoint: the log of {counted(new[0], 'leaf')} does not continue that of {old[0]}"
        )
    if any(note not in (line["from"], line["to"]) for note in notes):
        problems.append("checkpoint: the proof is about others than the one given")
    return problems


def check(data: bytes, key_text: str, notes: list[str]) -> list[str]:
    if data.partition(b"\n")[0].endswith(b'"type":"consistency"}'):
        return check_growth(data, key_text, notes)
    problems: list[str] = []
    lines = lines_of(data, problems)
    if not lines or lines[0][0] != 1 or lines[0][1].get("type") != "log":
        return [*problems, "unreadable: not an export of receipts"]
    head = lines[0][1]
    key = read_key(key_text)
    if head.get("verifier") != key_text.strip() or head.get("origin") != key[0]:
        problems.append("checkpoint: the first line names another key or log")
    if head.get("format") != 1 or type(head.get("whole")) is not bool:
        problems.append("unreadable: line 1: another format")

    leaves, notices, checkpoints = [], {}, []
    for number, line in lines[1:]:
        try:
            kind = line["type"]
            if kind == "leaf":
                leaves.append(read_leaf(number, line, problems))
            elif kind == "notice":
                content = bytes_of(line, "notice") or b""
                notices[line["hash"]] = content
                if set(line) - {"type", "hash", "notice"} or sha256(content).hex() != line["hash"]:
                    problems.append(f"notice: line {number} was changed")
            elif kind == "checkpoint" and set(line) == {"type", "note"}:
                checkpoints.append((f"line {number}", line["note"]))
            else:
                problems.append(f"unreadable: line {number}: unknown type")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            problems.append(f"unreadable: line {number}: {error!r}")

    roots: dict[int, bytes] = {}
    for where, note in checkpoints + [("given", note) for note in notes]:
        try:
            size, root = read_checkpoint(note, key)
        except (ValueError, AttributeError) as error:
            problems.append(f"checkpoint: {where}: {error}")
            continue
        if roots.setdefault(size, root) != root:
            problems.append(
                f"checkpoint: the log signed two different trees of {counted(size, 'leaf')}"
            )
    if not roots:
        problems.append("checkpoint: there is none that the key signed")
    if head.get("whole"):
        check_whole(leaves, notices, roots, head, problems)
    else:
        check_part(leaves, roots, head, problems)
    return problems


def verified(data: bytes, notes: list[str]) -> str:
    """What is proven of an export without problems, in a sentence."""
    lines = [json.loads(line) for line in data.splitlines()]
    head = lines[0]
    given = f"; your {counted(len(notes), 'checkpoint')} among them" if notes else ""
    if head["type"] == "consistency":
        old, new = (int(head[name].splitlines()[1]) for name in ("from", "to"))
        return (
            f"the log of {counted(new, 'leaf')} continues that of {old}: none of those was changed"
        )
    leaves = [line for line in lines if line["type"] == "leaf"]
    receipts = sum(line.get("receipt") is not None for line in leaves)
    marks = sum(line["type"] == "checkpoint" for line in lines)
    if not head["whole"]:
        return (
            f"{counted(receipts, 'receipt')} of the log {head['origin']}, each at its place in a "
            f"tree that the key signed{given}. What is not in a part, it cannot tell"
        )
    return (
        f"the whole log {head['origin']}: {counted(len(leaves), 'leaf')}, "
        f"{counted(receipts, 'receipt')} with content; none was changed, removed, inserted or "
        f"moved since the key signed {counted(marks, 'checkpoint')} of it, the largest of "
        f"{head['size']}{given}"
    )


def counted(number: int, one: str) -> str:
    many = {"leaf": "leaves"}.get(one, f"{one}s")
    return f"{number} {one if number == 1 else many}"


def read_leaf(number: int, line: Leaf, problems: list[str]) -> Leaf:
    """Check what can be checked of one leaf alone."""
    extra = set(line) - {"type", "entry", "hash", "receipt", "damaged_receipt", "salt", "proof"}
    entry_bytes, content = bytes_of(line, "entry"), bytes_of(line, "receipt")
    entry = json.loads(entry_bytes or b"{}")
    index = entry["index"]
    names = {"type", "index", "commitment"}
    if entry["type"] == "erasure":
        names = {"type", "index", "erased", "reason", "time"}
    elif entry["type"] != "receipt":
        raise ValueError("unknown entry")
    if entry["type"] == "receipt" and "entered" in entry:  # in a log of several nodes
        names.add("entered")
    if type(index) is not int or set(entry) != names or extra:
        raise ValueError("not an entry of the log")
    own, stated = sha256(b"\0" + (entry_bytes or b"")), line["hash"]
    if own.hex() != stated:
        problems.append(f"changed: leaf {index} (line {number}) is not the hash of its entry")
    salt = unhex(line.get("salt", ""))
    if entry["type"] == "receipt" and (content is not None or salt):
        commitment = sha256(b"consent-receipt commitment 1\n" + salt + (content or b""))
        if commitment.hex() != entry["commitment"]:
            problems.append(
                f"changed: the receipt of leaf {index} (line {number}) is not the one that was "
                "logged"
            )
    return {
        "index": index, "number": number, "entry": entry, "hashes": [own, unhex(stated)],
        "content": content, "proof": [unhex(one) for one in line.get("proof", [])],
    }  # fmt: skip


def check_part(
    leaves: list[Leaf], roots: dict[int, bytes], head: Leaf, problems: list[str]
) -> None:
    size = head["size"]
    if size not in roots:
        problems.append(f"checkpoint: there is none of {size} leaves")
        return
    for leaf in leaves:
        name = f"leaf {leaf['index']} (line {leaf['number']})"
        if leaf["content"] is None:
            problems.append(f"removed: the receipt of {name}")
        found = proof_leads_to(leaf["hashes"][0], leaf["index"], size, leaf["proof"])
        if found != roots[size]:
            problems.append(f"changed: the proof of {name} does not lead to the root")


def check_whole(
    leaves: list[Leaf],
    notices: dict[str, bytes],
    roots: dict[int, bytes],
    head: Leaf,
    problems: list[str],
) -> None:
    size = max(roots, default=0)
    if head["size"] != size:
        problems.append(
            f"changed: line 1 counts {counted(head['size'], 'leaf')}, the checkpoints {size}"
        )
    by_index: dict[int, Leaf] = {}
    order = []
    for leaf in leaves:
        index = leaf["index"]
        if index in by_index or index >= size:
            problems.append(f"inserted: leaf {index} (line {leaf['number']})")
            if index in by_index:
                by_index[index]["hashes"] += leaf["hashes"]
        else:
            by_index[index] = leaf
            order.append(index)
    moved = sorted(out_of_order(order))
    problems += [f"reordered: leaf {index} (line {by_index[index]['number']})" for index in moved]
    problems += [f"removed: leaf {index}" for index in range(size) if index not in by_index]
    check_receipts(by_index, notices, problems)

    tree = Tree()
    for mark in sorted(roots):
        span = [by_index.get(index) for index in range(tree.size, mark)]
        if None in span:
            return  # named above; nothing adds up behind a gap
        first = tree.size
        if not add_up(tree, [leaf["hashes"] for leaf in span if leaf], roots[mark]):
            if all(leaf is None or len(set(leaf["hashes"])) == 1 for leaf in span):
                which = (
                    f"leaf {first}"
                    if mark - first == 1
                    else f"one of the leaves {first}-{mark - 1}"
                )
                problems.append(
                    f"changed: {which} is not the one that was signed ({counted(mark, 'leaf')})"
                )
            return


def check_receipts(
    by_index: dict[int, Leaf], notices: dict[str, bytes], problems: list[str]
) -> None:
    erased: set[int] = set()
    for index, leaf in by_index.items():
        for first, end in leaf["entry"].get("erased", ()):
            if not first < end <= index:
                problems.append(f"changed: leaf {index} erases what stands after it")
            else:
                erased.update(range(first, end))
    last = ""
    for index in sorted(by_index):
        leaf = by_index[index]
        is_receipt = leaf["entry"]["type"] == "receipt"
        if is_receipt and leaf["content"] is None and index not in erased:
            problems.append(f"removed: the receipt of leaf {index}, and no leaf says it was erased")
        if leaf["content"] is not None and (index in erased or not is_receipt):
            problems.append(f"inserted: leaf {index} has a receipt that was erased")
        entered = leaf["entry"].get("entered", "")
        if leaf["content"] is None:
            last = entered or leaf["entry"].get("time", last)
            continue
        try:
            receipt = json.loads(leaf["content"])
            time, notice = receipt["time"], receipt["notice"]
        except (ValueError, KeyError, TypeError):
            problems.append(f"unreadable: the receipt of leaf {index}")
            continue
        if notice and notice not in notices:
            problems.append(f"notice: that of leaf {index} is missing")
        if entered:
            check_delay(index, time, entered, problems)
            time = entered
        if last and seconds(time) < seconds(last) - CLOCK_SKEW:
            problems.append(f"back-dated: leaf {index} is dated {time}, the one before {last}")
        last = time


def check_delay(index: int, time: str, entered: str, problems: list[str]) -> None:
    """Compare the time of a choice with that of its entry: a node that could not reach the log
    enters its receipts late. That is no problem; how many are late, and how much, you should see.
    """
    if seconds(time) > seconds(entered) + CLOCK_SKEW:
        problems.append(f"back-dated: leaf {index} is dated {time}, and was entered at {entered}")
    elif seconds(time) < seconds(entered) - CLOCK_SKEW:
        print(f"late: leaf {index} is dated {time}, and was entered at {entered}")


def seconds(text: str) -> int:
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        return 0


def add_up(tree: Tree, span: list[list[bytes]], root: bytes) -> bool:
    """Append leaves; where one is in doubt, the hash that leads to the root."""
    doubtful = [number for number, one in enumerate(span) if len(set(one)) > 1]
    for which in range(4 if doubtful else 1):
        trial = Tree()
        trial.size, trial.peaks = tree.size, list(tree.peaks)
        for one in span:
            trial.append(one[min(which, len(one) - 1)])
        if trial.root() == root:
            tree.size, tree.peaks = trial.size, trial.peaks
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Check an export of receipts.")
    parser.add_argument("export")
    parser.add_argument("--key", required=True, help="the log's verifier key")
    parser.add_argument("--checkpoint", action="append", default=[], help="a file")
    arguments = parser.parse_args()
    notes = [Path(path).read_text(encoding="utf-8") for path in arguments.checkpoint]
    data = Path(arguments.export).read_bytes()
    problems = check(data, arguments.key, notes)
    for problem in problems:
        print(problem)
    print(counted(len(problems), "problem") if problems else f"good: {verified(data, notes)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
