"""Who is who: the people that an LMS lists, and numbers that are not a student's for good."""

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

from exercises.grading import lms
from exercises.grading.lms.base import Person, Table, plain, read_table


class Roster:
    """The people in one list of a course or several, each once."""

    def __init__(self, people: Iterable[Person] = (), tables: Iterable[Table] = ()):
        self.people: list[Person] = []
        self.tables = list(tables)
        for person in people:
            self._add(person)
        self.by_identity = {identity: person for person in self.people for identity in person.identities}
        self.by_name: dict[str, list[Person]] = {}
        for person in self.people:
            for name in person.names:
                self.by_name.setdefault(name, []).append(person)

    def __iter__(self) -> Iterator[Person]:
        return iter(self.people)

    def _add(self, new: Person) -> None:
        """Add somebody, or what another list says about somebody who is there: by address, or by a name that no other has."""
        lists = [table for table, _ in new.lines]
        alike = [old for old in self.people if not any(table in lists for table, _ in old.lines)]
        same = [old for old in alike if new.email and old.email == new.email]
        same = same or [old for old in alike if old.names & new.names and not (new.email and old.email)]
        if len(same) != 1:
            self.people.append(new)
            return
        same[0].identities |= new.identities
        same[0].names |= new.names
        same[0].lines += new.lines
        same[0].email = same[0].email or new.email

    def find(self, seen) -> Person | None:
        """Return who a `Sighting` is: by the identity that the LMS gave, else by a name that only one person has."""
        named = seen.named
        for identity in reversed((named.identity, *named.also) if named else ()):
            if (named.lms, identity) in self.by_identity:
                return self.by_identity[named.lms, identity]
        people = self.by_name.get(plain(seen.name), [])
        return people[0] if len(people) == 1 else None


def read(paths: Iterable[Path]) -> Roster:
    """Return the people in these CSV files. Raises lms.base.RosterError, naming the file."""
    tables = [read_table(path) for path in paths]
    return Roster([person for table in tables for person in lms.read_roster(table)], tables)


def join_numbers(found: Iterable) -> dict[tuple, tuple]:
    """Return for each key of a `Found` that of its student: where numbers are of one assignment only, the name decides.

    Two numbers in one assignment, or for one exercise, are two students of the same name.
    """
    keys: dict[tuple, tuple] = {}
    by_name: dict[tuple, dict[tuple, set]] = {}
    for one in found:
        keys[one.key] = one.key
        named = one.seen.named
        if named and not lms.format_of(named.lms).LASTING:
            where = by_name.setdefault((named.lms, one.seen.name), {}).setdefault(one.key, set())
            where |= {one.group or (one.exercise and one.exercise.name)} - {None}
    for own in by_name.values():
        if not any(one & other for one, other in combinations(own.values(), 2)):
            keys |= dict.fromkeys(own, next(iter(own)))
    return keys
