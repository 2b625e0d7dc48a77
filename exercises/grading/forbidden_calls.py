"""Calls of the kernel that no answer needs, and that walls and limits do not see: answers get "not permitted" for them.

Memory behind a descriptor counts for no limit of a process; a namespace of one's own gives rights back; a ring of requests and
programs in the kernel come by what is forbidden here. A filter (seccomp) can't be taken off, and children inherit it.
"""

import ctypes
import os
import sys

_NAMES = ("memfd_create", "memfd_secret", "shmget", "unshare", "setns", "mount", "umount2", "pivot_root", "io_uring_setup",
          "io_uring_enter", "io_uring_register", "add_key", "request_key", "keyctl", "userfaultfd", "bpf",
          "perf_event_open")  # fmt: skip
_MACHINES = {  # what the kernel calls the machine, the numbers of the calls above, and that of clone
    "x86_64": (0xC000003E, (319, 447, 29, 272, 308, 165, 166, 155, 425, 426, 427, 248, 249, 250, 323, 321, 298), 56),
    "aarch64": (0xC00000B7, (279, 447, 194, 97, 268, 40, 39, 41, 425, 426, 427, 217, 218, 219, 282, 280, 241), 220),
}
_CLONE3 = 435  # on both; its flags lie in memory, where a filter can't see them. Without it, clone is taken
_OTHER_ABI = 0x40000000  # numbers of x32, which x86_64 knows as well
_NEW_NAMESPACES = 0x7E020000 | 0x00000080
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _UNKNOWN = 0x7FFF0000, 0x00050001, 0x00050026  # the last two with EPERM and ENOSYS
_NUMBER, _MACHINE, _FLAGS = 0, 4, 16  # where they stand in what a filter sees
_PR_SET_SECCOMP, _FILTER = 22, 2


class _Line(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("if_so", ctypes.c_uint8), ("if_not", ctypes.c_uint8), ("value", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("lines", ctypes.POINTER(_Line)))


def forbid() -> bool:
    """Forbid them to this process and all that it starts. Return whether that was possible."""
    if sys.platform != "linux" or os.uname().machine not in _MACHINES:
        return False
    lines = [_Line(*line) for line in _filter(*_MACHINES[os.uname().machine])]
    program = _Program(len(lines), (_Line * len(lines))(*lines))
    return ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0


def _filter(machine: int, numbers: tuple[int, ...], clone: int) -> list[tuple[int, int, int, int]]:
    """(code, lines to skip if so, if not, value) for each line of the filter."""
    lines = [(_LOAD, 0, 0, _MACHINE), (_IF_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _REFUSE), (_LOAD, 0, 0, _NUMBER)]
    lines += [(_IF_AT_LEAST, 0, 1, _OTHER_ABI), (_RETURN, 0, 0, _REFUSE)]
    for number in numbers:
        lines += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    lines += [(_IF_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _UNKNOWN)]
    lines += [(_IF_EQUAL, 0, 3, clone), (_LOAD, 0, 0, _FLAGS), (_IF_ANY, 0, 1, _NEW_NAMESPACES), (_RETURN, 0, 0, _REFUSE)]
    return [*lines, (_RETURN, 0, 0, _ALLOW)]
