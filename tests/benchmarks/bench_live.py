"""What a live frame costs beside the same figure rebuilt in an `interact` callback: in the kernel, and in JupyterLab.

    python tests/benchmarks/bench_live.py [--no-browser]

Both sides take turns in one run, and medians are compared: on a busy machine the ratios hold, the milliseconds do not.
"""

import argparse
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nbformat
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from lab import Lab, browser, why_not

from course_lib.live import LiveFigure

X = np.linspace(-3, 3, 200)
CLOUD = np.random.default_rng(0).normal(size=(500, 2))
GRID = np.stack(np.meshgrid(np.linspace(-3, 3, 100), np.linspace(-3, 3, 100)))


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


def curves(figure: Figure) -> Callable:
    axes = figure.subplots()
    axes.set(xlim=(-3, 3), ylim=(-2, 2), xlabel="z", ylabel="loss", title="Curves")
    curves = [axes.plot(X, X, label=f"curve {number}")[0] for number in range(4)]
    axes.legend(loc="upper left", ncols=4)

    def update(T):
        for number, curve in enumerate(curves):
            curve.set_ydata(np.sin(X * T + number))

    return update


def points(figure: Figure) -> Callable:
    axes = figure.subplots()
    axes.set(xlim=(-5, 5), ylim=(-5, 5), title="Points")
    points = axes.scatter(*CLOUD.T, c=CLOUD[:, 0])

    def update(T):
        points.set_offsets(CLOUD * T / 3)

    return update


def field(figure: Figure) -> Callable:
    axes = figure.subplots()
    axes.set(title="A decision map")
    mesh = axes.pcolormesh(*GRID, GRID[0], vmin=0, vmax=1, cmap="cividis")  # moves in half the time of imshow
    axes.scatter(*CLOUD[:50].T, c="white", edgecolors="black")
    figure.colorbar(mesh)

    def update(T):
        mesh.set_array(1 / (1 + np.exp(-(GRID[0] + np.sin(GRID[1] * 2)) / T)))

    return update


def rebuilt(make: Callable, T: float, dpi: float) -> bytes:
    """What a callback under `interact` does for a frame, and the inline backend after it: everything anew."""
    figure = Figure(figsize=(6.4, 4), dpi=dpi)
    FigureCanvasAgg(figure)
    make(figure)(T)
    file = io.BytesIO()
    figure.canvas.print_figure(file, format="png", bbox_inches="tight", dpi=dpi)
    return file.getvalue()


def seconds(work: Callable) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_the_kernel(turns: int = 25) -> None:
    print(f"{'a frame, ms':12}{'live':>8}{'rebuilt':>9}{'ratio':>7}{'same pixels':>13}{'ratio':>7}{'kB':>6}")
    for make in (bars, curves, points, field):
        figure = Figure(figsize=(6.4, 4))
        live = LiveFigure(figure, make(figure), T=(0.5, 10.0, 0.1))
        sides = live.set, partial(rebuilt, make, dpi=100), partial(rebuilt, make, dpi=200)
        times = []
        for T in np.linspace(1, 9, turns):
            times.append([seconds(partial(side, T=float(T))) for side in sides])
        moved, plain, sharp = (1000 * statistics.median(side) for side in zip(*times, strict=True))
        numbers = f"{moved:8.1f}{plain:9.1f}{plain / moved:7.1f}{sharp:13.1f}{sharp / moved:7.1f}{len(live.png()) / 1e3:6.0f}"
        print(f"{make.__name__:12}{numbers}")


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
    in_the_kernel()
    if not parser.parse_args().no_browser:
        if why_not():
            print(f"not measured in a browser: {why_not()}")
        else:
            in_the_browser()
