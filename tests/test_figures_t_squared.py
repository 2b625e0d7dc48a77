"""What notebook 03 draws: the artists and the words show what the formulas give, worked out here by hand."""

import math

import numpy as np
import pytest
import torch

from course_lib.figures import t_squared
from course_lib.figures.parts import find, signed
from course_lib.live import LiveFigure

V, Z = [3.0, 1.0, 0.0], [1.0, 1.0, 0.0]


def softmax(logits, T):
    weights = [math.exp(logit / T) for logit in logits]
    return [weight / sum(weights) for weight in weights]


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64)


def two_classes(T, a, b):
    """The length of T (q - p) where v = (a, 0) and z = (b, 0): by the logistic function."""
    p, q = (1 / (1 + math.exp(-x / T)) for x in (a, b))
    return T * math.sqrt(2) * abs(q - p)


# ---- examples ----


def pairs(num_classes, distance):
    """(1, 0, …) against (1 - 2 distance, 0, …): at scale s the two-class case is two_classes(T, s, s - 2 s distance)."""
    v = torch.zeros(1, num_classes, dtype=torch.float64)
    z = v.clone()
    v[0, 0], z[0, 0] = 1, 1 - 2 * distance
    return v, z


def live_gradient():
    figure, update = t_squared.live_gradient(V, Z)
    return LiveFigure(figure, update, T=(1.0, 100.0)), [{"T": 1.0}, {"T": 3.0}, {"T": 100.0}]


def live_slope():
    figure, update = t_squared.live_slope(pairs)
    controls = {"T": (1.0, 100.0), "scale": (0.5, 10.0), "num_classes": [2, 10, 1000], "distance": (0.1, 1.0)}
    states = [{"scale": 0.5}, {"num_classes": 1000, "scale": 10.0}, {"T": 100.0, "distance": 0.1}]
    return LiveFigure(figure, update, **controls), states


def live_balance():
    figure, update = t_squared.live_balance(tensor(V), {"one": tensor(Z), "other": tensor(V)}, torch.tensor([0]))
    controls = {"T": (1.0, 100.0), "alpha": (0.05, 0.95), "student": ["one", "other"]}
    return LiveFigure(figure, update, **controls), [{"T": 4.0}, {"alpha": 0.95}, {"student": "other", "T": 100.0}]


def gradient_sizes():
    return t_squared.plot_gradient_sizes(tensor([1, 0]), {"before": tensor([0, 0]), "after": tensor([0.5, 0])})


STATIC = {"plot_gradient_sizes": gradient_sizes}
LIVE = {"live_gradient": live_gradient, "live_slope": live_slope, "live_balance": live_balance}


# ---- live figures ----


def by_formula(T):
    p, q = softmax(V, T), softmax(Z, T)
    return p, q, [T * (b - a) for a, b in zip(p, q, strict=True)], [(b - a) / T for a, b in zip(p, q, strict=True)]


@pytest.mark.parametrize("T", [1, 2, 16, 100])
def test_the_numbers_of_one_row(T):
    numbers = t_squared.gradient_numbers(*(tensor(logits)[0] for logits in (V, Z)), T)
    assert list(numbers) == [pytest.approx(row) for row in by_formula(T)]


@pytest.mark.parametrize("T", [1, 2, 16, 100])
def test_the_live_gradient_moves_bars_and_numbers(T):
    figure, update = t_squared.live_gradient(V, Z)
    update(T=7)
    text = update(T=T)
    p, q, with_t2, without = by_formula(T)
    assert find(figure, "T").get_text() == f"T = {T}"
    for name, heights in (("teacher p", p), ("student q", q), ("with T²", with_t2), ("without T²", without)):
        assert [bar.get_height() for bar in find(figure, name)] == pytest.approx(heights)
    at_1 = by_formula(1)[2]
    for name, values in (("with T²", with_t2), ("without T²", without)):
        assert [ghost.get_height() for ghost in find(figure, f"{name} at T = 1")] == pytest.approx(at_1)
        for k, (value, before) in enumerate(zip(values, at_1, strict=True)):
            number = find(figure, f"{name} at class {k + 1}")
            assert number.get_text() == (signed(value) if abs(value) >= 0.0005 else "≈ 0")
            assert abs(number.get_position()[1]) > max(abs(value), abs(before))  # beyond the bar and its ghost
            assert number.get_va() == ("bottom" if value >= 0 else "top")
            bar = find(figure, name)[k]
            assert number.get_position()[0] == pytest.approx(bar.get_x() + bar.get_width() / 2)
    with_t2, without = (", ".join(map(t_squared.short, values)) for values in (with_t2, without))
    assert text == f"T = {T}. Gradient with T²: {with_t2}; without: {without}; limit: −0.444, 0.222, 0.222"


@pytest.mark.parametrize(
    ("number", "text"), [(-0.4214, "−0.421"), (0.0005, "0.001"), (-0.00004, "−0.00004"), (0.00031, "0.0003"), (0, "0.000")]
)
def test_a_number_is_written_so_that_it_is_not_0(number, text):
    assert t_squared.short(number) == text


def test_the_live_gradient_shows_the_numbers_that_the_notebook_names():
    _, update = t_squared.live_gradient(V, Z)
    for T, first in {1: "−0.421", 2: "−0.490", 4: "−0.485", 100: "−0.447"}.items():
        assert f"Gradient with T²: {first}, " in update(T=T)


