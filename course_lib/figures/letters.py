"""The figures of notebook 08 that show single letters: what is said of the next one, which are alike, what is kept of a row."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from torch import Tensor

from course_lib.figures.parts import filled, outlined, paired_bars, set_bars
from course_lib.figures.style import COLOURS, StaticFigure, clip_to, percent, styled

END = "end"  # what is written for the symbol "."
APART = LinearSegmentedColormap.from_list("apart", ["#8A3D00", "#E0A070", "#FFFFFF", "#7FB8DC", "#00304D"]).with_extremes(
    bad="#E4E4E4"
)
WAYS = ("the whole row", "k largest, renormalised", "k largest and the rest", "k draws")


def set_and_hide(bars: BarContainer, values: Sequence[float]) -> None:
    """Give each bar its height, and hide one lower than a pixel: an open bar would leave a dash on the axis."""
    set_bars(bars, values)
    for bar, value in zip(bars, values, strict=True):
        bar.set_visible(value > 0.003)


def words_for(symbols: Sequence[str]) -> list[str]:
    """Return what is written for each symbol: itself, and "end" for the one that ends a name."""
    return [END if symbol == "." else symbol for symbol in symbols]


# ---- the next letter ----


def top_letters(p: Sequence[float], symbols: Sequence[str], count: int = 3) -> str:
    """Write the likeliest symbols with their percentages: u 98.3 %, i 0.4 %."""
    best, words = sorted(range(len(p)), key=lambda k: -p[k])[:count], words_for(symbols)
    return ", ".join(f"{words[k]} {percent(p[k])}" for k in best if p[k] > 0)


@styled
def live_next_letter(
    sources: Mapping[str, tuple[str, Callable[[str], Tensor]]], symbols: Sequence[str], count: Callable[[str], int]
) -> tuple[Figure, Callable]:
    """Draw what each source says of the letter after `prefix`: (figure, update(prefix)).

    sources: what is written in the legend -> (key of COLOURS, function of the prefix that gives probabilities (len(symbols),),
    all 0 where it can say nothing); the first is drawn filled, the others open. count: how many of the names begin so.
    """
    n, width, total = len(symbols), 0.84 / len(sources), count("")
    figure = Figure(figsize=(8.8, 3.1), layout="constrained")
    axes = figure.subplots()
    bars = {}
    for number, (label, (key, _)) in enumerate(sources.items()):
        style = outlined(key, 1.4) if number else filled(key, 0)
        positions = [k + (number - (len(sources) - 1) / 2) * width for k in range(n)]
        bars[label] = axes.bar(positions, [0] * n, 0.86 * width, label=label, **style)
    axes.set(xlim=(-0.7, n - 0.3), ylim=(0, 1), yticks=[0, 0.25, 0.5, 0.75, 1], ylabel="probability of the next letter")
    axes.set_xticks(range(n), words_for(symbols))
    axes.tick_params(axis="x", length=0, labelsize=12)
    axes.tick_params(axis="y", labelsize=11)
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(sources), borderaxespad=0.2)
    above = {"ha": "right", "va": "bottom", "transform": axes.transAxes}  # clear of the bars, which may reach 1
    begun = clip_to(axes.text(0.62, 1.02, "words", gid="begun", fontsize=18, fontweight="bold", **above), (0.3, 1.0, 0.62, 1.2))
    counted = clip_to(axes.text(1, 1.035, "words", gid="count", fontsize=12, **above), (0.63, 1.0, 1, 1.2))

    def update(prefix: str = "") -> str:
        prefix = prefix.strip().lower()
        said = []
        for label, (_, ask) in sources.items():
            p = ask(prefix).tolist()
            set_and_hide(bars[label], p)
            said.append(f"{label} {top_letters(p, symbols) or 'nothing'}")
        names = count(prefix)
        begun.set_text(f"{prefix}…")
        counted.set_text(f"begins {names:,} of {total:,} names")
        return f"After {prefix!r}, which begins {names:,} of {total:,} names: " + "; ".join(said)

    return figure, update


# ---- letters that are alike ----


@styled
def plot_likeness(likeness: Tensor, symbols: Sequence[str], order: str, limit: float = 4.0) -> StaticFigure:
    """Draw how much likelier two letters are at one position than by chance, as a map of `order`'s letters.

    likeness: (len(symbols), len(symbols)), positive, 1 by chance; the diagonal is left empty. Colours end at limit and 1/limit.
    """
    rows = [symbols.index(letter) for letter in order]
    shown = likeness[rows][:, rows].double()
    figure = Figure(figsize=(7.4, 6.2), layout="constrained")
    axes = figure.subplots()
    hidden = np.ma.masked_array(shown.numpy(), mask=np.eye(len(rows), dtype=bool))
    image = axes.imshow(hidden, cmap=APART, norm=LogNorm(1 / limit, limit), label="likeness")
    axes.set_xticks(range(len(rows)), order)
    axes.set_yticks(range(len(rows)), order)
    axes.tick_params(length=0, labelsize=12, labeltop=True)
    axes.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, ticks=[1 / limit, 1 / 2, 1, 2, limit], extend="both")
    bar.ax.set_yticklabels([f"1/{limit:g}", "1/2", "1", "2", f"{limit:g}"])
    bar.ax.minorticks_off()
    bar.set_label("times as alike as by chance")
    nearest = []
    for number, letter in enumerate(order):
        others = shown[number].clone()
        others[number] = 0
        best = int(others.argmax())
        nearest.append(f"{letter}: {order[best]} {others[best]:.1f}")
    return StaticFigure(figure, "For each letter the one that is most alike, and how many times chance: " + ", ".join(nearest))


# ---- what is kept of a row ----


class Kept(NamedTuple):
    """What a student is told of one row of probabilities p (n,), sorted, largest first."""

    told: list[float]  # (n,), what it is told of each symbol; 0 where it is told nothing
    rest: float  # what it is told of all others together; 0 where that is not told
    elsewhere: float  # the fraction of the probability that this puts elsewhere than p: the total variation
    bias: float  # the same of the average over all draws; `elsewhere` where nothing is drawn


def keep(p: Tensor, way: str, k: int, seed: int = 0) -> Kept:
    """Return what is told of p, sorted, (n,), in one of WAYS; seed: of the draws."""
    kept = p.double().clone()
    kept[k:] = 0
    outside = 1 - kept.sum().item()
    if way == WAYS[0]:
        return Kept(p.tolist(), 0.0, 0.0, 0.0)
    if way == WAYS[1]:
        return Kept((kept / kept.sum()).tolist(), 0.0, outside, outside)
    if way == WAYS[2]:
        return Kept(kept.tolist(), outside, 0.0, 0.0)
    draws = torch.multinomial(p, k, replacement=True, generator=torch.Generator().manual_seed(seed))
    shares = torch.bincount(draws, minlength=len(p)).double() / k
    return Kept(shares.tolist(), 0.0, (shares - p.double()).abs().sum().item() / 2, 0.0)


@styled
def live_kept(p: Tensor, symbols: Sequence[str], prefix: str) -> tuple[Figure, Callable]:
    """Draw a teacher's row and what is kept of it: (figure, update(way, k, draw)).

    p: probabilities (len(symbols),) of the letter after `prefix`. way: one of WAYS; draw: the seed of the draws.
    """
    p, order = p.sort(descending=True)
    names = [words_for(symbols)[int(k)] for k in order]
    n = len(names)
    figure = Figure(figsize=(8.8, 3.1), layout="constrained")
    axes = figure.subplots()
    styles = {"teacher": filled("teacher", 0), "what the student is told": outlined("highlight", 1.6)}
    teacher, told = paired_bars(axes, n + 1, styles, width=0.36)
    axes.set(xlim=(-0.7, n + 0.7), ylim=(0, 1), ylabel=f"probability after {prefix}…")
    axes.set_xticks(range(n + 1), [*names, "rest"])
    axes.tick_params(axis="x", length=0, labelsize=12)
    axes.tick_params(axis="y", labelsize=11)
    axes.axvline(n - 0.5, color=COLOURS["quiet"], linewidth=1)
    axes.grid(axis="y")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    lines = {
        gid: axes.text(n - 0.9, y, "words", ha="right", va="top", fontsize=13, clip_on=True, gid=gid)
        for gid, y in (("way", 0.96), ("elsewhere", 0.84), ("bias", 0.72))
    }

    def update(way: str = WAYS[1], k: int = 3, draw: int = 0) -> str:
        now = keep(p, way, k, draw)
        set_and_hide(teacher, [*p.tolist(), p[k:].sum().item() if now.rest else 0])
        set_and_hide(told, [*now.told, now.rest])
        named = way.replace("k ", f"{k} ", 1)
        lines["way"].set_text(named)
        lines["elsewhere"].set_text(f"{percent(now.elsewhere)} of the probability is elsewhere")
        lines["bias"].set_text(f"{percent(now.bias)} on average over draws" if way == WAYS[3] else "")
        average = f", {percent(now.bias)} on average over draws (this is draw {draw})" if way == WAYS[3] else ""
        rest = f", all others {percent(now.rest)}" if now.rest else ""
        return f"{named}: told {top_letters(now.told, names, 5)}{rest}; {percent(now.elsewhere)} is elsewhere{average}"

    return figure, update
