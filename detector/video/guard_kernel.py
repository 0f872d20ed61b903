"""What the Linux kernel can be asked to refuse a process for the rest of its life.

Landlock (Linux 5.13) takes the files away, seccomp the system calls that make sockets, start programs or reach into
other processes. Neither needs a privilege. Numbers are from the kernel's `landlock.h`, `seccomp.h`, `filter.h` and
`unistd.h`.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _PR_SET_DUMPABLE, _PR_SET_PDEATHSIG = 38, 22, 4, 1
_SECCOMP_MODE_FILTER = 2

_LANDLOCK_CREATE_RULESET, _LANDLOCK_ADD_RULE, _LANDLOCK_RESTRICT_SELF = 444, 445, 446
_LANDLOCK_VERSION_FLAG = 1
_LANDLOCK_RULE_PATH_BENEATH = 1
_FS_READ_FILE, _FS_READ_DIR = 1 << 2, 1 << 3
_FS_RIGHTS_OF_ABI = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many kinds of access to files each version of Landlock knows; one bit each, from the lowest."""
_NET_BIND_AND_CONNECT = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_RET_ALLOW, _RET_EPERM, _RET_KILL_PROCESS = 0x7FFF0000, 0x00050000 | 1, 0x80000000
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32_BIT = 0x40000000

_DENIED = {
    "x86_64": {
        "arch": 0xC000003E,
        "calls": (
            *(41, 42, 43, 49, 50, 53, 288),  # socket, connect, accept, bind, listen, socketpair, accept4
            *(59, 322, 101, 310, 311),  # execve, execveat, ptrace, process_vm_readv, process_vm_writev
            *(62, 200, 424, 438),  # kill, tkill, pidfd_send_signal, pidfd_getfd
            *(165, 166, 155, 161, 272, 308, 304),  # mount, umount2, pivot_root, chroot, unshare, setns, open_by_handle
            *(248, 249, 250, 298, 321, 323, 425),  # keys, perf_event_open, bpf, userfaultfd, io_uring_setup
        ),
    },
    "aarch64": {
        "arch": 0xC00000B7,
        "calls": (
            *(198, 203, 202, 200, 201, 199, 242),
            *(221, 281, 117, 270, 271),
            *(129, 130, 424, 438),
            *(40, 39, 41, 51, 97, 268, 265),
            *(217, 218, 219, 241, 280, 282, 425),
        ),
    },
}


def die_with_parent() -> bool:
    """Have this process killed when its parent ends; false where the system cannot. It may have ended already."""
    return _is_linux() and _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL) == 0


def refuse_new_privileges() -> bool:
    """No program that this process starts may gain rights, and no other process may read its memory."""
    return _is_linux() and _prctl(_PR_SET_NO_NEW_PRIVS, 1) == 0 and _prctl(_PR_SET_DUMPABLE, 0) == 0


def refuse_files(readable: Iterable[Path]) -> bool:
    """Leave only reading of what lies at or below `readable`; False where this kernel has no Landlock."""
    if not _is_linux():
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_VERSION_FLAG)
    if version < 1:
        return False
    rights = (1 << _FS_RIGHTS_OF_ABI[min(version, 5)]) - 1
    attributes = struct.pack("<Q", rights)
    if version >= 4:
        attributes += struct.pack("<Q", _NET_BIND_AND_CONNECT)
    if version >= 6:
        attributes += struct.pack("<Q", _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS)
    ruleset = libc.syscall(_LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path in readable:
            if not _allow_reading(libc, ruleset, path):
                return False
        return bool(libc.syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def refuse_calls() -> bool:
    """No socket, no program, no signal to others; False where this processor or kernel is not known."""
    table = _DENIED.get(platform.machine())
    if not _is_linux() or table is None or sys.byteorder != "little":
        return False
    calls, arch = table["calls"], table["arch"]
    assert isinstance(calls, tuple) and isinstance(arch, int)
    program = [
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 1, 0, arch),
        (_RETURN, 0, 0, _RET_KILL_PROCESS),
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_AT_LEAST, len(calls) + 1, 0, _X32_BIT),
        *((_JUMP_IF_EQUAL, len(calls) - place, 0, call) for place, call in enumerate(calls)),
        (_RETURN, 0, 0, _RET_ALLOW),
        (_RETURN, 0, 0, _RET_EPERM),
    ]
    code = b"".join(struct.pack("<HBBI", *each) for each in program)
    buffer = ctypes.create_string_buffer(code, len(code))

    class _Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    head = _Program(len(program), ctypes.addressof(buffer))
    return _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(head)) == 0


def _allow_reading(libc: ctypes.CDLL, ruleset: int, path: Path) -> bool:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        rights = _FS_READ_FILE | _FS_READ_DIR if path.is_dir() else _FS_READ_FILE
        rule = struct.pack("<Qi", rights, handle)
        return bool(libc.syscall(_LANDLOCK_ADD_RULE, ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0) == 0)
    finally:
        os.close(handle)


def _prctl(option: int, *arguments: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    padded = [ctypes.c_ulong(each) for each in (*arguments, *(0,) * (4 - len(arguments)))]
    return int(libc.prctl(ctypes.c_int(option), *padded))


def _is_linux() -> bool:
    return sys.platform == "linux"
