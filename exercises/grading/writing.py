"""All files of a gradebook, and what is to be said about them."""

from dataclasses import dataclass
from pathlib import Path

from exercises.grading import (
    alike,
    alike_page,
    anonymous,
    arguments,
    copies,
    gradebook,
    items,
    kept,
    lateness,
    output,
    overrides,
    pages,
    roster,
)
from exercises.grading.rows import set_bonus


@dataclass
class Written:
    """What became of it. put_aside: files changed by hand; said: what the terminal tells; look: how many things need a look."""

    put_aside: list[str]
    said: list[str]
    look: int


def write(folder: Path, book: kept.Gradebook, known: roster.Roster) -> Written:
    """Write everything into a folder. Raises OverrideError."""
    files, data, settings, rows = output.Output(folder), kept.dump(book), book.settings, book.rows
    copies.note(rows)
    set_bonus(rows, arguments.exercises(settings["bonus"]) if settings["bonus"] else ())
    undated = lateness.apply(rows, arguments.due_dates(settings["due"]), settings["late"])
    called = anonymous.pseudonyms((row.student for row in rows), settings["seed"]) if settings["anonymous"] else {}
    lost = overrides.apply(rows, folder / overrides.NAME, called)
    _write_what_goes_back(files, rows, known, settings)
    unclaimed = book.unclaimed
    if called:
        files.write("key.csv", gradebook.sheet(anonymous.key(called)))
        rows, hide = anonymous.mask(rows, called)
        undated, unclaimed = [*map(hide, undated)], [(hide(path), why) for path, why in unclaimed]
    compared = alike.compare(rows)
    names = _write_what_is_read(files, rows, compared)
    page = pages.report(
        rows,
        names,
        book.isolations,
        settings["seed"],
        unclaimed,
        lost,
        alike=None if compared is None else sum(len(one.pairs) for one in compared),
        undated=undated,
        settings=settings,
    )
    files.write("report.html", page)
    files.finish()
    kept.save(folder, data)
    said = [*([alike.MISSING] if compared is None else []), *lost, *undated]
    look = len(pages.to_look_at(rows, names)) + len(unclaimed) + len(lost) + len(undated)
    return Written(files.put_aside, said, look)


def _write_what_goes_back(files: output.Output, rows: list, known: roster.Roster, settings: dict) -> None:
    """Write the files that an LMS or nbgrader takes: always under real names."""
    if settings["nbgrader"]:
        files.write("grades_nbgrader.csv", gradebook.nbgrader(rows))
    feedback = [pages.feedback(row) for row in rows]
    for name, content in gradebook.uploads(rows, known.tables, feedback, settings["lms"]).items():
        files.write(f"upload/{name}", content)


def _write_what_is_read(files: output.Output, rows: list, compared: list | None) -> list[str]:
    """Write the tables and pages but the report, and return the names of the students' pages."""
    files.write("grades.csv", gradebook.marks(rows))
    files.write("items.csv", gradebook.sheet(items.table(items.analyse(rows))))
    names = pages.file_names(rows)
    for name, row in zip(names, rows, strict=True):
        files.write(f"feedback/{name}", pages.feedback(row))
    files.write("alike.html", alike_page.render(rows, compared))
    return names
