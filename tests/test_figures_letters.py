"""What notebook 08 draws of single letters: at every state of every control, the artists and the words show numbers by hand."""

import ipywidgets as widgets
import pytest
import torch
from live_frames import as_live_figures, assert_frames_are_new_drawings
from matplotlib.figure import Figure

from course_lib.figures import letters
from course_lib.figures.parts import find
from course_lib.figures.style import StaticFigure

SYMBOLS = ".abc"
NAMES = ("ab", "abc", "b")


def teacher(prefix):
    """After an a comes b, else anything."""
    return torch.tensor([0.1, 0.0, 0.9, 0.0] if prefix.endswith("a") else [0.4, 0.3, 0.2, 0.1])


def names(prefix):
    after = [(name + ".")[len(prefix)] for name in NAMES if name.startswith(prefix)]
    return torch.tensor([after.count(symbol) for symbol in SYMBOLS]) / max(1, len(after))


def count(prefix):
    return sum(name.startswith(prefix) for name in NAMES)


def next_letter():
    return letters.live_next_letter({"teacher": ("teacher", teacher), "names": ("labels", names)}, SYMBOLS, count)


def heights(bars):
    return [bar.get_height() for bar in bars]


# ---- the next letter ----


def test_each_source_has_its_bars_and_the_words_their_numbers():
    figure, update = next_letter()
    assert update("a") == "After 'a', which begins 2 of 3 names: teacher b 90.0 %, end 10.0 %; names b 100.0 %"
    assert heights(find(figure, "teacher")) == pytest.approx([0.1, 0, 0.9, 0])
    assert heights(find(figure, "names")) == pytest.approx([0, 0, 1, 0])
    assert (find(figure, "begun").get_text(), find(figure, "count").get_text()) == ("a…", "begins 2 of 3 names")
    assert update("ab").endswith("names end 50.0 %, c 50.0 %")
    assert heights(find(figure, "names")) == pytest.approx([0.5, 0, 0, 0.5])


def test_a_beginning_that_no_name_has():
    figure, update = next_letter()
    assert update("ca") == "After 'ca', which begins 0 of 3 names: teacher b 90.0 %, end 10.0 %; names nothing"
    assert heights(find(figure, "names")) == [0, 0, 0, 0]


def test_what_is_typed_may_have_capitals_and_blanks_around_it():
    _, update = next_letter()
    assert update(" A ") == update("a")


def test_bars_of_sources_stand_side_by_side():
    figure, _ = next_letter()
    one, other = (find(figure, name) for name in ("teacher", "names"))
    for left, right in zip(one, other, strict=True):
        assert left.get_x() + left.get_width() <= right.get_x() + 1e-9


# ---- letters that are alike ----


def likeness_map():
    likeness = torch.tensor([[9, 9, 9, 9], [9, 5, 2, 0.5], [9, 2, 5, 1], [9, 0.5, 1, 5]])
    return letters.plot_likeness(likeness, SYMBOLS, "bca")


def test_the_map_names_for_each_letter_the_one_most_alike(monkeypatch):
    kept = []
    monkeypatch.setattr(letters, "StaticFigure", lambda figure, text: kept.append(figure) or StaticFigure(figure, text))
    picture = likeness_map()
    assert picture.text.endswith("how many times chance: b: a 2.0, c: b 1.0, a: b 2.0")
    (figure,) = kept
    assert isinstance(figure, Figure)
    shown = find(figure, "likeness").get_array()
    assert shown.mask.tolist() == torch.eye(3, dtype=torch.bool).tolist()
    assert shown[0, 1] == 1
    assert shown[0, 2] == shown[2, 0] == 2
    assert shown[1, 2] == 0.5
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == list("bca")


# ---- what is kept of a row ----

WHOLE, CUT, REST, DRAWS = letters.WAYS
P = torch.tensor([0.5, 0.25, 0.15, 0.1])


