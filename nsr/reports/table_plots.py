"""The plots beside tables: accuracy over time, against training size, and by the length and depth of examples; seconds
by phase; the symbol swap matrix.

A series differs from the others by colour, marker and line, and is thinner than those under it, so that series which
are the same are all seen. The figures are those of the runs, means over the seeds unless a seed has its own line.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, cycle, groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from nsr.reports.hint import ConceptRow
from nsr.reports.plots import BLUE, GREY, new_figure, to_png
from nsr.reports.pool import Runs
from nsr.reports.swap import SwapRow, format_share
from nsr.reports.tables import Failed, Outcome
from nsr.reports.trainings import Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
ACROSS = 4  # panels in a row
NARROWEST = 5.6  # inches: the captions need them
BELOW: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": 8}  # of a legend
MARKED = 8  # points of a line that have a marker
REST = "the rest"
PHASES = {  # colour and hatch
    "ground": ("#56B4E9", "xx"),
    "deduce": (BLUE, ""),
    "abduce": ("#E69F00", "//"),
    "induce": ("#009E73", ".."),
    "parser": ("#CC79A7", "\\\\"),
    "perception": ("#F0E442", "++"),
    "evaluate": ("#D55E00", "--"),
    REST: ("#CCCCCC", ""),
}

Trained = Mapping[str, Sequence[Training]]
Series = Mapping[str, Sequence[tuple[float, float]]]

PLOTS: dict[str, tuple[str, ...]] = {
    "scan-splits": ("time", "sizes", "phases"),
    "scan-raw": ("time", "sizes", "phases"),
    "scan-size": ("training",),
    "scan-ablations": ("time", "phases"),
    "scan-swap": ("matrix",),
    "pcfg-splits": ("time", "sizes", "phases"),
    "pcfg-generated": ("time", "sizes", "phases"),
    "pcfg-size": ("training", "phases"),
    "hint-symbols": ("time", "sizes", "phases"),
    "hint-ablations": ("time", "sizes", "phases"),
    "hint-swap": ("time", "phases"),
    "hint-images": ("time", "sizes", "phases"),
    "hint-images-drawn": ("time", "sizes", "phases"),
    "hint-images-given": ("sizes", "phases"),
    "hint-images-ablations": ("sizes", "phases"),
    "hint-few-shot": ("training",),
}


def draw(name: str, title: str, rows: Sequence[Any], trainings: Trained, runs: Runs) -> dict[str, bytes]:
    """The plots of a table as PNG files, by what they show; rows that failed are left out.

    Args:
        name: of the table.
        title: its heading.
        rows: of the table.
        trainings: by the label of a row the runs behind it.
        runs: has them.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    good = [row for row in rows if not isinstance(row, Failed)]
    kept = {label: trainings[label] for label in (row.label for row in good) if label in trainings}
    pictures = {}
    for what in PLOTS[name] if good else ():
        figure = OF_ROWS[what](good) if what in OF_ROWS else OF_RUNS[what](kept, runs)
        figure.suptitle(f"{title}\n{CAPTIONS[what]}", fontsize=10)
        pictures[what] = to_png(figure, f"{title}: {CAPTIONS[what]}")
    return pictures


CAPTIONS = {
    "time": "examples of the stage solved while training; a marker ends a stage",
    "sizes": "test accuracy in percent, by the size of examples",
    "phases": "seconds of training and test by phase",
    "training": "test accuracy against training examples",
    "matrix": "share of trees unchanged when a word is replaced",
}
KINDS = {  # what a size is of, where its name alone does not say it
    "actions": "length of the output (actions)",
    "depth": "depth of the tree",
    "digits": "length of the output (digits)",
    "output": "length of the output (tokens)",
    "parentheses": "depth of parentheses",
    "tokens": "length of the input (tokens)",
}


