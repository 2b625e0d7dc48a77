"""What a live frame costs beside the same figure rebuilt in an `interact` callback: every live figure of the course, measured
in the kernel, and one of them in JupyterLab.

    python tests/benchmarks/bench_live.py [--no-browser] [NOTEBOOK ...]

Both sides take turns in one run, and medians are compared: on a busy machine the ratios hold, the milliseconds do not.
"""

import argparse
import functools
import importlib
import io
import pkgutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from lab import REPOSITORY, Lab, browser, why_not

import course_lib.figures
import course_lib.live
from course_lib.live import LiveFigure
from course_lib.live.controls import value_range

PLACES = 9  # of each control, from one end to the other


class Recorded(LiveFigure):
    """A live figure that remembers itself."""

    made: list["Recorded"] = []  # noqa: RUF012 - of the class, not of one figure

    def __init__(self, *args, **controls):
        super().__init__(*args, **controls)
        self.made.append(self)


def remembered(given: object) -> object:
    """The same, with every function in it keeping what it was asked before; also within a dict or a tuple."""
    if isinstance(given, dict):
        return {name: remembered(each) for name, each in given.items()}
    if type(given) is tuple:
        return tuple(map(remembered, given))
    return functools.cache(given) if callable(given) and hasattr(given, "__code__") else given


def remember_makers() -> dict[Figure, Callable]:
    """Wrap every function of the course's figures that makes a live one; gives figure -> how to make it anew."""
    makers = {}

    def remembering(make: Callable) -> Callable:
        @functools.wraps(make)
        def wrapper(*args, **kwargs):
            # What an update works out, such as a student trained at this T, costs the same either way: it is kept.
            args = remembered(args)
            figure, update = make(*args, **kwargs)
            makers[figure] = partial(make, *args, **kwargs)
            return figure, update

        return wrapper

    for found in pkgutil.iter_modules(course_lib.figures.__path__, "course_lib.figures."):
        module = importlib.import_module(found.name)
        for name in [name for name in vars(module) if name.startswith("live_")]:
            setattr(module, name, remembering(getattr(module, name)))
    return makers


def live_figures(paths: list[Path]) -> Iterator[tuple[str, LiveFigure, Callable]]:
    """(name, live figure, how to make its figure anew) of each live figure in the notebooks, which are run for it."""
    makers = remember_makers()
    course_lib.live.LiveFigure = Recorded
    for path in paths:
        Recorded.made.clear()
        InteractiveShell.clear_instance()
        shell = InteractiveShell.instance()  # which `display` shows in: else it returns no handle
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                with capture_output():
                    result = shell.run_cell(cell.source)
                result.raise_error()
        for live in Recorded.made:
            if live.figure in makers and live.controls:
                yield f"{path.name[:2]} {makers[live.figure].func.__name__}", live, makers[live.figure]


def moves(live: LiveFigure) -> Iterator[dict]:
    """Each control moved through its range, the others left where they are."""
    for name, control in live.controls.items():
        if control.has_trait("options"):
            values = [value for _, value in control._options_full]
        elif control.has_trait("min"):
            space = np.geomspace if control.has_trait("base") else np.linspace
            values = [type(control.value)(value) for value in space(*value_range(control), PLACES)]
        elif isinstance(control.value, str):
            values = ["a", "mc", "sch", "vander"]  # what a reader may type
        else:
            values = [not control.value, control.value]
        yield from ({name: value} for value in values)


def rebuilt(make: Callable, values: dict, pixel_ratio: int) -> bytes:
    """What a callback under `interact` does for a frame, and the inline backend after it: everything anew."""
    figure, update = make()
    update(**values)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.canvas.print_figure(file, format="png", bbox_inches="tight", dpi=pixel_ratio * figure.dpi)
    return file.getvalue()


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_the_kernel(paths: list[Path]) -> None:
    print("Milliseconds a frame, medians. The same pixels: twice as many each way as interact draws unless told otherwise.\n")
    print(f"{'':24}{'live':>7}{'rebuilt, same pixels':>22}{'ratio':>7}{'rebuilt, a quarter':>20}{'ratio':>7}{'kB':>6}")
    for name, live, make in live_figures(paths):
        times = []
        for move in moves(live):
            before = live.values
            live.set(**move)  # once unmeasured: what is worked out on a first visit is then there for both sides
            after = live.values
            if after == before:
                continue
            live.set(**before)
            sides = [partial(live.set, **move), *(partial(rebuilt, make, after, ratio) for ratio in (2, 1))]
            times.append([seconds(side) for side in sides])
        moved, sharp, plain = (1000 * statistics.median(side) for side in zip(*times, strict=True))
        costs = f"{moved:7.1f}{sharp:22.1f}{sharp / moved:7.1f}{plain:20.1f}{plain / moved:7.1f}"
        print(f"{name:24}{costs}{len(live.png()) / 1e3:6.0f}", flush=True)


