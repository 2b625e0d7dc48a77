"""`film(live)`: a live figure as a strip of frames that a page shows and moves without a kernel.

Which states: `course_lib.live.states` chooses. What the frames have in common is kept once, as the picture below; each of them
holds the region in which any two differ, in the film's own few colours, which drawings of axes are made of.
"""

import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from course_lib.live.figure import LiveFigure
from course_lib.live.states import Track, plan

MOST_FRAMES, FEWEST_FRAMES = 120, 24
MOST_BYTES = 850_000  # of all frames of a film
SAMPLES = 9  # states looked at beforehand, for the colours and the size of a frame
EXACT, COLOURS = 40, 96  # the most frequent colours are kept as they are; the others share the rest of a palette
MARGIN = 4  # pixels around what changes: at the seam both pictures are the same, however they are scaled
PACKING = {"format": "WEBP", "lossless": True, "method": 3, "quality": 40}


class Film(NamedTuple):
    """tracks: the controls. below: a WebP, the whole picture in the state in which the film starts. size: its (width, height)
    in CSS pixels; it has twice as many. region: (left, top, right, bottom), in its pixels, where a frame lies over it.
    frames: WebPs, no two the same. states: for each the numbers of the tracks' values. shown, texts: of each state the number
    of its frame, and its text equivalent.
    """

    tracks: list[Track]
    below: bytes
    size: tuple[int, int]
    region: tuple[int, int, int, int]
    frames: list[bytes]
    states: list[tuple[int, ...]]
    shown: list[int]
    texts: list[str]

    @property
    def start(self) -> int:
        """The number of the state in which the film starts."""
        return self.states.index(tuple(track.start for track in self.tracks))

    def values(self, number: int) -> dict:
        """Return the values of the controls in a state."""
        return _values(self.tracks, self.states[number])


class Reel:
    """What a figure showed while long work ran: PNGs with their texts, at most `most`; of more, every other one is dropped."""

    def __init__(self, most: int = 60):
        self.most, self.every, self.seen, self.shots = most, 1, 0, []

    def __call__(self, live: LiveFigure) -> None:
        """Keep the frame that the figure shows now."""
        if self.seen % self.every == 0:
            self.shots.append((live.png(), live.text))
        self.last, self.seen = (live.png(), live.text), self.seen + 1
        if len(self.shots) > self.most:
            self.shots, self.every = self.shots[::2], 2 * self.every

    def all(self) -> list[tuple[bytes, str]]:
        """Return what was kept, in order; the last state is always among it."""
        return self.shots if not self.shots or self.shots[-1] == self.last else [*self.shots, self.last]


def film(live: LiveFigure, reel: Reel | None = None) -> Film | None:
    """Return the film of a figure under its controls, or, where these have one state in all, of its `reel`.

    None where there is nothing to move. The figure is left in the state in which it was. Raises what `update` raises.
    """
    start = {**live.values, **(live.stills[0] if live.stills else {})}
    before = live.values

    def look(values: dict) -> tuple[np.ndarray, str]:
        live.set(**values)
        return live._painter.pixels()[..., :3], live.text

    try:
        tracks, states = plan(live, start, SAMPLES)
        if len(states) > 1:
            few = [_values(tracks, state) for state in _spread(states)]
            tracks, states = plan(live, start, _affordable([look(values)[0] for values in few]))
            return _packed(live, tracks, states, [_values(tracks, state) for state in states], look)
    finally:
        if live.controls:
            live.set(**before)
    shots = reel.all() if reel is not None else []
    if len(shots) < 2:
        return None
    names = [str(number) for number in range(1, len(shots) + 1)]
    track = Track("shown", "shown while it ran", "slider", list(range(len(shots))), names, len(shots) - 1)
    states = [(number,) for number in range(len(shots))]
    return _packed(live, [track], states, shots, lambda shot: (_pixels(shot[0]), shot[1]))


