"""Pictures of what a model sees in images: its confusions and its most confident errors.

They are PNG files and need matplotlib, which is optional.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nsr.reports.plots import new_figure, to_png

COLUMNS = 12  # of a contact sheet


def confusion_plot(labels: Sequence[str], counts: np.ndarray, title: str) -> bytes:
    """How often each label is read as each label, as a PNG.

    Args:
        labels: L names.
        counts: right label, then label read, the last column for none; shape (L, L + 1).
        title: above the matrix.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    size = len(labels)
    counts = counts if counts[:, -1].any() else counts[:, :size]
    columns = [*labels, "none"][: counts.shape[1]]
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = new_figure(0.5 * size + 1.5, 0.45 * size + 1)
    axes = figure.subplots()
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=10)  # so that rare confusions are seen
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(size), labels)
    axes.tick_params(length=0)
    axes.set(xlabel="read as", ylabel="is", title=title)
    for (row, column), share in np.ndenumerate(shares):
        if counts[row, column]:
            ink = "white" if share > 30 else "black"
            text = f"{share:.1f}" if share < 99.95 else "100"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color=ink)
    return to_png(figure, title)


def contact_sheet(images: np.ndarray, captions: Sequence[str], title: str) -> bytes:
    """Images side by side with a caption below each, as a PNG.

    Args:
        images: grey values, shape (M, height, width).
        captions: M texts.
        title: above them.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    rows = max(1, -(-len(images) // COLUMNS))
    figure = new_figure(COLUMNS * 0.75, rows * 0.95 + 0.4)
    figure.suptitle(title, fontsize=10)
    places = figure.subplots(rows, COLUMNS, squeeze=False).reshape(-1)
    for axes in places:
        axes.set_axis_off()
    for axes, image, caption in zip(places, images, captions, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(caption, fontsize=7, pad=2)
    return to_png(figure, title)
