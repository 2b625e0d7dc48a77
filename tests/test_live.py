"""`LiveFigure` without a browser: what it draws, what it says, what it refuses, and what it leaves behind."""

import base64
import copy
import gc
import os
import subprocess
import sys
import textwrap
import time
import types
import weakref

import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jupyter_client.manager import start_new_kernel
from live_frames import pixels
from matplotlib import rc_context
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Affine2D, Bbox
from nbclient import NotebookClient

from course_lib.live import WIDGET_VIEW, LiveFigure, painter, strip_widgets

NUMBERS = np.linspace(0.0, 6.0, 50)


def in_full(figure: Figure) -> np.ndarray:
    """The figure as matplotlib draws it on its own, with nothing kept from earlier."""
    artists = [artist for artist in figure.findobj() if artist.get_animated()]
    for artist in artists:
        artist.set_animated(False)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()
    for artist in artists:
        artist.set_animated(True)
    return picture


def sine(**controls) -> LiveFigure:
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    (line,) = axes.plot(NUMBERS, np.sin(NUMBERS))

    def update(T=2.0):
        line.set_ydata(np.sin(NUMBERS * T))
        return f"T is {T}"

    return LiveFigure(figure, update, **(controls or {"T": (0.0, 4.0)}))


# ---- figures that move in one way each ----


def bars(figure):
    axes = figure.subplots()
    bars = axes.bar(range(4), [0.5] * 4)
    axes.grid()
    axes.legend(bars, "abcd")

    def update(x, y):
        for bar, height in zip(bars, (x, y, x * y, 1), strict=True):
            bar.set_height(height)

    return update


def lines(figure):
    left, right = figure.subplots(1, 2)
    (curve,) = left.plot(NUMBERS, NUMBERS, "o-", label="moves", clip_on=True)
    left.plot(NUMBERS, NUMBERS / 2, zorder=3, label="lies above")
    left.legend()
    (other,) = right.plot([0, 1], [0, 1], lw=7)

    def update(x, y):
        curve.set_ydata(NUMBERS * x + 9 * y)
        other.set_data([0, 2 * x], [y, 1])

    return update


def points(figure):
    axes = figure.subplots()
    crowd = axes.scatter(NUMBERS, NUMBERS % 1, c=NUMBERS, s=150, alpha=0.5)
    figure.colorbar(crowd)

    def update(x, y):
        crowd.set_offsets(np.c_[NUMBERS * (0.5 + x), (NUMBERS + y) % 1])
        crowd.set_array(NUMBERS * y)

    return update


def words(figure):
    left, right = figure.subplots(1, 2)
    inside = left.text(0.5, 0.5, "here", clip_on=True)
    outside = left.text(0.5, 0.5, "gypsum", size=20, bbox={"alpha": 0.3})  # wanders over the other axes
    note = right.annotate("look", (0.5, 0.5), (0.1, 0.9), arrowprops={"arrowstyle": "->"})
    below = figure.text(0.1, 0.02, "")

    def update(x, y):
        inside.set_position((x, y))
        outside.set(x=2.5 * x, y=y, text=f"{x:.2f}")
        note.xy = (x, y)  # matplotlib does not notice this one
        below.set_text(f"x = {x:.3f}")

    return update


def field(figure):
    axes = figure.subplots()
    image = axes.imshow(np.outer(NUMBERS, NUMBERS), vmin=0, vmax=36, extent=(-1, 1, -1, 1), alpha=0.9)
    axes.contour(np.outer(NUMBERS, NUMBERS), extent=(-1, 1, -1, 1), colors="k")

    def update(x, y):
        image.set_data(np.outer(NUMBERS * x, NUMBERS * y))

    return update


def now_and_then(figure):
    """Words and images, one of them turned, that stay in most frames, while something moves beneath them."""
    axes, other = figure.subplots(1, 2)
    plain = axes.imshow(np.outer(NUMBERS, NUMBERS), vmin=0, vmax=36, extent=(0, 0.8, 0, 0.8), alpha=0.7, zorder=3)
    turned = other.imshow(np.eye(5), extent=(0, 0.6, 0, 0.6), alpha=0.7, zorder=3)
    turned.set_transform(Affine2D().rotate_deg(30) + other.transData)
    word = other.text(0.5, 0.9, "here", clip_on=True)
    boxed = axes.text(0.2, 1.2, "there", bbox={"boxstyle": "round,pad=1", "alpha": 0.5, "linewidth": 9}, zorder=4)
    moving = [each.plot([0, 1], [0, 1], lw=5)[0] for each in (axes, other)]
    for each in (axes, other):
        each.set(xlim=(0, 1), ylim=(0, 1), aspect="auto")

    def update(x, y):
        for line in moving[: 1 + (y > 0.3)]:
            line.set_ydata([x, y])
        if x <= 0.5:  # at the first frame: what moves is known from there on
            plain.set_data(np.outer(NUMBERS * x, NUMBERS * y))
            turned.set_data(x * np.eye(5))
            word.set_text(f"{x:.2f}")
            boxed.set_text(f"{y:.2f}")
        if y > 0.8:
            boxed.get_bbox_patch().set_facecolor("red")

    return update


