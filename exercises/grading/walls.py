"""Walls around one submission: namespaces of its own, so that it sees no other process, no network and no file of others.

Linux gives them to any user. A process that is the first of a namespace of processes can't be killed from inside, and
everything inside ends with it. Python before 3.12 has no os.unshare, hence ctypes.
"""

import ctypes
import os
import sys

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PIDS, _NEW_NET = 0x20000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV = 2, 4
_CAPABILITIES_VERSION = 0x20080522
_PR_SET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 3, 4, 36, 38


class ImpossibleError(Exception):
    """This machine does not let us make a namespace."""


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _need(result: int, what: str) -> None:
    if result != 0:
        raise ImpossibleError(f"{what}: {os.strerror(ctypes.get_errno())}")


def prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _libc().prctl(option, value, 0, 0, 0)


def end_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends."""
    prctl(_PR_SET_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def forbid_tracing() -> None:
    """Keep other processes of this user from tracing this one and its forks: no memory, no descriptor of theirs is to be had.

    Raises ImpossibleError if Linux does not do so. A change of the user may undo it.
    """
    if sys.platform == "linux":
        prctl(_PR_SET_DUMPABLE, 0)
        if _libc().prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise ImpossibleError("this process stays open to tracing")


def enter_namespaces() -> None:
    """Go into new namespaces; the next fork is the first process there. Raises ImpossibleError."""
    if sys.platform != "linux":
        raise ImpossibleError("only Linux has namespaces")
    user, group = os.getuid(), os.getgid()
    _need(_libc().unshare(_NEW_USER | _NEW_MOUNTS | _NEW_IPC | _NEW_PIDS | _NEW_NET), "unshare")
    prctl(_PR_SET_DUMPABLE, 1)  # or the files below belong to root, once the user has been changed
    try:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    except OSError as problem:
        raise ImpossibleError(str(problem)) from problem
    finally:
        forbid_tracing()


def mount_private_dirs(scratch: str | None, size: int) -> None:
    """In the first process: an empty /proc, empty folders of `size` bytes where one can write, and no privilege left."""
    libc = _libc()
    for path, limit in (("/proc", 4096), ("/dev/shm", size), (scratch, size)):
        if path and os.path.isdir(path):
            options = f"size={limit},mode=1777".encode()
            _need(libc.mount(b"tmpfs", path.encode(), b"tmpfs", _NOSUID | _NODEV, options), f"mount {path}")
    drop_privileges()


def drop_privileges() -> None:
    """No capability, and none to be had by running another program. Others of this user can't trace the process."""
    if sys.platform != "linux":
        return
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _need(_libc().capset(header, (ctypes.c_uint32 * 6)()), "capset")
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    forbid_tracing()
