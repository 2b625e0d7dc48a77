"""Rebuild the file of surnames that ships with the course, byte for byte, from the list of the US Census Bureau.

    python -m pip install names==0.3.0
    python -m tests.tools.build_surnames --out surnames.bz2 [--list dist.all.last]

The Bureau's file dist.all.last has a line for each surname: the name, its frequency in per cent, the sum so far, its rank.
It lies in the package `names` 0.3.0, from which it is read unless one is named. Only the names are kept, in lower case.
"""

import argparse
import bz2
import hashlib
from importlib.util import find_spec
from pathlib import Path

from course_lib.language.names import MAX_LETTERS, pack

LIST_SHA256 = "b0e2b3743ccbad641ca48b344c24cdebcd1d9a1f76dc6dbf05986f2919f0b4e1"


def installed_list() -> Path:
    """The list in the installed package `names`, which is not imported. FileNotFoundError if it is not there."""
    spec = find_spec("names")
    path = Path(spec.origin).parent / "dist.all.last" if spec and spec.origin else None
    if path is None or not path.is_file():
        raise FileNotFoundError("the package names is not installed: python -m pip install names==0.3.0, or --list FILE")
    return path


def read_list(content: bytes) -> list[str]:
    """The names in lower case, each once. ValueError where one is not of at most 13 letters from a to z."""
    names = {line.split()[0].lower() for line in content.decode("ascii").splitlines() if line.strip()}
    for name in names:
        if not (name.isalpha() and len(name) <= MAX_LETTERS):
            raise ValueError(f"a surname must have at most {MAX_LETTERS} letters, got {name!r}")
    return sorted(names)


def build(out: Path, content: bytes) -> str:
    """Write the packed names to `out`, which must not exist, and return the SHA-256 of what was packed."""
    packed = pack(read_list(content))
    with open(out, "xb") as file:
        file.write(bz2.compress(packed, 9))
    return hashlib.sha256(packed).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the file to write; must not exist")
    parser.add_argument("--list", type=Path, help="dist.all.last, if not that of the installed package")
    options = parser.parse_args()
    content = (options.list or installed_list()).read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != LIST_SHA256:
        raise SystemExit(f"the list is not the one that the course was built from: SHA-256 {found}, not {LIST_SHA256}")
    print(f"{build(options.out, content)}  {options.out.stat().st_size:,} bytes")