def _time(trainings: Trained, runs: Runs) -> Figure:
    """A panel a row, a line a seed; a stage ends at a marker."""
    figure, panels = _panels(len(trainings))
    for axes, (label, each) in zip(panels, trainings.items(), strict=True):
        for training, style in zip(each, _styles(), strict=False):
            history = runs.history(training)
            seconds = accumulate(record["seconds"] for record in history)
            rounds = zip(history, seconds, strict=True)
            for _, stage in groupby(rounds, lambda each: each[0]["stage"]):
                points = [(after, 100 * record["accuracy"]) for record, after in stage]
                axes.plot(*zip(*points, strict=True), style["linestyle"], color=style["color"], linewidth=1.2)
                axes.plot(*points[-1], style["marker"], color=style["color"], markersize=3)
        axes.set_title(_folded(label), fontsize=9)
        axes.set(xlabel="seconds", xlim=(0, None), ylim=(-4, 104))
    _label_left(panels, "percent solved")
    seeds = list(dict.fromkeys(each.seed for row in trainings.values() for each in row))
    shown = [
        panels[0].plot([], [], label=f"seed {seed}", **style) for seed, style in zip(seeds, _styles(), strict=False)
    ]
    figure.legend(handles=[line for lines in shown for line in lines], **BELOW, ncols=8)
    return figure


def _sizes(trainings: Trained, runs: Runs) -> Figure:
    """A row of panels a row, a column for each kind of size: lines that are the same would hide one another."""
    found = {label: _by_size(each, runs) for label, each in trainings.items()}
    kinds = sorted({kind for sizes in found.values() for kind in sizes})
    figure = new_figure(2.4 * len(kinds) + 1.6, 0.62 * len(found) + 1.1)
    panels = figure.subplots(len(found), len(kinds), sharex="col", sharey=True, squeeze=False)
    for across, (label, sizes) in zip(panels, found.items(), strict=True):
        for axes, kind in zip(across, kinds, strict=True):
            points = dict(sorted(sizes.get(kind, {}).items()))
            axes.plot(list(points), list(points.values()), "o-", color=BLUE, markersize=3, linewidth=1.2)
            axes.set(ylim=(-8, 108), yticks=(0, 50, 100))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.tick_params(labelsize=8)
            _plain(axes)
        across[0].set_ylabel(_folded(label), rotation=0, ha="right", va="center", fontsize=9)
    for axes, kind in zip(panels[-1], kinds, strict=True):
        axes.set_xlabel(KINDS.get(kind, kind), fontsize=9)
    return figure


def _by_size(trainings: Sequence[Training], runs: Runs) -> dict[str, dict[int, float]]:
    """By the kind of size and the size the accuracy in percent, mean over the seeds."""
    found: dict[str, dict[int, list[float]]] = {}
    for training in trainings:
        for name, accuracy in runs.metrics(training)["test"]["subsets"].items():
            if size := re.fullmatch(r"(\w+)=(\d+)", name):
                found.setdefault(size[1], {}).setdefault(int(size[2]), []).append(accuracy)
    return {kind: {size: statistics.mean(each) for size, each in sizes.items()} for kind, sizes in found.items()}


def _phases(trainings: Trained, runs: Runs) -> Figure:
    """A bar a row, stacked."""
    rows: dict[str, dict[str, float]] = {}
    for label, each in trainings.items():
        seconds = [runs.metrics(training)["seconds"] for training in each]
        phases = {phase: statistics.mean(run[phase] for run in seconds) for phase in seconds[0]}
        total = phases.pop("total")
        rows[label] = {**phases, REST: max(0.0, total - sum(phases.values()))}
    names = [name for name in next(iter(rows.values())) if any(row[name] > 0 for row in rows.values())]
    figure = new_figure(8, 1.9 + 0.36 * len(rows))
    axes = figure.subplots()
    left = [0.0] * len(rows)
    for name in names:
        color, hatch = PHASES[name]
        widths = [row[name] for row in rows.values()]
        axes.barh(list(rows), widths, left=left, color=color, hatch=hatch, edgecolor="white", linewidth=0.5, label=name)
        left = [before + width for before, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="seconds, mean over the seeds")
    _plain(axes)
    figure.legend(**BELOW, ncols=len(names))
    return figure


