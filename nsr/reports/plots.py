"""Plots as PNG files, readable in print, in grey and by the colour-blind; they need matplotlib, which is optional."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from nsr.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, GREY = "#0072B2", "#767676"  # of Okabe and Ito's palette for the colour-blind, and a guide's grey
DOTS_PER_INCH = 200

Points = Sequence[tuple[float, float, float]]


def require_matplotlib() -> None:
    """Fail now rather than after the work whose outcome is to be plotted.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ConfigError("plots need matplotlib, which is not installed: pip install nsr[plots]") from None


def growth_plot(examples: Points, tokens: Points, caption: str) -> bytes:
    """How time grows, as a PNG.

    Args:
        examples: (training examples, seconds to train, test accuracy in percent).
        tokens: (tokens of a sentence, milliseconds to deduce it, right answers in percent).
        caption: where the figures come from.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    figure = new_figure(8, 3.8)
    left, right = figure.subplots(1, 2)
    _growth(left, examples, "training examples", "seconds", "Training (and test accuracy)")
    _growth(right, tokens, "tokens of a sentence", "milliseconds a sentence", "Deduction (and right answers)")
    figure.supxlabel(caption.replace("; ", "\n"), fontsize=6, color=GREY)
    return to_png(figure, caption)


def _growth(axes: Axes, points: Points, what: str, unit: str, title: str) -> None:
    """One curve on logarithmic axes, beside a guide that grows in proportion."""
    across, up, _ = np.array(points, float).reshape(-1, 3).T
    axes.loglog(across, up, "o-", color=BLUE, label="measured")
    axes.loglog(across, up[0] * across / across[0], "--", color=GREY, label="in proportion")
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    for x, y, right in points:
        label = f"{y:.2g}\n{right:.0f}%" if y < 10 else f"{y:.0f}\n{right:.0f}%"
        axes.annotate(label, (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=8, bbox=ground)
    axes.set_xticks(across, [f"{each:,.0f}" for each in across])
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(0.15, 0.25)
    axes.set(xlabel=what, ylabel=unit, title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches; no window, no global state."""
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def to_png(figure: Figure, caption: str) -> bytes:
    """A figure as a PNG file that carries its caption."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DOTS_PER_INCH, metadata={"Description": caption})
    return content.getvalue()
