"""The commands of the README that are marked there, as this system runs them.

    python -m tests.tools.commands test        prints the test command, for bash

Whatever runs the tests by itself asks here, so that it runs what a reader of the README would type, and cannot fall behind.
"""

import argparse
import os
import re

from tests.tools.address import ROOT

MARKED = re.compile(r"<!-- (\w+) command -->\n```bash\n(.+)\n```")


def commands() -> dict[str, str]:
    """Return name -> command, in the order of the README, of all that stand there behind `<!-- NAME command -->`."""
    return dict(MARKED.findall((ROOT / "README.md").read_text(encoding="utf8")))


def on_this_system(command: str, windows: bool = os.name == "nt") -> str:
    """Return the command with the names that Windows has: `python` for `python3`, `Scripts` for `bin`."""
    return command.replace(".venv/bin/", ".venv/Scripts/").replace("python3 ", "python ") if windows else command


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.commands", description=__doc__.splitlines()[0])
    known = commands()
    parser.add_argument("name", choices=known, help="its mark in the README")
    print(on_this_system(known[parser.parse_args(arguments).name]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
