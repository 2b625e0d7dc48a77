"""An exercise: its parts, what they observe, how they are judged, and the mistakes it knows by name.

*Observing* runs an answer on inputs that depend on a seed, and writes down what came out as plain data. *Judging* runs our
own answers on the same inputs and compares; it never runs, or trusts, anything of the learner's. In a notebook both happen
in one process, in a grader in two. Known mistakes are wrong answers that can be run: an answer that gave the same numbers
made the same mistake.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from course_lib.checks.engine import observing
from course_lib.checks.engine.judging import (
    ALL,
    NOTHING_TO_COMPARE,
    Expected,
    Received,
    as_received,
    describe_failure,
    find_differences,
    measure_resemblance,
    read_observation,
)
from course_lib.checks.engine.mistakes import Mistake
from course_lib.checks.engine.observing import Observed, Recorder
from course_lib.checks.engine.records import read
from course_lib.checks.engine.report import CheckFailed, PartResult, Report

SEED = 0  # of the checks in notebooks
TIME_LIMIT = 3.0  # seconds for a part
_CACHED = 4096


@dataclass(frozen=True)
class Part:
    """A question of an exercise. observe(recorder, answers, seed) runs the answers named in `answers`.

    short: what the table of marks calls it, in a word or two; the name, if nothing else is said.
    """

    name: str
    title: str
    points: int
    answers: tuple[str, ...]
    observe: Callable[[Recorder, dict, int], None]
    short: str = ""


@dataclass(frozen=True, eq=False)
class Exercise:
    """A check. Call it with your answers, in the order of `answers` or by name: it runs the parts whose answers are there.

    It prints a report if they are right, and raises CheckFailed with that report if they are not.
    library: what an answer may not just call; a grader points a person to it. asks, goes_with: what the learner writes, and
    the notebooks that it belongs to, in words, for the table of exercises.
    """

    number: int
    name: str
    title: str
    minutes: int
    parts: tuple[Part, ...]
    right: dict[str, Callable]
    mistakes: tuple[Mistake, ...]
    library: tuple[str, ...] = ()
    asks: str = ""
    goes_with: str = ""
    _known: dict = field(default_factory=dict, repr=False)
    _complete: set = field(default_factory=set, repr=False)  # parts that ours ran to their end: what they import is there

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

        Whatever an answer raises is part of that. time_limit: seconds a part; None for none. Where there is one, our own
        answer runs before it, once for each part.
        """
        plain = {}
        for part in self._chosen(parts):
            if any(answers.get(name) is None for name in part.answers):
                plain[part.name] = {"status": "missing"}
                continue
            if time_limit is not None and part.name not in self._complete:
                # Ours first, for as long as it takes: a module whose first import is cut off halfway can't be imported again.
                self._expected(part, None, seed)
            plain[part.name] = self._run(part, answers, seed, time_limit).plain()
        return plain

    def _run(self, part: Part, answers: dict, seed: int, time_limit: float | None = None) -> Observed:
        observed = observing.run(lambda recorder: part.observe(recorder, answers, seed), time_limit)
        if observed.status == "observed" and all(answers[name] is self.right[name] for name in part.answers):
            self._complete.add(part.name)
        return observed

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

        found = read_observation(raw)
        if found is None:
            return result("invalid", "What came back could not be read.")
        if found.status in NOTHING_TO_COMPARE:
            return result(found.status, NOTHING_TO_COMPARE[found.status].format(" and ".join(f"`{n}`" for n in part.answers)))
        expected = self._expected(part, None, seed)
        differences = find_differences(found, expected)
        if found.status == "observed" and not differences:
            return result("passed", printed=found.printed)
        message, hint = (describe_failure(found), "") if found.status != "observed" else next(iter(differences.values()))
        status = "wrong" if found.status == "observed" else found.status
        return result(status, message, self._recognise(part, found, differences, seed), hint, found.printed)

    def _recognise(self, part: Part, found: Received, differences: dict, seed: int) -> Mistake | None:
        """The mistake that the answer resembles most, if any; of several that are equal the first."""
        best, most = None, 0
        for mistake in self._candidates(part):
            how_much = measure_resemblance(found, differences, self._expected(part, mistake, seed))
            if how_much > most:
                best, most = mistake, how_much
            if most == ALL:
                break
        return best

    def _candidates(self, part: Part) -> list[Mistake]:
        """The part's own mistakes, then those of other parts that are made in the same answer."""
        own = [mistake for mistake in self.mistakes if mistake.part == part.name]
        return own + [m for m in self.mistakes if m.part != part.name and set(m.answers) & set(part.answers)]

    def _expected(self, part: Part, mistake: Mistake | None, seed: int) -> Expected:
        key = part.name, mistake and (mistake.part, mistake.name), seed
        if key not in self._known:
            if len(self._known) >= _CACHED:
                self._known.clear()
            observed = self._run(part, {**self.right, **(mistake.answers if mistake else {})}, seed)
            if mistake is None and observed.status != "observed":
                raise RuntimeError(f"our own answer to {self.name}, {part.name}, failed: {observed.error}")
            records = [read(item.value) for item in observed.items]
            differences = {}
            if mistake is not None:
                differences = find_differences(as_received(observed, records), self._expected(part, None, seed))
            self._known[key] = Expected(observed, records, differences)
        return self._known[key]
