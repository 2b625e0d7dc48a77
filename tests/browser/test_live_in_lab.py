"""Live figures as a reader meets them: in JupyterLab, moved with the keyboard, in a browser."""

import io
import json
import re
import shutil
import textwrap
import time
import zlib
from pathlib import Path

import nbformat
import numpy as np
import pytest
from lab import REPOSITORY, Lab, browser, why_not
from PIL import Image

from tests.live_cells import cells_of_figures

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is a browser")

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
MAIN_SHELL = {"apputils-extension/kernels-settings": {"commsOverSubshells": "disabled"}}  # as Notebook 7, VS Code and Colab

FIGURE = """
import time
import ipywidgets as widgets
import numpy as np
from matplotlib.figure import Figure
from course_lib.live import LiveFigure

figure = Figure(figsize=(7, 3))
left, right = figure.subplots(1, 2)
x = np.linspace(0, 6, 100)
(line,) = left.plot(x, np.sin(x), label="curve")
left.legend()
bars = right.bar(range(5), [1] * 5)

def update(T, kind, on, rate, alpha):
    if T > 90:
        raise ValueError("T <b>is</b> too hot")
    line.set_ydata(np.sin(x * T / 10) * (0.5 if on else 1) * alpha)
    for i, bar in enumerate(bars):
        bar.set_height((T * i / 5 * rate) % 1)
        bar.set_color("C0" if kind == "forward" else "C1")
    return f"T {T}, kind {kind}, on {on}, rate {rate:.3f}, alpha {alpha}"

live = LiveFigure(
    figure, update, T=(0, 100), kind=["forward", "reverse"], on=False,
    rate=widgets.FloatLogSlider(min=-1, max=2, value=1, description="Learning rate"),
    alpha=widgets.ToggleButtons(options=[0.1, 0.5, 0.9]),
)
live.set(T=20)
live
"""
SAID = "import zlib\nprint(live.values['T'], live.text, zlib.crc32(live.png()))"
LONG = """
import torch
model = torch.nn.Linear(50, 50)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
axes = Figure(figsize=(5, 3)).subplots()
axes.set(xlim=(0, 3000), ylim=(0, 2))
(curve,) = axes.plot([], [])
losses = []

def draw():
    curve.set_data([0, 3000], [0, len(losses) % 1000 / 500])  # never still, however fast the machine and low the loss
    return f"step {len(losses)}"

training = LiveFigure(axes.figure, draw)
display(training)
start, stopped = time.perf_counter(), False
with training.running(draw) as on_step:
    while not stopped and time.perf_counter() - start < 60:
        loss = (model(torch.randn(64, 50)) - 1).square().mean()
        loss.backward(); optimizer.step(); optimizer.zero_grad()
        losses.append(loss.item())
        stopped = on_step()
print(stopped, model.weight.isfinite().all().item(), training.text == f"step {len(losses)}")
"""


def notebook(*sources: str) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(source).strip()) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def chromium():
    with browser() as started:
        yield started


@pytest.fixture(scope="module", params=["subshells", "main shell"])
def lab(request, tmp_path_factory):
    """JupyterLab delivers what a reader does to a thread of the kernel's; others deliver it to the main one."""
    with Lab(tmp_path_factory.mktemp("lab"), MAIN_SHELL if request.param == "main shell" else None) as server:
        nbformat.write(notebook(FIGURE, SAID), server.work / "figure.ipynb")
        nbformat.write(notebook(FIGURE, LONG, "print('later')"), server.work / "long.ipynb")
        short = LONG.replace("< 60", "< 2")
        later = [f"order = [*globals().get('order', []), {k}]\nprint(order)" for k in range(4)]
        nbformat.write(notebook(FIGURE, short, *later), server.work / "all.ipynb")
        yield server


@pytest.fixture(scope="module")
def window(lab, chromium):
    with lab.open(chromium, "figure.ipynb") as page:
        page.run_all()
        yield page


@pytest.fixture
def opened(window):
    """The figure, as the test before left it."""
    if window.name != "figure.ipynb":
        window.turn_to("figure.ipynb")
        window.run_all()
    return window


@pytest.fixture
def shown(opened):
    (figure,) = opened.figures(1)
    yield figure
    assert opened.complaints == []


def test_every_control_moves_picture_and_text(shown):
    kinds = [
        control.evaluate("node => node.type || node.getAttribute('role') || node.className") for control in shown.controls()
    ]
    assert len(kinds) == 7, kinds  # two sliders with two parts each, a menu, a checkbox, a group of buttons
    for control in shown.controls():
        source, text = shown.source(), shown.text()
        shown.move(control)
        shown.wait_for_change(source, text)


