"""The checks: right answers pass however they are written, wrong ones fail by their name, and nothing else gets in the way."""

import inspect
import json
import random

import numpy as np
import pytest
import torch
from right_answers import RIGHT

from course_lib import checks
from course_lib.checks import CheckFailed
from course_lib.checks.observing import at_most

SEEDS = range(1, 201)  # 0 is the seed of notebooks
by_exercise = pytest.mark.parametrize("exercise", checks.EXERCISES, ids=lambda exercise: exercise.name)
PARTS = [(exercise, part) for exercise in checks.EXERCISES for part in exercise.parts]
by_part = pytest.mark.parametrize(("exercise", "part"), PARTS, ids=[f"{e.name}-{p.name}" for e, p in PARTS])
MISTAKES = [(exercise, mistake) for exercise in checks.EXERCISES for mistake in exercise.mistakes]
by_mistake = pytest.mark.parametrize(("exercise", "mistake"), MISTAKES, ids=[f"{e.name}-{m.name}" for e, m in MISTAKES])


def judged(exercise, part: str, answers: dict, seed: int = 0, time_limit: float | None = None):
    """The result of one part, its observation sent through JSON as a grader would."""
    observation = exercise.observe(answers, seed, [part], time_limit)
    text = json.dumps(observation, allow_nan=False)
    assert len(text) <= checks.MAX_OBSERVATION
    (result,) = exercise.judge(json.loads(text), seed, [part]).parts
    return result


def test_eight_exercises_in_order():
    assert [exercise.number for exercise in checks.EXERCISES] == list(range(1, 9))
    assert len({exercise.name for exercise in checks.EXERCISES}) == 8


@by_exercise
def test_shape(exercise):
    assert exercise.minutes > 0
    assert all(part.points > 0 and set(part.answers) <= set(exercise.answers) for part in exercise.parts)
    assert len({part.name for part in exercise.parts}) == len(exercise.parts)
    assert len({mistake.name for mistake in exercise.mistakes}) >= 5
    assert {mistake.part for mistake in exercise.mistakes} <= {part.name for part in exercise.parts}


# ---- right answers ----


@by_part
def test_two_answers_written_differently_pass_on_every_seed(exercise, part):
    ways = RIGHT[exercise.name][part.name]
    assert len(ways) >= 2
    for way in ways:
        answers = {part.answers[0]: way}
        for seed in SEEDS:
            result = judged(exercise, part.name, answers, seed)
            assert (result.passed, result.points, result.mistake) == (True, part.points, None), (way.__name__, seed, result)


@by_exercise
def test_a_right_exercise_gets_all_points_and_prints_them(exercise, capsys):
    exercise(**exercise.right)
    out = capsys.readouterr().out
    assert str(exercise.points) in out
    assert all(part.title in out for part in exercise.parts)


@by_exercise
def test_a_whole_exercise_fits_into_the_time_that_one_part_is_given(exercise):
    with at_most(checks.TIME_LIMIT):
        report = exercise.judge(exercise.observe(exercise.right, 0, time_limit=None), 0)
    assert report.passed


# ---- mistakes ----


@by_mistake
def test_a_mistake_fails_by_its_own_name_on_every_seed(exercise, mistake):
    for seed in SEEDS:
        result = judged(exercise, mistake.part, {**exercise.right, **mistake.answers}, seed)
        assert not result.passed, seed
        assert result.points == 0
        assert (result.mistake, result.hint) == (mistake.name, mistake.hint), seed


@by_mistake
def test_a_mistake_comes_as_source_for_a_notebook(exercise, mistake):
    assert all(f"def {name}(" in mistake.source for name in mistake.answers)
    compile(mistake.source, "cell", "exec")


def test_the_swapped_divergence_of_the_original_lesson_is_known_and_hinted_at():
    import torch.nn.functional as F

    def lesson(student_logits, teacher_logits, T):
        log_p, q = F.log_softmax(teacher_logits / T, dim=1), F.softmax(student_logits / T, dim=1)
        return F.kl_div(log_p, q, reduction="batchmean") * T**2

    with pytest.raises(CheckFailed) as failure:
        checks.distillation_loss(soft_term=lesson)
    assert "the arguments of KL swapped" in str(failure.value)


# ---- answers that do other things ----


def softmax_part():
    return checks.soft_targets, checks.soft_targets.parts[0].name


def good(logits, T):
    return torch.softmax(logits / T, -1)


def test_a_stub_is_not_answered_yet():
    def stub(logits, T):
        raise NotImplementedError("soft_targets is not answered yet")

    with pytest.raises(CheckFailed, match="Not answered yet"):
        checks.soft_targets(soft_targets=stub)


def raises(logits, T):
    return {}["no such key"]


def returns_a_list(logits, T):
    return good(logits, T).tolist()


def returns_nothing(logits, T):
    good(logits, T)


def wrong_shape(logits, T):
    return good(logits, T)[..., :-1]


def wrong_dtype(logits, T):
    return good(logits, T).to(torch.int64)


def gives_nan(logits, T):
    return good(logits, T) * float("nan")


def in_place(logits, T):
    logits /= T
    return torch.softmax(logits, -1)


def breaks_the_graph(logits, T):
    return good(logits.detach(), T)


