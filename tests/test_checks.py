"""The machinery of the checks: what is told apart and how, what is left behind, and what a judge takes from strangers."""

import contextlib
import inspect
import json
import math
import random
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

from course_lib import checks
from course_lib.checks.engine import observing
from course_lib.checks.engine.core import Exercise, Part
from course_lib.checks.engine.mistakes import Edited, Mistakes
from course_lib.checks.engine.records import MAX_VALUES, digest, read, record


def double_it(recorder, answers, seed):
    x = torch.arange(6.0).view(2, 3) + seed
    recorder.call("twice x", answers["double"], {"x": x}, hint="Read the question.")
    recorder.call("twice x", answers["double"], {"x": x}, gradient="x", keep=False)


wrong = Mistakes()


@wrong("double", "only", "squared")
def square(x):
    """Twice is not the
    second power."""
    return x**2


def double(x):
    return 2 * x


toy = Exercise(1, "toy", "doubling", 1, (Part("only", "Twice", 3, ("double",), double_it),), {"double": double}, tuple(wrong))


def check(answer, time_limit=None, seed=0):
    observation = json.loads(json.dumps(toy.observe({"double": answer}, seed, time_limit=time_limit), allow_nan=False))
    return toy.judge(observation, seed).parts[0]


# ---- told apart ----


def in_place(x):
    with torch.no_grad():
        return x.mul_(2)


def test_right():
    assert check(double).passed
    assert check(lambda x: x + x).points == 3


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (lambda x: None, "wrong", "it returned None. Is there a `return`?"),
        (lambda x: [2, 4], "wrong", "it returned a list; it should be a tensor of shape (2, 3)"),
        (lambda x: (2 * x).detach().numpy(), "wrong", "it returned a NumPy array"),
        (lambda x: {"x": x}, "wrong", "something of type dict"),
        (lambda x: (2 * x).half(), "wrong", "dtype float16; they should be float32 or float64"),
        (lambda x: (2 * x).long(), "wrong", "dtype int64; they should be float32 or float64"),
        (lambda x: 2 * x[0], "wrong", "the shape is (3,); it should be (2, 3)"),
        (lambda x: 2 * x[:, :, None], "wrong", "the shape is (2, 3, 1)"),
        (lambda x: 2 * x + torch.nan, "wrong", "6 of 6 values are NaN"),
        (lambda x: 2 / x * x * x, "wrong", "1 of 6 values are NaN"),
        (lambda x: 3 * x, "wrong", "5 of 6 values are off; entry [1, 2] is 15; it should be 10"),
        (in_place, "wrong", "It changes its argument `x` in place"),
        (lambda x: 2 * x.detach(), "wrong", "no gradient reaches `x`"),
        (lambda x: torch.empty(1).expand(10**9), "wrong", "the shape is (1000000000,)"),
        (lambda x: 1 / 0, "raised", "It raised ZeroDivisionError: division by zero (twice x)"),
        (lambda x: exec("raise SystemExit(3)"), "raised", "It raised SystemExit: 3"),
        (lambda x: x @ x, "raised", "It raised RuntimeError"),
        (lambda: 2, "raised", "It raised TypeError"),
    ],
)
def test_told_apart(answer, status, says):
    found = check(answer)
    assert (found.status, found.points) == (status, 0)
    assert says in found.message


def test_not_answered_yet():
    def stub(x):
        raise NotImplementedError("double is not answered yet")

    found = check(stub)
    assert found.status == "unanswered"
    assert found.message == "Not answered yet. Still to write: `double`."
    assert toy.judge(toy.observe({}, 0), 0).parts[0].message == "Not answered yet. There is no `double`."


def test_torchs_own_not_implemented_is_not_taken_for_a_stub():
    def answer(x):
        raise NotImplementedError("\"log_softmax\" not implemented for 'Long'")

    assert check(answer).status == "raised"


def test_too_little_recursion_and_broken_exceptions():
    def deep(x):
        return deep(x)

    class BrokenError(Exception):
        def __str__(self):
            raise ValueError

    def broken(x):
        raise BrokenError

    assert "RecursionError" in check(deep).message
    assert "BrokenError" in check(broken).message


def test_an_endless_loop_is_stopped():
    def endless(x):
        while True:
            pass

    def stubborn(x):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.001)

    for answer in (endless, stubborn):
        found = check(answer, time_limit=0.1)
        assert found.status == "timeout"
        assert "Is there a loop that never ends?" in found.message


