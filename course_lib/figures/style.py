"""One style for all figures, and `StaticFigure`, the form in which one is shown.

A colour from the palette of Okabe & Ito 2008 means the same in every notebook, and what differs in colour also differs in
marker, hatching or line.
"""

import base64
import functools
import io
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import matplotlib.style
from matplotlib.artist import Artist
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import Bbox, TransformedBbox

Drawn = TypeVar("Drawn", bound=Artist)
COLOURS = {
    "teacher": "#00568C",
    "labels": "#C98500",  # the student trained on labels
    "distilled": "#3A9AD4",  # the student trained on the teacher's outputs: of its hue
    "truth": "#000000",
    "highlight": "#D55E00",
    "quiet": "#8C8C8C",
}
MARKERS = {"teacher": "s", "labels": "o", "distilled": "^", "truth": "D", "highlight": "X"}
DASHES = {"labels": "--", "distilled": "-"}  # of curves, where two students are on the same axes

STYLE = {
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white", "figure.dpi": 100,
    "font.family": "DejaVu Sans", "font.size": 12, "axes.titlesize": 13, "axes.labelsize": 12,
    "xtick.labelsize": 11, "ytick.labelsize": 11, "legend.fontsize": 11, "legend.frameon": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#444444", "axes.titlelocation": "left",
    "xtick.color": "#222222", "ytick.color": "#222222", "lines.linewidth": 2, "lines.markersize": 7,
    "axes.grid": False, "axes.axisbelow": True, "grid.color": "#DDDDDD", "hatch.linewidth": 0.6,
}  # fmt: skip


BEHIND = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1}  # keeps text readable over lines


class StaticFigure:
    """A figure as a sharp PNG on white. `text` holds the numbers that it shows: its `text/plain`, and its alternative text."""

    def __init__(self, figure: Figure, text: str):
        buffer = io.BytesIO()
        FigureCanvasAgg(figure)
        # Twice as many pixels as it takes room, for screens of high density. Drawn at once, while the style holds.
        figure.savefig(buffer, format="png", dpi=2 * figure.dpi)
        self.png, self.text = buffer.getvalue(), text
        self.width, self.height = (round(inches * figure.dpi) for inches in figure.get_size_inches())

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.text}
        return data, {"image/png": {"width": self.width, "height": self.height, "alt": self.text}}

    def __repr__(self) -> str:
        return self.text


def styled(draw: Callable) -> Callable:
    """Draw under the course's style, whatever the reader's own settings are, and leave those alone."""

    @functools.wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.style.context(["default", STYLE]):
            return draw(*args, **kwargs)

    return wrapper


def clip_to(artist: Drawn, box: tuple[float, float, float, float]) -> Drawn:
    """Clip what reaches out of its axes, and changes, to `box`: (left, bottom, right, top) in axes coordinates.

    A live figure then knows what it may paint over, and need not draw all that comes after it again.
    """
    left, bottom, right, top = box
    artist.set_clip_box(TransformedBbox(Bbox([[left, bottom], [right, top]]), artist.axes.transAxes))
    artist.set_clip_on(True)
    return artist


def log_axis(axis: Axis, ticks: Sequence[float], base: float = 10, words: Callable[[float], str] = "{:g}".format) -> None:
    """Make an axis logarithmic, with these ticks and no others, `words` giving what is written at each."""
    axes = axis.axes
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log", base=base)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_minor_locator(NullLocator())


def percent(p: float) -> str:
    """Write a probability in percent, with one decimal, or one digit where there would be none: 7.2 %, 0.003 %."""
    return (
        f"{100 * p:.1f} %" if p >= 0.0005 else f"{100 * p:.{max(0, -math.floor(math.log10(100 * p)))}f} %" if p > 0 else "0 %"
    )
