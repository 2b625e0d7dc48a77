"""Learning management systems: how each names what it gives out, and in which form it takes marks and feedback back.

Each module here is one of them, found by its file alone; what a module offers is described in `base`.
"""

import importlib
import pkgutil

from exercises.grading.lms import base
from exercises.grading.lms.base import Named

FORMATS = tuple(
    importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__) if module.name != "base"
)


def parse(name: str) -> Named | None:
    """Return what an LMS says in the name of a file or folder, or None if it looks like none of them.

    A student may name a file as another LMS would. What the LMS wrote stands before that, so the shortest beginning decides.
    """
    found = [named for named in (form.parse(name) for form in FORMATS) if named]
    return min(found, key=lambda named: len(name) - len(named.file), default=None)


def is_own(name: str) -> bool:
    """Tell whether a file at the top of a download is one that an LMS adds for the instructor."""
    return any(name in form.OWN for form in FORMATS)


def is_sure(named: Named) -> bool:
    """Tell whether nobody gives such a name by chance."""
    return format_of(named.lms).SURE


def format_of(name: str):
    """Return the module of an LMS. Raises KeyError."""
    return {form.NAME: form for form in FORMATS}[name]


def read_roster(table: base.Table) -> list[base.Person]:
    """Return the people of a list that an LMS wrote; `table.lms` is set. Raises RosterError if none knows it."""
    for form in FORMATS:
        people = form.people(table)
        if people is not None:
            table.lms = form.NAME
            return people
    known = ", ".join(form.NAME for form in FORMATS)
    begins = ", ".join(table.header)[:200]
    raise base.RosterError(f"--roster must be a list of a course from {known}; {table.path} begins: {begins}")