def test_without_signals_there_is_no_limit_and_no_error(monkeypatch):
    results = []
    thread = threading.Thread(target=lambda: results.append(check(double, time_limit=5)))
    thread.start()
    thread.join()
    assert results[0].passed
    monkeypatch.delattr(signal, "setitimer")
    assert check(double, time_limit=5).passed


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no such alarms on Windows")
def test_an_alarm_that_was_set_before_goes_on():
    def mine(signum, frame):
        pass

    before = signal.signal(signal.SIGALRM, mine)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1000)
        check(double, time_limit=5)
        assert signal.getsignal(signal.SIGALRM) is mine
        assert 900 < signal.setitimer(signal.ITIMER_REAL, 0)[0] <= 1000
    finally:
        signal.signal(signal.SIGALRM, before)


def test_much_output_is_swallowed_and_told(capsys):
    def loud(x):
        print("x" * 5000)
        return 2 * x

    found = check(loud)
    assert found.passed
    assert "It printed 10,002 characters" in str(found)
    assert capsys.readouterr().out == ""
    assert "printed" not in str(check(double))


def test_ctrl_c_is_passed_on():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(interrupted)


def test_a_known_mistake_gets_its_name_and_hint():
    found = check(square)
    assert (found.mistake, found.hint) == ("squared", "Twice is not the second power.")
    assert "It behaves like a usual mistake: squared." in str(found)
    assert check(lambda x: 3 * x).hint == "Read the question."
    assert toy.mistakes[0].source == "def double(x):\n    return x**2"


# ---- in a notebook ----


def test_right_prints_the_report(capsys):
    toy(double)
    assert capsys.readouterr().out == "Exercise 1, doubling: 3 of 3 points\n✓ Twice: 3 of 3 points\n"


def test_wrong_raises_the_report():
    with pytest.raises(checks.CheckFailed) as raised:
        toy(double=square)
    assert str(raised.value) == str(raised.value.report)
    assert raised.value.report.points == 0
    assert isinstance(raised.value, AssertionError)


def test_the_traceback_in_ipython_is_the_report_alone(capsys):
    shell = InteractiveShell()
    shell.user_ns.update(toy=toy, square=square)
    shell.run_cell("toy(square)")
    shown = capsys.readouterr().out
    assert shown.startswith("Exercise 1, doubling: 0 of 3 points\n✗ Twice: 0 of 3 points\n")
    assert "Traceback" not in shown
    assert "core.py" not in shown


@pytest.mark.parametrize("call", [lambda: toy(), lambda: toy(3), lambda: toy(double, double), lambda: toy(treble=double)])
def test_a_wrong_call_says_what_is_wanted(call):
    with pytest.raises(TypeError, match="double"):
        call()


def test_parts_run_when_their_answers_are_there(capsys):
    checks.soft_targets(lambda logits, T: torch.softmax(logits / T, -1))
    assert "4 of 4 points" in capsys.readouterr().out
    with pytest.raises(ValueError, match="parts must be among formula, stable, entropy; got nonsense"):
        checks.soft_targets.observe({}, 0, ["nonsense"])


# ---- no trace ----


def state_of_the_session():
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),
        random.getstate(),
        torch.get_default_dtype(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_device(),
        torch.are_deterministic_algorithms_enabled(),
    )


def untidy(x):
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(True)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    return 2 * x


@pytest.mark.parametrize("answer", [untidy, lambda x: 1 / 0], ids=["untidy", "raising"])
def test_no_trace_in_the_session(answer):
    before = state_of_the_session()
    check(answer)
    assert state_of_the_session() == before
    for exercise in checks.EXERCISES:
        exercise.judge(exercise.observe(exercise.right, 3), 3)
    assert state_of_the_session() == before


def test_checks_do_not_depend_on_the_session():
    expected = [exercise.observe(exercise.right, 4) for exercise in checks.EXERCISES]
    threads = torch.get_num_threads()
    try:
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(123)
        with torch.no_grad():
            found = [exercise.observe(exercise.right, 4) for exercise in checks.EXERCISES]
            assert not torch.is_grad_enabled()
        with torch.inference_mode():
            assert toy.judge(toy.observe({"double": double}, 0), 0).passed
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(threads)
    assert found == expected


def test_a_first_check_imports_nothing_large():
    """Some settings of torch bring its compiler in, and the first check of a session would take seconds."""
    text = (
        "import sys; from course_lib import checks as c; known = set(sys.modules); c.soft_targets(**c.soft_targets.right); "
        "print(len(set(sys.modules) - known))"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[-1]) < 100, done.stdout


def test_our_own_answer_runs_before_the_learners_and_without_a_limit(monkeypatch):
    """It imports what the part needs. Cut off halfway, on a slow disk, nothing would work until the kernel is restarted."""
    exercise, limits, run = checks.training, [], Exercise._run

    def noting(self, part, answers, seed, time_limit=None):
        limits.append((part.name, time_limit))
        return run(self, part, answers, seed, time_limit)

    exercise._known.clear(), exercise._complete.clear()
    monkeypatch.setattr(Exercise, "_run", noting)
    exercise(**exercise.right)
    names = [part.name for part in exercise.parts]
    assert limits == [(name, limit) for name in names for limit in (None, checks.TIME_LIMIT)]
    limits.clear()
    exercise.observe(exercise.right, 5)  # once is enough, for any seed
    assert limits == [(name, checks.TIME_LIMIT) for name in names]


