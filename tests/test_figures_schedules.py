import math

import numpy as np
import pytest
import torch

from course_lib.data import CLASSES
from course_lib.figures import schedules as figures
from course_lib.live import LiveFigure
from course_lib.losses import soft_target_loss
from course_lib.metrics import mean_interval
from course_lib.schedules import constant, cosine, exponential, linear

KINDS = {"linear": linear, "cosine": cosine, "exponential": exponential, "constant": lambda start, end: constant(start)}
V = torch.tensor([2.0, 9.0, 1.0, 0.0, 6.0, -3.0, 4.0, 3.0, 2.5, -1.0])


def schedules():
    figure, update = figures.schedules_live(KINDS, V, CLASSES)
    return LiveFigure(figure, update, start=(1.0, 20.0), end=(0.5, 20.0), progress=(0.0, 1.0), kind=list(KINDS))


def test_schedules_say_every_temperature_and_the_teachers_words():
    live = schedules()
    assert "linear 5.000, cosine 5.000, exponential 5.000, constant 5.000" in live.text
    live.set(progress=0.5)
    assert "linear 3.000, cosine 3.000, exponential 2.236, constant 5.000. With the linear one T = 3.000" in live.text
    p = torch.softmax(V / 3, 0).sort(descending=True).values
    assert f"trouser {100 * p[0]:.1f} %, coat {100 * p[1]:.1f} %" in live.text
    live.set(kind="exponential", start=20.0, end=0.5, progress=1.0)
    assert "T = 0.500" in live.text


def test_schedules_draw_what_they_say():
    live = schedules()
    left, right = live.figure.axes
    live.set(start=8.0, end=2.0, progress=0.25, kind="cosine")
    curves = {line.get_label(): line for line in left.lines}
    for name, make in KINDS.items():
        expected = [make(8.0, 2.0)(t) for t in curves[name].get_xdata()]
        assert list(curves[name].get_ydata()) == pytest.approx(expected)
        assert curves[name].get_linewidth() == (3 if name == "cosine" else 1.4)
    T = cosine(8.0, 2.0)(0.25)
    row = torch.softmax(V.sort(descending=True).values / T, 0).tolist()
    assert [bar.get_width() for bar in right.patches] == pytest.approx(row)
    assert [number.get_position()[0] for number in right.texts] == pytest.approx(row[:3])
    assert [number.get_text() for number in right.texts] == [f" {100 * p:.1f} %" for p in row[:3]]


def test_the_parts_of_the_gradient_are_those_of_autograd():
    generator = torch.Generator().manual_seed(0)
    v, z = (4 * torch.randn(50, 10, generator=generator, dtype=torch.float64) for _ in range(2))
    for T in (1, 2.5, 8):
        student_logits = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(soft_target_loss(student_logits, v, T), student_logits)
        ranked = gradient.abs().gather(1, v.argsort(1, descending=True)).sum(0)
        expected = torch.stack([ranked[0], ranked[1], ranked[2:].sum()]) / ranked.sum()
        torch.testing.assert_close(figures.gradient_parts(v, z, T), expected)
        assert figures.gradient_parts(v, z, T)[0] <= 0.5 + 1e-9


def test_weights_follow_the_schedule_and_the_student():
    generator = torch.Generator().manual_seed(1)
    v, near, far = (3 * torch.randn(40, 10, generator=generator) for _ in range(3))
    students, kinds = {"near": (v, v + 0.1 * near), "far": (v, far)}, {"linear(5, 1)": linear(5, 1), "exp": exponential(5, 1)}
    figure, update = figures.weights_live(students, kinds)
    live = LiveFigure(figure, update, progress=(0.0, 1.0), kind=list(kinds), student=list(students))
    live.set(progress=0.5, kind="exp", student="far")
    assert live.text.startswith(f"exp, progress 0.50: T = {math.sqrt(5):.3f}; far:")
    shares = figures.gradient_parts(v, far, math.sqrt(5)).tolist()
    left = figure.axes[0]
    marks = [line for line in left.lines if line.get_marker() != "None"]
    assert [mark.get_ydata()[0] for mark in marks] == pytest.approx(shares)
    curves = [line for line in left.lines if line.get_label() in figures.PARTS]
    for curve, share in zip(curves, shares, strict=True):  # the mark lies on its curve
        at_T = np.interp(math.sqrt(5), curve.get_xdata(), curve.get_ydata())
        assert at_T == pytest.approx(share, abs=0.005)


def test_candidates_are_shown_by_their_pairs():
    by_name = {"T = 2": [1.0, 2.0, 3.0], "falling": [2.0, 2.5, 4.5], "rising": [0.0, 1.0, 2.0]}
    picture = figures.candidates({"points": by_name}, {"points": "T = 2"}, {"points": "KL"})
    assert (
        picture.text
        == f"points, KL, against T = 2, mean and 95 % interval: falling {mean_interval([1, 0.5, 1.5])}, rising -1.00 ± 0.00"
    )
