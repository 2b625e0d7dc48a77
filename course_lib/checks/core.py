"""An exercise: its parts, what they observe, how they are judged, and the mistakes it knows by name.

*Observing* runs an answer on inputs that depend on a seed, and writes down what came out as plain data. *Judging* runs our
own answers on the same inputs and compares; it never runs, or trusts, anything of the learner's. In a notebook both happen
in one process, in a grader in two. Known mistakes are wrong answers that can be run: an answer that gave the same numbers
made the same mistake.
"""

import ast
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course_lib.checks import observing
from course_lib.checks.comparing import alike, difference
from course_lib.checks.observing import Observed, Recorder, Unusable
from course_lib.checks.records import MAX_TEXT, Record, read
from course_lib.checks.report import CheckFailed, PartResult, Report

SEED = 0  # of the checks in notebooks
TIME_LIMIT = 3.0  # seconds for a part
_CACHED = 4096


@dataclass(frozen=True)
class Part:
    """A question of an exercise. observe(recorder, answers, seed) runs the answers named in `answers`."""

    name: str
    title: str
    points: int
    answers: tuple[str, ...]
    observe: Callable[[Recorder, dict, int], None]


@dataclass(frozen=True)
class Mistake:
    """A wrong answer with a name. part: where it shows by that name; answers: answer name -> the wrong function."""

    name: str
    part: str
    hint: str
    answers: dict[str, Callable]

    @property
    def source(self) -> str:
        """The text of the wrong answer, under the name that the exercise asks for."""
        return "\n\n".join(_renamed(function, name) for name, function in self.answers.items())


def _renamed(function: Callable, name: str) -> str:
    lines = inspect.getsource(function).splitlines()
    definition = ast.parse("\n".join(lines)).body[0]
    # Without the decorators, and without the docstring, which is the hint.
    lines = lines[definition.lineno - 1 : definition.body[0].lineno - 1] + lines[definition.body[0].end_lineno :]
    # Not where it is an attribute: a wrong answer called cross_entropy may call F.cross_entropy.
    return re.sub(rf"(?<!\.)\b{function.__name__}\b", name, "\n".join(lines))


