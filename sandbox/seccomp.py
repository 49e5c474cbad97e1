"""Our own seccomp filter: system calls that no task needs and that lead out of a sandbox.

It is laid over whatever filter the daemon has (some let io_uring and VSOCK through), by each child
of the supervisor, for good. Bytes as the kernel takes them: 8 an instruction.

    architecture must be ours   else the call fails
    a denied call               EPERM
    prlimit of another process  EPERM: where all is one user, it could take the supervisor's away
    clone into new namespaces   EPERM; clone3 (whose flags a filter cannot see) ENOSYS, so that the
                                C library falls back to clone
    socket of another family    EAFNOSUPPORT
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_ABOVE, _JUMP_IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97
_NUMBER_AT, _ARCHITECTURE_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_FAMILIES = {"unix": 1, "inet": 2, "inet6": 10, "netlink": 16}
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEW* flags: mount, cgroup, uts, ipc, user, pid, net."""


@dataclass(frozen=True, slots=True)
class _Machine:
    audit: int
    socket: int
    clone: int
    prlimit: int
    denied: tuple[int, ...]
    foreign_from: int | None = None
    """Numbers from here on belong to another convention of the same machine (x32)."""


_CLONE3 = 435
_SAME_EVERYWHERE = (
    *(425, 426, 427),  # io_uring_*
    *(428, 429, 430, 431, 432, 433, 442),  # open_tree, move_mount, fs*, mount_setattr
    *(438, 440, 443),  # pidfd_getfd, process_madvise, quotactl_fd
)
_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        socket=41,
        clone=56,
        prlimit=302,
        foreign_from=0x40000000,
        denied=(
            *(101, 310, 311, 312),  # ptrace, process_vm_*, kcmp
            *(248, 249, 250),  # add_key, request_key, keyctl
            *(321, 298, 323),  # bpf, perf_event_open, userfaultfd
            *(272, 308, 165, 166, 155, 161),  # unshare, setns, mount, umount2, pivot_root, chroot
            *(174, 175, 176, 313, 246, 320),  # modules, kexec
            *(303, 304, 212),  # name_to_handle_at, open_by_handle_at, lookup_dcookie
            *(164, 227, 305, 159),  # settimeofday, clock_settime, clock_adjtime, adjtimex
            *(167, 168, 179, 163, 169, 103),  # swap, quota, acct, reboot, syslog
            *(172, 173, 134, 180),  # iopl, ioperm, uselib, nfsservctl
            *_SAME_EVERYWHERE,
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        socket=198,
        clone=220,
        prlimit=261,
        denied=(
            *(117, 270, 271, 272),  # ptrace, process_vm_*, kcmp
            *(217, 218, 219),  # add_key, request_key, keyctl
            *(280, 241, 282),  # bpf, perf_event_open, userfaultfd
            *(97, 268, 40, 39, 41, 51),  # unshare, setns, mount, umount2, pivot_root, chroot
            *(105, 106, 273, 104, 294),  # modules, kexec
            *(264, 265, 18),  # name_to_handle_at, open_by_handle_at, lookup_dcookie
            *(170, 112, 266, 171),  # settimeofday, clock_settime, clock_adjtime, adjtimex
            *(224, 225, 60, 89, 142, 116, 42),  # swap, quota, acct, reboot, syslog, nfsservctl
            *_SAME_EVERYWHERE,
        ),
    ),
}


def filters() -> dict[str, bytes]:
    """Machine name as `uname` gives it to the filter's bytes."""
    return {name: _program(machine) for name, machine in _MACHINES.items()}


def _program(machine: _Machine) -> bytes:
    code = [
        _step(_LOAD, _ARCHITECTURE_AT),
        _step(_JUMP_IF_EQUAL, machine.audit, if_true=1),
        _step(_RETURN, _ERRNO | _EPERM),
        _step(_LOAD, _NUMBER_AT),
    ]
    if machine.foreign_from is not None:
        code += _when(_JUMP_IF_ABOVE, machine.foreign_from, _ERRNO | _ENOSYS)
    for number in machine.denied:
        code += _when(_JUMP_IF_EQUAL, number, _ERRNO | _EPERM)
    code += _when(_JUMP_IF_EQUAL, _CLONE3, _ERRNO | _ENOSYS)
    code += [
        _step(_JUMP_IF_EQUAL, machine.prlimit, if_false=4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        *_when(_JUMP_IF_EQUAL, 0, _ALLOW),
        _step(_RETURN, _ERRNO | _EPERM),
        _step(_JUMP_IF_EQUAL, machine.clone, if_false=4),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
        *_when(_JUMP_IF_ANY, _NEW_NAMESPACES, _ERRNO | _EPERM),
        _step(_RETURN, _ALLOW),
        _step(_JUMP_IF_EQUAL, machine.socket, if_false=2 + 2 * len(_FAMILIES)),
        _step(_LOAD, _FIRST_ARGUMENT_AT),
    ]
    for family in _FAMILIES.values():
        code += _when(_JUMP_IF_EQUAL, family, _ALLOW)
    code += [_step(_RETURN, _ERRNO | _EAFNOSUPPORT), _step(_RETURN, _ALLOW)]
    return b"".join(code)


def _when(jump: int, value: int, answer: int) -> list[bytes]:
    return [_step(jump, value, if_false=1), _step(_RETURN, answer)]


def _step(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)