def test_the_inputs_depend_on_the_seed():
    for exercise in checks.EXERCISES:
        for part in exercise.parts:
            one, other = (exercise.observe(exercise.right, seed, [part.name]) for seed in (1, 2))
            assert one != other, part
            assert not exercise.judge(one, 2, [part.name]).passed


# ---- observing gives plain, bounded data ----


def test_observations_are_strict_json_of_bounded_size():
    for exercise in checks.EXERCISES:
        for answers in (exercise.right, *(mistake.answers for mistake in exercise.mistakes)):
            for observation in exercise.observe({**exercise.right, **answers}, 1).values():
                assert len(json.dumps(observation, allow_nan=False)) < checks.MAX_OBSERVATION / 4


def test_no_answer_makes_an_observation_large():
    deep = [["x" * 10**6] * 1000] * 1000
    for value in (torch.rand(40, 50), deep, "x" * 10**7, [torch.rand(45, 45)] * 64, 10**400, type("N" * 10**6, (), {})()):
        for part in checks.distillation_loss.parts:
            answers = {name: lambda *_, value=value: value for name in part.answers}
            observation = checks.distillation_loss.observe(answers, 0, [part.name])
            assert len(json.dumps(observation, allow_nan=False)) < checks.MAX_OBSERVATION


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, math.nan, -math.inf, "text", torch.tensor(1.5), torch.rand(2, 0, 3), torch.tensor([True, False]),
     torch.tensor([math.nan, math.inf, 1]), [1, [2.0, None]], (torch.ones(2), "x"), np.float32(1), np.ones(3), object(), 1j],
)  # fmt: skip
def test_records_come_back_from_json(value):
    plain = json.loads(json.dumps(record(value), allow_nan=False))
    found = read(plain)
    assert found.kind == plain["kind"]
    if isinstance(value, torch.Tensor):
        torch.testing.assert_close(found.tensor(), value.double(), equal_nan=True)


def test_what_is_too_large_keeps_its_shape_only():
    found = read(record(torch.zeros(MAX_VALUES + 1)))
    assert (found.shape, found.values) == ((MAX_VALUES + 1,), None)


def test_a_digest_changes_with_every_bit_shape_and_dtype():
    x = torch.arange(4.0)
    others = [x + torch.tensor([0, 0, 0, 1e-6]), x.view(2, 2), x.double(), x.int(), torch.tensor(0.0), x[:0]]
    assert len({digest(y) for y in (x, *others)}) == 7
    assert digest(x.clone()) == digest(x)
    assert digest(torch.tensor([-0.0])) != digest(torch.tensor([0.0]))


# ---- judging trusts nothing ----

KEYS = ["status", "items", "label", "value", "values", "kind", "shape", "x"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner),
    max_leaves=20,
)


@given(anything)
def test_the_judge_takes_anything(observation):
    for raw in (observation, {"only": observation}, {"only": {"status": "observed", "items": observation}}):
        report = toy.judge(raw, 0)
        assert report.points == 0
        json.dumps(report.to_json())


@given(st.data())
def test_a_changed_observation_is_judged_without_an_error(data):
    exercise = data.draw(st.sampled_from(checks.EXERCISES))
    observation = json.loads(json.dumps(exercise.observe(exercise.right, 0)))
    part = data.draw(st.sampled_from(sorted(observation)))
    node = observation[part]
    while True:  # walk to some value in it, and put something else there
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if isinstance(node[key], (dict, list)) and node[key] and data.draw(st.booleans()):
            node = node[key]
            continue
        node[key] = data.draw(anything)
        break
    report = exercise.judge(observation, 0)
    assert all(result.passed for result in report.parts if result.name != part)


FORGED = [
    None, 3, "passed", [], {}, {"status": "passed"}, {"status": ["observed"], "items": []},
    {"status": "timeout"}, {"status": "oom"}, {"status": "raised"}, {"status": "raised", "error": 3},
    {"status": "raised", "items": [], "error": "x"}, {"status": "observed"}, {"status": "observed", "items": None},
    {"status": "observed", "items": [None]}, {"status": "observed", "items": [{"label": 1, "value": 2}] * 5},
    {"status": "observed", "items": []}, {"status": "observed", "items": [], "points": 3, "passed": True},
    {"status": "observed", "items": [], "printed": -1}, {"status": "observed", "items": [], "printed": 10**400},
    {"status": "observed", "items": [{"label": "twice x", "value": {"kind": "tensor"}}]},
    {"status": "observed", "items": [{"label": "x" * 10**6, "value": {"shape": [1] * 10**4}}]},
]  # fmt: skip


