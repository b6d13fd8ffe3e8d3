"""Figures of the page, in the style of the report's."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cmet.extended.table import CONSISTENCY, OVER_SPEAKERS, STRENGTH, found
from cmet.scores.figures import COLOURS, INK, STYLE

PANELS = {
    STRENGTH: "strength",
    CONSISTENCY: "consistency over clips",
    OVER_SPEAKERS: "consistency over speakers",
}


def cosine_figure(values: pd.DataFrame, x_label: str, is_nearest_marked: bool = True) -> Figure:
    """Cosines of emotions (rows) with others (columns): blue where they point the same way, orange where apart.

    Args:
        values: NaN where there is none.
        x_label: What the columns are.
        is_nearest_marked: Whether the largest of each row is bold and framed.
    """
    with rc_context(STYLE):
        figure = Figure((1.9 + 0.78 * values.shape[1], 1.25 + 0.42 * len(values)), layout="constrained")
        axes = figure.subplots()
        cosines = values.to_numpy(float)
        axes.pcolormesh(_colours(cosines), edgecolors="none")
        largest = np.nan_to_num(cosines, nan=-np.inf).max(axis=1)
        for (row, column), value in np.ndenumerate(cosines):
            is_nearest = is_nearest_marked and value == largest[row]
            if np.isfinite(value):
                weight = "bold" if is_nearest else "normal"
                axes.text(column + 0.5, row + 0.5, f"{value:.2f}", ha="center", va="center", weight=weight)
            if is_nearest:
                axes.add_patch(_frame(row, column))
        axes.set_xticks(
            np.arange(values.shape[1]) + 0.5, [str(name) for name in values.columns], rotation=30, ha="right"
        )
        axes.set_yticks(np.arange(len(values)) + 0.5, [str(name) for name in values.index])
        axes.tick_params(length=0)
        axes.invert_yaxis()
        axes.set_xlabel(x_label)
        return figure


def numbers_figure(rows: pd.DataFrame, emotions: Sequence[str]) -> Figure:
    """One panel per number: a point and, where there is one, an interval per emotion."""
    shown = [measure for measure in PANELS if rows[rows.measure == measure].value.notna().any()]
    with rc_context(STYLE):
        figure = Figure((1.6 + 3.0 * max(1, len(shown)), 1.2 + 0.34 * len(emotions)), layout="constrained")
        if not shown:
            figure.text(0.5, 0.5, "one clip per emotion and no basic speech: nothing to show", ha="center")
            return figure
        figure.set_layout_engine("constrained", wspace=0.06)
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, measure in zip(panels, shown, strict=True):
            for place, emotion in enumerate(emotions):
                one = found(rows, emotion, measure)
                if one is not None and np.isfinite(one.value):
                    axes.hlines(place, one.low, one.high, color=COLOURS["cmet"], linewidth=1.8)
                    axes.plot(one.value, place, "o", color=COLOURS["cmet"], markersize=5)
            low, high = axes.get_xlim()
            axes.set_xlim(min(low, 0), max(high, 1.02))
            if measure == STRENGTH:
                axes.axvline(1, color=INK, linestyle=":", linewidth=1)
            axes.set_title(PANELS[measure])
            axes.grid(axis="x")
        panels[0].set_yticks(range(len(emotions)), list(emotions))
        panels[0].invert_yaxis()
        return figure


def _colours(cosines: np.ndarray) -> np.ndarray:
    """Shape (..., 4): shaded by transparency, so that the same picture works on a light and on a dark page."""
    size = np.nan_to_num(np.abs(cosines))
    colours = np.empty((*cosines.shape, 4))
    colours[..., :3] = np.where(cosines[..., None] < 0, to_rgb(COLOURS["reference"]), to_rgb(COLOURS["cmet"]))
    colours[..., 3] = 0.85 * np.clip(size, 0, 1)
    return colours


def _frame(row: int, column: int) -> Rectangle:
    return Rectangle((column + 0.04, row + 0.06), 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1.4)