def test_what_each_way_tells():
    assert letters.keep(P, WHOLE, 2) == (pytest.approx(P.tolist()), 0, 0, 0)
    assert letters.keep(P, CUT, 2) == (pytest.approx([2 / 3, 1 / 3, 0, 0]), 0, pytest.approx(0.25), pytest.approx(0.25))
    assert letters.keep(P, REST, 2) == (pytest.approx([0.5, 0.25, 0, 0]), pytest.approx(0.25), 0, 0)
    drawn = letters.keep(P, DRAWS, 4, seed=1)
    assert sum(drawn.told) == pytest.approx(1)
    assert all((4 * share) % 1 == 0 for share in drawn.told)
    assert drawn.elsewhere == pytest.approx(sum(abs(a - b) for a, b in zip(drawn.told, P.tolist(), strict=True)) / 2)


def test_draws_are_right_on_average_and_a_cut_row_is_not():
    average = torch.tensor([letters.keep(P, DRAWS, 3, seed).told for seed in range(4000)]).mean(0)
    assert (average - P).abs().sum() / 2 < 0.02
    assert letters.keep(P, DRAWS, 3).bias == 0
    assert (torch.tensor(letters.keep(P, CUT, 3).told) - P).abs().sum() / 2 == pytest.approx(letters.keep(P, CUT, 3).bias)


def kept():
    return letters.live_kept(torch.tensor([0.15, 0.5, 0.1, 0.25]), SYMBOLS, "ba")


def test_the_row_is_sorted_and_what_is_told_stands_beside_it():
    figure, update = kept()
    assert update(CUT, 2) == "2 largest, renormalised: told a 66.7 %, c 33.3 %; 25.0 % is elsewhere"
    row, told = find(figure, "teacher"), find(figure, "what the student is told")
    assert heights(row) == pytest.approx([0.5, 0.25, 0.15, 0.1, 0])
    assert heights(told) == pytest.approx([2 / 3, 1 / 3, 0, 0, 0])
    assert [bar.get_visible() for bar in told] == [True, True, False, False, False]  # else a dash on the axis
    assert find(figure, "elsewhere").get_text() == "25.0 % of the probability is elsewhere"
    assert find(figure, "bias").get_text() == ""
    assert update(REST, 1) == "1 largest and the rest: told a 50.0 %, all others 50.0 %; 0 % is elsewhere"
    assert heights(row)[-1] == heights(told)[-1] == pytest.approx(0.5)
    text = update(DRAWS, 3, 5)
    assert text.startswith("3 draws: told ")
    assert text.endswith("0 % on average over draws (this is draw 5)")
    assert find(figure, "bias").get_text() == "0 % on average over draws"
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "c", "end", "b", "rest"]


# ---- moved, not drawn anew ----

MOVES = {
    "live_next_letter": (
        next_letter,
        [{"prefix": ""}, {"prefix": "a"}, {"prefix": "ab"}, {"prefix": "ca"}],
        lambda prefix: {"prefix": widgets.Text(prefix)},
    ),
    "live_kept": (
        kept,
        [
            {"way": WHOLE, "k": 1, "draw": 0},
            {"way": CUT, "k": 2, "draw": 0},
            {"way": REST, "k": 2, "draw": 0},
            {"way": DRAWS, "k": 3, "draw": 1},
        ],
        lambda way, k, draw: {
            "way": widgets.Dropdown(options=letters.WAYS, value=way),
            "k": widgets.IntSlider(k, 1, 3),
            "draw": widgets.IntSlider(draw, 0, 5),
        },
    ),
}
LIVE = as_live_figures(MOVES)
STATIC = {"plot_likeness": likeness_map}


@pytest.mark.parametrize("name", MOVES)
def test_a_frame_is_what_a_new_drawing_of_the_same_state_would_be(name):
    make, states, controls = MOVES[name]
    assert_frames_are_new_drawings(*make(), states, controls)
