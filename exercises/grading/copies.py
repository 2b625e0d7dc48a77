"""Files that came from several students."""

from exercises.grading.rows import Graded, Row


def note(rows: list[Row]) -> None:
    """Note files that are the same to the last byte, unless they are as they were given out."""
    same: dict[tuple[str, str], list[tuple[Row, Graded]]] = {}
    for row in rows:
        for graded in row.graded:
            if any(part.status not in ("unanswered", "missing", "invalid") for part in graded.parts):
                same.setdefault((graded.exercise.name, graded.notebook.file.fingerprint), []).append((row, graded))
    for group in same.values():
        if len(group) > 1:
            who = "; ".join(row.student.name for row, _ in group)
            group[0][1].notes.append(("duplicate", f"the same file, to the last byte, from {who}"))
