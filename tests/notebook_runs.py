"""A plugin of pytest, which pyproject.toml names. It prepares kernels for whatever is run, and tells what nbval leaves out:
how long each notebook took, and what a cell said on stderr that should have said nothing.
"""

from collections import Counter
from pathlib import PurePosixPath

import pytest

from tests import kernels

SECONDS = Counter()
LONGEST = ("10", "09", "07", "01", "02", "05", "06", "08")  # by the seconds below; begun first: all cores end together


def pytest_configure(config):
    kernels.prepare(config)


def pytest_collection_modifyitems(items):
    def rank(item) -> int:
        number = item.path.name[:2]
        return LONGEST.index(number) if item.path.parent.name == "notebooks" and number in LONGEST else len(LONGEST)

    items.sort(key=rank)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    said = [output.text for output in (getattr(item, "test_outputs", None) or ()) if output.get("name") == "stderr"]
    if report.failed and said:
        report.sections.append(("stderr of the cell", "".join(said)))
    return report


def pytest_runtest_logreport(report):
    file = PurePosixPath(report.nodeid.partition("::")[0])
    if file.suffix == ".ipynb":
        SECONDS[file.as_posix()] += report.duration


def pytest_terminal_summary(terminalreporter):
    if SECONDS:
        terminalreporter.section("seconds a notebook")
        for file, seconds in sorted(SECONDS.items()):
            terminalreporter.write_line(f"{seconds:7.1f}  {file}")
        course = sum(seconds for file, seconds in SECONDS.items() if file.startswith("notebooks/"))
        terminalreporter.write_line(f"{course:7.1f}  all of notebooks/")
