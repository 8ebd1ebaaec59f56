"""The plots beside tables: accuracy over time, against training size and by the size of inputs; seconds by phase.

A series differs from the others by colour, marker and line, and is thinner than those under it, so that series which
are the same are all seen. The figures are those of the runs, means over the seeds unless a seed has its own line.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, cycle, groupby, islice
from typing import TYPE_CHECKING, Any

from nsr.reports.hint import ConceptRow
from nsr.reports.plots import BLUE, GREY, new_figure, to_png
from nsr.reports.tables import Failed, Outcome
from nsr.reports.trainings import Runs, Training

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OKABE_ITO = (BLUE, "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = "osD^vPX*"
DASHES = ("-", "--", ":", "-.")
ACROSS = 4  # panels in a row
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
    REST: (GREY, ""),
}

Trained = Mapping[str, Sequence[Training]]
Series = Mapping[str, Sequence[tuple[float, float]]]

PLOTS: dict[str, tuple[str, ...]] = {
    "scan-splits": ("time", "sizes", "phases"),
    "scan-raw": ("time", "sizes", "phases"),
    "scan-size": ("training",),
    "scan-ablations": ("time", "phases"),
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
        figure = _training(good) if what == "training" else DRAWN[what](kept, runs)
        figure.suptitle(f"{title}\n{CAPTIONS[what]}", fontsize=10)
        pictures[what] = to_png(figure, f"{title}: {CAPTIONS[what]}")
    return pictures


CAPTIONS = {
    "time": "examples of the stage solved, in the course of training",
    "sizes": "test accuracy by the size of examples",
    "phases": "seconds of training and test by phase",
    "training": "test accuracy against training examples",
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
    """A panel for each kind of size, a line a row."""
    by_kind: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for label, each in trainings.items():
        found = [runs.metrics(training)["test"]["subsets"] for training in each]
        for name in dict.fromkeys(name for subsets in found for name in subsets):
            if size := re.fullmatch(r"(\w+)=(\d+)", name):
                accuracy = statistics.mean(subsets[name] for subsets in found if name in subsets)
                by_kind.setdefault(size[1], {}).setdefault(label, []).append((int(size[2]), accuracy))
    figure, panels = _panels(len(by_kind), width=4.2, height=3.4)
    from matplotlib.ticker import MaxNLocator

    for axes, (kind, series) in zip(panels, by_kind.items(), strict=True):
        _lines(axes, series)
        axes.set(xlabel=kind, ylim=(-4, 104))
        axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    _label_left(panels, "accuracy, %")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, **BELOW, ncols=2)
    return figure


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


DRAWN: dict[str, Callable[[Trained, Runs], Figure]] = {"time": _time, "sizes": _sizes, "phases": _phases}


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


def _panels(count: int, width: float = 2.6, height: float = 2.2) -> tuple[Figure, list[Axes]]:
    """So many axes of so many inches."""
    across = min(ACROSS, count)
    down = -(-count // across)
    figure = new_figure(width * across + 0.4, height * down + 0.6)
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