@dataclass(frozen=True, eq=False)
class Exercise:
    """A check. Call it with your answers, in the order of `answers` or by name: it runs the parts whose answers are there.

    It prints a report if they are right, and raises CheckFailed with that report if they are not.
    """

    number: int
    name: str
    title: str
    minutes: int
    parts: tuple[Part, ...]
    right: dict[str, Callable]
    mistakes: tuple[Mistake, ...]
    library: tuple[str, ...] = ()  # what an answer may not just call; a grader points a person to it
    _known: dict = field(default_factory=dict, repr=False)

    def __post_init__(self):
        parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None) for name in self.answers]
        object.__setattr__(self, "__signature__", inspect.Signature(parameters))
        object.__setattr__(self, "__name__", self.name)

    @property
    def stem(self) -> str:
        """The name of its notebook, without .ipynb."""
        return f"{self.number:02d}_{self.name}"

    @property
    def answers(self) -> tuple[str, ...]:
        """The names that a learner has to define."""
        return tuple(self.right)

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)

    def __repr__(self) -> str:
        return f"Exercise({self.stem!r})"

    def __call__(self, *answers: Callable, **named: Callable) -> None:
        given = self._bind(answers, named)
        names = [part.name for part in self.parts if set(part.answers) <= set(given)]
        report = self.judge(self.observe(given, SEED, names, TIME_LIMIT), SEED, names)
        if not report.passed:
            raise CheckFailed(report)
        print(report)

    def _bind(self, answers: tuple, named: dict) -> dict:
        given = {**dict(zip(self.answers, answers, strict=False)), **named}
        wanted = f"checks.{self.name} takes {', '.join(self.answers)}"
        if len(answers) > len(self.answers) or set(named) - set(self.answers):
            raise TypeError(f"{wanted}; got {len(answers)} by position and {', '.join(named) or 'none'} by name")
        for name, answer in given.items():
            if not callable(answer):
                raise TypeError(f"{name} must be a function, got {type(answer).__name__} (write {name}, not {name}(…))")
        if not any(set(part.answers) <= set(given) for part in self.parts):
            raise TypeError(f"{wanted}; got {', '.join(given) or 'nothing'}")
        return given

    # ---- observing: beside the answers ----

    def observe(
        self, answers: dict, seed: int, parts: Iterable[str] | None = None, time_limit: float | None = TIME_LIMIT
    ) -> dict[str, dict]:
        """Run `answers` (name -> function) and return what they did, as plain data for strict JSON, by name of the part.

        Whatever an answer raises is part of that. time_limit: seconds a part; None for none.
        """
        plain = {}
        for part in self._chosen(parts):
            if any(answers.get(name) is None for name in part.answers):
                plain[part.name] = {"status": "missing"}
            else:
                plain[part.name] = self._run(part, answers, seed, time_limit).plain()
        return plain

    def _run(self, part: Part, answers: dict, seed: int, time_limit: float | None = None) -> Observed:
        return observing.run(lambda recorder: part.observe(recorder, answers, seed), seed, time_limit)

    def _chosen(self, parts: Iterable[str] | None) -> list[Part]:
        if parts is None:
            return list(self.parts)
        unknown = set(parts := list(parts)) - {part.name for part in self.parts}
        if unknown:
            raise ValueError(f"parts must be among {', '.join(part.name for part in self.parts)}; got {', '.join(unknown)}")
        return [part for part in self.parts if part.name in parts]

    # ---- judging: away from them ----

    def judge(self, observation, seed: int, parts: Iterable[str] | None = None) -> Report:
        """Compare an observation with what is right for the same seed. It may be anything: what can't be read has failed."""
        by_name = observation if isinstance(observation, dict) else {}
        results = tuple(self._judge_part(part, by_name.get(part.name), seed) for part in self._chosen(parts))
        return Report(self.name, f"Exercise {self.number}, {self.title}", results)

    def _judge_part(self, part: Part, raw, seed: int) -> PartResult:
        def result(status, message="", mistake=None, hint="", printed=0):
            points = part.points if status == "passed" else 0
            name, hint = (mistake.name, mistake.hint) if mistake else (None, hint)
            return PartResult(part.name, part.title, points, part.points, status, message, name, hint, printed)

        found = _read(raw)
        if found is None:
            return result("invalid", "What came back could not be read.")
        if found.status in _NOTHING_TO_COMPARE:
            return result(found.status, _NOTHING_TO_COMPARE[found.status].format(" and ".join(f"`{n}`" for n in part.answers)))
        expected = self._expected(part, None, seed)
        differences = _differences(found, expected)
        if found.status == "observed" and not differences:
            return result("passed", printed=found.printed)
        message, hint = (_failure(found), "") if found.status != "observed" else next(iter(differences.values()))
        status = "wrong" if found.status == "observed" else found.status
        return result(status, message, self._recognise(part, found, differences, seed), hint, found.printed)

    def _recognise(self, part: Part, found: "_Found", differences: dict, seed: int) -> Mistake | None:
        """The mistake that gives the same values; else one that gives the same where these are wrong."""
        known = [(mistake, self._expected(part, mistake, seed)) for mistake in self._candidates(part)]
        same = (mistake for mistake, wrong in known if _behaves_like(found, wrong))
        partly = (mistake for mistake, wrong in known if differences and _behaves_like(found, wrong, where=set(differences)))
        return next(same, None) or next(partly, None)

    def _candidates(self, part: Part) -> list[Mistake]:
        """The part's own mistakes, then those of other parts that are made in the same answer."""
        own = [mistake for mistake in self.mistakes if mistake.part == part.name]
        return own + [m for m in self.mistakes if m.part != part.name and set(m.answers) & set(part.answers)]

    def _expected(self, part: Part, mistake: Mistake | None, seed: int) -> "_Expected":
        key = part.name, mistake and (mistake.part, mistake.name), seed
        if key not in self._known:
            if len(self._known) >= _CACHED:
                self._known.clear()
            observed = self._run(part, {**self.right, **(mistake.answers if mistake else {})}, seed)
            if mistake is None and observed.status != "observed":
                raise RuntimeError(f"our own answer to {self.name}, {part.name}, failed: {observed.error}")
            records = [read(item.value) for item in observed.items]
            self._known[key] = _Expected(observed, records)
        return self._known[key]


@dataclass(frozen=True)
class _Expected:
    """What our own answers, right or wrong, gave."""

    observed: Observed
    records: list[Record | None]


