"""The best model within a budget, by hand."""

import pytest

from course_lib.budget import Candidate, best_within

CANDIDATES = [Candidate("small", 10.0, 80.0), Candidate("large", 400.0, 94.0), Candidate("middle", 20.0, 83.5)]


@pytest.mark.parametrize(
    ("budget", "name"),
    [(9.99, None), (10.0, "small"), (19.9, "small"), (20.0, "middle"), (399.0, "middle"), (400.0, "large"), (1e9, "large")],
)
def test_the_most_accurate_within_the_budget(budget, name):
    best = best_within(CANDIDATES, budget)
    assert (best and best.name) == name


def test_a_slower_one_that_is_worse_is_never_taken_and_of_equals_the_first_is():
    slow = Candidate("slow", 30.0, 70.0)
    assert best_within([slow, *CANDIDATES], 50.0).name == "middle"
    equals = [Candidate("b", 2.0, 80.0), Candidate("a", 1.0, 80.0)]
    assert best_within(equals, 5.0).name == "b"
    assert best_within([], 5.0) is None