# ---- in the browser ----


def bars(figure: Figure) -> Callable:
    axes = figure.subplots()
    axes.set(ylim=(0, 1), xlabel="class", ylabel="probability", title="Soft targets")
    bars = axes.bar(range(10), np.zeros(10))
    words = [axes.text(place, 0, "", ha="center", va="bottom", clip_on=True) for place in range(10)]

    def update(T):
        logits = np.arange(10) / T
        heights = np.exp(logits - logits.max())
        for bar, word, height in zip(bars, words, heights / heights.sum(), strict=True):
            bar.set_height(height)
            word.set(y=height, text=f"{height:.2f}")

    return update


SETUP = """
%matplotlib inline
import io, sys
import numpy as np
import ipywidgets as widgets
import matplotlib.pyplot as plt
from matplotlib.figure import Figure
sys.path.insert(0, {folder!r})
from bench_live import bars, LiveFigure
"""
LIVE = """
figure = Figure(figsize=(6.4, 4))
LiveFigure(figure, bars(figure), T=widgets.IntSlider(value=1, min=1, max=40))
"""
INTERACT = """
def redraw(T):
    figure = plt.figure(figsize=(6.4, 4))
    bars(figure)(T)
    plt.show()
widgets.interact(redraw, T=widgets.IntSlider(value=1, min=1, max=40))
None
"""
FLOOR = """
pictures = []
for T in range(2):
    figure = Figure(figsize=(6.4, 4))
    live = LiveFigure(figure, bars(figure), T=(1, 3))
    live.set(T=T + 1)
    pictures.append(live.png())
slider, image = widgets.IntSlider(min=0, max=200), widgets.Image(value=pictures[0], layout=dict(width="640px"))
slider.observe(lambda change: image.set_trait("value", pictures[change.new % 2]), "value")
widgets.VBox([slider, image])
"""
# From a key press to the first picture in the cell that was not there before, once the browser could show it.
WATCH = """cell => new Promise(done => {
    const seen = new Set([...cell.querySelectorAll('img')].map(image => image.src));
    let start = null;
    cell.addEventListener('keydown', () => { start = performance.now() }, { capture: true, once: true });
    const observer = new MutationObserver(async () => {
        for (const image of cell.querySelectorAll('img')) {
            if (start === null || seen.has(image.src)) continue;
            observer.disconnect();
            try { await image.decode() } catch { await new Promise(resolve => { image.onload = resolve }) }
            requestAnimationFrame(() => done(performance.now() - start));
            return;
        }
    });
    observer.observe(cell, { subtree: true, childList: true, attributes: true, attributeFilter: ['src'] });
})"""


def in_the_browser(turns: int = 20) -> None:
    sides = {"LiveFigure": LIVE, "interact": INTERACT, "no drawing": FLOOR}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in (SETUP.format(folder=str(Path(__file__).parent)), *sides.values())]
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder)) as lab, browser() as chromium:
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), lab.work / "bench.ipynb")
        with lab.open(chromium, "bench.ipynb", height=2400) as notebook:
            notebook.run_all()
            page = notebook.page
            page.wait_for_timeout(1500)
            times = {side: [] for side in sides}
            for _ in range(turns):
                for number, side in enumerate(sides, start=1):
                    cell = page.locator(".jp-Notebook .jp-Cell").nth(number)
                    cell.locator("[role=slider]").focus()
                    place = f"document.querySelectorAll('.jp-Notebook .jp-Cell')[{number}]"
                    page.evaluate(f"window.waited = null; ({WATCH})({place}).then(time => {{ window.waited = time }}); null")
                    page.keyboard.press("ArrowRight")
                    page.wait_for_function("() => window.waited !== null", timeout=20_000)
                    times[side].append(page.evaluate("() => window.waited"))
                    page.wait_for_timeout(150)
    print(f"\n{'key press to new pixels, ms':28}{'median':>8}{'p95':>8}")
    for side, waits in times.items():
        print(f"{side:28}{statistics.median(waits):8.0f}{statistics.quantiles(waits, n=20)[-1]:8.0f}")
    medians = {side: statistics.median(waits) for side, waits in times.items()}
    print(f"LiveFigure / interact: {medians['LiveFigure'] / medians['interact']:.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("notebooks", nargs="*", type=Path)
    arguments = parser.parse_args()
    in_the_kernel(arguments.notebooks or sorted((REPOSITORY / "notebooks").glob("*.ipynb")))
    if not arguments.no_browser:
        if why_not():
            print(f"not measured in a browser: {why_not()}")
        else:
            in_the_browser()
