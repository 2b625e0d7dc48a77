"""What notebook 03 draws: the artists and the words show what the formulas give, worked out here by hand."""

import math

import numpy as np
import pytest
import torch
from live_frames import assert_only_artists_move

from course_lib.figures import t_squared
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


# ---- the numbers ----


@pytest.mark.parametrize(("T", "first"), [(1, -0.421), (2, -0.490), (4, -0.485), (100, -0.447)])
def test_the_gradient_of_the_example(T, first):
    gradient = t_squared.gradient(tensor(Z), tensor(V), T)[0].tolist()
    assert gradient[0] == pytest.approx(first, abs=5e-4)
    assert gradient == pytest.approx([T * (q - p) for p, q in zip(softmax(V, T), softmax(Z, T), strict=True)])


def test_the_limit_ignores_shifts_and_is_where_the_gradient_goes():
    limit = t_squared.gradient_limit(tensor(Z) + 5, tensor(V) - 3)
    assert limit[0].tolist() == pytest.approx([-4 / 9, 2 / 9, 2 / 9])
    assert t_squared.gradient(tensor(Z), tensor(V), 1e6)[0].tolist() == pytest.approx(limit[0].tolist(), abs=1e-6)


def test_a_size_is_the_mean_length_of_the_rows():
    assert t_squared.size(tensor([3, 4], [0, 1])) == pytest.approx(3)
    assert t_squared.size(tensor([3, 4])[0]) == pytest.approx(5)


def test_slopes_where_they_are_known():
    small, huge = tensor([1e-3, 0], [0, 2e-3]), tensor([80, 0], [0, 80])
    assert t_squared.slope(small, -small, 1) == pytest.approx(-2, abs=1e-5)
    assert t_squared.slope(huge, -huge, 1) == pytest.approx(-1, abs=1e-9)  # one-hot: q - p no longer moves
    # (2, 0) against (0, 0): the derivative of log(sigma(2/T) - 1/2) by log T, at T = 1
    sigma = 1 / (1 + math.exp(-2))
    assert t_squared.slope(tensor([0, 0]), tensor([2, 0]), 1) == pytest.approx(
        -1 - 2 * sigma * (1 - sigma) / (sigma - 0.5), abs=1e-4
    )


def test_the_share_of_the_soft_term():
    assert t_squared.soft_share(3, 1, 0.5) == pytest.approx(0.75)
    assert t_squared.soft_share(1, 9, 0.9) == pytest.approx(0.5)
    assert t_squared.soft_share(1, 1, 0.0) == 0
    assert t_squared.soft_share(1, 1, 1.0) == 1


@pytest.mark.parametrize(("number", "text"), [(-0.4214, "−0.421"), (0.2, "0.200"), (-1e-5, "0.000"), (0.0, "0.000")])
def test_signed_numbers(number, text):
    assert t_squared.signed(number) == text


# ---- live figures ----


@pytest.mark.parametrize("T", [1, 2, 16, 100])
def test_the_live_gradient_moves_bars_and_numbers(T):
    figure, update = t_squared.gradient_live(V, Z)
    update(T=7)
    text = update(T=T)
    p, q = softmax(V, T), softmax(Z, T)
    with_t2 = [T * (q_i - p_i) for p_i, q_i in zip(p, q, strict=True)]
    without = [(q_i - p_i) / T for p_i, q_i in zip(p, q, strict=True)]
    left, right = ([bar.get_height() for bar in axes.patches] for axes in figure.axes)
    assert left == pytest.approx(p + q)
    assert right == pytest.approx(with_t2 + without)
    numbers = [number.get_text() for number in figure.axes[1].texts]
    assert numbers == [t_squared.signed(value) for value in with_t2 + without]
    for number, value in zip(figure.axes[1].texts, with_t2 + without, strict=True):
        assert abs(number.get_position()[1]) > abs(value)
        assert number.get_va() == ("bottom" if value >= 0 else "top")
    assert text.startswith(f"T = {T}. Gradient with T²: {numbers[0]}, {numbers[1]}, {numbers[2]}; without: {numbers[3]}, ")
    assert text.endswith("limit: −0.444, 0.222, 0.222")


def test_the_live_gradient_shows_the_numbers_that_the_notebook_names():
    _, update = t_squared.gradient_live(V, Z)
    for T, first in {1: "−0.421", 2: "−0.490", 4: "−0.485", 100: "−0.447"}.items():
        assert f"Gradient with T²: {first}, " in update(T=T)


