"""The parts of figures: what is drawn stands where it was told to, and is found by its name."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from course_lib.figures import parts
from course_lib.metrics import mean_interval

# ---- runs ----


def drawn_runs(**options):
    figure = Figure()
    intervals = parts.draw_runs(figure.subplots(), [1.0, 4.0], [[1.0, 2, 3], [5.0, 5.5]], "labels", label="runs", **options)
    return figure, parts.find(figure, "runs"), intervals


def test_runs_are_drawn_with_the_means_and_intervals_that_are_returned():
    _, (means, caps, (bars,)), intervals = drawn_runs()
    assert intervals == [mean_interval([1, 2, 3]), mean_interval([5, 5.5])]
    np.testing.assert_allclose(means.get_xydata(), [[1, 2], [4, 5.25]])
    for segment, x, interval in zip(bars.get_segments(), (1, 4), intervals, strict=True):
        np.testing.assert_allclose(segment, [[x, interval.low], [x, interval.high]])
    assert sorted(caps[1].get_ydata()) == pytest.approx(sorted(interval.high for interval in intervals))


def test_an_interval_that_would_reach_0_is_cut_off_above_it_where_only_positive_numbers_can_be_drawn():
    _, (_, _, (bars,)), intervals = drawn_runs(positive=True)
    assert intervals[0].low < 0
    lows = [segment[0][1] for segment in bars.get_segments()]
    assert lows == pytest.approx([0.05 * 2, max(intervals[1].low, 0.05 * 5.25)])


def test_the_runs_stand_beside_their_mean_each_at_a_position_of_its_own():
    figure, _, _ = drawn_runs(points_at=-0.5, spread=0.3, points={"label": "three or two"})
    with pytest.raises(LookupError, match="2 artists"):
        parts.find(figure, "three or two")
    points = [found.get_offsets() for found in figure.findobj(lambda artist: artist.get_label() == "three or two")]
    np.testing.assert_allclose(points[0], [[0.4, 1], [0.5, 2], [0.6, 3]])
    np.testing.assert_allclose(points[1], [[3.425, 5], [3.575, 5.5]])


def test_runs_of_equal_value_stand_beside_each_other_around_the_middle_of_their_group():
    offsets = parts.spread_seeds(4)
    assert offsets == sorted(set(offsets))
    assert offsets == pytest.approx([-offset for offset in reversed(offsets)])
    assert max(offsets) < 0.18 - 0.05  # clear of the mean
    assert parts.spread_seeds(1) == [0]


def test_a_line_joins_the_runs_of_each_seed():
    figure = Figure()
    axes = figure.subplots()
    parts.join_seeds(axes, [0, 2], [[1.0, 2, 3], [6.0, 5, 4]], 0.3, gid="joined")
    joined = figure.findobj(lambda artist: artist.get_gid() == "joined")
    for line, expected in zip(joined, ([[-0.1, 1], [1.9, 6]], [[0, 2], [2, 5]], [[0.1, 3], [2.1, 4]]), strict=True):
        np.testing.assert_allclose(line.get_xydata(), expected)
    with pytest.raises(ValueError, match="shorter"):
        parts.join_seeds(axes, [0, 2], [[1.0, 2], [6.0]])


# ---- bars ----


@pytest.mark.parametrize("horizontal", [False, True])
def test_paired_bars_stand_side_by_side_and_get_their_lengths(horizontal):
    figure = Figure()
    styles = {"p": parts.filled("teacher"), "q": parts.outlined("distilled")}
    bars = parts.paired_bars(figure.subplots(), 2, styles, distance=0.5, width=0.25, horizontal=horizontal)
    assert bars == [parts.find(figure, "p"), parts.find(figure, "q")]
    parts.set_bars(bars[1], [0.25, 0.75])
    boxes = [bar.get_bbox() for bar in bars[1]]
    lengths, starts = ([(b.width, b.y0) for b in boxes] if horizontal else [(b.height, b.x0) for b in boxes]), (0.125, 1.125)
    assert lengths == [(0.25, pytest.approx(starts[0])), (0.75, pytest.approx(starts[1]))]
    with pytest.raises(ValueError, match="shorter"):
        parts.set_bars(bars[1], [1.0])


def test_bars_of_classes_lie_from_the_top_down_with_numbers_at_the_first():
    figure = Figure()
    axes = figure.subplots()
    bars, numbers = parts.class_bars(axes, ["bag", "coat", "dress"], numbers=2)
    parts.set_bars(bars, [0.5, 0.25, 0.25])
    assert parts.find(figure, "probabilities") is bars
    assert [bar.get_width() for bar in bars] == [0.5, 0.25, 0.25]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["bag", "coat", "dress"]
    assert axes.get_ylim() == (2.5, -0.5)
    assert [parts.find(figure, f"probabilities {k}") for k in range(2)] == numbers


# ---- axes for T ----


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1, 8, [1, 2, 4, 8]),
        (1 / 2, 20, [1 / 2, 1, 2, 4, 8, 16]),
        (1 / 8, 16, [1 / 8, 1 / 2, 2, 8]),
        (0.9, 1.1, [1]),
    ],
)
def test_the_ticks_of_T_are_powers_of_two(low, high, ticks):
    axis = Figure().subplots().yaxis
    parts.temperature_axis(axis, low, high, margin=2)
    assert list(axis.get_majorticklocs()) == ticks
    assert not len(axis.get_minorticklocs())
    assert [axis.get_major_formatter()(tick) for tick in (1 / 8, 1 / 2, 1, 16)] == ["1/8", "1/2", "1", "16"]
    assert axis.get_scale() == "log"
    assert axis.axes.get_ylim() == (low / 2, high * 2)
    assert axis.get_label_text() == "temperature T"


def test_the_ticks_of_T_may_be_given():
    axis = Figure().subplots().xaxis
    parts.temperature_axis(axis, 1, 100, ticks=[1, 20, 100], label="")
    assert list(axis.get_majorticklocs()) == [1, 20, 100]
    assert axis.get_label_text() == ""


# ---- texts ----


@pytest.mark.parametrize(("number", "text"), [(-0.4214, "−0.421"), (0.2, "0.200"), (-1e-5, "0.000"), (0.0, "0.000")])
def test_signed_numbers(number, text):
    assert parts.signed(number) == text


@pytest.mark.parametrize(("T", "text"), [(1, "T = 1"), (2.3456, "T = 2.35"), (100.0, "T = 100")])
def test_temperatures_in_words(T, text):
    assert parts.temperature_text(T) == text


# ---- find ----


def test_artists_are_found_by_label_or_gid_and_the_legend_is_none_of_them():
    figure = Figure()
    left, right = figure.subplots(1, 2)
    (line,) = left.plot([0], [0], label="line")
    text = right.text(0, 0, "", gid="text")
    image = parts.show_image(right, np.zeros((28, 28)))
    image.set_gid("image")
    left.set_gid("left")
    left.legend()
    assert [parts.find(figure, name) for name in ("line", "text", "image", "left")] == [line, text, image, left]
    right.plot([0], [0], gid="line")
    for name, number in (("line", 2), ("circle", 0)):
        with pytest.raises(LookupError, match=rf"{number} artists are called '{name}'; there are \['image', 'left', 'line'"):
            parts.find(figure, name)
