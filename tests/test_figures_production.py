"""What notebook 07 draws: at every state of every control, the artists and the words show the numbers worked out by hand."""

import math

import ipywidgets as widgets
import pytest
import torch
from live_frames import assert_frames_are_new_drawings

from course_lib.figures import production

# Two classes, named with probability 0.6, 0.6, 0.9 and 0.9 at T = 1; right, wrong, right, right.
LABELS = torch.tensor([0, 1, 0, 0])
SURE = torch.tensor([[math.log(p / (1 - p)), 0.0] for p in (0.6, 0.6, 0.9, 0.9)], dtype=torch.float64)
MODELS = {"teacher": SURE, "student, labels": 2 * SURE}
COLOURS = {"teacher": "teacher", "student, labels": "labels"}
TEMPERATURES = [0.5, 1.0, 2.0]


# ---- reliability ----


def diagram():
    return production.reliability_live(MODELS, LABELS, COLOURS, TEMPERATURES, bins=5)


def by_hand(T):
    """Calibration error of `teacher` in percent: 0.6 and 0.9 at T = 1, in two bins at the temperatures used here."""
    low, high = (1 / (1 + ((1 - p) / p) ** (1 / T)) for p in (0.6, 0.9))
    return 100 * (0.5 * abs(low - 0.5) + 0.5 * abs(high - 1))


def test_the_reliability_diagram_shows_bins_gaps_and_shares():
    figure, update = diagram()
    left, below, _ = figure.axes
    assert update("teacher", 1.0) == ("teacher, T = 1.00: calibration error 10.0 %; mean confidence 75.0 %, right on 75.0 %")
    bars, gaps = left.patches
    (shares,) = below.patches
    # 0.6 lies at the upper end of the third bin of five or, by rounding, at the lower end of the fourth.
    assert sorted(bars.get_data().values) == pytest.approx([0, 0, 0, 0.5, 1])
    assert sorted(shares.get_data().values) == pytest.approx([0, 0, 0, 0.5, 0.5])
    assert sorted(gaps.get_data().values) == pytest.approx([0, 0, 0, 0.6, 0.9])
    assert list(gaps.get_data().baseline) == list(bars.get_data().values)
    assert list(bars.get_data().edges) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])


@pytest.mark.parametrize("T", TEMPERATURES)
def test_the_marker_stands_on_the_curve_of_its_model(T):
    figure, update = diagram()
    right = figure.axes[2]
    curves = {line.get_label(): line for line in right.lines if line.get_label() in MODELS}
    assert list(curves["teacher"].get_ydata()) == pytest.approx([by_hand(each) for each in TEMPERATURES])
    mark, rule = right.lines[2:]
    for name in MODELS:
        update(name, T)
        place = TEMPERATURES.index(T)
        assert mark.get_xydata()[0] == pytest.approx([T, curves[name].get_ydata()[place]])
        assert list(rule.get_xdata()) == [T, T]


def test_logits_twice_as_large_are_as_those_at_half_the_temperature():
    _, update = diagram()
    assert update("student, labels", 2.0).split(": ")[1] == update("teacher", 1.0).split(": ")[1]


def test_each_model_has_its_colour():
    figure, update = diagram()
    bars = figure.axes[0].patches[0]
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
    return production.frontier_live(TIMES, SCORES, 94.0)


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
    upper, lower = figure.axes
    words = lower.texts[-1].get_text()
    assert words == shipped.split(":")[0]
    rings = [axes.lines[-1] for axes in (upper, lower)]
    assert [ring.get_visible() for ring in rings] == ["teacher" in shipped, "student" in shipped]
    if "%" in shipped:
        time, accuracy = float(shipped.split(" in ")[1].split()[0]), float(shipped.split(": ")[1].split()[0])
        (ring,) = (ring for ring in rings if ring.get_visible())
        assert ring.get_xydata()[0] == pytest.approx([time, accuracy])
    for axes in figure.axes:
        assert list(axes.lines[0].get_xdata()) == [budget, budget]


