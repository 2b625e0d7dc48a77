"""The pages: feedback for each student, a report for the instructor. Everything from outside goes through jinja's escaping."""

import io
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from exercises.grading import items, scoring
from exercises.grading.rows import Row

_SIGNS = {"passed": "✓", "unanswered": "○", "missing": "○"}
_WORDS = {
    "passed": "right", "wrong": "not right", "unanswered": "not answered", "missing": "not there", "raised": "error",
    "timeout": "stopped: too slow", "oom": "stopped: memory", "crash": "crashed", "output": "stopped: output",
    "invalid": "unreadable", "forged": "forged",
}  # fmt: skip
_ISOLATION = {
    "bubblewrap": (True, "Every submission ran in bubblewrap: without network, without your files, with limits."),
    "namespaces": (False, "bubblewrap was not used. Submissions had namespaces of their own (no network, no other processes) "
                          "and limits, but could read your files and write where you can."),
    "limits": (False, "There was NO sandbox. Submissions had limits on time, memory and processes only: they could read and "
                      "change your files and use the network."),
}  # fmt: skip
_LONGEST = 20_000  # characters of an answer that are shown
_MOST_LOOKS = 500  # entries of the report; the rest is on the students' pages
_STYLE = {"svg.hashsalt": "grading", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11}


def visible(value):
    """Return a text as a page shows it: without the characters that can't be seen or that turn the direction of writing."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(c if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co") else "\ufffd" for c in value)


def _code(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n… ({len(text):,} characters)"


def _ticks(text: str) -> Markup:
    """Text in which `names` between backticks are set as code. Whatever else is in it stays text."""
    return Markup(re.sub(r"`([^`\n]{1,80})`", r"<code>\1</code>", str(escape(visible(text)))))


def _start(title: str) -> str:
    return title[:1].upper() + title[1:]


_environment = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    finalize=visible,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
_environment.globals.update(signs=_SIGNS, words=_WORDS)
_environment.filters.update(code=_code, ticks=_ticks, start=_start, seconds=items.seconds)


def template(name: str) -> jinja2.Template:
    """Return one of the templates, in which everything is escaped."""
    return _environment.get_template(name)


def file_names(rows: list[Row]) -> list[str]:
    """A name for each student's page that every file system takes, and that no two of them share."""
    names, taken = [], set()
    for row in rows:
        plain = "".join(c if c.isalnum() or c in " -_.,()[]" else "_" for c in row.student.name).strip(" .") or "student"
        while len(plain.encode()) > 100:
            plain = plain[:-1]
        name, number = plain, 1
        while unicodedata.normalize("NFKC", name).casefold() in taken:
            number += 1
            name = f"{plain} ({number})"
        taken.add(unicodedata.normalize("NFKC", name).casefold())
        names.append(f"{name}.html")
    return names


def feedback(row: Row) -> str:
    """The page for one student."""
    return template("feedback.html").render(row=row)


def to_look_at(rows: list[Row], names: list[str]) -> list[tuple]:
    """List all that a person should look at, as (kind, student's page, student's name, exercise, words), the gravest first."""
    order = (*scoring.NEEDS_A_LOOK, "library", "late", "duplicate", "ending", "identity", "file")
    look = []
    for row, name in zip(rows, names, strict=True):
        found = [(kind, graded.exercise.stem, words) for graded in row.graded for kind, words in graded.notes]
        found += [("identity", "", words) for words in row.student.doubts]
        found += [("file", "", f"{path}: {why}") for path, why in row.student.stray]
        look += [(kind, name, row.student.name, stem, words) for kind, stem, words in found if kind != "missing"]
    return sorted(look, key=lambda entry: order.index(entry[0]) if entry[0] in order else len(order))