def exits(logits, T):
    raise SystemExit(0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raises, "KeyError"),
        (returns_a_list, "list"),
        (returns_nothing, "None"),
        (wrong_shape, "shape"),
        (wrong_dtype, "int64"),
        (gives_nan, "NaN"),
        (in_place, "in place|changes its argument|changed"),
        (exits, "SystemExit"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_else_goes_wrong_is_said(answer, words):
    with pytest.raises(CheckFailed, match=f"(?i){words}"):
        checks.soft_targets(soft_targets=answer)


def test_a_broken_graph_is_said():
    def detached(student_logits, teacher_logits, T):
        p, q = torch.softmax(teacher_logits / T, 1), torch.softmax(student_logits.detach() / T, 1)
        return T**2 * (p * (p.log() - q.log())).sum(1).mean()

    with pytest.raises(CheckFailed, match=r"(?i)gradient"):
        checks.distillation_loss(soft_term=detached)


def test_an_endless_loop_is_stopped_and_said():
    def endless(logits, T):
        while True:
            pass

    exercise, part = softmax_part()
    result = judged(exercise, part, {"soft_targets": endless}, time_limit=0.3)
    assert (result.status, result.points) == ("timeout", 0)
    assert "never ends" in result.message


def test_what_an_answer_prints_is_kept_from_the_report(capsys):
    def chatty(logits, T):
        print("x" * 100_000)
        return good(logits, T)

    exercise, part = softmax_part()
    result = judged(exercise, part, {"soft_targets": chatty})
    assert result.passed
    assert result.printed >= 100_000
    assert capsys.readouterr().out == ""


@by_exercise
def test_no_trace_is_left_and_no_state_matters(exercise, capsys):
    torch.manual_seed(1), np.random.seed(1), random.seed(1)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    settings = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    first = exercise.observe(exercise.right, 5)
    assert torch.equal(states[0], torch.get_rng_state())
    assert (states[1], states[2]) == (np.random.get_state()[1].tolist(), random.getstate())
    assert settings == (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled())
    torch.manual_seed(2), np.random.seed(2), random.seed(2)
    assert exercise.observe(exercise.right, 5) == first
    with torch.no_grad():
        assert exercise.observe(exercise.right, 5) == first
    assert capsys.readouterr().out == ""


def test_settings_that_an_answer_changes_are_put_back():
    def rude(logits, T):
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(0)
        return good(logits, T)

    before = torch.get_rng_state()
    exercise, part = softmax_part()
    try:
        judged(exercise, part, {"soft_targets": rude})
        assert torch.get_default_dtype() == torch.float32
        assert torch.equal(before, torch.get_rng_state())
    finally:
        torch.set_default_dtype(torch.float32)


# ---- observations that were not made by observe ----

FORGED = [
    None, 3, "passed", {"status": "timeout"}, {"status": "raised"}, {"status": "oom"},
    [], {}, {"status": "passed"}, {"status": "observed"}, {"status": "observed", "items": None},
    {"status": "observed", "items": [None]}, {"status": "observed", "items": [{"label": 1, "value": 2}] * 5},
    {"status": "observed", "items": [], "printed": -1}, {"status": ["observed"], "items": []}, {"status": "raised", "error": 3},
    {"status": "observed", "items": [{"label": "x" * 10**6, "value": {"shape": [1] * 10**4}}]},
]  # fmt: skip


@by_exercise
@pytest.mark.parametrize("forged", FORGED, ids=range(len(FORGED)))
def test_a_forged_observation_buys_nothing_and_breaks_nothing(exercise, forged):
    report = exercise.judge({part.name: forged for part in exercise.parts}, 3)
    assert report.points == 0
    assert exercise.judge(forged, 3).points == 0


@by_exercise
def test_an_observation_of_another_seed_fails(exercise):
    observation = exercise.observe(exercise.right, 7)
    assert exercise.judge(observation, 7).passed
    assert not exercise.judge(observation, 8).passed


# ---- what learners see ----


def test_the_traceback_is_the_report():
    with pytest.raises(CheckFailed) as failure:
        checks.soft_targets(soft_targets=wrong_shape)
    shown = "\n".join(failure.value._render_traceback_())
    assert str(failure.value.report) in shown
    assert "course_lib" not in shown
    assert isinstance(failure.value, AssertionError)


def test_arguments_are_checked():
    with pytest.raises(TypeError, match="must be a function, got Tensor"):
        checks.soft_targets(good(torch.zeros(1, 2), 1))
    with pytest.raises(TypeError, match="got 3 by position"):
        checks.soft_targets(good, good, good)
    with pytest.raises(TypeError, match="softmax by name"):
        checks.soft_targets(softmax=good)
    with pytest.raises(ValueError, match="parts must be among"):
        checks.soft_targets.observe({}, 0, ["no such part"])


def test_points_of_a_started_exercise_are_counted_by_part():
    exercise = checks.soft_targets
    report = exercise.judge(exercise.observe({"soft_targets": exercise.right["soft_targets"]}, 3), 3)
    statuses = {result.name: result.status for result in report.parts}
    assert statuses["entropy"] == "missing"
    assert report.points == sum(part.points for part in exercise.parts if part.answers == ("soft_targets",))
    assert json.dumps(report.to_json(), allow_nan=False)


@by_exercise
def test_judging_is_quick_once_it_has_been_done(exercise):
    observation = exercise.observe(exercise.right, 11)
    exercise.judge(observation, 11)
    known = len(exercise._known)
    exercise.judge(observation, 11)
    assert len(exercise._known) == known  # nothing was computed again


def test_the_source_of_a_mistake_renames_the_answer_and_nothing_else():
    for exercise, mistake in MISTAKES:
        for name, function in mistake.answers.items():
            calls = inspect.getsource(function).count(f".{function.__name__}(")
            assert mistake.source.count(f".{function.__name__}(") == calls, (exercise, mistake.name)
            assert f"def {function.__name__}(" not in mistake.source or function.__name__ == name