def map_of_colours(figure):
    left, right = figure.subplots(1, 2)
    mesh = left.pcolormesh(np.outer(NUMBERS, NUMBERS), vmin=0, vmax=36)
    figure.colorbar(mesh)
    (line,) = right.plot([0, 1], [0, 1])
    stamp = right.add_artist(AnnotationBbox(OffsetImage(np.eye(9)), (0.5, 0.5), (0.1, 0.9), arrowprops={}))
    stamp.set_in_layout(False)

    def update(x, y):
        line.set_ydata([x, y])
        mesh.set_array(np.outer(NUMBERS * x, NUMBERS * y))  # matplotlib does not notice these two
        stamp.xy = (x, y)

    return update


def several_layers(figure):
    axes = figure.subplots()
    twin, inset = axes.twinx(), axes.inset_axes((0.6, 0.6, 0.3, 0.3))
    (low,) = axes.plot([0, 1], [0, 1], lw=9, zorder=1)
    band = axes.axvspan(0.2, 0.4, alpha=0.5)
    (high,) = twin.plot([0, 1], [1, 0], lw=9, clip_on=False)
    (small,) = inset.plot([0, 1], [0, 1], marker="s", markersize=30)
    axes.set_title("A title")

    def update(x, y):
        low.set_ydata([x, y])
        band.set_alpha(0.2 + x / 2)
        high.set_ydata([1 - x, 2 * y])
        small.set_ydata([y, x])

    return update


def whatever_else(figure):
    """Not only artists: limits, titles, ticks, legends, scales, new artists, visibility, order, size."""
    axes, other = figure.subplots(1, 2)
    (line,) = axes.plot([0, 1], [0, 1])
    bar = axes.bar([0.5], [0.5], width=0.2, color="C1")[0]
    mark = axes.text(0.5, 0.5, "x", clip_on=True)

    def update(x, y):
        line.set_ydata([x, y])
        what = int(x * 1000) % 13
        if what == 0:
            axes.set_xlim(-x, 1 + y)
        elif what == 1:
            axes.set_title(f"T = {x:.2f}\ngy")
        elif what == 2:
            axes.set_xticks([0, x, 1], ["left", f"{x:.1f}", "right"])
        elif what == 3:
            axes.legend([line], [f"{y:.2f}"])
        elif what == 4:
            other.plot([0, x], [0, y])
        elif what == 5:
            mark.set_visible(not mark.get_visible())
        elif what == 6:
            line.set_zorder(3 * y)
        elif what == 7:
            bar.set_clip_on(not bar.get_clip_on())
        elif what == 8:
            axes.relim()
            axes.autoscale()
        elif what == 9:
            figure.set_size_inches(3 + x, 2)
        elif what == 10:
            other.set_facecolor((x, y, 1.0))
            other.spines["top"].set_color((y, x, 0.0))
        elif what == 11:
            axes.set_yscale("linear" if axes.get_yscale() == "symlog" else "symlog")
        else:
            other.set_axis_off() if other.axison else other.set_axis_on()
        bar.set_height(y)

    return update


def polar(figure):
    axes = figure.add_subplot(projection="polar")
    (line,) = axes.plot(NUMBERS, NUMBERS)
    return lambda x, y: line.set_ydata(NUMBERS * x)


FIGURES = [bars, lines, points, words, field, now_and_then, map_of_colours, several_layers, whatever_else, polar]
STATES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=5)


