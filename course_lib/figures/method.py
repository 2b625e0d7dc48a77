"""The method in one picture: an image, two networks, two losses. The first figure of notebook 01."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from course_lib.figures.parts import show_image
from course_lib.figures.style import COLOURS, StaticFigure, percent, styled

WIDTH, HEIGHT = 8.8, 3.9  # inches, and the units in which things are placed
TEACHER_ROW, STUDENT_ROW = 2.95, 1.15  # the heights of the two rows


@styled
def plot_method(pixels, teacher, student, label: str, T: float, alpha: float) -> StaticFigure:
    """Draw how one image becomes a loss, with this teacher's and this student's probabilities.

    pixels: (28, 28), in [0, 1]; teacher, student: probabilities at T (num_classes,); label: the image's class in words;
    alpha: the weight of the soft term.
    """
    figure = Figure(figsize=(WIDTH, HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.set_axis_off()
    show_image(figure.add_axes((0.15 / WIDTH, 1.35 / HEIGHT, 1.4 / WIDTH, 1.4 / HEIGHT)), pixels)
    axes.text(0.85, 1.25, f"label: {label}", ha="center", va="top", fontsize=12)
    _draw_model(axes, TEACHER_ROW, "teacher", "frozen", "teacher", "$v$")
    _draw_model(axes, STUDENT_ROW, "student", "is trained", "distilled", "$z$")
    _draw_probabilities(figure, TEACHER_ROW, teacher, "teacher", "$p = $ softmax$(v/T)$")
    _draw_probabilities(figure, STUDENT_ROW, student, "distilled", "$q = $ softmax$(z/T)$")
    _draw_losses(axes, alpha)
    best = [max(range(len(p)), key=p.__getitem__) for p in (list(map(float, teacher)), list(map(float, student)))]
    return StaticFigure(
        figure,
        f"One image, label {label}, goes to the teacher, which is frozen, and to the student. At T = {T:g} the teacher's "
        f"largest probability is {percent(float(teacher[best[0]]))}, the student's {percent(float(student[best[1]]))}. "
        f"Loss: {alpha:g} times T² KL(p‖q), and {1 - alpha:.2g} times the cross-entropy of the student with the label.",
    )


def _draw_model(axes: Axes, y: float, name: str, note: str, key: str, logits: str) -> None:
    """Draw a network as a box, with arrows from the image and to its probabilities, the latter named by the logits."""
    box = FancyBboxPatch(
        (2.3, y - 0.42), 1.3, 0.84, boxstyle="round,pad=0,rounding_size=0.12", facecolor=COLOURS[key], edgecolor="none"
    )
    axes.add_patch(box)
    ink = "white" if key == "teacher" else "black"
    axes.text(2.95, y + 0.1, name, ha="center", va="center", color=ink, fontsize=13, fontweight="bold")
    axes.text(2.95, y - 0.2, note, ha="center", va="center", color=ink, fontsize=11)
    _arrow(axes, (1.6, 2.05), (2.25, y))
    _arrow(axes, (3.65, y), (4.4, y))
    axes.text(4.0, y + 0.08, logits, ha="center", va="bottom", fontsize=13)


def _draw_probabilities(figure: Figure, y: float, probabilities, key: str, formula: str) -> None:
    inset = figure.add_axes((4.5 / WIDTH, (y - 0.42) / HEIGHT, 1.5 / WIDTH, 0.84 / HEIGHT))
    inset.bar(range(len(probabilities)), [float(p) for p in probabilities], color=COLOURS[key], width=0.75)
    inset.set(ylim=(0, 1), xticks=[], yticks=[])
    inset.spines["left"].set_visible(False)
    inset.text(0.5, -0.05, f"{len(probabilities)} classes", ha="center", va="top", fontsize=10, transform=inset.transAxes)
    inset.text(0.5, 1.04, formula, ha="center", va="bottom", fontsize=12, transform=inset.transAxes)


def _draw_losses(axes: Axes, alpha: float) -> None:
    """Write the two terms at the right, with arrows from what each compares."""
    soft, hard, x = 2.5, 0.75, 6.75
    for start in (TEACHER_ROW, STUDENT_ROW + 0.2):
        _arrow(axes, (6.05, start), (x - 0.08, soft))
    for at, y, top in ((0.85, 0.3, 0.95), (4.0, 0.5, STUDENT_ROW)):  # the label, and the student's logits z
        axes.plot([at, at], [top, y], color="#444444", linewidth=1.5)
    _arrow(axes, (3.995, 0.5), (x - 0.08, 0.5))
    _arrow(axes, (0.845, 0.3), (x - 0.08, 0.3))
    axes.text(
        x, soft, f"soft term, weight $α$ = {alpha:g}\n$T^2\\,$KL$(p\\,\\|\\,q)$", va="center", fontsize=11, linespacing=1.5
    )
    words = f"hard term,\nweight $1 - α$ = {1 - alpha:.2g}\ncross-entropy of\n$z$ with the label"
    axes.text(x, hard - 0.1, words, va="center", fontsize=11, linespacing=1.3)


def _arrow(axes: Axes, start: Sequence[float], end: Sequence[float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#444444", "linewidth": 1.5})
