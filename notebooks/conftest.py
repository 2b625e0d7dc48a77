"""How long each notebook took, printed after nbval has run them."""

from collections import Counter
from pathlib import PurePosixPath

from tests import trained_once

SECONDS = Counter()


def pytest_configure(config):
    trained_once.in_kernels_of(config, train_all=True)


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