class TestPixels:
    @pytest.mark.parametrize("make", FIGURES, ids=lambda make: make.__name__)
    @settings(max_examples=10, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(states=STATES, below=st.booleans(), layout=st.sampled_from([None, "constrained", "tight"]))
    def test_every_frame_is_to_the_pixel_what_matplotlib_draws(self, make, states, below, layout):
        with rc_context({"axes.axisbelow": below or "line"}):
            figure = Figure(figsize=(3, 2), layout=layout)
            update = make(figure)
            live = LiveFigure(figure, lambda x, y: update(x, y) and None, x=(0.0, 1.0, 0.001), y=(0.0, 1.0, 0.001))
            for x, y in states:
                live.set(x=x, y=y)
                # The canvas is shared: taken first, then drawn anew.
                np.testing.assert_array_equal(pixels(live.png()), in_full(figure))

    @pytest.mark.parametrize("what", range(13))
    def test_whatever_else_changes(self, what):
        figure = Figure(figsize=(3, 2))
        update = whatever_else(figure)
        live = LiveFigure(figure, lambda x, y: update(x, y) and None, x=(0.0, 1.0), y=(0.0, 1.0))
        for turn, y in ((40, 0.2), (41, 0.9), (3, 0.3), (60, 0.4)):
            live.set(x=(13 * turn + what + 0.5) / 1000, y=y)
            np.testing.assert_array_equal(pixels(live.png()), in_full(figure))

    @pytest.mark.parametrize(
        ("artist", "setting", "values"),
        [
            ("word", "text", ("one", "two")),
            ("word", "position", ((0.2, 0.3), (0.25, 0.3))),
            ("word", "color", ("black", "red")),
            ("word", "color", (np.zeros(3), np.array([1.0, 0.0, 0.0]))),
            ("word", "alpha", (None, 0.3)),
            ("word", "fontsize", (10, 14)),
            ("word", "fontweight", ("normal", "bold")),
            ("word", "rotation", (0, 90)),
            ("word", "ha", ("left", "right")),
            ("word", "visible", (True, False)),
            ("word", "bbox", (None, {"facecolor": "red"})),
            ("word", "path_effects", ([], [withStroke(linewidth=3, foreground="red")])),
            ("word", "transform", ("transData", "transAxes")),
            ("word", "clip_box", (None, Bbox([[0, 0], [90, 400]]))),
            ("image", "data", (np.eye(4), 1 - np.eye(4))),
            ("image", "clim", ((0, 1), (0, 2))),
            ("image", "cmap", ("gray", "viridis")),
            ("image", "norm", (Normalize(0, 1), PowerNorm(3, 0, 1))),
            ("image", "alpha", (None, 0.3)),
            ("image", "interpolation", ("nearest", "bilinear")),
            ("image", "extent", ((0, 1, 0, 1), (0, 0.5, 0, 0.5))),
        ],
    )
    def test_words_and_images_that_come_again_look_as_they_are_told_to(self, artist, setting, values):
        figure = Figure(figsize=(3, 2))
        axes, other = figure.subplots(1, 2)
        beneath = axes.plot([0, 1], [0, 1], linewidth=9)[0]
        artists = {"word": axes.text(0.2, 0.3, "one", clip_on=True), "image": other.imshow(np.eye(4) / 2, vmin=0, vmax=1)}
        axes.set(xlim=(-1, 1), ylim=(-1, 1))
        ways = {"data": lambda image, array: image.set_data(array / 2)}
        ways["transform"] = lambda word, name: word.set_transform(getattr(axes, name))

        def update(which, height):
            beneath.set_ydata([0, height])
            artists["word"].stale = artists["image"].stale = True
            ways.get(setting, lambda each, value: each.set(**{setting: value}))(artists[artist], values[which])

        live = LiveFigure(figure, lambda which, height: update(which, height) and None, which=(0, 1), height=(0.0, 1.0))
        for which, height in ((0, 0.0), (1, 0.0), (0, 0.0), (1, 0.5), (0, 0.5), (1, 0.0), (0, 0.0), (1, 0.0)):
            live.set(which=which, height=height)
            np.testing.assert_array_equal(pixels(live.png()), in_full(figure))

    def test_of_words_that_never_come_again_a_few_are_kept(self):
        figure = Figure(figsize=(3, 2))
        word = figure.text(0.1, 0.5, "")
        live = LiveFigure(figure, lambda x: word.set_text(f"{x}"), x=(0, 999))
        for x in range(1, 1000, 2):
            live.set(x=x)
        assert len(live._painter.seen) == painter.MOST_SEEN

    @pytest.mark.parametrize("make", FIGURES[:-2], ids=lambda make: make.__name__)
    def test_moving_artists_alone_never_redraws_the_rest(self, make):
        figure = Figure(figsize=(3, 2))
        update = make(figure)
        live = LiveFigure(figure, lambda x, y: update(x, y) and None, x=(0.0, 1.0), y=(0.0, 1.0))
        drawn = live._painter.full_draws
        for x in np.linspace(0, 1, 5):
            live.set(x=float(x))
        assert live._painter.full_draws == drawn == 2

    def test_changed_limits_redraw_the_rest_and_moving_goes_on_afterwards(self):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        (line,) = axes.plot([0, 1], [0, 1])

        def update(x, top):
            line.set_ydata([0, x])
            if axes.get_ylim()[1] != top:
                axes.set_ylim(0, top)

        live = LiveFigure(figure, update, x=(0, 9), top=(1, 9))
        drawn = live._painter.full_draws
        for top in (2, 3, 4):
            live.set(top=top)
        assert live._painter.full_draws == drawn + 3
        for x in (1, 2, 3):  # the background is drawn once more
            live.set(x=x)
        assert live._painter.full_draws == drawn + 4

    def test_axes_ticks_and_their_labels_are_not_drawn_again(self):
        live = sine()
        assert not [artist for artist in live._painter.over if "Axis" in type(artist).__name__]

    def test_twice_the_pixels_and_the_size_that_the_author_chose(self):
        live = sine()
        assert pixels(live.png()).shape == (400, 600, 3)
        assert live._image.layout.width == "300px"
        assert live._image.layout.max_width == "100%"

    def test_a_figure_used_again_keeps_its_size(self):
        figure = Figure(figsize=(3, 2))
        figure.subplots()
        for _ in range(2):
            live = LiveFigure(figure, lambda: None)
        assert pixels(live.png()).shape == (400, 600, 3)

    def test_a_figure_that_changes_its_size_is_shown_at_that_size(self):
        figure = Figure(figsize=(3, 2))
        live = LiveFigure(figure, lambda width: figure.set_size_inches(width, 2), width=(3, 6))
        live.set(width=5)
        assert pixels(live.png()).shape == (400, 1000, 3)
        assert live._image.layout.width == "500px"

    def test_a_legend_does_not_wander(self):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        (line,) = axes.plot([0, 1], [0, 1], label="a")
        legend = axes.legend()
        live = LiveFigure(figure, lambda y=1.0: line.set_ydata([1 - y, y]), y=(0.0, 1.0))
        bounds = legend.get_window_extent().bounds
        live.set(y=0.0)
        np.testing.assert_allclose(legend.get_window_extent().bounds, bounds)


def labels(live: LiveFigure) -> list[str]:
    """Of each control, the label that is tied to what takes the keyboard."""
    shown = live.widget.children[0].children[: len(live.controls)]
    return [(whole.children[0] if isinstance(whole, widgets.HBox) else whole).description for whole in shown]


class TestControls:
    def test_short_forms(self):
        def update(T, n, on, kind, named):
            return f"{T} {n} {on} {kind} {named}"

        live = LiveFigure(
            Figure(), update, T=(0.5, 1.0, 0.05), n=(1, 9), on=True, kind=["a", "b"], named={"one": 1.5, "two": 2.5}
        )
        kinds = [widgets.FloatSlider, widgets.IntSlider, widgets.Checkbox, widgets.Dropdown, widgets.Dropdown]
        assert [type(control) for control in live.controls.values()] == kinds
        assert live.controls["T"].readout_format == ".2f"
        assert live.values == {"T": 0.75, "n": 5, "on": True, "kind": "a", "named": 1.5}
        assert live.text == "0.75 5 True a 1.5"
        assert labels(live) == list(live.controls)
        assert all(getattr(control, "continuous_update", True) for control in live.controls.values())

    def test_ready_widgets_keep_their_label_and_value(self):
        slider = widgets.FloatLogSlider(value=10, base=10, min=-1, max=2, description="Temperature T")
        choice = widgets.ToggleButtons(options=[("hard", 0), ("soft", 1)], value=1)
        live = LiveFigure(Figure(), lambda T, labels: None, T=slider, labels=choice)
        assert live.values == {"T": 10, "labels": 1}
        assert labels(live) == ["Temperature T", "labels"]
        assert live.text == "T = 10.0, labels = 1"

    def test_a_slider_and_its_number_go_together(self):
        live = LiveFigure(Figure(), lambda T: None, T=widgets.FloatLogSlider(value=1, min=-1, max=2))
        field, slider = live.widget.children[0].children[0].children
        assert (field.min, field.max, field.value, field.description, slider.description) == (0.1, 100, 1, "T", "")
        live.set(T=1.2589254)
        assert (slider.value, field.value, live.frames) == (1.2589254, 1.26, 2)
        field.value = 5  # typed
        assert (slider.value, live.values, live.frames) == (5, {"T": 5}, 3)

    @pytest.mark.parametrize("readout_format", [".0%", ",.1f", ".2s", "$.2f", "d"])
    def test_a_number_that_is_shown_otherwise_is_typed_as_it_is(self, readout_format):
        slider = widgets.FloatSlider(value=1234.5, min=0, max=2000, readout_format=readout_format)
        live = LiveFigure(Figure(), lambda x: None, x=slider)
        field = live.widget.children[0].children[0].children[0]
        assert field.value == 1234.5
        live.set(x=1999.5)
        assert field.value == 1999.5

    @pytest.mark.parametrize("readout_format", [",d", ".1f", "x"])
    def test_a_whole_number_is_typed_as_it_is(self, readout_format):
        slider = widgets.IntSlider(value=1210, min=0, max=2000, readout_format=readout_format)
        live = LiveFigure(Figure(), lambda n: None, n=slider)
        assert live.widget.children[0].children[0].children[0].value == 1210

    def test_numpys_numbers_make_the_sliders_that_pythons_make(self):
        spec = {"n": (np.int64(0), np.int64(9)), "small": (np.int8(-100), np.int8(120), np.int8(2)), "x": (np.float64(0), 1)}
        live = LiveFigure(Figure(), lambda n, small, x: None, **spec)
        assert [type(control) for control in live.controls.values()] == [
            widgets.IntSlider, widgets.IntSlider, widgets.FloatSlider,
        ]  # fmt: skip
        assert live.values == {"n": 4, "small": 10, "x": 0.5}

    def test_the_buttons_of_a_choice_say_what_is_chosen(self):
        choice = widgets.ToggleButtons(options=[("hard", 0), ("soft", 1)], description="labels")
        LiveFigure(Figure(), lambda c: None, c=choice)
        assert list(choice.tooltips) == ["labels: hard", "labels: soft"]

    def test_short_forms_start_at_the_default_of_update(self):
        live = LiveFigure(Figure(), lambda T=2.5, kind="b": None, T=(0.0, 9.0), kind=["a", "b"])
        assert live.values == {"T": 2.5, "kind": "b"}

    @pytest.mark.parametrize(
        ("spec", "error"),
        [
            ((1,), TypeError),
            ((1, 2, 3, 4), TypeError),
            (("a", "b"), TypeError),
            ((0, float("inf")), TypeError),
            ((2, 1), ValueError),
            ((1, 2, 0), ValueError),
            ([], TypeError),
            (3.5, TypeError),
            (None, TypeError),
            (widgets.Layout(), TypeError),
        ],
        ids=repr,
    )
    def test_a_bad_control_is_named(self, spec, error):
        with pytest.raises(error, match=r"control T must (be|have) .*; got|control T must be a widget with"):
            LiveFigure(Figure(), lambda T: None, T=spec)

    def test_the_short_form_of_a_logarithmic_slider(self):
        live = LiveFigure(
            Figure(), lambda T, scale=3, tail=2.0: None, T=(1, 100, "log"), scale=(0.5, 10, "log"), tail=(2, 8, "log")
        )
        assert all(isinstance(control, widgets.FloatLogSlider) for control in live.controls.values())
        assert live.values == {"T": 1, "scale": 3, "tail": 2}
        live.set(T=100, scale=0.5, tail=8)
        assert live.values == {"T": 100, "scale": 0.5, "tail": 8}
        assert labels(live) == ["T", "scale", "tail"]
        field = live.widget.children[0].children[1].children[0]
        assert (field.min, field.max, field.value) == (0.5, 10, 0.5)

    @pytest.mark.parametrize(
        ("spec", "error", "message"),
        [
            ((0, 10, "log"), ValueError, r"control T, \(0, 10, 'log'\): low must be a finite number above 0, got 0"),
            ((10, 1, "log"), ValueError, "control T, .*: high must be above low, got low 10 and high 1"),
            (("1", 10, "log"), TypeError, "control T, .*: low must be a real number, got str"),
            ((1, 10, "lin"), TypeError, r'control T must be .* or \(min, max, "log"\), with finite numbers'),
            ((1, 10, 2, "log"), TypeError, r'control T must be .* or \(min, max, "log"\), with finite numbers'),
        ],
    )
    def test_a_bad_short_form_of_one_is_named(self, spec, error, message):
        with pytest.raises(error, match=message):
            LiveFigure(Figure(), lambda T: None, T=spec)

    def test_a_default_outside_the_range_is_named(self):
        with pytest.raises(ValueError, match=r"T must be a number from 0 to 1; got 2"):
            LiveFigure(Figure(), lambda T=2: None, T=(0.0, 1.0))

    def test_bad_arguments(self):
        with pytest.raises(TypeError, match=r"figure must be a matplotlib.figure.Figure, got str"):
            LiveFigure("figure", lambda: None)
        with pytest.raises(TypeError, match=r"update must be callable, got int"):
            LiveFigure(Figure(), 3)
        with pytest.raises(TypeError, match=r"update must accept the controls \(T\) .*unexpected keyword argument 'T'"):
            LiveFigure(Figure(), lambda: None, T=(0, 1))
        with pytest.raises(TypeError, match=r"update must accept the controls \(none\) .*missing a required argument: 'alpha'"):
            LiveFigure(Figure(), lambda alpha: None)
        with pytest.raises(TypeError, match=r"update must return a str, .* or None; got list"):
            LiveFigure(Figure(), lambda: [])


class TestSet:
    def test_moves_picture_text_and_widgets(self):
        live = sine()
        before = pixels(live.png())
        live.set(T=3.0)
        assert (pixels(live.png()) != before).any()
        assert (live.text, live.values, live.controls["T"].value) == ("T is 3.0", {"T": 3.0}, 3.0)
        assert bytes(live._image.value) == live.png()
        assert "T is 3.0" in live._words.value

    def test_several_values_make_one_frame(self):
        calls = []
        live = LiveFigure(Figure(), lambda a, b, c: calls.append((a, b, c)), a=(0, 9), b=(0, 9), c=False)
        live.set(a=1, b=2, c=True)
        assert calls == [(4, 4, False), (1, 2, True)]
        assert live.frames == 2

    def test_a_control_moved_makes_one_frame(self):
        live = sine()
        live.controls["T"].value = 1.5
        assert (live.text, live.frames) == ("T is 1.5", 2)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"T": 5.0}, r"T must be a number from 0.5 to 4; got 5.0"),
            ({"T": float("nan")}, r"T must be a number from 0.5 to 4; got nan"),
            ({"T": "3"}, r"T must be a number from 0.5 to 4; got '3'"),
            ({"log": 1000.0}, r"log must be a number from 0.1 to 100; got 1000.0"),
            ({"n": 1.5}, r"n must be a number from 0 to 3; got 1.5"),
            ({"kind": "c"}, r"kind must be one of 'a', 'b'; got 'c'"),
            ({"on": "yes"}, r"on must be a value that Checkbox takes, such as True; got 'yes'"),
            ({"t": 1.0}, r"t is no control of this figure; it has T, log, n, kind, on"),
        ],
        ids=str,
    )
    def test_a_bad_value_is_named_and_changes_nothing(self, values, message):
        log = widgets.FloatLogSlider(value=1, min=-1, max=2)
        live = LiveFigure(Figure(), lambda T, log, n, kind, on: None, T=(0.5, 4.0), log=log, n=(0, 3), kind=["a", "b"], on=True)
        before = live.values
        with pytest.raises(ValueError, match=message):
            live.set(**{"T": 1.0, **values})
        assert (live.values, live.frames) == (before, 1)


