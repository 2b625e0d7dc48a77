"""The files that a run writes, and which of those that are there an earlier run wrote."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from exercises.grading.running import strict


def write_file(path: Path, data: bytes) -> None:
    """Write all of it or nothing, even if the power fails in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(f".{path.name}.{os.getpid()}.part")
    partly.write_bytes(data)
    os.replace(partly, path)


class Output:
    """The files of a run. What an earlier run wrote is replaced, or deleted if it is not written again; nothing else is."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.list = folder / ".grading" / "written.json"
        known = None
        with contextlib.suppress(OSError):
            known = strict(self.list.read_text(encoding="utf8"))
        self.before: dict[str, str] = known if isinstance(known, dict) else {}
        self.written: dict[str, str] = {}
        self.put_aside: list[str] = []

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file. One of that name that is not as we left it is put aside first, under a name that is free."""
        path, data = self.folder / name, content if isinstance(content, bytes) else content.encode("utf8")
        self._put_aside(name, data)
        write_file(path, data)
        self.written[name] = hashlib.sha256(data).hexdigest()

    def _put_aside(self, name: str, data: bytes = b"") -> bool:
        path = self.folder / name
        if not path.exists():
            return False
        present = path.read_bytes()
        if present == data or hashlib.sha256(present).hexdigest() == self.before.get(name):
            return False
        number = 1
        while (aside := path.with_name(f"{path.stem}.kept-{number}{path.suffix}")).exists():
            number += 1
        path.rename(aside)
        self.put_aside.append(aside.relative_to(self.folder).as_posix())
        return True

    def finish(self) -> None:
        """Delete what earlier runs wrote and this one did not: marks that no longer hold."""
        for name in set(self.before) - set(self.written):
            if not self._put_aside(name):
                (self.folder / name).unlink(missing_ok=True)
        write_file(self.list, json.dumps(self.written, indent=0, sort_keys=True).encode())
