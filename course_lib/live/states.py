"""Which states of a live figure are worth a frame: the finest slider in many steps, the other controls where it matters."""

import math
from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

import ipywidgets as widgets

from course_lib.live.controls import value_range
from course_lib.live.figure import LiveFigure

MOST_STEPS = 41  # of one slider
FEWEST_STEPS = {0: 2, 1: 15}  # of the finest slider, by how many others there are: before it gets fewer, they lose values
FEWEST_BESIDE_MANY, FEWEST_BESIDE_MENUS = 9, 6  # a menu keeps its options longer than a slider its steps

NUMBERS = (widgets.IntSlider, widgets.FloatSlider, widgets.FloatLogSlider)


class Track(NamedTuple):
    """A control of a film: its name and label, whether it is a "slider", a "menu" or a "checkbox", the values that it can
    have and the words for them, and the number of that in which the film starts.
    """

    name: str
    label: str
    kind: str
    values: list
    words: list[str]
    start: int


def plan(live: LiveFigure, start: dict, budget: int) -> tuple[list[Track], list[tuple[int, ...]]]:
    """Return the tracks of a figure's controls, in their order, and the states that they can be in: for each the numbers of its
    values. There are at most `budget` states, if that is possible.

    start: the values in which the film starts. They are among the states, and so are those of the figure's stills, as far as
    there is room. Of several controls beside the finest, each moves while the others stand as in the start, where there is no
    room for all combinations.
    """
    wanted = {name: _distinct([start[name], *(still.get(name, start[name]) for still in live.stills)]) for name in start}
    every = {name: _values(control, wanted[name]) for name, control in live.controls.items()}
    sliders = [name for name, control in live.controls.items() if isinstance(control, NUMBERS)]
    finest = max(sliders or every, key=lambda name: len(every[name]), default=None)
    matter = {name: _that_matter(live.controls[name], wanted[name], values) for name, values in every.items() if name != finest}
    fewest = min(FEWEST_STEPS.get(len(matter), FEWEST_BESIDE_MANY), len(every.get(finest, ())))
    together = budget // math.prod(len(values) for values in matter.values()) >= fewest
    if not together:
        _trim({name: values for name, values in matter.items() if name in sliders}, matter, budget, fewest)
        _trim(matter, matter, budget, min(fewest, FEWEST_BESIDE_MENUS))
    chosen = {name: [value for value in every[name] if value in values] for name, values in matter.items()}
    if finest is not None:
        planes = math.prod(len(values) for values in matter.values()) if together else _planes(matter)
        chosen[finest] = spread(every[finest], min(budget // planes, MOST_STEPS), wanted[finest])
    tracks = [_track(live, name, chosen[name], start[name]) for name in live.controls]
    states = product(*(range(len(track.values)) for track in tracks))
    return tracks, [state for state in states if together or _moved(tracks, state, finest) <= 1]


def _trim(some: dict[str, list], matter: dict[str, list], budget: int, fewest: int) -> None:
    """Take values from the longest of `some`, down to two, until the finest slider can have `fewest` steps."""
    while budget // _planes(matter) < fewest and any(len(values) > 2 for values in some.values()):
        some[max(reversed(some), key=lambda name: len(some[name]))].pop()


def _planes(matter: dict[str, list]) -> int:
    """Return in how many ways one control at most is not where it starts."""
    return 1 + sum(len(values) - 1 for values in matter.values())


def _moved(tracks: list[Track], state: tuple[int, ...], finest: str | None) -> int:
    return sum(number != track.start for track, number in zip(tracks, state, strict=True) if track.name != finest)


def spread(values: list, count: int, wanted: Iterable = ()) -> list:
    """Return about `count` of the values, evenly from the first to the last, with those wanted in place of their neighbours."""
    if count >= len(values):
        return values
    last = len(values) - 1
    chosen = {round(k * last / max(1, count - 1)) for k in range(max(2, count))}
    for number in sorted(values.index(value) for value in wanted):
        if number not in chosen:
            kept = {0, last, *(values.index(value) for value in wanted)}
            near = min(chosen - kept, key=lambda other: abs(other - number), default=None)
            chosen = (chosen - {near}) | {number}
    return [values[number] for number in sorted(chosen)]


def _values(control: widgets.Widget, wanted: list) -> list:
    """Return all values that a control can have, in its order; of a field for text, those wanted."""
    if control.has_trait("options"):
        return [value for _, value in control._options_full]
    if isinstance(control, NUMBERS):
        low, high = value_range(control)
        if control.has_trait("base"):
            steps = round((control.max - control.min) / control.step)
            values = [low, *(control.base ** (control.min + k * control.step) for k in range(1, steps)), high]
        else:
            steps = math.floor((high - low) / control.step + 1e-9)
            values = [low + k * control.step for k in range(steps + 1)]
            if isinstance(control, widgets.FloatSlider):
                values = [float(f"{value:.10g}") for value in values]
        # Values that are wanted as they are, not as a step gives them.
        near = {min(values, key=lambda value: abs(value - each)): each for each in wanted}
        return [near.get(value, value) for value in values]
    return [False, True] if isinstance(control, widgets.Checkbox) else list(wanted)


def _that_matter(control: widgets.Widget, wanted: list, values: list) -> list:
    """Return the values at which to hold a control while another moves, the most needed first."""
    if isinstance(control, NUMBERS):
        return _distinct([*wanted, values[0], values[-1], values[len(values) // 2]])
    return _distinct([*wanted, *values])


def _track(live: LiveFigure, name: str, values: list, start) -> Track:
    control = live.controls[name]
    if isinstance(control, widgets.Checkbox):
        kind, words = "checkbox", ["off", "on"]
    elif control.has_trait("options"):
        kind = "slider" if isinstance(control, widgets.SelectionSlider) else "menu"
        labels = {value: label for label, value in control._options_full}
        words = [str(labels[value]) for value in values]
    else:
        kind = "slider" if isinstance(control, NUMBERS) else "menu"
        words = [_word(control, value) for value in values]
    return Track(name, live.labels[name], kind, values, words, values.index(start))


def _word(control: widgets.Widget, value) -> str:
    return f"{value:.{3 if control.has_trait('base') else 4}g}" if isinstance(value, float) else str(value)


def _distinct(values: Iterable) -> list:
    return list(dict.fromkeys(values))
