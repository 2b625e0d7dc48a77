"""The figures: what they show is what went in, they say it in words too, and they leave the reader's settings alone."""

import io
import itertools
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from PIL import Image

from course_lib.data import CLASSES
from course_lib.figures import dark_knowledge, experiments, style

GENERATOR = torch.Generator().manual_seed(0)
PIXELS = torch.rand(6, 28, 28, generator=GENERATOR)
LOGITS = torch.randn(6, 10, generator=GENERATOR)
P = LOGITS.softmax(-1)


def pictures():
    yield dark_knowledge.opinions(PIXELS, P, CLASSES, [f"picture {i}" for i in range(6)])
    yield dark_knowledge.opinions(PIXELS[:1], P[:1], CLASSES)
    yield dark_knowledge.histograms({"T = 1": [0.1, 0.2, 0.6], "T = 4": [1.0, 2.0, 3.0]}, "bits", 3.32, "all alike")
    yield dark_knowledge.likeness(torch.rand(10, 10, generator=GENERATOR), CLASSES)
    yield experiments.runs(
        {"labels": [84.0, 85, 86], "distilled": [87.0, 88, 89]},
        "accuracy (%)",
        {"labels": "labels", "distilled": "distilled"},
        paired=2,
    )


@pytest.mark.parametrize("picture", list(pictures()))
def test_a_picture_is_sharp_opaque_and_says_its_numbers(picture):
    data, metadata = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(picture.png))
    assert metadata["image/png"]["alt"] == data["text/plain"] == picture.text == repr(picture)
    for side, name in zip(image.size, ("width", "height"), strict=True):  # matplotlib before 3.9 rounds down
        assert abs(side - 2 * metadata["image/png"][name]) <= 1
    assert metadata["image/png"]["width"] <= 1000
    assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255
    assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert any(letter.isdigit() for letter in picture.text)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (1, "100.0 %"),
        (0.072, "7.2 %"),
        (0.0005, "0.1 %"),
        (0.00049, "0.05 %"),
        (3.2e-5, "0.003 %"),
        (1e-6, "0.0001 %"),
        (0, "0 %"),
    ],
)
def test_percentages(p, text):
    assert style.percent(p) == text


def test_the_texts_hold_the_numbers():
    opinion = dark_knowledge.opinions(PIXELS[:1], torch.tensor([[0.9, 0.09, 0.01] + [0.0] * 7]), CLASSES, ["one"]).text
    assert opinion == "one: T-shirt 90.0 %, trouser 9.0 %, pullover 1.0 %"
    text = experiments.runs({"labels": [1.0, 2, 3, 4, 5]}, "accuracy", {"labels": "labels"}).text
    assert text == "accuracy, mean and 95 % interval. labels: 3.00 ± 1.96 (n = 5)"
    text = dark_knowledge.histograms({"T = 1": [0.5, 1.5]}, "bits", 3.32, "all alike").text
    assert text == "bits, at most 3.32. T = 1: mean 1.00"
    matrix = torch.full((10, 10), 0.01)
    matrix[0, 6] = 0.4
    assert "T-shirt: shirt 40%" in dark_knowledge.likeness(matrix, CLASSES).text


def test_the_readers_settings_are_left_alone_and_have_no_effect():
    plain = dark_knowledge.histograms({"a": [0.5, 1.5]}, "bits", 3.32, "all alike").png
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert dark_knowledge.histograms({"a": [0.5, 1.5]}, "bits", 3.32, "all alike").png == plain
        assert dict(matplotlib.rcParams) == before


def test_runs_of_equal_value_stand_beside_each_other_around_the_middle_of_their_group():
    places = experiments.apart(4)
    assert places == sorted(set(places))
    assert places == pytest.approx([-place for place in reversed(places)])
    assert max(places) < 0.18 - 0.05  # clear of the mean
    assert experiments.apart(1) == [0]


def test_lines_join_the_groups_that_are_paired_and_no_others():
    groups = {name: [1.0, 2, 4] for name in "abcd"}
    png = {n: experiments.runs(groups, "accuracy", dict.fromkeys(groups, "labels"), paired=n).png for n in (1, 2, 4)}
    assert len(set(png.values())) == 3


def test_the_live_opinion_shows_the_picture_that_was_chosen():
    labels = torch.arange(6)
    figure, update = dark_knowledge.opinion_live(PIXELS, P, CLASSES, labels)
    image, bars = figure.axes[0].images[0], figure.axes[1].patches
    for picture, scale in itertools.product((0, 3, 5), ("linear", "log")):
        text = update(picture, scale)
        np.testing.assert_allclose(image.get_array(), PIXELS[picture])
        assert [bar.get_width() for bar in bars] == pytest.approx(P[picture].tolist())
        assert figure.axes[1].get_xscale() == scale
        ticks = {"linear": np.arange(6) / 5, "log": 10.0 ** np.arange(-12, 1, 2)}[scale]
        np.testing.assert_allclose(figure.axes[1].get_xticks(), ticks)
        said = {number.get_position()[0]: number.get_text() for number in figure.axes[1].texts if number.get_text()}
        assert said == {p: f" {style.percent(p)}" for p in P[picture].topk(2).values.tolist()}
        best = CLASSES[int(P[picture].argmax())]
        assert text.startswith(f"label {CLASSES[picture]}; teacher, on a {scale} scale: {best} {100 * P[picture].max():.1f} %")


def test_the_live_bias_counts_again_what_the_bias_changes():
    labels = torch.tensor([9, 9, 9, 9, 0, 0])
    logits = torch.zeros(6, 10)
    logits[:, 0] = torch.tensor([1.0, 2, 3, 4, 2.5, 5])
    figure, update = dark_knowledge.bias_live(logits, labels, 9, "ankle boot", [0, 1.5, 3])
    assert update(0.0) == "bias +0.00: 0.0 % of the ankle boots, 100.0 % of the others are named right"
    assert update(2.2) == "bias +2.20: 50.0 % of the ankle boots, 100.0 % of the others are named right"
    assert update(2.7) == "bias +2.70: 50.0 % of the ankle boots, 50.0 % of the others are named right"
    unseen, others = figure.axes[0].lines[:2]
    assert list(unseen.get_ydata()) == [0, 25, 50]
    assert list(others.get_ydata()) == [100, 100, 50]


def colour_blind(rgb, kind):
    """Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB."""
    matrix = {
        "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
        "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
    }[kind]
    return np.clip(np.array(matrix) @ (np.array(rgb) ** 2.2), 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_the_models_can_be_told_apart_by_colour_blind_readers_and_by_marker(kind):
    models = ("teacher", "labels", "distilled", "truth")
    seen = [colour_blind(matplotlib.colors.to_rgb(style.COLOURS[name]), kind) for name in models]
    assert all(np.linalg.norm(one - other) > 0.3 for one, other in itertools.combinations(seen, 2))
    assert len({style.MARKERS[name] for name in models}) == 4


def test_drawing_needs_no_pyplot():
    code = """if True:
        import sys
        from course_lib.figures import dark_knowledge
        dark_knowledge.histograms({"a": [1, 2]}, "x", 3, "y").png
        print("matplotlib.pyplot" in sys.modules)"""
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == "False"
