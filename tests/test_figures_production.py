"""What notebook 07 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import math

import ipywidgets as widgets
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings

from course_lib.figures import production
from course_lib.figures.parts import find
from course_lib.metrics import Interval

# Two classes, named with probability 0.6, 0.6, 0.9 and 0.9 at T = 1; right, wrong, right, right.
LABELS = torch.tensor([0, 1, 0, 0])
SURE = torch.tensor([[math.log(p / (1 - p)), 0.0] for p in (0.6, 0.6, 0.9, 0.9)], dtype=torch.float64)
MODELS = {"teacher": SURE, "student, labels": 2 * SURE}
COLOURS = {"teacher": "teacher", "student, labels": "labels"}
TEMPERATURES = [0.5, 1.0, 2.0]


# ---- reliability ----


def diagram():
    return production.live_reliability(MODELS, LABELS, COLOURS, TEMPERATURES, bins=5)


def by_hand(T):
    """Calibration error of `teacher` in percent: 0.6 and 0.9 at T = 1, in two bins at the temperatures used here."""
    low, high = (1 / (1 + ((1 - p) / p) ** (1 / T)) for p in (0.6, 0.9))
    return 100 * (0.5 * abs(low - 0.5) + 0.5 * abs(high - 1))


def test_the_reliability_diagram_shows_bins_gaps_and_shares():
    figure, update = diagram()
    assert update("teacher", 1.0) == ("teacher, T = 1.00: calibration error 10.0 %; mean confidence 75.0 %, right on 75.0 %")
    bars, gaps, shares = (find(figure, name).get_data() for name in ("accuracies", "gaps", "shares"))
    # 0.6 lies at the upper end of the third bin of five or, by rounding, at the lower end of the fourth.
    assert sorted(bars.values) == pytest.approx([0, 0, 0, 0.5, 1])
    assert sorted(shares.values) == pytest.approx([0, 0, 0, 0.5, 0.5])
    assert sorted(gaps.values) == pytest.approx([0, 0, 0, 0.6, 0.9])
    assert list(gaps.baseline) == list(bars.values)
    assert list(bars.edges) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert find(figure, "model and T").get_text() == "teacher\nT = 1.00"


@pytest.mark.parametrize("T", TEMPERATURES)
def test_the_marker_stands_on_the_curve_of_its_model(T):
    figure, update = diagram()
    curves = {name: find(figure, name) for name in MODELS}
    assert list(curves["teacher"].get_ydata()) == pytest.approx([by_hand(each) for each in TEMPERATURES])
    for name in MODELS:
        update(name, T)
        error = curves[name].get_ydata()[TEMPERATURES.index(T)]
        assert find(figure, "error at T").get_xydata()[0] == pytest.approx([T, error])
        assert list(find(figure, "T").get_xdata()) == [T, T]


def test_logits_twice_as_large_are_as_those_at_half_the_temperature():
    _, update = diagram()
    assert update("student, labels", 2.0).split(": ")[1] == update("teacher", 1.0).split(": ")[1]


def test_each_model_has_its_colour():
    figure, update = diagram()
    bars = find(figure, "accuracies")
    seen = []
    for name, key in COLOURS.items():
        update(name, 1.0)
        seen.append(bars.get_facecolor())
        assert production.COLOURS[key].lower() == "#{:02x}{:02x}{:02x}".format(*(round(255 * c) for c in seen[-1][:3]))
    assert seen[0] != seen[1]


# ---- the frontier ----

TIMES = {"a": {2: 10.0, 8: 20.0, "teacher": 400.0}, "b": {2: 40.0, 8: 30.0, "teacher": 900.0}}
SCORES = {"labels": {2: [79.0, 81.0], 8: [80.0, 82.0]}, "distilled": {2: [78.0, 81.0], 8: [83.0, 84.0]}}


def frontier():
    return production.live_frontier(TIMES, SCORES, 94.0)


@pytest.mark.parametrize(
    ("budget", "how", "shipped"),
    [
        (9.99, "a", "nothing is fast enough"),
        (10.0, "a", "ship student, labels, width 2: 80.0 % in 10 µs an image"),  # distilled: 79.5 %
        (19.0, "a", "ship student, labels, width 2: 80.0 % in 10 µs an image"),
        (25.0, "a", "ship student, distilled, width 8: 83.5 % in 20 µs an image"),
        (25.0, "b", "nothing is fast enough"),
        (399.0, "b", "ship student, distilled, width 8: 83.5 % in 30 µs an image"),
        (400.0, "a", "ship the teacher: 94.0 % in 400 µs an image"),
    ],
)
def test_the_best_model_within_the_budget_is_shipped(budget, how, shipped):
    figure, update = frontier()
    assert update(budget, how) == f"{how}, budget {budget:.3g} µs an image: {shipped}"
    assert find(figure, "choice").get_text() == f"{how}, budget {budget:.3g} µs:\n{shipped.split(':')[0]}"
    ring = find(figure, "ring")
    assert ring.get_visible() == ("%" in shipped)
    if "%" in shipped:
        accuracy = float(shipped.split(": ")[1].split()[0])
        kind, row = ("teacher", 2) if "teacher" in shipped else ("labels" if "labels" in shipped else "distilled", 1)
        row = 0 if shipped.startswith("ship student") and "width 2" in shipped else row
        height = row + {"teacher": 0, "labels": -0.17, "distilled": 0.17}[kind]
        assert ring.get_xydata()[0] == pytest.approx([accuracy, height])
    assert list(find(figure, "budget").get_xdata()) == [budget, budget]


def test_the_teacher_and_every_student_could_be_shipped():
    means = {kind: {2: Interval(79.5, 1.0), 8: Interval(81.0, 1.0)} for kind in ("labels", "distilled")}
    assert production.candidates(TIMES["a"], means, 94.0) == [
        ("the teacher", 400.0, 94.0),
        ("student, labels, width 2", 10.0, 79.5),
        ("student, labels, width 8", 20.0, 81.0),
        ("student, distilled, width 2", 10.0, 79.5),
        ("student, distilled, width 8", 20.0, 81.0),
    ]


def test_means_and_intervals_stand_in_the_row_of_their_width():
    figure, _ = frontier()
    axes = figure.axes[0]
    half = 12.7062  # t for one degree of freedom; the standard error of 79 and 81, as of 80 and 82, is 1
    drawn = {box.get_label(): box for box in axes.containers}
    points, _, (bars,) = drawn["student, labels"].lines
    assert points.get_xydata().tolist() == [pytest.approx([80, -0.17]), pytest.approx([81, 0.83])]
    ends = [segment[:, 0].tolist() for segment in bars.get_segments()]
    assert ends == [pytest.approx([80 - half, 80 + half], abs=1e-3), pytest.approx([81 - half, 81 + half], abs=1e-3)]
    assert drawn["student, distilled"].lines[0].get_xydata().tolist() == [
        pytest.approx([79.5, 0.17]), pytest.approx([83.5, 1.17])
    ]  # fmt: skip
    assert find(figure, "teacher").get_xydata()[0] == pytest.approx([94, 2])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["width 2", "width 8", "teacher"]


@pytest.mark.parametrize("how", list(TIMES))
def test_times_stand_in_their_rows_and_those_beyond_the_budget_are_open(how):
    figure, update = frontier()
    update(30.0, how)
    within, beyond = find(figure, "within the budget"), find(figure, "beyond the budget")
    assert beyond.get_markerfacecolor() == "white" != within.get_markerfacecolor()
    for row, time in enumerate(TIMES[how].values()):
        shown, hidden = (within, beyond) if time <= 30 else (beyond, within)
        assert shown.get_xydata()[row].tolist() == [time, row]
        assert math.isnan(hidden.get_xdata()[row])
    left, right = within.axes.get_xlim()
    assert all(left < time < right for by in TIMES.values() for time in by.values())


def test_a_budget_of_milliseconds_is_written_out():
    _, update = frontier()
    assert update(1778.28, "a").startswith("a, budget 1,778 µs an image: ship the teacher")


# ---- sizes ----


VARIANTS = {
    "teacher": {"32 bits": (1100.0, [94.2]), "8 bits": (300.0, [94.0])},
    "width 8": {"32 bits": (34.66, [83.0, 83.4]), "8 bits": (10.2, [82.0, 83.0])},
}


def sizes():
    return production.plot_sizes(VARIANTS, {"teacher": "teacher", "width 8": "distilled"}, "file (kB)", "accuracy (%)")


def test_sizes_say_every_number():
    picture = sizes()
    assert picture.text == (
        "accuracy (%) and file (kB), mean and 95 % interval. teacher, 32 bits: 1100.0 kB, 94.20; teacher, 8 bits: 300.0 kB, "
        "94.00; width 8, 32 bits: 34.7 kB, 83.20 ± 2.54 (n = 2); width 8, 8 bits: 10.2 kB, 82.50 ± 6.35 (n = 2)"
    )
    assert picture.png.startswith(b"\x89PNG")
    assert picture.width <= 900


# ---- moved, not drawn anew ----

MOVES = {
    "live_reliability": (
        diagram,
        [{"model": name, "T": T} for name in MODELS for T in (0.5, 0.9, 2.0)],
        lambda model, T: {
            "model": widgets.Dropdown(options=list(MODELS), value=model),
            "T": widgets.FloatSlider(T, min=0.5, max=2.0),
        },
    ),
    "live_frontier": (
        frontier,
        [{"budget": budget, "how": how} for how in TIMES for budget in (5.0, 15.0, 25.0, 999.0)],
        lambda budget, how: {
            "budget": widgets.FloatSlider(budget, min=5.0, max=999.0),
            "how": widgets.Dropdown(options=list(TIMES), value=how),
        },
    ),
}
LIVE = as_live_figures(MOVES)
STATIC = {"plot_sizes": sizes}


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