@dataclass(frozen=True)
class _Found:
    """An observation that came from elsewhere, as far as it is well formed."""

    status: str
    items: list[tuple[str, Record]]
    error: dict
    printed: int


_NOTHING_TO_COMPARE = {
    "unanswered": "Not answered yet. Still to write: {}.",
    "missing": "Not answered yet. There is no {}.",
    "oom": "It needed more memory than there is, and was stopped.",
    "crash": "It ended the process that it ran in.",
    "output": "It wrote more output than is allowed, and was stopped.",
    "invalid": "What came back could not be read.",
}


def _read(raw) -> _Found | None:
    if not isinstance(raw, dict) or not isinstance(raw.get("status"), str):
        return None
    status, printed = raw["status"], raw.get("printed", 0)
    if type(printed) is not int or not 0 <= printed < 2**62:
        return None
    if status in _NOTHING_TO_COMPARE or (status == "timeout" and "items" not in raw):
        return _Found(status, [], _error({}), printed)
    items, error = raw.get("items"), raw.get("error") or {}
    if status not in ("observed", "raised", "timeout") or not isinstance(items, list) or len(items) > 1000:
        return None
    pairs = [(item.get("label"), read(item.get("value"))) for item in items if isinstance(item, dict)]
    if len(pairs) != len(items) or not isinstance(error, dict):
        return None
    if any(value is None or not isinstance(label, str) or len(label) > MAX_TEXT for label, value in pairs):
        return None
    return _Found(status, pairs, _error(error), printed)


def _error(raw: dict) -> dict[str, str]:
    return {name: _words(raw.get(name)) for name in ("type", "message", "line", "code", "during")}


def _words(value) -> str:
    if type(value) is int:
        return str(value) if abs(value) < 10**9 else ""
    return value[:MAX_TEXT] if isinstance(value, str) else ""


def _failure(found: _Found) -> str:
    """What stopped an answer."""
    error = found.error
    if error["type"] == Unusable.__name__:
        return error["message"]
    during = f" ({error['during']})" if error["during"] else ""
    if found.status == "timeout":
        return f"It did not come to an end in time and was stopped{during}. Is there a loop that never ends?"
    if "leaf Variable that requires grad" in error["message"]:
        return f"It changes its argument in place{during}. The caller still needs that: work on a copy."
    where = f" in line {error['line']}: {error['code']}" if error["code"] else ""
    return f"It raised {error['type']}: {error['message']}{during}{where}"


def _differences(found: _Found, expected: _Expected) -> dict[int, tuple[str, str]]:
    """What is wrong, by number of the item: a message, and a hint for when nothing more is known."""
    wrong, items = {}, expected.observed.items
    for number, (item, right) in enumerate(zip(items, expected.records, strict=True)):
        label, ours = found.items[number] if number < len(found.items) else (None, None)
        if label == item.label:
            problem = difference(label, ours, item, right)
        else:
            problem = None if found.status != "observed" and label is None else "What came back could not be read."
        if problem:
            wrong[number] = problem, item.hint
    return wrong


def _behaves_like(found: _Found, wrong: _Expected, where: set[int] | None = None) -> bool:
    """Whether what was found is what a known mistake gives, in all items or in those of the given numbers."""
    observed = wrong.observed
    if found.status != observed.status or len(found.items) != len(observed.items):
        return False
    if found.status == "raised" and _kind_of(found.error) != _kind_of(observed.error):
        return False
    rows = enumerate(zip(found.items, observed.items, wrong.records, strict=True))
    chosen = [row for number, row in rows if where is None or number in where]
    return all(label == item.label and alike(ours, item, theirs) for (label, ours), item, theirs in chosen)


def _kind_of(error: dict) -> tuple[str, str]:
    return error["type"], error["message"].removeprefix("float ")  # Python says "division by zero" in two ways


class Mistakes(list):
    """The mistakes of an exercise, as they are written: an instance decorates each wrong answer and collects it."""

    def __call__(self, answer: str, part: str, name: str) -> Callable:
        """The function below is a wrong way to answer `answer`; in `part` it shows by `name`. Its docstring is the hint."""

        def collect(function: Callable) -> Callable:
            self.append(Mistake(name, part, " ".join(function.__doc__.split()), {answer: function}))
            return function

        return collect
