from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from hexgate.scorers.sandbox_filter import DENIED, MACHINES, filter_code, pivot_root_number

ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
CLONE = {"x86_64": 56, "aarch64": 220}
SOCKET = {"x86_64": 41, "aarch64": 198}
SOCKETPAIR = {"x86_64": 53, "aarch64": 199}
NUMBERS = [(machine, name, numbers[column]) for machine, (column, _) in MACHINES.items()
           for name, numbers in DENIED.items() if numbers[column] is not None]  # fmt: skip


def judged(code, number, mark, first=0):
    """What the kernel's machine would answer: the few instructions of classic BPF that seccomp programs use."""
    data = struct.pack("=IIQ6Q", number, mark, 0, first, 0, 0, 0, 0, 0)
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at, held = 0, 0
    while True:
        kind, yes, no, value = steps[at]
        at += 1
        if kind == 0x20:
            (held,) = struct.unpack_from("=I", data, value)
        elif kind == 0x06:
            return value
        else:
            holds = {0x15: held == value, 0x35: held >= value, 0x45: bool(held & value)}[kind]
            at += yes if holds else no


@pytest.mark.parametrize(("machine", "name", "number"), NUMBERS)
def test_what_is_denied_is_denied(machine, name, number):
    assert judged(filter_code(machine), number, MACHINES[machine][1]) == FAIL | errno.EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_all_else_goes_through(machine):
    code, (column, mark) = filter_code(machine), MACHINES[machine]
    special = {CLONE[machine], SOCKET[machine], SOCKETPAIR[machine], 435}
    others = set(range(460)) - {numbers[column] for numbers in DENIED.values()} - special
    assert {judged(code, number, mark) for number in others} == {ALLOW}


@pytest.mark.parametrize("machine", MACHINES)
def test_sockets_are_local_ones_or_none(machine):
    code, mark = filter_code(machine), MACHINES[machine][1]
    for number in (SOCKET[machine], SOCKETPAIR[machine]):
        assert judged(code, number, mark, 1) == ALLOW
        for family in (0, 2, 10, 16, 17, 38, 40, 45):
            assert judged(code, number, mark, family) == FAIL | errno.EACCES


@pytest.mark.parametrize("machine", MACHINES)
def test_processes_and_threads_are_made_but_no_namespaces(machine):
    code, mark = filter_code(machine), MACHINES[machine][1]
    assert judged(code, CLONE[machine], mark, 17) == ALLOW
    # What pthread_create asks for: CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM, SETTLS and two more.
    assert judged(code, CLONE[machine], mark, 0x3D0F00) == ALLOW
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert judged(code, CLONE[machine], mark, flag | 17) == FAIL | errno.EPERM
    assert judged(code, 435, mark) == FAIL | errno.ENOSYS


def test_calls_of_another_kind_of_machine_end_the_process():
    code = filter_code("x86_64")
    assert judged(code, 1, 0x40000003) == KILL
    assert judged(code, 1, MACHINES["aarch64"][1]) == KILL
    assert judged(code, 0x40000000 | 39, MACHINES["x86_64"][1]) == FAIL | errno.ENOSYS


def test_it_is_short_enough_for_the_kernel():
    assert all(len(filter_code(machine)) // 8 < 4096 for machine in MACHINES)


@pytest.mark.parametrize(
    ("machine", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_the_numbers_are_those_of_the_kernels_headers(machine, header):
    if not Path(header).exists():
        pytest.skip(f"{header} is not installed")
    defined = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", Path(header).read_text()))
    own = {"clone": CLONE[machine], "socket": SOCKET[machine], "socketpair": SOCKETPAIR[machine]}
    for name, number in [
        *own.items(),
        *((name, number) for there, name, number in NUMBERS if there == machine),
    ]:
        # Headers older than a call do not know it.
        assert name not in defined or int(defined[name]) == number, name
    assert len(own.keys() & defined.keys()) == 3
    assert pivot_root_number(machine) == int(defined["pivot_root"])
