"""Assertions on live figures, for the tests of every notebook's figures."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from course_lib.live import LiveFigure

WIDEST = 900  # CSS pixels: fits a page of 1024 beside the margins of a notebook


def pixels(png: bytes) -> np.ndarray:
    """Return what a frame shows, (height, width, 3): two files may hold the same pixels and differ in how they are packed."""
    return np.asarray(Image.open(io.BytesIO(png)))


def assert_only_artists_move(live: LiveFigure, states: list[dict]) -> None:
    """Through all states: no frame is drawn in full, no two are alike, and they fit the page. Closes the figure."""
    draws, seen = live._painter.full_draws, set()
    for state in states:
        live.set(**state)
        seen.add((pixels(live.png()).tobytes(), live.text))
    assert live._painter.full_draws == draws
    assert len(seen) == len(states)
    assert pixels(live.png()).shape[1] <= 2 * WIDEST
    live.close()


def assert_frames_are_new_drawings(figure, update: Callable, states: list[dict], controls: Callable[..., dict]) -> None:
    """From the first state through the others, each picture is another, and the last is what a new LiveFigure draws there."""
    live = LiveFigure(figure, update, **controls(**states[0]))
    drawn = live._painter.full_draws
    frames = []
    for state in states[1:]:
        live.set(**state)
        frames.append(pixels(live.png()).tobytes())
    assert live._painter.full_draws == drawn  # only artists were moved
    assert len(set(frames)) == len(frames)
    assert pixels(LiveFigure(figure, update, **controls(**states[-1])).png()).tobytes() == frames[-1]
    assert live._painter.css_size[0] <= WIDEST


def as_live_figures(moves: dict[str, tuple]) -> dict[str, Callable]:
    """Make of name -> (function that gives a figure and its update, states, controls): name -> how to make a LiveFigure and
    the states that it is brought to after the first."""

    def maker(make, states, controls):
        return lambda: (LiveFigure(*make(), **controls(**states[0])), states[1:])

    return {name: maker(*move) for name, move in moves.items()}