def pairs(num_classes, apart):
    """(1, 0, …) against (1 - 2 apart, 0, …): at scale s the two-class case is two_classes(T, s, s - 2 s apart)."""
    v = torch.zeros(1, num_classes, dtype=torch.float64)
    z = v.clone()
    v[0, 0], z[0, 0] = 1, 1 - 2 * apart
    return v, z


def slope_state(figure):
    left, right = figure.axes
    with_t2, without, flat, falling, tangent, point_with, point_without = left.lines
    _, curve, point = right.lines
    return {
        "with_t2": with_t2, "without": without, "flat": flat, "falling": falling, "tangent": tangent, "curve": curve,
        "point": point, "point_with": point_with, "point_without": point_without, "reading": right.texts[0].get_text(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("T", "scale", "apart"), [(1, 1, 0.5), (4, 1, 0.5), (1, 10, 0.5), (20, 10, 1.0), (2, 0.5, 1.0), (100, 3, 0.1)]
)
def test_the_live_slope_shows_sizes_limits_and_the_slope(T, scale, apart):
    figure, update = t_squared.slope_live(pairs)
    text = update(T=T, scale=scale, num_classes=2, apart=apart)
    shown = slope_state(figure)

    def size(at):
        return two_classes(at, scale, scale * (1 - 2 * apart))

    def log_slope(at):
        return (math.log(size(at * 1.001)) - math.log(size(at / 1.001))) / (2 * math.log(1.001)) - 2

    assert shown["point_with"].get_xydata()[0] == pytest.approx([T, size(T)])
    assert shown["point_without"].get_xydata()[0] == pytest.approx([T, size(T) / T**2])
    assert shown["point"].get_xydata()[0] == pytest.approx([T, log_slope(T)], abs=1e-3)
    limit = math.sqrt(2) * scale * apart / 2  # centred, the logits differ by ± scale · apart; over N = 2
    assert list(shown["flat"].get_ydata()) == pytest.approx([limit, limit])
    assert list(shown["falling"].get_ydata()) == pytest.approx([limit, limit / 1e4])

    # The curves cover the axis and pass through the points.
    temperatures = shown["with_t2"].get_xdata()
    assert min(temperatures) < 1
    assert max(temperatures) > 100
    for name, power, value in (("with_t2", 0, size), ("without", 2, size)):
        assert shown[name].get_ydata() == pytest.approx([value(at) / at**power for at in temperatures.tolist()])
    inner = slice(1, -1)
    assert shown["curve"].get_ydata()[inner] == pytest.approx([log_slope(at) for at in temperatures.tolist()][inner], abs=0.02)
    np.testing.assert_allclose(shown["curve"].get_xdata(), temperatures)

    # The tangent touches the curve without T² at T, and has the slope that is read off.
    (x0, x1), (y0, y1) = shown["tangent"].get_data()
    assert math.sqrt(x0 * x1) == pytest.approx(T)
    assert math.sqrt(y0 * y1) == pytest.approx(size(T) / T**2)
    assert math.log(y1 / y0) / math.log(x1 / x0) == pytest.approx(log_slope(T), abs=1e-3)

    reading = t_squared.signed(shown["point"].get_ydata()[0], 2)
    assert shown["reading"] == f"slope {reading} at T = {T}"
    assert text.startswith(
        f"T = {T}, scale {scale:.3g}, 2 classes, apart {apart:.2f}. Size of the gradient with T²: {size(T):.3g} "
    )
    assert text.endswith(f"slope without T²: {reading}")


def test_the_live_slope_follows_the_number_of_classes():
    figure, update = t_squared.slope_live(pairs)
    for num_classes in (2, 10, 1000):
        text = update(T=1.0, scale=1.0, num_classes=num_classes, apart=0.5)
        v, z = ([value, *[0] * (num_classes - 1)] for value in (1, 0))
        size = math.dist(softmax(v, 1), softmax(z, 1))
        assert slope_state(figure)["point_with"].get_ydata()[0] == pytest.approx(size)
        assert f", {num_classes} classes, " in text


def one_image(student="one", **values):
    other = [[0.0, 2.0, -1.0]]
    figure, update = t_squared.balance_live(tensor(V), {"one": tensor(Z), "other": tensor(*other)}, torch.tensor([0]))
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

    (axes,) = figure.axes
    with_t2, without, line_alpha, line_T, point_with, point_without = axes.lines
    assert point_with.get_xydata()[0] == pytest.approx([T, share(T, 1)])
    assert point_without.get_xydata()[0] == pytest.approx([T, share(T, -1)])
    assert with_t2.get_ydata() == pytest.approx([share(at, 1) for at in with_t2.get_xdata()])
    assert without.get_ydata() == pytest.approx([share(at, -1) for at in without.get_xdata()])
    assert list(line_alpha.get_ydata()) == [alpha, alpha]
    assert list(line_T.get_xdata()) == [T, T]
    numbers = [number.get_text() for number in axes.texts]
    assert [float(number.split()[0]) for number in numbers] == pytest.approx([100 * share(T, 1), 100 * share(T, -1)], abs=0.06)
    assert text == (
        f"{student}, T = {T}, α = {alpha:.2f}. The soft term's share of the gradient: "
        f"{numbers[0]} with T², {numbers[1]} without"
    )


def test_the_numbers_of_the_live_balance_never_lie_on_each_other():
    for T in (1, 1.2, 1.5, 2, 4, 50, 100):
        figure, _, _ = one_image(T=T, alpha=0.5)
        figure.canvas.draw()
        upper, lower = (number.get_window_extent() for number in figure.axes[0].texts)
        assert not upper.overlaps(lower)
        assert figure.axes[0].bbox.x0 <= min(upper.x0, lower.x0)
        assert max(upper.x1, lower.x1) <= figure.axes[0].bbox.x1


def live_figures():
    figure, update = t_squared.gradient_live(V, Z)
    yield LiveFigure(figure, update, T=(1.0, 100.0)), [{"T": 1.0}, {"T": 3.0}, {"T": 100.0}]
    figure, update = t_squared.slope_live(pairs)
    controls = {"T": (1.0, 100.0), "scale": (0.5, 10.0), "num_classes": [2, 10, 1000], "apart": (0.1, 1.0)}
    yield (
        LiveFigure(figure, update, **controls),
        [{"scale": 0.5}, {"num_classes": 1000, "scale": 10.0}, {"T": 100.0, "apart": 0.1}],
    )
    figure, update = t_squared.balance_live(tensor(V), {"one": tensor(Z), "other": tensor(V)}, torch.tensor([0]))
    controls = {"T": (1.0, 100.0), "alpha": (0.05, 0.95), "student": ["one", "other"]}
    yield LiveFigure(figure, update, **controls), [{"T": 4.0}, {"alpha": 0.95}, {"student": "other", "T": 100.0}]


@pytest.mark.parametrize("number", range(3))
def test_no_frame_of_a_live_figure_redraws_it_in_full(number):
    assert_only_artists_move(*list(live_figures())[number])


# ---- pictures ----


def test_the_sizes_say_their_numbers():
    picture = t_squared.sizes(tensor([1, 0]), {"before": tensor([0, 0]), "after": tensor([0.5, 0])})
    before, after = ([two_classes(T, 1, b) for T in (1, 4, 20)] for b in (0, 0.5))
    limits = [math.sqrt(2) / 4, math.sqrt(2) / 8]  # half the difference, over N = 2, in two entries
    names = []
    for name, values, limit in (("before", before, limits[0]), ("after", after, limits[1])):
        shown = ", ".join(f"{value:.2f} at T = {T}" for T, value in zip((1, 4, 20), values, strict=True))
        names.append(f"{name}: {shown}, limit {limit:.2f}")
    assert picture.width <= 900
    assert picture.text == "Size of the gradient with T². " + "; ".join(names)


def test_what_was_forgotten_is_shown_with_intervals():
    right, wrong = {1: [0.1, 0.2, 0.3], 4: [0.1, 0.1, 0.1]}, {1: [0.1, 0.2, 0.3], 4: [0.3, 0.4, 0.5]}
    picture = t_squared.forgotten(right, wrong, [1.0, 2.0, 3.0])
    assert picture.width <= 900
    assert picture.text == (
        "KL(truth‖student) in nats, mean and 95 % interval of 3 runs. "
        "T = 1 with T²: 0.20 ± 0.25; T = 1 without T²: 0.20 ± 0.25; "
        "T = 4 with T²: 0.10 ± 0.00; T = 4 without T²: 0.40 ± 0.25; labels alone: 2.00 ± 2.48"
    )