class TestErrors:
    def fragile(self):
        figure = Figure(figsize=(3, 2))
        axes = figure.subplots()
        (line,) = axes.plot([0, 1], [0, 1])

        def update(T=1.0):
            line.set_ydata([0, T])
            if T > 2:
                axes.set_title("half way")
                raise ValueError(f"T <b>{T}</b> is too hot")
            axes.set_title("")

        return LiveFigure(figure, update, T=(0.0, 4.0))

    def test_from_a_slider_the_message_is_shown_and_the_last_good_frame_stays(self):
        live = self.fragile()
        good = live.png()
        live.controls["T"].value = 3.0
        assert live.png() == good == bytes(live._image.value)
        assert live.error == "ValueError: T <b>3.0</b> is too hot"
        assert "ValueError: T &lt;b&gt;3.0&lt;/b&gt; is too hot" in live._alarm.value
        assert live.text == "T = 1.0"

    def test_the_next_good_frame_is_right_and_clears_the_message(self):
        live = self.fragile()
        live.controls["T"].value = 3.0
        live.controls["T"].value = 1.5
        assert (live.error, live._alarm.value, live.text) == (None, "", "T = 1.5")
        np.testing.assert_array_equal(pixels(live.png()), in_full(live.figure))

    def test_from_code_it_is_raised_as_well(self):
        live = self.fragile()
        with pytest.raises(ValueError, match="too hot"):
            live.set(T=3.0)
        assert "too hot" in live._alarm.value

    def test_text_is_escaped(self):
        live = LiveFigure(Figure(), lambda: "p < q & q > 0")
        assert "p &lt; q &amp; q &gt; 0" in live._words.value
        assert live.text == "p < q & q > 0"


