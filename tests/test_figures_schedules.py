"""What notebook 06 draws: the artists and the words show what schedules and formulas give."""

import numpy as np
import pytest
import torch

from course_lib.data import CLASSES
from course_lib.figures import schedules as figures
from course_lib.figures.parts import find
from course_lib.live import LiveFigure
from course_lib.metrics import mean_interval
from course_lib.schedules import constant, cosine, exponential, linear

KINDS = {"linear": linear, "cosine": cosine, "exponential": exponential, "constant": lambda start, end: constant(start)}
V = torch.tensor([2.0, 9.0, 1.0, 0.0, 6.0, -3.0, 4.0, 3.0, 2.5, -1.0])
PIXELS = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
BY_NAME = {"T = 2": [1.0, 2.0, 3.0], "falling": [2.0, 2.5, 4.5], "rising": [0.0, 1.0, 2.0]}


def schedules():
    figure, update = figures.live_schedules(KINDS, V, CLASSES, PIXELS, 4)
    return LiveFigure(figure, update, start=(1.0, 8.0), end=(0.5, 8.0), progress=(0.0, 1.0), kind=list(KINDS))


def candidates():
    return figures.plot_candidates({"points": BY_NAME}, {"points": "T = 2"}, "KL")


STATIC = {"plot_candidates": candidates}
LIVE = {
    "live_schedules": lambda: (schedules(), [{"progress": 0.5}, {"start": 8.0, "kind": "exponential"}, {"progress": 1.0}]),
}


def test_the_numbers_at_a_progress():
    made = {"falling": linear(5, 1), "flat": constant(2)}
    now = figures.schedule_numbers(made, V, 0.25, "falling")
    assert now.temperatures == {"falling": 4.0, "flat": 2.0}
    assert now.T == 4
    p = torch.softmax(V.double() / 4, 0)
    assert now.p == pytest.approx(p.tolist(), rel=1e-5)
    assert now.bits == pytest.approx(-(p * p.log2()).sum().item(), rel=1e-5)
    assert figures.schedule_numbers(made, V, 0.25, "flat").T == 2


def test_schedules_say_every_temperature_and_the_teachers_words():
    live = schedules()
    assert "linear 5.000, cosine 5.000, exponential 5.000, constant 5.000" in live.text
    live.set(progress=0.5)
    assert "linear 3.000, cosine 3.000, exponential 2.236, constant 5.000. With the linear one T = 3.000" in live.text
    p = torch.softmax(V / 3, 0).sort(descending=True).values
    assert f"trouser {100 * p[0]:.1f} %, coat {100 * p[1]:.1f} %" in live.text
    live.set(kind="exponential", start=8.0, end=0.5, progress=1.0)
    assert "T = 0.500" in live.text


def test_schedules_draw_what_they_say():
    live = schedules()
    live.set(start=8.0, end=2.0, progress=0.25, kind="cosine")
    for name, make in KINDS.items():
        curve = find(live.figure, name)
        assert list(curve.get_ydata()) == pytest.approx([make(8.0, 2.0)(t) for t in curve.get_xdata()])
        assert curve.get_linewidth() == (3 if name == "cosine" else 1.4)
    np.testing.assert_allclose(find(live.figure, "image").get_array(), PIXELS)
    T = cosine(8.0, 2.0)(0.25)
    assert find(live.figure, "T now").get_xydata()[0] == pytest.approx([0.25, T])
    assert list(find(live.figure, "progress").get_xdata()) == [0.25, 0.25]
    row = torch.softmax(V.sort(descending=True).values / T, 0).tolist()
    assert [bar.get_width() for bar in find(live.figure, "probabilities")] == pytest.approx(row)
    numbers = [find(live.figure, f"probabilities {k}") for k in range(3)]
    assert [number.get_position()[0] for number in numbers] == pytest.approx(row[:3])
    assert [number.get_text() for number in numbers] == [f" {100 * p:.1f} %" for p in row[:3]]


def test_candidates_are_shown_by_their_pairs():
    assert (
        candidates().text
        == f"points, KL, against T = 2, mean and 95 % interval: falling {mean_interval([1, 0.5, 1.5])}, rising -1.00 ± 0.00"
    )


def test_differences_are_those_of_each_seed():
    assert figures.differences(BY_NAME["falling"], BY_NAME["T = 2"]) == [1, 0.5, 1.5]
    with pytest.raises(ValueError, match="shorter"):
        figures.differences([1.0, 2.0], [1.0])
