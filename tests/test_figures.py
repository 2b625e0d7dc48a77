"""What is asked of every figure: sharp, in words too, moved and not drawn anew, and nothing of the reader's settings touched.

A new figure is found by itself: `test_figures_NAME.py`, beside `course_lib/figures/NAME.py`, has an example of each in STATIC
(name of the function -> how to draw it) or LIVE (-> how to make a LiveFigure and states to bring it to).
"""

import ast
import importlib
import importlib.util
import inspect
import io
import itertools
import pkgutil
import subprocess
import sys
from collections.abc import Iterator

import matplotlib
import numpy as np
import pytest
import torch
from colour_vision import colour_blind
from live_frames import assert_only_artists_move
from PIL import Image

import course_lib.figures
from course_lib.data import CLASSES
from course_lib.figures import dark_knowledge, style

SHARED = ("style", "parts")
MODULES = [found.name for found in pkgutil.iter_modules(course_lib.figures.__path__) if found.name not in SHARED]
OLD_NAMES = ("dark_knowledge", "production", "temperature", "training")  # modules whose functions have no verbs yet

GENERATOR = torch.Generator().manual_seed(0)
PIXELS = torch.rand(6, 28, 28, generator=GENERATOR)
LOGITS = torch.randn(6, 10, generator=GENERATOR)
P = LOGITS.softmax(-1)


def pictures():
    yield dark_knowledge.opinions(PIXELS, P, CLASSES, [f"picture {i}" for i in range(6)])
    yield dark_knowledge.opinions(PIXELS[:1], P[:1], CLASSES)
    yield dark_knowledge.histograms({"T = 1": [0.1, 0.2, 0.6], "T = 4": [1.0, 2.0, 3.0]}, "bits", 3.32, "all alike")
    yield dark_knowledge.likeness(torch.rand(10, 10, generator=GENERATOR), CLASSES)


def examples(kind: str) -> Iterator:
    """Find the examples of a kind, "STATIC" or "LIVE", as parameters of a test."""
    for name in MODULES:
        if importlib.util.find_spec(f"test_figures_{name}"):
            found = getattr(importlib.import_module(f"test_figures_{name}"), kind, {})
            yield from (pytest.param(make, id=f"{name}.{function}") for function, make in found.items())


@pytest.mark.parametrize("make", [*((lambda picture=picture: picture) for picture in pictures()), *examples("STATIC")])
def test_a_static_figure_is_sharp_opaque_and_says_its_numbers(make):
    picture = make()
    data, metadata = picture._repr_mimebundle_()
    image = Image.open(io.BytesIO(picture.png))
    assert metadata["image/png"]["alt"] == data["text/plain"] == picture.text == repr(picture)
    for side, name in zip(image.size, ("width", "height"), strict=True):  # matplotlib before 3.9 rounds down
        assert abs(side - 2 * metadata["image/png"][name]) <= 1
    assert metadata["image/png"]["width"] <= 1000
    assert np.asarray(image.convert("RGBA"))[..., 3].min() == 255
    assert len(image.convert("RGB").getcolors(1 << 24)) > 10
    assert any(letter.isdigit() for letter in picture.text)


@pytest.mark.parametrize("make", list(examples("LIVE")))
def test_no_frame_of_a_live_figure_redraws_it_in_full(make):
    assert_only_artists_move(*make())


@pytest.mark.parametrize("name", [name for name in MODULES if name not in OLD_NAMES])
def test_every_figure_has_a_verb_the_style_and_an_example(name):
    module, tests = (importlib.import_module(each) for each in (f"course_lib.figures.{name}", f"test_figures_{name}"))
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    styled = {key for key, value in own.items() if hasattr(value, "__wrapped__") and not key.startswith("_")}
    for kind, prefix in (("STATIC", "plot_"), ("LIVE", "live_")):
        drawing = {key for key in own if key.startswith(prefix)}
        assert drawing == {key for key in styled if key.startswith(prefix)} == set(getattr(tests, kind, {}))
    assert all(key.startswith(("plot_", "live_")) for key in styled)


@pytest.mark.parametrize("name", [name for name in (*MODULES, *SHARED) if name not in OLD_NAMES])
def test_a_figure_imports_no_other_figure(name):
    tree = ast.parse(inspect.getsource(importlib.import_module(f"course_lib.figures.{name}")))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in froms for alias in node.names]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    others = [each.removeprefix("course_lib.figures.").partition(".")[0] for each in names if "course_lib.figures" in each]
    assert set(others) <= set(SHARED)


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


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_the_models_can_be_told_apart_by_colour_blind_readers_and_by_marker(kind):
    models = ("teacher", "labels", "distilled", "truth")
    seen = [colour_blind(matplotlib.colors.to_rgb(style.COLOURS[name]), kind) for name in models]
    assert all(np.linalg.norm(one - other) > 0.3 for one, other in itertools.combinations(seen, 2))
    assert len({style.MARKERS[name] for name in models}) == 4


def test_drawing_needs_no_pyplot():
    code = f"""if True:
        import importlib, sys
        for name in {[*SHARED, *MODULES]}:
            importlib.import_module("course_lib.figures." + name)
        from course_lib.figures import experiments
        experiments.plot_runs({{"a": [1, 2]}}, "x", {{"a": "labels"}}).png
        print("matplotlib.pyplot" in sys.modules)"""
    fresh = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == "False"