def slow_figure():
    figure = Figure(figsize=(6, 3))
    axes = figure.subplots()
    axes.set(xlim=(0, 1000), ylim=(0, 1000))
    (curve,) = axes.plot([], [])
    drawn = []

    def draw(step):
        drawn.append(step)
        curve.set_data([0, step], [0, step])
        return f"step {step}"

    return LiveFigure(figure, lambda: draw(0)), draw, drawn


class TestRunning:
    @pytest.mark.parametrize(("cost", "frames"), [(0.0005, 30), (0.002, 30), (0.02, 4)])
    def test_draws_at_a_pace_that_costs_a_tenth_at_most_and_ends_with_the_last_state(self, monkeypatch, cost, frames):
        live, draw, drawn = slow_figure()
        clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
        monkeypatch.setattr("course_lib.live.figure.time", clock)
        drawn.clear()

        def slowly(step):
            clock.now += cost
            return draw(step)

        with live.running(slowly) as on_step:
            for step in range(1, 1001):
                clock.now += 0.001
                assert on_step(step) is False
            assert on_step.spent == pytest.approx(cost * len(drawn))
            assert on_step.spent <= 0.1 * clock.now
        assert frames - 1 <= len(drawn) <= frames + 1
        assert drawn[-1] == 1000
        assert live.text == "step 1000"
        assert bytes(live._image.value) == live.png()

    def test_stop(self):
        live, draw, drawn = slow_figure()
        with live.running(draw) as on_step:
            assert on_step(1) is False
            live._stop.click()
            assert on_step(2) is True
        assert drawn[-1] == 2

    def test_a_late_click_stops_nothing(self):
        live, draw, _ = slow_figure()
        live._stop.click()
        with live.running(draw) as on_step:
            assert on_step(1) is False

    def test_without_a_kernel_there_is_no_button_and_no_hint(self):
        live, draw, _ = slow_figure()
        with live.running(draw):
            assert live._stop.layout.display == "none"
            assert live._stop_hint.value == ""

    def test_an_exception_is_shown_and_raised(self):
        live, _, _ = slow_figure()
        with pytest.raises(ZeroDivisionError), live.running(lambda step: 1 / 0) as on_step:
            on_step(1)
        assert live.error.startswith("ZeroDivisionError")
        with pytest.raises(TypeError, match="draw must be callable"), live.running(None):
            pass

    def test_inside_an_update(self):
        live, draw, drawn = slow_figure()

        def train(T=0):
            if T:  # the first update runs before there is a name for the figure
                with live.running(draw) as on_step:
                    on_step(T)
            return f"trained at {T}"

        live = LiveFigure(live.figure, train, T=(0, 4))
        live.set(T=3)
        assert (live.text, drawn[-1]) == ("trained at 3", 3)


