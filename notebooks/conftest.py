"""What nbval leaves out: how long each notebook took, and what a cell said on stderr that should have said nothing."""

import os
from collections import Counter
from pathlib import PurePosixPath

import pytest

from tests import font_list, trained_once

SECONDS = Counter()
# Large pages of memory, kept when they are freed: training small networks is mostly memory traffic, and takes a fifth less
# time. The C library of Linux reads this when a kernel starts; others don't. The numbers are the same.
MEMORY = "glibc.malloc.hugetlb=1:glibc.malloc.trim_threshold=1000000000:glibc.malloc.mmap_threshold=1000000000"


def pytest_configure(config):
    font_list.in_kernels_of(config)
    trained_once.in_kernels_of(config, train_all=True)
    os.environ.setdefault("GLIBC_TUNABLES", MEMORY)


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