@pytest.mark.parametrize("forged", FORGED, ids=range(len(FORGED)))
def test_forged_observations_gain_nothing(forged):
    for exercise in (toy, *checks.EXERCISES):
        assert exercise.judge(forged, 3).points == 0
        for found in exercise.judge({part.name: forged for part in exercise.parts}, 3).parts:
            assert (found.points, found.passed) == (0, False)
            assert found.message


def test_a_right_observation_with_a_failure_gains_nothing():
    """An answer that returned right values first, and failed then."""
    observation = toy.observe({"double": double}, 0)
    for status in ("raised", "timeout"):
        observation["only"]["status"] = status
        assert toy.judge(observation, 0).points == 0


@pytest.mark.parametrize("status", ["timeout", "oom", "crash", "output", "invalid", "missing"])
def test_what_a_grader_puts_in_place_of_an_observation(status):
    found = toy.judge({"only": {"status": status}}, 0).parts[0]
    assert (found.status, found.points) == (status, 0)
    assert found.message.endswith((".", "?"))


def test_an_exercise_whose_own_answer_fails_says_so():
    broken = Exercise(1, "broken", "b", 1, toy.parts, {"double": lambda x: 1 / 0}, ())
    with pytest.raises(RuntimeError, match="our own answer to broken"):
        broken.judge(broken.observe({"double": double}, 0), 0)


def test_reports_as_data():
    report = toy.judge(toy.observe({"double": square}, 0), 0)
    data = json.loads(json.dumps(report.to_json()))
    assert (data["exercise"], data["points"], data["max_points"], data["passed"]) == ("toy", 0, 3, False)
    assert data["parts"][0]["mistake"] == "squared"


def test_the_list_of_exercises():
    assert [exercise.number for exercise in checks.EXERCISES] == list(range(1, len(checks.EXERCISES) + 1))
    for exercise in checks.EXERCISES:
        assert getattr(checks, exercise.name) is exercise
        assert exercise.name in checks.__all__
        assert exercise.name in dir(checks)
        assert {name for part in exercise.parts for name in part.answers} == set(exercise.answers)
        assert exercise.points == sum(part.points for part in exercise.parts)
        assert len({part.name for part in exercise.parts}) == len(exercise.parts) >= 3
    assert observing.STUB_SAYS == "not answered yet"


@pytest.mark.parametrize("exercise", checks.EXERCISES, ids=lambda exercise: exercise.name)
def test_a_right_exercise_gets_all_points_and_prints_them(exercise, capsys):
    exercise(**exercise.right)
    out = capsys.readouterr().out
    assert f"{exercise.points} of {exercise.points} points" in out.splitlines()[0]
    assert all(part.title in out for part in exercise.parts)


def test_a_started_exercise_has_the_points_of_what_is_there():
    exercise = checks.soft_targets
    report = exercise.judge(exercise.observe({"soft_targets": exercise.right["soft_targets"]}, 3), 3)
    assert [part.status for part in report.parts] == ["passed", "passed", "missing"]
    assert (report.points, report.max_points) == (4, 6)


@pytest.mark.parametrize("exercise", checks.EXERCISES, ids=lambda exercise: exercise.name)
def test_judging_is_quick_once_it_has_been_done(exercise):
    observation = exercise.observe(exercise.right, 11)
    exercise.judge(observation, 11)
    known = len(exercise._known)
    exercise.judge(observation, 11)
    assert len(exercise._known) == known  # nothing was computed again


def test_the_source_of_a_mistake_renames_the_answer_and_nothing_else():
    for mistake in (mistake for exercise in checks.EXERCISES for mistake in exercise.mistakes):
        for name, function in mistake.answers.items():
            if isinstance(function, Edited):  # test_checks_answers.py looks at these
                assert mistake.source.startswith(f"def {name}(")
                continue
            calls = inspect.getsource(function).count(f".{function.__name__}(")
            assert mistake.source.count(f".{function.__name__}(") == calls, mistake.name
            assert f"def {function.__name__}(" not in mistake.source or function.__name__ == name


def test_judging_the_next_learner_computes_nothing_again(monkeypatch):
    exercise = checks.distillation_loss
    observation = exercise.observe({**exercise.right, **exercise.mistakes[0].answers}, 12)
    first = exercise.judge(observation, 12)

    def never(*arguments):
        raise AssertionError("something was run")

    monkeypatch.setattr(observing, "run", never)
    assert exercise.judge(observation, 12) == first