class TestLeavesNothingBehind:
    def test_no_pyplot(self):
        before = "matplotlib.pyplot" in sys.modules
        sine().set(T=1.0)
        assert ("matplotlib.pyplot" in sys.modules) == before

    def test_one_that_is_not_shown_is_freed_with_its_figure_and_widgets(self):
        gc.collect()
        before = set(open_widgets())
        live = sine()
        gone = [weakref.ref(live), weakref.ref(live.figure), weakref.ref(live.widget)]
        del live
        gc.collect()
        assert [ref() for ref in gone] == [None] * 3
        assert set(open_widgets()) <= before

    def test_close_takes_every_widget(self):
        gc.collect()
        before = set(open_widgets())
        live = sine()
        assert set(open_widgets()) - before
        live.close()
        live.close()
        assert set(open_widgets()) <= before

    def test_one_that_could_not_be_made_leaves_no_widget(self):
        gc.collect()
        before = set(open_widgets())
        with pytest.raises(ZeroDivisionError):
            LiveFigure(Figure(), lambda T: 1 / 0, T=(0, 1))
        gc.collect()
        assert set(open_widgets()) <= before


def open_widgets():
    try:
        from ipywidgets.widgets import widget as module

        return module._instances
    except AttributeError:  # ipywidgets 7
        return widgets.Widget.widgets


