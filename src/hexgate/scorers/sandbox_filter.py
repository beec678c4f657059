"""The system calls that a sandbox refuses, as a filter for the kernel's seccomp.

Namespaces and limits do the work; the filter takes away what they leave open: kinds of socket that no network namespace
holds (vsock leads from a virtual machine to its host), memory that no limit counts (memfd, System V), and the calls by
which a process looks into another or makes namespaces of its own.
"""

from __future__ import annotations

import errno
import platform
import struct

__all__ = ["DENIED", "MACHINES", "filter_code", "pivot_root_number"]

MACHINES: dict[str, tuple[int, int]] = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machines by the name that uname gives: the column of their numbers below, and their mark in linux/audit.h."""

DENIED: dict[str, tuple[int | None, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_settime": (227, 112),
    "delete_module": (176, 106),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mq_open": (240, 180),
    "msgget": (68, 186),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmget": (29, 194),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
}
"""Calls that always fail with EPERM, with their numbers in asm/unistd_64.h and asm-generic/unistd.h."""

_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
_CLONE, _CLONE3 = (56, 220), 435
_X32 = 0x40000000
_AF_UNIX = 1
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET of linux/sched.h.
_NEW_NAMESPACE = 0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000

# struct seccomp_data: the number of the call, the machine, where it was called from, six arguments of 8 bytes.
_NUMBER_AT, _MACHINE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000


def filter_code(machine: str) -> bytes:
    """The filter as an array of struct sock_filter (linux/filter.h).

    Calls of another machine's kind end the process; clone3, whose flags a filter cannot see, is said not to exist, so
    that the C library falls back on clone.

    Args:
        machine: one of `MACHINES`.
    """
    column, mark = MACHINES[machine]
    code = [
        _step(_LOAD, _MACHINE_AT),
        _step(_EQUAL, mark, yes=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine == "x86_64":
        code += [_step(_AT_LEAST, _X32, no=1), _step(_RETURN, _FAIL | errno.ENOSYS)]
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            code += [_step(_EQUAL, number, no=1), _step(_RETURN, _FAIL | errno.EPERM)]
    code += [_step(_EQUAL, _CLONE3, no=1), _step(_RETURN, _FAIL | errno.ENOSYS)]
    code += [
        _step(_EQUAL, _CLONE[column], no=4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        _step(_ANY_BIT, _NEW_NAMESPACE, no=1),
        _step(_RETURN, _FAIL | errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    for number in (_SOCKET[column], _SOCKETPAIR[column]):
        code += [
            _step(_EQUAL, number, no=4),
            _step(_LOAD, _FIRST_ARGUMENT_AT),
            _step(_EQUAL, _AF_UNIX, yes=1),
            _step(_RETURN, _FAIL | errno.EACCES),
            _step(_RETURN, _ALLOW),
        ]
    code.append(_step(_RETURN, _ALLOW))
    return b"".join(code)


def pivot_root_number(machine: str | None = None) -> int:
    """The number of pivot_root, for which the C library has no function."""
    number = DENIED["pivot_root"][MACHINES[machine or platform.machine()][0]]
    assert number is not None  # noqa: S101 - both machines have it
    return number


def _step(code: int, value: int, *, yes: int = 0, no: int = 0) -> bytes:
    """One struct sock_filter; `yes` and `no` are how many steps to jump over."""
    return struct.pack("=HBBI", code, yes, no, value)
