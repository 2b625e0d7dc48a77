"""`your_turn`: lines that readers fill in are told right, wrong, or not filled in yet, and never stop a notebook."""

import pytest
import torch

from course_lib.checks import your_turn


def double(x):
    return 2 * x


def stops(x):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda x: x + x, "Right: "),
        (lambda x: ..., "Not filled in yet: "),
        (lambda x: None, "Not filled in yet: "),
        (lambda x: x, "Not yet: it gives [1, 2], where [2, 4] is right. Hint: twice"),
        (lambda x: x.sum(), "Not yet: it gives the shape (), where (2,) is right."),
        (lambda x: "two", "Not yet: it gives str, where a number or a tensor is needed."),
        (stops, "Not yet: stops stops with ValueError: no"),
        (lambda x: 2 * x.requires_grad_(), "Right: "),
        (lambda x: x.mul_(2), "Right: "),
    ],
)
def test_what_is_said(answer, said, capsys):
    case = torch.tensor([1.0, 2.0])
    assert your_turn(answer, double, (case,), hint="twice") == said.startswith("Right")
    assert capsys.readouterr().out.startswith(said)
    assert case.tolist() == [1, 2]


def test_every_case_is_tried(capsys):
    assert your_turn(double, double, (1,), (torch.eye(2),))
    assert not your_turn(lambda x: x + 1, double, (1,), (3,))
    assert "it gives 4, where 6 is right" in capsys.readouterr().out