# ---- in a notebook ----

SETUP = textwrap.dedent(
    """
    import gc
    import time
    from matplotlib.figure import Figure
    from course_lib.live import LiveFigure

    def make():
        figure = Figure(figsize=(3, 2))
        (line,) = figure.subplots().plot([0, 1], [0, 1])
        def update(T=2.0):
            line.set_ydata([0, T])
            return f"slope {T}"
        return LiveFigure(figure, update, T=(0.0, 4.0))
    """
)
COUNT = "gc.collect(); sum(isinstance(thing, LiveFigure) for thing in gc.get_objects())"


def run_notebook(*sources: str):
    """The cells executed in a new kernel, as a notebook."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return notebook


@pytest.fixture(scope="module")
def executed():
    return run_notebook(
        SETUP,
        "live = make()\nlive",
        "display(make())",  # nobody else holds this one
        COUNT,
        "live.set(T=3.0)\nlive.png()[:4], live.text",
        "with live.running(lambda step: f'step {step}') as on_step:\n    for step in range(3): assert not on_step(step)",
        "live.text, live._stop.layout.display, live._stop_hint.value",
    )


class TestInANotebook:
    def test_output_has_widgets_a_picture_and_its_text(self, executed):
        output = executed.cells[1].outputs[0]
        assert set(output.data) == {"text/plain", "image/png", WIDGET_VIEW}
        assert output.data["text/plain"] == "slope 2.0"
        assert output.metadata["image/png"] == {"width": 300, "height": 200, "alt": "slope 2.0"}

    def test_one_on_display_is_kept(self, executed):
        assert executed.cells[3].outputs[0].data["text/plain"] == "2"

    def test_driven_from_code(self, executed):
        assert executed.cells[4].outputs[0].data["text/plain"] == r"(b'\x89PNG', 'slope 3.0')"

    def test_long_work_in_a_kernel(self, executed):
        assert executed.cells[6].outputs[0].data["text/plain"] == "('step 2', 'none', '')"

    def test_stripped_nothing_widget_shaped_is_left(self, executed):
        assert "widgets" in executed.metadata
        notebook = copy.deepcopy(executed)
        strip_widgets(notebook)
        assert "application/vnd.jupyter.widget" not in nbformat.writes(notebook)
        assert "widgets" not in notebook.metadata
        assert set(notebook.cells[1].outputs[0].data) == {"text/plain", "image/png"}
        assert notebook.cells[1].outputs[0].metadata == executed.cells[1].outputs[0].metadata
        nbformat.validate(notebook)

    def test_run_again_nothing_is_left_of_the_first_time(self):
        count = """gc.collect(); from ipywidgets.widgets import widget as module
