"""`LiveFigure`: a figure, its controls, and long work that draws while it runs."""

import html
import threading
import time
import weakref
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
from IPython import get_ipython
from matplotlib.figure import Figure

from course_lib.live.controls import assign, check_accepts, default_of, make_control, with_label
from course_lib.live.kernel import click_waits, close_widget, forget, keep_while_shown, waiting_requests, weak
from course_lib.live.painter import Painter
from course_lib.live.png import PngWriter

DRAWING_SHARE = 0.08  # of the time of long work; the rest of the promised tenth is for asking after the Stop button
FASTEST_FRAME = 1 / 30  # seconds from frame to frame during long work: more than that nobody sees
ASK_EVERY = 0.05  # seconds between two looks for a click on Stop
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class LiveFigure:
    """A figure with controls under which it moves. Show it as the last expression of a cell, or with `display`.

    figure: a matplotlib Figure (not from pyplot), drawn at twice its dpi and shown at its own size. A layout engine runs
    once, at the first frame. update: called as update(**values); moves artists that exist (set_data, set_height, …), and
    may return a str, the text equivalent: the numbers that the picture now shows. Artists that it touches are found by
    themselves and drawn over a kept background; touching anything else (limits, titles, ticks, legends, new artists)
    redraws the figure, which costs five to ten times as much. Text that moves inside axes is cheapest with clip_on=True.
    controls: for each keyword of update a widget with a value (log_slider(…), ToggleButtons, …), or a short form:
    (min, max) or (min, max, step): a slider; (min, max, "log"): a logarithmic one; True or False: a checkbox; a list or
    {label: value}: a drop-down menu. A short form starts at update's own default for that keyword, if it has one, and
    has the keyword as its label. stills: the states, each some controls' values by name, that a saved notebook shows under
    each other where no kernel runs; without them it shows the state that the figure is in.
    Raises TypeError or ValueError, naming the argument that is wrong, and whatever the first `update` raises.
    """

    recorder: Callable[["LiveFigure"], None] | None = None  # called after each frame of long work: see `film.Reel`

    def __init__(
        self, figure: Figure, update: Callable[..., str | None], *, stills: Sequence[Mapping[str, object]] = (), **controls
    ):
        if not isinstance(figure, Figure):
            raise TypeError(f"figure must be a matplotlib.figure.Figure, got {type(figure).__name__}")
        if not callable(update):
            raise TypeError(f"update must be callable, got {type(update).__name__}")
        self.figure, self.update, self.text, self.error = figure, update, "", None
        self.controls = {name: make_control(name, spec, default_of(update, name)) for name, spec in controls.items()}
        check_accepts(update, self.values)
        self.stills = [dict(still) for still in stills]
        for still in self.stills:
            self._check_names(still)
        self.frames = 0  # drawn so far; tests count them
        self._painter, self._held, self._work = Painter(figure), False, None
        # JupyterLab may deliver widget messages in a thread of the kernel's (a subshell) while a cell is at work.
        self._lock = threading.RLock()
        self._image = widgets.Image(format="png", layout=widgets.Layout(max_width="100%", height="auto"))
        self._words, self._alarm, self._stop_hint = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.labels = {name: control.description or name for name, control in self.controls.items()}
        self._stop = widgets.Button(description="Stop", icon="stop", layout=widgets.Layout(display="none"))
        labelled = [with_label(name, control) for name, control in self.controls.items()]
        row = widgets.Box([*labelled, self._stop], layout=widgets.Layout(flex_flow="row wrap"))
        self.widget = widgets.VBox([row, self._image, self._stop_hint, self._words, self._alarm])
        self._refresh(first=True)
        self._painter.draw()  # once more: keeps the background now, so that the first move is as quick as the others
        # Widgets live in a global table. They must not hold this object, or nothing here would ever be freed.
        changed, clicked = weak(self._changed), weak(self._clicked)
        for control in self.controls.values():
            control.observe(changed, names="value")
        self._stop.on_click(clicked)
        self._close_widgets = weakref.finalize(self, close_widget, self.widget)
        self._close_widgets.atexit = False

    def close(self) -> None:
        """Take the figure off the page, its controls with it, and free what it holds. Running its cell again does this."""
        self._close_widgets()
        self._painter = Painter(self.figure)  # one that keeps no pixels
        forget(self)

    @property
    def values(self) -> dict:
        """The controls' values, by name."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values) -> None:
        """Set controls, as the reader would, and draw one frame. ValueError, and nothing is changed, where one can't be."""
        self._check_names(values)
        with self._lock:
            before, self._held = self.values, True
            try:
                for name, value in values.items():
                    assign(name, self.controls[name], value)
            except ValueError:
                for name in values:
                    self.controls[name].value = before[name]
                raise
            finally:
                self._held = False
            self._refresh(raises=True)

    def png(self) -> bytes:
        """The frame that is shown, as a PNG file."""
        return self._png

    @contextmanager
    def running(self, draw: Callable[..., str | None]) -> Iterator[Callable[..., bool]]:
        """For long work: gives a function to call after every step, with whatever `draw` needs.

            with live.running(draw) as on_step:
                fit(student, data, objective, epochs=20, on_step=on_step)

        on_step(*args) calls draw(*args), which moves artists as `update` does, when a frame is due: at most 30 times a
        second, and never more than a tenth of the time. It returns True once Stop was clicked, so that the work can end.
        The last state is always drawn. An exception in `draw` is shown under the figure and raised.
        """
        work = self._work = _Work(self, draw)
        polled = waiting_requests() is not None
        self._stop.layout.display = None if polled else "none"
        if get_ipython() is not None and not polled:
            self._stop_hint.value = "<p>To stop early, interrupt the kernel (■).</p>"
        try:
            yield work
            work.finish()
        except Exception as error:
            self._say(error)
            raise
        finally:
            self._work, self._stop.layout.display, self._stop_hint.value = None, "none", ""

    def _check_names(self, values: Mapping[str, object]) -> None:
        unknown = [name for name in values if name not in self.controls]
        if unknown:
            raise ValueError(f"{unknown[0]} is no control of this figure; it has {', '.join(self.controls) or 'none'}")

    def _still(self) -> tuple[bytes, str, tuple[int, int]]:
        """What a saved notebook shows: a PNG, its text equivalent, and its (width, height) in CSS pixels."""
        width, height = self._painter.css_size
        if not self.stills:
            return self._png, self.text, (width, height)
        with self._lock:
            before, pixels, texts = self.values, [], []
            try:
                for still in self.stills:
                    self.set(**{**before, **still})
                    pixels.append(self._painter.pixels())
                    texts.append(self.text)
            finally:
                self.set(**before)
        return PngWriter()(np.vstack(pixels)), "\n".join(texts), (width, height * len(pixels))

    def _changed(self, change) -> None:
        if not self._held:
            self._refresh()

    def _clicked(self, button) -> None:
        if self._work is not None:
            self._work.stopped = True

    def _refresh(self, *, raises: bool = False, first: bool = False) -> None:
        with self._lock:
            try:
                self._show(self.update(**self.values))
            except Exception as error:
                if first:
                    close_widget(self.widget)
                    raise
                self._say(error)
                if raises:
                    raise

    def _show(self, text: str | None) -> None:
        """Draw the artists as they now stand, and put image and text in place of the last ones."""
        if not (text is None or isinstance(text, str)):
            raise TypeError(f"update must return a str, the text equivalent, or None; got {type(text).__name__}")
        self._png = self._painter.png()
        self.text = ", ".join(f"{name} = {value}" for name, value in self.values.items()) if text is None else text
        self.error, self.frames = None, self.frames + 1
        # Error, words, image: each is a message of its own, so an error never stands below words that it does not belong to,
        # and who waits for the image finds its words.
        self._alarm.value = ""
        self._words.value = f'<div role="status" style="white-space: pre-wrap">{html.escape(self.text)}</div>'
        self._image.layout.width = f"{self._painter.css_size[0]}px"
        self._image.value = self._png

    def _say(self, error: Exception) -> None:
        self.error = f"{type(error).__name__}: {error}"
        self._alarm.value = (
            '<div role="alert" style="white-space: pre-wrap; border-left: 4px solid #d55e00; padding-left: 8px">'
            f"{html.escape(self.error)}<br>The picture shows the last state that could be drawn.</div>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        """The widgets where a kernel runs; where none does, a PNG with its text equivalent."""
        keep_while_shown(self)
        png, text, (width, height) = self._still()
        data = {
            "text/plain": text,
            "image/png": b64encode(png).decode(),
            WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id},
        }
        return data, {"image/png": {"width": width, "height": height, "alt": text}}


def strip_widgets(notebook) -> None:
    """Take everything widget-shaped out of an executed notebook (an nbformat node), in place; pictures and text stay."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            for part in (output.get("data", {}), output.get("metadata", {})):
                for mime in [mime for mime in part if mime.startswith("application/vnd.jupyter.widget-")]:
                    del part[mime]


class _Work:
    """Called after every step of long work: draws when a frame is due, and says whether Stop was clicked."""

    def __init__(self, live: LiveFigure, draw: Callable[..., str | None]):
        if not callable(draw):
            raise TypeError(f"draw must be callable, got {type(draw).__name__}")
        self.live, self.draw, self.stopped, self.state = live, draw, False, None
        self.start = self.last = self.asked = time.perf_counter()
        self.spent = self.cost = 0.0

    def __call__(self, *state) -> bool:
        self.state, now = state, time.perf_counter()
        if now - self.asked >= ASK_EVERY:
            self.asked = now
            self.stopped = self.stopped or click_waits(self.live._stop.comm)
        if now - self.last >= FASTEST_FRAME and self.spent + self.cost <= DRAWING_SHARE * (now - self.start):
            self.finish()
        return self.stopped

    def finish(self) -> None:
        """Draw the last state given, unless it is shown already."""
        if self.state is None:
            return
        begin, state, self.state = time.perf_counter(), self.state, None
        with self.live._lock:
            self.live._show(self.draw(*state))
            if self.live.recorder is not None:
                self.live.recorder(self.live)
        self.last = time.perf_counter()
        self.cost = self.last - begin
        self.spent += self.cost