@pytest.mark.parametrize("how", list(TIMES))
def test_points_and_intervals_stand_at_their_times(how):
    figure, update = frontier()
    update(100.0, how)
    upper, lower = figure.axes
    times = [TIMES[how][2], TIMES[how][8]]
    curves = {line.get_label(): line for line in lower.lines}
    for name, means in (("student, labels", [80, 81]), ("student, distilled", [79.5, 83.5])):
        assert list(curves[name].get_xdata()) == times
        assert list(curves[name].get_ydata()) == pytest.approx(means)
    whiskers = [line for line in lower.lines[1:-1] if len(line.get_xdata()) == 6 and line.get_marker() == "None"]
    assert [list(line.get_xdata()) for line in whiskers] == [[time for time in times for _ in range(3)]] * 2
    half = 12.7062 * 1 / 1  # t for one degree of freedom; the standard error of 79 and 81 is 1
    ends = [80 - half, 80 + half, math.nan, 81 - half, 81 + half, math.nan]
    assert list(whiskers[0].get_ydata()) == pytest.approx(ends, nan_ok=True)
    assert upper.lines[1].get_xydata()[0] == pytest.approx([TIMES[how]["teacher"], 94])
    assert all(lower.get_xlim()[0] < time < lower.get_xlim()[1] for by in TIMES.values() for time in by.values())


def test_a_budget_of_milliseconds_is_written_out():
    _, update = frontier()
    assert update(1778.28, "a").startswith("a, budget 1,778 µs an image: ship the teacher")


@pytest.mark.parametrize("how", list(TIMES))
def test_a_width_stands_beside_the_point_of_its_distilled_student_outside_of_the_ring(how):
    figure, update = frontier()
    update(100.0, how)
    figure.draw_without_rendering()
    lower = figure.axes[1]
    ring = lower.lines[-1].get_markersize() / 2 * figure.dpi / 72
    for width, accuracy in ((2, 79.5), (8, 83.5)):
        (tag,) = (text for text in lower.texts if text.get_text() == str(width))
        x, y = lower.transData.transform((TIMES[how][width], accuracy))
        box = tag.get_window_extent()
        assert box.y0 < y < box.y1
        assert box.x1 < x - ring if width == 2 else box.x0 > x + ring
        assert min(abs(x - box.x0), abs(x - box.x1)) < 1.6 * ring


# ---- the static picture ----


def test_sizes_say_every_number():
    variants = {
        "width 8": (34.66, [83.0, 83.4], "distilled", "^"),
        "width 8, pruned, 8 bits": (5.1, [82.0, 83.0], "distilled", "s"),
    }
    picture = production.sizes(variants, "file (kB)", "accuracy (%)")
    assert picture.text == (
        "accuracy (%) against file (kB), mean and 95 % interval. width 8: 34.7 kB, 83.20 ± 2.54 (n = 2); "
        "width 8, pruned, 8 bits: 5.1 kB, 82.50 ± 6.35 (n = 2)"
    )
    assert picture.png.startswith(b"\x89PNG")
    assert picture.width <= 900


# ---- as live figures ----


def figures():
    states = [{"model": name, "T": T} for name in MODELS for T in (0.5, 0.9, 2.0)]
    yield *diagram(), states, lambda model, T: {
        "model": widgets.Dropdown(options=list(MODELS), value=model), "T": widgets.FloatSlider(T, min=0.5, max=2.0),
    }  # fmt: skip
    states = [{"budget": budget, "how": how} for how in TIMES for budget in (5.0, 15.0, 25.0, 999.0)]
    yield (
        *frontier(),
        states,
        lambda budget, how: {
            "budget": widgets.FloatSlider(budget, min=5.0, max=999.0),
            "how": widgets.Dropdown(options=list(TIMES), value=how),
        },
    )


@pytest.mark.parametrize(("figure", "update", "states", "controls"), list(figures()), ids=["reliability", "frontier"])
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(figure, update, states, controls):
    assert_frames_are_new_drawings(figure, update, states, controls)