(sum(isinstance(thing, Figure) and hasattr(thing.canvas, 'renderer') for thing in gc.get_objects()),
 len(module._instances if hasattr(module, '_instances') else module.Widget.widgets))"""
        guess = "from course_lib.live import Guess\nguess = Guess('How many?', (0, 9))\nguess"
        cells = [SETUP, "live = make()\nlive", "display(make())", guess, count]
        notebook = run_notebook(*cells, *cells, *cells)
        counts = [notebook.cells[number].outputs[0].data["text/plain"] for number in (4, 9, 14)]
        assert counts[0] == counts[1] == counts[2]


def test_nbval_passes_on_what_is_saved_with_widgets_and_without(tmp_path):
    notebook = run_notebook(SETUP, "make()", "live = make()\nlive.set(T=1.0)\ndisplay(live)")
    nbformat.write(notebook, tmp_path / "live.ipynb")
    strip_widgets(notebook)
    nbformat.write(notebook, tmp_path / "stripped.ipynb")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--nbval",
        "--nbval-current-env",
    ]
    result = subprocess.run([*command, "."], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "6 passed" in result.stdout, result.stdout


def test_the_kernel_gets_every_request_that_came_while_the_button_was_watched():
    """Requests sent while a cell polls are handled afterwards, in their order, and a click among them is seen at once."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive(SETUP + "live = make(); seen = []", timeout=60)
        reply = client.execute_interactive("", user_expressions={"id": "live._stop.model_id"}, timeout=60)
        button = reply["content"]["user_expressions"]["id"]["data"]["text/plain"].strip("'")
        long = client.execute(
            "t = time.time()\nwith live.running(lambda i: None) as on_step:\n"
            "    i = 0\n    while not on_step(i) and time.time() - t < 20: i += 1; time.sleep(0.001)\n"
            "seen.append(time.time() - t < 10)"
        )
        wait = time.time() + 10
        while client.get_iopub_msg(timeout=10)["msg_type"] != "comm_msg" and time.time() < wait:
            pass  # the button appears: the work has begun
        later = [client.execute(f"seen.append({number})") for number in range(5)]
        click = {"comm_id": button, "data": {"method": "custom", "content": {"event": "click"}}}
        client.shell_channel.send(client.session.msg("comm_msg", click))
        last = client.execute("print(seen)")
        replies = [client.get_shell_msg(timeout=60)["parent_header"]["msg_id"] for _ in range(7)]
        assert replies == [long, *later, last]
        while (message := client.get_iopub_msg(timeout=10))["msg_type"] != "stream":
            pass
        assert message["content"]["text"].strip() == "[True, 0, 1, 2, 3, 4]"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_lock_is_held_while_drawing():
    """A front end may deliver a slider's message in another thread while long work draws: never two at a time."""
    live = sine()
    entered = []
    inner = live._painter.png

    def png():
        entered.append(live._lock._is_owned())
        return inner()

    live._painter.png = png
    live.set(T=1.0)
    live.controls["T"].value = 2.0
    with live.running(lambda: None) as on_step:
        on_step()
    assert entered == [True] * 3


def test_an_axis_label_that_changes_is_drawn_again():
    figure = Figure(figsize=(3, 2))
    axes = figure.subplots()
    (line,) = axes.plot([0, 1], [0, 1])
    label = axes.set_xlabel("one")

    def update(n=1):
        line.set_ydata([0, n / 9])
        label.set_text("one" if n < 5 else "another")

    live = LiveFigure(figure, update, n=(1, 9))
    before = pixels(live.png())
    live.set(n=2)
    live.set(n=8)
    live.set(n=1)
    np.testing.assert_array_equal(pixels(live.png()), before)
    label.set_text("another")
    live.set(n=9)
    live.set(n=1)
    np.testing.assert_array_equal(pixels(live.png()), before)
    figure_anew = Figure(figsize=(3, 2))
    axes_anew = figure_anew.subplots()
    axes_anew.plot([0, 1], [0, 8 / 9])
    axes_anew.set(xlabel="another", ylim=axes.get_ylim(), xlim=axes.get_xlim())
    live.set(n=8)
    np.testing.assert_array_equal(pixels(live.png()), pixels(LiveFigure(figure_anew, lambda: None).png()))


def test_a_saved_notebook_shows_the_stills_under_each_other():
    live = sine(T=(0.0, 4.0), stills=[{"T": 1.0}, {"T": 4.0}])
    shown = live.png()
    data, metadata = live._repr_mimebundle_()
    assert data["text/plain"] == "T is 1.0\nT is 4.0"
    assert live.values == {"T": 2.0}
    assert live.text == "T is 2.0"
    assert live.png() == shown
    alone = []
    for T in (1.0, 4.0):
        live.set(T=T)
        alone.append(pixels(live.png()))
    assert np.array_equal(pixels(base64.b64decode(data["image/png"])), np.vstack(alone))
    height, width = alone[0].shape[:2]
    assert metadata["image/png"] == {"width": width // 2, "height": height, "alt": data["text/plain"]}


def test_a_still_of_a_control_that_is_not_there():
    with pytest.raises(ValueError, match="alpha is no control of this figure; it has T"):
        sine(T=(0.0, 4.0), stills=[{"alpha": 1}])
