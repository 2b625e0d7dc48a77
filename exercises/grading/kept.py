"""What is kept between runs: observations by the content that they are of, and which files of the output are ours."""

import contextlib
import hashlib
import json
import os
import platform
from pathlib import Path

import torch

import course_lib
from exercises.grading.running import strict
from exercises.grading.sandbox import PROGRAM

_MAX_BYTES = 10_000_000


def versions() -> str:
    """A fingerprint of all that an observation depends on beside the answers: our code, Python, torch."""
    total = hashlib.sha256(f"{platform.python_version()} {torch.__version__}".encode())
    own = Path(course_lib.__file__).parent
    behind_walls = [Path(__file__).with_name(name) for name in ("sandbox.py", *PROGRAM)]
    for path in sorted(own.rglob("*.py")) + behind_walls:
        total.update(path.name.encode() + path.read_bytes())
    return total.hexdigest()


def key_of(exercise: dict, seed: int, *circumstances) -> str:
    """The name under which the observation of these answers is kept."""
    text = json.dumps([exercise, seed, *circumstances], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, data: bytes) -> None:
    """All of it or nothing, even if the power fails in between."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partly = path.with_name(f".{path.name}.{os.getpid()}.part")
    partly.write_bytes(data)
    os.replace(partly, path)


class Observations:
    """Observations of earlier runs, a file for each."""

    def __init__(self, folder: Path):
        self.folder = folder

    def get(self, key: str) -> dict | None:
        path = self.folder / f"{key}.json"
        with contextlib.suppress(OSError):
            if path.stat().st_size <= _MAX_BYTES:
                found = strict(path.read_text(encoding="utf8", errors="replace"))
                return found if isinstance(found, dict) else None
        return None

    def put(self, key: str, observation: dict) -> None:
        _write(self.folder / f"{key}.json", json.dumps(observation).encode())

    def forget_others(self, keys: set[str]) -> None:
        """Delete what no submission of this run needs."""
        for path in self.folder.glob("*.json"):
            if path.stem not in keys:
                path.unlink()


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

    def write(self, name: str, text: str) -> None:
        """Write a file. One of that name that is not as we left it is put aside first, under a name that is free."""
        path, data = self.folder / name, text.encode("utf8")
        self._put_aside(name, data)
        _write(path, data)
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
        _write(self.list, json.dumps(self.written, indent=0, sort_keys=True).encode())
