"""Build the course as a static site: pages to read, from the README, the notebooks and the starters as they are saved, with
their live figures filmed so that they move there.

    python -m tests.tools.site [--out DIR]        in the folder of the repository

Of the notebooks only the cells run that live figures need, and only when they, or the library, have changed since the last
build; nothing is fetched. DIR is build/site, unless told otherwise. What an earlier build left there is replaced;
a folder that holds anything else, be it a changed page, is left as it is.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

from tests.tools import address
from tests.tools.site import pages

OUT = address.ROOT / "build" / "site"
MADE = ".made.json"  # file -> SHA-256, of all that a build wrote


def build(out: Path = OUT) -> None:
    """Write the site to `out`. FileExistsError if something else is there, RuntimeError if Sphinx complains of anything."""
    out = out.resolve()
    refuse_what_is_not_ours(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=out.parent) as temporary:  # beside it, to be moved in one piece
        sources, doctrees, site = (Path(temporary) / name for name in ("sources", "doctrees", "site"))
        (sources / pages.EXTRA).mkdir(parents=True)
        pages.write(sources)
        settings = ["-c", str(Path(__file__).parent), "-d", str(doctrees), "--fail-on-warning", "--keep-going", "--quiet"]
        settings += ["-D", f"html_extra_path={sources / pages.EXTRA}"]
        if build_main(["-b", "html", *settings, str(sources), str(site)]):
            raise RuntimeError("the site was not built: Sphinx says above why")
        (site / MADE).write_text(json.dumps(_content(site), indent=0, sort_keys=True), encoding="utf8")
        if out.exists():
            shutil.rmtree(out)
        site.rename(out)


def refuse_what_is_not_ours(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file; the site needs a folder")
    there = _content(out)
    known = _made(out) if there.pop(MADE, None) else {}
    foreign = sorted(name for name, content in there.items() if known.get(name) != content)
    if foreign:
        names = ", ".join(foreign[:5]) + (f" and {len(foreign) - 5} more" if len(foreign) > 5 else "")
        raise FileExistsError(f"{out} holds what no build of the site left there: {names}. Name another folder with --out")


def _made(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / MADE).read_text(encoding="utf8")))
    except (ValueError, TypeError):  # not as we wrote it: then nothing is known
        return {}


def _content(folder: Path) -> dict[str, str]:
    """name -> SHA-256, of all files in a folder."""
    files = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.site", description="Build the course as a static site.")
    parser.add_argument("--out", type=Path, default=OUT, help="the folder to write to (default: build/site)")
    out = parser.parse_args(arguments).out
    try:
        build(out)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"open {out / 'index.html'}")
    return 0
