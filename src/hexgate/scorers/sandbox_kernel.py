"""The calls to the Linux kernel that a sandbox is made of, for which Python has no functions of its own.

Each raises OSError with the step as its `filename`. Constants are those of linux/sched.h, linux/mount.h and
linux/prctl.h. Nothing but the standard library is needed.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

__all__ = [
    "BIND",
    "DUMPABLE",
    "NEWCGROUP",
    "NEWIPC",
    "NEWNET",
    "NEWNS",
    "NEWPID",
    "NEWUSER",
    "NEWUTS",
    "NODEV",
    "NOEXEC",
    "NOSUID",
    "NO_NEW_PRIVS",
    "PDEATHSIG",
    "PRIVATE",
    "REC",
    "drop_capabilities",
    "install_filter",
    "mount",
    "namespaces",
    "prctl",
    "protect",
    "swap_root",
    "unshare",
]

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

NOSUID = 2
NODEV = 4
NOEXEC = 8
BIND = 4096
REC = 16384
PRIVATE = 1 << 18

PDEATHSIG = 1
DUMPABLE = 4
NO_NEW_PRIVS = 38

_SECCOMP, _SECCOMP_FILTER, _CAPBSET_DROP = 22, 2, 24
_DETACH = 2
# The attributes of mount_setattr differ from the flags of mount in all but their first bits.
_ATTRIBUTES = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8}
_AT_FDCWD, _AT_RECURSIVE, _MOUNT_SETATTR = -100, 0x8000, 442

_LIBC = ctypes.CDLL(None, use_errno=True)
_LONG, _UNSIGNED, _TEXT = ctypes.c_long, ctypes.c_ulong, ctypes.c_char_p


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def unshare(flags: int) -> None:
    """Leave for new namespaces; that of processes holds the children alone."""
    _check("unshare", _LIBC.unshare(ctypes.c_int(flags)))


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system, or a part of one at a second place; the arguments are those of the call."""
    parts = [_TEXT(None if part is None else os.fsencode(part)) for part in (source, target, kind, data)]
    result = _LIBC.mount(parts[0], parts[1], parts[2], _UNSIGNED(flags), parts[3])
    _check(f"mount {target}", result)


def protect(path: str, attributes: str, *, below: bool) -> None:
    """Set attributes of a mount, and of all below it (Linux 5.12).

    Args:
        path: where it is mounted.
        attributes: ``ro``, ``nosuid``, ``nodev`` and ``noexec``, with commas between.
        below: whether those below it are meant too.
    """
    bits = sum(_ATTRIBUTES[name] for name in attributes.split(","))
    wanted = _MountAttributes(attr_set=bits)
    result = _LIBC.syscall(
        _LONG(_MOUNT_SETATTR),
        _LONG(_AT_FDCWD),
        _TEXT(os.fsencode(path)),
        _LONG(_AT_RECURSIVE if below else 0),
        ctypes.byref(wanted),
        _LONG(ctypes.sizeof(wanted)),
    )
    _check(f"mount_setattr {path}", result)


def swap_root(root: str, number: int) -> None:
    """Make a mount the root, and let go of the old one.

    Args:
        root: where the new root is mounted.
        number: that of the call pivot_root on this machine.
    """
    os.chdir(root)
    _check("pivot_root", _LIBC.syscall(_LONG(number), _TEXT(b"."), _TEXT(b".")))
    _check("umount2", _LIBC.umount2(_TEXT(b"."), ctypes.c_int(_DETACH)))
    os.chdir("/")


def prctl(option: int, value: int) -> None:
    """Change something of this process that has one value; the arguments are those of the call."""
    zero = _UNSIGNED(0)
    _check(f"prctl {option}", _LIBC.prctl(ctypes.c_int(option), _UNSIGNED(value), zero, zero, zero))


def drop_capabilities() -> None:
    """Take every capability out of the bounding set; numbers that this kernel does not know are passed over."""
    zero = _UNSIGNED(0)
    for capability in range(64):
        _LIBC.prctl(ctypes.c_int(_CAPBSET_DROP), _UNSIGNED(capability), zero, zero, zero)


def install_filter(steps: bytes) -> None:
    """Put a filter of system calls on this process and all that it starts."""
    kept = ctypes.create_string_buffer(steps, len(steps))
    program = _FilterProgram(len(steps) // 8, ctypes.addressof(kept))
    zero = _UNSIGNED(0)
    result = _LIBC.prctl(
        ctypes.c_int(_SECCOMP), _UNSIGNED(_SECCOMP_FILTER), ctypes.byref(program), zero, zero
    )
    _check("seccomp", result)


def namespaces() -> dict[str, str]:
    """The namespaces of this process by kind."""
    kinds = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts")
    return {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in kinds}


def _check(step: str, result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), step)
