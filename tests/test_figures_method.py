"""The picture of the method: its words say the numbers that it shows."""

import torch

from course_lib.figures import method

PIXELS = torch.rand(28, 28, generator=torch.Generator().manual_seed(0))
TEACHER, STUDENT = torch.tensor([0.1, 0.7, 0.2]), torch.tensor([0.5, 0.3, 0.2])
STATIC = {"plot_method": lambda: method.plot_method(PIXELS, TEACHER, STUDENT, "coat", T=4, alpha=0.9)}


def test_the_method_says_both_outputs_and_both_weights():
    text = STATIC["plot_method"]().text
    assert "label coat" in text
    assert "At T = 4 the teacher's largest probability is 70.0 %, the student's 50.0 %." in text
    assert "0.9 times T² KL(p‖q), and 0.1 times the cross-entropy" in text


def test_the_method_fits_a_page():
    assert STATIC["plot_method"]().width <= 900
