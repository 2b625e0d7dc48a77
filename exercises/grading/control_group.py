"""A limit on the memory of a child and all that it starts together, where Linux lets us make a control group."""

import contextlib
import os
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_TRIES = 50


class ControlGroup:
    """A control group of version 1 or 2 for one child. What was taken before a process joined is not counted."""

    def __init__(self, folder: Path, limit: int):
        """Raises OSError where this is not possible."""
        self.folder = folder
        folder.mkdir()
        try:
            first = folder / "memory.limit_in_bytes"
            (first if first.exists() else folder / "memory.max").write_text(str(limit))
            with contextlib.suppress(OSError):  # there may be no swap
                (folder / "memory.swap.max").write_text("0")
        except OSError:
            folder.rmdir()
            raise

    def take(self, pid: int) -> None:
        """Take a process and all its descendants in. Raises OSError if that is not allowed."""
        members = self.folder / "cgroup.procs"
        for _ in range(_TRIES):  # one may fork another before it is taken in itself
            outside = {pid, *_descendants(pid)} - set(map(int, members.read_text().split()))
            if not outside:
                return
            for process in outside:
                with contextlib.suppress(ProcessLookupError):
                    members.write_text(str(process))

    def kills(self) -> int:
        """How many processes were ended since they took too much together."""
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError):
                words = (self.folder / name).read_text().split()
                return int(words[words.index("oom_kill") + 1]) if "oom_kill" in words else 0
        return 0

    def remove(self) -> None:
        """Remove it, once all its processes have ended."""
        for _ in range(_TRIES):
            try:
                self.folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                os.sched_yield()


def make(limit: int, name: str) -> ControlGroup | None:
    """A new group with a limit in bytes beside or below our own, or None where there can't be one."""
    for folder in _candidates():
        with contextlib.suppress(OSError):
            return ControlGroup(folder / name, limit)
    return None


def is_available() -> bool:
    """Tell whether a group can be made here."""
    group = make(2**40, f"grading-probe-{os.getpid()}")
    if group:
        group.remove()
    return group is not None


def _candidates() -> list[Path]:
    """Where a group could be made that counts memory."""
    try:
        lines = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return []
    own = {controllers: path.lstrip("/") for _, controllers, path in lines}
    found = [_ROOT / "memory" / own["memory"]] if "memory" in own else []
    if "" in own and (_ROOT / "cgroup.controllers").exists():
        # One that holds processes can't hold groups with limits, so beside our own first.
        for folder in (_ROOT / own[""]).parent, _ROOT / own[""]:
            with contextlib.suppress(OSError):
                found += [folder] if "memory" in (folder / "cgroup.subtree_control").read_text().split() else []
    return found


def _descendants(pid: int) -> list[int]:
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parents.setdefault(int(Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1]), []).append(
                    int(name)
                )
    found = [pid]
    for process in found:
        found += parents.get(process, [])
    return found[1:]
