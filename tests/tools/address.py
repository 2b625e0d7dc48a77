"""The public address of the course, which pyproject.toml holds, and all that is made of it: install lines and badges.

    python -m tests.tools.address                               prints it; fails if some file says another
    python -m tests.tools.address https://github.com/me/fork    changes it, everywhere

Every notebook, starter and solution installs the course from there on Colab, and carries a badge that opens it there.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SLUG = r"[\w.-]+/[\w.-]+"
ADDRESS = re.compile(rf"https://github\.com/({SLUG})")
IN_PROJECT = re.compile(r'(?<=^Repository = ")[^"]+', re.MULTILINE)
# Where a page of ours names the address: as itself, or as a part of the address of something that shows a file of it.
MENTIONS = re.compile(
    rf"(?<=git\+https://github\.com/){SLUG}|(?<=/github/){SLUG}(?=/blob/)|(?<=url = {{https://github\.com/){SLUG}(?=}})"
)


def address() -> str:
    """Return https://github.com/OWNER/REPOSITORY, from pyproject.toml."""
    return IN_PROJECT.search((ROOT / "pyproject.toml").read_text(encoding="utf8"))[0]


def slug() -> str:
    """Return OWNER/REPOSITORY."""
    return ADDRESS.fullmatch(address())[1]


def badge(path: Path) -> str:
    """Return the badge of a notebook, as Markdown. A solution's opens its starter, since starters are made from solutions."""
    file = path.resolve().relative_to(ROOT).as_posix().replace("/solutions/", "/")
    target = f"https://colab.research.google.com/github/{slug()}/blob/main/{file}"
    return f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({target})"


def pages() -> list[Path]:
    """Return all files that name the address, besides pyproject.toml."""
    return [ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb")), *sorted((ROOT / "exercises").rglob("*.ipynb"))]


def others() -> dict[Path, set[str]]:
    """Return page -> what it says instead, where it is not the address."""
    found = {page: set(MENTIONS.findall(page.read_text(encoding="utf8"))) - {slug()} for page in pages()}
    return {page: wrong for page, wrong in found.items() if wrong}


def change(new: str) -> None:
    """Write `new` into pyproject.toml and every page. ValueError if it is no address of a repository."""
    wanted = ADDRESS.fullmatch(new.removesuffix("/").removesuffix(".git"))
    if wanted is None:
        raise ValueError(f"the address must look like https://github.com/OWNER/REPOSITORY; got {new!r}")
    _substitute(IN_PROJECT, wanted[0], ROOT / "pyproject.toml")
    for page in pages():
        _substitute(MENTIONS, wanted[1], page)


def _substitute(pattern: re.Pattern, text: str, path: Path) -> None:
    old = path.read_bytes()  # as bytes, so that line endings stay
    changed = pattern.sub(lambda _: text, old.decode("utf8")).encode("utf8")
    if changed != old:
        path.write_bytes(changed)
        print(path.relative_to(ROOT))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("new", nargs="?", help="the new address; without it, the present one is printed and compared")
    options = parser.parse_args(arguments)
    if options.new:
        try:
            change(options.new)
        except ValueError as error:
            parser.error(str(error))
        return 0
    print(address())
    for page, wrong in others().items():
        print(f"{page.relative_to(ROOT)} says {', '.join(sorted(wrong))}", file=sys.stderr)
    return int(bool(others()))


if __name__ == "__main__":
    sys.exit(main())