def _packed(live: LiveFigure, tracks: list[Track], states: list[tuple[int, ...]], scenes: Sequence, look: Callable) -> Film:
    """Draw every state, of which `look` makes pixels and text from its scene, and pack what differs."""
    colours = Colours([look(scene)[0] for scene in _spread(scenes)])
    pictures, texts = [], []
    for scene in scenes:
        pixels, text = look(scene)
        pictures.append(colours.numbers(pixels))
        texts.append(text)
    region = _region(pictures)
    left, top, right, bottom = region
    known, shown = {}, []
    for picture in pictures:
        part = np.ascontiguousarray(picture[top:bottom, left:right])
        shown.append(known.setdefault(part.tobytes(), len(known)))
    shape = (bottom - top, right - left)
    frames = [_webp(colours.values[np.frombuffer(part, np.uint8).reshape(shape)]) for part in known]
    made = Film(tracks, b"", live._painter.css_size, region, frames, states, shown, texts)
    return made._replace(below=_webp(colours.values[pictures[made.start]]))


def _values(tracks: list[Track], state: tuple[int, ...]) -> dict:
    return {track.name: track.values[number] for track, number in zip(tracks, state, strict=True)}


def _affordable(pictures: list[np.ndarray]) -> int:
    """Return how many frames a film may have, from how large some of them are."""
    left, top, right, bottom = _region(pictures)
    colours = Colours(pictures)
    parts = [colours.values[colours.numbers(picture[top:bottom, left:right])] for picture in pictures[:3]]
    size = sum(len(_webp(part)) for part in parts) / len(parts)
    return int(min(MOST_FRAMES, max(FEWEST_FRAMES, MOST_BYTES / size)))


class Colours:
    """A palette for some pictures, (height, width, 3) bytes each. values: (COLOURS, 3) bytes."""

    def __init__(self, pictures: list[np.ndarray]):
        sample = np.concatenate([picture[::2, ::2].reshape(-1, 3) for picture in pictures])
        packed, counts = np.unique(sample.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32), return_counts=True)
        exact = packed[np.argsort(-counts, kind="stable")[:EXACT]]
        exact = np.stack([exact >> 16, exact >> 8 & 255, exact & 255], 1).astype(np.uint8)
        image = Image.fromarray(np.ascontiguousarray(sample[:, None]))
        others = image.quantize(COLOURS - EXACT, method=Image.Quantize.FASTOCTREE).getpalette()[: 3 * (COLOURS - EXACT)]
        self.values = np.concatenate([exact, np.array(others, np.uint8).reshape(-1, 3)])
        # The nearest colour for each cube of four values a side, and for a frequent colour itself.
        steps = np.arange(2, 256, 4, dtype=np.float32)
        cubes = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
        values = self.values.astype(np.float32)
        distance = (values**2).sum(1) - 2 * cubes @ values.T
        self.nearest = distance.argmin(1).astype(np.uint8)
        for number in reversed(range(len(exact))):
            self.nearest[_cube(exact[number])] = number

    def numbers(self, pixels: np.ndarray) -> np.ndarray:
        """Return for each pixel which of `values` stands for it."""
        return self.nearest[_cube(pixels)]


def _cube(pixels: np.ndarray) -> np.ndarray:
    red, green, blue = (pixels[..., channel].astype(np.int32) >> 2 for channel in range(3))
    return red << 12 | green << 6 | blue


def _region(pictures: list[np.ndarray]) -> tuple[int, int, int, int]:
    """Return the smallest box (left, top, right, bottom) outside of which all are the same, with a margin; even numbers."""
    changed = np.zeros(pictures[0].shape[:2], bool)
    for picture in pictures[1:]:
        differs = picture != pictures[0]
        changed |= differs if differs.ndim == 2 else differs.any(-1)
    rows, columns = (np.flatnonzero(changed.any(axis)) for axis in (1, 0))
    if not rows.size:
        return 0, 0, 2, 2
    height, width = changed.shape
    low = [max(0, int(each[0]) - MARGIN) // 2 * 2 for each in (columns, rows)]
    high = [min(side, (int(each[-1]) + MARGIN) // 2 * 2 + 2) for each, side in ((columns, width), (rows, height))]
    return (*low, *high)


def _pixels(png: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(png)).convert("RGB"))


def _webp(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, **PACKING)
    return buffer.getvalue()


def _spread(states: Sequence) -> list:
    """Return SAMPLES of them, from the first to the last."""
    return [states[round(k)] for k in np.linspace(0, len(states) - 1, min(SAMPLES, len(states)))]
