"""The system call filter and the memory rule of a systemd unit, put on a process without systemd.

python -m tests.support.sandbox UNIT COMMAND [ARGUMENT...]
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

_ALLOW = 0x7FFF0000
_ERRNO_EPERM = 0x00050001
_NO_NEW_PRIVILEGES = 38
_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def allowed_calls(unit: Path) -> set[str]:
    """The names of the system calls that the unit's SystemCallFilter lines leave."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit.read_text(), re.MULTILINE):
        calls = set().union(*map(_members, line.removeprefix("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    done = subprocess.run(
        ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
    )
    entries = [line.strip() for line in done.stdout.splitlines()[1:]]
    return set().union(*(_members(one) for one in entries if one and not one.startswith("#")))


def confine(unit: Path) -> None:
    """Confine this process, and what it becomes, as the unit does."""
    calls = allowed_calls(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    if "MemoryDenyWriteExecute=yes" in unit.read_text():
        # Linux 6.3 and newer; systemd does it by a filter of mmap and mprotect on older ones.
        libc.prctl(_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(_ERRNO_EPERM)))
    for name in calls:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # else not of this machine
            seccomp.seccomp_rule_add(rules, ctypes.c_uint32(_ALLOW), number, 0)
    if seccomp.seccomp_load(rules):
        raise OSError("the filter of system calls could not be loaded")


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])