def report(
    rows: list[Row],
    names: list[str],
    isolations: list[str],
    seed: int,
    unclaimed: Sequence[tuple[str, str]] = (),
    lost: Sequence[str] = (),
    alike: int | None = None,
    undated: Sequence[str] = (),
    settings: dict | None = None,
) -> str:
    """The page for the instructor.

    unclaimed: files that are nobody's, and why; lost: marks by hand for nobody here; alike: how many pairs of answers agree
    more than chance explains, None if that is not known; undated: what no time of submission is known of; settings: of the run.
    """
    look = [("mark by hand", "", "", "", words) for words in lost] + [("late", "", "", "", words) for words in undated]
    look += to_look_at(rows, names) + [("file", "", "", "", f"{path}: {why}") for path, why in unclaimed]
    absent, exercises = _absent(rows, names), [_exercise(rows, number) for number in range(len(rows[0].graded))]
    active = [row for row in rows if any(one.counts for one in row.graded)]
    points = [row.points for row in active or rows]
    return template("report.html").render(
        rows=list(zip(rows, names, strict=True)),
        seed=seed,
        possible=rows[0].possible,
        isolations=[_ISOLATION[name] for name in isolations],
        plot=distribution(points, rows[0].possible),
        totals=_summary(points),
        minute=_minute(sum(any(g.handed_in for g in row.graded) for row in rows), exercises, look),
        exercises=exercises,
        mistakes=mistakes(rows),
        items=items.analyse(rows),
        alike=alike,
        settings=settings or {},
        look=look[:_MOST_LOOKS],
        more=len(look) - _MOST_LOOKS,
        nothing=[(row, name) for row, name, whole, _ in absent if len(whole) == len(row.graded)],
        absent=[entry for entry in absent if len(entry[2]) < len(entry[0].graded)],
        by_hand=[(row, name, one) for row, name in zip(rows, names, strict=True) for one in row.graded if one.override],
    )


def _summary(points: list[float]) -> dict:
    return {"mean": statistics.fmean(points), "median": statistics.median(points), "low": min(points), "high": max(points)}


def _minute(handed_in: int, exercises: list[dict], look: list[tuple]) -> dict:
    """What an instructor reads first: how many handed in, the hardest part, how many things of which kind need a look."""
    parts = [{**part, "number": entry["exercise"].number} for entry in exercises for part in entry["parts"]]
    hardest = min(parts, key=lambda part: part["share"], default=None)
    kinds = list(Counter(entry[0] for entry in look).items())
    return {"handed_in": handed_in, "hardest": hardest if hardest and hardest["share"] < 1 else None, "kinds": kinds}


def _exercise(rows: list[Row], number: int) -> dict:
    """What became of one exercise among those who handed it in."""
    exercise = rows[0].graded[number].exercise
    graded = [row.graded[number] for row in rows if row.graded[number].handed_in]
    parts = []
    for index, part in enumerate(exercise.parts if graded else ()):
        share = sum(one.parts[index].passed for one in graded) / len(graded)
        parts.append({"title": part.title, "points": part.points, "share": share})
    mean = statistics.fmean(one.points for one in graded) if graded else None
    return {"exercise": exercise, "mean": mean, "handed_in": len(graded), "parts": parts, "bonus": rows[0].graded[number].bonus}


def mistakes(rows: list[Row]) -> list[dict]:
    """The named mistakes, the most common first; each counts once a student."""
    count, hints, students, tried = Counter(), {}, defaultdict(list), Counter()
    for row in rows:
        tried.update(g.exercise.stem for g in row.graded if g.handed_in)
        made = {(g.exercise.stem, p.mistake): p.hint for g in row.graded for p in g.parts if p.mistake}
        count.update(made.keys())
        hints.update(made)
        for mistake in made:
            students[mistake].append(row.student.name)
    most = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    numbers = {graded.exercise.stem: graded.exercise.number for row in rows for graded in row.graded}
    return [{"exercise": stem, "number": numbers[stem], "name": name, "count": n, "share": n / tried[stem],
             "hint": hints[stem, name], "students": students[stem, name]} for (stem, name), n in most]  # fmt: skip


def _absent(rows: list[Row], names: list[str]) -> list[tuple]:
    """List what is missing, one entry a student: whole exercises first, then answers."""
    found = []
    for row, name in zip(rows, names, strict=True):
        whole = [g.exercise.stem for g in row.graded if not g.handed_in]
        parts = [(g.exercise.stem, words) for g in row.graded if g.handed_in for kind, words in g.notes if kind == "missing"]
        if whole or parts:
            found.append((row, name, whole, parts))
    return found


def distribution(points: list[float], possible: int) -> str:
    """Draw how many students have how many points, as SVG; the same points, the same text."""
    with rc_context(_STYLE):
        text = io.StringIO()
        FigureCanvasSVG(draw_distribution(points, possible)).print_svg(text, metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def draw_distribution(points: list[float], possible: int) -> Figure:
    """Draw the same as a figure. The legend stands above, where no bar can be."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axes = figure.subplots()
    width = max(1, -(-possible // 14))
    most = max(possible, int(max(points)))  # with a bonus, more than what is possible
    edges = [edge - 0.5 for edge in range(0, most + width + 1, width)]
    axes.hist(points, bins=edges, color="#0072B2", edgecolor="white")
    axes.axvline(statistics.median(points), color="#D55E00", linestyle="--", linewidth=2, label="median")
    axes.set(xlabel=f"points, of {possible}", ylabel="students", xlim=(-0.5 - width / 4, edges[-1] + width / 4))
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0)
    return figure