def _training(rows: Sequence[Any]) -> Figure:
    """Accuracy against the number of training examples, a line for each split or concept."""
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if isinstance(row, ConceptRow):
            for concept, accuracy in row.accuracy.items():
                series.setdefault(concept, []).append((row.shots, statistics.mean(accuracy)))
        elif isinstance(row, Outcome):
            point = statistics.mean(row.examples), statistics.mean(row.accuracy)
            series.setdefault(row.variant.split, []).append(point)
    figure = new_figure(5.5, 3.8)
    from matplotlib.ticker import LogLocator

    axes = figure.subplots()
    _lines(axes, {name: sorted(points) for name, points in series.items()})
    axes.set(xscale="log", xlabel="training examples", ylabel="accuracy, %", ylim=(-4, 104))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.minorticks_off()
    figure.legend(**BELOW, ncols=6)
    return figure


def _matrix(rows: Sequence[SwapRow]) -> Figure:
    """A cell for each word and what replaces it, with its share; hatched where the word does not occur."""
    others = list(rows[0].kept)
    matrix = np.array([list(row.shares.values()) for row in rows])
    figure = new_figure(0.46 * len(others) + 2, 0.42 * len(rows) + 2)
    axes = figure.subplots()
    axes.patch.set(facecolor="white", hatch="////", edgecolor=GREY)
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)  # NaN is left out, so the hatched ground shows
    axes.set_xticks(range(len(others)), others, rotation=90)
    axes.set_yticks(range(len(rows)), [row.label for row in rows])
    axes.set_xticks(np.arange(0.5, len(others) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(rows) - 1), minor=True)
    axes.grid(which="minor", color=GREY, linewidth=0.5)
    axes.tick_params(which="both", length=0)
    axes.set(xlabel="by this word", ylabel="replaced")
    for (down, across), share in np.ndenumerate(matrix):
        ink = "white" if share > 0.5 else "black"
        axes.text(across, down, format_share(share), ha="center", va="center", fontsize=9, color=ink)
    figure.colorbar(image, label="share of trees unchanged")
    return figure


OF_RUNS: dict[str, Callable[[Trained, Runs], Figure]] = {"time": _time, "sizes": _sizes, "phases": _phases}
OF_ROWS: dict[str, Callable[[Sequence[Any]], Figure]] = {"training": _training, "matrix": _matrix}


def _lines(axes: Axes, series: Series) -> None:
    """Lines of different looks, each thinner than the last."""
    for place, ((label, points), style) in enumerate(zip(series.items(), _styles(), strict=False)):
        across, up = zip(*points, strict=True)
        thin = 1 - place / max(1, len(series))
        every = -(-len(points) // MARKED)
        width, size = 1 + 2.5 * thin, 3 + 3 * thin
        axes.plot(across, up, label=label, linewidth=width, markersize=size, markevery=(place % every, every), **style)
    _plain(axes)


def _styles() -> Iterator[dict[str, Any]]:
    """Looks of lines, without end."""
    looks = zip(cycle(OKABE_ITO), cycle(MARKERS), cycle(DASHES), strict=False)
    return ({"color": color, "marker": marker, "linestyle": dashes} for color, marker, dashes in looks)


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """So many axes."""
    across = min(ACROSS, count)
    down = -(-count // across)
    figure = new_figure(max(NARROWEST, 2.6 * across + 0.4), 2.2 * down + 0.6)
    panels = list(figure.subplots(down, across, squeeze=False).flat)
    for each in panels[count:]:
        each.remove()
    for each in islice(panels, count):
        _plain(each)
    return figure, panels[:count]


def _label_left(panels: Sequence[Axes], label: str) -> None:
    for each in panels[::ACROSS]:
        each.set_ylabel(label)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GREY, alpha=0.2, linewidth=0.5)
    axes.set_axisbelow(True)


def _folded(label: str) -> str:
    """A label on several lines, broken at its commas."""
    return label.replace(", ", ",\n")