def test_what_takes_the_keyboard_has_a_name(shown):
    tree = shown.box.aria_snapshot()
    for name in ('spinbutton "T"', 'spinbutton "Learning rate"', 'combobox "kind"', 'checkbox "on"'):
        assert name in tree


def test_after_fifty_quick_presses_the_last_value_is_shown(opened, shown):
    handle = shown.control("T", slider=True)
    before = int(re.search(r"T (\d+)", shown.text())[1])
    handle.focus()
    for _ in range(50):
        opened.page.keyboard.press("ArrowRight")
    shown.wait_for(f"T {before + 50},")
    opened.run_cell(1)
    opened.page.wait_for_timeout(500)
    value, *text, crc = opened.output(1).split()
    assert (int(value), " ".join(text), int(crc)) == (before + 50, shown.text(), zlib.crc32(shown.png()))


def test_an_error_is_shown_and_goes_away(shown):
    field = shown.control("T")
    picture, text = shown.png(), shown.text()
    field.fill("95")
    field.press("Enter")
    shown.box.locator("[role=alert]").wait_for()
    assert "ValueError: T <b>is</b> too hot" in shown.alarm()
    assert (shown.png(), shown.text()) == (picture, text)
    field.fill("30")
    field.press("Enter")
    shown.wait_for("T 30,")
    shown.box.locator("[role=alert]").wait_for(state="detached")  # words and error arrive as two messages


def test_the_picture_is_sharp_and_fits_a_narrow_window(opened, shown):
    assert Image.open(io.BytesIO(shown.png())).width == 1400
    assert shown.image.bounding_box()["width"] == 700
    assert opened.sideways() == 0
    opened.page.set_viewport_size({"width": 600, "height": 800})
    opened.page.wait_for_timeout(300)
    box = shown.image.bounding_box()
    assert box["width"] < 600
    np.testing.assert_allclose(box["width"] / box["height"], 7 / 3, rtol=0.01)
    opened.page.set_viewport_size({"width": 1024, "height": 800})


def test_stop_ends_long_work(window):
    window.turn_to("long.ipynb")
    window.run_cell(0)
    window.figures(1)
    window.run_cell(1)
    window.run_cell(2)  # waits for its turn
    _, training = window.figures(2)
    time.sleep(3)
    source = training.source()
    training.wait_for_change(source, timeout=20)  # it grows while the cell runs
    training.box.get_by_role("button", name="Stop").click()
    window.page.get_by_text("later", exact=True).last.wait_for()
    assert window.output(1).split("\n")[0] == "True True True"  # stopped, model usable, last state shown
    assert not training.box.get_by_role("button", name="Stop").is_visible()
    # The controls of another figure still work.
    figure, _ = window.figures(2)
    source = figure.source()
    figure.move(figure.control("T", slider=True))
    figure.wait_for_change(source)
    assert window.complaints == []


def test_cells_that_wait_for_long_work_run_in_their_order(window):
    window.turn_to("all.ipynb")
    window.run_all()
    assert [window.output(cell).strip() for cell in range(2, 6)] == ["[0]", "[0, 1]", "[0, 1, 2]", "[0, 1, 2, 3]"]


# ---- the notebooks of the course ----


def has_live_figures(path: Path) -> bool:
    """Return whether a notebook shows one: by the class's name, or by a function of the course's figures that makes one."""
    code = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code")
    return "LiveFigure" in code or "live" in re.findall(r"course_lib(?:\.| import )(\w+)", code)


@pytest.fixture(scope="module")
def course(tmp_path_factory, chromium):
    """A window with the first of them; the tests turn to the others."""
    with Lab(tmp_path_factory.mktemp("course")) as server:
        for path in NOTEBOOKS:
            shutil.copy(path, server.work)
        with server.open(chromium, NOTEBOOKS[0].name) as page:
            yield page


@pytest.mark.parametrize("path", [path for path in NOTEBOOKS if has_live_figures(path)], ids=lambda path: path.stem)
def test_every_control_of_the_course_moves_picture_and_text(path, course):
    course.turn_to(path.name)
    course.run_cells(cells_of_figures(path), timeout=300)
    figures = course.figures()
    assert figures
    for figure in figures:
        figure.image.wait_for()
        for control in figure.controls():
            source, text = figure.source(), figure.text()
            figure.move(control)
            figure.wait_for_change(source, text, timeout=60)
            assert figure.alarm() == ""
    assert course.sideways() == 0
    assert course.complaints == []