@pytest.mark.parametrize(
    ("T", "scale", "distance"), [(1, 1, 0.5), (4, 1, 0.5), (1, 10, 0.5), (20, 10, 1.0), (2, 0.5, 1.0), (100, 3, 0.1)]
)
def test_the_live_slope_shows_sizes_limits_and_the_slope(T, scale, distance):
    figure, update = t_squared.live_slope(pairs)
    text = update(T=T, scale=scale, num_classes=2, distance=distance)

    def size(at):
        return two_classes(at, scale, scale * (1 - 2 * distance))

    def log_slope(at):
        return (math.log(size(at * 1.001)) - math.log(size(at / 1.001))) / (2 * math.log(1.001)) - 2

    limit = math.sqrt(2) * scale * distance / 2  # centred, the logits differ by ± scale · distance; over N = 2
    assert find(figure, "size now").get_xydata()[0] == pytest.approx([T, size(T) / limit])
    assert find(figure, "slope now").get_xydata()[0] == pytest.approx([T, log_slope(T)], abs=1e-3)

    # The curves cover the axis and pass through the points.
    temperatures = find(figure, "with T²").get_xdata()
    assert min(temperatures) < 1
    assert max(temperatures) > 100
    assert find(figure, "with T²").get_ydata() == pytest.approx([size(at) / limit for at in temperatures.tolist()])
    inner = slice(1, -1)
    assert find(figure, "slopes").get_ydata()[inner] == pytest.approx(
        [log_slope(at) for at in temperatures.tolist()][inner], abs=0.02
    )
    np.testing.assert_allclose(find(figure, "slopes").get_xdata(), temperatures)

    words = f"{size(T) / limit:.2f} × the limit", f"slope {signed(find(figure, 'slope now').get_ydata()[0], 2)}"
    assert (find(figure, "size in words").get_text(), find(figure, "slope in words").get_text()) == words
    assert text == (
        f"T = {T}, scale {scale:.3g}, 2 classes, distance {distance:.2f}. Size of the gradient with T²: {words[0]}; "
        f"without T²: {words[1]}"
    )


def test_the_live_slope_follows_the_number_of_classes():
    figure, update = t_squared.live_slope(pairs)
    for num_classes in (2, 10, 1000):
        text = update(T=1.0, scale=1.0, num_classes=num_classes, distance=0.5)
        v, z = ([value, *[0] * (num_classes - 1)] for value in (1, 0))
        limit = (
            math.sqrt((1 - 1 / num_classes) ** 2 + (num_classes - 1) / num_classes**2) / num_classes
        )  # the others move by -1/N
        assert find(figure, "size now").get_ydata()[0] == pytest.approx(math.dist(softmax(v, 1), softmax(z, 1)) / limit)
        assert f", {num_classes} classes, " in text
        assert find(figure, "state").get_text() == f"{num_classes:,} classes, scale 1"


def one_image(student="one", **values):
    other = [[0.0, 2.0, -1.0]]
    figure, update = t_squared.live_balance(tensor(V), {"one": tensor(Z), "other": tensor(*other)}, torch.tensor([0]))
    return figure, update(student=student, **values), {"one": Z, "other": other[0]}[student]


@pytest.mark.parametrize("student", ["one", "other"])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("T", [1, 4, 16, 80])
def test_the_live_balance_shows_the_shares(T, alpha, student):
    figure, text, z = one_image(T=T, alpha=alpha, student=student)
    hard = math.dist(softmax(z, 1), [1, 0, 0])

    def share(at, power):
        soft = at**power * math.dist(softmax(V, at), softmax(z, at))
        return alpha * soft / (alpha * soft + (1 - alpha) * hard)

    for kind, power in (("with", 1), ("without", -1)):
        assert find(figure, f"now {kind} T²").get_xydata()[0] == pytest.approx([T, share(T, power)])
        temperatures, shares = find(figure, f"{kind} T²").get_data()
        assert list(shares) == pytest.approx([share(at, power) for at in temperatures])
        assert temperatures[-1] == T  # what lies ahead is not shown
        assert temperatures[0] == 1
    assert list(find(figure, "α").get_ydata()) == [alpha, alpha]
    assert list(find(figure, "T").get_xdata()) == [T, T]
    numbers = [find(figure, f"share {kind} T²").get_text() for kind in ("with", "without")]
    assert [float(number.split()[0]) for number in numbers] == pytest.approx([100 * share(T, 1), 100 * share(T, -1)], abs=0.06)
    assert text == (
        f"{student}, T = {T}, α = {alpha:.2f}. The soft term's fraction of the gradient: "
        f"{numbers[0]} with T², {numbers[1]} without"
    )


def test_the_numbers_of_the_live_balance_never_lie_on_each_other_or_on_the_curves():
    for T in (1, 1.2, 1.5, 2, 4, 50, 100):
        figure, _, _ = one_image(T=T, alpha=0.5)
        figure.canvas.draw()
        numbers = [find(figure, f"share {kind} T²") for kind in ("with", "without")]
        upper, lower = (number.get_window_extent() for number in numbers)
        assert not upper.overlaps(lower)
        assert find(figure, "with T²").axes.bbox.x1 <= min(upper.x0, lower.x0)
        assert max(upper.x1, lower.x1) <= numbers[0].axes.bbox.x1  # where it would be cut off


# ---- pictures ----


def test_the_sizes_say_their_numbers():
    picture = gradient_sizes()
    before, after = ([two_classes(T, 1, b) for T in (1, 4, 20)] for b in (0, 0.5))
    limits = [math.sqrt(2) / 4, math.sqrt(2) / 8]  # half the difference, over N = 2, in two entries
    names = []
    for name, values, limit in (("before", before, limits[0]), ("after", after, limits[1])):
        shown = ", ".join(f"{value:.2f} at T = {T}" for T, value in zip((1, 4, 20), values, strict=True))
        names.append(f"{name}: {shown}, limit {limit:.2f}")
    assert picture.width <= 900
    assert picture.text == "Size of the gradient with T². " + "; ".join(names)
