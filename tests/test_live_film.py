"""Films: which states they have, that each frame is what the figure shows, and what comes of figures with little to move."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from course_lib.live import LiveFigure, log_slider
from course_lib.live import film as films
from course_lib.live.film import Reel, film
from course_lib.live.states import plan, spread


def bars(stills=(), **controls):
    """A figure whose bar is as high as x; its text says all values."""
    figure = Figure((3, 2), dpi=100)
    axes = figure.add_subplot(xlim=(-1, 1), ylim=(0, 10))
    (bar,) = axes.bar([0], [1], color="#0072b2")

    def update(x=1, **values):
        bar.set_height(x)
        bar.set_color("#d55e00" if values.get("kind") == "warm" else "#0072b2")
        return f"x = {x:g} {values}"

    return LiveFigure(figure, update, stills=stills, **controls)


def pixels(webp):
    return np.array(Image.open(io.BytesIO(webp)).convert("RGB")).astype(int)


def shown(made, number):
    """What a page shows in a state: the picture below, with a frame over it."""
    left, top, right, bottom = made.region
    picture = pixels(made.below)
    picture[top:bottom, left:right] = pixels(made.frames[made.shown[number]])
    return picture


def assert_films(live, made):
    for number in range(len(made.states)):
        live.set(**made.values(number))
        wanted = np.array(Image.open(io.BytesIO(live.png())).convert("RGB")).astype(int)
        apart = np.abs(shown(made, number) - wanted)
        assert made.texts[number] == live.text
        assert apart.mean() < 0.5
        assert np.quantile(apart, 0.999) <= 24


def test_each_frame_is_what_the_figure_shows_but_for_its_packing():
    live = bars(x=(0, 9), kind=["cold", "warm"])
    made = film(live)
    assert [len(track.values) for track in made.tracks] == [10, 2]
    assert len(made.shown) == len(made.texts) == 20
    assert_films(live, made)
    white = shown(made, 0)[0, 0]
    assert white.tolist() == [255, 255, 255]


def test_what_frames_have_in_common_is_kept_once():
    made = film(bars(x=(0, 9), unused=["a", "b", "c"]))
    assert len(made.frames) == 10
    assert len(made.shown) == 30
    left, top, right, bottom = made.region
    assert (right - left) * (bottom - top) < 0.6 * 600 * 400
    assert all(side % 2 == 0 for side in made.region)
    np.testing.assert_array_equal(shown(made, made.start), pixels(made.below))


def test_the_figure_is_left_as_it_was_also_when_a_state_fails():
    live = bars(x=(0, 9), kind=["cold", "warm"])
    live.set(x=3, kind="warm")
    film(live)
    assert live.values == {"x": 3, "kind": "warm"}
    figure = Figure()

    def update(x=0):
        if x > 7:
            raise ArithmeticError("too much")

    live = LiveFigure(figure, update, x=(0, 9))
    with pytest.raises(ArithmeticError, match="too much"):
        film(live)
    assert live.values == {"x": 0}


def test_a_film_starts_as_the_first_still_and_has_all_of_them():
    live = bars(stills=[{"x": 4.3}, {"x": 77.0}], x=log_slider(0.1, 100.0), other=(0, 9))
    made = film(live)
    (x, other) = made.tracks
    assert x.values[x.start] == 4.3
    assert 77.0 in x.values
    assert x.values[0] == 0.1
    assert x.values[-1] == 100
    assert other.values[other.start] == 4
    assert made.texts[made.start].startswith("x = 4.3 ")


def test_where_nothing_moves_there_is_no_film():
    assert film(LiveFigure(Figure(), lambda: "")) is None
    assert film(LiveFigure(Figure(), lambda name: "", name=widgets.Text("smi"))) is None


def test_no_more_frames_than_are_affordable(monkeypatch):
    monkeypatch.setattr(films, "MOST_BYTES", 1)
    made = film(bars(x=(0, 1000), y=(0.0, 1.0), kind=["cold", "warm"]))
    assert len(made.shown) <= films.FEWEST_FRAMES


# ---- long work ----


def test_of_long_work_the_states_shown_become_a_film():
    figure = Figure((2, 1), dpi=100)
    (line,) = figure.add_subplot(ylim=(0, 5)).plot([0, 1], [0, 0])
    live, reel = LiveFigure(figure, lambda: "at the start"), Reel()
    live.recorder = reel

    def draw(step):
        line.set_ydata([0, step])
        return f"step {step}"

    with live.running(draw) as on_step:
        for step in range(5):
            on_step(step)
            on_step.finish()  # drawn at once, whether or not it is due
    made = film(live, reel)
    assert made.texts == [f"step {step}" for step in range(5)]
    assert [(track.kind, track.words, track.start) for track in made.tracks] == [("slider", ["1", "2", "3", "4", "5"], 4)]
    assert len(made.frames) == 5
    assert np.abs(shown(made, 4) - np.array(Image.open(io.BytesIO(live.png())).convert("RGB"))).mean() < 0.5


def test_a_reel_keeps_every_other_state_of_many_and_always_the_last():
    reel, live = Reel(most=10), LiveFigure(Figure((1, 1)), lambda: "")
    for step in range(38):
        live.text = str(step)
        reel(live)
    kept = [int(text) for _, text in reel.all()]
    assert kept[0] == 0
    assert kept[-1] == 37
    assert len(kept) <= 11
    assert len(set(np.diff(kept[:-1]))) == 1


# ---- which states ----


def values_of(budget, start=None, **controls):
    live = LiveFigure(Figure(), lambda **values: "", **controls)
    tracks, states = plan(live, {**live.values, **(start or {})}, budget)
    assert len(states) <= max(budget, 1)
    return {track.name: track.values for track in tracks}


def test_the_finest_slider_moves_in_many_steps_the_others_stand_where_it_matters():
    found = values_of(120, picture=(0, 24), T=(0.0, 10.0, 0.1))
    assert found["picture"] == [0, 12, 24]
    assert len(found["T"]) == 40
    assert {0.0, 5.0, 10.0} <= set(found["T"])


def test_menus_and_checkboxes_have_all_options_while_there_is_room():
    assert values_of(120, x=(0, 9), kind=list("abcd"), on=False) == {
        "x": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        "kind": list("abcd"),
        "on": [False, True],
    }
    found = values_of(40, x=(0, 9), kind=list("abcdefgh"), on=False)
    assert [len(values) for values in found.values()] == [6, 5, 2]


def test_of_many_controls_one_moves_at_a_time():
    controls = {"T": (1, 100, "log"), "scale": (0.5, 10.0, 0.5), "classes": [2, 3, 10, 100]}
    live = LiveFigure(Figure(), lambda **values: "", **controls)
    tracks, states = plan(live, live.values, 60)
    start = [track.start for track in tracks]
    assert [len(track.values) for track in tracks] == [10, 3, 4]
    assert len(states) == len(set(states)) == 60
    assert all((scale == start[1]) or (classes == start[2]) for _, scale, classes in states)
    assert tuple(start) in states


def test_a_field_for_text_has_what_stills_say():
    assert values_of(9, name=widgets.Text("sz")) == {"name": ["sz"]}
    live = LiveFigure(Figure(), lambda name: "", name=widgets.Text("sz"), stills=[{"name": "joh"}, {"name": "q"}])
    (track,), states = plan(live, {"name": "joh"}, 9)
    assert (track.kind, track.words, states) == ("menu", ["joh", "q"], [(0,), (1,)])


def test_a_selection_slider_keeps_its_words():
    slider = widgets.SelectionSlider(options=[("0 %", 0.0), ("50 %", 0.5)], description="own roads")
    live = LiveFigure(Figure(), lambda share, x: "", share=slider, x=(0.0, 1.0, 0.25))
    share, x = plan(live, live.values, 99)[0]
    assert (share.label, share.kind, share.words) == ("own roads", "slider", ["0 %", "50 %"])
    assert (x.kind, x.words, x.start) == ("slider", ["0", "0.25", "0.5", "0.75", "1"], 2)


@pytest.mark.parametrize(
    ("count", "wanted", "found"),
    [
        (99, (), list(range(11))),
        (3, (), [0, 5, 10]),
        (3, (4,), [0, 4, 10]),
        (3, (5,), [0, 5, 10]),
        (2, (4,), [0, 4, 10]),
        (3, (4, 6), [0, 4, 6, 10]),
    ],
)
def test_values_are_spread_evenly_and_those_wanted_take_the_nearest_place(count, wanted, found):
    assert spread(list(range(11)), count, wanted) == found
