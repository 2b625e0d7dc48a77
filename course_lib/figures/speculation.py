"""The live figure of speculative decoding in notebook 09: what is drafted, what is accepted, and what that is worth.

An accepted draft is the light blue of the distilled student; a rejected one is the highlight, struck out; a symbol that
the teacher adds is dark blue.
"""

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from course_lib.figures.style import COLOURS, styled

LOOKS = {
    "accepted": {"color": "#1F6FA0", "weight": "normal"},
    "rejected": {"color": COLOURS["highlight"], "weight": "normal"},
    "teacher": {"color": COLOURS["teacher"], "weight": "bold"},
}
ROUNDS = 7  # at most so many are shown


def speed_up(symbols: float, drafts: int, cost: float) -> float:
    """Return the speed, the teacher alone being 1: symbols per call over what a round costs, in calls of the teacher.

    cost: of one draft, as a share of a call of the teacher (Leviathan et al. 2023, theorem 3.8).
    """
    return symbols / (1 + cost * drafts)


def _cell(axes: Axes, kind: str, x: int, y: int) -> Text:
    where = {"ha": "center", "va": "center", "clip_on": True, "gid": f"{kind} {y} {x}"}
    # A space, so that the first update touches all: one that it left alone would later have the figure drawn in full.
    return axes.text(x + 0.3, y + 0.5, " ", fontsize=17, family="monospace", **where, **LOOKS[kind])


@styled
def live_speculation(
    names: Mapping[int, Sequence], symbols: Mapping[int, float], formula: Callable[[int], float], here: float
) -> tuple[Figure, Callable]:
    """Draw a name as it is written, round by round, beside symbols per call and speed: (figure, update(drafts, name, cost)).

    names: drafts per round -> Speculations, each with `text` and `rounds`. symbols: drafts per round -> symbols per call
    of the teacher. formula: drafts -> what is expected of them. here: the cost of a draft that was measured on this machine.
    """
    most = max(names)
    figure = Figure(figsize=(8.8, 4.0), layout="constrained")
    cells = figure.add_gridspec(2, 2, width_ratios=[1.25, 1])
    left, upper, lower = figure.add_subplot(cells[:, 0]), figure.add_subplot(cells[0, 1]), figure.add_subplot(cells[1, 1])
    left.set(xlim=(-0.4, most + 2.4), ylim=(ROUNDS + 0.2, -2.2))
    left.set_axis_off()
    for x, (name, words) in zip(
        (0, 2.5, 6.4),
        (("accepted", "accepted"), ("rejected", "rejected, forgotten"), ("teacher", "added by teacher")),
        strict=True,
    ):
        left.text(x, -1.7, words, fontsize=12, **LOOKS[name])
    title = left.text(0, -0.6, "", fontsize=13, clip_on=True, gid="name")
    kinds = {kind: [[_cell(left, kind, x, y) for x in range(most + 1)] for y in range(ROUNDS)] for kind in LOOKS}
    (struck,) = left.plot([], [], color=COLOURS["highlight"], linewidth=1.8, gid="struck out")

    drafts_range = sorted(names)
    upper.plot(drafts_range, [formula(k) for k in drafts_range], "--", color=COLOURS["quiet"], label="formula")
    upper.plot(drafts_range, [symbols[k] for k in drafts_range], "o-", color=COLOURS["distilled"], label="names")
    (point,) = upper.plot([1], [1], "^", color=COLOURS["distilled"], markersize=13, markeredgecolor="black", gid="symbols now")
    upper.set(ylim=(1, 1.05 * max(formula(most), max(symbols.values()))), ylabel="symbols per call", xticks=drafts_range)
    upper.legend(loc="upper left", ncols=2, columnspacing=1, handlelength=1.6, borderaxespad=0.1)
    upper.tick_params(labelbottom=False)
    lower.axhline(1, color=COLOURS["teacher"], linewidth=1.5)
    lower.text(most, 1.03, "teacher alone", ha="right", va="bottom", fontsize=11, color=COLOURS["teacher"])
    lower.plot(
        drafts_range,
        [speed_up(symbols[k], k, here) for k in drafts_range],
        "o-",
        color=COLOURS["quiet"],
        markersize=5,
        gid="speed here",
    )
    highest = max(symbols.values())
    lower.text(1, 1.12 * highest, f"grey: {here:.2f} of a call, on this CPU", fontsize=11, color="#555555", va="top")
    (curve,) = lower.plot(drafts_range, [1] * most, "-", color=COLOURS["distilled"], gid="speed at this cost")
    (speed,) = lower.plot([1], [1], "^", color=COLOURS["distilled"], markersize=13, markeredgecolor="black", gid="speed now")
    words = {"fontsize": 11, "color": "#1F6FA0", "va": "top", "clip_on": True, "gid": "cost"}
    named = lower.text(1, 1.25 * highest, "words", **words)
    lower.set(ylim=(0, 1.27 * highest), ylabel="times as fast", xlabel="drafts per round", xticks=drafts_range)
    for axes in (upper, lower):
        axes.grid(axis="y")

    def update(drafts: int = min(4, most), name: int = 0, cost: float = 0.1) -> str:
        made, lines = names[drafts][name], []
        title.set_text(f"{made.text}: {made.teacher_calls} calls of the teacher")
        for kind in LOOKS:
            for row in kinds[kind]:
                for cell in row:
                    cell.set_text("")
        for y, (drafted, accepted, added) in enumerate(made.rounds[:ROUNDS]):
            for x, symbol in enumerate(drafted):
                kinds["accepted" if x < accepted else "rejected"][y][x].set_text(symbol)
                lines += [] if x < accepted else [(x + 0.05, x + 0.55, None), (y + 0.5, y + 0.5, None)]
            kinds["teacher"][y][len(drafted)].set_text(added)
        struck.set_data([v for part in lines[::2] for v in part], [v for part in lines[1::2] for v in part])
        named.set_text(f"blue: a draft costs {cost:g} of a call")
        point.set_data([drafts], [symbols[drafts]])
        curve.set_ydata([speed_up(symbols[k], k, cost) for k in drafts_range])
        speed.set_data([drafts], [now := speed_up(symbols[drafts], drafts, cost)])
        rounds = "; ".join(
            f"{drafted or '–'}: {accepted} accepted, then {added or '–'}" for drafted, accepted, added in made.rounds
        )
        return (
            f"{drafts} drafts per round, {made.text}: {rounds}. {symbols[drafts]:.2f} symbols per call of the teacher; where a "
            f"draft costs {cost:g} of a call that is {now:.2f} times as fast as the teacher alone"
        )

    return figure, update
