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
from colour_vision import colour_blind
from live_frames import assert_only_artists_move
from PIL import Image

import course_lib.figures
from course_lib.figures import dark_knowledge, style

SHARED = ("style", "parts")
MODULES = [found.name for found in pkgutil.iter_modules(course_lib.figures.__path__) if found.name not in SHARED]


def examples(kind: str) -> Iterator:
    """Find the examples of a kind, "STATIC" or "LIVE", as parameters of a test."""
    for name in MODULES:
        if importlib.util.find_spec(f"test_figures_{name}"):
            found = getattr(importlib.import_module(f"test_figures_{name}"), kind, {})
            yield from (pytest.param(make, id=f"{name}.{function}") for function, make in found.items())


@pytest.mark.parametrize("make", examples("STATIC"))
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


@pytest.mark.parametrize("name", MODULES)
def test_every_figure_has_a_verb_the_style_and_an_example(name):
    module, tests = (importlib.import_module(each) for each in (f"course_lib.figures.{name}", f"test_figures_{name}"))
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    styled = {key for key, value in own.items() if hasattr(value, "__wrapped__") and not key.startswith("_")}
    for kind, prefix in (("STATIC", "plot_"), ("LIVE", "live_")):
        drawing = {key for key in own if key.startswith(prefix)}
        assert drawing == {key for key in styled if key.startswith(prefix)} == set(getattr(tests, kind, {}))
    assert all(key.startswith(("plot_", "live_")) for key in styled)


@pytest.mark.parametrize("name", [*MODULES, *SHARED])
def test_a_figure_imports_no_other_figure(name):
    tree = ast.parse(inspect.getsource(importlib.import_module(f"course_lib.figures.{name}")))
    from_imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}" for node in from_imports for alias in node.names]
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


def test_the_readers_settings_are_left_alone_and_have_no_effect():
    plain = dark_knowledge.plot_histograms({"a": [0.5, 1.5]}, "bits", 3.32, "all alike").png
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        assert dark_knowledge.plot_histograms({"a": [0.5, 1.5]}, "bits", 3.32, "all alike").png == plain
        assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("kind", ["protan", "deutan", "tritan"])
def test_the_models_can_be_told_apart_by_colour_blind_readers_and_by_marker(kind):
    models = ("teacher", "labels", "distilled", "truth")
    seen = [colour_blind(matplotlib.colors.to_rgb(style.COLOURS[name]), kind) for name in models]
    assert all(np.linalg.norm(one - other) > 0.3 for one, other in itertools.combinations(seen, 2))
    assert len({style.MARKERS[name] for name in models}) == 4


def test_the_models_stand_out_from_white():
    def luminance(colour):
        rgb = np.array(matplotlib.colors.to_rgb(colour))
        return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]  # WCAG 2.2

    for name in (*style.MARKERS, "quiet"):
        assert 1.05 / (luminance(style.COLOURS[name]) + 0.05) >= 3, name  # what WCAG asks of graphics


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
